"""``chainrule drift``: whether new rows still look like those of training."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule._internal.checks import check_real
from chainrule._internal.extras import require
from chainrule.cli import json_output
from chainrule.cli.errors import MOVED, in_one_sentence
from chainrule.cli.options import Folder, MaxUnpacked, ReadOptions, option, takes_options
from chainrule.cli.output import say, tell
from chainrule.pages.formatting import rows as counted
from chainrule.tables.serving.drift import PSI


@in_one_sentence
@takes_options
def drift(
    folder: Folder,
    source: Annotated[str, typer.Argument(metavar="FILE", help="New rows: a table, with or without the target.")],
    psi: Annotated[
        float, option(None, "Population stability index at which a distribution counts as moved; 0.25 is large.")
    ] = PSI,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
    options: ReadOptions = ReadOptions(),  # noqa: B008  (frozen)
) -> None:
    """Compare the rows of FILE, and the network's predictions for them, with the training data.

    Values that do not fit their column count as missing.

    The exit status is 3 if a distribution moved: its population stability index is at least --psi.

    Differences that could be chance, as between few rows, do not count.
    """
    check_real("drift", "--psi", psi, 0, open_low=True)
    require("polars", "tables")
    from chainrule.cli.table_predictions import drifted  # noqa: PLC0415  (an extra)
    from chainrule.tables.sources.names import shown  # noqa: PLC0415  (an extra)

    found, notes = drifted(folder, source, psi, **options.reading())
    json_output.record(folder=folder, source=shown(source), notes=notes, **found.to_dict())
    for note in notes:
        say(f"Note: {note}")
    before = counted(found.rows_before, "training row")
    tell(f"{counted(found.rows)} of {shown(source)} compared with {before}\n\n{found}")
    if found.moved:
        raise typer.Exit(MOVED)
