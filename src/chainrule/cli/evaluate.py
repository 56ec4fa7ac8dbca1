"""``chainrule evaluate``: a trained network on the rows that it never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.errors import in_one_sentence
from chainrule.cli.kinds import commands_of


@in_one_sentence
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What chainrule train wrote, such as runs/digits.")],
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATASET|FILE]",
            help="By default the data set that it was trained on. Of a table's run: a file with the target.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the files of mnist are.")] = None,
) -> None:
    """Test the network in FOLDER on held-out rows of a data set, or on a file: the table of classes, and the scores."""
    commands_of(folder).evaluate(folder, dataset, data)
