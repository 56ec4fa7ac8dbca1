"""Conversion of data frames and other tables in memory to polars."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.tables import kinds
from chainrule.tables._polars import pl

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def as_frame(given: Any) -> pl.DataFrame:
    """Return a polars DataFrame from one of polars or pandas, an Arrow table, a dict of columns, or a list of dicts.

    >>> as_frame({"a": [1, 2]}).shape, as_frame({"a": 1, "b": "x"}).shape, as_frame([{"a": 1}, {"a": 2}]).shape
    ((2, 1), (1, 2), (2, 1))
    """
    if isinstance(given, pl.LazyFrame):
        given = given.collect()
    if isinstance(given, dict) and given and all(np.ndim(value) == 0 for value in given.values()):
        given = [given]  # one row
    if isinstance(given, pl.DataFrame):
        frame = given
    elif isinstance(given, list | tuple) and given and all(isinstance(row, dict) for row in given):
        frame = pl.DataFrame([dict(row) for row in given], infer_schema_length=None)
    elif isinstance(given, dict) or hasattr(given, "__dataframe__") or hasattr(given, "__arrow_c_stream__"):
        if type(given).__module__.startswith("pandas"):  # column by column, which needs no pyarrow
            names = [str(name) for name in given.columns]
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(f"the data frame has duplicate column names ({twice[0]!r}): rename one.")
            frame = pl.DataFrame({name: _series(given.iloc[:, i]) for i, name in enumerate(names)})
        else:
            frame = pl.DataFrame(given)
    else:
        raise TypeError(f"expected a file, or a polars or pandas data frame, got {type(given).__name__}.")
    if not frame.width or not frame.height:
        raise ValueError(f"the data frame has {frame.height} rows and {frame.width} columns: expected some of both.")
    check_names(frame.columns, "the data frame")
    others = [values.name for values in frame if values.dtype == pl.Object]  # periods of pandas, fractions, ...
    texts = [pl.Series(name, [None if v is None else str(v) for v in frame[name]], dtype=pl.String) for name in others]
    return plain(frame.with_columns(texts))


def check_names(names: Iterable[str], source: str) -> None:
    """Refuse a name that polars interprets as a pattern: ``*`` or ``^a.*$`` selects other columns.

    >>> check_names(["^GSPC", "price*"], "prices.csv")
    >>> check_names(["a", "*"], "prices.csv")
    Traceback (most recent call last):
    ...
    ValueError: prices.csv has a column called '*', which polars interprets as a pattern: rename it.
    """
    for name in names:
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise ValueError(f"{source} has a column called {name!r}, which polars interprets as a pattern: rename it.")


def digest(frame: pl.DataFrame) -> str:
    """Return the SHA-256 digest of the rows of a frame."""
    file = io.BytesIO()
    frame.write_ipc(file)
    return hashlib.sha256(file.getbuffer()).hexdigest()


def without(frame: Any, words: Sequence[str]) -> Any:
    """Return a frame of polars, lazy or not, with null for words that stand for missing values, and for such numbers.

    >>> import polars as pl
    >>> without(pl.DataFrame({"x": [1, -999], "c": ["a", "none given"]}), ["-999", "none given"]).rows()
    [(1, 'a'), (None, None)]
    """
    if not words:
        return frame
    texts, values = pl.selectors.string(), pl.selectors.numeric()
    numbers = [float(word) for word in words if NUMBER.fullmatch(word)]
    made = [pl.when(texts.is_in([*words])).then(None).otherwise(texts).name.keep()]
    made += (
        [pl.when(values.cast(pl.Float64).is_in(numbers)).then(None).otherwise(values).name.keep()] if numbers else []
    )
    return frame.with_columns(made)


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame of plain columns (see :func:`chainrule.tables.kinds.plain`), or the same frame.

    >>> import polars as pl
    >>> plain(pl.DataFrame({"x": [1.5, float("nan")], "c": pl.Series(["a", "b"], dtype=pl.Categorical)})).rows()
    [(1.5, 'a'), (None, 'b')]
    """
    changed = [made for values in frame if (made := kinds.plain(values)) is not values]
    return frame.with_columns(changed) if changed else frame


def _series(column: Any) -> Any:
    """Return a column of pandas with null for its missing values: None, NaN, NaT and NA."""
    values = column.to_numpy()
    if values.dtype.kind not in "OU" and isinstance(column.dtype, np.dtype):
        return pl.Series(values)
    there = column.notna().to_numpy()
    return pl.Series([value if here else None for value, here in zip(column, there, strict=True)], strict=False)
