"""The kind of a column, by its values; its name counts only where six digits may be months."""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import replace
from typing import Any

from chainrule.tables import dates, number_texts, quantities
from chainrule.tables._polars import pl
from chainrule.tables.formats import Notation
from chainrule.tables.schema import Column

FEW = 30  # values that get an input each
FEWEST = 10  # rows from which a column of all different values is an identifier
LARGEST = 1e100  # of a number; what is beyond is as good as infinite
HOLES = 100  # different words that are remembered to stand for a missing value
MOST_OF_THEM = 0.6  # of the values must be what somebody says they are
WORDS = 3.5  # on average: from there on a text is a text
YES = {"yes", "true", "y", "t", "on", "1", "1.0", "positive", "male", "ja", "oui", "si", "sí", "wahr", "vrai"}
NESTED = "lists, structures or bytes, which no input can take"
MONTH = re.compile(
    r"(?i)month|monat|maand|miesi|period|yyyy_?mm|(?:^|[^a-z])(?:ym|mois|m[eê]s|mese|date|datum|data|fecha)(?:[^a-z]|$)"
)  # in the name of a column
FEWEST_MONTHS = 6  # that differ, of two years and of 1900 to 2099, where no name says that numbers are months
MANY_VALUES = "its values all differ: an identifier"


