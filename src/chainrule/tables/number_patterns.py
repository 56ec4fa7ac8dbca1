"""Patterns of numbers in a notation, and how these become numbers that every parser reads."""

from __future__ import annotations

from dataclasses import replace

from chainrule.tables.formats import GROUPS, Notation

MINUS = "[-\u2212\u2013]"  # typed and typographic
SIGN = rf"(?:\+|{MINUS})?"


def is_plain(how: Notation) -> bool:
    """Return whether every parser of numbers reads this notation."""
    return how in (Notation(), Notation("."))


def informed(how: Notation, decimal: str) -> Notation:
    """Return a notation with the decimal mark of the file if no value of the column has one."""
    return how if how.decimal else replace(how, decimal=decimal)


def example(how: Notation) -> str:
    """Return a number in a notation, and its value.

    >>> example(Notation(".", ",", "$")), example(Notation(","))
    ('$1,234 is 1234', '12,5 is 12.5')
    """
    number = f"1{how.group}234" if how.group else f"12{how.decimal or '.'}5"
    marked = f"{number} %" if how.mark == "%" else f"{how.mark}{number}"
    return f"{marked} is {'1234' if how.group else '12.5'}"


def pattern(group: str, point: str, mark: str = "") -> str:
    """Return the pattern of a number, as -1, 1- or (1), with a mark before or after it."""
    # 079 123 456 is a phone number
    digits = rf"(?:[1-9][0-9]{{0,2}}(?:[{GROUPS[group]}][0-9]{{3}})+|[0-9]+)" if group else "[0-9]+"
    number = rf"(?:{digits}(?:[{point}][0-9]*)?|[{point}][0-9]+)(?:[eE][-+]?[0-9]+)?"
    forms = ["[-+]?[iI]nf(?:inity)?"]
    for before, after in ((rf"[{mark}]\s*", ""), ("", rf"\s*[{mark}]")) if mark else (("", ""),):
        forms += [
            rf"{SIGN}\s*{before}{SIGN}{number}{after}",
            rf"{before}{number}{MINUS}{after}", rf"{before}{number}{after}{MINUS}",
            rf"{before}\({number}\){after}", rf"\({before}{number}{after}\)",
        ]  # fmt: skip
    return f"^(?:{'|'.join(dict.fromkeys(forms))})$"


def steps(how: Notation) -> list[tuple[str, str]]:
    """Return patterns and what replaces them, one after another, in a text that matches :func:`pattern`."""
    group = [(f"[{GROUPS[how.group]}]", "")] if how.group.strip() else []
    minus = [(r"\((.*)\)", "-$1"), (f"^(.*){MINUS}$", "-$1"), (MINUS, "-")]
    point = [("[,]", ".")] if how.decimal == "," else []
    return [(r"[\s+\p{Sc}%]", ""), *group, *minus, *point]
