"""Texts that are numbers, but for a few words among them that stand for a missing value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule._extras import require

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

ENOUGH = 0.95  # of the values must be numbers
MOST_WORDS = 5  # different ones, such as "unknown", in place of numbers
FEWEST = 30  # different numbers: fewer are as well off as categories
FIRST = 1000  # values by which most columns of words are ruled out


def find(values: pl.Series, enough: float = ENOUGH) -> pl.Series | None:
    """Return texts as numbers, null where they are words; None if they are no numbers, or codes made of digits.

    >>> import polars as pl
    >>> find(pl.Series([*map(str, range(40)), "unknown"])).null_count()
    1
    >>> find(pl.Series([f"{i:05d}" for i in range(40)]))
    """
    polars = require("polars", "tables")
    texts = values.drop_nulls()
    if not texts.head(FIRST).cast(polars.Float64, strict=False).is_not_null().any():
        return None
    numbers = texts.cast(polars.Float64, strict=False)
    words = texts.filter(numbers.is_null())
    if len(words) > (1 - enough) * len(texts) or words.n_unique() > MOST_WORDS:
        return None
    return None if _codes(texts) or numbers.drop_nulls().n_unique() <= FEWEST else numbers


def _codes(texts: pl.Series) -> bool:
    """Say whether they are names that happen to be digits: 007, or a number of its own for every row."""
    own = texts.n_unique() == len(texts) and texts.str.contains(r"^\d+$").all()
    return bool(own or texts.str.contains(r"^[-+]?0\d").any())
