"""Notes on new rows (unseen and missing values, ignored columns), and the errors for values that do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from chainrule._internal.names import did_you_mean
from chainrule.pages.formatting import rows as counted
from chainrule.tables.date_words import zone
from chainrule.tables.number_patterns import example, is_plain
from chainrule.tables.schema import Column, Schema
from chainrule.tables.units import one

MOST, LONGEST = 5, 200  # names in a sentence, characters of a value
DIFFERENT, OTHERS = 10_000, "others"  # unseen values that are counted one by one; the rest together


class RowNotes:
    """The numbers of values by column of which there is something to tell.

    >>> schema = Schema((Column("age", "number"),), (Column("died", "yes/no", categories=("no", "yes")),), "binary")
    >>> found = RowNotes(schema)
    >>> found.look(["age", "name"])
    >>> found.holes["age"] += 1
    >>> found.notes()[1]
    "'age': 1 row has a missing value; there were none in training."
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.extra: list[str] = []  # columns that are not in the schema
        self.missing: list[str] = []  # columns of the schema that are not there
        self.coerced: Counter[str] = Counter()
        self.holes: Counter[str] = Counter()
        self.naive: Counter[str] = Counter()  # times without a zone
        self.bare: Counter[str] = Counter()  # numbers without a unit
        self._unseen: dict[str, Counter[str]] = {}

    def look(self, names: Sequence[str]) -> None:
        """Refuse a table without a required column, by its column names."""
        there, known = set(names), {column.name for column in (*self._schema.columns, *self._schema.targets)}
        extra = [name for name in names if name not in known]
        missing = [c.name for c in self._schema.used if c.name not in there]
        self.extra, self.missing = [*dict.fromkeys(self.extra + extra)], [*dict.fromkeys(self.missing + missing)]
        if needed := [c.name for c in self._schema.used if c.name not in there and not c.optional]:
            hint = did_you_mean(needed[0], extra) if extra else ""
            hint = hint.partition(" Known:")[0] if hint.startswith("Did you mean") else ""
            raise ValueError(f"{_columns(needed)} missing but required by the network. {hint}".rstrip())

    def unseen(self, column: str, value: str, count: int) -> None:
        """Count the rows with a value that training has not seen."""
        found = self._unseen.setdefault(column, Counter())
        found[value if value in found or len(found) < DIFFERENT else OTHERS] += count

    def notes(self) -> tuple[str, ...]:
        """Return the notes on all rows so far."""
        notes = []
        if self.extra:
            notes.append(f"{_columns(self.extra)} not in the schema: ignored.")
        if self.missing:
            notes.append(f"{_columns(self.missing)} absent; the schema allows this, so values are treated as missing.")
        for column in self._schema.used:
            for counts, first, many, said in (
                (self.coerced, "1 value is", "values are", f"not {what(column)}; treated as missing"),
                (self.holes, "1 row has", "rows have", "a missing value; there were none in training"),
                (self.naive, "1 time has", "times have", f"no time zone; treated as {zone_of(column)}, as in training"),
                (self.bare, "1 number has", "numbers have", f"no unit; treated as {column.notation.unit}"),
            ):
                if count := counts[column.name]:
                    notes.append(f"{column.name!r}: {first if count == 1 else f'{count:,} {many}'} {said}.")
            if new := self._unseen.get(column.name):
                listed = ", ".join(
                    _shown(value) for value, _ in sorted(new.items(), key=lambda e: (-e[1], e[0]))[:MOST]
                )
                more = f" and {len(new) - MOST:,} more" if len(new) > MOST else ""
                rows = "1 row has a value" if new.total() == 1 else f"{new.total():,} rows have values"
                notes.append(f"{column.name!r}: {rows} not seen in training ({listed}{more}); treated as unknown.")
        return tuple(notes)


def zone_of(column: Column) -> str:
    """Return the time zone of the dates of a column, or ""."""
    return column.notation.zone or zone(column.date_format)


def what(column: Column) -> str:
    """Return a description of the values of a column, for a sentence.

    >>> what(Column("w", "number")), what(Column("d", "date", "text", date_format="%d.%m.%Y"))
    ('a number', 'a date (%d.%m.%Y)')
    """
    if column.kind == "date":
        return "a date" + (f" ({column.date_format})" if column.date_format else "")
    if column.notation.unit:
        return one(column.notation.unit)
    whole = column.kind != "number" and column.read_as == "whole"  # a category
    kinds = {"whole": "an integer" if whole else "a number", "number": "a number", "boolean": "true or false"}
    if column.kind != "number":
        return kinds.get(column.read_as, "a text")
    how = column.notation
    return "a number" if is_plain(how) else f"a number, in training written so that {example(how)}"


def nested(column: Column) -> ValueError:
    """Return the error for a column of lists or structs."""
    return ValueError(f"{column.name!r} has lists or structs: expected {what(column)}.")


def refusal(column: Column, row: Any, value: Any, count: int, so_far: str = "in total") -> str:
    """Return the start of a sentence on values of another type, of which one is in a row."""
    rows = counted(count)
    return f"{column.name!r} is {what(column)}, but row {row} has {_shown(value)} ({rows} {so_far})"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def of_other_zone(column: Column, own: str) -> ValueError:
    """Return the error for times with a time zone, where training had none."""
    return ValueError(
        f"{column.name!r} has times with the time zone {own}, but those of training had none: convert them to "
        "local times without a zone, as in training."
    )


def _columns(names: list[str]) -> str:
    listed = ", ".join(map(repr, names[:MOST])) + (f" and {len(names) - MOST:,} more" if len(names) > MOST else "")
    return f"The column {listed} is" if len(names) == 1 else f"The columns {listed} are"
