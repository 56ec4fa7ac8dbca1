"""New rows for a network, read by the schema of training with NumPy alone: what polars makes of them, as arrays."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables.date_words import SEPARATOR
from chainrule.tables.formats import HOLE
from chainrule.tables.number_patterns import informed
from chainrule.tables.row_notes import RowNotes, nested, of_other_zone, refusal, zone_of
from chainrule.tables.schema import Column, Schema
from chainrule.tables.serving import dates, numbers
from chainrule.tables.serving.given import Part, columns, parts, whole
from chainrule.tables.serving.patterns import SPACES, number
from chainrule.tables.units import CLOCKS, MAGNITUDES

TRUTHS = {"true": "true", "1": "true", "false": "false", "0": "false"}
EPOCH = dt.datetime(1970, 1, 1)
DIGITS = re.compile("[-+]?[0-9]{1,19}")
ISO = ("%Y-%m-%d", "%Y-%m", *(f"%Y-%m-%d{mark}%H:%M{rest}" for mark in ("T", " ") for rest in (":%S%.f", "")))


class Reader:
    """Reads rows by the schema of training.

    Parameters
    ----------
    schema : Schema
    seen : mapping of names to strings
        Values seen in training, for high-cardinality columns.

    Examples
    --------
    >>> died = Column("died", "yes/no", "text", categories=("no", "yes"))
    >>> used = (Column("age", "number", "whole"), Column("plan", "category", "text", categories=("free", "pro")))
    >>> reader = Reader(Schema(used, (died,), "binary", ("no", "yes")))
    >>> reader([{"age": 41, "plan": "pro"}, {"age": "50"}])
    {'age': array([41., 50.]), 'plan': array(['pro', '(missing)'], dtype=object)}
    >>> reader.notes
    ("'plan': 1 row has a missing value; there were none in training.",)
    """

    def __init__(self, schema: Schema, seen: Mapping[str, Sequence[str]] | None = None) -> None:
        few = {c.name: c.categories for c in schema.used if c.kind in ("yes/no", "category")}
        known = {name: frozenset(texts) for name, texts in (few | dict(seen or {})).items()}
        self._schema = schema
        self._cells = {c.name: _Cells(c, schema.format.decimal, known.get(c.name)) for c in schema.used}
        self._last = threading.local()  # a service reads in several threads

    def __call__(self, rows: Any) -> dict[str, Array]:
        """Return the used columns of the schema.

        Parameters
        ----------
        rows : dict, list of dict, or data frame
            A dictionary has the values of one row, or lists or arrays of the same length.

        Returns
        -------
        columns : dict of str to array (rows,)
            Numbers, with NaN for a missing value: those of "number"; seconds since 1970-01-01T00:00:00 for "date", in
            the time zone of the schema; 0 and 1 for "yes/no". Strings as objects for other kinds: a missing one is
            "(missing)", or "" for "text".

        Raises
        ------
        ValueError
            If there are no rows, a required column is missing, or a column has values of another type.
        """
        notes = self._last.notes = RowNotes(self._schema)
        given, count = columns(rows)
        if not count:
            raise ValueError("no rows to predict: expected at least one.")
        notes.look([*given])
        return {name: cells(given.get(name), count, notes) for name, cells in self._cells.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the rows of the last call: unused columns, missing optional columns, and values not seen before."""
        last: RowNotes | None = getattr(self._last, "notes", None)
        return last.notes() if last else ()


