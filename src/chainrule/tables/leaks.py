"""Columns that give the target away: they make a network look good that will be useless."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.schema import Column, Schema

TOO_ALIKE = 0.999  # |correlation| of the values or of their ranks with a target that is a number
EXPLAINED = 0.95  # of a number's variance, by the means of the other rows with the same category
FEW = 30  # values of a number that are looked at one by one
SURE = 50  # rows from which it is no chance that a threshold parts the classes
OFTEN = 5  # rows of each category on average, to be judged by them
MOST = 10_000  # columns that are compared
FIRST = 1000  # rows by which most columns are ruled out
CHANCE = 1e-6  # that all rows that have a value, or none, are of one class
PARTED = 0.95  # of the rows of each class, on average, that are known by whether there is a value
TOO_GOOD, WELL_BALANCED, TOO_CLOSE, EXACT = 0.995, 0.99, 0.999, 1 - 1e-9  # of accuracies; of R²


def find(frame: Any, schema: Schema, y: Array) -> tuple[str, ...]:
    """Return a warning for each column that is a copy of the target, or as good as one.

    Of classes: each value of the column comes with one class only, and there are few values; or thresholds part the
    numbers of each class from those of the others. Of numbers: the correlation, or that of the ranks, is 1 but for
    rounding; or a category says which number it is. Of all: whether the column has a value says what the target is.

    >>> import polars as pl
    >>> from chainrule.tables.schema import Column
    >>> frame = pl.DataFrame({"paid": ["y", "n"] * 20, "left": ["no", "yes"] * 20})
    >>> paid, left = (Column(name, "yes/no", "text") for name in frame.columns)
    >>> schema = Schema((paid,), (left,), "binary", ("no", "yes"))
    >>> find(frame, schema, frame["left"].to_numpy())[0][:51]
    "the column 'paid' tells the target 'left' by itself"
    """
    names = [column.name for column in schema.targets]
    each = [y]
    if schema.task == "multilabel":
        each = [np.array(c.categories)[labels] for c, labels in zip(schema.targets, y.T, strict=True)]
    return tuple(
        f"{said}: is it known before the target is? If not: --drop {column.name!r}."
        for column, said in _found(frame, schema, list(zip(names, each, strict=True)))
    )


def too_good(schema: Schema, scores: Mapping[str, Mapping[str, float]], rows: int) -> tuple[str, ...]:
    """Return a warning where a model, the network or a simpler one, is better on held-out rows than most truths allow.

    >>> schema = Schema((), (Column("total", "number"),), "regression")
    >>> too_good(schema, {"network": {"R²": 0.98}, "linear model": {"R²": 1.0}}, rows=100)[0]  # doctest: +ELLIPSIS
    "the linear model gives 'total' exactly: a formula of the columns, which needs no network. Are all of them ..."
    """
    if rows < SURE:
        return ()
    if schema.task == "regression":
        exact, measure, least = EXACT, "R²", TOO_CLOSE
    else:
        exact, measure, least = math.inf, "accuracy", TOO_GOOD
    best = max(scores, key=lambda name: scores[name].get(measure, -math.inf))
    value = scores[best].get(measure, -math.inf)
    if scores.get("linear model", {}).get(measure, -math.inf) > exact:
        said = f"the linear model gives {schema.target!r} exactly: a formula of the columns, which needs no network."
        return (f"{said} Are all of them known before the target is?",)
    other = {"multilabel": "macro F1", "regression": "R²"}.get(schema.task, "balanced accuracy")
    if not value >= least or not scores[best].get(other, 0.0) >= WELL_BALANCED:
        return ()
    said = f"the {measure} of the {best} on held-out rows is {value:.4f}, which is too good to be true of most tables:"
    return (
        f"{said} is a column known only after {schema.target!r}, or computed from it, or are rows in the table twice?",
    )


def _found(frame: Any, schema: Schema, each: list[tuple[str, Array]]) -> Iterator[tuple[Column, str]]:
    """Yield the columns that give a target away, and what is to be said of each."""
    step = max(1, frame.height // FIRST)
    few = frame.gather_every(step)
    for column in schema.used[:MOST]:
        for target, y in each:
            if _gives_away(few, column, schema, y[::step]) and (step == 1 or _gives_away(frame, column, schema, y)):
                yield column, f"the column {column.name!r} tells the target {target!r} by itself"
            elif column.missing and (said := _by_its_holes(frame[column.name], column, y)):
                yield column, f"the column {column.name!r} {said.format(repr(target))}"
            else:
                continue
            break


def _gives_away(frame: Any, column: Column, schema: Schema, y: Array) -> bool:
    if column.kind not in ("yes/no", "category", "many", "number"):
        return False
    x = cast(frame, [column])[column.name] if column.kind == "number" else frame[column.name]
    if schema.task == "regression":
        return _same_numbers(x.to_numpy(), y) if column.kind == "number" else _tells_number(x, y)
    pairs = pl.DataFrame({"x": x, "y": np.asarray(y).astype(str)}).drop_nulls()
    if pairs.height < 0.9 * frame.height or not _no_ties(pairs):
        return False
    if column.kind == "many":
        return pairs.height >= OFTEN * pairs["x"].n_unique()
    if column.kind != "number" or column.distinct <= FEW:
        return True
    runs = pairs.sort("x")["y"].rle_id().n_unique()
    return pairs.height >= SURE and bool(runs == pairs["y"].n_unique())


def _same_numbers(x: Array, y: Array) -> bool:
    """Say whether one is a straight line of the other, or one rises with the other throughout."""
    both = np.isfinite(x)
    x, y = x[both], y[both]
    if len(x) < 10 or x.std() == 0 or y.std() == 0:
        return False
    pairs = ((x, y), (_ranks(x), _ranks(y)))
    return any(abs(float(np.corrcoef(*pair)[0, 1])) > TOO_ALIKE for pair in pairs)


def _tells_number(x: pl.Series, y: Array) -> bool:
    """Say whether a row's number is nearly the mean of the other rows with its category.

    With n rows of a category, the mean of the others is off by n / (n − 1) times what that of all of them is.
    """
    size = float(np.abs(y).max()) or 1.0  # so that no square is too large for a number
    pairs = pl.DataFrame({"x": x, "y": y / size}).drop_nulls()
    pairs = pairs.with_columns(n=pl.len().over("x"), mean=pl.col("y").mean().over("x")).filter(pl.col("n") > 1)
    if pairs.height < max(10, 0.9 * len(y)) or pairs.height < OFTEN * pairs["x"].n_unique():
        return False
    of, n, mean = (pairs[name].to_numpy() for name in ("y", "n", "mean"))
    off, spread = float(np.square((of - mean) * n / (n - 1)).sum()), float(np.square(of - of.mean()).sum())
    return spread > 0 and off <= (1 - EXPLAINED) * spread


def _by_its_holes(values: pl.Series, column: Column, y: Array) -> str:
    """Return what whether there is a value says of the target, or nothing."""
    hole = values.is_null()
    if column.holes:
        hole = hole | values.cast(pl.String, strict=False).is_in(list(column.holes))
    if values.dtype.is_float():
        hole = hole | values.is_nan()
    filled = ~hole.fill_null(value=True).to_numpy()
    count = int(filled.sum())
    if not count or count == len(y):
        return ""
    if y.dtype.kind == "f":
        return _parts_numbers(filled, y)
    classes, which = np.unique(y, return_inverse=True)
    for side, said in ((filled, "has a value"), (~filled, "is missing")):
        of = np.bincount(which[side], minlength=len(classes))
        first = int(of.argmax())
        share = float((which == first).mean())
        if of[first] == of.sum() and of[first] * math.log(share) <= math.log(CHANCE):
            return f"{said} only where {{}} is {str(classes[first])!r}"
    inside = [which == i for i in range(len(classes))]
    parted = [float(filled[rows].mean() + (~filled[~rows]).mean()) / 2 for rows in inside]
    most, least = int(np.argmax(parted)), int(np.argmin(parted))
    if len(y) < SURE or max(parted[most], 1 - parted[least]) < PARTED:
        return ""
    first, said = (most, "has a value") if parted[most] >= PARTED else (least, "is missing")
    return f"{said} nearly always where {{}} is {str(classes[first])!r}, and hardly ever elsewhere"


def _parts_numbers(filled: Array, y: Array) -> str:
    """Say whether rows with a value have other numbers throughout than those without."""
    low, high = (y[filled], y[~filled]) if y[filled].mean() < y[~filled].mean() else (y[~filled], y[filled])
    if min(len(low), len(high)) < 10 or low.max() >= high.min():
        return ""
    where = "below" if y[filled].mean() < y[~filled].mean() else "above"
    return f"has a value only where {{}} is {where} {float((low.max() + high.min()) / 2):.4g}"


def _no_ties(pairs: pl.DataFrame) -> bool:
    """Say whether each value of x comes with one class only."""
    alone = pairs.unique()
    return bool(alone.height == alone["x"].n_unique())


def _ranks(values: Array) -> Array:
    """Return the ranks of numbers; equal ones have the mean of theirs."""
    ranks: Array = pl.Series(values).rank("average").to_numpy()
    return ranks
