"""Texts that are dates, read as polars reads them: by the rules of chrono, after a faster and laxer attempt.

Dates are microseconds since 1970-01-01T00:00:00, those with an offset in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from typing import Any

from chainrule.tables.date_words import (
    AFTER,
    ENGLISH,
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
from chainrule.tables.serving.patterns import SPACES, compiled

Read = Callable[[str], int | None]
Fields = dict[str, int]
SECOND = 10**6
DAY = 86_400 * SECOND
EPOCH = date(1970, 1, 1).toordinal()
ERA = 146_097  # days in 400 years, after which the calendar repeats
OLDEST, NEWEST = -262_143, 262_142  # years of chrono

MONTHS = {name.lower(): i for i, name in enumerate(ENGLISH.split("|"), 1)}
DAYS = {name: i for i, name in enumerate(["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1)}
LONG_MONTHS = "jan(?:uary)?+|feb(?:ruary)?+|mar(?:ch)?+|apr(?:il)?+|may|jun(?:e)?+|jul(?:y)?+|aug(?:ust)?+|"
LONG_MONTHS += "sep(?:tember)?+|oct(?:ober)?+|nov(?:ember)?+|dec(?:ember)?+"
LONG_DAYS = "mon(?:day)?+|tue(?:sday)?+|wed(?:nesday)?+|thu(?:rsday)?+|fri(?:day)?+|sat(?:urday)?+|sun(?:day)?+"
ALIKE = {"%D": "%m/%d/%y", "%x": "%m/%d/%y", "%R": "%H:%M", "%T": "%H:%M:%S", "%X": "%H:%M:%S", "%F": "%Y-%m-%d",
         "%v": "%e-%b-%Y", "%c": "%a %b %e %H:%M:%S %Y", "%r": "%I:%M:%S %p"}  # fmt: skip
CODE = re.compile(r"%(?:[-_0]?([a-zA-Z%])|(\.[369]?f|[369]f|[:#]z|\+))|([" + SPACES + r"]+)|([^%" + SPACES + "]+)")
NUMBERS = {
    "Y": ("year", "[-+][0-9]++|[0-9]{1,4}+"), "C": ("century", 2), "y": ("short", 2), "m": ("month", 2),
    "d": ("day", 2), "e": ("day", 2), "j": ("ordinal", 3), "q": ("quarter", 1), "U": ("sundays", 2),
    "W": ("mondays", 2), "G": ("isoyear", "[-+][0-9]++|[0-9]{1,4}+"), "g": ("isoshort", 2), "V": ("isoweek", 2),
    "u": ("weekday", 1), "w": ("sunday", 1), "H": ("clock", 2), "k": ("clock", 2), "I": ("twelve", 2),
    "l": ("twelve", 2), "M": ("minute", 2), "S": ("second", 2), "f": ("nano", 9),
}  # fmt: skip
"""Codes of numbers, with what they stand for, and their most digits or their pattern."""
OFFSET = rf"[-+\u2212][0-9]{{2}}[:{SPACES}]*+[0-5][0-9]"
SHORT_OFFSET = rf"[Zz]|[-+\u2212][0-9]{{2}}[:{SPACES}]*+(?:[0-5][0-9]|\Z)"
WORDS = {
    "b": ("month", "|".join(MONTHS)), "h": ("month", "|".join(MONTHS)), "B": ("month", LONG_MONTHS),
    "a": ("weekday", "|".join(DAYS)), "A": ("weekday", LONG_DAYS), "p": ("half", "am|pm"), "P": ("half", "am|pm"),
    "z": ("offset", OFFSET), ":z": ("offset", OFFSET), "#z": ("offset", SHORT_OFFSET),
    **{f"{n}f": ("fraction", f"[0-9]{{{n}}}") for n in "369"},
}  # fmt: skip
"""Codes of words, with what they stand for, and their patterns."""
WIDTHS = {code: f"[0-9]{{{n}}}" for n, codes in ((2, "y m d H M S"), (3, "3f"), (4, "Y"), (6, "6f"), (9, "9f")) for code in codes.split()}
WIDTHS |= {"b": ENGLISH, "B": "January|February|March|April|May|June|July|August|September|October|November|December|" + ENGLISH}
"""Patterns of the codes that polars itself reads."""


@cache
def reader(formats: str) -> Read:
    """Return the function that converts a text to microseconds; None for a text that fits none of the formats.

    >>> read = reader("%d.%m.%Y or %d. %B %Y")
    >>> read("02.01.1970"), read("3. Januar 1970"), read("1970-01-02")
    (86400000000, 172800000000, None)
    >>> reader("%Y-%m-%d %H:%M%z")("1970-01-01 01:00 CET")
    0
    """
    each = [_reader(fmt) for fmt in formats.split(SEPARATOR)]

    def read(text: str) -> int | None:
        return next((found for one in each if (found := one(text)) is not None), None)

    return each[0] if len(each) == 1 else read


def time_of_day(text: str) -> float | None:
    """Return the seconds since midnight of a time such as 2:35 pm.

    >>> time_of_day("2:35 pm"), time_of_day("14:35")
    (52500.0, None)
    """
    text = text.strip(SPACES)
    for scan in (_scanner("%I:%M %p"), _scanner("%I:%M:%S %p")):
        if (fields := scan(text)) is not None and (time := _time(fields)) is not None:
            return time * 1000 * 1e-9  # to the bit
    return None


def _reader(fmt: str) -> Read:
    """Return the reader of one format: the texts are prepared, then read."""
    steps = list(_preparation(fmt))
    strict = _strict(codes(fmt), aware=has_offset(fmt))

    def read(text: str) -> int | None:
        for step in steps:
            text = step(text)
        return strict(text)

    return read if steps else strict


def _preparation(fmt: str) -> Iterator[Callable[[str], str]]:
    if "%z" in fmt:
        names = re.compile("|".join(ZONE_NAMES))
        yield lambda text: compiled("Z$").sub("+0000", names.sub(lambda found: ZONE_NAMES[found[0]], text))
    if has_month_name(fmt):
        yield in_english
    if "Q%q" in fmt:
        yield lambda text: re.sub("(?ai:q[1-4])", lambda found: QUARTERS[found[0].upper()], text)
    if is_week(fmt):
        yield lambda text: f"{text}-1"


@cache
def _month_names() -> tuple[re.Pattern[str], dict[str, str]]:
    """Return the pattern of all names of months, longest first, and their English abbreviations."""
    names = sorted(SPELLED, key=len, reverse=True)
    firsts = {name[0] for name in names} | {name[0].swapcase() for name in names if name[0].isascii()}
    pattern = f"(?=[{''.join(sorted(firsts))}])(?ai:{'|'.join(map(re.escape, names))})"
    return re.compile(pattern), {_lower(name): SPELLED[name] for name in names}


def _lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case."""
    return text.lower() if text.isascii() else "".join(c.lower() if c.isascii() else c for c in text)


