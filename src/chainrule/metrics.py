"""Metrics reported in addition to the loss, computed from targets t and predictions p."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._internal.typing import Array

__all__ = ["accuracy", "binary_accuracy", "direction", "r2"]

FALLING = {
    "loss", "penalty", "error", "error_rate", "mae", "mse", "rmse", "msle", "rmsle", "mape", "smape", "medae",
    "max_error", "nll", "log_loss", "logloss", "deviance", "brier", "brier_score", "perplexity", "cross_entropy",
    "crossentropy", "bce", "pinball", "hinge", "kl_divergence", "zero_one", "ece", "fpr", "fnr", "errors", "cce",
    "distance", "divergence",
}  # fmt: skip
RISING = {
    "accuracy", "acc", "r2", "r2_score", "d2", "score", "auc", "auroc", "roc_auc", "pr_auc", "average_precision",
    "f1", "f1_score", "f2", "fbeta", "precision", "recall", "sensitivity", "specificity", "tpr", "tnr", "kappa",
    "cohen_kappa", "mcc", "matthews_corrcoef", "jaccard", "iou", "dice", "explained_variance", "likelihood",
    "log_likelihood", "correlation", "pearson", "spearman", "ap", "map", "auprc", "ndcg", "mrr", "gini",
}  # fmt: skip
ENDS = (  # the last words of longer names: squared_error, balanced_accuracy
    "loss", "error", "penalty", "cross_entropy", "deviance", "accuracy", "precision", "recall", "f1", "auc",
)  # fmt: skip
AVERAGES = ("_macro", "_micro", "_weighted", "_samples", "_ovr", "_ovo")  # as scikit-learn names its scorers


def accuracy(t: Array, p: Array, sample_weight: Array | None = None) -> float:
    """Return the fraction of rows (or of their total weight) whose most probable class is correct.

    Parameters
    ----------
    t : (rows,) labels or (rows, classes) probabilities
    p : (rows, classes) predicted probabilities
    sample_weight : (rows,), optional

    >>> accuracy(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    0.5
    """
    labels = t if t.ndim == 1 else t.argmax(axis=1)
    return float(np.average(p.argmax(axis=1) == labels, weights=sample_weight))


def binary_accuracy(t: Array, p: Array, sample_weight: Array | None = None) -> float:
    """Return the fraction of labels predicted on the correct side of 1/2, over all rows and outputs.

    >>> binary_accuracy(np.array([[0.0], [1.0]]), np.array([[0.2], [0.7]]))
    1.0
    """
    right = (p >= 0.5) == (t >= 0.5)
    return float(np.average(right.reshape(len(right), -1).mean(axis=1), weights=sample_weight))


def r2(t: Array, p: Array, sample_weight: Array | None = None) -> float:
    """Return the coefficient of determination, 1 − Σ(t − p)² / Σ(t − mean t)², averaged over the outputs.

    It is 1 for perfect predictions and 0 for predicting the mean. Weights apply to the sums and the mean. An output
    with constant targets counts as 1 if it is predicted exactly, else as 0.

    >>> r2(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
    0.5
    """
    t, p = t.astype(np.float64), p.astype(np.float64)
    if sample_weight is not None:
        t, p, sample_weight = t[sample_weight > 0], p[sample_weight > 0], sample_weight[sample_weight > 0]
    w = np.ones(len(t)) if sample_weight is None else sample_weight.astype(np.float64)
    residual = w @ (t - p) ** 2
    total = w @ (t - np.average(t, axis=0, weights=w)) ** 2
    varies = (t != t[0]).any(axis=0) & (total > 0)  # total alone: the mean of equal numbers is rounded
    return float(np.where(varies, 1 - residual / np.where(varies, total, 1), residual == 0).mean())


def direction(name: str) -> str | None:
    """Return "min" if smaller values of a metric or a column of the history are better, "max" if larger ones are.

    None if the name tells neither. A ``val_`` prefix is ignored; ``neg_`` reverses the direction, as in the names of
    scikit-learn's scorers. All code that looks for the best value uses this function.

    >>> [direction(name) for name in ("val_mae", "val_accuracy", "neg_mean_squared_error", "val_fun")]
    ['min', 'max', 'max', None]
    """
    word = name.lower().replace("-", "_").replace(" ", "_").removeprefix("val_")
    bare = word.removeprefix("negative_").removeprefix("neg_")
    for average in AVERAGES:
        bare = bare.removesuffix(average)
    words = {*bare.split("_")}
    plain = "minus" not in words and not (words & FALLING and words & RISING)  # one_minus_accuracy, precision_loss
    if bare not in FALLING | RISING and plain:
        bare = next((end for end in ENDS if bare.endswith(f"_{end}")), bare)
    if bare not in FALLING | RISING:
        return None
    return "min" if (bare in FALLING) != word.startswith("neg") else "max"


def measure(metric: Callable[..., Any], t: Array, p: Array, sample_weight: Array | None) -> Any:
    """Return the metric, weighted if weights are given and its function accepts them.

    >>> wrong = lambda t, p: float((t != p).sum())
    >>> t, p, weight = np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([3.0, 1.0])
    >>> measure(accuracy, t, p, weight), measure(wrong, t, t, weight)
    (0.75, 0.0)
    """
    if sample_weight is None:
        return metric(t, p)
    import inspect  # noqa: PLC0415  (start-up time)

    try:
        weighted = "sample_weight" in inspect.signature(metric).parameters
    except (TypeError, ValueError):  # compiled, without a signature
        weighted = False
    return metric(t, p, sample_weight=sample_weight) if weighted else metric(t, p)
