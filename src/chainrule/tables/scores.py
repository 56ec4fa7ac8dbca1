"""How good predictions are, and whether the difference of two models is more than chance."""

from __future__ import annotations

import math
import warnings
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
        return {
            "RMSE": float(metrics.root_mean_squared_error(y, predictions)),
            "MAE": float(metrics.mean_absolute_error(y, predictions)),
            "R²": float(metrics.r2_score(y, predictions)) if np.ptp(y) else math.nan,
        }
    assert p is not None  # noqa: S101  (every classifier here has probabilities)
    if task == "multilabel":
        return {
            "accuracy": float((predictions == y).mean()),
            "all labels right": float(metrics.accuracy_score(y, predictions)),
            "macro F1": float(metrics.f1_score(y, predictions, average="macro", zero_division=0)),
            "log loss": float(metrics.log_loss(y.ravel(), p.ravel(), labels=[0, 1])),
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class that is predicted may be absent from the rows
        scores = {
            "accuracy": float(metrics.accuracy_score(y, predictions)),
            "balanced accuracy": float(metrics.balanced_accuracy_score(y, predictions)),
            "log loss": float(metrics.log_loss(y, p, labels=classes)),
        }
    if has_auc(y, classes):
        of = p[:, 1] if p.shape[1] == 2 else p
        scores["ROC AUC"] = float(metrics.roc_auc_score(y, of, multi_class="ovr"))
    return scores


def code(task: str, *, classes: int, auc: bool) -> list[str]:
    """Return the same as lines of Python that print them, for variables ``model``, ``X_test`` and ``y_test``."""
    if task == "regression":
        names = {"RMSE": "root_mean_squared_error", "MAE": "mean_absolute_error", "R²": "r2_score"}
        return [f'print("{name}", metrics.{f}(y_test, predictions))' for name, f in names.items()]
    if task == "multilabel":
        return [
            "p = model.predict_proba(X_test)",
            'print("accuracy", (predictions == y_test).mean())',
            'print("all labels right", metrics.accuracy_score(y_test, predictions))',
            'print("macro F1", metrics.f1_score(y_test, predictions, average="macro", zero_division=0))',
            'print("log loss", metrics.log_loss(y_test.ravel(), p.ravel()))',
        ]
    of = "p[:, 1]" if classes == 2 else 'p, multi_class="ovr"'
    return [
        "p = model.predict_proba(X_test)",
        'print("accuracy", metrics.accuracy_score(y_test, predictions))',
        'print("balanced accuracy", metrics.balanced_accuracy_score(y_test, predictions))',
        'print("log loss", metrics.log_loss(y_test, p, labels=network.classes_))',
        *([f'print("ROC AUC", metrics.roc_auc_score(y_test, {of}))'] if auc else []),
    ]


def has_auc(y: Array, classes: Any) -> bool:
    """Say whether every class is among the targets, without which there is no ROC curve of it."""
    return len(np.unique(y)) == len(classes)


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
        chance = 100 * error / theirs**2 if theirs else 0.0
        numbers = f"RMSE {figures(ours)} against {figures(theirs)}, {less} ± {chance:.1f} %."
    else:
        ours, theirs = (1 - float(_per_row(task, y, p).mean()) for p in (network, linear))
        numbers = f"accuracy {ours:.4f} against {theirs:.4f}, a difference of {mean:.4f} ± {error:.4f}."
    if mean > error:
        return f"The network beats the linear model: {numbers}"
    if mean > 0:
        return f"The network is better than the linear model by less than chance could make: {numbers}"
    return f"The network does not beat the linear model: {numbers}"


def figures(value: float) -> str:
    """Return a number in four figures, or in all of a large whole one.

    >>> figures(0.123456), figures(31234.5)
    ('0.1235', '31,234')
    """
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _per_row(task: str, y: Array, predictions: Array) -> Array:
    if task == "regression":
        return np.square(y - predictions)
    wrong = (y != predictions).astype(float)
    return wrong.mean(axis=1) if wrong.ndim == 2 else wrong
