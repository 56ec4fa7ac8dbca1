"""What is to be said of columns beside their kinds: infinities, and dates that may mean another day, or none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule._extras import require
from chainrule.tables import dates, notation, number_texts
from chainrule.tables.kinds import MOST_OF_THEM
from chainrule.tables.schema import Column, Schema

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

MOST = 20  # sentences
MOST_SPELLINGS = 5
SPELLED = ("yes/no", "category", "many")


def find(frame: pl.DataFrame, schema: Schema) -> tuple[str, ...]:
    """Return a sentence for each thing that was decided about a value and could have been decided otherwise.

    >>> import polars as pl
    >>> column = Column("day", "date", "text", date_format="%d/%m/%Y")
    >>> find(pl.DataFrame({"day": ["01/02/2025", "03/04/2025"]}), Schema((column,), (), "regression"))[0][:65]
    "'day' is read as %d/%m/%Y, but every value fits %m/%d/%Y as well:"
    """
    columns = [c for c in schema.columns if c.used or c.kind == "identifier"]
    said = [s for column in columns for s in _of(frame[column.name], column, schema.format.decimal)]
    texts = [c for c in (*schema.targets, *columns) if c.kind in SPELLED and c.read_as == "text" and c.name in frame]
    said += [sentence for column in texts for sentence in _spellings(frame[column.name], column)]
    more = [f"and {len(said) - MOST:,} more remarks on columns"] if len(said) > MOST else []
    return (*said[:MOST], *more)


def _of(values: pl.Series, column: Column, decimal: str) -> Iterator[str]:
    pl = require("polars", "tables")
    if column.kind == "number" and column.read_as == "text":
        words = values.filter(notation.read(values, column.notation, strict=False).is_null() & values.is_not_null())
        if count := len(words):
            yield f"{column.name!r} has {count:,} value(s) that are no number, like {words[0]!r}: taken as missing."
        else:
            yield f"{column.name!r} has numbers that the file has as texts: read as numbers."
        yield from _on_notation(values, column, decimal)
    if column.kind in ("many", "identifier") and column.read_as == "text":
        yield from _nearly(values, column)
    if column.kind == "number" and column.read_as == "number":
        infinite = int(values.cast(pl.Float64).is_infinite().sum())
        if infinite:
            yield f"{column.name!r} has {infinite:,} infinite value(s): taken as beyond all others."
    if column.kind == "date" and column.date_format is not None:
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
        return
    words = values.filter(read.is_null() & values.is_not_null())
    yield (
        f"{column.name!r} is read as text for {len(words):,} value(s) that are no {what}, like {words[0]!r}: if they "
        f"are missing values, {option}."
    )
