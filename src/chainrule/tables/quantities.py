"""Texts that are amounts with a unit, times of day, or durations: what one is, and as which number it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from chainrule._extras import require
from chainrule.tables import notation
from chainrule.tables.formats import LONGEST, Notation

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

ENOUGH = 0.95  # of the values must be read
MOST = 1000  # values that are looked at first
MOST_UNITS = 30  # different ones in a column
LETTERS = 2  # behind digits that are different in every row: 123A is a code
SECONDS = {
    "ms": 1e-3, "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "mins": 60, "minute": 60,
    "minutes": 60, "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400,
    "days": 86400, "week": 604800, "weeks": 604800,
    "month": 2629746, "months": 2629746, "yr": 31556952, "yrs": 31556952, "year": 31556952, "years": 31556952,
}  # fmt: skip
SCALES: tuple[Mapping[str, float], ...] = (
    {"mg": 1e-6, "g": 1e-3, "kg": 1, "t": 1e3, "lb": 0.45359237, "lbs": 0.45359237, "oz": 0.028349523125},
    {"mm": 1e-3, "cm": 1e-2, "m": 1, "km": 1e3, "in": 0.0254, "ft": 0.3048, "yd": 0.9144, "mi": 1609.344},
    {"m²": 1, "m2": 1, "sqm": 1, "ha": 1e4, "km²": 1e6, "km2": 1e6, "sqft": 0.09290304},
    {"ml": 1e-3, "cl": 1e-2, "l": 1},
    {"%": 1, "\u2030": 0.1},
    {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
     "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40},
    {"mW": 1e-3, "W": 1, "kW": 1e3, "MW": 1e6, "GW": 1e9},
    {"Wh": 1, "kWh": 1e3, "MWh": 1e6, "GWh": 1e9},
    {"Hz": 1, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    SECONDS,
)  # fmt: skip
"""Units that can be converted into each other."""
MAGNITUDES = {
    "k": 1e3, "K": 1e3, "thousand": 1e3, "M": 1e6, "mn": 1e6, "mio": 1e6, "million": 1e6, "B": 1e9, "bn": 1e9,
    "billion": 1e9, "T": 1e12,
}  # fmt: skip
CURRENCIES = frozenset({
    "AED", "ARS", "AUD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP", "EUR", "GBP", "HKD", "HUF",
    "IDR", "ILS", "INR", "JPY", "KRW", "MXN", "MYR", "NGN", "NOK", "NZD", "PEN", "PHP", "PKR", "PLN", "RON", "RUB",
    "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND", "ZAR",
})  # fmt: skip
NUMBER = r"[-+\u2212]?(?:\d[\d.,'\u2019\u00a0\u2009\u202f ]*\d|\d|[.,]\d+)[.,]?"
AMOUNT = (
    rf"^([-+\u2212]?)\s*((?:\p{{Lu}}{{0,2}}\p{{Sc}}|(?i:{'|'.join(sorted(CURRENCIES))}))?)\s*({NUMBER})\s*"
    r"((?:[\p{L}\p{Sc}\u00b5\u00b0%][\p{L}\p{Sc}/\u00b2\u00b3.\u00b7 -]{0,19}[23]?)?)$"
)  # sign, currency, number, unit
CLOCK = r"^(?:([-+]?\d+) days?(?:,? *|$))?(?:([-+]?)(\d{1,4}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?)?$"
NOON = r"(?i)^\d{1,2}:\d\d(:\d\d)? *[ap]m$"
PARTS = (
    r"(?i)^([-+]?)P?(?:([\d.]+) *w(?:eeks?)?)?,? *(?:([\d.]+) *d(?:ays?)?)?,? *T?(?:([\d.]+) *h(?:(?:ou)?rs?)?)?,? *"
    r"(?:([\d.]+) *m(?:in(?:ute)?s?)?)?,? *(?:([\d.]+) *s(?:ec(?:ond)?s?)?)?$"
)  # of a duration: 1h 30m, or PT1H30M
FORMS = {"%I:%M %p": NOON, "h:m": CLOCK}
CLOCKS = {
    "h:m": "time or duration (hours:minutes)", "m:s": "duration (minutes:seconds)",
    "%I:%M %p": "time of day", "%I:%M:%S %p": "time of day", "1h 30m": "duration",
}  # fmt: skip
"""How times and durations are written: they become seconds."""
TOLD = {"%H:%M": "h:m", "%H:%M:%S": "h:m", "%M:%S": "m:s", "%I:%M %p": "%I:%M %p", "%I:%M:%S %p": "%I:%M:%S %p"}
"""Formats of ``--date`` that have no day, and what they are here."""


class Affixes(NamedTuple):
    """Of an amount: its number, as a text, and its currency or unit, without spaces."""

    number: pl.Expr
    unit: pl.Expr


def find(values: pl.Series, enough: float = ENOUGH, decimal: str = "") -> Notation | None:
    """Return how texts are amounts, times or durations; None if they are not, or fewer than ``enough`` of them.

    ``decimal`` is the decimal mark of the file, "." or ",", where it is known.

    >>> import polars as pl
    >>> find(pl.Series(["12.5 kg", "800 g", "7 kg"])).unit, find(pl.Series(["14:35", "9:05"])).unit
    ('kg', 'h:m')
    >>> find(pl.Series(["12a", "14b", "3"])), find(pl.Series(["EUR 5", "USD 6"]))
    (None, None)
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
    """Return what two numbers with a colon are: minutes and seconds, where there are more than 23 beside hours."""
    if unit != "h:m":
        return "%I:%M:%S %p" if values.str.contains(r":\d\d:").any() else unit
    two = values.filter(values.str.contains(r"^\d+:\d\d$"))
    large = two.str.extract(r"^(\d+)").cast(require("polars", "tables").Int64) > 23
    return "m:s" if len(two) < len(values) and bool(large.any()) else unit


