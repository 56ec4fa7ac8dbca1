"""How numbers are written in a column of texts: in groups of digits, with a decimal comma, as money or percent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from chainrule._extras import require

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

SPACES = " \u00a0\u202f"  # plain, not to be broken, and narrow
GROUPS = (",", ".", "'", "\u2019", *SPACES)
SIGN = r"[-+\u2212]?"  # the last one is a typographer's minus
MARK = r"(?:\p{Sc}|%)"  # of money or percent
FIRST = 200  # values by which most columns of words are ruled out


class Written(NamedTuple):
    """What parts groups of digits ("" if nothing does), the decimal mark, and the mark beside the number, or ""."""

    group: str
    point: str
    mark: str


def find(values: pl.Series, *, comma: bool = False) -> Written | None:
    """Return how all texts of a column are written as numbers, or None; ``comma``: commas are decimal by rights.

    >>> import polars as pl
    >>> find(pl.Series(["$1,234.50", "-$3"]))
    Written(group=',', point='.', mark='$')
    >>> find(pl.Series(["12 %", "7,5 %"]))
    Written(group='', point=',', mark='%')
    >>> find(pl.Series(["12 %", "7"])), find(pl.Series(["1,2,3", "4"]))
    (None, None)
    """
    first = values.head(FIRST)
    if not len(values) or not first.str.contains(rf"^{SIGN}\s*{MARK}?\s*{SIGN}[\d.,]").all():
        return None
    marks = values.str.replace_all(r"[^\p{Sc}%]", "")
    mark = str(marks[0])
    if (marks != mark).any() or len(mark) > 1:
        return None
    for point in (",", ".") if comma else (".", ","):
        for group in ("", *(g for g in GROUPS if g != point)):
            if values.str.contains(_pattern(group, point)).all():
                return Written(group, point, mark)
    return None


def read(values: pl.Series, how: Written, *, strict: bool = True) -> pl.Series:
    """Return texts as numbers; where one is not written so, an error of polars, or null if this is not ``strict``.

    >>> import polars as pl
    >>> read(pl.Series(["$1,234.50", "-$3"]), Written(",", ".", "$")).to_list()
    [1234.5, -3.0]
    """
    polars = require("polars", "tables")
    texts = values.str.replace_all(r"[\s\p{Sc}%]", "").str.replace_all("\u2212", "-", literal=True)
    if how.group:
        texts = texts.str.replace_all(how.group, "", literal=True)
    return texts.str.replace(how.point, ".", literal=True).cast(polars.Float64, strict=strict)


def example(how: Written) -> str:
    """Return a number as it is written, and what it is.

    >>> example(Written(",", ".", "$"))
    '$1,234 is 1234'
    """
    whole = f"1{how.group}234"
    number = whole if how.group else f"12{how.point}5"
    return f"{_marked(number, how.mark)} is {'1234' if how.group else '12.5'}"


def _marked(number: str, mark: str) -> str:
    return f"{number} {mark}" if mark == "%" else f"{mark}{number}"


def _pattern(group: str, point: str) -> str:
    digits = rf"(?:[1-9]\d{{0,2}}(?:[{group}]\d{{3}})+|\d+)" if group else r"\d+"  # 079 123 456 is a telephone
    return rf"^{SIGN}\s*{MARK}?\s*{SIGN}(?:{digits}(?:[{point}]\d*)?|[{point}]\d+)\s*{MARK}?$"
