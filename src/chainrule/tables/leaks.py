"""Target leakage: columns that reveal the target, and make a useless network look good."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.schema import Column, Schema

TOO_ALIKE = 0.999  # |correlation| of the values or ranks with a numeric target
EXPLAINED = 0.95  # of a number's variance, by the mean of the other rows in the same category
FEW = 30  # values of a number that are treated like categories
SURE = 50  # rows from which a threshold cannot separate the classes by chance
OFTEN = 5  # rows per category on average, at least
MAX_COLUMNS = 10_000  # columns to compare
FIRST = 1000  # rows that rule out most columns
CHANCE = 1e-6  # probability that all rows with (or without) a value belong to one class
PARTED = 0.95  # mean share of the rows of each class that the presence of a value predicts
TOO_GOOD, WELL_BALANCED, TOO_CLOSE, EXACT = 0.995, 0.99, 0.999, 1 - 1e-9  # accuracies, and R²


def find(frame: Any, schema: Schema, y: Array) -> tuple[str, ...]:
    """Return a warning for each column that determines the target.

    For classes: each value of the column occurs with one class only, and there are few values; or thresholds separate
    the numbers of each class from those of the others. For numbers: the correlation, or the rank correlation, is 1
    except for rounding; or a category determines the number. For both: the presence of a value determines the target.

    >>> import polars as pl
    >>> from chainrule.tables.schema import Column
    >>> frame = pl.DataFrame({"paid": ["y", "n"] * 20, "left": ["no", "yes"] * 20})
    >>> paid, left = (Column(name, "yes/no", "text") for name in frame.columns)
    >>> schema = Schema((paid,), (left,), "binary", ("no", "yes"))
    >>> find(frame, schema, frame["left"].to_numpy())[0][:78]
    "possible target leakage: the column 'paid' alone determines the target 'left'."
    """
    names = [column.name for column in schema.targets]
    each = [y]
    if schema.task == "multilabel":
        each = [np.array(c.categories)[labels] for c, labels in zip(schema.targets, y.T, strict=True)]
    elif y.ndim == 2:
        each = [*y.T]
    return tuple(
        f"possible target leakage: {said}. If it is not known before the target, use --drop {column.name!r}."
        for column, said in _found(frame, schema, list(zip(names, each, strict=True)))
    )


def too_good(schema: Schema, scores: Mapping[str, Mapping[str, float]], rows: int) -> tuple[str, ...]:
    """Return a warning if a model, the network or a baseline, scores suspiciously well on the held-out rows.

    >>> schema = Schema((), (Column("total", "number"),), "regression")
    >>> too_good(schema, {"network": {"R²": 0.98}, "linear model": {"R²": 1.0}}, rows=100)[0]  # doctest: +ELLIPSIS
    "the linear model predicts 'total' exactly: it is a formula of the columns and needs no network. Are all ..."
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
        said = (
            f"the linear model predicts {schema.target!r} exactly: it is a formula of the columns and needs no network."
        )
        return (f"{said} Are all columns known before the target?",)
    other = {"multilabel": "macro F1", "regression": "R²"}.get(schema.task, "balanced accuracy")
    if not value >= least or not scores[best].get(other, 0.0) >= WELL_BALANCED:
        return ()
    said = f"the {measure} of the {best} on the held-out rows is {value:.4f}, too good to be true for most tables:"
    return (f"{said} is a column known only after {schema.target!r} or computed from it, or are there duplicate rows?",)


def _found(frame: Any, schema: Schema, each: list[tuple[str, Array]]) -> Iterator[tuple[Column, str]]:
    """Yield the columns that reveal a target, with a clause about each."""
    step = max(1, frame.height // FIRST)
    few = frame.gather_every(step)
    for column in schema.used[:MAX_COLUMNS]:
        for target, y in each:
            if _gives_away(few, column, schema, y[::step]) and (step == 1 or _gives_away(frame, column, schema, y)):
                yield column, f"the column {column.name!r} alone determines the target {target!r}"
            elif column.missing and (said := _by_missing(frame[column.name], column, y)):
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
    """Return whether one array is a linear or a monotonic function of the other."""
    both = np.isfinite(x)
    x, y = x[both], y[both]
    if len(x) < 10 or x.std() == 0 or y.std() == 0:
        return False
    pairs = ((x, y), (_ranks(x), _ranks(y)))
    return any(abs(float(np.corrcoef(*pair)[0, 1])) > TOO_ALIKE for pair in pairs)


def _tells_number(x: pl.Series, y: Array) -> bool:
    """Return whether a number is close to the mean of the other rows in its category.

    With n rows in a category, the error of the mean of the others is n / (n − 1) times that of the mean of all.
    """
    size = float(np.abs(y).max()) or 1.0  # to avoid overflow
    pairs = pl.DataFrame({"x": x, "y": y / size}).drop_nulls()
    pairs = pairs.with_columns(n=pl.len().over("x"), mean=pl.col("y").mean().over("x")).filter(pl.col("n") > 1)
    if pairs.height < max(10, 0.9 * len(y)) or pairs.height < OFTEN * pairs["x"].n_unique():
        return False
    of, n, mean = (pairs[name].to_numpy() for name in ("y", "n", "mean"))
    off, spread = float(np.square((of - mean) * n / (n - 1)).sum()), float(np.square(of - of.mean()).sum())
    return spread > 0 and off <= (1 - EXPLAINED) * spread


def _by_missing(values: pl.Series, column: Column, y: Array) -> str:
    """Return a clause on what the presence of a value reveals of the target, or ""."""
    missing = values.is_null()
    if column.holes:
        missing = missing | values.cast(pl.String, strict=False).is_in(list(column.holes))
    if values.dtype.is_float():
        missing = missing | values.is_nan()
    filled = ~missing.fill_null(value=True).to_numpy()
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
    """Return a clause if the numbers of the rows with a value do not overlap with those of the others, else ""."""
    low, high = (y[filled], y[~filled]) if y[filled].mean() < y[~filled].mean() else (y[~filled], y[filled])
    if min(len(low), len(high)) < 10 or low.max() >= high.min():
        return ""
    where = "below" if y[filled].mean() < y[~filled].mean() else "above"
    return f"has a value only where {{}} is {where} {float((low.max() + high.min()) / 2):.4g}"


def _no_ties(pairs: pl.DataFrame) -> bool:
    """Return whether each value of x occurs with one class only."""
    alone = pairs.unique()
    return bool(alone.height == alone["x"].n_unique())


def _ranks(values: Array) -> Array:
    """Return the ranks of numbers, with the mean rank for equal ones."""
    ranks: Array = pl.Series(values).rank("average").to_numpy()
    return ranks
