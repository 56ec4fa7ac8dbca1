"""Metrics: what is reported beside the loss, from targets t and predictions p."""

from __future__ import annotations

import numpy as np

from chainrule._typing import Array

__all__ = ["accuracy", "binary_accuracy", "direction", "r2"]

SMALLER = {
    "loss", "penalty", "error", "errors", "mae", "mse", "rmse", "mape", "smape", "msle", "rmsle", "medae", "brier",
    "deviance", "nll", "perplexity", "pinball", "logloss", "crossentropy", "entropy", "hinge", "distance", "divergence",
    "bce", "cce", "ece", "wrong",
}  # fmt: skip
LARGER = {
    "accuracy", "acc", "r2", "auc", "auroc", "auprc", "ap", "map", "precision", "recall", "sensitivity", "specificity",
    "f1", "fbeta", "score", "kappa", "mcc", "iou", "dice", "jaccard", "ndcg", "mrr", "gini", "correlation", "pearson",
    "spearman", "right",
}  # fmt: skip
"""Words in the names of metrics of which smaller, or larger, values are better."""


def direction(name: str) -> str | None:
    """Return ``"min"`` or ``"max"``, whichever is better of a column of that name; None where its name does not say.

    >>> direction("val_mae"), direction("val_accuracy"), direction("val_mine")
    ('min', 'max', None)
    """
    words = {*name.lower().replace("-", "_").split("_")}
    falls, rises = bool(words & SMALLER), bool(words & LARGER)
    if "neg" in words:  # scikit-learn's negated losses, and negated scores
        falls, rises = rises, falls
    return None if falls == rises else "min" if falls else "max"


def accuracy(t: Array, p: Array) -> float:
    """Return the fraction of rows whose most probable class is the right one.

    Parameters
    ----------
    t : (rows,) labels or (rows, classes) probabilities
    p : (rows, classes) predicted probabilities

    >>> accuracy(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    0.5
    """
    labels = t if t.ndim == 1 else t.argmax(axis=1)
    return float((p.argmax(axis=1) == labels).mean())


def binary_accuracy(t: Array, p: Array) -> float:
    """Return the fraction of labels that are on the right side of 1/2, over all rows and outputs.

    >>> binary_accuracy(np.array([[0.0], [1.0]]), np.array([[0.2], [0.7]]))
    1.0
    """
    return float(((p >= 0.5) == (t >= 0.5)).mean())


def r2(t: Array, p: Array) -> float:
    """Return the coefficient of determination, 1 − Σ(t − p)² / Σ(t − mean t)², averaged over the outputs.

    It is 1 for perfect predictions and 0 for those of the mean. An output whose targets are all equal counts as 1 when
    it is predicted exactly, else as 0.

    >>> r2(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
    0.5
    """
    t, p = t.astype(np.float64), p.astype(np.float64)
    residual = ((t - p) ** 2).sum(axis=0)
    total = ((t - t.mean(axis=0)) ** 2).sum(axis=0)
    varies = (t != t[0]).any(axis=0) & (total > 0)  # total alone: the mean of equal numbers is rounded
    return float(np.where(varies, 1 - residual / np.where(varies, total, 1), residual == 0).mean())
