"""Folds of the rows for an ensemble, and the scores of out-of-fold predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule._internal.typing import Array

FOLDS = 5
ENOUGH = 100_000  # rows for a temperature; of more, every k-th


def folds(y: Array, groups: Any, rng: np.random.Generator) -> Array:
    """Return the fold of each row, stratified by y; rows of one group share a fold.

    Neighbors in the order of y are spread over the folds, so a class has nearly the same share in each, however few
    rows it has, and numbers nearly the same distribution.
    """
    rows = len(y)
    if groups is not None:
        try:
            _, group = np.unique(np.asarray(groups), return_inverse=True)
        except TypeError as error:
            raise ValueError(f"groups: expected values of one type, none missing ({error}). Try astype(str).") from None
        sizes = np.bincount(group)
        fold_of, filled = np.zeros(len(sizes), np.int64), np.zeros(FOLDS)
        for g in sorted(rng.permutation(len(sizes)), key=lambda g: -sizes[g]):  # the largest first
            fold_of[g] = filled.argmin()
            filled[fold_of[g]] += sizes[g]
        return np.asarray(fold_of[group])
    order = np.lexsort((rng.random(rows), y[:, 0] if y.ndim == 2 else y))
    found = np.empty(rows, np.int64)
    for at in range(0, rows, FOLDS):
        block = order[at : at + FOLDS]
        found[block] = rng.permutation(FOLDS)[: len(block)]
    return found


def log_losses(t: Array, logits: Array, smoothing: float = 0.0) -> Array:
    """Return the log-loss of each row of logits (rows, classes) for labels (rows,), or (rows, labels) for 0 and 1.

    ``smoothing`` is the share of each target that is spread evenly over all classes.
    """
    if t.ndim == 2:
        soft = (1 - smoothing) * t + smoothing / 2
        return np.asarray((np.logaddexp(0.0, logits) - soft * logits).mean(axis=1))
    shifted = logits - logits.max(axis=1, keepdims=True)
    known = (1 - smoothing) * shifted[np.arange(len(t)), t] + smoothing * shifted.mean(axis=1)
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - known)


def log_loss(t: Array, logits: Array, weight: Array | None = None, smoothing: float = 0.0) -> float:
    """Return the mean of :func:`log_losses`."""
    return float(np.average(log_losses(t, logits, smoothing), weights=weight))


def temperature(t: Array, logits: Array, weight: Array | None = None) -> float:
    """Return the T for which logits / T have the smallest log-loss, between 0.05 and 20.

    Golden-section search on log T; the loss is convex in 1 / T. A share of 1 / (rows + 2) of each target is spread over
    all classes: without a single mistake among n rows, the probability of one is about 1 / (n + 2), not 0.

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (2017), section 4.2; the targets
    as in Platt, "Probabilistic outputs for support vector machines" (1999), section 2.2.

    >>> logits = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> T = temperature(np.tile([0, 0, 1, 1], 1000), np.tile(logits, (1000, 1)))
    >>> round(T, 2)                                                   # right in 3 of 4 rows: log 3 = 2 / T
    1.82
    """
    low, high, golden = np.log(0.05), np.log(20.0), (np.sqrt(5) - 1) / 2
    some = slice(None, None, math.ceil(len(t) / ENOUGH))
    t, logits, weight = t[some], logits[some].astype(np.float64), None if weight is None else weight[some]
    smoothing = 1 / (len(t) + 2)
    for _ in range(40):
        a, b = high - golden * (high - low), low + golden * (high - low)
        if log_loss(t, logits / np.exp(a), weight, smoothing) < log_loss(t, logits / np.exp(b), weight, smoothing):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))
