"""Texts that are dates, read as polars reads them: numbers by their place, and by the rules of chrono.

Dates are microseconds since 1970-01-01T00:00:00, those with an offset in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache

from chainrule.tables import date_words as words
from chainrule.tables.serving.patterns import LONGEST, SPACES, compiled

Read = Callable[[str], int | None]
Fields = dict[str, int]
SECOND, DAY = 10**6, 86_400 * 10**6
EPOCH, ERA = date(1970, 1, 1).toordinal(), 146_097  # days; the calendar repeats after 400 years
OLDEST, NEWEST = -262_143, 262_142  # years
ENGLISH = words.ENGLISH.split("|")
MONTHS = {name.lower(): number for number, name in enumerate(ENGLISH, 1)}
WEEKDAYS = {"mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6, "sun": 7}
FULL = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December"]  # fmt: skip
ENDS = ["(?:day)?+", "(?:sday)?+", "(?:nesday)?+", "(?:rsday)?+", "(?:day)?+", "(?:urday)?+", "(?:day)?+"]
PLACES = {**dict.fromkeys("ymdHMS", "[0-9]{2}"), "Y": "[0-9]{4}", **{f"{n}f": f"[0-9]{{{n}}}" for n in (3, 6, 9)},
          "b": words.ENGLISH, "B": "|".join([*FULL, *ENGLISH])}  # fmt: skip
"""Codes of numbers with all their digits, and of English months, which polars reads itself."""
LONGER = {"D": "%m/%d/%y", "x": "%m/%d/%y", "R": "%H:%M", "T": "%H:%M:%S", "X": "%H:%M:%S", "F": "%Y-%m-%d",
          "v": "%e-%b-%Y", "c": "%a %b %e %H:%M:%S %Y", "r": "%I:%M:%S %p", "+": "%Y-%m-%dT%H:%M:%S%.f%#z"}  # fmt: skip
"""Codes that stand for others."""
CODE = re.compile(rf"%[-_0]?(?P<code>[a-zA-Z%+]|\.[369]?f|[369]f|[:#]z)|[{SPACES}]+|[^%{SPACES}]+")
SPACE = f"[{SPACES}]*+"
OFFSET = rf"[-+\u2212][0-9]{{2}}[:{SPACES}]*+"
NUMBERS = {"C": "century2", "y": "short2", "m": "month2", "d": "day2", "e": "day2", "j": "ordinal3", "q": "quarter1",
           "U": "sundays2", "W": "mondays2", "g": "isoshort2", "V": "isoweek2", "u": "weekday1", "w": "sunday1",
           "H": "clock2", "k": "clock2", "I": "twelve2", "l": "twelve2", "M": "minute2", "S": "second2",
           "f": "nano9"}  # fmt: skip
CODES = {
    **{code: (name[:-1], f"{SPACE}([0-9]{{1,{name[-1]}}}+)") for code, name in NUMBERS.items()},
    **dict.fromkeys("nt", ("", SPACE)),
    **{code: (name, f"{SPACE}([-+][0-9]++|[0-9]{{1,4}}+)") for code, name in (("Y", "year"), ("G", "isoyear"))},
    **dict.fromkeys("bh", ("month name", f"((?ai:{words.ENGLISH}))")),
    "B": ("month name", f"((?ai:{'|'.join(f'{name[:3]}(?:{name[3:]})?+' for name in FULL)}))"),
    "a": ("weekday name", f"((?ai:{'|'.join(WEEKDAYS)}))"),
    "A": ("weekday name", f"((?ai:{'|'.join(map(str.__add__, WEEKDAYS, ENDS))}))"),
    **dict.fromkeys("pP", ("half", "((?ai:am|pm))")),
    **dict.fromkeys(("z", ":z"), ("offset", f"{SPACE}({OFFSET}[0-5][0-9])")),
    "#z": ("offset", rf"{SPACE}([Zz]|{OFFSET}(?:[0-5][0-9]|\Z))"),
    **{f".{n}f": ("fraction", rf"(?:\.([0-9]{{{n}}})|(?!\.))") for n in (3, 6, 9)},
    **{f"{n}f": ("fraction", f"([0-9]{{{n}}})") for n in (3, 6, 9)},
    ".f": ("fraction", r"(?:\.([0-9]++)|(?!\.))"),
    "Z": ("", f"[^{SPACES}]*+"),
    "%": ("", "%"),
}  # fmt: skip
"""Codes, with what they stand for, and their patterns."""
NAMES = {"month name": ("month", MONTHS), "weekday name": ("weekday", WEEKDAYS), "half": ("half", {"am": 0, "pm": 1})}
MOST = {"half": 1, "hour": 11, "minute": 59, "second": 60, "weekday": 7}


@cache
def reader(formats: str) -> Read:
    """Return the function that converts a text to microseconds; None for a text that fits none of the formats.

    >>> read = reader("%d.%m.%Y or %d. %B %Y")
    >>> read("02.01.1970"), read("3. Januar 1970"), read("1970-01-02")
    (86400000000, 172800000000, None)
    >>> reader("%Y-%m-%d %H:%M%z")("1970-01-01 01:00 CET")
    0
    """
    each = [_reader(fmt) for fmt in formats.split(words.SEPARATOR)]

    def read(text: str) -> int | None:
        return next((found for one in each if (found := one(text)) is not None), None)

    return each[0] if len(each) == 1 else read


def time_of_day(text: str) -> float | None:
    """Return the seconds since midnight of a time such as 2:35 pm.

    >>> time_of_day("2:35 pm"), time_of_day("14:35")
    (52500.0, None)
    """
    for fmt in ("%I:%M %p", "%I:%M:%S %p"):
        fields = _scanner(fmt)(text.strip(SPACES))
        if fields is not None and (time := _time(fields)) is not None:
            return time * 1000 * 1e-9  # as polars divides nanoseconds
    return None


def _reader(fmt: str) -> Read:
    """Return the function that reads one format, after preparing the texts for it."""
    aware, steps = words.has_offset(fmt), [*_preparation(fmt)]
    fmt = re.sub("%([DxRTXFvcr+])", lambda found: LONGER[found[1]], words.codes(fmt))
    by_place, scan = None if aware else _by_place(fmt), _scanner(fmt)

    def read(text: str) -> int | None:
        if len(text) > LONGEST:
            return None
        for step in steps:
            text = step(text)
        if by_place is not None and (found := by_place(text)) is not None:
            return found
        if (fields := scan(text)) is None or (day := _day(fields)) is None:
            return None
        time, offset = _time(fields), fields.get("offset", DAY)
        if not aware:
            return day * DAY + (time or 0)
        return None if time is None or abs(offset) >= 86_400 else day * DAY + time - offset * SECOND

    return read


def _preparation(fmt: str) -> Iterator[Callable[[str], str]]:
    if "%z" in fmt:
        names = re.compile("|".join(words.ZONE_NAMES))
        yield lambda text: compiled("Z$").sub("+0000", names.sub(lambda found: words.ZONE_NAMES[found[0]], text))
    if words.has_month_name(fmt):
        yield in_english
    if "Q%q" in fmt:
        yield lambda text: re.sub("(?ai:q[1-4])", lambda found: words.QUARTERS[found[0].upper()], text)
    if words.is_week(fmt):
        yield lambda text: f"{text}-1"


@cache
def _month_names() -> tuple[re.Pattern[str], dict[str, str]]:
    """Return the pattern of all names of months, longest first, and their English abbreviations."""
    names = sorted(words.SPELLED, key=len, reverse=True)
    first = "".join({name[0].lower() for name in names})
    pattern = f"(?ai:(?=[{first}])(?:{'|'.join(map(re.escape, names))}))"
    return re.compile(pattern), {_lower(name): words.SPELLED[name] for name in names}


def _lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case."""
    return "".join(c.lower() if c.isascii() else c for c in text)


