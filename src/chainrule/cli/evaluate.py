"""``chainrule evaluate``: scores of a trained network on held-out rows."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule.cli.errors import in_one_sentence
from chainrule.cli.kinds import commands_of
from chainrule.cli.options import TABLE, Data, Folder, MaxUnpacked, ReadOptions, option, takes_options


@in_one_sentence
@takes_options
def evaluate(
    folder: Folder,
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET|FILE",
            help="Data set to evaluate on; by default the one used for training. For a run on a table: a file with the "
            "target.",
        ),
    ] = None,
    data: Data = None,
    by: Annotated[
        str | None, option(TABLE, "Column whose groups are scored separately, such as a region.", metavar="COLUMN")
    ] = None,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
    options: ReadOptions = ReadOptions(),  # noqa: B008  (frozen)
) -> None:
    """Evaluate the network in FOLDER on the held-out rows of a data set, or on a file: scores by class, and overall.

    For a run on a table, this says whether scores differ from those of training by more than chance.

    It also says how reliable the probabilities or prediction intervals are.
    """
    given = options.reading() | ({} if by is None else {"by": by})
    commands_of(folder).evaluate(folder, dataset, data, **given)
