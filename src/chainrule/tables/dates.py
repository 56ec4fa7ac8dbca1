"""Detection of date formats in texts, and of ambiguous ones; polars parses the dates."""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from chainrule.tables._polars import pl

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
OFFSETS = {
    "+0000": "UTC GMT WET", "+0100": "CET WEST MEZ", "+0200": "CEST EET MESZ", "+0300": "EEST MSK", "+0900": "JST",
    "+1000": "AEST", "+1100": "AEDT", "+1200": "NZST", "+1300": "NZDT", "-0400": "EDT", "-0500": "EST CDT",
    "-0600": "CST MDT", "-0700": "MST PDT", "-0800": "PST AKDT", "-0900": "AKST", "-1000": "HST",
}  # fmt: skip
"""Names of time zones after a time, those of North America as in RFC 2822. IST and BST are ambiguous."""
ZONE_NAMES = {name: at for at, names in OFFSETS.items() for name in sorted(names.split(), key=len, reverse=True)}
ZONES = {"": "", "%z": rf"(?i:[\d ]|[ap]m)(?:Z|{'|'.join(ZONE_NAMES)}|[-+]\d\d(?::?\d\d)?)$"}
MONTH_NAMES = {
    "Jan": "january januar jänner janvier janv enero ene gennaio gen januari janeiro stycznia styczeń sty",
    "Feb": "february februar feber février févr fevrier fév febrero febbraio februari fevereiro fev lutego luty lut",
    "Mar": "march märz mrz mär maerz mars marzo maart mrt março marco marca marzec",
    "Apr": "april avril avr abril abr aprile kwietnia kwiecień kwi",
    "May": "mai mayo maggio mag mei maio maja maj",
    "Jun": "june juni juin junio giugno giu junho czerwca czerwiec cze",
    "Jul": "july juli juillet juil julio luglio lug julho lipca lipiec lip",
    "Aug": "august août aout agosto ago augustus sierpnia sierpień sie",
    "Sep": "september sept septembre septiembre setiembre settembre set setembro września wrzesień wrz",
    "Oct": "october oktober okt octobre octubre ottobre ott outubro out października październik paź",
    "Nov": "november novembre noviembre novembro listopada listopad lis",
    "Dec": "december dezember dez décembre déc decembre diciembre dic dicembre dezembro grudnia grudzień gru",
}
"""Names and abbreviations of months in English, German, French, Spanish, Italian, Dutch, Portuguese and Polish."""
WEEKDAYS = (
    r"(?i)^(?:mon|tue|wed|thu|fri|sat|sun|die|mit|don|fre|sam|son|lun|mar|mer|jeu|ven|dim|mi[eé]|jue|vie|s[áa]b|dom|gio|"
    r"seg|ter|qua|qui|sex|maa|din|woe|vri|zat|zon|pon|wto|śro|czw|pią|sob|nie)[\p{L}-]{2,}[,.]* +(\d)"
)
_OF = "(?:de[l]?|of)"
_ENGLISH = "|".join(MONTH_NAMES)
_SPELLED = {
    spelled: short
    for short, names in MONTH_NAMES.items() for name in (*names.split(), short) for spelled in (name, name.upper())
}  # fmt: skip
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
    offset = _has_offset(fmt)
    if "%z" in fmt:
        texts = texts.str.replace_many([*ZONE_NAMES], [*ZONE_NAMES.values()], leftmost=True).str.replace("Z$", "+0000")
        fmt = fmt.replace("%z", "%#z")  # reads +09, too
    if re.search("%-?[bBh]", fmt):
        texts, fmt = in_english(texts), re.sub(rf" {_OF} ", " ", re.sub(r"\. *(?=%-?[bBh])", " ", fmt))
    if "Q%q" in fmt:  # the first month of the quarter
        quarters = {"Q1": "Q01", "Q2": "Q04", "Q3": "Q07", "Q4": "Q10"}
        texts = texts.str.replace_many([*quarters], [*quarters.values()], ascii_case_insensitive=True)
        fmt = fmt.replace("Q%q", "Q%m")
    if "%V" in fmt and "%u" not in fmt:  # the Monday of the week
        texts, fmt = texts + "-1", f"{fmt}-%u"
    read = texts.str.to_datetime(fmt, strict=False, time_unit="us")
    return read.dt.replace_time_zone(None) if offset else read


def in_english(texts: pl.Expr) -> pl.Expr:
    """Return dates with month names in English, such as "3 May 2022", without weekday, ordinal and prepositions.

    >>> import polars as pl
    >>> texts = pl.DataFrame({"x": ["mardi 1er août 2023", "3. Mai 2022", "3 de mayo de 2022", "janv.-22"]})
    >>> texts.select(in_english(pl.col("x")))["x"].to_list()
    ['1 Aug 2023', '3 May 2022', '3 May 2022', 'Jan-22']
    """
    names = sorted(_SPELLED, key=len, reverse=True)
    texts = texts.str.replace_many(names, [_SPELLED[n] for n in names], ascii_case_insensitive=True, leftmost=True)
    ordinal = rf"(?i)(\d)(?:(?:st|nd|rd|th|er|[ºª.])(?: +{_OF})?| +{_OF}) *({_ENGLISH})"
    after = rf"({_ENGLISH})(?:\.?( +)(?:{_OF} +)?|\.(-|$))"
    return texts.str.replace(WEEKDAYS, "$1").str.replace(ordinal, "$1 $2").str.replace(after, "$1$2$3")


def code(name: str, formats: str, dtype: Any = None) -> str:
    """Return the same expression as Python code."""
    whole = ", pl.Float64" if dtype is not None and dtype.is_float() else ""
    return f"to_dates(pl.col({name!r}), {formats!r}{whole})"


def _has_offset(fmt: str) -> bool:
    return re.search(r"%(?:[#:]?z|\+)", fmt) is not None


def zone(formats: str | None) -> str:
    """Return "UTC" for formats with a time zone, else "".

    >>> zone("%Y-%m-%dT%H:%M:%S%z"), zone("%Y-%m-%d %H:%M")
    ('UTC', '')
    """
    told = [_has_offset(fmt) or fmt.endswith(("Z", " UTC", " GMT")) for fmt in (formats or "").split(SEPARATOR)]
    return "UTC" if any(told) else ""


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
