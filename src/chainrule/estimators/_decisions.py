"""Scores of classes, and the thresholds of the probabilities for which they are best."""

from __future__ import annotations

import math

import numpy as np

from chainrule._internal.typing import Array
from chainrule.estimators._folds import ENOUGH

METRICS = ("accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss")
WITH_THRESHOLDS = ("balanced_accuracy", "f1")  # those for which the most probable class is not the best answer
ROUNDS = 2  # over the classes
TINY = 1e-12  # the smallest probability whose logarithm counts


def score(metric: str, t: Array, p: Array, weight: Array | None = None) -> float:
    """Return "balanced_accuracy", "f1" or "roc_auc" of probabilities, the first two with the best thresholds.

    ``t`` are labels (rows,) and ``p`` probabilities (rows, classes), or both are (rows, labels), of which the mean is
    taken. "f1" is that of class 1 if there are two classes, and otherwise the mean over the classes. A class without
    rows does not count.
    """
    if t.ndim == 2:
        return float(np.mean([score(metric, *_one_label(t, p, j), weight) for j in range(t.shape[1])]))
    w = np.ones(len(t)) if weight is None else weight
    if metric == "roc_auc":
        return _area(t, p, w)
    k, chosen = p.shape[1], (p / best_thresholds(metric, t, p, weight)).argmax(axis=1)
    hits = np.bincount(t, w * (chosen == t), k)
    return float(_of_counts(metric, hits, np.bincount(chosen, w, k), np.bincount(t, w, k)))


def best_thresholds(metric: str, t: Array, p: Array, weight: Array | None = None) -> Array:
    """Return the thresholds τ, one for each class, for which a metric is best if the class with the largest p/τ counts.

    They add up to 1, so that for two classes the second one is predicted where p > τ. For several labels, each has a
    threshold of its own. For more than two classes they are found one class at a time: lower its threshold from row to
    row, and keep the best value; twice.

    >>> t = np.array([0, 0, 0, 0, 1, 1])
    >>> p = np.array([0.05, 0.1, 0.2, 0.35, 0.3, 0.45])
    >>> best_thresholds("f1", t, np.column_stack([1 - p, p])).round(2)             # p > 0.25: 2 of 2, and one too many
    array([0.75, 0.25])
    """
    if t.ndim == 2:
        return np.array([best_thresholds(metric, *_one_label(t, p, j), weight)[1] for j in range(t.shape[1])])
    some = slice(None, None, math.ceil(len(t) / ENOUGH))
    t, log_p, w = t[some], np.log(np.maximum(p[some], TINY)), np.ones(len(t)) if weight is None else weight
    w, k = w[some], p.shape[1]
    log_t = np.full(k, -math.log(k))
    for _ in range(1 if k == 2 else ROUNDS):
        for j in range(k - 1, 0 if k == 2 else -1, -1):
            log_t[j] += _best_step(metric, t, log_p - log_t, w, j)
    thresholds: Array = np.exp(log_t - np.logaddexp.reduce(log_t))
    return thresholds


def _best_step(metric: str, t: Array, ratio: Array, w: Array, j: int) -> float:
    """Return by how much to raise the log-threshold of class j, given log p/τ."""
    rows, k = ratio.shape
    others = ratio.copy()
    others[:, j] = -np.inf
    other, margin = others.argmax(axis=1), ratio[:, j] - others.max(axis=1)  # j wins where margin > the step
    order = np.argsort(-margin, kind="stable")
    t, other, margin, w = t[order], other[order], margin[order], w[order]
    to_other = np.where(other[:, np.newaxis] == np.arange(k), w[:, np.newaxis], 0.0)
    right = np.where((other == t)[:, np.newaxis], to_other, 0.0)
    predicted, hits = (a.sum(axis=0) - a.cumsum(axis=0) for a in (to_other, right))  # when i + 1 rows went to j
    predicted[:, j], hits[:, j] = np.cumsum(w), np.cumsum(w * (t == j))
    values = _of_counts(metric, hits, predicted, np.bincount(t, w, k))[:-1]
    gap = margin[:-1] - margin[1:]
    values = np.where(gap > 0, values, -np.inf)
    if rows < 2 or not np.isfinite(values).any():
        return 0.0
    best = np.flatnonzero(values >= values.max() - 1e-12)
    at = best[len(best) // 2]
    return float(margin[at] + margin[at + 1]) / 2


def _of_counts(metric: str, hits: Array, predicted: Array, actual: Array) -> Array:
    """Return the metric for counts of rows, (..., classes)."""
    if metric == "f1":
        f1 = 2 * hits / np.maximum(predicted + actual, TINY)
        return np.asarray(f1[..., 1] if hits.shape[-1] == 2 else f1[..., actual > 0].mean(axis=-1))
    return np.asarray((hits[..., actual > 0] / actual[actual > 0]).mean(axis=-1))


def _area(t: Array, p: Array, w: Array) -> float:
    """Return the mean area under the ROC curve of each class against the others."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415  (start-up time)

    here = [j for j in range(1 if p.shape[1] == 2 else 0, p.shape[1]) if 0 < (t == j).sum() < len(t)]
    return float(np.mean([roc_auc_score(t == j, p[:, j], sample_weight=w) for j in here])) if here else 0.5


def _one_label(t: Array, p: Array, j: int) -> tuple[Array, Array]:
    """Return a label as two classes."""
    return t[:, j].astype(np.int64), np.column_stack([1 - p[:, j], p[:, j]])
