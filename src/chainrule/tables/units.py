"""Units of amounts, and their conversion factors."""

from __future__ import annotations

from collections.abc import Mapping

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
"""Units that can be converted to each other."""
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
CURRENCY = rf"(?:\p{{Lu}}{{0,2}}\p{{Sc}}|(?i:{'|'.join(sorted(CURRENCIES))}))"
AMOUNT = (
    rf"^([-+\u2212]?)\s*({CURRENCY}?)\s*({NUMBER})\s*"
    r"((?:[\p{L}\p{Sc}\u00b5\u00b0%][\p{L}\p{Sc}/\u00b2\u00b3.\u00b7 -]{0,19}[23]?)?)$"
)  # sign, currency, number, unit
LOSS = (
    rf"^(?:\(\s*({CURRENCY}\s*{NUMBER}\s*\p{{L}}{{0,8}}|{NUMBER}\s*\p{{L}}{{0,8}}\s*{CURRENCY})\s*\)"
    rf"|({CURRENCY})\s*\(\s*({NUMBER})\s*\)|\(\s*({NUMBER})\s*\)\s*({CURRENCY}))$"
)  # money in parentheses, as accountants write what is negative
CLOCK = r"^(?:([-+]?\d+) days?(?:,? *|$))?(?:([-+]?)(\d{1,4}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?)?$"
PARTS = (
    r"(?i)^([-+]?)P?(?:([\d.]+) *w(?:eeks?)?)?,? *(?:([\d.]+) *d(?:ays?)?)?,? *T?(?:([\d.]+) *h(?:(?:ou)?rs?)?)?,? *"
    r"(?:([\d.]+) *m(?:in(?:ute)?s?)?)?,? *(?:([\d.]+) *s(?:ec(?:ond)?s?)?)?$"
)  # a duration: 1h 30m, or PT1H30M
CLOCKS = {
    "h:m": "time or duration (hours:minutes)", "m:s": "duration (minutes:seconds)",
    "%I:%M %p": "time of day", "%I:%M:%S %p": "time of day", "1h 30m": "duration",
}  # fmt: skip
"""Forms of times and durations, which are converted to seconds."""


def base(unit: str) -> str:
    """Return the currency in a unit such as "EURk"; other units are returned unchanged."""
    for magnitude in sorted(MAGNITUDES, key=len, reverse=True):
        for rest in (unit.removesuffix(magnitude), unit.removeprefix(magnitude)):
            if rest != unit and is_currency(rest):
                return rest
    return unit


def is_currency(unit: str) -> bool:
    """Return whether a unit is a currency code or sign."""
    return unit.upper() in CURRENCIES or any(c in unit for c in "$€£¥₹₽₩₺₪₫฿₴")


def is_known(unit: str) -> bool:
    """Return whether a unit is in one of the tables here, or a currency."""
    return is_currency(unit) or unit in MAGNITUDES or any(unit in scale for scale in SCALES)


def factors(unit: str) -> dict[str, float]:
    """Return the units that convert to a unit, with their factors; "" is the unit itself.

    >>> factors("kg")["g"], factors("EUR")["kEUR"], factors("K")["M"]
    (0.001, 1000.0, 1000000.0)
    """
    if is_currency(unit):
        names = {unit, unit.lower(), *{"EUR": ("€",), "GBP": ("£",), "€": ("EUR",), "£": ("GBP",)}.get(unit, ())}
        large = {sign: f for m, f in MAGNITUDES.items() for n in names for sign in (n + m, m + n)}
        return {**large, **MAGNITUDES, **dict.fromkeys(names, 1.0), "": 1.0}
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


def one(unit: str) -> str:
    """Return a description of one value of a column.

    >>> one("kg"), one("h:m"), one("K")
    ('an amount in kg', 'a time or duration (hours:minutes)', 'a number that may end in K')
    """
    if unit in MAGNITUDES and not any(unit in scale for scale in SCALES):
        return f"a number that may end in {unit}"
    return f"a {CLOCKS[unit]}" if unit in CLOCKS else f"an amount in {unit}"
