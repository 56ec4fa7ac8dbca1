"""Scores of predictions, and whether the difference between two models is more than chance."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.formatting import short
from chainrule.tables.report.uncertainty import SAME, student
from chainrule.tables.result import scale_of
from chainrule.tables.schema import Schema
from chainrule.tables.score_names import STANDARDIZED

MULTIPLE = 10  # squared error relative to another model's, from which it is given as a multiple
EXACT = 10**6  # the same, from which it is omitted: the other model is practically exact


class Metric(NamedTuple):
    """A function of scikit-learn, and expressions for its arguments, from ``y``, ``predictions`` and ``p``."""

    name: str
    function: partial[Any]
    truth: str = "y"
    given: str = "predictions"


def metrics_of(task: str, classes: Sequence[Any], *, auc: bool) -> list[Metric]:
    """Return the metrics of a task; for classes, with the ROC AUC if ``auc``, which needs rows of every class."""
    from sklearn import metrics  # noqa: PLC0415  (start-up time)

    if task == "regression":
        return [
            Metric("RMSE", partial(metrics.root_mean_squared_error)),
            Metric("MAE", partial(metrics.mean_absolute_error)),
            Metric("R²", partial(metrics.r2_score)),
        ]
    if task == "multilabel":
        return [
            Metric("accuracy", partial(metrics.accuracy_score), "y.ravel()", "predictions.ravel()"),
            Metric("subset accuracy", partial(metrics.accuracy_score)),
            Metric("macro F1", partial(metrics.f1_score, average="macro", zero_division=0)),
            Metric("log loss", partial(metrics.log_loss, labels=[0, 1]), "y.ravel()", "p.ravel()"),
        ]
    found = [
        Metric("accuracy", partial(metrics.accuracy_score)),
        Metric("balanced accuracy", partial(metrics.balanced_accuracy_score)),
        Metric("log loss", partial(metrics.log_loss, labels=[*classes]), given="p"),
    ]
    if auc and len(classes) == 2:
        found.append(Metric("ROC AUC", partial(metrics.roc_auc_score), given="p[:, 1]"))
    elif auc:
        found.append(Metric("ROC AUC", partial(metrics.roc_auc_score, multi_class="ovr"), given="p"))
    return found


def of_schema(schema: Schema, y: Array, predictions: Array, p: Array | None = None) -> dict[str, float]:
    """Return the scores of predictions by name; of several numbers, the mean R², and each score of each number.

    >>> from chainrule.tables.schema import Column
    >>> schema = Schema((), (Column("width", "number"), Column("height", "number")), "regression")
    >>> y = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> list(of_schema(schema, y, y))[:4]
    ['R²', 'RMSE of width', 'RMSE of height', 'MAE of width']
    """
    if schema.task != "regression" or y.ndim == 1:
        return measure(schema.task, y, predictions, p, schema.classes)
    each = [measure("regression", *pair, None) for pair in zip(y.T, predictions.T, strict=True)]
    names = [f" of {column.name}" for column in schema.targets]
    from sklearn.metrics import r2_score  # noqa: PLC0415  (start-up time)

    mean = math.nan if any(math.isnan(of["R²"]) for of in each) else float(r2_score(y, predictions))
    return {"R²": mean} | {
        f"{score}{name}": of[score] for score in each[0] for name, of in zip(names, each, strict=True)
    }


def measure(task: str, y: Array, predictions: Array, p: Array | None, classes: Any = ()) -> dict[str, float]:
    """Return the scores of predictions by name.

    >>> scores = measure("regression", np.array([1.0, 2.0]), np.array([1.0, 4.0]), None)
    >>> {name: round(value, 3) for name, value in scores.items()}
    {'RMSE': 1.414, 'MAE': 1.0, 'R²': -7.0}
    """
    if len(classes):  # numbers are several times as fast as texts
        y, predictions = (np.searchsorted(classes, values) for values in (y, predictions))
        classes = range(len(classes))
    arrays: dict[str, Any] = {"y": y, "predictions": predictions, "p": p}
    arrays |= {f"{name}.ravel()": np.ravel(values) for name, values in arrays.items() if values is not None}
    if p is not None and p.ndim == 2 and p.shape[1] == 2:
        arrays["p[:, 1]"] = p[:, 1]
    auc = task in ("binary", "multiclass") and has_auc(y, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a predicted class may have no rows
        return {
            score.name: float(score.function(arrays[score.truth], arrays[score.given]))
            if score.name != "R²" or np.ptp(y) else math.nan
            for score in metrics_of(task, classes, auc=auc)
        }  # fmt: skip


def has_auc(y: Array, classes: Any) -> bool:
    """Return whether every class has rows, as its ROC curve requires."""
    return len(np.unique(y)) == len(classes)


def verdict(task: str, y: Array, network: Array, others: Mapping[str, Array]) -> str:
    """Return whether the network beats other models, from paired differences of their errors, in a sentence.

    The difference in a row is that of the squared errors, or of correct (1) and wrong (0). ± is half of the 95%
    confidence interval of its mean, by Student's t. For correct and wrong, two rows are added that favor neither model,
    so that a few rows that all agree do not seem certain.

    Source: Agresti and Min, "Simple improved confidence intervals for comparing matched proportions" (2005).

    >>> y = np.arange(100) % 2
    >>> verdict("binary", y, y, {"linear model": 1 - y})
    'The network beats the linear model: accuracy 1.0000 vs. 0.0000, difference 1.0000 ± 0.0336.'
    """
    return f"The network{' It'.join(_against(task, y, network, name, other) for name, other in others.items())}"


def _against(task: str, y: Array, network: Array, name: str, other: Array) -> str:
    """Return the sentence about one other model, without its subject, the network."""
    ours, theirs = per_row(task, y, network), per_row(task, y, other)
    mean, center, error = _difference(theirs - ours, bounded=task != "regression")
    chance = math.isfinite(error)
    if task == "regression":
        squares = float(ours.mean()), float(theirs.mean())
        main = "RMSE" if y.ndim == 1 else STANDARDIZED
        numbers = f"{main} {short(math.sqrt(squares[0]))} vs. {short(math.sqrt(squares[1]))}"
        times = squares[0] / squares[1] if squares[1] else math.inf
        if MULTIPLE < times < EXACT:
            numbers += f", {short(times, 3)} times the squared error"
        elif times <= MULTIPLE:
            numbers += f", {100 * abs(mean) / squares[1]:.1f}% {'less' if mean >= 0 else 'more'} squared error"
            numbers += f" ± {100 * error / squares[1]:.1f}%" if chance else ""
    else:
        right = [f"{float((y == predictions).mean()):.4f}" for predictions in (network, other)]
        numbers = f"accuracy {right[0]} vs. {right[1]}, difference {mean:.4f}"
        numbers += f" ± {error:.4f}" if chance else ""
    if mean > 0 and center > error:
        return f" beats the {name}: {numbers}."
    if mean > 0:
        return f" scores better than the {name}, but the difference could be chance: {numbers}."
    return f" does not beat the {name}: {numbers}."


def _difference(d: Array, *, bounded: bool) -> tuple[float, float, float]:
    """Return a mean, and the center and half-width of its 95% interval; the latter is infinite for one row."""
    if len(d) < 2:
        return float(d.mean()), 0.0, math.inf
    size = 1.0 if bounded else float(np.abs(d).max()) or 1.0  # to avoid overflow
    known = d / size
    if bounded or not known.std() > SAME:
        known = np.append(known, [math.sqrt(0.5), -math.sqrt(0.5)])
    half = min(student(len(d)) * float(known.std(ddof=1)) / math.sqrt(len(known)), 2.0)
    return float(d.mean()), size * float(known.mean()), size * half


def per_row(task: str, y: Array, predictions: Array) -> Array:
    """Return the loss of each row: the squared error, 0 or 1 for right or wrong, or the share of wrong labels.

    For several numbers, it is the mean of the squared errors, each divided by the number's variance in the rows.
    """
    if task == "regression":
        error = y - predictions
        return np.square(error) if y.ndim == 1 else np.square(error / scale_of(y)).mean(axis=1)
    wrong = (y != predictions).astype(float)
    return wrong.mean(axis=1) if wrong.ndim == 2 else wrong
