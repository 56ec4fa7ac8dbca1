"""How good predictions are, and whether the difference of two models is more than chance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule._typing import Array

MAIN = {"binary": "accuracy", "multiclass": "accuracy", "regression": "RMSE", "multilabel": "accuracy"}
LOWER_IS_BETTER = {"RMSE", "MAE", "log loss"}


def measure(task: str, y: Array, predictions: Array, p: Array | None, classes: Any = ()) -> dict[str, float]:
    """Return the scores of predictions, by name.

    >>> scores = measure("regression", np.array([1.0, 2.0]), np.array([1.0, 4.0]), None)
    >>> {name: round(value, 3) for name, value in scores.items()}
    {'RMSE': 1.414, 'MAE': 1.0, 'R²': -7.0}
    """
    from sklearn import metrics  # noqa: PLC0415

    if task == "regression":
        error = predictions - y
        total = float(np.square(y - y.mean()).sum())
        return {
            "RMSE": float(np.sqrt(np.square(error).mean())),
            "MAE": float(np.abs(error).mean()),
            "R²": 1 - float(np.square(error).sum()) / total if total else math.nan,
        }
    assert p is not None  # noqa: S101  (every classifier here has probabilities)
    if task == "multilabel":
        clipped = np.clip(p, 1e-7, 1 - 1e-7)
        return {
            "accuracy": float((predictions == y).mean()),
            "all labels right": float((predictions == y).all(axis=1).mean()),
            "macro F1": float(metrics.f1_score(y, predictions, average="macro", zero_division=0)),
            "log loss": float(-np.where(y == 1, np.log(clipped), np.log1p(-clipped)).mean()),
        }
    which = np.searchsorted(np.asarray(classes), y)
    of_truth = p[np.arange(len(y)), which]
    present = np.unique(which)
    recall = [float((predictions[which == k] == y[which == k]).mean()) for k in present]
    scores = {
        "accuracy": float((predictions == y).mean()),
        "balanced accuracy": float(np.mean(recall)),
        "log loss": float(-np.log(np.clip(of_truth, 1e-7, 1)).mean()),
    }
    if len(present) == p.shape[1]:
        scores["ROC AUC"] = float(
            metrics.roc_auc_score(which, p[:, 1]) if p.shape[1] == 2
            else metrics.roc_auc_score(which, p, multi_class="ovr", average="macro", labels=range(p.shape[1]))
        )  # fmt: skip
    return scores


def verdict(task: str, y: Array, network: Array, linear: Array) -> str:
    """Say whether the network beats the linear model: the paired difference of their errors, and its uncertainty.

    The difference of a row is that of the two squared errors, or of right and wrong; twice its standard error is what
    chance makes of it.

    >>> y = np.arange(100) % 2
    >>> verdict("binary", y, y, 1 - y)
    'The network beats the linear model: accuracy 1.0000 against 0.0000, a difference of 1.0000 ± 0.0000.'
    """
    d = _per_row(task, y, linear) - _per_row(task, y, network)
    error = 2 * float(d.std(ddof=1)) / math.sqrt(len(d)) if len(d) > 1 else math.nan
    mean = float(d.mean())
    if task == "regression":
        ours, theirs = (float(np.sqrt(np.square(y - p).mean())) for p in (network, linear))
        share = mean / theirs**2 if theirs else 0.0
        less = f"{100 * abs(share):.1f} % {'less' if mean >= 0 else 'more'} squared error"
        numbers = f"RMSE {ours:.4g} against {theirs:.4g}, {less} ± {100 * error / theirs**2 if theirs else 0:.1f} %."
    else:
        ours, theirs = (1 - float(_per_row(task, y, p).mean()) for p in (network, linear))
        numbers = f"accuracy {ours:.4f} against {theirs:.4f}, a difference of {mean:.4f} ± {error:.4f}."
    if mean > error:
        return f"The network beats the linear model: {numbers}"
    if mean > 0:
        return f"The network is better than the linear model by less than chance could make: {numbers}"
    return f"The network does not beat the linear model: {numbers}"


def _per_row(task: str, y: Array, predictions: Array) -> Array:
    if task == "regression":
        return np.square(y - predictions)
    wrong = (y != predictions).astype(float)
    return wrong.mean(axis=1) if wrong.ndim == 2 else wrong
