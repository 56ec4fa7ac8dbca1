"""The preparation of columns in ONNX operators, in float64: a function for each type of column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import FunctionTransformer

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.onnx.graph import CODES, ML, Graph
from chainrule.tables._polars import pl
from chainrule.tables.formats import HOLE
from chainrule.tables.predicting import first_step
from chainrule.tables.schema import Column

NUMBERS = ("number", "whole", "boolean")
NONE_OF_THEM = "\0"  # text that is not a category
PERIODS = {"month": 12.0, "day": 30.0, "hour": 24.0, "weekday": 7.0}  # in skrub's DatetimeEncoder
DAY = 86400.0
LARGEST = 2**53


def takes_number(column: Column) -> bool:
    """Return whether the input of a column is float64, with NaN for missing; else it is text, empty for missing."""
    return column.kind in ("number", "date") or column.read_as in NUMBERS


def scaled(graph: Graph, scaler: Any, x: str) -> str:
    """Add a SquashingScaler: (x − center) / scale, then z / √(1 + (z / B)²); ±∞ becomes ±B, and NaN stays."""
    most = np.array(float(scaler.max_absolute_value))
    center, scale = np.zeros(len(scaler.robust_cols_)), np.full(len(scaler.robust_cols_), np.inf)  # x / ∞ = 0
    if scaler.robust_scaler_ is not None:
        center[scaler.robust_cols_] = scaler.robust_scaler_.center_
        scale[scaler.robust_cols_] = scaler.robust_scaler_.scale_
    if scaler.minmax_scaler_ is not None:
        center[scaler.minmax_cols_] = scaler.minmax_scaler_.median_
        scale[scaler.minmax_cols_] = 1 / scaler.minmax_scaler_.scale_
    z = graph.node("Div", graph.node("Sub", x, center), scale)
    part = graph.node("Div", z, most)
    root = graph.node("Sqrt", graph.node("Add", graph.node("Mul", part, part), np.array(1.0)))
    end = graph.node("Mul", graph.node("Sign", x), most)
    return graph.node("Where", graph.node("IsInf", x), end, graph.node("Div", z, root))


def filled(graph: Graph, x: str) -> str:
    """Add an imputer of 0, the scaled median."""
    return graph.node("Where", graph.node("IsNaN", x), np.array(0.0), x)


def indicator(graph: Graph, x: str) -> str:
    """Add a MissingIndicator."""
    return graph.node("Cast", graph.node("IsNaN", x), to="float64")


def looked_up(graph: Graph, fitted: Any, columns: Sequence[Column], inputs: Sequence[str]) -> list[str]:
    """Add a transformer of columns with finitely many values, as a table of its outputs for each value.

    The transformer itself computes the table, so it is correct for every encoder and its options.
    """
    keys = [_keys(fitted, column, i) for i, column in enumerate(columns)]
    tables = _tables(fitted, columns, keys)
    return [
        _lookup(graph, column, x, known, table)
        for column, x, known, table in zip(columns, inputs, keys, tables, strict=True)
    ]


def _keys(fitted: Any, column: Column, i: int) -> list[str]:
    """Return the values that a transformer knows, as text."""
    if column.kind == "yes/no":
        return list(column.categories)
    return [str(value) for value in first_step(fitted).categories_[i]]


def _tables(fitted: Any, columns: Sequence[Column], keys: Sequence[Sequence[str]]) -> list[Array]:
    """Return for each column the outputs for its values, and last for any other: (values + 1, outputs)."""
    rows = 1 + max(map(len, keys))
    given: dict[str, Any] = {}
    for column, known in zip(columns, keys, strict=True):
        if column.kind == "yes/no":
            given[column.name] = pl.Series([0.0, 1.0] + [None] * (rows - 2), dtype=pl.Float64)
        else:
            given[column.name] = [*known, *[NONE_OF_THEM] * (rows - len(known))]
    values = pl.DataFrame(given)
    unchanged = isinstance(fitted, FunctionTransformer)
    made = np.asarray(values if unchanged else fitted.transform(values), np.float64)
    ends = np.cumsum(_widths(fitted, columns, made.shape[1]))[:-1]
    parts = np.split(made, ends, axis=1)
    return [np.ascontiguousarray(part[[*range(len(known)), -1]]) for part, known in zip(parts, keys, strict=True)]


def _widths(fitted: Any, columns: Sequence[Column], total: int) -> list[int]:
    """Return the number of outputs of each column."""
    if columns[0].kind != "category":
        return [total // len(columns)] * len(columns)
    rare = fitted.infrequent_categories_
    return [
        len(known) - (0 if few is None else max(0, len(few) - 1))
        for known, few in zip(fitted.categories_, rare, strict=True)
    ]


def _lookup(graph: Graph, column: Column, x: str, known: Sequence[str], table: Array) -> str:
    keys, rows = list(known), list(range(len(known)))
    missing = keys.index(HOLE) if HOLE in keys else len(keys)
    if takes_number(column):
        numbers = [(_number(key), row) for key, row in zip(keys, rows, strict=True) if key != HOLE]
        values = np.array([*(number for number, _ in numbers), np.nan])
        rows = [*(row for _, row in numbers), missing]
    else:
        if "" not in keys:
            keys, rows = [*keys, ""], [*rows, missing]
        values = np.array(keys, dtype=object)
    index = graph.node(
        "LabelEncoder", x, domain=ML, keys_tensor=_tensor(values), values_tensor=_tensor(np.array(rows)),
        default_tensor=_tensor(np.array([len(known)])),
    )  # fmt: skip
    found = graph.node("Gather", graph.array("table", table), index, axis=0)
    return graph.node("Reshape", found, np.array([-1, table.shape[1]]))


def _number(text: str) -> float:
    """Return a numeric or boolean category as a number."""
    value = {"false": 0.0, "true": 1.0}[text] if text in ("false", "true") else float(text)
    if abs(value) >= LARGEST:
        raise ValueError(f"its numbers are float64, which cannot represent every category, such as {text}.")
    return value


def _tensor(values: Array) -> Any:
    return require("onnx", "onnx").numpy_helper.from_array(values)


def dated(graph: Graph, encoder: Any, x: str) -> str:
    """Add a DatetimeEncoder of seconds since 1970: the year, the month and so on, periodic parts as circles.

    Source: Hinnant, "chrono-compatible low-level date algorithms" (2013), ``civil_from_days``.
    """
    parts = _calendar(graph, x)
    plain, round_ = [], []
    for feature in encoder.extracted_features_:
        if feature in PERIODS:
            angle = graph.node("Mul", parts[feature], np.array(2 * np.pi / PERIODS[feature]))
            round_ += [graph.node("Sin", angle), graph.node("Cos", angle)]
        else:
            rounded = graph.node("Cast", parts[feature], to="float32")  # as the encoder does
            plain.append(graph.node("Cast", rounded, to="float64"))
    return graph.node("Concat", *plain, *round_, axis=1)


def _calendar(graph: Graph, seconds: str) -> dict[str, str]:
    def do(op: str, a: str, b: float) -> str:
        return graph.node(op, a, np.array(float(b)))

    def over(a: str, b: float) -> str:
        return graph.node("Floor", do("Div", a, b))

    def less(a: str, b: str) -> str:
        return graph.node("Sub", a, b)

    days = over(seconds, DAY)
    hour = over(less(seconds, do("Mul", days, DAY)), 3600)
    since_monday = do("Add", days, 3)  # 1 January 1970 was a Thursday
    weekday = do("Add", less(since_monday, do("Mul", over(since_monday, 7), 7)), 1)
    z = do("Add", days, 719468)  # days since 1 March of the year 0, so that a leap day ends a year
    era = over(z, 146097)
    of_era = less(z, do("Mul", era, 146097))
    leaps = graph.node("Add", less(over(of_era, 36524), over(of_era, 1460)), do("Mul", over(of_era, 146096), -1))
    year = over(graph.node("Add", of_era, leaps), 365)
    before = graph.node("Add", do("Mul", year, 365), less(over(year, 4), over(year, 100)))
    of_year = less(of_era, before)
    march = over(do("Add", do("Mul", of_year, 5), 2), 153)  # months since March
    day = do("Add", less(of_year, over(do("Add", do("Mul", march, 153), 2), 5)), 1)
    late = graph.node("Cast", do("GreaterOrEqual", march, 10), to=CODES["float64"])
    month = less(do("Add", march, 3), do("Mul", late, 12))
    year = graph.node("Add", graph.node("Add", year, do("Mul", era, 400)), late)
    return {
        "year": year, "month": month, "day": day, "hour": hour, "weekday": weekday, "total_seconds": seconds,
    }  # fmt: skip
