"""Notes on columns: infinities, ambiguous or invalid dates, units, number formats and spellings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from chainrule.pages.formatting import rows as counted
from chainrule.tables import date_words, dates, notation, number_texts, quantities, units
from chainrule.tables._polars import pl
from chainrule.tables.kinds import MOST_OF_THEM, normal
from chainrule.tables.number_patterns import example, is_plain
from chainrule.tables.schema import Column, Schema

MAX_NOTES = 20
MAX_UNITS, MAX_SPELLINGS = 5, 5  # in a note
SPELLED = ("yes/no", "category", "many")


def find(frame: Any, schema: Schema, told: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a note for each decision about values that could have been made otherwise.

    >>> import polars as pl
    >>> column = Column("day", "date", "text", date_format="%d/%m/%Y")
    >>> find(pl.DataFrame({"day": ["01/02/2025", "03/04/2025"]}), Schema((column,), (), "regression"))[0][:64]
    "'day': read as %d/%m/%Y, but every value also matches %m/%d/%Y. "
    """
    columns = [c for c in schema.columns if c.used or c.kind == "identifier"]
    said = [s for column in columns for s in of(frame[column.name], column, schema.format.decimal, told)]
    texts = [c for c in (*schema.targets, *columns) if c.kind in SPELLED and c.read_as == "text" and c.name in frame]
    said += [sentence for column in texts for sentence in _spellings(frame[column.name], column)]
    more = [f"and {len(said) - MAX_NOTES:,} more notes on columns"] if len(said) > MAX_NOTES else []
    return (*said[:MAX_NOTES], *more)


def of(values: pl.Series, column: Column, decimal: str, told: Sequence[str] = ()) -> Iterator[str]:
    """Yield the notes on one column."""
    if column.kind == "number" and column.notation.unit:
        yield from _amounts(values, column)
        numbers = replace(column, notation=replace(column.notation, unit=""))
        yield from _on_notation(quantities.numbers(values, column.notation.unit), numbers, decimal)
    elif column.kind == "number" and column.read_as == "text":
        words = values.filter(notation.read(values, column.notation, strict=False).is_null() & values.is_not_null())
        if count := len(words):
            yield f"{column.name!r}: {counted(count, 'non-numeric value')}, such as {words[0]!r}, treated as missing."
        else:
            yield f"{column.name!r}: numbers stored as text, read as numbers."
        yield from _on_notation(values, column, decimal)
    unsure = column.kind != "date" and column.name not in told and column.read_as in ("whole", "text")
    months = unsure and _may_be_months(values)
    if column.kind in ("category", "many", "identifier", "text") and column.read_as == "text" and not months:
        yield from _nearly(values, column)
    if column.kind == "number" and column.read_as == "number":
        infinite = int(values.cast(pl.Float64).is_infinite().sum())
        if infinite:
            yield f"{column.name!r}: {counted(infinite, 'infinite value')}, ranked beyond all finite values."
    if column.kind == "date":
        yield from _on_time(values, column)
        yield from _on_format(values, column)
    elif months:
        like = str(values.drop_nulls()[0])[:6]
        yield (
            f"{column.name!r}: values such as {like} may be months. They are not read as dates, since neither the name "
            f"nor the values are conclusive; if they are months, use --date '{column.name}:{dates.MONTHS}'."
        )


def _may_be_months(values: pl.Series) -> bool:
    present = normal(values).drop_nulls()
    if not len(present) or not present.head(dates.MOST).cast(pl.String).str.contains(r"^\d{6}$").all():
        return False
    found = dates.find(present.cast(pl.String))
    return found is not None and found.formats == (dates.MONTHS,) and not found.unread


def _on_format(values: pl.Series, column: Column) -> Iterator[str]:
    if column.date_format is not None:
        formats = column.date_format.split(date_words.SEPARATOR)
        unread = dates.parse(values, column.date_format).null_count() - values.null_count()
        if len(formats) > 1:
            yield f"{column.name!r}: mixed date formats; the first match is used: {column.date_format}."
        elif other := dates.swapped(values, column.date_format):
            yield (
                f"{column.name!r}: read as {column.date_format}, but every value also matches {other}. To use that "
                f"format: --date '{column.name}:{other}'."
            )
        if unread:
            row = int((dates.parse(values, column.date_format).is_null() & values.is_not_null()).arg_true()[0])
            yield f"{column.name!r}: {counted(unread, 'invalid date')}, such as {values[row]!r}, treated as missing."


