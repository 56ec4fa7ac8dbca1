"""Columns of numbers stored as text, with a few words for missing values among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from chainrule.pages.formatting import rows as counted
from chainrule.tables import notation
from chainrule.tables._polars import pl
from chainrule.tables.formats import MISSING, Notation

ENOUGH = 0.95  # of the values must be numbers
ENOUGH_BESIDE_ONE = 0.9  # if all other values are the same word
MOST_WORDS = 5  # distinct words, such as "unknown", in place of numbers
FEWEST = 30  # distinct numbers: fewer do as well as categories
FEWEST_PLAIN = 3  # distinct numbers, if all words among them stand for missing values
FEW_CLASSES = 10  # distinct numbers in a target: up to this many, a word among them is a class
FIRST = 1000  # values that rule out most columns of words


class Numbers(NamedTuple):
    """Texts as numbers, with null for words, and their notation."""

    values: pl.Series
    notation: Notation


def find(values: pl.Series, enough: float | None = None, decimal: str = "") -> Numbers | None:
    """Return texts as numbers; None if they are not numbers, or are codes made of digits.

    >>> import polars as pl
    >>> find(pl.Series([*map(str, range(40)), "unknown"])).values.null_count()
    1
    >>> find(pl.Series([f"{i:05d}" for i in range(40)]))
    >>> find(pl.Series(["1,5", "2,5", "3,5"] * 4 + ["-"])).notation.decimal
    ','
    """
    texts = values.drop_nulls()
    if not texts.head(FIRST).str.contains("[0-9]").any():
        return None
    how = written(texts, decimal)
    numbers = notation.read(values, how, strict=False)
    words = values.filter(numbers.is_null() & values.is_not_null())
    different = words.n_unique()
    least = enough if enough is not None else ENOUGH_BESIDE_ONE if different == 1 else ENOUGH
    if len(words) > (1 - least) * len(texts) + 1e-9 or different > MOST_WORDS:
        return None
    told = how.mark or how.group or how.decimal == "," or (different and words.str.to_lowercase().is_in(MISSING).all())
    fewest = FEWEST_PLAIN if told else FEWEST + 1
    return None if _codes(texts) or numbers.drop_nulls().n_unique() < fewest else Numbers(numbers, how)


def written(texts: pl.Series, decimal: str = "") -> Notation:
    """Return the notation of the numbers among texts, or the plain one if they have no common notation."""
    return notation.find(texts.filter(texts.str.contains("[0-9]")), decimal) or Notation()


def known(values: pl.Series, decimal: str = "") -> tuple[pl.Series | None, pl.Series]:
    """Return a target as numbers, and its other words; None for the numbers if the words are not missing values.

    >>> import polars as pl
    >>> numbers, words = known(pl.Series("y", [f"{i}.5" for i in range(12)] + ["#DIV/0!"]))
    >>> numbers.null_count(), words.to_list()
    (1, ['#DIV/0!'])
    """
    found = find(values, decimal=decimal)
    if found is None:
        return None, values.clear()
    numbers = found.values
    words = values.filter(numbers.is_null() & values.is_not_null())
    fine = len(words) and numbers.n_unique() > FEW_CLASSES and words.str.to_lowercase().is_in(MISSING).all()
    return (numbers if fine else None), words


def known_in(frame: Any, names: Iterable[str], decimal: str = "") -> tuple[Any, list[str]]:
    """Return a frame with the numbers of :func:`known` in these columns, and a note on each."""
    notes = []
    for name in names:
        if name in frame.columns and frame[name].dtype == pl.String:
            numbers, words = known(frame[name], decimal)
            if numbers is not None:
                frame = frame.with_columns(numbers)
                notes.append(f"{name!r}: {words[0]!r} in {counted(len(words))} treated as missing")
    return frame, notes


def _codes(texts: pl.Series) -> bool:
    """Return whether texts are names made of digits: 007, or another integer in every row."""
    own = texts.n_unique() == len(texts) and texts.str.contains(r"^\d+$").all()
    return bool(own or texts.str.contains(r"^[-+]?0\d").any())