def in_english(text: str) -> str:
    """Return a date with the month's name in English, without weekday, ordinal and prepositions.

    >>> in_english("mardi 1er août 2023"), in_english("3 de mayo de 2022"), in_english("janv.-22")
    ('1 Aug 2023', '3 May 2022', 'Jan-22')
    """
    names, short = _month_names()
    text = names.sub(lambda found: short[_lower(found[0])], text)
    text = compiled(words.WEEKDAYS).sub(r"\1", text, count=1)
    text = compiled(words.ORDINAL).sub(r"\1 \2", text, count=1)
    return compiled(words.AFTER).sub(r"\1\2\3", text, count=1)


def _by_place(fmt: str) -> Read | None:
    """Return the function that reads numbers with all their digits, the day being optional; None for other codes."""
    names, pattern = [], "-?" if fmt.startswith("%Y") else ""
    for found in CODE.finditer(fmt):
        code = found["code"]
        if code is None:
            pattern += re.escape(found[0])
        elif code in PLACES and found[0] == f"%{code}":
            names.append(code[-1])
            pattern += f"({PLACES[code]})"
        else:
            return None
    whole = re.compile(pattern)

    def read(text: str) -> int | None:
        if (found := whole.fullmatch(text)) is None:
            return None
        f = dict(zip(names, found.groups(), strict=True))
        year = int(f["y"]) + (2000 if f["y"] < "70" else 1900) if "y" in f else int(f.get("Y", 1))
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
    names, pattern = [], ""
    for found in CODE.finditer(fmt):
        code = found["code"]
        if code is None:
            pattern += SPACE if found[0][0] in SPACES else re.escape(found[0])
        elif code in CODES:
            name, part = CODES[code]
            names += [name] if name else []
            pattern += part
        else:
            raise ValueError(f"the date format {fmt!r} cannot be read without polars, because of {found[0]}.")
    whole = re.compile(pattern)

    def scan(text: str) -> Fields | None:
        if (found := whole.fullmatch(text)) is None:
            return None
        fields: Fields = {}
        for name, part in zip(names, found.groups(), strict=True):
            for field, value in _meaning(name, part):
                if value > MOST.get(field, value) or fields.setdefault(field, value) != value:
                    return None
        return fields

    return scan