def _amounts(values: pl.Series, column: Column) -> Iterator[str]:
    """Yield notes on the amounts or durations of a column, and on their conversion."""
    unit, present = column.notation.unit, values.drop_nulls()
    marked = present.filter(present.str.contains(r"[^\d.,\s+-]"))
    shown = (marked if len(marked) else present)[0]
    if unit in units.CLOCKS:
        yield f"{column.name!r}: values such as {shown!r}, read as {units.one(unit)}, in seconds."
        if quantities.unclear(present, unit):
            other, what = ("%M:%S", "minutes and seconds") if unit == "h:m" else ("%H:%M", "hours and minutes")
            yield (
                f"{column.name!r}: values with one colon and with two. If the former are {what}, use --date "
                f"'{column.name}:{other}'."
            )
    else:
        yield f"{column.name!r}: values such as {shown!r}, read as {units.one(unit)}."
    others = [other for other in quantities.units(present) if other not in ("", unit)]
    if others and unit not in (*units.CLOCKS, *units.MAGNITUDES):
        yield f"{column.name!r}: several units; {', '.join(others[:MAX_UNITS])} converted to {unit}."
    if count := quantities.bare(present, unit):
        yield f"{column.name!r}: {counted(count, 'value')} without a unit, treated as {unit}."
    wrong = quantities.read(present, column.notation).is_null()
    if count := int(wrong.sum()):
        like = present.filter(wrong)[0]
        yield f"{column.name!r}: {counted(count, 'value')} of another form, such as {like!r}, treated as missing."


def _on_time(values: pl.Series, column: Column) -> Iterator[str]:
    zone = column.notation.zone
    if column.read_as == "whole" or column.date_format == dates.MONTHS:
        yield (
            f"{column.name!r}: integers such as {normal(values).drop_nulls()[0]}, read as dates "
            f"({column.date_format}). If they are numbers, use --numeric {column.name!r}."
        )
    if column.date_format is not None:
        timed = dates.has_time(column.date_format)
    else:
        timed = column.read_as == "time" and bool((values.dt.time() != dt.time()).any())
    if zone:
        yield f"{column.name!r}: times with a time zone, converted to {zone}."
    elif timed:
        yield f"{column.name!r}: times without a time zone, used as they are."


def _on_notation(values: pl.Series, column: Column, decimal: str) -> Iterator[str]:
    how = column.notation
    if not is_plain(how):
        yield f"{column.name!r}: numbers are written so that {example(how)}."
    texts = values.drop_nulls()
    texts = texts.filter(texts.str.contains("[0-9]"))
    if not decimal and notation.is_ambiguous(texts):
        yield notation.unsure(texts.filter(texts.str.contains(notation.AMBIGUOUS))[0], how.decimal, repr(column.name))


def _spellings(values: pl.Series, column: Column) -> Iterator[str]:
    """Yield a note on values that differ only in capitals or spaces."""
    alike: dict[str, list[str]] = {}
    for value in values.drop_nulls().unique().sort():
        alike.setdefault(" ".join(value.split()).casefold(), []).append(value)
    several = [found for found in alike.values() if len(found) > 1]
    if several:
        listed = ", ".join(map(repr, several[0][:MAX_SPELLINGS]))
        more = f" (and {len(several) - 1:,} more)" if len(several) > 1 else ""
        yield (
            f"{column.name!r}: values that differ only in capitals or spaces: {listed}{more}. Each counts as a "
            "category: use one spelling if they mean the same."
        )


def _nearly(values: pl.Series, column: Column) -> Iterator[str]:
    """Yield a note on text that, except for a few words, would be numbers or dates."""
    found = number_texts.find(values, MOST_OF_THEM)
    if found is not None:
        read, what = notation.read(values, found.notation, strict=False), "number"
        option = f"--numeric {column.name!r}"
    elif (dated := dates.find(values, MOST_OF_THEM)) is not None:
        read, what = dates.parse(values, date_words.SEPARATOR.join(dated.formats)), "date"
        option = f"--date {column.name!r}"
    else:
        yield from _unread(values, column)
        return
    words = values.filter(read.is_null() & values.is_not_null())
    yield (
        f"{column.name!r}: read as text because of {counted(len(words), 'value')}, such as {words[0]!r}, not read as a "
        f"{what}. If these are missing values, use {option}."
    )


def _unread(values: pl.Series, column: Column) -> Iterator[str]:
    """Yield a note on text that looks like dates, times or amounts but has no known format."""
    present = values.drop_nulls()
    known = [unit for unit in quantities.units(present) if unit]
    if len(known) > 1:
        yield (
            f"{column.name!r}: amounts in {', '.join(known[:MAX_UNITS])}, which cannot be converted, read as text. "
            "Convert them to one unit, or put the unit into a separate column."
        )
    elif dates.looks(present) >= MOST_OF_THEM:
        like = present.filter(present.str.contains(dates.LOOKS))[0]
        yield (
            f"{column.name!r}: values such as {like!r} look like dates or times but match no known format, so they are "
            f"read as text. If they have one format, use --date '{column.name}:FORMAT', such as %d/%m/%Y; otherwise "
            "write them as 2024-01-31."
        )
