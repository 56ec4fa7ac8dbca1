"""The measure that a search chooses by, on the validation rows of a fold: the loss, or a metric of ``train``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.estimators._decisions import score
from chainrule.tables import models
from chainrule.tables.report.uncertainty import MIN_PROBABILITY, row_losses
from chainrule.tables.result import scale_of
from chainrule.tables.score_names import METRICS, STANDARDIZED

Measured = Callable[[Array], float]
"""Takes the outputs of a network for the validation rows."""


@dataclass(frozen=True)
class Measure:
    """A measure of a fold's outputs.

    Parameters
    ----------
    name : str
        In words: "log loss", "ROC AUC".
    metric : str
        Its name among the metrics of the estimators: "log_loss", "roc_auc".
    larger : bool
        Whether larger values are better.
    worst : float
        The value of a fold that has not started.
    """

    name: str
    metric: str
    larger: bool
    worst: float

    @property
    def sign(self) -> int:
        """-1 if larger values are better, else 1: what to multiply values by to compare them."""
        return -1 if self.larger else 1

    def bounded(self, value: float) -> float:
        """Return a value, or the worst one if it is worse than that, or not a number.

        >>> Measure("log loss", "log_loss", False, 16.0).bounded(float("inf"))
        16.0
        """
        return value if self.sign * value < self.sign * self.worst else self.worst


def measure(task: str, y: Array, metric: str | None = None) -> Measure:
    """Return the measure for a metric of ``train``; by default, the log loss, or the RMSE of numbers.

    >>> measure("regression", np.array([1.0, 4.0]), "mae")
    Measure(name='MAE', metric='absolute_error', larger=False, worst=3.0)
    """
    numbers = task == "regression"
    found = models.eval_metric(task, metric or ("rmse" if numbers else "log-loss"))
    if found in METRICS:
        return Measure(METRICS[found], found, True, 0.0)
    if not numbers:
        return Measure("log loss", found, False, float(-np.log(MIN_PROBABILITY)))
    several = y.ndim == 2
    name = STANDARDIZED if several else "RMSE"
    name = name.replace("RMSE", "MAE") if found == "absolute_error" else name
    return Measure(name, found, False, float(np.ptp(y / scale_of(y) if several else y, axis=0).max()))


def error(metric: str, y: Array, center: Any, scale: Any) -> Measured:
    """Return the RMSE or MAE of outputs; of several numbers, each is divided by its standard deviation."""
    one = scale if y.ndim == 2 else 1.0

    def measured(p: Array) -> float:
        apart = (p.reshape(y.shape) * scale + center - y) / one
        if metric == "absolute_error":
            return float(np.abs(apart).mean())
        return float(np.sqrt(np.square(apart).mean()))

    return measured


def of_classes(metric: str, classes: Array, y: Array) -> Measured:
    """Return a metric of probabilities.

    Parameters
    ----------
    metric : str
    classes : (classes,) array
        Those of the training rows. By time or by group, y may have a new one, of which the probability is 0.
    y : (rows,) array of classes, or (rows, labels) array of 0 and 1
    """
    if y.ndim == 2:
        if metric == "log_loss":
            return lambda p: float(row_losses("multilabel", y, p).mean())
        if metric == "accuracy":
            return lambda p: float(((p > 0.5) == y).mean())
        return lambda p: score(metric, y, p)
    which = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    known = classes[which] == y
    which[~known] = len(classes)

    def measured(p: Array) -> float:
        p = np.column_stack([1 - p.ravel(), p.ravel()]) if len(classes) == 2 else p
        p = p if known.all() else np.column_stack([p, np.zeros(len(p))])
        if metric == "log_loss":
            return float(-np.log(np.clip(p[np.arange(len(which)), which], MIN_PROBABILITY, 1)).mean())
        return float((p.argmax(axis=1) == which).mean()) if metric == "accuracy" else score(metric, which, p)

    return measured
