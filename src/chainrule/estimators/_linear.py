"""A linear model beside the networks: on few rows, the mean of both is better than either."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from chainrule._internal.threads import blas_threads
from chainrule._internal.typing import Array
from chainrule.estimators._folds import log_loss

MOST_ROWS, MOST_VALUES = 2_000, 500
STRENGTHS = (0.03, 1.0)  # C of the logistic regression
PENALTIES = tuple(10.0 ** np.arange(-4, 5))  # of the ridge regression
SHARES = np.linspace(0.0, 1.0, 21)


def fit_linear(z: Array, t: Array, fold: Array, weight: Array | None) -> tuple[Array, Array, Array]:
    """Return W, b, and the out-of-fold outputs of a linear model of scaled values: logits, or numbers.

    For labels (rows,) it is logistic regression, for numbers (rows, outputs) ridge regression, with the penalty that is
    best out of fold.
    """
    scale = z.std(axis=0)
    x = z / np.where(scale > 0, scale, 1.0)
    found: list[Any] = []
    with warnings.catch_warnings(), blas_threads(1):
        warnings.simplefilter("ignore")  # of too few iterations, and of constant columns
        for penalty in STRENGTHS if t.ndim == 1 else (None,):
            out = np.zeros((len(t), int(t.max()) + 1 if t.ndim == 1 else t.shape[1]))
            for f in np.unique(fold):
                rows = fold != f
                W, b = _solve(x[rows], t[rows], None if weight is None else weight[rows], penalty, out.shape[1])
                out[~rows] = x[~rows] @ W + b
            found.append((_loss(t, out, weight), penalty, out))
        _, penalty, out = min(found, key=lambda one: one[0])
        W, b = _solve(x, t, weight, penalty, out.shape[1])
    return W / np.where(scale > 0, scale, 1.0)[:, np.newaxis], b, out


def best_share(loss: Any) -> float:
    """Return the share of the linear model with the smallest loss, a function of the share."""
    return float(min(SHARES, key=loss))


def _solve(x: Array, t: Array, weight: Array | None, penalty: Any, outputs: int) -> tuple[Array, Array]:
    from sklearn.linear_model import LogisticRegression, RidgeCV  # noqa: PLC0415  (start-up time)

    if t.ndim == 2:
        model = RidgeCV(PENALTIES).fit(x, t, sample_weight=weight)
        return model.coef_.reshape(outputs, -1).T, np.broadcast_to(model.intercept_, outputs).copy()
    present = np.unique(t)
    W, b = np.zeros((x.shape[1], outputs)), np.full(outputs, -20.0)  # a class without rows is improbable
    if len(present) == 1:
        b[present] = 0.0
        return W, b
    model = LogisticRegression(C=penalty, max_iter=200).fit(x, t, sample_weight=weight)
    if len(present) == 2:
        W[:, present[1]], b[present] = model.coef_[0], (0.0, model.intercept_[0])
        return W, b
    W[:, present], b[present] = model.coef_.T, model.intercept_
    return W, b


def _loss(t: Array, out: Array, weight: Array | None) -> float:
    return log_loss(t, out, weight) if t.ndim == 1 else float(np.average(np.square(t - out).mean(1), weights=weight))
