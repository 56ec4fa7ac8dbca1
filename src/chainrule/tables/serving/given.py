"""Rows as a caller has them, taken apart: columns, and in each column the values of one type together."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables.formats import INFINITE

MICROSECONDS, DAYS = "datetime64[us]", "datetime64[D]"
KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("missing", (type(None),)),
    ("truth", (bool, np.bool_)),
    ("moment", (dt.datetime, np.datetime64)),  # "clock" without a time zone
    ("day", (dt.date,)),
    ("number", (int, float, Decimal, np.integer, np.floating, dt.timedelta, dt.time)),
    ("text", (str, bytes)),
    ("nested", (dict, list, tuple, set, np.ndarray)),
)
"""Kinds of values, and their types. Others are taken as texts."""


class Part(NamedTuple):
    """The present values of one kind in a column, and their rows.

    Texts and nested values are a list; numbers an array of booleans, int64 or float64; days, times on a clock and
    moments (with a time zone, in UTC) an array of datetime64[us]. ``zone`` is the name of that time zone.
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
        if all(map(_is_scalar, rows.values())):
            return {str(name): [value] for name, value in rows.items()}, 1
        given = {str(name): value for name, value in rows.items()}
        return _of_one_length(given)
    if isinstance(rows, list | tuple) and all(isinstance(row, dict) for row in rows):
        names = dict.fromkeys(chain.from_iterable(rows))
        return {str(name): [row.get(name) for row in rows] for name in names}, len(rows)
    if hasattr(rows, "columns") and hasattr(rows, "__getitem__"):
        names = Counter(map(str, rows.columns))
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"the data frame has duplicate column names ({twice[0]!r}): rename one.")
        return {str(name): rows[name] for name in rows.columns}, len(rows)
    raise TypeError(
        "expected a dictionary of one row or of columns, a list of dictionaries, or a data frame, got "
        f"{type(rows).__name__}."
    )


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | bytes | dict) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def _of_one_length(given: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return columns, with single values repeated, and their length."""
    lengths = {name: len(value) for name, value in given.items() if not _is_scalar(value)}
    (first, count), *others = lengths.items()
    for name, length in others:
        if length != count:
            raise ValueError(f"the columns have different lengths: {first!r} has {count:,} values, {name!r} {length:,}.")
    return {name: value if name in lengths else [value] * count for name, value in given.items()}, count


def parts(given: Any) -> Iterator[Part]:
    """Yield the parts of a column, which is a list, an array, or a column of a data frame.

    >>> [(part.kind, part.values, part.rows) for part in parts([41, "x", None])]
    [('number', array([41]), [0]), ('text', ['x'], [1])]
    """
    if not isinstance(given, list | tuple | np.ndarray):
        zone = getattr(getattr(given, "dtype", None), "time_zone", None) or getattr(given.dtype, "tz", None)
        given = np.asarray(given, dtype=MICROSECONDS if zone else None)
        if zone:
            yield from _present("moment", given, zone=str(zone))
            return
    if isinstance(given, np.ndarray):
        if given.ndim != 1 or given.dtype.kind in "cV":
            yield Part("nested", [given])
            return
        if given.dtype.kind in "biufm":
            yield from _present("number", _numbers(given))
            return
        if given.dtype.kind == "M":
            yield from _present("day" if given.dtype == DAYS else "clock", given.astype(MICROSECONDS))
            return
        given = given.tolist()
    kinds = {kind: _kind(kind) for kind in set(map(type, given))}
    if set(kinds.values()) == {"text"}:
        yield Part("text", _texts(given))
        return
    rows: dict[tuple[str, str], list[int]] = {}
    for row, value in enumerate(given):
        kind, zone = kinds[type(value)], ""
        if kind == "moment":
            zone = str(getattr(value, "tzinfo", None) or "")
            kind = kind if zone else "clock"
        rows.setdefault((kind, zone), []).append(row)
    for (kind, zone), at in rows.items():
        values = [given[row] for row in at]
        where = slice(None) if len(at) == len(given) else np.array(at)
        if kind in ("text", "nested"):
            yield Part(kind, _texts(values) if kind == "text" else values, where)
        elif kind in ("truth", "number"):
            yield from _present("number", np.array(values, dtype=bool) if kind == "truth" else _array(values), where)
        elif kind != "missing":
            values = [value.astimezone(dt.UTC).replace(tzinfo=None) for value in values] if zone else values
            yield from _present(kind, np.array(values, dtype=MICROSECONDS), where, zone)


def _kind(kind: type) -> str:
    if kind.__name__ in ("NAType", "NaTType"):  # of pandas
        return "missing"
    return next((name for name, known in KINDS if issubclass(kind, known)), "text")


def _present(kind: str, values: Array, rows: Any = slice(None), zone: str = "") -> Iterator[Part]:
    """Yield the values that are not NaN, where there are any."""
    there = values == values  # noqa: PLR0124  (not for NaN and NaT)
    if there.all():
        yield Part(kind, values, rows, zone)
    elif there.any():
        yield Part(kind, values[there], (np.flatnonzero(there) if isinstance(rows, slice) else rows[there]), zone)


def _texts(values: list[Any]) -> list[str]:
    if set(map(type, values)) == {str}:
        return values
    return [str(value, "utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]


def _array(values: list[Any]) -> Array:
    """Return numbers as an array of int64 or float64."""
    if not set(map(type, values)) <= {int, float}:
        values = [_plain(value) for value in values]
    try:
        return _numbers(np.array(values, dtype=np.int64 if set(map(type, values)) == {int} else np.float64))
    except OverflowError:
        return _numbers(np.array([float(str(value)) for value in values]))  # beyond 64 bits


def _plain(value: Any) -> float:
    """Return a number as an integer or float, and a duration or time of day in seconds."""
    if isinstance(value, np.timedelta64):
        value = value.astype("timedelta64[us]").item()
    if isinstance(value, dt.time):
        value = dt.datetime.combine(dt.date.min, value.replace(tzinfo=None)) - dt.datetime.min
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _numbers(values: Array) -> Array:
    """Return an array of numbers as booleans, int64 or float64; durations in seconds, numbers beyond 1e100 infinite."""
    if values.dtype.kind == "b":
        return values
    if values.dtype.kind == "m":
        ticks = values.astype("timedelta64[us]")
        return np.where(np.isnat(ticks), np.nan, ticks.astype(np.int64) / 1e6)
    if values.dtype.kind != "f":
        return values.astype(np.float64 if values.dtype == np.uint64 else np.int64, copy=False)
    values = values.astype(np.float64, copy=False)
    large = np.abs(values) > INFINITE
    return np.where(large, np.copysign(np.inf, values), values) if large.any() else values


def whole(values: Array) -> Array:
    """Return floats that are all integers as int64, and other arrays as they are.

    >>> whole(np.array([1.0, 2.0])), whole(np.array([1.0, 2.5]))
    (array([1, 2]), array([1. , 2.5]))
    """
    if values.dtype.kind != "f":
        return values
    exact = np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**53)
    return values.astype(np.int64) if exact.all() else values
