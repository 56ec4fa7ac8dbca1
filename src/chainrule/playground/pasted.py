"""Data that come from the page: points drawn by hand, and a CSV text."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.playground import bounds
from chainrule.playground.bounds import RefusedError


class Table(NamedTuple):
    """Rows and targets: class numbers with ``classes``, or else numbers; ``left_out`` has the columns without use."""

    X: Array
    t: Array
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def from_points(points: Sequence[Sequence[float]], regression: bool = False) -> Table:
    """Return the table of points (x, class) or (x, y, class), or with a number to predict in place of the class."""
    if len(points) < 4 or len({len(point) for point in points}) != 1:
        raise RefusedError("data.points", "data.points: expected at least 4 points of the same length.")
    array = np.array(points)
    X, names = array[:, :-1].astype("float32"), ("x", "y")[: array.shape[1] - 1]
    if regression:
        return Table(X, array[:, -1].astype("float32"), names)
    t = array[:, -1].astype("int64")
    return Table(X, t, names, tuple(f"class {k}" for k in range(max(2, int(t.max()) + 1))))


def from_csv(text: str, columns: Sequence[str], target: str) -> Table:
    """Return the table of a CSV text: numbers as inputs, and a target of numbers or classes.

    Without ``columns``, the inputs are those that have a number in every row.
    """
    head, rows = _parsed(text)
    target = target or head[-1]
    names = list(columns) or [name for name in head if name != target]
    for name in (*names, target):
        if name not in head:
            raise RefusedError("data.csv", f"data.csv: there is no column {name!r}. Columns: {', '.join(head[:20])}.")
    if target in names or not names:
        raise RefusedError("data.csv", f"data.csv: expected input columns other than the target {target!r}.")
    cells = dict(zip(head, zip(*rows, strict=True), strict=True))
    inputs: dict[str, Array] = {}
    refused: list[RefusedError] = []
    for name in names:
        try:
            inputs[name] = _numbers(name, cells[name])
        except RefusedError as error:
            refused.append(error)
    if refused and (columns or not inputs):
        raise refused[0]
    t, classes = _target(target, cells[target])
    left_out = tuple(name for name in names if name not in inputs)
    return Table(np.array([*inputs.values()]).T.astype("float32"), t, tuple(inputs), classes, left_out)


def _parsed(text: str) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns, and the rows."""
    about = "data.csv"
    if text.count("\n") > bounds.SAMPLES + 1:
        raise RefusedError(
            about, f"{about}: {text.count(chr(10)):,} lines: the playground takes at most {bounds.SAMPLES:,} rows. "
            "chainrule train takes any number.",
        )  # fmt: skip
    try:
        first = text.split("\n", 1)[0]
        separator = max(",;\t", key=first.count)
        head, *rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    except (csv.Error, ValueError) as error:
        raise RefusedError(about, f"{about}: not a CSV text with a line of column names: {error}.") from None
    head = [name.strip() for name in head]
    if len(set(head)) != len(head) or not 2 <= len(head) <= bounds.COLUMNS:
        raise RefusedError(about, f"{about}: expected 2 to {bounds.COLUMNS} different column names, got {head[:20]}.")
    for i, row in enumerate(rows):
        if len(row) != len(head):
            raise RefusedError(about, f"{about}: row {i + 1} has {len(row)} cells, the line of names has {len(head)}.")
    if len(rows) < 4:
        raise RefusedError(about, f"{about}: expected at least 4 rows, got {len(rows)}.")
    return head, rows


def _numbers(name: str, cells: Sequence[str]) -> Array:
    values = np.empty(len(cells))
    for i, cell in enumerate(cells):
        try:
            values[i] = float(cell)
        except ValueError:
            values[i] = math.nan
        if not abs(values[i]) < 1e30:
            raise RefusedError(
                "data.csv", f"data.csv: row {i + 1}, column {name!r}: {cell[:80]!r} is not a number. Leave the column "
                "out, or use chainrule train, which takes text, dates and missing values.",
            )  # fmt: skip
    return values


def _target(name: str, cells: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """Return t and the classes, which are few different values; or numbers, and none."""
    try:
        values = _numbers(name, cells)
    except RefusedError:
        values = np.empty(0)
    found = sorted(set(cells))
    if values.size and not (len(found) <= bounds.NUMBERS and (values == values.round()).all()):
        return values.astype("float32"), ()
    if values.size:
        found = sorted(found, key=float)
    if not 2 <= len(found) <= bounds.CLASSES:
        raise RefusedError(
            "data.csv", f"data.csv: the target {name!r} has {len(found)} different values: expected numbers, or 2 to "
            f"{bounds.CLASSES} classes.",
        )  # fmt: skip
    number = {value: k for k, value in enumerate(found)}
    return np.array([number[cell] for cell in cells]), tuple(found)