def in_english(text: str) -> str:
    """Return a date with the month's name in English, without weekday, ordinal and prepositions.

    >>> in_english("mardi 1er août 2023"), in_english("3 de mayo de 2022"), in_english("janv.-22")
    ('1 Aug 2023', '3 May 2022', 'Jan-22')
    """
    names, short = _month_names()
    text = names.sub(lambda found: short[_lower(found[0])], text)
    text = compiled(WEEKDAYS).sub(r"\1", text, count=1)
    text = compiled(ORDINAL).sub(r"\1 \2", text, count=1)
    return compiled(AFTER).sub(r"\1\2\3", text, count=1)


def _strict(fmt: str, *, aware: bool) -> Read:
    """Return the function that reads a text as polars does."""
    for short in ("%D", "%R", "%T", "%X", "%F"):
        fmt = fmt.replace(short, ALIKE[short])
    scan, fast = _scanner(fmt), None if aware else _by_place(fmt)

    def read(text: str) -> int | None:
        if fast is not None and (found := fast(text)) is not None:
            return found
        if (fields := scan(text)) is None or (day := _day(fields)) is None:
            return None
        time = _time(fields)
        if not aware:
            return day * DAY + (time or 0)
        offset = fields.get("offset")
        if time is None or offset is None or abs(offset) * SECOND >= DAY:
            return None
        return day * DAY + time - offset * SECOND

    return read


