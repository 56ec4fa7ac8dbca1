"""A file of rows for the test alone: a sample of it, drawn in one pass, in the types of the other table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chainrule._internal.extras import require
from chainrule.tables.checking import with_targets
from chainrule.tables.loading import as_in
from chainrule.tables.schema import Schema
from chainrule.tables.streaming.csv_source import widened
from chainrule.tables.streaming.opening import open_source
from chainrule.tables.streaming.sampling import BottomK
from chainrule.tables.streaming.source import Block
from chainrule.tables.streaming.survey import has_target

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

__all__ = ["rows_to_test"]


def rows_to_test(
    path: str | os.PathLike[str],
    goals: Sequence[str],
    schema: Schema,
    size: int,
    seed: int,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
) -> pl.DataFrame:
    """Return at most ``size`` rows of a file, drawn at random among those with a target, with the used columns.

    Raises
    ------
    ValueError
        When a column is missing or has values of another type, or a class was never trained on.
    """
    require("polars", "tables")
    source = open_source(path, delimiter=delimiter, header=header, targets=goals, schema=schema)
    for name in [*goals, *(column.name for column in schema.used)]:
        if name not in source.columns:
            raise ValueError(f"--test: {path} has no column {name!r}, which the other table has.")

    def draw() -> pl.DataFrame:
        drawn = BottomK(size, seed)
        for block in source.blocks(columns=[*goals, *(column.name for column in schema.used)]):
            typed = Block(block.start, with_targets(block.frame, schema, f"--test: {path}"))
            drawn.offer(typed, has_target(typed.frame, goals))
        return drawn.rows()

    rows = widened(source, [], draw)
    if not rows.height:
        raise ValueError(f"--test: {path} has no row with a target.")
    return as_in(schema, rows, os.fspath(path))