class _Cells:
    """Reads the values of one column."""

    def __init__(self, column: Column, decimal: str, seen: frozenset[str] | None) -> None:
        self._column, self._seen = column, seen
        how = informed(column.notation, decimal)
        self._number = numbers.reader(how)
        self._has_unit = bool(how.unit) and how.unit not in CLOCKS and how.unit not in MAGNITUDES
        self._zone = zone_of(column)
        self._date = dates.reader(column.date_format) if column.date_format else None
        self._codes = dict(zip(column.categories, (0.0, 1.0), strict=True)) if column.kind == "yes/no" else None
        self._label = {"whole": _whole, "number": _decimal, "boolean": _truth}.get(column.read_as, _text)
        self._is_number = column.kind in ("number", "date", "yes/no")
        known = "" in seen if seen is not None else column.kind in ("text", "many")
        self._keeps_empty = known and column.read_as == "text"
        self._missing: Any = np.nan if self._is_number else "" if column.kind == "text" else HOLE
        reads = {"number": self._as_numbers, "date": self._as_dates}
        self._read: Callable[[Part, RowNotes], Any] = reads.get(column.kind, self._as_labels)

    def __call__(self, given: Any, count: int, notes: RowNotes) -> Array:
        """Return the values of a column; all are missing if it is not given."""
        made = np.full(count, self._missing, dtype=np.float64 if self._is_number else object)
        if given is None:
            return made
        wrong: dict[int, Any] = {}
        missing = count
        for part in parts(given):
            if part.kind == "nested":
                raise nested(self._column)
            if part.kind == "text" and not self._keeps_empty and "" in part.values:
                part = _without_empty(part)  # noqa: PLW2901
            values = self._read(part, notes)
            if isinstance(values, list):
                if None in values:
                    wrong |= self._refused(part, values, notes)
                    values = [self._missing if value is None else value for value in values]
                values = np.fromiter(values, dtype=made.dtype, count=len(values))
            made[part.rows] = values
            missing -= len(part.values)
        if wrong:
            row = min(wrong)
            hint = "write it as 2024-12-31" if self._read == self._as_dates and self._date is None else "correct it"
            raise ValueError(f"{refusal(self._column, row + 1, wrong[row], len(wrong))}: {hint}.")
        if not self._column.missing:
            notes.holes[self._column.name] += missing
        return made

    def _refused(self, part: Part, made: list[Any], notes: RowNotes) -> dict[int, Any]:
        """Return the values that could not be read, by row, except the words of training for missing values."""
        values = part.values.astype("datetime64[D]") if part.kind == "day" else part.values
        given = values if part.kind == "text" else whole(values).tolist()
        at = [i for i, value in enumerate(made) if value is None]
        known = [i for i in at if str(given[i]) in self._column.holes] if type(given[at[0]]) in (str, int) else []
        notes.coerced[self._column.name] += len(known)
        rows = range(len(given)) if isinstance(part.rows, slice) else part.rows
        return {int(rows[i]): given[i] for i in set(at).difference(known)}

    def _as_numbers(self, part: Part, notes: RowNotes) -> Any:
        if part.kind not in ("text", "number"):
            return [None] * len(part.values)
        if self._has_unit:
            bare = len(part.values) if part.kind == "number" else _each(numbers.is_bare, part.values).count(True)
            notes.bare[self._column.name] += bare
        if part.kind == "number":
            return part.values
        return _each(lambda text: self._number(text.strip(SPACES)), part.values)

    def _as_dates(self, part: Part, notes: RowNotes) -> Any:
        """Return seconds since 1970 on the clock of the time zone of training."""
        if part.kind == "number":
            values = whole(part.values)
            digits = self._date is not None and self._column.read_as == "whole" and values.dtype.kind == "i"
            part = part._replace(kind="text", values=[str(v) for v in values.tolist()]) if digits else part
        if part.kind == "text":
            if self._date is None and self._zone:
                notes.naive[self._column.name] += sum(at is not None for at in _each(_iso(), part.values))
            return _each(self._seconds, part.values)
        if part.kind == "number":
            return [None] * len(part.values)
        if part.kind == "moment":
            return [self._local(at, part.zone) for at in part.values.astype(np.int64).tolist()]
        if part.kind == "clock" and self._zone:
            notes.naive[self._column.name] += len(part.values)
        return part.values.astype(np.int64) / 1e6

    def _seconds(self, text: str) -> float | None:
        found = self._date(text) if self._date else _iso()(text)
        if found is None and self._date is None and (moment := _iso("%z")(text)) is not None:
            return self._local(moment, "UTC")
        return None if found is None else found / 1e6

    def _local(self, moment: int, own: str) -> float | None:
        """Return a moment in UTC on the clock of the time zone of training."""
        if not self._zone:
            raise of_other_zone(self._column, own)
        there = _zone(self._zone)
        try:
            clock = there.fromutc((EPOCH + dt.timedelta(microseconds=moment)).replace(tzinfo=there))
        except OverflowError:  # after the year 9999
            return None
        return (clock.replace(tzinfo=None) - EPOCH) // dt.timedelta(microseconds=1) / 1e6

    def _as_labels(self, part: Part, notes: RowNotes) -> list[Any]:
        if part.kind == "text":
            labels = _each(self._label, part.values)
        elif part.kind == "number":
            labels = _each(self._label, whole(part.values).tolist())
        elif self._column.read_as in ("whole", "number"):
            return [None] * len(part.values)
        else:
            unit: Any = "D" if part.kind == "day" else "us"
            labels = [text.replace("T", " ") for text in np.datetime_as_string(part.values, unit=unit).tolist()]
        if self._seen is not None:
            for label, count in Counter(labels).items():
                if label is not None and label not in self._seen:
                    notes.unseen(self._column.name, label, count)
        if self._codes is None:
            return labels
        return [None if label is None else self._codes.get(label, np.nan) for label in labels]


def _without_empty(part: Part) -> Part:
    """Return texts without empty ones, which are missing values."""
    rows = range(len(part.values)) if isinstance(part.rows, slice) else part.rows
    kept = [(row, text) for row, text in zip(rows, part.values, strict=True) if text]
    return part._replace(values=[text for _, text in kept], rows=[row for row, _ in kept])


def _each(read: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Return the results for values, each of which is read once."""
    made = {value: read(value) for value in set(values)}
    return [made[value] for value in values]


@cache
def _iso(zone: str = "") -> Callable[[str], int | None]:
    """Return the function that reads dates where training had no texts."""
    fmts = [f"{fmt}{zone}" for fmt in ISO if not zone or "%H" in fmt]
    return dates.reader(SEPARATOR.join(fmts))


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise ValueError(f"the time zone {name!r} is unknown here: pip install tzdata.") from None


def _text(value: Any) -> str:
    """Return a value as polars writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, float):
        return str(value)
    text = str(value).replace("e-0", "e-").replace("nan", "NaN")
    return f"{Decimal(text):f}" if text.endswith("e-5") else text


def _truth(value: Any) -> str | None:
    return TRUTHS.get(_text(value).lower())


def _decimal(value: Any) -> str | None:
    found = number(value) if isinstance(value, str) else float(value)
    return None if found is None else _text(found)


def _whole(value: Any) -> str | None:
    """Return a whole number as an integer of 64 bits: 1, 1.0 and "1" are one category."""
    exact = type(value) is int or (isinstance(value, str) and DIGITS.fullmatch(value))
    if exact and -(2**63) <= int(value) < 2**63:  # float64 lacks integers beyond 2^53
        return str(int(value))
    found = number(value) if isinstance(value, str) else float(value)
    fits = found is not None and -(2.0**63) <= found < 2.0**63 and found == round(found)
    return str(int(found)) if found is not None and fits else None
