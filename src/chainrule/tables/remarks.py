"""What is to be said of columns beside their kinds: infinities, and dates that may mean another day, or none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chainrule._internal.extras import require
from chainrule.tables import dates, notation, number_texts, quantities, units
from chainrule.tables.kinds import MOST_OF_THEM, normal
from chainrule.tables.schema import Column, Schema

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

MOST = 20  # sentences
MOST_UNITS = 5  # in a sentence
MOST_SPELLINGS = 5
SPELLED = ("yes/no", "category", "many")


def find(frame: Any, schema: Schema, told: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a sentence for each thing that was decided about a value and could have been decided otherwise.

    >>> import polars as pl
    >>> column = Column("day", "date", "text", date_format="%d/%m/%Y")
    >>> find(pl.DataFrame({"day": ["01/02/2025", "03/04/2025"]}), Schema((column,), (), "regression"))[0][:65]
    "'day' is read as %d/%m/%Y, but every value fits %m/%d/%Y as well:"
    """
    columns = [c for c in schema.columns if c.used or c.kind == "identifier"]
    said = [s for column in columns for s in of(frame[column.name], column, schema.format.decimal, told)]
    texts = [c for c in (*schema.targets, *columns) if c.kind in SPELLED and c.read_as == "text" and c.name in frame]
    said += [sentence for column in texts for sentence in _spellings(frame[column.name], column)]
    more = [f"and {len(said) - MOST:,} more remarks on columns"] if len(said) > MOST else []
    return (*said[:MOST], *more)


def of(values: pl.Series, column: Column, decimal: str, told: Sequence[str] = ()) -> Iterator[str]:
    """Yield a sentence for each decision about one column."""
    pl = require("polars", "tables")
    if column.kind == "number" and column.notation.unit:
        yield from _amounts(values, column)
        numbers = replace(column, notation=replace(column.notation, unit=""))
        yield from _on_notation(quantities.numbers(values, column.notation.unit), numbers, decimal)
    elif column.kind == "number" and column.read_as == "text":
        words = values.filter(notation.read(values, column.notation, strict=False).is_null() & values.is_not_null())
        if count := len(words):
            yield f"{column.name!r} has {count:,} value(s) that are no number, like {words[0]!r}: taken as missing."
        else:
            yield f"{column.name!r} has numbers that the file has as texts: read as numbers."
        yield from _on_notation(values, column, decimal)
    unsure = column.kind != "date" and column.name not in told and column.read_as in ("whole", "text")
    months = unsure and _may_be_months(values)
    if column.kind in ("category", "many", "identifier", "text") and column.read_as == "text" and not months:
        yield from _nearly(values, column)
    if column.kind == "number" and column.read_as == "number":
        infinite = int(values.cast(pl.Float64).is_infinite().sum())
        if infinite:
            yield f"{column.name!r} has {infinite:,} infinite value(s): taken as beyond all others."
    if column.kind == "date":
        yield from _on_time(values, column)
        yield from _on_format(values, column)
    elif months:
        like = str(values.drop_nulls()[0])[:6]
        yield (
            f"{column.name!r} has values like {like}, which may be months: not read as dates, since neither its name "
            f"nor its values say so for sure; if they are, --date '{column.name}:{dates.MONTHS}'."
        )


def _may_be_months(values: pl.Series) -> bool:
    pl = require("polars", "tables")
    present = normal(values).drop_nulls()
    if not len(present) or not present.head(dates.MOST).cast(pl.String).str.contains(r"^\d{6}$").all():
        return False
    found = dates.find(present.cast(pl.String))
    return found is not None and found.formats == (dates.MONTHS,) and not found.unread


def _on_format(values: pl.Series, column: Column) -> Iterator[str]:
    """Say that dates could mean other days, or none."""
    if column.date_format is not None:
        formats = column.date_format.split(dates.SEPARATOR)
        unread = dates.parse(values, column.date_format).null_count() - values.null_count()
        if len(formats) > 1:
            yield f"{column.name!r} has dates in several formats, read as the first that fits: {column.date_format}."
        elif other := dates.swapped(values, column.date_format):
            yield (
                f"{column.name!r} is read as {column.date_format}, but every value fits {other} as well: if that is "
                f"meant, --date '{column.name}:{other}'."
            )
        if unread:
            row = int((dates.parse(values, column.date_format).is_null() & values.is_not_null()).arg_true()[0])
            yield f"{column.name!r} has {unread:,} value(s) that are no date, like {values[row]!r}: taken as missing."


