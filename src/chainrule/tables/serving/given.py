"""Rows as a caller has them, taken apart: columns, and in each column the values of one type together."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables.formats import INFINITE

KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("missing", (type(None),)),
    ("truth", (bool, np.bool_)),
    ("moment", (dt.datetime, np.datetime64)),  # "clock" without a time zone
    ("day", (dt.date,)),
    ("duration", (dt.timedelta, np.timedelta64)),
    ("time", (dt.time,)),
    ("number", (int, float, Decimal, np.integer, np.floating)),
    ("text", (str, bytes)),
    ("nested", (dict, list, tuple, set, np.ndarray)),
)
"""Kinds of values, and their types. Others are taken as texts."""
INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))  # of Arrow
WIDEST = 10**300  # float64 has no larger integers
TYPES = {"truth": "bool", "duration": "timedelta64[us]", "time": "timedelta64[us]"} | dict.fromkeys(
    ("moment", "clock", "day"), "datetime64[us]"
)


class Part(NamedTuple):
    """The present values of one kind in a column, and their rows.

    Those of "text" are a list; those of "number" an array of booleans, int64 or float64; those of "day", "clock" and
    "moment" (with a time zone, in UTC) an array of datetime64[us]. ``zone`` is the name of that time zone.
    """

    kind: str
    values: Any
    rows: Any = slice(None)
    zone: str = ""


def columns(rows: Any) -> tuple[dict[str, Any], int]:
    """Return the columns of rows, as :func:`parts` takes them, and the number of rows.

    >>> columns({"age": 41, "plan": "pro"}), columns([{"age": 41}, {"plan": "pro"}])
    (({'age': [41], 'plan': ['pro']}, 1), ({'age': [41, None], 'plan': [None, 'pro']}, 2))
    """
    if isinstance(rows, dict):
        lengths = {name: len(values) for name, values in rows.items() if not _is_scalar(values)}
        count = next(iter(lengths.values()), 1)
        for name, length in lengths.items():
            if length != count:
                both = f"{next(iter(lengths))!r} has {count:,} values, but {name!r} has {length:,}"
                raise ValueError(f"{both}: expected as many in each column.")
        return {str(name): value if name in lengths else [value] * count for name, value in rows.items()}, count
    if isinstance(rows, list | tuple) and all(isinstance(row, dict) for row in rows):
        names = dict.fromkeys(chain.from_iterable(rows))
        return {str(name): [row.get(name) for row in rows] for name in names}, len(rows)
    if hasattr(rows, "columns") and hasattr(rows, "__getitem__"):
        given = [*getattr(rows, "column_names", rows.columns)]
        if twice := [name for name, count in Counter(map(str, given)).items() if count > 1]:
            raise ValueError(f"the data frame has duplicate column names ({twice[0]!r}): rename one.")
        return {str(name): rows[name] for name in given}, len(rows)
    raise TypeError(
        "expected a dictionary of one row or of columns, a list of dictionaries, or a data frame, got "
        f"{type(rows).__name__}."
    )


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | bytes | dict) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def parts(given: Any) -> Iterator[Part]:
    """Yield the parts of a column, which is a list, an array, or a column of a data frame.

    >>> [(part.kind, part.values, part.rows) for part in parts([41, "x", None])]
    [('number', array([41]), [0]), ('text', ['x'], [1])]
    """
    given = _of_arrow(given) if hasattr(given, "to_pylist") else given
    if not isinstance(given, list | tuple):
        dtype: Any = getattr(given, "dtype", None)
        zone = str(getattr(dtype, "time_zone", None) or getattr(dtype, "tz", None) or "")
        given = np.asarray(given, dtype=TYPES["moment"] if zone else None)
        of = given.dtype.kind
        if of in "biufmM" and given.ndim == 1:
            clock = "moment" if zone else "day" if given.dtype == "datetime64[D]" else "clock"
            yield from _part({"m": "duration", "M": clock}.get(of, "number"), given, slice(None), zone)
            return
        given = given.tolist() if of in "OUS" and given.ndim == 1 else [given]
    kinds = {kind: _kind(kind) for kind in set(map(type, given))}
    rows: dict[tuple[str, str], Any] = {}
    if len(found := {*kinds.values()}) == 1 and "moment" not in found:
        rows[found.pop(), ""] = slice(None)
    else:
        for row, value in enumerate(given):
            kind, zone = kinds[type(value)], str(getattr(value, "tzinfo", None) or "")
            rows.setdefault(("clock" if kind == "moment" and not zone else kind, zone), []).append(row)
    for (kind, zone), at in rows.items():
        if kind != "missing":
            yield from _part(kind, given if isinstance(at, slice) else [given[row] for row in at], at, zone)


def _of_arrow(given: Any) -> Any:
    """Return a column of Arrow as an array if its type has one for all of its values, else as a list."""
    if str(given.type).startswith("dictionary"):
        given = given.cast(given.type.value_type)
    kind = str(given.type)
    if kind in ("double", "float") or (kind in INTEGERS and not given.null_count):
        return given.to_numpy(zero_copy_only=False)  # a null is NaN
    return given.to_pylist()


@cache
def _kind(kind: type) -> str:
    if kind.__name__ in ("NAType", "NaTType"):  # of pandas
        return "missing"
    return next((name for name, known in KINDS if issubclass(kind, known)), "text")


def _part(kind: str, values: Any, rows: Any, zone: str) -> Iterator[Part]:
    """Yield the values of one kind, without NaN."""
    if kind in ("text", "nested"):
        yield Part(kind, _texts(values) if kind == "text" else values, rows)
        return
    if kind == "time":
        values = [dt.datetime.combine(dt.date.min, value.replace(tzinfo=None)) - dt.datetime.min for value in values]
    elif zone and isinstance(values, list):
        values = [value.astimezone(dt.UTC).replace(tzinfo=None) for value in values]
    values = np.asarray(values, dtype=TYPES[kind]) if kind in TYPES else _numbers(values)
    there = values == values  # noqa: PLR0124  (not for NaN and NaT)
    if not there.all():
        rows, values = (np.flatnonzero(there) if isinstance(rows, slice) else np.array(rows)[there]), values[there]
    if kind == "duration":
        values = _seconds(values.astype(np.int64), 10**6)
    elif kind == "time":  # in nanoseconds, as polars has it
        values = _seconds(values.astype(np.int64) * 1000, 10**9)
    if len(values):
        yield Part({"truth": "number", "time": "number", "duration": "number"}.get(kind, kind), values, rows, zone)


def _texts(values: list[Any]) -> list[str]:
    if set(map(type, values)) == {str}:
        return values
    return [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values]


def _numbers(values: Any) -> Array:
    """Return numbers as booleans, int64 or float64, where those beyond 1e100 are infinite."""
    if not isinstance(values, np.ndarray):
        if (types := set(map(type, values))) - {int, float}:
            values = [int(value) if isinstance(value, int | np.integer) else float(value) for value in values]
            types = set(map(type, values))
        try:
            values = np.array(values, dtype=np.int64 if types == {int} else np.float64)
        except OverflowError:  # beyond 64 bits
            values = np.array([float(min(max(value, -WIDEST), WIDEST)) for value in values])
    if values.dtype.kind == "b":
        return values
    if values.dtype.kind != "f":
        return values.astype(np.float64 if values.dtype == np.uint64 else np.int64, copy=False)
    values = values.astype(np.float64, copy=False)
    large = np.abs(values) > INFINITE
    return np.where(large, np.copysign(np.inf, values), values) if large.any() else values


def _seconds(ticks: Array, of_a_second: int) -> Array:
    """Return seconds, as integers if all are whole."""
    full = ticks // of_a_second
    return full if (full * of_a_second == ticks).all() else ticks * (1 / of_a_second)


def whole(values: Array) -> Array:
    """Return floats that are all integers as int64, and other arrays as they are.

    >>> whole(np.array([1.0, 2.0])), whole(np.array([1.0, 2.5]))
    (array([1, 2]), array([1. , 2.5]))
    """
    if values.dtype.kind != "f":
        return values
    exact = np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**53)
    return values.astype(np.int64) if exact.all() else values