def _by_place(fmt: str) -> Read | None:
    """Return the function that reads numbers of full width, where a day may be missing; None for other codes."""
    names, pattern = [], "-?" if fmt.startswith("%Y") else ""
    for found in CODE.finditer(fmt):
        code = found[1] or found[2]
        if code in WIDTHS and len(found[0]) == 1 + len(code):
            names.append(code[-1])
            pattern += f"({WIDTHS[code]})"
        elif code is None:
            pattern += re.escape(found[0])
        else:
            return None
    whole = re.compile(pattern)

    def read(text: str) -> int | None:
        if (found := whole.fullmatch(text)) is None:
            return None
        f = dict(zip(names, found.groups(), strict=True))
        year = int(f.get("Y", 1)) if "y" not in f else 1900 + int(f["y"]) + 100 * (int(f["y"]) < 70)
        month = int(f["m"]) if "m" in f else MONTHS[(f.get("b") or f.get("B") or "jan")[:3].lower()]
        day = _days(-year if text[0] == "-" else year, month, int(f.get("d", 1)))
        hour, minute, second = int(f.get("H", 0)), int(f.get("M", 0)), int(f.get("S", 0))
        if day is None or hour > 23 or minute > 59 or second > 59:
            return None
        return day * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + int(f.get("f", "")[:6].ljust(6, "0"))

    return read


@cache
def _scanner(fmt: str) -> Callable[[str], Fields | None]:
    """Return the function that takes a text apart by the codes of a format; None for another text."""
    for short, long in ALIKE.items():
        fmt = fmt.replace(short, long)
    names, pattern, end = [], "", 0
    for found in CODE.finditer(fmt.replace("%+", "%Y-%m-%dT%H:%M:%S%.f%#z")):
        code, end = found[1] or found[2], found.end()
        if found[3] or code in ("n", "t"):
            pattern += f"[{SPACES}]*+"
        elif found[4] or code == "%":
            pattern += re.escape(found[4] or "%")
        elif code in NUMBERS:
            name, digits = NUMBERS[code]
            pattern += f"[{SPACES}]*+({digits if isinstance(digits, str) else f'[0-9]{{1,{digits}}}+'})"
            names.append(name)
        elif code in WORDS:
            name, words = WORDS[code]
            pattern += f"[{SPACES}]*+" if name == "offset" else ""
            pattern += f"((?ai:{words}))"
            names.append(name)
        elif code.startswith(".") or code == "Z":
            digits = f"{{{code[1]}}}" if code[1:2].isdecimal() else "++"
            pattern += f"[^{SPACES}]*+" if code == "Z" else rf"(?:\.([0-9]{digits})|(?!\.))"
            names += [] if code == "Z" else ["fraction"]
        else:
            raise ValueError(f"{fmt!r} cannot be read without polars: it has the code %{code}.")
    whole = re.compile(pattern)

    def scan(text: str) -> Fields | None:
        if (found := whole.fullmatch(text)) is None:
            return None
        fields: Fields = {}
        for name, part in zip(names, found.groups(), strict=True):
            for field, value in _meaning(name, part):
                if value is None or fields.setdefault(field, value) != value:
                    return None
        return fields

    return scan


def _meaning(name: str, part: str | None) -> Iterator[tuple[str, int | None]]:
    """Yield the fields that a part of a text stands for; None for a number out of range."""
    if part is None:  # no fraction
        return
    if name == "fraction":
        yield "nano", int(part[:9].ljust(9, "0"))
    elif name == "offset":
        digits = re.sub("[^0-9]", "", part).ljust(4, "0")
        seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
        yield name, -seconds if part[0] in "-\u2212" else seconds
    elif name == "clock":
        hour = int(part)
        yield "half", hour // 12 if hour < 24 else None
        yield "hour", hour % 12
    elif name == "twelve":
        yield "hour", int(part) % 12 if 1 <= int(part) <= 12 else None
    elif name == "half":
        yield name, int(part.lower() == "pm")
    elif name == "sunday":
        yield "weekday", (int(part) or 7) if int(part) < 7 else None
    elif part[0].isalpha():
        yield name, (MONTHS if name == "month" else DAYS)[part[:3].lower()]
    else:
        most = {"minute": 59, "second": 60}.get(name)
        yield name, None if most is not None and int(part) > most else int(part)


