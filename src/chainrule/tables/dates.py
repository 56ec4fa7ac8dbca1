"""Texts that are dates: in which format, and where that cannot be known for sure. Polars reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from chainrule._internal.extras import require

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

YEAR = r"(?:1[5-9]|2[0-4])\d\d"  # where nothing else tells a date from other digits
DAYS = {
    "%Y-%m-%d": r"^\d{4}-\d{1,2}-\d{1,2}(?:\D|$)",
    "%Y/%m/%d": r"^\d{4}/\d{1,2}/\d{1,2}(?:\D|$)",
    "%Y.%m.%d": r"^\d{4}\.\d{1,2}\.\d{1,2}(?:\D|$)",
    "%d/%m/%Y": r"^\d{1,2}/\d{1,2}/\d{4}(?:\D|$)",
    "%m/%d/%Y": r"^\d{1,2}/\d{1,2}/\d{4}(?:\D|$)",
    "%d.%m.%Y": r"^\d{1,2}\.\d{1,2}\.\d{4}(?:\D|$)",
    "%d-%m-%Y": r"^\d{1,2}-\d{1,2}-\d{4}(?:\D|$)",
    "%m-%d-%Y": r"^\d{1,2}-\d{1,2}-\d{4}(?:\D|$)",
    "%d %B %Y": r"^\d{1,2} +\p{L}{3,9} +\d{4}(?:\D|$)",
    "%d-%b-%Y": r"^\d{1,2}-\p{L}{3,9}-\d{4}(?:\D|$)",
    "%d/%b/%Y": r"^\d{1,2}/\p{L}{3,9}/\d{4}(?:\D|$)",
    "%B %d, %Y": r"^\p{L}{3,9} +\d{1,2}, *\d{4}(?:\D|$)",
    "%B %d %Y": r"^\p{L}{3,9} +\d{1,2} +\d{4}(?:\D|$)",
    "%a, %d %b %Y": r"^\p{L}{3,9}, *\d{1,2} +\p{L}{3,9} +\d{4}(?:\D|$)",
    "%A, %B %d, %Y": r"^\p{L}{3,9}, *\p{L}{3,9} +\d{1,2}, *\d{4}(?:\D|$)",
    "%a %b %d %H:%M:%S %Y": r"^\p{L}{3} \p{L}{3} +\d{1,2} \d\d:\d\d:\d\d \d{4}$",
    "%a %b %d %H:%M:%S %z %Y": r"^\p{L}{3} \p{L}{3} +\d{1,2} \d\d:\d\d:\d\d \S+ \d{4}$",
    "%Y%m%d": rf"^{YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{{4}}(?:\d\d)?)?(?:[-+ ,TZUG].*)?$",
    "%Y-%m": rf"^{YEAR}-(?:0[1-9]|1[0-2])$",
    "%Y/%m": rf"^{YEAR}/(?:0[1-9]|1[0-2])$",
    "%m/%Y": rf"^(?:0?[1-9]|1[0-2])/{YEAR}$",
    "%m-%Y": rf"^(?:0?[1-9]|1[0-2])-{YEAR}$",
    "%B %Y": rf"^\p{{L}}{{3,9}} +{YEAR}$",
    "%b-%Y": rf"^\p{{L}}{{3,9}}-{YEAR}$",
    "%d/%m/%y": r"^\d{1,2}/\d{1,2}/\d\d(?:\D|$)",
    "%m/%d/%y": r"^\d{1,2}/\d{1,2}/\d\d(?:\D|$)",
    "%d.%m.%y": r"^\d{1,2}\.\d{1,2}\.\d\d(?:\D|$)",
    "%d-%m-%y": r"^\d{1,2}-\d{1,2}-\d\d(?:\D|$)",
    "%m-%d-%y": r"^\d{1,2}-\d{1,2}-\d\d(?:\D|$)",
    "%d-%b-%y": r"^\d{1,2}-\p{L}{3,9}-\d\d(?:\D|$)",
    "%d %b %y": r"^\d{1,2} +\p{L}{3,9} +\d\d(?:\D|$)",
    "%b-%y": r"^\p{L}{3}-\d\d$",
}
"""Formats of days, the likeliest first, and what texts in them look like."""
TIMES = {
    "": "",
    " %H:%M:%S": r"\d +\d{1,2}:\d\d:\d\d",
    "T%H:%M:%S": r"\dT\d{1,2}:\d\d:\d\d",
    " %H:%M:%S%.f": r"\d +\d{1,2}:\d\d:\d\d\.\d",
    "T%H:%M:%S%.f": r"\dT\d{1,2}:\d\d:\d\d\.\d",
    " %H:%M:%S,%3f": r"\d +\d{1,2}:\d\d:\d\d,\d\d\d",
    " %H:%M": r"\d +\d{1,2}:\d\d(?:[^\d:]|$)",
    "T%H:%M": r"\dT\d{1,2}:\d\d(?:[^\d:]|$)",
    " %I:%M %p": r"(?i)\d +\d{1,2}:\d\d *[ap]m",
    " %I:%M:%S %p": r"(?i)\d +\d{1,2}:\d\d:\d\d *[ap]m",
    ", %H:%M:%S": r"\d, *\d{1,2}:\d\d:\d\d",
    ", %H:%M": r"\d, *\d{1,2}:\d\d(?:[^\d:]|$)",
    ", %I:%M:%S %p": r"(?i)\d, *\d{1,2}:\d\d:\d\d *[ap]m",
    ", %I:%M %p": r"(?i)\d, *\d{1,2}:\d\d *[ap]m",
    ":%H:%M:%S": r"\d{4}:\d\d:\d\d:\d\d",
    "T%H%M%S": r"^\d{8}T\d{6}",
    "%H%M%S": r"^\d{14}",
    "%H%M": r"^\d{12}(?:\D|$)",
}
ZONES = {"": "", "%z": r"(?:[\d ]|[AaPp][Mm])(?:Z|UTC|GMT|[-+]\d\d(?::?\d\d)?)$"}
NAMES_OF_UTC = r"[ ]*(?:Z|UTC|GMT)$"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_CENTURY = r"(?:19|20)"
LOOKS = r"(?i)^\W*(?:" + "|".join([
    rf"{_CENTURY}\d\d[-/._ ]?(?:[a-z]{{1,9}}|\d)[-/._ ]?\d{{0,2}}(?:\D|$)",  # 2022-W05
    rf"{_CENTURY}\d{{6}}\D",
    rf"\d{{1,2}}(?:st|nd|rd|th)?[-/._ ]+[a-z0-9]{{1,9}}[-/._, ]+{_CENTURY}\d\d(?:\D|$)",  # 1st May 2022
    rf"[a-z]{{3,9}}[. ]+\d{{1,2}}(?:st|nd|rd|th)?[, ]+{_CENTURY}\d\d(?:\D|$)",
    rf"\d{{1,2}}[-/. ]?{_MONTH}[-/. ]?\d{{2,4}}(?:\D|$)", rf"{_MONTH}[-/. ]+\d{{1,4}}$",
    rf"q[1-4][-/ ]*{_CENTURY}\d\d", r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[, ].*\d{1,2}",
    r"\d{1,2}:\d\d(?:\D|$)", r"\d{1,2}h\d\d$", r"\d{1,2} ?[ap]m$",
]) + ")"  # fmt: skip
SEPARATOR = " or "  # between the formats of one column
MOST = 1000  # values that are looked at first
ENOUGH = 0.95  # of the values must be dates


class Dates(NamedTuple):
    """The formats of a column, the likeliest first; ``other``: one that fits every value as well; ``unread`` values."""

    formats: tuple[str, ...]
    other: str | None
    unread: int


def find(values: pl.Series, enough: float = ENOUGH) -> Dates | None:
    """Return how texts are dates, or None if they are not, or fewer than ``enough`` of them.

    >>> import polars as pl
    >>> find(pl.Series(["31.12.2024", "01.02.2025"])).formats
    ('%d.%m.%Y',)
    >>> find(pl.Series(["01/02/2025", "03/04/2025"])).other
    '%m/%d/%Y'
    """
    values = values.drop_nulls()
    able = _candidates(values.head(MOST), enough)
    first = values.head(MOST)
    counts = {fmt: len(first) - parse(first, fmt).null_count() for fmt in able}
    able = sorted((fmt for fmt in able if counts[fmt]), key=lambda fmt: -counts[fmt])
    if not able:
        return None
    whole = next((fmt for fmt in able if counts[fmt] == len(first) and not parse(values, fmt).null_count()), None)
    if whole is not None:
        return Dates((whole,), swapped(values, whole), 0)
    chosen: list[str] = []
    read = parse(values, able[0])
    for fmt in able:
        more = read.fill_null(parse(values, fmt)) if chosen else read
        if not chosen or more.null_count() < read.null_count():
            chosen.append(fmt)
            read = more
    unread = read.null_count()
    return Dates(tuple(chosen), None, unread) if unread <= (1 - enough) * len(values) else None


def _candidates(first: pl.Series, enough: float) -> list[str]:
    """Return the formats that some of the texts look like, if ``enough`` of them look like a date."""
    seen = {fmt: first.str.contains(look) for fmt, look in DAYS.items()} if len(first) else {}
    for long in (True, False):  # of the year 20 AD nobody has a table
        fit = [fmt for fmt, found in seen.items() if ("%Y" in fmt) == long and found.any()]
        share = sum(_together([seen[fmt] for fmt in fit])) / len(first) if fit else 0.0
        if share >= enough:
            break
    else:
        return []
    times = [fmt for fmt, look in TIMES.items() if not look or first.str.contains(look).any()]
    zones = [fmt for fmt, look in ZONES.items() if not look or (first.str.contains(look).any() and len(times) > 1)]
    made = [
        day + time + zone
        for day in fit
        for time in ("",) * ("%H" in day) or times
        for zone in zones
        if time or not zone
    ]
    return sorted(made, key=lambda fmt: "%I" in fmt and fmt.startswith("%d"))  # who writes AM puts the month first


def _together(masks: list[pl.Series]) -> pl.Series:
    found = masks[0]
    for mask in masks[1:]:
        found = found | mask
    return found


def looks(values: pl.Series) -> float:
    """Return the share of texts that look like dates or times, whether or not a format fits them.

    >>> import polars as pl
    >>> looks(pl.Series(["2022-W05", "2022-W06", "red", "A-7"]))
    0.5
    """
    share: Any = values.drop_nulls().head(MOST).str.contains(LOOKS).mean()
    return float(share or 0.0)


def parse(values: pl.Series, formats: str) -> pl.Series:
    """Return texts as dates with their time of day; null where none of the formats fits."""
    polars = require("polars", "tables")
    made = expression(polars.col("x"), formats, values.dtype)
    try:
        found: pl.Series = values.to_frame("x").select(made.alias("x")).to_series()
    except polars.exceptions.PolarsError as error:
        why = str(error).strip().partition("\n")[0].rstrip(".")
        raise ValueError(f"{formats!r} is not a format by which dates can be read: {why}.") from None
    return found


def expression(values: pl.Expr, formats: str, dtype: Any = None) -> pl.Expr:
    """Return the expression that reads texts, or whole numbers, as dates: of a time zone, in UTC."""
    polars = require("polars", "tables")
    if dtype is not None and dtype.is_float():  # 20220101.0
        values = values.fill_nan(None).cast(polars.Int64)
    texts = values.cast(polars.String)
    return polars.coalesce([_read(texts, fmt) for fmt in formats.split(SEPARATOR)])


def _read(texts: pl.Expr, fmt: str) -> pl.Expr:
    if "%z" in fmt:
        texts, fmt = texts.str.replace(NAMES_OF_UTC, "+0000"), fmt.replace("%z", "%#z")  # which reads +09, too
    read = texts.str.to_datetime(fmt, strict=False, time_unit="us")
    return read.dt.replace_time_zone(None) if _has_offset(fmt) else read


def code(name: str, formats: str, dtype: Any = None) -> str:
    """Return the same expression as Python."""
    whole = ".fill_nan(None).cast(pl.Int64)" if dtype is not None and dtype.is_float() else ""
    parts = []
    for fmt in formats.split(SEPARATOR):
        replaced = f'.str.replace({NAMES_OF_UTC!r}, "+0000")' if "%z" in fmt else ""
        read = f'.str.to_datetime({fmt.replace("%z", "%#z")!r}, strict=False, time_unit="us")'
        zone = ".dt.replace_time_zone(None)" if _has_offset(fmt) else ""
        parts.append(f"pl.col({name!r}){whole}.cast(pl.String){replaced}{read}{zone}")
    return parts[0] if len(parts) == 1 else f"pl.coalesce({', '.join(parts)})"


def _has_offset(fmt: str) -> bool:
    return re.search(r"%(?:[#:]?z|\+)", fmt) is not None


def zone(formats: str | None) -> str:
    """Return "UTC" where texts in a format tell their time zone, else "".

    >>> zone("%Y-%m-%dT%H:%M:%S%z"), zone("%Y-%m-%d %H:%M")
    ('UTC', '')
    """
    told = [_has_offset(fmt) or fmt.endswith(("Z", " UTC", " GMT")) for fmt in (formats or "").split(SEPARATOR)]
    return "UTC" if any(told) else ""


def clock(values: pl.Expr, dtype: Any, zone: str) -> pl.Expr:
    """Return dates of a table as a clock in ``zone`` shows them; those without a zone as they stand."""
    polars = require("polars", "tables")
    if zone and getattr(dtype, "time_zone", None):
        values = values.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return values.cast(polars.Datetime("us"))


def clock_code(dtype: Any, zone: str) -> str:
    """Return the same as Python, for a pl.col(NAMES)."""
    shown = f".dt.convert_time_zone({zone!r}).dt.replace_time_zone(None)"
    return f'pl.col(NAMES){shown if zone and getattr(dtype, "time_zone", None) else ""}.cast(pl.Datetime("us"))'


def has_time(formats: str) -> bool:
    """Say whether a format has a time of day.

    >>> has_time("%Y-%m-%d %H:%M"), has_time("%Y-%m-%d")
    (True, False)
    """
    return any(part in formats for part in ("%H", "%I", "%T", "%R", "%c", "%+", "%s"))


def swapped(values: pl.Series, fmt: str) -> str | None:
    """Return the format in which day and month have changed places, if every value fits it as well.

    >>> import polars as pl
    >>> swapped(pl.Series(["01/02/2025"]), "%d/%m/%Y"), swapped(pl.Series(["31/12/2024"]), "%d/%m/%Y")
    ('%m/%d/%Y', None)
    """
    found = re.fullmatch(r"%([dm])([/-])%([dm])(.*)", fmt)
    if found is None:
        return None
    other = f"%{found[3]}{found[2]}%{found[1]}{found[4]}"
    return other if parse(values, other).null_count() == parse(values, fmt).null_count() else None
