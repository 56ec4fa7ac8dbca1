r"""95% confidence intervals of scores on held-out rows.

A score is a function of means over rows. A row's influence ψ is the change in the score for a little more weight on
that row, and the score's variance is Var(ψ) / rows (the delta method). A share of rows has Wilson's interval, which is
valid at 0% and 100% as well. So do the other scores between 0 and 1, with the number of rows that would give a share
the same variance. Errors have Student's t interval; for the log loss, it includes one more row with an unknown target.

Sources: van der Vaart, "Asymptotic Statistics" (1998), chapter 20; Wilson, "Probable inference, the law of succession,
and statistical inference" (1927); for shares with another variance, Korn and Graubard, "Confidence intervals for
proportions with small expected number of positive counts estimated from survey data" (1998); for the ROC AUC, DeLong,
DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating characteristic curves"
(1988).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables.result import HeldOut
from chainrule.tables.schema import Schema

Z = 1.959964  # standard deviations for 95%
MAX_CELLS = 2 * 10**7  # rows times classes: sorting more of them takes seconds
MIN_PROBABILITY = 1e-7  # probability in a logarithm
SAME = 1e-9  # times the largest: errors that differ by less count as equal
SHARES = ("accuracy", "balanced accuracy", "macro F1", "ROC AUC")


def wilson(share: Any, rows: Any) -> tuple[Any, Any]:
    """Return the interval of a share of rows.

    >>> [round(float(v), 3) for v in wilson(1.0, 20)]
    [0.839, 1.0]
    """
    rows = np.maximum(rows, 1e-9)
    center = (share + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    half = Z / (1 + Z**2 / rows) * np.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2))
    return np.maximum(center - half, 0.0), np.minimum(center + half, 1.0)


def intervals(schema: Schema, held_out: HeldOut, scores: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return the interval of each score of the held-out rows, NaN if a prediction is not finite."""
    y, predicted = (as_numbers(schema, values) for values in (held_out.y, held_out.predictions))
    p = None if held_out.probabilities is None else np.asarray(held_out.probabilities, dtype=float)
    if not np.isfinite(predicted if p is None else p).all():
        return dict.fromkeys(scores, (math.nan, math.nan))
    if y.ndim == 2 and schema.task == "regression":
        at = {column.name: i for i, column in enumerate(schema.targets)}
        found = {}
        for name, value in scores.items():
            score, _, target = name.partition(" of ")
            i = at.get(target, slice(None))
            found[name] = interval(score, float(value), schema.task, y[:, i], predicted[:, i], p)
        return found
    return {name: interval(name, float(value), schema.task, y, predicted, p) for name, value in scores.items()}


def as_numbers(schema: Schema, values: Any) -> Array:
    """Return classes as their indices, and other targets as numbers."""
    values = np.asarray(values)
    if not schema.is_classification:
        return values.astype(float if schema.task == "regression" else int)
    number = {str(name): i for i, name in enumerate(schema.classes)}
    known, which = np.unique(values, return_inverse=True)
    return np.array([number[str(name)] for name in known.tolist()], dtype=int)[which]


def interval(name: str, value: float, task: str, y: Array, predicted: Array, p: Array | None) -> tuple[float, float]:
    """Return the interval of a score by its name; NaN for an unknown name or fewer than two rows.

    ``y`` and ``predicted`` are class indices, values, or 0 and 1 for each label.

    >>> y = np.array([0, 1] * 50)
    >>> [round(v, 3) for v in interval("accuracy", 0.5, "binary", y, np.zeros(100, int), None)]
    [0.404, 0.596]
    """
    nothing = (math.nan, math.nan)
    if len(y) < 2 or not math.isfinite(value):
        return nothing
    if name == "subset accuracy" or (name == "accuracy" and task != "multilabel"):
        low, high = wilson(value, len(y))
        return min(float(low), value), max(float(high), value)
    psi = _influence(name, task, y, predicted, p)
    if psi is None or not np.isfinite(psi).all():
        return nothing
    if name in SHARES:
        low, high = wilson(value, _as_many_as(name, value, y, float(psi.var(ddof=1)) / len(psi)))
        return min(float(low), value), max(float(high), value)
    if name == "log loss":
        psi = np.append(psi, math.log(2 if p is None or y.ndim == 2 else p.shape[1]))
        center = float(psi.mean())
    elif not psi.std() > SAME * np.abs(psi).max():  # equal errors have no estimate of their spread
        return nothing
    else:
        center = value
    half = half_width(psi)
    low, high = min(center - half, value), max(center + half, value)
    return (low, min(high, 1.0)) if name == "R²" else (max(low, 0.0), high)


