"""Data frames of others as polars'."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chainrule._extras import require
from chainrule.tables.kinds import normal

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any


def as_frame(given: Any) -> pl.DataFrame:
    """Return a polars DataFrame of a polars or pandas one, a dictionary of columns, or an Arrow table.

    >>> as_frame({"a": [1, 2]}).shape
    (2, 1)
    """
    pl = require("polars", "tables")
    if isinstance(given, pl.LazyFrame):
        given = given.collect()
    if isinstance(given, pl.DataFrame):
        frame = given
    elif isinstance(given, dict) or hasattr(given, "__dataframe__") or hasattr(given, "__arrow_c_stream__"):
        columns = given.columns if type(given).__module__.startswith("pandas") else ()
        if len(columns):  # column by column, which needs no pyarrow
            frame = pl.DataFrame({str(name): _series(pl, given[name]) for name in columns})
        else:
            frame = pl.DataFrame(given)
    else:
        raise TypeError(f"expected a file, or a data frame of polars or pandas, got {type(given).__name__}.")
    if not frame.width or not frame.height:
        raise ValueError(
            f"the data frame has {frame.height} rows and {frame.width} columns: there is nothing to learn."
        )
    check_names(frame.columns, "the data frame")
    return plain(frame)


def check_names(names: Iterable[str], source: str) -> None:
    """Refuse a name that polars takes for a pattern: with ``*`` or ``^a.*$`` it answers with other columns.

    >>> check_names(["^GSPC", "price*"], "prices.csv")
    >>> check_names(["a", "*"], "prices.csv")
    Traceback (most recent call last):
    ...
    ValueError: prices.csv has a column called '*', which polars takes for a pattern: rename it.
    """
    for name in names:
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise ValueError(f"{source} has a column called {name!r}, which polars takes for a pattern: rename it.")


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame whose columns are of the types that all else knows, and whose holes are null, not NaN.

    >>> import polars as pl
    >>> plain(pl.DataFrame({"x": [1.5, float("nan")], "c": pl.Series(["a", "b"], dtype=pl.Categorical)})).rows()
    [(1.5, 'a'), (None, 'b')]
    """
    pl = require("polars", "tables")
    known = (pl.String, pl.Boolean, pl.Int64, pl.Date, pl.Datetime("us"), pl.Null)
    changed = []
    for values in frame:
        if values.dtype in (pl.Float64, pl.Float32):
            if values.is_nan().any():
                changed.append(values.fill_nan(None))
        elif values.dtype not in known and not values.dtype.is_nested():
            changed.append(normal(values))
    return frame.with_columns(changed) if changed else frame


def _series(pl: Any, column: Any) -> Any:
    values = column.to_numpy()
    if values.dtype.kind in "OU" or str(column.dtype).startswith(("str", "string", "category", "object")):
        return pl.Series([None if value is None or value != value else value for value in column], strict=False)  # noqa: PLR0124
    return pl.Series(values)
