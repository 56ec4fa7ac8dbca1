"""Texts that are numbers: in a notation, with a unit, times of day and durations."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from chainrule.tables.formats import Notation
from chainrule.tables.number_patterns import is_plain, pattern, steps
from chainrule.tables.serving.dates import time_of_day
from chainrule.tables.serving.patterns import LONGEST, SPACES, compiled, number
from chainrule.tables.units import AMOUNT, CLOCK, CLOCKS, LOSS, PARTS, factors

Read = Callable[[str], float | None]
WEEK, DAY, HOUR, MINUTE = 604800.0, 86400.0, 3600.0, 60.0


@cache
def reader(how: Notation) -> Read:
    """Return the function that converts a text in a notation to a number, or to seconds; None for other texts.

    >>> price = reader(Notation(".", ",", "$"))
    >>> price("$1,234.50"), price("-$3"), price("($7.00)"), price("2")
    (1234.5, -3.0, -7.0, None)
    >>> reader(Notation(unit="kg"))("800 g"), reader(Notation(unit="h:m"))("1:02:45")
    (0.8, 3765.0)
    """
    if not how.unit:
        return number if is_plain(how) else _written(how)
    if how.unit.startswith("%I"):
        return time_of_day
    if how.unit in CLOCKS:
        return _duration if how.unit == "1h 30m" else _clock(minutes=how.unit == "m:s")
    return _amount(how)


def is_bare(text: str) -> bool:
    """Return whether a text is a number without a unit.

    >>> is_bare("12.5"), is_bare("12.5 kg"), is_bare("heavy")
    (True, False, False)
    """
    found = _affixes(text)
    return found is not None and not found[1]


def _written(how: Notation) -> Read:
    whole = compiled(pattern(how.group, how.decimal or ".", how.mark))
    changes = [(compiled(old), new.replace("$1", r"\1")) for old, new in steps(how)]

    def read(text: str) -> float | None:
        if not whole.match(text):
            return None
        for old, new in changes:
            text = old.sub(new, text)
        return number(text)

    return read


def _affixes(text: str) -> tuple[str, str] | None:
    """Return the number of an amount, and its currency or unit without spaces; None for another text."""
    if len(text := text.strip(SPACES)) > LONGEST:
        return None
    text = compiled(LOSS).sub(r"-\1\2\3\4\5", text, count=1)
    if (found := compiled(AMOUNT).match(text)) is None:
        return None
    sign, currency, digits, unit = found.groups()
    return sign + digits, compiled(r"[\s]|\.$").sub("", currency + unit)


def _amount(how: Notation) -> Read:
    plain, known = reader(replace(how, unit="")), factors(how.unit)

    def read(text: str) -> float | None:
        if (found := _affixes(text)) is None or (factor := known.get(found[1])) is None:
            return None
        value = plain(found[0])
        return None if value is None else value * factor

    return read


def _parts(text: str, form: str) -> tuple[str | None, ...] | None:
    """Return the groups of a duration; None for a text of another form, or without digits."""
    found = compiled(form).match(text) if len(text) <= LONGEST else None
    return found.groups() if found and compiled(r"\d").search(text) else None


def _value(part: str | None) -> float:
    return number(part or "") or 0.0


def _clock(*, minutes: bool) -> Read:
    """Return the function that reads hours and minutes, or minutes and seconds, with a colon."""

    def read(text: str) -> float | None:
        if (parts := _parts(text.strip(SPACES), CLOCK)) is None:
            return None
        clock = _value(parts[2]) * HOUR + _value(parts[3]) * MINUTE + _value(parts[4])
        clock = clock * (1 / 60) if minutes and parts[4] is None else clock  # as polars divides
        return _value(parts[0]) * DAY + (-clock if parts[1] == "-" else clock)

    return read


def _duration(text: str) -> float | None:
    text = re.sub(" +", " ", text.strip(SPACES))  # which changes nothing, but many could take long to match
    if (parts := _parts(text, PARTS)) is None:
        return None
    total = _value(parts[1]) * WEEK
    for part, seconds in zip(parts[2:], (DAY, HOUR, MINUTE, 1.0), strict=True):
        total += _value(part) * seconds
    return -total if parts[0] == "-" else total