def difference(a: float, around_a: tuple[float, float], b: float, around_b: tuple[float, float]) -> tuple[float, float]:
    """Return the 95% interval of a − b, for two independent scores with their intervals.

    Source: the method of variance estimates recovery: Zou and Donner, "Construction of confidence limits about effect
    measures: a general approach" (2008); for shares, Newcombe's interval (1998).

    >>> [round(v, 3) for v in difference(56 / 70, wilson(56 / 70, 70), 48 / 80, wilson(48 / 80, 80))]
    [0.052, 0.334]
    """
    low = math.hypot(a - around_a[0], around_b[1] - b)
    high = math.hypot(around_a[1] - a, b - around_b[0])
    return a - b - low, a - b + high


def student(rows: int) -> float:
    """Return the half-width of the 95% interval of a mean over rows, in standard errors.

    >>> round(student(4), 2), round(student(1000), 2)
    (3.18, 1.96)
    """
    from scipy.stats import t  # noqa: PLC0415  (start-up time)

    return float(t.ppf(0.975, rows - 1))


def half_width(values: Array) -> float:
    """Return half the width of the 95% interval of a mean of values, by Student's t; infinite for a single value.

    >>> round(half_width(np.array([1.0, 2.0, 3.0, 4.0])), 2)
    2.05
    """
    if len(values) < 2:
        return math.inf
    size = float(np.abs(values).max()) or 1.0  # to avoid overflow
    return size * student(len(values)) * float((values / size).std(ddof=1)) / math.sqrt(len(values))


def _as_many_as(name: str, value: float, y: Array, variance: float) -> float:
    """Return the number of rows for which a share has that variance, limited by the rarest classes."""
    most = float(len(y))
    if name in ("balanced accuracy", "ROC AUC"):
        counts = np.unique(y, return_counts=True)[1]
        most = len(counts) ** 2 / float((1 / counts).sum())
    elif variance:
        most = math.inf
    return min(most, value * (1 - value) / variance) if variance and 0 < value < 1 else most


def _influence(  # noqa: PLR0911  (one for each score)
    name: str, task: str, y: Array, predicted: Array, p: Array | None
) -> Array | None:
    if task == "regression":
        return _of_errors(name, y, predicted)
    if name == "accuracy":
        return (y == predicted).mean(axis=1)
    if name == "macro F1":
        both = y + predicted
        rate = np.maximum(both.mean(axis=0), MIN_PROBABILITY)
        f1 = 2 * (y * predicted).mean(axis=0) / rate
        return ((2 * y * predicted - f1 * both) / rate).mean(axis=1)
    if name == "balanced accuracy":
        present, which, counts = np.unique(y, return_inverse=True, return_counts=True)
        right = (y == predicted).astype(float)
        recall = np.bincount(which, weights=right) / counts
        return (right - recall[which]) * len(y) / (counts[which] * len(present))
    if p is None or (name == "ROC AUC" and p.size > MAX_CELLS):
        return None
    if name == "ROC AUC":
        of_classes = [1] if p.shape[1] == 2 else range(p.shape[1])
        return np.mean([_placements(y == k, p[:, k]) for k in of_classes], axis=0)
    return row_losses(task, y, p) if name == "log loss" else None


def _of_errors(name: str, y: Array, predicted: Array) -> Array | None:
    if y.ndim == 2 and name == "R²":  # the mean over several numbers
        each = [_of_errors(name, *pair) for pair in zip(y.T, predicted.T, strict=True)]
        known = [psi for psi in each if psi is not None]
        return np.mean(known, axis=0) if len(known) == len(each) else None
    error, total = np.square(predicted - y), np.square(y - y.mean())
    rmse, spread = math.sqrt(error.mean()), total.mean()
    if name == "MAE":
        return np.abs(predicted - y)
    if y.ndim == 2:  # standardized
        error = error.mean(axis=1)
    if name == "RMSE":
        return error / (2 * rmse) if rmse else np.zeros(len(y))
    return -(error - error.mean() / spread * total) / spread if name == "R²" and spread else None


def row_losses(task: str, y: Array, p: Array) -> Array:
    """Return the log loss of each row: that of its class, or the mean over its labels.

    >>> row_losses("binary", np.array([1]), np.array([[0.5, 0.5]])).round(3).tolist()
    [0.693]
    """
    p = np.clip(p, MIN_PROBABILITY, 1 - MIN_PROBABILITY if task == "multilabel" else 1.0)
    if task == "multilabel":
        return -np.where(y == 1, np.log(p), np.log1p(-p)).mean(axis=1)
    return -np.log(p[np.arange(len(y)), y])


def _placements(positive: Array, score: Array) -> Array:
    """Return ψ of the area under the ROC curve, from each row's share of correct pairs."""
    ahead, behind = np.sort(score[positive]), np.sort(score[~positive])
    if not len(ahead) or not len(behind):
        return np.full(len(score), np.nan)

    def below(others: Array, values: Array) -> Array:
        return (np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / (2 * len(others))

    share = np.where(positive, below(behind, score), 1 - below(ahead, score))
    area = share[positive].mean()
    return (share - area) * np.where(positive, len(score) / len(ahead), len(score) / len(behind))