def unclear(values: pl.Series, unit: str) -> bool:
    """Say whether a column has both 8:30 and 1:02:45, so that nobody knows what the former is."""
    two, three = (values.str.contains(pattern).any() for pattern in (r"^\d+:\d\d$", r"^\d+:\d\d:\d\d"))
    return unit in ("h:m", "m:s") and bool(two and three)


def _amounts(values: pl.Series, enough: float, decimal: str) -> Notation | None:
    """Return the unit to which all can be converted, the commonest of several, and how the numbers are written."""
    polars = require("polars", "tables")
    number, affix = (made.alias(name) for made, name in zip(_affixes(polars.col("x")), ("n", "u"), strict=True))
    first = values.head(MOST).alias("x").to_frame().select(affix)["u"]
    if first.null_count() > (1 - enough) * len(first):
        return None
    split = values.alias("x").to_frame().select(number, affix).drop_nulls()
    counts = split["u"].value_counts(sort=True, name="count").filter(polars.col("u") != "")
    if counts.height > MOST_UNITS:
        return None
    for given in counts.sort(["count", "u"], descending=[True, False])["u"]:
        unit = _base(given)
        known = factors(unit)
        readable = split.filter(polars.col("u").is_in(list(known)))
        if readable.height < enough * len(values) or not _is_unit(unit, readable):
            continue
        how = notation.find(readable["n"], decimal)
        if how is not None:
            return replace(how, unit=unit)
    return None


def _base(unit: str) -> str:
    """Return the currency of "EURk"; any other unit as it is."""
    for magnitude in sorted(MAGNITUDES, key=len, reverse=True):
        for rest in (unit.removesuffix(magnitude), unit.removeprefix(magnitude)):
            if rest != unit and _is_currency(rest):
                return rest
    return unit


def _is_currency(unit: str) -> bool:
    return unit.upper() in CURRENCIES or any(c in unit for c in "$€£¥₹₽₩₺₪₫฿₴")


