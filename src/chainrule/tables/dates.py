"""Detection of date formats in texts, and of ambiguous ones; polars parses the dates."""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from chainrule.tables._polars import pl
from chainrule.tables.date_words import (
    AFTER,
    ORDINAL,
    QUARTERS,
    SEPARATOR,
    SPELLED,
    WEEKDAYS,
    ZONE_NAMES,
    codes,
    has_month_name,
    has_offset,
    is_week,
)  # fmt: skip

YEAR = r"(?:1[5-9]|2[0-4])\d\d"  # if nothing else distinguishes a date from other digits
MONTHS = "%Y%m"  # six digits, which may also be a number
DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %B %Y",
    "%d-%b-%Y", "%d/%b/%Y", "%d%b%Y", "%Y-%b-%d", "%B %d, %Y", "%B %d %Y", "%a, %d %b %Y", "%A, %B %d, %Y",
    "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%Y%m%d", "%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%B %Y", "%b-%Y",
    MONTHS, *(f"%Y{mark}Q%q" for mark in ("-", " ", "/", "")), *(f"Q%q{mark}%Y" for mark in (" ", "-", "/")),
    "%G-W%V", "%GW%V", "%G-W%V-%u", "%GW%V%u", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%d-%b-%y",
    "%d %b %y", "%b-%y",
)  # fmt: skip
"""Formats of days, weeks, months and quarters, most likely first."""
TIMES = (
    "", " %H:%M:%S", "T%H:%M:%S", " %H:%M:%S%.f", "T%H:%M:%S%.f", " %H:%M:%S,%3f", " %H:%M", "T%H:%M", " %I:%M %p",
    " %I:%M:%S %p", ", %H:%M:%S", ", %H:%M", ", %I:%M:%S %p", ", %I:%M %p", ":%H:%M:%S", "T%H%M%S", "%H%M%S", "%H%M",
)  # fmt: skip
SHAPES = {
    "%Y": "[0-9]{4}", "%y": "[0-9]{2}", "%m": "[0-9]{1,2}", "%d": "[0-9]{1,2}", "%q": "[1-4]", "%V": "[0-9]{1,2}",
    "%u": "[1-7]", "%b": "[A-Za-z]{3}", "%B": "[A-Za-z]{3}", "%a": "[A-Za-z]{3,9}", "%A": "[A-Za-z]{3,9}",
    "%H": "[0-9]{1,2}", "%I": "[0-9]{1,2}", "%M": "[0-9]{2}", "%S": "[0-9]{2}", "%.f": "[.][0-9]+", "%3f": "[0-9]{3}",
    " %p": " *[ap]m", "%z": r"\S+", ".": r"\.", " ": " +", ", ": ", *",
}  # fmt: skip
"""Patterns of the codes in a format."""
WHOLE = {
    "%Y%m%d": rf"^{YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{{4}}(?:\d\d)?)?(?:[-+ ,TZUG].*)?$",
    MONTHS: rf"^{YEAR}(?:0[1-9]|1[0-2])$", "%H%M%S": r"^\d{14}", "%H%M": r"^\d{12}(?:\D|$)",
    "T%H%M%S": r"^\d{8}T\d{6}",
}  # fmt: skip
"""Patterns of whole texts for formats of digits alone."""
ZONES = {"": "", "%z": rf"(?i:[\d ]|[ap]m)(?:Z|{'|'.join(ZONE_NAMES)}|[-+]\d\d(?::?\d\d)?)$"}
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
MOST = 1000  # values examined first
ENOUGH = 0.95  # share of the values that must be dates


class Dates(NamedTuple):
    """The formats of a column, another format that fits all its values, and the number of unread values."""

    formats: tuple[str, ...]
    other: str | None
    unread: int


def find(values: pl.Series, enough: float = ENOUGH) -> Dates | None:
    """Return the formats of dates in texts; None if less than the share ``enough`` are dates.

    >>> import polars as pl
    >>> find(pl.Series(["31.12.2024", "01.02.2025"])).formats
    ('%d.%m.%Y',)
    >>> find(pl.Series(["01/02/2025", "03/04/2025"])).other
    '%m/%d/%Y'
    """
    values = values.drop_nulls()
    first = values.head(MOST)
    able = _candidates(first, enough) if len(first) else []
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
    """Return the formats that some of the texts match, if the share ``enough`` of them match one."""
    if not _shares(first, r"\d") >= enough:
        return []
    spelled = first.to_frame("x").select(in_english(pl.col("x")))["x"]
    seen = {fmt: (spelled if re.search("%[bB]", fmt) else first).str.contains(_look(fmt)) for fmt in DAYS}
    for long in (True, False):  # no table is about the year 20 AD
        fit = [fmt for fmt in DAYS if ("%y" not in fmt) == long and seen[fmt].any()]
        share = reduce(or_, (seen[fmt] for fmt in fit)).sum() / len(first) if fit else 0.0
        if share >= enough:
            break
    else:
        return []
    times = ["", *(fmt for fmt in TIMES if fmt and first.str.contains(_look(fmt)).any())]
    zones = ["", "%z"] if len(times) > 1 and first.str.contains(ZONES["%z"]).any() else [""]
    made = [
        day + time + zone
        for day in fit
        for time in (times if "%d" in day and "%H" not in day else ("",))
        for zone in zones
        if time or not zone
    ]
    return sorted(made, key=lambda fmt: "%I" in fmt and fmt.startswith("%d"))  # AM and PM go with the month first