def _time(f: Fields) -> int | None:
    """Return the microseconds since midnight; None if the hour or the minute is missing."""
    if not {"half", "hour", "minute"} <= f.keys() or ("nano" in f and "second" not in f):
        return None
    seconds = ((f["half"] * 12 + f["hour"]) * 60 + f["minute"]) * 60 + f.get("second", 0)
    return seconds * SECOND + f.get("nano", 0) // 1000


def _day(f: Fields) -> int | None:
    """Return the days since 1970 of the fields of a date; None if they are not enough, or contradict each other."""
    year, isoyear = _full(f, "year", "century", "short"), _full(f, "isoyear", "", "isoshort")
    if year is not None and {"month", "day"} <= f.keys():
        days = _days(year, f["month"], f["day"])
    elif year is not None and "ordinal" in f:
        first = _days(year, 1, 1)
        days = None if first is None else first + f["ordinal"] - 1
    elif year is not None and "weekday" in f and ("sundays" in f or "mondays" in f):
        days = _of_week(year, f)
    elif isoyear is not None and {"isoweek", "weekday"} <= f.keys():
        days = _of_isoweek(isoyear, f["isoweek"], f["weekday"])
    else:
        return None
    if days is None:
        return None
    facts = _facts(days)
    return days if all(facts.get(name, value) == value for name, value in f.items()) else None


def _full(f: Fields, year: str, century: str, short: str) -> int | None:
    """Return the year with its century; of two digits alone, those below 70 are of this one."""
    if year in f or short not in f:
        return f.get(year)
    return f[short] + (f[century] * 100 if century in f else 2000 if f[short] < 70 else 1900)


def _days(year: int, month: int, day: int) -> int | None:
    """Return the days since 1970 of a date; None if there is no such date."""
    eras, within = divmod(year, 400)
    try:
        return date(within + 400, month, day).toordinal() + (eras - 1) * ERA - EPOCH if OLDEST <= year <= NEWEST else None
    except ValueError:
        return None


def _of_week(year: int, f: Fields) -> int | None:
    """Return the days since 1970 of a week that starts on Sundays or Mondays; None if it is of another year."""
    first: Any = _days(year, 1, 1)
    if first is None:
        return None
    start = (first + 3) % 7  # Monday is 0
    if "sundays" in f:
        week, ahead, weekday = f["sundays"], (6 - start) % 7, f["weekday"] % 7
    else:
        week, ahead, weekday = f["mondays"], (7 - start) % 7, f["weekday"] - 1
    days: int = first + ahead + (week - 1) * 7 + weekday
    return days if week <= 53 and _facts(days)["year"] == year else None


def _of_isoweek(year: int, week: int, weekday: int) -> int | None:
    eras, within = divmod(year, 400)
    try:
        return date.fromisocalendar(within + 400, week, weekday).toordinal() + (eras - 1) * ERA - EPOCH
    except ValueError:
        return None


def _facts(days: int) -> Fields:
    """Return all fields of a date."""
    eras, within = divmod(days + EPOCH - 1, ERA)
    there = date.fromordinal(within + 1 + ERA)  # in the years 401 to 800
    year, ordinal = there.year + (eras - 1) * 400, there.timetuple().tm_yday
    iso = there.isocalendar()
    isoyear = iso.year + (eras - 1) * 400
    return {
        "year": year, "century": year // 100, "short": year % 100, "month": there.month, "day": there.day,
        "quarter": (there.month + 2) // 3, "ordinal": ordinal, "weekday": iso.weekday, "isoyear": isoyear,
        "isoshort": isoyear % 100, "isoweek": iso.week, "sundays": (ordinal - iso.weekday % 7 + 6) // 7,
        "mondays": (ordinal - iso.weekday + 7) // 7,
    }  # fmt: skip
