"""The result of tuning: the trials, the best point, and the model fitted with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chainrule.tables.result import Trained
from chainrule.tables.tuning.space import Dimension


@dataclass(frozen=True)
class TrialRecord:
    """A finished trial.

    Parameters
    ----------
    number : int
        From 1, in the order in which the trials started.
    state : str
        "complete", "pruned" or "diverged".
    value : float or None
        The mean of the measure over the folds that the trial has trained on, the one in which it was pruned included.
    folds : tuple of float
        Its value on each of these folds.
    epochs : tuple of int
        The best epoch of each fold of a complete trial.
    seconds : float
    point : dict
        The values tried, by the names of the dimensions.

    Examples
    --------
    >>> TrialRecord(1, "complete", 0.4, (0.3, 0.5), (12, 20), 1.5, {"layers": 2}).state
    'complete'
    """

    number: int
    state: str
    value: float | None
    folds: tuple[float, ...]
    epochs: tuple[int, ...]
    seconds: float
    point: dict[str, Any]


@dataclass(frozen=True)
class Tuned:
    """The result of tuning; :func:`~chainrule.tables.tuning.summary` prints it, ``save`` writes its page.

    Attributes
    ----------
    best : dict
        The best point, by the names of the dimensions.
    value, default_value : float
        Its mean over the folds, and that of the default network, which is the first trial.
    measure : str
        What is averaged, in words: "log loss" or "RMSE", or the metric that was asked for, such as "ROC AUC".
    trials : tuple of TrialRecord
    importance : dict of float
        The share of the variance of the measure that each dimension explains, largest first; empty for a few trials.
    space : tuple of Dimension
    folds : int
    trained : Trained
        The model fitted with the best point, as :func:`chainrule.tables.train` returns it.
    larger : bool
        Whether larger values of the measure are better.

    Examples
    --------
    >>> from chainrule.tables import tune
    >>> import numpy as np
    >>> import polars as pl
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "same": x[:, 0] * x[:, 1] > 0})
    >>> tuned = tune(frame, "same", trials=2, folds=2, parameters={"max_iter": 5, "activation": "tanh"})
    >>> "activation" in tuned.best, len(tuned.trials)
    (False, 2)
    """

    best: dict[str, Any]
    value: float
    default_value: float
    measure: str
    trials: tuple[TrialRecord, ...] = field(repr=False)
    importance: dict[str, float]
    space: tuple[Dimension, ...] = field(repr=False)
    folds: int
    trained: Trained = field(repr=False)
    larger: bool = False

    @property
    def sign(self) -> int:
        """-1 if larger values are better, else 1: what to multiply values by to compare them."""
        return -1 if self.larger else 1