def _amounts(values: pl.Series, column: Column) -> Iterator[str]:
    """Say what the numbers of a column are, and what was converted or left out for that."""
    unit, present = column.notation.unit, values.drop_nulls()
    marked = present.filter(present.str.contains(r"[^\d.,\s+-]"))
    shown = (marked if len(marked) else present)[0]
    if unit in quantities.CLOCKS:
        yield f"{column.name!r} has values like {shown!r}: read as {quantities.one(unit)}, in seconds."
        if quantities.unclear(present, unit):
            other, what = ("%M:%S", "minutes and seconds") if unit == "h:m" else ("%H:%M", "hours and minutes")
            yield (
                f"{column.name!r} has values with one colon and with two: if the former are {what}, "
                f"--date '{column.name}:{other}'."
            )
    else:
        yield f"{column.name!r} has values like {shown!r}: read as {quantities.one(unit)}."
    others = [other for other in quantities.units(present) if other not in ("", unit)]
    if others and unit not in (*quantities.CLOCKS, *units.MAGNITUDES):
        yield f"{column.name!r} has several units: {', '.join(others[:MOST_UNITS])} converted to {unit}."
    if count := quantities.bare(present, unit):
        yield f"{column.name!r} has {count:,} value(s) without a unit: taken as {unit}."
    wrong = quantities.read(present, column.notation).is_null()
    if count := int(wrong.sum()):
        yield (
            f"{column.name!r} has {count:,} value(s) that cannot be read so, like {present.filter(wrong)[0]!r}: taken "
            "as missing."
        )


def _on_time(values: pl.Series, column: Column) -> Iterator[str]:
    """Say in which time zone the times of a column are taken, and which whole numbers are days."""
    zone = column.notation.zone
    if column.read_as == "whole" or column.date_format == dates.MONTHS:
        yield (
            f"{column.name!r} has whole numbers like {normal(values).drop_nulls()[0]}: read as dates "
            f"({column.date_format}); if they are numbers, --numeric {column.name!r}."
        )
    if zone:
        yield f"{column.name!r} has times with a time zone: taken as a clock in {zone} shows them."
    elif column.date_format is None and column.read_as == "time":
        if (values.dt.time() != dt.time()).any():
            yield f"{column.name!r} has times without a time zone: taken as they stand."
    elif column.date_format is not None and dates.has_time(column.date_format):
        yield f"{column.name!r} has times without a time zone: taken as they stand."


def _on_notation(values: pl.Series, column: Column, decimal: str) -> Iterator[str]:
    """Say how numbers are written, and that they could be read otherwise."""
    how = column.notation
    if not notation.is_plain(how):
        yield f"{column.name!r} has numbers written so that {notation.example(how)}."
    texts = values.drop_nulls()
    texts = texts.filter(texts.str.contains("[0-9]"))
    if not decimal and notation.is_ambiguous(texts):
        yield notation.unsure(texts.filter(texts.str.contains(notation.AMBIGUOUS))[0], how.decimal, repr(column.name))


def _spellings(values: pl.Series, column: Column) -> Iterator[str]:
    """Say that values differ in nothing but capitals or spaces."""
    alike: dict[str, list[str]] = {}
    for value in values.drop_nulls().unique().sort():
        alike.setdefault(" ".join(value.split()).casefold(), []).append(value)
    several = [found for found in alike.values() if len(found) > 1]
    if several:
        listed = ", ".join(map(repr, several[0][:MOST_SPELLINGS]))
        more = f" (and {len(several) - 1:,} more)" if len(several) > 1 else ""
        yield (
            f"{column.name!r} has values that differ in capitals or spaces only: {listed}{more}. Each is taken for a "
            "value of its own: write them alike if they are one."
        )


def _nearly(values: pl.Series, column: Column) -> Iterator[str]:
    """Say that a column of texts would have been one of numbers, or of dates, if it were not for a few words."""
    found = number_texts.find(values, MOST_OF_THEM)
    if found is not None:
        read, what = notation.read(values, found.notation, strict=False), "number"
        option = f"--numeric {column.name!r}"
    elif (dated := dates.find(values, MOST_OF_THEM)) is not None:
        read, what = dates.parse(values, dates.SEPARATOR.join(dated.formats)), "date"
        option = f"--date {column.name!r}"
    else:
        yield from _unread(values, column)
        return
    words = values.filter(read.is_null() & values.is_not_null())
    yield (
        f"{column.name!r} is read as text for {len(words):,} value(s) that are no {what}, like {words[0]!r}: if they "
        f"are missing values, {option}."
    )


def _unread(values: pl.Series, column: Column) -> Iterator[str]:
    """Say that texts look like dates, times or amounts but are in no form that is known."""
    present = values.drop_nulls()
    known = [unit for unit in quantities.units(present) if unit]
    if len(known) > 1:
        yield (
            f"{column.name!r} has amounts in {', '.join(known[:MOST_UNITS])}, which cannot be converted: read as text. "
            "Convert them to one unit, or put the unit into a column of its own."
        )
    elif dates.looks(present) >= MOST_OF_THEM:
        like = present.filter(present.str.contains(dates.LOOKS))[0]
        yield (
            f"{column.name!r} looks like dates or times, such as {like!r}, but in no format that is known: read as "
            f"text. If they have one format, --date '{column.name}:FORMAT', such as %d/%m/%Y; else write them as "
            "2024-01-31."
        )