def _look(fmt: str) -> str:
    """Return the pattern of a format: of a day, from the start of a text; of a time, after the day."""
    if fmt in WHOLE:
        return WHOLE[fmt]
    day, exact = fmt in DAYS, fmt in DAYS and "%d" not in fmt
    month = "(?:0[1-9]|1[0-2])" if fmt.startswith("%Y") else "(?:0?[1-9]|1[0-2])"
    shapes = SHAPES | ({"%Y": YEAR, "%G": YEAR, "%m": month} if exact else {})
    pattern = re.sub(r" %p|, |%\.?\d?[a-zA-Z]|[ .]", lambda code: shapes[code[0]], fmt)
    pattern = f"(?i:{pattern})" if re.search("[TQW]|%p", fmt) else pattern
    return rf"^{pattern}{'$' if exact else '(?:[^0-9]|$)'}" if day else rf"[0-9]{pattern}(?:[^0-9:]|$)"


def looks(values: pl.Series) -> float:
    """Return the share of texts that look like dates or times, in a known format or not.

    >>> import polars as pl
    >>> looks(pl.Series(["2022-W05", "2022-W06", "red", "A-7"]))
    0.5
    """
    return _shares(values.drop_nulls().head(MOST), LOOKS)


def _shares(values: pl.Series, pattern: str) -> float:
    share: Any = values.str.contains(pattern).mean()
    return float(share or 0.0)


def parse(values: pl.Series, formats: str) -> pl.Series:
    """Return texts as datetimes; null for texts that match none of the formats."""
    made = to_dates(pl.col("x"), formats, values.dtype)
    try:
        found: pl.Series = values.to_frame("x").select(made.alias("x")).to_series()
    except pl.exceptions.PolarsError as error:
        why = str(error).strip().partition("\n")[0].rstrip(".")
        raise ValueError(f"{formats!r} is not a valid date format: {why}.") from None
    return found


def to_dates(texts: pl.Expr, formats: str, dtype: Any = None) -> pl.Expr:
    """Return the expression that converts texts or integers to datetimes, those with a time zone to UTC."""
    if dtype is not None and dtype.is_float():  # 20220101.0
        texts = texts.fill_nan(None).cast(pl.Int64)
    texts = texts.cast(pl.String)
    return pl.coalesce([_read(texts, fmt) for fmt in formats.split(SEPARATOR)])


def _read(texts: pl.Expr, fmt: str) -> pl.Expr:
    if "%z" in fmt:
        texts = texts.str.replace_many([*ZONE_NAMES], [*ZONE_NAMES.values()], leftmost=True).str.replace("Z$", "+0000")
    if has_month_name(fmt):
        texts = in_english(texts)
    if "Q%q" in fmt:
        texts = texts.str.replace_many([*QUARTERS], [*QUARTERS.values()], ascii_case_insensitive=True)
    if is_week(fmt):
        texts = texts + "-1"
    read = texts.str.to_datetime(codes(fmt), strict=False, time_unit="us")
    return read.dt.replace_time_zone(None) if has_offset(fmt) else read


def in_english(texts: pl.Expr) -> pl.Expr:
    """Return dates with month names in English, such as "3 May 2022", without weekday, ordinal and prepositions.

    >>> import polars as pl
    >>> texts = pl.DataFrame({"x": ["mardi 1er août 2023", "3. Mai 2022", "3 de mayo de 2022", "janv.-22"]})
    >>> texts.select(in_english(pl.col("x")))["x"].to_list()
    ['1 Aug 2023', '3 May 2022', '3 May 2022', 'Jan-22']
    """
    names = sorted(SPELLED, key=len, reverse=True)
    texts = texts.str.replace_many(names, [SPELLED[n] for n in names], ascii_case_insensitive=True, leftmost=True)
    return texts.str.replace(WEEKDAYS, "$1").str.replace(ORDINAL, "$1 $2").str.replace(AFTER, "$1$2$3")


def code(name: str, formats: str, dtype: Any = None) -> str:
    """Return the same expression as Python code."""
    whole = ", pl.Float64" if dtype is not None and dtype.is_float() else ""
    return f"to_dates(pl.col({name!r}), {formats!r}{whole})"


def clock(values: pl.Expr, dtype: Any, zone: str) -> pl.Expr:
    """Return dates as local times in ``zone``; dates without a zone are returned unchanged."""
    if zone and getattr(dtype, "time_zone", None):
        values = values.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return values.cast(pl.Datetime("us"))


def clock_code(dtype: Any, zone: str) -> str:
    """Return the same as Python code, for pl.col(NAMES)."""
    shown = f".dt.convert_time_zone({zone!r}).dt.replace_time_zone(None)"
    return f'pl.col(NAMES){shown if zone and getattr(dtype, "time_zone", None) else ""}.cast(pl.Datetime("us"))'


def has_time(formats: str) -> bool:
    """Return whether a format has a time of day.

    >>> has_time("%Y-%m-%d %H:%M"), has_time("%Y-%m-%d")
    (True, False)
    """
    return any(part in formats for part in ("%H", "%I", "%T", "%R", "%c", "%+", "%s"))


def swapped(values: pl.Series, fmt: str) -> str | None:
    """Return the format with day and month swapped, if every value fits it, too.

    >>> import polars as pl
    >>> swapped(pl.Series(["01/02/2025"]), "%d/%m/%Y"), swapped(pl.Series(["31/12/2024"]), "%d/%m/%Y")
    ('%m/%d/%Y', None)
    """
    found = re.fullmatch(r"%([dm])([/-])%([dm])(.*)", fmt)
    if found is None:
        return None
    other = f"%{found[3]}{found[2]}%{found[1]}{found[4]}"
    return other if parse(values, other).null_count() == parse(values, fmt).null_count() else None