def _meaning(name: str, part: str | None) -> Iterator[tuple[str, int]]:
    """Yield the fields that a part of a text stands for; a number that cannot be is above its most."""
    if part is None:  # no fraction
        return
    if name == "fraction":
        yield "nano", int(part[:9].ljust(9, "0"))
    elif name in NAMES:
        field, known = NAMES[name]
        yield field, known[part[:3].lower()]
    elif name == "offset":
        digits = re.sub("[^0-9]", "", part).ljust(4, "0")
        yield name, (int(digits[:2]) * 3600 + int(digits[2:]) * 60) * (-1 if part[0] in "-\u2212" else 1)
    elif name == "clock":
        yield from (("half", int(part) // 12), ("hour", int(part) % 12))
    elif name == "twelve":
        yield "hour", int(part) % 12 if 1 <= int(part) <= 12 else 12
    elif name == "sunday":
        yield "weekday", (int(part) or 7) if int(part) < 7 else 8
    else:
        yield name, int(part)


def _time(f: Fields) -> int | None:
    """Return the microseconds since midnight; None if the hour or the minute is missing."""
    if not {"half", "hour", "minute"} <= f.keys() or ("nano" in f and "second" not in f):
        return None
    seconds = ((f["half"] * 12 + f["hour"]) * 60 + f["minute"]) * 60 + f.get("second", 0)
    return seconds * SECOND + f.get("nano", 0) // 1000


def _day(f: Fields) -> int | None:
    """Return the days since 1970 of the fields of a date; None if they are not enough, or contradict each other."""
    year, isoyear = _full(f, "year", "short"), _full(f, "isoyear", "isoshort")
    first = None if year is None else _days(year, 1, 1)
    possible: range | list[int | None] = []
    if year is not None and first is not None and {"month", "day"} <= f.keys():
        possible = [_days(year, f["month"], f["day"])]
    elif first is not None and "ordinal" in f:
        possible = [first + f["ordinal"] - 1]
    elif first is not None and "weekday" in f and f.keys() & {"sundays", "mondays"}:
        possible = range(first, first + 366)
    elif isoyear is not None and {"isoweek", "weekday"} <= f.keys():
        start = _days(isoyear, 1, 4)  # always in the first week
        possible = [] if start is None else range(start + 7 * f["isoweek"] - 14, start + 7 * f["isoweek"] + 7)
    for days in possible:
        facts = {} if days is None else _facts(days)
        if facts and all(facts.get(name, value) == value for name, value in f.items()):
            return days
    return None


def _full(f: Fields, year: str, short: str) -> int | None:
    """Return the year with its century; of two digits alone, those below 70 are of this one."""
    if year in f or short not in f:
        return f.get(year)
    century = f.get("century") if year == "year" else None
    return f[short] + (century * 100 if century is not None else 2000 if f[short] < 70 else 1900)


def _days(year: int, month: int, day: int) -> int | None:
    """Return the days since 1970 of a date; None if there is no such date."""
    if not OLDEST <= year <= NEWEST:
        return None
    try:
        return date(year % 400 + 400, month, day).toordinal() + (year // 400 - 1) * ERA - EPOCH
    except ValueError:
        return None


def _facts(days: int) -> Fields:
    eras, within = divmod(days + EPOCH - 1, ERA)
    there = date.fromordinal(within + 1 + ERA)  # in the years 401 to 800
    iso, ordinal = there.isocalendar(), there.timetuple().tm_yday
    year, isoyear = there.year + (eras - 1) * 400, iso.year + (eras - 1) * 400
    return {
        "year": year, "century": year // 100, "short": year % 100, "month": there.month, "day": there.day,
        "quarter": (there.month + 2) // 3, "ordinal": ordinal, "weekday": iso.weekday, "isoyear": isoyear,
        "isoshort": isoyear % 100, "isoweek": iso.week, "sundays": (ordinal - iso.weekday % 7 + 6) // 7,
        "mondays": (ordinal - iso.weekday + 7) // 7,
    }  # fmt: skip
