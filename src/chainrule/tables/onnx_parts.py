"""The steps of a preparation in ONNX operators, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.onnx.graph import CODES, ML, Graph
from chainrule.onnx.tabular import joined
from chainrule.tables.formats import HOLE
from chainrule.tables.schema import Column
from chainrule.tables.serving.steps import (
    DAY,
    PERIODS,
    Dates,
    Filled,
    Lookup,
    Missing,
    Numbers,
    Squashed,
    Step,
)

NUMBERS = ("number", "whole", "boolean")
LARGEST = 2**53


def takes_number(column: Column) -> bool:
    """Return whether the input of a column is float64, with NaN for missing; else it is text, empty for missing."""
    return column.kind in ("number", "date") or column.read_as in NUMBERS


def added(graph: Graph, step: Step, columns: Mapping[str, Column]) -> str:
    """Add a step of the preparation, and return the name of its inputs."""
    if isinstance(step, Lookup):
        return _lookup(graph, columns[step.columns[0]], step.keys, step.table)
    if isinstance(step, Filled):  # yes or no
        tables = [np.array([[0.0], [1.0], [value]]) for value in step.values]
        flags = [columns[name] for name in step.columns]
        return joined(graph, [_lookup(graph, c, c.categories, table) for c, table in zip(flags, tables, strict=True)])
    if isinstance(step, Dates):
        dates = [dated(graph, parts, x) for parts, x in zip(step.parts, step.columns, strict=True)]
        x = joined(graph, dates)
        return squashed(graph, x, step.center, step.factor, step.most) if len(step.center) else x
    if isinstance(step, Numbers):
        table = np.array([[0.0], [1.0], [np.nan]])
        of = [columns[name] for name in step.columns]
        return joined(graph, [_lookup(graph, c, c.categories, table) if c.kind == "yes/no" else c.name for c in of])
    x = joined(graph, step.columns)
    if isinstance(step, Missing):
        return graph.node("Cast", graph.node("IsNaN", x), to="float64")
    if not isinstance(step, Squashed):
        raise TypeError(f"onnx: the step {type(step).__name__} has no converter.")
    return squashed(graph, x, step.center, step.factor, step.most)


def squashed(graph: Graph, x: str, center: Array, factor: Array, most: float) -> str:
    """Add what :class:`~chainrule.tables.serving.steps.Squashed` computes."""
    z = graph.node("Mul", graph.node("Sub", x, center), factor)
    part = graph.node("Div", z, np.array(most))
    root = graph.node("Sqrt", graph.node("Add", graph.node("Mul", part, part), np.array(1.0)))
    end = graph.node("Mul", graph.node("Sign", x), np.array(most))
    y = graph.node("Where", graph.node("IsInf", x), end, graph.node("Div", z, root))
    return graph.node("Where", graph.node("IsNaN", y), np.array(0.0), y)


def _lookup(graph: Graph, column: Column, known: Sequence[str], table: Array) -> str:
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
        "LabelEncoder", column.name, domain=ML, keys_tensor=_tensor(values), values_tensor=_tensor(np.array(rows)),
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


def dated(graph: Graph, wanted: Sequence[str], x: str) -> str:
    """Add parts of a date, given in seconds since 1970: see :func:`~chainrule.tables.serving.steps.dated`.

    Source: Hinnant, "chrono-compatible low-level date algorithms" (2013), ``civil_from_days``.
    """
    parts = _calendar(graph, x)
    plain, round_ = [], []
    for feature in wanted:
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
