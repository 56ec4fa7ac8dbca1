r"""How far a score on the held-out rows may be from that on all rows there could be: its 95 % interval.

A score is a function of means over rows. A row's influence on it, ψ, is how much the score would move if there were a
little more of this row; the score's variance is Var(ψ) / rows (the delta method). A share of rows has Wilson's
interval, which is honest at 0 and 100 % too.

Sources: van der Vaart, "Asymptotic Statistics" (1998), chapter 20; Wilson, "Probable inference, the law of succession,
and statistical inference" (1927); of the ROC AUC, DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or
more correlated receiver operating characteristic curves" (1988).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule._typing import Array

Z = 1.959964  # standard deviations: 95 %
MOST = 2 * 10**7  # rows times classes: sorting more of them takes seconds
SMALLEST = 1e-7  # probability, in a logarithm


def wilson(share: Any, rows: Any) -> tuple[Any, Any]:
    """Return the interval of a share of so many rows.

    >>> [round(float(v), 3) for v in wilson(1.0, 20)]
    [0.839, 1.0]
    """
    rows = np.maximum(rows, 1e-9)
    centre = (share + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    half = Z / (1 + Z**2 / rows) * np.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def interval(name: str, value: float, task: str, y: Array, predicted: Array, p: Array | None) -> tuple[float, float]:
    """Return the interval of a score by its name; of one that is not known here, and of fewer than two rows, NaN.

    ``y`` and ``predicted`` are numbers of classes, values, or 0 and 1 for each label.

    >>> y = np.array([0, 1] * 50)
    >>> [round(v, 3) for v in interval("accuracy", 0.5, "binary", y, np.zeros(100, int), None)]
    [0.404, 0.596]
    """
    nothing = (math.nan, math.nan)
    if len(y) < 2 or not math.isfinite(value):
        return nothing
    if name == "all labels right" or (name == "accuracy" and task != "multilabel"):
        low, high = wilson(value, len(y))
        return float(low), float(high)
    psi = _influence(name, task, y, predicted, p)
    if psi is None or not np.isfinite(psi).all():
        return nothing
    half = Z * float(psi.std(ddof=1)) / math.sqrt(len(psi))
    low, high = value - half, value + half
    if name in ("RMSE", "MAE", "log loss"):
        return max(low, 0.0), high
    return (low if name == "R²" else max(low, 0.0)), min(high, 1.0)


def _influence(  # noqa: PLR0911  (one for each score)
    name: str, task: str, y: Array, predicted: Array, p: Array | None
) -> Array | None:
    """Return ψ of each row."""
    if task == "regression":
        return _of_errors(name, y, predicted)
    if name == "accuracy":
        return (y == predicted).mean(axis=1)
    if name == "macro F1":
        both = y + predicted
        rate = np.maximum(both.mean(axis=0), SMALLEST)
        f1 = 2 * (y * predicted).mean(axis=0) / rate
        return ((2 * y * predicted - f1 * both) / rate).mean(axis=1)
    if name == "balanced accuracy":
        present, which, counts = np.unique(y, return_inverse=True, return_counts=True)
        right = (y == predicted).astype(float)
        recall = np.bincount(which, weights=right) / counts
        return (right - recall[which]) * len(y) / (counts[which] * len(present))
    if p is None or (name == "ROC AUC" and p.size > MOST):
        return None
    if name == "ROC AUC":
        of_classes = [1] if p.shape[1] == 2 else range(p.shape[1])
        return np.mean([_placements(y == k, p[:, k]) for k in of_classes], axis=0)
    return row_losses(task, y, p) if name == "log loss" else None


def _of_errors(name: str, y: Array, predicted: Array) -> Array | None:
    error, total = np.square(predicted - y), np.square(y - y.mean())
    rmse, spread = math.sqrt(error.mean()), total.mean()
    if name == "MAE":
        return np.abs(predicted - y)
    if name == "RMSE":
        return error / (2 * rmse) if rmse else np.zeros(len(y))
    return -(error - error.mean() / spread * total) / spread if name == "R²" and spread else None


def row_losses(task: str, y: Array, p: Array) -> Array:
    """Return the log loss of each row: of its class, or the mean over its labels.

    >>> row_losses("binary", np.array([1]), np.array([[0.5, 0.5]])).round(3).tolist()
    [0.693]
    """
    p = np.clip(p, SMALLEST, 1 - SMALLEST if task == "multilabel" else 1.0)
    if task == "multilabel":
        return -np.where(y == 1, np.log(p), np.log1p(-p)).mean(axis=1)
    return -np.log(p[np.arange(len(y)), y])


def _placements(positive: Array, score: Array) -> Array:
    """Return ψ of the area under the ROC curve: the share of the other class that a row is on the right side of."""
    ahead, behind = np.sort(score[positive]), np.sort(score[~positive])
    if not len(ahead) or not len(behind):
        return np.full(len(score), np.nan)

    def below(others: Array, values: Array) -> Array:
        return (np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / (2 * len(others))

    share = np.where(positive, below(behind, score), 1 - below(ahead, score))
    area = share[positive].mean()
    return (share - area) * np.where(positive, len(score) / len(ahead), len(score) / len(behind))