def _is_unit(unit: str, rows: pl.DataFrame) -> bool:
    """Say whether it is a unit, and not a letter of codes: if nobody knows it, nearly every value must have it."""
    if _is_known(unit):
        return True
    numbers = rows["n"]
    own = numbers.n_unique() == len(numbers) and numbers.str.contains(r"^\d+$").all()
    codes = (own and len(unit) <= LETTERS) or bool(numbers.str.contains(r"^0\d").any())
    return not codes and bool((rows["u"] != "").sum() >= ENOUGH * rows.height) and len(unit) < LONGEST


def _is_known(unit: str) -> bool:
    return _is_currency(unit) or unit in MAGNITUDES or any(unit in scale for scale in SCALES)


def factors(unit: str) -> dict[str, float]:
    """Return all that may stand beside a number of a unit, and how many of the unit it is; "" is the unit itself.

    >>> factors("kg")["g"], factors("EUR")["kEUR"], factors("K")["M"]
    (0.001, 1000.0, 1000000.0)
    """
    if _is_currency(unit):
        names = {unit, unit.lower(), *{"EUR": ("€",), "GBP": ("£",), "€": ("EUR",), "£": ("GBP",)}.get(unit, ())}
        large = {sign: f for m, f in MAGNITUDES.items() for n in names for sign in (n + m, m + n)}
        return {**large, **dict.fromkeys(MAGNITUDES, 1.0), **MAGNITUDES, **dict.fromkeys(names, 1.0), "": 1.0}
    for scale in SCALES:
        if unit in scale:
            exact = {name: value / scale[unit] for name, value in scale.items()}
            spelled = {s: exact[n] for n in exact if len(n) > 1 for s in (n.upper(), n.title(), n.lower())}
            return {**spelled, **exact, "": 1.0}
    if unit in MAGNITUDES:
        return {**{name.title(): value for name, value in MAGNITUDES.items()}, **MAGNITUDES, "m": 1e6, "": 1.0}
    return {spelled: 1.0 for name in (unit, unit + "s", unit.removesuffix("s")) for spelled in (name, name.lower())} | {
        "": 1.0
    }


def _affixes(values: pl.Expr) -> Affixes:
    parts = values.str.strip_chars().str.extract_groups(AMOUNT)
    sign, currency, number, unit = (parts.struct[i] for i in range(4))
    unit_alone = (currency + unit).str.replace_all(r"[\s]|\.$", "")
    return Affixes(sign + number, unit_alone)


def expression(values: pl.Expr, how: Notation) -> pl.Expr:
    """Return the expression that reads texts as numbers, of a unit or not, or as seconds; null where they are not."""
    polars = require("polars", "tables")
    if not how.unit:
        return notation.expression(values, how)
    values = values.cast(polars.String)  # a test file may have plain numbers
    if how.unit.startswith("%I"):
        texts = values.str.strip_chars()
        times = [texts.str.to_time(fmt, strict=False) for fmt in ("%I:%M %p", "%I:%M:%S %p")]
        return polars.coalesce(times).cast(polars.Int64).cast(polars.Float64) / 1e9
    if how.unit in CLOCKS:
        return _seconds(values, how.unit)
    number, unit = _affixes(values)
    plain = notation.expression(number, replace(how, unit=""))
    return plain * unit.replace_strict(factors(how.unit), default=None, return_dtype=polars.Float64)


def code(name: str, how: Notation) -> str:
    """Return the same expression as Python."""
    arguments = ", ".join(f"{key}={value!r}" for key, value in asdict(how).items() if value)
    return f"quantities.expression(pl.col({name!r}), quantities.Notation({arguments})).alias({name!r})"


