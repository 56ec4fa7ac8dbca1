"""Numbers and names formatted for readers: rounded, with true minus signs, and never too long."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

NONE = "–"  # no value
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MISSING = "(missing)"
LONGEST = 48  # characters of a name or a value
BAR = 12  # characters of a full bar
EIGHTHS = " ▏▎▍▌▋▊▉█"
SPARKS = " ▁▂▃▄▅▆▇█"


def short(value: Any, digits: int = 4) -> str:
    """Return a number with ``digits`` significant digits: integers in full, huge and tiny values in powers of ten.

    >>> [short(v) for v in (12345, 0.123456, -2.0, 1234.56, 1.5e9, 2.5e-7, float("nan"))]
    ['12,345', '0.1235', '−2', '1,235', '1.5 × 10⁹', '2.5 × 10⁻⁷', '–']
    """
    if value is None or isinstance(value, str):
        return NONE if value is None else clean(value)
    number = float(value)
    if not math.isfinite(number):
        return NONE if math.isnan(number) else ("∞" if number > 0 else "−∞")
    if number == 0:
        return "0"
    mantissa, _, power = f"{number:.{digits - 1}e}".partition("e")
    magnitude = int(power)
    if number.is_integer() and abs(number) < 1e9:
        text = f"{int(number):,}"
    elif -4 <= magnitude < 7:
        text = f"{number:,.{max(0, digits - 1 - magnitude)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        text = f"{mantissa} × 10{str(magnitude).translate(SUPERSCRIPT)}"
    return text.replace("-", "−")


def aligned(values: Sequence[float], digits: int = 4, *, signed: bool = False) -> list[str]:
    """Return numbers with the same decimals, for a column; the largest has ``digits`` significant digits.

    >>> aligned([56.0, 70.481, 0.5]), aligned([1e9, 2.0]), aligned([0.5, -0.25], 3, signed=True)
    (['56.00', '70.48', '0.50'], ['1 × 10⁹', '2'], ['+0.500', '−0.250'])
    """
    known = [abs(v) for v in values if math.isfinite(v)]
    largest = max(known, default=0.0)
    if not largest or 1e-4 <= largest < 1e7:
        whole = all(v.is_integer() for v in known)
        magnitude = int(f"{largest:.{digits - 1}e}".partition("e")[2])
        texts = [fixed(v, 0 if whole else max(0, digits - 1 - magnitude)) for v in values]
    else:
        texts = [short(v, digits) for v in values]
    return [f"+{text}" if signed and v > 0 else text for v, text in zip(values, texts, strict=True)]


def fixed(value: float, decimals: int) -> str:
    """Return a number with a fixed number of decimals.

    >>> fixed(-0.5, 3), fixed(float("nan"), 3), fixed(0.9999, 2)
    ('−0.500', '–', '1.00')
    """
    text = f"{value:,.{decimals}f}" if math.isfinite(value) else NONE
    return text.replace("-", "" if not text.strip("-0.,") else "−")  # no minus before a zero


def percent(share: float) -> str:
    """Return a fraction as a percentage, with a decimal where it matters; "100%" for exactly 1 only.

    >>> [percent(p) for p in (0.0, 0.004, 0.0834, 0.5, 0.83, 0.996, 0.99999, 1.0)]
    ['0%', '0.4%', '8.3%', '50%', '83%', '99.6%', '> 99.9%', '100%']
    """
    if not math.isfinite(share):
        return NONE
    if share in (0, 1):
        return f"{100 * share:.0f}%"
    if not 0.0005 <= share < 0.9995:
        return "< 0.1%" if share < 0.5 else "> 99.9%"
    return f"{100 * share:.{0 if 0.0995 <= share < 0.985 else 1}f}%".replace(".0%", "%")


def rows(count: int, what: str = "row") -> str:
    """Return a count with its noun.

    >>> rows(1), rows(12345), rows(2, "class"), rows(3, "category")
    ('1 row', '12,345 rows', '2 classes', '3 categories')
    """
    if count == 1:
        return f"1 {what}"
    many = f"{what[:-1]}ies" if what.endswith("y") else f"{what}{'es' if what.endswith('s') else 's'}"
    return f"{count:,} {many}"


def clean(text: Any, longest: int = LONGEST) -> str:
    r"""Return a value as one line of visible text, shortened in the middle.

    >>> clean("two\nlines"), clean("a\u202eb"), clean("x" * 60, 9), clean("")
    ('two lines', 'a\ufffdb', 'xxxx…xxxx', '(empty)')
    """
    text = str(text)
    if len(text) > 4 * longest:
        text = f"{text[: 2 * longest]}…{text[-2 * longest :]}"
    text = visible(text)
    if not text.strip():
        return "(empty)"
    if len(text) > longest:
        half = (longest - 1) // 2
        text = f"{text[: longest - 1 - half]}…{text[-half:]}"
    return text


def apart(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Clean names as :func:`clean` does, but shorten them less where two different ones would look alike.

    >>> apart(["question 1 of the survey", "question 2 of the survey", "age"], 15)
    ['question 1 of the survey', 'question 2 of the survey', 'age']
    """
    shown = [clean(name, longest) for name in names]
    alike = {text for text, count in Counter(shown).items() if count > 1}
    if not alike or longest > 1000:
        return shown
    return [more if text in alike else text for text, more in zip(shown, apart(names, 2 * longest), strict=True)]


