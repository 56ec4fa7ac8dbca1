"""Values of Python, as databases return them, as columns of polars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from chainrule.tables._polars import pl

PLAIN = (bool, dt.date, dt.datetime, dt.time, dt.timedelta, str, bytes)  # types that polars has


def column(values: Sequence[Any]) -> pl.Series:
    """Return values of Python as a column: of their type if they have one, else of numbers, else of text."""
    kinds = {type(value) for value in values} - {type(None)}
    if not kinds:
        return pl.Series(values, dtype=pl.Null)
    if len(kinds) == 1 and kinds <= {*PLAIN}:
        made = pl.Series(values)
        return made.dt.convert_time_zone("UTC") if getattr(made.dtype, "time_zone", None) else made
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pl.Series(values, dtype=pl.Int64)
    if kinds <= {int, float, Decimal, bool}:
        return pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
    if kinds <= {list, dict}:
        return pl.Series([None if value is None else [0] for value in values])  # nested: excluded, with a note
    return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)


def joined(parts: list[pl.Series]) -> pl.Series:
    """Return the batches of a column as one, in a type for all of them."""
    kinds = {part.dtype for part in parts} - {pl.Null}
    if len(kinds) > 1:
        wider = pl.Float64 if all(kind.is_numeric() or kind == pl.Boolean for kind in kinds) else pl.String
        parts = [part.cast(wider) for part in parts]
    elif kinds:
        parts = [part.cast(*kinds) for part in parts]
    return pl.concat(parts)
