"""Amounts with a unit, times of day and durations in texts, and their conversion to numbers."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, NamedTuple

from chainrule.tables import notation
from chainrule.tables._polars import pl
from chainrule.tables.formats import LONGEST, Notation
from chainrule.tables.units import AMOUNT, CLOCK, CLOCKS, LOSS, MAGNITUDES, PARTS, base, factors, is_known

ENOUGH = 0.95  # share of the values that must be read
MOST = 1000  # values examined first
MOST_UNITS = 30  # distinct units in a column
LETTERS = 2  # after distinct digits: 123A is a code
NOON = r"(?i)^\d{1,2}:\d\d(:\d\d)? *[ap]m$"
FORMS = {"%I:%M %p": NOON, "h:m": CLOCK}
TOLD = {"%H:%M": "h:m", "%H:%M:%S": "h:m", "%M:%S": "m:s", "%I:%M %p": "%I:%M %p", "%I:%M:%S %p": "%I:%M:%S %p"}
"""Formats of ``--date`` without a day, and their names here."""


class Affixes(NamedTuple):
    """The number of an amount, as a text, and its currency or unit, without spaces."""

    number: pl.Expr
    unit: pl.Expr


def find(values: pl.Series, enough: float = ENOUGH, decimal: str = "") -> Notation | None:
    """Return the notation of amounts, times or durations; None if less than the share ``enough`` can be read.

    ``decimal`` is the decimal mark of the file, "." or ",", if it is known.

    >>> import polars as pl
    >>> find(pl.Series(["12.5 kg", "800 g", "7 kg"])).unit, find(pl.Series(["14:35", "9:05"])).unit
    ('kg', 'h:m')
    >>> find(pl.Series(["12a", "14b", "3"])), find(pl.Series(["EUR 5", "USD 6"]))
    (None, None)
    >>> read(pl.Series(["EUR 7", "(EUR 5)"]), Notation(unit="EUR")).to_list()
    [7.0, -5.0]
    """
    values = values.drop_nulls()
    if not _fit(values.head(MOST), r"\d", enough):
        return None
    first = values.head(MOST)
    clocks = first.str.contains(":").any()
    unit = next((u for u, form in FORMS.items() if clocks and _fit(first, form, enough)), None)
    amounts = _amounts(values, enough, decimal) if unit is None else None
    found = amounts or Notation(unit="1h 30m" if unit is None else _clock(values, unit))
    return found if read(values, found).null_count() <= (1 - enough) * len(values) else None


def _fit(values: pl.Series, pattern: str, enough: float) -> bool:
    share: Any = values.str.contains(pattern).mean()
    return share is not None and share >= enough


def _clock(values: pl.Series, unit: str) -> str:
    """Return the form of times with a colon: minutes and seconds if the first of two numbers exceeds 23."""
    if unit != "h:m":
        return "%I:%M:%S %p" if values.str.contains(r":\d\d:").any() else unit
    two = values.filter(values.str.contains(r"^\d+:\d\d$"))
    large = two.str.extract(r"^(\d+)").cast(pl.Int64) > 23
    return "m:s" if len(two) < len(values) and bool(large.any()) else unit


def unclear(values: pl.Series, unit: str) -> bool:
    """Return whether a column has both 8:30 and 1:02:45, which makes the former ambiguous."""
    two, three = (values.str.contains(pattern).any() for pattern in (r"^\d+:\d\d$", r"^\d+:\d\d:\d\d"))
    return unit in ("h:m", "m:s") and bool(two and three)


def _amounts(values: pl.Series, enough: float, decimal: str) -> Notation | None:
    """Return the notation of amounts, with the most common unit that the others convert to."""
    first = _split(values.head(MOST))["u"]
    if first.null_count() > (1 - enough) * len(first):
        return None
    split = _split(values).drop_nulls()
    counts = split["u"].value_counts(sort=True, name="count").filter(pl.col("u") != "")
    if counts.height > MOST_UNITS:
        return None
    for given in counts.sort(["count", "u"], descending=[True, False])["u"]:
        unit = base(given)
        known = factors(unit)
        readable = split.filter(pl.col("u").is_in(list(known)))
        if readable.height < enough * len(values) or not _is_unit(unit, readable):
            continue
        how = notation.find(readable["n"], decimal)
        if how is not None:
            return replace(how, unit=unit)
    return None


def _is_unit(unit: str, rows: pl.DataFrame) -> bool:
    """Return whether a name is a unit, and not part of a code: if unknown, nearly all values must have it."""
    if is_known(unit):
        return True
    numbers = rows["n"]
    own = numbers.n_unique() == len(numbers) and numbers.str.contains(r"^\d+$").all()
    codes = (own and len(unit) <= LETTERS) or bool(numbers.str.contains(r"^0\d").any())
    return not codes and bool((rows["u"] != "").sum() >= ENOUGH * rows.height) and len(unit) < LONGEST


def _affixes(values: pl.Expr) -> Affixes:
    parts = values.str.strip_chars().str.replace(LOSS, "-$1$2$3$4$5").str.extract_groups(AMOUNT)
    sign, currency, number, unit = (parts.struct[i] for i in range(4))
    unit_alone = (currency + unit).str.replace_all(r"[\s]|\.$", "")
    return Affixes(sign + number, unit_alone)


def _split(values: pl.Series) -> pl.DataFrame:
    """Return the numbers "n" and the units "u" of amounts, as texts; null for other texts."""
    number, unit = _affixes(pl.col("x"))
    return values.alias("x").to_frame().select(number.alias("n"), unit.alias("u"))


def expression(values: pl.Expr, how: Notation) -> pl.Expr:
    """Return the expression that converts texts to numbers, or to seconds; null for texts that do not fit."""
    if not how.unit:
        return notation.expression(values, how)
    values = values.cast(pl.String)  # a test file may hold plain numbers
    if how.unit.startswith("%I"):
        texts = values.str.strip_chars()
        times = [texts.str.to_time(fmt, strict=False) for fmt in ("%I:%M %p", "%I:%M:%S %p")]
        return pl.coalesce(times).cast(pl.Int64).cast(pl.Float64) / 1e9
    if how.unit in CLOCKS:
        return _seconds(values, how.unit)
    number, unit = _affixes(values)
    plain = notation.expression(number, replace(how, unit=""))
    return plain * unit.replace_strict(factors(how.unit), default=None, return_dtype=pl.Float64)


def code(name: str, how: Notation) -> str:
    """Return the same expression as Python code."""
    arguments = ", ".join(f"{key}={value!r}" for key, value in asdict(how).items() if value)
    return f"quantities.expression(pl.col({name!r}), quantities.Notation({arguments})).alias({name!r})"


def _seconds(values: pl.Expr, unit: str) -> pl.Expr:
    """Return durations in seconds, adding up the parts given."""
    texts = values.str.strip_chars()
    there = texts.str.contains(r"\d")
    parts = texts.str.extract_groups(PARTS if unit == "1h 30m" else CLOCK)

    def number(i: int) -> pl.Expr:
        return parts.struct[i].cast(pl.Float64, strict=False).fill_null(0.0)

    if unit == "1h 30m":
        total = sum((number(i) * f for i, f in ((2, 86400.0), (3, 3600.0), (4, 60.0), (5, 1.0))), number(1) * 604800.0)
        minus = parts.struct[0] == "-"
    else:
        days, clock = number(0) * 86400.0, number(2) * 3600.0 + number(3) * 60.0 + number(4)
        if unit == "m:s":
            two = parts.struct[4].is_null()
            clock = pl.when(two).then(clock / 60.0).otherwise(clock)
        clock = pl.when(parts.struct[1] == "-").then(-clock).otherwise(clock)
        total, minus = days + clock, pl.lit(value=False)
    fits = there & texts.str.contains(PARTS if unit == "1h 30m" else CLOCK)
    return pl.when(fits).then(pl.when(minus).then(-total).otherwise(total))


def read(values: pl.Series, how: Notation) -> pl.Series:
    """Return texts as numbers; null for texts that do not fit.

    >>> import polars as pl
    >>> read(pl.Series(["1.2K", "950", "x"]), Notation(".", unit="K")).to_list()
    [1200.0, 950.0, None]
    >>> read(pl.Series(["1:02:45", "0 days 00:12:45"]), Notation(unit="h:m")).to_list()
    [3765.0, 765.0]
    """
    return values.to_frame("x").select(expression(pl.col("x"), how).alias("x"))["x"].alias(values.name)


def numbers(values: pl.Series, unit: str) -> pl.Series:
    """Return the numbers of amounts as texts, without units; an empty Series for times and durations.

    >>> import polars as pl
    >>> numbers(pl.Series(["1,5 kg", "heavy"]), "kg").to_list()
    ['1,5', None]
    """
    if unit in CLOCKS:
        return values.clear()
    return _split(values)["n"]


def bare(values: pl.Series, unit: str) -> int:
    """Return the number of values without a unit in a column of amounts."""
    if not unit or unit in CLOCKS or unit in MAGNITUDES or not len(values):
        return 0
    if values.dtype != pl.String:
        return len(values) - values.null_count()
    return int((_split(values)["u"] == "").sum())


def number_of(unit: str) -> str:
    """Return the unit of the numbers that texts are converted to.

    >>> number_of("kg"), number_of("h:m")
    ('kg', 'seconds')
    """
    return "seconds" if unit in CLOCKS else "1" if unit in MAGNITUDES else unit


def units(values: pl.Series) -> list[str]:
    """Return the known units in a column, most common first, if nearly all values are amounts.

    >>> import polars as pl
    >>> units(pl.Series(["EUR 5", "EUR 7", "USD 6", "8"]))
    ['EUR', '', 'USD']
    """
    values = values.drop_nulls()
    if not _fit(values, r"\d", ENOUGH):
        return []
    each = values.alias("x").value_counts(name="count")  # the same text is split once
    found = _split(each["x"]).with_columns(each["count"]).drop_nulls("u").group_by("u").agg(pl.col("count").sum())
    if len(values) - found["count"].sum() > (1 - ENOUGH) * len(values):
        return []
    found = found.sort(["count", "u"], descending=[True, False])
    known = [unit for unit in found["u"] if is_known(base(unit)) or not unit]
    share = found.filter(pl.col("u").is_in(known))["count"].sum() / len(values)
    return known if share >= ENOUGH else []
