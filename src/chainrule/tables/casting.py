"""Conversion of frames as read to frames as the pipeline takes them: numbers, and strings without missing values.

Each step is a polars expression, and the same expression as Python code for ``--print-python``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chainrule.tables import dates, quantities
from chainrule.tables._polars import pl
from chainrule.tables.formats import HOLE
from chainrule.tables.number_patterns import is_plain
from chainrule.tables.schema import Column


def cast(frame: Any, columns: Iterable[Column]) -> pl.DataFrame:
    """Return the input columns of the network as the pipeline takes them.

    >>> import polars as pl
    >>> smoker = Column("smoker", "yes/no", "text", categories=("no", "yes"))
    >>> cast(pl.DataFrame({"smoker": ["yes", "no", None]}), [smoker])["smoker"].to_list()
    [1.0, 0.0, None]
    """
    used = [column for column in columns if column.used]
    names = [column.name for column in used]
    frame = frame.select(names)
    types = frame.schema  # computed at each access
    texts = {name for name, kind in types.items() if kind == pl.String}
    numbers = [column.name for column in used if column.kind == "number" and column.name not in texts]
    rest = [_expression(column, types[column.name]) for column in used if column.kind != "number"]
    # words among numbers are missing values: checking.py refuses those not seen in training
    written = [
        quantities.expression(pl.col(column.name), column.notation).alias(column.name)
        for column in used
        if column.kind == "number" and column.name in texts
    ]
    return frame.with_columns(pl.col(numbers).cast(pl.Float64, strict=False), *written, *rest)


def _expression(column: Column, dtype: Any) -> pl.Expr:
    values = pl.col(column.name)
    if column.kind == "date":
        if column.date_format is None or dtype.is_temporal():
            return dates.clock(values, dtype, column.notation.zone)
        return dates.to_dates(values, column.date_format, dtype)
    if column.read_as == "whole":
        values = values.fill_nan(None).cast(pl.Int64)  # 1 and 1.0 are one category
    if column.kind == "yes/no":
        table = dict(zip(column.categories, (0.0, 1.0), strict=True))
        return values.cast(pl.String).replace_strict(table, default=None, return_dtype=pl.Float64)
    return values.cast(pl.String).fill_null("" if column.kind == "text" else HOLE)


def code(columns: Iterable[Column], types: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the expressions as Python code, with NAMES for their columns, and these columns.

    ``types`` are those of the frame; code for a column without a type fits any file.
    """
    alike: dict[str, list[str]] = {}
    for column in columns:
        if column.used:
            alike.setdefault(_template(column, types.get(column.name)), []).append(column.name)
    return [*alike.items()]


def _template(column: Column, dtype: Any) -> str:
    if column.kind == "number":
        if column.read_as != "text":
            return "pl.col(NAMES).cast(pl.Float64)"
        plain = "pl.col(NAMES).cast(pl.Float64, strict=False)"
        return plain if is_plain(column.notation) else quantities.code(column.name, column.notation)
    if column.kind == "date":
        given = column.date_format
        return dates.code(column.name, given, dtype) if given else dates.clock_code(dtype, column.notation.zone)
    whole = ""
    if column.read_as == "whole" and (dtype is None or not dtype.is_integer()):
        whole = ".cast(pl.Float64).fill_nan(None).cast(pl.Int64)"
    text = f"{whole}.cast(pl.String)" if dtype != pl.String else ""
    if column.kind != "yes/no":
        return f"pl.col(NAMES){text}.fill_null({('' if column.kind == 'text' else HOLE)!r})"
    if dtype == pl.Boolean or (dtype is not None and dtype.is_integer() and column.categories == ("0", "1")):
        return "pl.col(NAMES).cast(pl.Float64)"
    table = dict(zip(column.categories, (0.0, 1.0), strict=True))
    return f"pl.col(NAMES){text}.replace_strict({table}, default=None)"
