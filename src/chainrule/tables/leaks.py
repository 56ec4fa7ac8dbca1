"""Columns that give the target away: they make a network look good that will be useless."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._extras import require
from chainrule._typing import Array
from chainrule.tables.casting import cast
from chainrule.tables.schema import Column, Schema

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

TOO_ALIKE = 0.999  # |correlation| of the values or of their ranks with a target that is a number
FEW = 30  # values of a number that are looked at one by one
SURE = 50  # rows from which it is no chance that a threshold parts the classes
MOST = 10_000  # columns that are compared
FIRST = 1000  # rows by which most columns are ruled out


def find(frame: pl.DataFrame, schema: Schema, y: Array) -> tuple[str, ...]:
    """Return a warning for each column that is a copy of the target, or as good as one.

    Of classes: each value of the column comes with one class only, and there are few values; or thresholds part the
    numbers of each class from those of the others. Of numbers: the correlation, or that of the ranks, is 1 but for
    rounding.

    >>> import polars as pl
    >>> from chainrule.tables.schema import Column
    >>> frame = pl.DataFrame({"paid": ["y", "n"] * 20, "left": ["no", "yes"] * 20})
    >>> paid, left = (Column(name, "yes/no", "text") for name in frame.columns)
    >>> schema = Schema((paid,), (left,), "binary", ("no", "yes"))
    >>> find(frame, schema, frame["left"].to_numpy())[0][:51]
    "the column 'paid' tells the target 'left' by itself"
    """
    if schema.task == "multilabel":
        return ()
    step = max(1, frame.height // FIRST)
    few, y_few = frame.gather_every(step), y[::step]
    known = [
        column
        for column in schema.used[:MOST]
        if _gives_away(few, column, schema, y_few) and (step == 1 or _gives_away(frame, column, schema, y))
    ]
    return tuple(
        f"the column {column.name!r} tells the target {schema.target!r} by itself: is it known before the target is? "
        f"If not: --drop {column.name!r}."
        for column in known
    )


def _gives_away(frame: pl.DataFrame, column: Column, schema: Schema, y: Array) -> bool:
    pl = require("polars", "tables")
    if schema.task == "regression":
        x = cast(frame, [column])[column.name] if column.kind == "number" else None
        return x is not None and _same_numbers(x.to_numpy(), y)
    if column.kind not in ("yes/no", "category", "number"):
        return False
    x = cast(frame, [column])[column.name] if column.kind == "number" else frame[column.name]
    pairs = pl.DataFrame({"x": x, "y": np.asarray(y).astype(str)}).drop_nulls()
    if pairs.height < 0.9 * frame.height or not _no_ties(pairs):
        return False
    if column.kind != "number" or column.distinct <= FEW:
        return True
    runs = pairs.sort("x")["y"].rle_id().n_unique()
    return pairs.height >= SURE and bool(runs == pairs["y"].n_unique())


def _same_numbers(x: Array, y: Array) -> bool:
    """Say whether one is a straight line of the other, or one rises with the other throughout."""
    both = np.isfinite(x)
    x, y = x[both], y[both]
    if len(x) < 10 or x.std() == 0 or y.std() == 0:
        return False
    pairs = ((x, y), (_ranks(x), _ranks(y)))
    return any(abs(float(np.corrcoef(*pair)[0, 1])) > TOO_ALIKE for pair in pairs)


def _no_ties(pairs: pl.DataFrame) -> bool:
    """Say whether each value of x comes with one class only."""
    alone = pairs.unique()
    return bool(alone.height == alone["x"].n_unique())


def _ranks(values: Array) -> Array:
    """Return the ranks of numbers; equal ones have the mean of theirs."""
    pl = require("polars", "tables")
    ranks: Array = pl.Series(values).rank("average").to_numpy()
    return ranks
