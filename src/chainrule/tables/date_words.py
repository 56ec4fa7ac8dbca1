"""Words in dates: names of months, weekdays and time zones, and formats in the codes that chrono reads."""

from __future__ import annotations

import re

SEPARATOR = " or "  # between the formats of one column
OFFSETS = {
    "+0000": "UTC GMT WET", "+0100": "CET WEST MEZ", "+0200": "CEST EET MESZ", "+0300": "EEST MSK", "+0900": "JST",
    "+1000": "AEST", "+1100": "AEDT", "+1200": "NZST", "+1300": "NZDT", "-0400": "EDT", "-0500": "EST CDT",
    "-0600": "CST MDT", "-0700": "MST PDT", "-0800": "PST AKDT", "-0900": "AKST", "-1000": "HST",
}  # fmt: skip
"""Names of time zones after a time, those of North America as in RFC 2822. IST and BST are ambiguous."""
ZONE_NAMES = {name: at for at, names in OFFSETS.items() for name in sorted(names.split(), key=len, reverse=True)}
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
OF = "(?:de[l]?|of)"
ENGLISH = "|".join(MONTH_NAMES)
SPELLED = {
    spelled: short
    for short, names in MONTH_NAMES.items() for name in (*names.split(), short) for spelled in (name, name.upper())
}  # fmt: skip
ORDINAL = rf"(?i)(\d)(?:(?:st|nd|rd|th|er|[ºª.])(?: +{OF})?| +{OF}) *({ENGLISH})"
AFTER = rf"({ENGLISH})(?:\.?( +)(?:{OF} +)?|\.(-|$))"
QUARTERS = {"Q1": "Q01", "Q2": "Q04", "Q3": "Q07", "Q4": "Q10"}
"""Quarters, and their first months."""


def has_month_name(fmt: str) -> bool:
    """Return whether a format has the name of a month."""
    return re.search("%-?[bBh]", fmt) is not None


def is_week(fmt: str) -> bool:
    """Return whether a format has a week without a day: its Monday is meant."""
    return "%V" in fmt and "%u" not in fmt


def codes(fmt: str) -> str:
    """Return the format of texts with English months, numeric offsets, quarters as :data:`QUARTERS`, and days of weeks.

    >>> codes("%d. %B %Y %H:%M%z"), codes("%Y-Q%q"), codes("%G-W%V")
    ('%d %B %Y %H:%M%#z', '%Y-Q%m', '%G-W%V-%u')
    """
    week = is_week(fmt)
    if has_month_name(fmt):
        fmt = re.sub(rf" {OF} ", " ", re.sub(r"\. *(?=%-?[bBh])", " ", fmt))
    fmt = fmt.replace("%z", "%#z").replace("Q%q", "Q%m")  # %#z reads +09, too
    return f"{fmt}-%u" if week else fmt


def has_offset(fmt: str) -> bool:
    """Return whether a format has an offset from UTC."""
    return re.search(r"%(?:[#:]?z|\+)", fmt) is not None


def zone(formats: str | None) -> str:
    """Return "UTC" for formats with a time zone, else "".

    >>> zone("%Y-%m-%dT%H:%M:%S%z"), zone("%Y-%m-%d %H:%M")
    ('UTC', '')
    """
    told = [has_offset(fmt) or fmt.endswith(("Z", " UTC", " GMT")) for fmt in (formats or "").split(SEPARATOR)]
    return "UTC" if any(told) else ""