def infer(  # noqa: PLR0911  (one for each kind)
    values: pl.Series,
    kind: str | None = None,
    date_format: str | None = None,
    how: Notation | None = None,
    decimal: str = "",
) -> Column:
    """Return what a column is, or, if ``kind`` is given ("number", "category", "date"), what it is as such.

    ``how`` is the notation by which a column of numbers was read, ``decimal`` the decimal mark of the file.

    >>> import polars as pl
    >>> infer(pl.Series("smoker", ["no", "yes", None])).kind
    'yes/no'
    >>> infer(pl.Series("row", range(50))).dropped
    'its numbers rise by one: an identifier'
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
        return replace(column, kind="constant", read_as="null", dropped="it has no values")
    if distinct == 1 and (not missing or kind is not None):
        return replace(column, kind="constant", dropped="it has one value only", categories=_texts(present))
    if kind is not None:
        return _as_told(column, present, kind, date_format, decimal)
    if read_as == "boolean":
        return _yes_no(column, present)
    if read_as in ("number", "whole"):
        return _numbers(column, present)
    if read_as in ("date", "time"):
        return _dates(column, present, None)
    return _words(column, present, decimal)


def normal(values: pl.Series) -> pl.Series:  # noqa: PLR0911  (one for each type)
    """Return a column in the few types that all else knows: whole numbers, numbers, booleans, texts, dates."""
    kind = values.dtype
    if kind.is_float() or kind.is_decimal():
        values = bounded(values.cast(pl.Float64).fill_nan(None))
        finite = values.drop_nulls()
        whole = len(finite) > 0 and bool(
            (finite.is_finite() & (finite == finite.round()) & (finite.abs() < 2**53)).all()
        )
        return values.cast(pl.Int64) if whole else values
    if kind.is_integer():
        return values.cast(pl.Float64 if kind in (pl.UInt64, getattr(pl, "Int128", None)) else pl.Int64)
    if isinstance(kind, pl.Duration):
        return _seconds(values.dt.total_microseconds(), 10**6)
    if kind == pl.Time:
        return _seconds(values.cast(pl.Int64), 10**9)
    if kind in (pl.Categorical, pl.Enum) or isinstance(kind, pl.Categorical | pl.Enum):
        return values.cast(pl.String)
    if isinstance(kind, pl.Datetime):
        return values.cast(pl.Datetime("us", kind.time_zone))
    if kind == pl.Binary:
        with contextlib.suppress(pl.exceptions.ComputeError):  # bytes that are no text stay bytes
            return values.cast(pl.String)
    return values


def _seconds(ticks: pl.Series, of_a_second: int) -> pl.Series:
    """Return whole seconds as whole numbers; where one has a fraction, all as numbers."""
    whole = ticks // of_a_second
    return whole if (whole * of_a_second == ticks).all() else ticks / of_a_second


def bounded(values: pl.Series) -> pl.Series:
    """Return numbers with those beyond 1e100 as infinities: their squares would overflow, and be no number at all."""
    beyond = values.abs() > LARGEST
    if not beyond.any():
        return values
    number = pl.col(values.name)
    large = pl.when(number.abs() > LARGEST).then(number.sign() * math.inf).otherwise(number)
    return values.to_frame().select(large.alias(values.name)).to_series()


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
            raise ValueError(f"{column.name!r} cannot be a number: its values are dates.")
        if column.read_as == "text":
            how = quantities.find(present, MOST_OF_THEM, decimal) or number_texts.written(present, decimal)
            numbers = quantities.read(present, how)
        else:
            how, numbers = column.notation, present.cast(pl.Float64, strict=False)
        if numbers.null_count() > (1 - MOST_OF_THEM) * len(present):
            bad = present.filter(numbers.is_null())[0]
            raise ValueError(f"{column.name!r} cannot be a number: most of its values are none, such as {bad!r}.")
        return _with_holes(replace(column, notation=how), present, numbers)
    if kind == "date":
        digits = column.read_as == "whole" and date_format is None and dates.find(present.cast(pl.String)) is None
        if column.read_as in ("number", "boolean") or digits:
            raise ValueError(
                f"{column.name!r} cannot be a date: its values are numbers, such as {present[0]!r}. If these are "
                f"dates, give their format: --date '{column.name}:%Y%m%d'."
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
        return replace(column, kind="identifier", dropped="its numbers rise by one: an identifier", **bounds)
    return replace(column, kind="number", **bounds)


def _digits(present: pl.Series) -> dates.Dates | None:
    """Return how whole numbers are dates, 20240131 or 202401, or None."""
    possible: Any = present.head(dates.MOST).is_between(1500_01, 2499_12_31_23_59_59).mean()
    return _without_doubt(present, dates.find(present.cast(pl.String))) if possible >= dates.ENOUGH else None


def _without_doubt(present: pl.Series, found: dates.Dates | None) -> dates.Dates | None:
    """Return how values are dates; None where it is six digits, and neither the name nor the values tell for sure."""
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
    """Return a column of texts that are numbers, plain or of a unit; None if they are not."""
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
    """Return a column whose values are numbers or dates, but for words that are null in ``read``."""
    words = present.filter(read.is_null())
    changes = _bounds(read.drop_nulls()) if column.kind == "number" else {}
    holes = _texts(words)[:HOLES]
    return replace(column, missing=column.missing + len(words), holes=holes, **changes)


def _categories(column: Column, present: pl.Series) -> Column:
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
    return replace(column, kind="yes/no", categories=(no, yes))


def _dates(column: Column, present: pl.Series, given: str | None, found: dates.Dates | None = None) -> Column:
    formats = given
    if given in quantities.TOLD and column.read_as == "text":  # a time without a day
        how = Notation(unit=quantities.TOLD[given])
        return _with_holes(replace(column, kind="number", notation=how), present, quantities.read(present, how))
    if column.read_as in ("text", "whole"):
        if given is None:
            found = found or dates.find(present.cast(pl.String), MOST_OF_THEM)
            if found is None:
                raise ValueError(
                    f"{column.name!r} cannot be a date: {present[0]!r} has none of the formats that are known. Give "
                    f"it: --date '{column.name}:%d/%m/%Y'."
                )
            formats = dates.SEPARATOR.join(found.formats)
        read = dates.parse(present, str(formats))
        if read.null_count() == len(read):
            raise ValueError(f"--date: no value of {column.name!r} has the format {given!r}.")
        column, present = _with_holes(column, present, read), read.drop_nulls()
    else:  # the file says that they are dates: there is no text to be read
        formats = None
    zone = dates.zone(formats) or getattr(present.dtype, "time_zone", None) or ""
    both: Any = (present.min(), present.max())
    low, high = ((end.replace(tzinfo=None) if zone else end).isoformat() for end in both)
    return replace(
        column, kind="date", date_format=formats, notation=replace(column.notation, zone=zone), low=low, high=high
    )


def _texts(present: pl.Series) -> tuple[str, ...]:
    """Return the values in their order, as texts."""
    return tuple(present.unique().sort().cast(pl.String))


def _bounds(numbers: pl.Series) -> dict[str, Any]:
    finite = numbers.cast(pl.Float64).filter(numbers.cast(pl.Float64).is_finite())
    low: Any = finite.min()
    return {"low": None if low is None or math.isnan(low) else low, "high": finite.max()}
