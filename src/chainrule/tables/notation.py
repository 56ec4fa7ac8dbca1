"""The notation of numbers in a column of texts: groups of digits, decimal commas, money or percent."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chainrule.tables._polars import pl
from chainrule.tables.formats import GROUPS, Notation
from chainrule.tables.number_patterns import MINUS, SIGN, example, is_plain, pattern, steps

MARK = r"(?:\p{Sc}|%)"  # money or percent
ODD_SIGN = rf"\(|{MINUS}[^0-9.,]*$|[\u2212\u2013]"
FIRST = 200  # values that rule out most columns of words
START = rf"^\(?{SIGN}\s*{MARK}?\s*\(?{SIGN}(?:[0-9.,]|inf|Inf)"
AMBIGUOUS = r"^[^0-9.,]*[1-9][0-9]{0,2}[.,][0-9]{3}[^0-9.,]*$"  # 1,234: one thousand or one
WHOLE = r"^[^0-9.,]*[0-9]+[^0-9.,]*$"


def find(values: pl.Series, decimal: str = "") -> Notation | None:
    """Return the notation in which all texts of a column are numbers, or None.

    Parameters
    ----------
    values : polars.Series of texts
        Without missing values or surrounding spaces.
    decimal : str
        Decimal mark of the file, "." or ",", for columns that fit both; "." by default.

    Examples
    --------
    >>> import polars as pl
    >>> find(pl.Series(["$1,234.50", "-$3", "($7.00)"]))
    Notation(decimal='.', group=',', mark='$', negative='accounting', zone='', unit='')
    >>> find(pl.Series(["12 %", "7,5 %"]))
    Notation(decimal=',', group='', mark='%', negative='', zone='', unit='')
    >>> find(pl.Series(["4.229", "967"]), decimal=",")
    Notation(decimal=',', group='.', mark='', negative='', zone='', unit='')
    >>> find(pl.Series(["12 %", "7"])), find(pl.Series(["1,2,3", "4"])), find(pl.Series(["1.5", "2,5"]))
    (None, None, None)
    """
    first = values.head(FIRST)
    if not len(values) or not first.str.contains(START).all():
        return None
    marks = values.str.replace_all(r"[^\p{Sc}%]", "")
    mark = str(marks[0])
    if (marks != mark).any() or len(mark) > 1:
        return None
    for point in (",", ".") if decimal == "," else (".", ","):
        for group in ("", *(g for g in GROUPS if g != point)):
            number = pattern(group, point, mark)
            if first.str.contains(number).all() and values.str.contains(number).all():
                negative = "accounting" if values.str.contains(ODD_SIGN).any() else ""
                seen = group in (",", ".") or values.str.contains(point, literal=True).any()
                return Notation(point if seen else "", group, mark, negative)
    return None


def is_ambiguous(values: pl.Series) -> bool:
    """Return whether a column fits both decimal marks and groups of digits, as 1,234 and 12 do.

    >>> import polars as pl
    >>> is_ambiguous(pl.Series(["1,234", "12"])), is_ambiguous(pl.Series(["1,234", "1,5"]))
    (True, False)
    """
    if values.str.contains(AMBIGUOUS).any() and values.str.contains(f"{AMBIGUOUS}|{WHOLE}").all():
        return not (values.str.contains(".", literal=True).any() and values.str.contains(",", literal=True).any())
    return False


def evidence(columns: Sequence[Sequence[str]], delimiter: str = ";", most: int = 500) -> set[str]:
    """Return the decimal marks in the first columns that are unambiguous.

    >>> evidence([["4.229", "967"], ["50,0", "53,0"]])
    {','}
    >>> evidence([["4.229", "967"], ["a.b", "7,x"]])
    set()
    """
    told: set[str] = set()
    marked = [column for column in columns if any("," in field for field in column)]
    if not marked and delimiter == ",":
        return told
    marked += [column for column in columns if column not in marked and any("." in field for field in column)]
    for column in marked[:most]:
        values = pl.Series([field for field in column if any(map(str.isdigit, field))], dtype=pl.String)
        if (how := find(values)) and how.decimal and not is_ambiguous(values):
            told.add(how.decimal)
    return told


def unsure(text: str, decimal: str, columns: str) -> str:
    """Return a sentence on columns of ambiguous numbers.

    >>> unsure("4.229", ".", "'sales'")
    "ambiguous: 4.229 is read as 4.229, but could be 4229: 'sales'. To change it, use --decimal ','"
    """
    whole = re.sub(r"[^0-9]", "", text)
    point = f"{float(re.sub(r'[^0-9.]', '', text.replace(',', '.'))):.10g}"
    is_point = decimal in text
    ours, other = (point, whole) if is_point else (whole, point)
    mark = text[re.search(r"[.,]", text).start()]  # type: ignore[union-attr]
    wrong = {".": ",", ",": "."}[mark] if is_point else mark
    return (
        f"ambiguous: {text} is read as {ours}, but could be {other}: {columns}. To change it, use --decimal '{wrong}'"
    )


def read(values: pl.Series, how: Notation, *, strict: bool = True) -> pl.Series:
    """Return texts as numbers. A text in another notation is an error if ``strict``, else null.

    >>> import polars as pl
    >>> read(pl.Series(["$1,234.50", "-$3", "($7.00)", "2"]), Notation(".", ",", "$"), strict=False).to_list()
    [1234.5, -3.0, -7.0, None]
    >>> read(pl.Series(["3,5", "2,500", "2.500"]), Notation(","), strict=False).to_list()
    [3.5, 2.5, None]
    """
    numbers = values.to_frame("x").select(expression(pl.col("x"), how))["x"].alias(values.name)
    if strict and numbers.null_count() > values.null_count():
        bad = values.filter(numbers.is_null() & values.is_not_null())[0]
        raise ValueError(f"{bad!r} is not a number, written so that {example(how)}.")
    return numbers


def expression(text: pl.Expr, how: Notation) -> pl.Expr:
    """Return the expression that converts texts to numbers, with null for another notation."""
    if is_plain(how):
        return text.cast(pl.Float64, strict=False)
    written: pl.Expr = pl.when(text.str.contains(pattern(how.group, how.decimal or ".", how.mark))).then(text)
    for old, new in steps(how):
        written = written.str.replace_all(old, new)
    return written.cast(pl.Float64, strict=False)
