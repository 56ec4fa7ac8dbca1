"""The column with the weight of each row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import casting
from chainrule.tables.schema import Column

WHY = "--weight: the weight of the row"


def weights(frame: Any, column: Column, numbers: Array) -> Array:
    """Return the weights of the rows of a frame; ``numbers`` are their row numbers in the file.

    Raises
    ------
    ValueError
        If a weight is missing, negative or not a finite number, or all are 0.

    Examples
    --------
    >>> import polars as pl
    >>> weights(pl.DataFrame({"people": ["2", "1.5"]}), Column("people", "category", "text"), np.array([1, 2])).tolist()
    [2.0, 1.5]
    """
    name = column.name
    if column.read_as in ("boolean", "date", "time", "null"):
        raise ValueError(f"--weight: expected numbers in {name!r}, got {_KINDS[column.read_as]}.")
    given = frame.select([name])
    found = casting.cast(given, [_as_number(column)])[name]
    w = found.to_numpy().astype(np.float64)
    wrong = ~(np.isfinite(w) & (w >= 0))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        value = given[name][at]
        got = "a missing value" if value is None else repr(value)
        raise ValueError(
            f"--weight: expected numbers of at least 0 in {name!r}, but row {numbers[at]:,} has {got} "
            f"({int(wrong.sum()):,} {'row' if wrong.sum() == 1 else 'rows'} in total): correct it."
        )
    if not w.any():
        raise ValueError(f"--weight: all weights in {name!r} are 0: expected some above 0.")
    return w


def code(column: Column, types: Any) -> str:
    """Return the weights of the rows of ``frame`` as Python code."""
    ((expression, _),) = casting.code([_as_number(column)], types)
    text = expression.replace("NAMES", repr(column.name))
    return f"frame.select({text}).to_series().to_numpy()"


def _as_number(column: Column) -> Column:
    return replace(column, kind="number", dropped="")


_KINDS = {"boolean": "yes and no", "date": "dates", "time": "dates", "null": "missing values only"}
