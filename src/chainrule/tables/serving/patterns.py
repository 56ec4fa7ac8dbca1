"""Regular expressions as polars takes them, in the terms of :mod:`re`; and the reading of plain numbers."""

from __future__ import annotations

import re
from functools import cache

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
CURRENCY_SIGNS = (
    "$\xa2-\xa5\u058f\u060b\u07fe\u07ff\u09f2\u09f3\u09fb\u0af1\u0bf9\u0e3f\u17db\u20a0-\u20c0\ua838\ufdfc\ufe69\uff04"
    "\uffe0\uffe1\uffe5\uffe6\U00011fdd-\U00011fe0\U0001e2ff\U0001ecb0"
)
CAPITALS = "".join(filter(str.isupper, map(chr, range(0x590))))  # Latin, Greek, Cyrillic and Armenian
NUMERALS = "\xb2\xb3\xb9\xbc-\xbe\u2070\u2074-\u2079\u2080-\u2089\u2150-\u2182\u2185-\u2189\u2460-\u249b\u24ea-\u24ff"
NUMERALS += "\u2776-\u2793\u3007\u3021-\u3029\u3038-\u303a"  # which re counts among letters
LONGEST = 200  # characters of an amount or a date: longer texts could take long to match
TOKEN = re.compile(r"\[(?:\\.|[^]\\])*]|\\p\{\w+}|\\.|\$")
NUMBER = re.compile(r"[-+]?(?:(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]+)?|(?ai:inf(?:inity)?|nan))")


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    r"""Return a pattern of polars, compiled: classes of Unicode such as ``\p{Sc}``, and ``$`` for the very end.

    >>> compiled(r"^[\p{Sc}]\s*([\p{L}.]+)$").findall("$ café"), compiled("a$").search("a\n")
    (['café'], None)
    """
    return re.compile(TOKEN.sub(_swap, pattern))


def _swap(found: re.Match[str]) -> str:
    part = found[0]
    if part == "$":
        return r"\Z"
    if not part.startswith(("[", r"\p", r"\s")):
        return part
    inside = part[1:-1] if part[0] == "[" else part
    for name, characters in ((r"\s", SPACES), (r"\p{Sc}", CURRENCY_SIGNS), (r"\p{Lu}", CAPITALS)):
        inside = inside.replace(name, characters)
    if r"\p{L}" not in inside:
        return f"[{inside}]"
    letters, rest = rf"[^\W\d_{NUMERALS}]", inside.replace(r"\p{L}", "")
    return f"(?:{letters}|[{rest}])" if rest else letters


def number(text: str) -> float | None:
    """Return the value of a plain number, or None.

    >>> number("1.5e3"), number("-inf"), number("1_000"), number(" 1")
    (1500.0, -inf, None, None)
    """
    return float(text) if NUMBER.fullmatch(text) else None