def visible(text: str) -> str:
    r"""Return text on one line, with a mark in place of each control or invisible character.

    >>> visible("two\nlines"), visible("a\u202eb")
    ('two lines', 'a\ufffdb')
    """
    if text.isprintable():
        return text
    return "".join(" " if c in "\t\n\r" else "\ufffd" if unicodedata.category(c)[0] == "C" else c for c in text)


def escaped(text: str) -> str:
    """Escape text for HTML and SVG.

    >>> escaped("a <b>")
    'a &lt;b&gt;'
    """
    return escape(visible(text))


def listed(words: list[str], at_most: int = 5) -> str:
    """Join words with commas, and "and" before the last.

    >>> listed(["a", "b", "c"]), listed(["a"]), listed([*"abcdefg"], 3)
    ('a, b and c', 'a', 'a, b, c and 4 more')
    """
    if len(words) > at_most:
        words = [*words[:at_most], f"{len(words) - at_most} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"


def number(value: Any, digits: int) -> str:
    """Return a number for a formula, with a true minus sign.

    >>> number(-0.012345, 3), number(2.0, 3), number(1e-9, 3)
    ('−0.0123', '2', '1e-09')
    """
    return f"{float(value):.{digits}g}".replace("-", "−").replace("e−", "e-")


def factor(value: Any, digits: int = 4) -> str:
    """Return a factor for a formula: in parentheses if it is negative.

    >>> factor(-0.5), factor(0.5)
    ('(−0.5)', '0.5')
    """
    text = number(value, digits)
    return f"({text})" if text.startswith("−") else text


def bar(share: float) -> str:
    """Return a bar of block characters, exact to an eighth of a character.

    >>> bar(0.5), bar(0.0), bar(0.26)
    ('██████', '', '███▏')
    """
    eighths = round(8 * BAR * min(max(share, 0.0), 1.0))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def signed_bar(share: float) -> str:
    """Return a bar from the middle to the left for a negative share, else to the right, with spaces around it.

    >>> signed_bar(0.5), signed_bar(-0.25), signed_bar(0.0)
    ('            │██████', '         ███│', '            │')
    """
    halves = round(2 * BAR * min(max(-share, 0.0), 1.0))  # there are no eighths for the right half of a character
    left = "▐" * (halves % 2) + "█" * (halves // 2)
    return f"{left:>{BAR}}│{bar(share)}"


def sparks(shares: Sequence[float]) -> str:
    """Return a sparkline of block characters.

    >>> sparks([0.0, 0.01, 0.5, 1.0])
    ' ▁▄█'
    """
    largest = max(shares, default=0) or 1.0
    return "".join(SPARKS[max(round(8 * share / largest), 1 if share else 0)] for share in shares)


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds.

    >>> clock(83.4), clock(4000)
    ('1:23', '1:06:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
