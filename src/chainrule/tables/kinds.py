"""Inference of column kinds from the values; the name counts only if six digits may be months."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import re
from dataclasses import replace
from typing import Any

from chainrule.tables import date_words, dates, number_texts, quantities
from chainrule.tables._polars import pl
from chainrule.tables.formats import INFINITE, Notation
from chainrule.tables.schema import Column

FEW = 30  # distinct values that get one input each
FEWEST = 10  # rows: with fewer, a column of distinct values is not an identifier
HOLES = 100  # distinct words for missing values that are stored
MOST_OF_THEM = 0.6  # share of the values that must fit a kind given by the user
WORDS = 3.5  # mean number of words: columns with more are text
YES = {"yes", "true", "y", "t", "on", "1", "1.0", "positive", "male", "ja", "oui", "si", "sí", "wahr", "vrai"}
NESTED = "unsupported type: lists, structs or bytes"
MONTH = re.compile(
    r"(?i)month|monat|maand|miesi|period|yyyy_?mm|(?:^|[^a-z])(?:ym|mois|m[eê]s|mese|date|datum|data|fecha)(?:[^a-z]|$)"
)  # in a column name
FEWEST_MONTHS = 6  # distinct months, of two years or more in 1900 to 2099, if the name does not say "month"
MANY_VALUES = "all values are distinct (identifier)"


def infer(  # noqa: PLR0911  (one per kind)
    values: pl.Series,
    kind: str | None = None,
    date_format: str | None = None,
    how: Notation | None = None,
    decimal: str = "",
) -> Column:
    """Return a column with its inferred kind, or with the given one ("number", "category" or "date").

    ``how`` is the notation of a column of numbers, ``decimal`` the decimal mark of the file.

    >>> import polars as pl
    >>> infer(pl.Series("smoker", ["no", "yes", None])).kind
    'yes/no'
    >>> infer(pl.Series("row", range(50))).dropped
    'values increase by one (identifier)'
    """
    values = normal(values)
    read_as = _read_as(values)
    if read_as == "nested":
        return Column(values.name, "text", "null", values.null_count(), dropped=NESTED)
    missing = values.null_count()
    present = values.drop_nulls()
    distinct = present.n_unique()
    column = Column(values.name, kind or "number", read_as, missing, distinct, notation=how or Notation())
    if not distinct:
        return replace(column, kind="constant", read_as="null", dropped="all values are missing")
    if distinct == 1 and (not missing or kind is not None):
        return replace(column, kind="constant", dropped="constant", categories=_texts(present))
    if kind is not None:
        return _as_told(column, present, kind, date_format, decimal)
    if read_as == "boolean":
        return _yes_no(column, present)
    if read_as in ("number", "whole"):
        return _numbers(column, present)
    if read_as in ("date", "time"):
        return _dates(column, present, None)
    return _words(column, present, decimal)


def normal(values: pl.Series) -> pl.Series:
    """Return a column as Int64, Float64, Boolean, String, Date or Datetime; whole floats become Int64."""
    values = plain(values)
    if not values.dtype.is_float():
        return values
    finite = values.drop_nulls().cast(pl.Float64)
    whole = len(finite) > 0 and (finite.is_finite() & (finite == finite.round()) & (finite.abs() < 2**53)).all()
    return values.cast(pl.Int64 if whole else pl.Float64)


def plain(values: pl.Series) -> pl.Series:  # noqa: PLR0911  (one per type)
    """Return a column in a plain type, or itself if it has one; NaN becomes null, numbers beyond 1e100 infinite."""
    kind = values.dtype
    if kind.is_float():
        if (values.abs() <= INFINITE).all():
            return values
        number = pl.col("x").fill_nan(None)
        finite = pl.when(number.abs() > INFINITE).then(number.sign() * math.inf).otherwise(number)  # can be squared
        return values.to_frame("x").select(finite.alias("x")).to_series().alias(values.name)
    if kind.is_decimal():
        return plain(values.cast(pl.Float64))
    if kind.is_integer():
        wide = kind in (pl.UInt64, getattr(pl, "Int128", None))
        return values if kind == pl.Int64 else values.cast(pl.Float64 if wide else pl.Int64)
    if isinstance(kind, pl.Duration):
        return _seconds(values.dt.total_microseconds(), 10**6)
    if kind == pl.Time:
        return _seconds(values.cast(pl.Int64), 10**9)
    if kind in (pl.Categorical, pl.Enum) or isinstance(kind, pl.Categorical | pl.Enum):
        return values.cast(pl.String)
    if isinstance(kind, pl.Datetime) and kind.time_unit != "us":
        return values.cast(pl.Datetime("us", kind.time_zone))
    if kind == pl.Binary:
        with contextlib.suppress(pl.exceptions.ComputeError):  # bytes that are not text stay bytes
            return values.cast(pl.String)
    return values


def _seconds(ticks: pl.Series, of_a_second: int) -> pl.Series:
    """Return seconds, as integers if all are whole."""
    whole = ticks // of_a_second
    return whole if (whole * of_a_second == ticks).all() else ticks / of_a_second


def _read_as(values: pl.Series) -> str:
    kind = values.dtype
    if kind == pl.Null:
        return "null"
    if kind.is_float():
        return "number"
    if kind.is_integer():
        return "whole"
    names = {pl.Boolean: "boolean", pl.String: "text", pl.Date: "date", pl.Datetime: "time"}
    return next((name for known, name in names.items() if kind == known), "nested")


def _as_told(column: Column, present: pl.Series, kind: str, date_format: str | None, decimal: str) -> Column:
    if kind == "number":
        if column.read_as in ("date", "time"):
            raise ValueError(f"{column.name!r} cannot be numeric: its values are dates.")
        if column.read_as == "text":
            how = quantities.find(present, MOST_OF_THEM, decimal) or number_texts.written(present, decimal)
            numbers = quantities.read(present, how)
        else:
            how, numbers = column.notation, present.cast(pl.Float64, strict=False)
        if numbers.null_count() > (1 - MOST_OF_THEM) * len(present):
            bad = present.filter(numbers.is_null())[0]
            raise ValueError(f"{column.name!r} cannot be numeric: most values are not numbers, such as {bad!r}.")
        return _with_holes(replace(column, notation=how), present, numbers)
    if kind == "date":
        digits = column.read_as == "whole" and date_format is None and dates.find(present.cast(pl.String)) is None
        if column.read_as in ("number", "boolean") or digits:
            raise ValueError(
                f"{column.name!r} cannot be a date: its values are numbers, such as {present[0]!r}. If these are "
                f"dates, specify their format: --date '{column.name}:%Y%m%d'."
            )
        return _dates(column, present, date_format)
    return _categories(column, present)


def _numbers(column: Column, present: pl.Series) -> Column:
    if column.distinct <= 2:
        return _yes_no(column, present) if column.distinct == 2 else _categories(column, present)
    if column.read_as == "whole" and (found := _digits(present)) is not None:
        return _dates(column, present, None, found)
    bounds = _bounds(present)
    counts = column.read_as == "whole" and not column.missing and column.distinct == len(present) >= FEWEST
    if counts and bounds["high"] - bounds["low"] + 1 == len(present):
        return replace(column, kind="identifier", dropped="values increase by one (identifier)", **bounds)
    return replace(column, kind="number", **bounds, typical=_middle(present, present))


def _digits(present: pl.Series) -> dates.Dates | None:
    """Return the formats of integers that are dates, as 20240131 or 202401, or None."""
    possible: Any = present.head(dates.MOST).is_between(1500_01, 2499_12_31_23_59_59).mean()
    return _without_doubt(present, dates.find(present.cast(pl.String))) if possible >= dates.ENOUGH else None


def _without_doubt(present: pl.Series, found: dates.Dates | None) -> dates.Dates | None:
    """Return the formats of dates; None for six digits if neither name nor values show that they are months."""
    if found is None or found.formats != (dates.MONTHS,) or MONTH.search(present.name):
        return found
    months = present.cast(pl.Int64, strict=False).drop_nulls().unique()
    sure = len(months) >= FEWEST_MONTHS and (months // 100).n_unique() > 1 and not found.unread
    return found if sure and months.is_between(1900_01, 2099_12).all() else None


def _words(column: Column, present: pl.Series, decimal: str) -> Column:
    found = _without_doubt(present, dates.find(present))
    if found is not None:
        return _dates(column, present, None, found)
    if column.distinct == 2:
        return _yes_no(column, present)
    return _numbers_in_texts(column, present, decimal) or _texts_or_names(column, present)


def _numbers_in_texts(column: Column, present: pl.Series, decimal: str) -> Column | None:
    """Return a column of numbers in texts, with or without a unit; None if they are not numbers."""
    if (numbers := number_texts.find(present, decimal=decimal)) is not None:
        return _with_holes(replace(column, notation=numbers.notation), present, numbers.values)
    how = quantities.find(present, decimal=decimal)
    return _with_holes(replace(column, notation=how), present, quantities.read(present, how)) if how else None


def _texts_or_names(column: Column, present: pl.Series) -> Column:
    words: Any = present.head(10_000).str.count_matches(r"\S+").mean() or 0.0
    if words >= WORDS and column.distinct > max(FEW, len(present) / 4):
        return replace(column, kind="text")
    if column.distinct == len(present) >= FEWEST:
        return replace(column, kind="identifier", dropped=MANY_VALUES)
    return _categories(column, present)


def _with_holes(column: Column, present: pl.Series, read: pl.Series) -> Column:
    """Return a column of numbers or dates whose other words, null in ``read``, are missing values."""
    words = present.filter(read.is_null())
    changes = _bounds(read.drop_nulls()) if column.kind == "number" else {}
    holes = _texts(words)[:HOLES]
    typical = _middle(present, read)
    return replace(column, missing=column.missing + len(words), holes=holes, typical=typical, **changes)


def _categories(column: Column, present: pl.Series) -> Column:
    column = replace(column, typical=_most_frequent(present))
    if column.distinct > FEW:
        return replace(column, kind="many")
    return replace(column, kind="category", categories=_texts(present))


def _yes_no(column: Column, present: pl.Series) -> Column:
    texts = _texts(present)
    if len(texts) != 2:
        return replace(column, kind="category", categories=texts)
    no, yes = texts
    if no.lower() in YES and yes.lower() not in YES:
        no, yes = yes, no
    return replace(column, kind="yes/no", categories=(no, yes), typical=_most_frequent(present))


def _dates(column: Column, present: pl.Series, given: str | None, found: dates.Dates | None = None) -> Column:
    formats = given
    if given in quantities.TOLD and column.read_as == "text":  # a time of day
        how = Notation(unit=quantities.TOLD[given])
        return _with_holes(replace(column, kind="number", notation=how), present, quantities.read(present, how))
    if column.read_as in ("text", "whole"):
        if given is None:
            found = found or dates.find(present.cast(pl.String), MOST_OF_THEM)
            if found is None:
                raise ValueError(
                    f"{column.name!r} cannot be a date: {present[0]!r} matches no known format. Specify one: "
                    f"--date '{column.name}:%d/%m/%Y'."
                )
            formats = date_words.SEPARATOR.join(found.formats)
        read = dates.parse(present, str(formats))
        if read.null_count() == len(read):
            raise ValueError(f"--date: no value of {column.name!r} matches the format {given!r}.")
        column, present = _with_holes(column, present, read), read.drop_nulls()
    else:  # the type in the file is a date: no text to parse
        column, formats = replace(column, typical=_middle(present, present)), None
    zone = date_words.zone(formats) or getattr(present.dtype, "time_zone", None) or ""
    both: Any = (present.min(), present.max())
    low, high = ((end.replace(tzinfo=None) if zone else end).isoformat() for end in both)
    return replace(
        column, kind="date", date_format=formats, notation=replace(column.notation, zone=zone), low=low, high=high
    )


def _texts(present: pl.Series) -> tuple[str, ...]:
    """Return the sorted values as strings."""
    return tuple(present.unique().sort().cast(pl.String))


def _most_frequent(present: pl.Series) -> str:
    return str(present.mode().sort().cast(pl.String)[0])


def _middle(present: pl.Series, read: pl.Series) -> float | str | None:
    """Return the value, as it stands in the table, whose number or date is the median."""
    physical = read.to_physical()
    values = present.filter(physical == physical.quantile(0.5, "nearest"))
    value = values[0] if len(values) else None
    if isinstance(value, dt.date):
        return (value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value).isoformat()
    return value if value is None or isinstance(value, str) else float(value) if math.isfinite(value) else None


def _bounds(numbers: pl.Series) -> dict[str, Any]:
    finite = numbers.cast(pl.Float64).filter(numbers.cast(pl.Float64).is_finite())
    low: Any = finite.min()
    return {"low": None if low is None or math.isnan(low) else low, "high": finite.max()}
