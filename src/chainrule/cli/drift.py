"""``chainrule drift``: whether new rows still look like those of training."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule._internal.extras import require
from chainrule.cli.errors import MOVED, in_one_sentence
from chainrule.cli.options import Folder, MaxUnpacked, option
from chainrule.cli.output import say, tell

LIMIT = 0.1


@in_one_sentence
def drift(
    folder: Folder,
    source: Annotated[str, typer.Argument(metavar="FILE", help="New rows: a table, with or without the target.")],
    psi: Annotated[
        float, option(None, "Population stability index from which on a distribution has moved; 0.25 is large.")
    ] = LIMIT,
    delimiter: Annotated[str | None, option(None, "CSV delimiter; by default that of training.")] = None,
    decimal: Annotated[
        str | None, option(None, "Decimal mark, '.' or ','; by default that of training.", metavar="MARK")
    ] = None,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
) -> None:
    """Compare the rows of FILE, and the network's predictions for them, with those of training.

    Values that do not fit their column count as missing. The exit status is 3 if a distribution moved: its population
    stability index is at least --psi, and more than chance explains.
    """
    require("polars", "tables")
    from chainrule.cli.table_runs import drifted  # noqa: PLC0415  (an extra)

    found, notes = drifted(folder, source, psi, delimiter=delimiter, decimal=decimal)
    for note in notes:
        say(f"Note: {note}")
    tell(f"{found.rows:,} rows of {source} beside {found.rows_before:,} of training\n\n{found}")
    if found.moved:
        raise typer.Exit(MOVED)