def _seconds(values: pl.Expr, unit: str) -> pl.Expr:
    """Return durations in seconds: of their parts, those that are there."""
    polars = require("polars", "tables")
    texts = values.str.strip_chars()
    there = texts.str.contains(r"\d")
    parts = texts.str.extract_groups(PARTS if unit == "1h 30m" else CLOCK)

    def number(i: int) -> pl.Expr:
        return parts.struct[i].cast(polars.Float64, strict=False).fill_null(0.0)

    if unit == "1h 30m":
        total = sum((number(i) * f for i, f in ((2, 86400.0), (3, 3600.0), (4, 60.0), (5, 1.0))), number(1) * 604800.0)
        minus = parts.struct[0] == "-"
    else:
        days, clock = number(0) * 86400.0, number(2) * 3600.0 + number(3) * 60.0 + number(4)
        if unit == "m:s":
            two = parts.struct[4].is_null()
            clock = polars.when(two).then(clock / 60.0).otherwise(clock)
        clock = polars.when(parts.struct[1] == "-").then(-clock).otherwise(clock)
        total, minus = days + clock, polars.lit(value=False)
    fits = there & texts.str.contains(PARTS if unit == "1h 30m" else CLOCK)
    return polars.when(fits).then(polars.when(minus).then(-total).otherwise(total))


def read(values: pl.Series, how: Notation) -> pl.Series:
    """Return texts as numbers; null where they do not fit.

    >>> import polars as pl
    >>> read(pl.Series(["1.2K", "950", "x"]), Notation(".", unit="K")).to_list()
    [1200.0, 950.0, None]
    >>> read(pl.Series(["1:02:45", "0 days 00:12:45"]), Notation(unit="h:m")).to_list()
    [3765.0, 765.0]
    """
    polars = require("polars", "tables")
    made = expression(polars.col("x"), how)
    found: pl.Series = values.alias("x").to_frame().select(made.alias(values.name or "x")).to_series()
    return found


def one(unit: str) -> str:
    """Return what a value of a column is, in words.

    >>> one("kg"), one("h:m"), one("K")
    ('an amount in kg', 'a time or duration (hours:minutes)', 'a number that may end in K')
    """
    if unit in MAGNITUDES and not any(unit in scale for scale in SCALES):
        return f"a number that may end in {unit}"
    return f"a {CLOCKS[unit]}" if unit in CLOCKS else f"an amount in {unit}"


def numbers(values: pl.Series, unit: str) -> pl.Series:
    """Return the numbers of amounts as they are written, without their units; of times and durations none.

    >>> import polars as pl
    >>> numbers(pl.Series(["1,5 kg", "heavy"]), "kg").to_list()
    ['1,5', None]
    """
    polars = require("polars", "tables")
    if unit in CLOCKS:
        return values.clear()
    found: pl.Series = values.alias("x").to_frame().select(_affixes(polars.col("x")).number).to_series()
    return found


def bare(values: pl.Series, unit: str) -> int:
    """Return how many values lack the unit of their column, where it is one."""
    polars = require("polars", "tables")
    if not unit or unit in CLOCKS or unit in MAGNITUDES or not len(values):
        return 0
    if values.dtype != polars.String:
        return len(values) - values.null_count()
    found = values.alias("x").to_frame().select((_affixes(polars.col("x")).unit == "").sum()).item()
    return int(found or 0)


def number_of(unit: str) -> str:
    """Return what one of the numbers is that texts of a unit become.

    >>> number_of("kg"), number_of("h:m")
    ('kg', 'seconds')
    """
    return "seconds" if unit in CLOCKS else "1" if unit in MAGNITUDES else unit


def units(values: pl.Series) -> list[str]:
    """Return the known units beside the numbers of a column, the commonest first, if nearly all values are amounts.

    >>> import polars as pl
    >>> units(pl.Series(["EUR 5", "EUR 7", "USD 6", "8"]))
    ['EUR', '', 'USD']
    """
    polars = require("polars", "tables")
    texts = values.drop_nulls().alias("x").to_frame()
    found = texts.select(_affixes(polars.col("x")).unit.alias("u"))["u"]
    if not len(found) or found.null_count() > (1 - ENOUGH) * len(found):
        return []
    counts = found.drop_nulls().value_counts(sort=True, name="count").sort(["count", "u"], descending=[True, False])
    known = [unit for unit in counts["u"] if _is_known(_base(unit)) or not unit]
    share = counts.filter(polars.col("u").is_in(known))["count"].sum() / len(found)
    return known if share >= ENOUGH else []
