"""The objective: a mean over the folds of a cross-validation, each fold prepared and trained on its own."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.estimators._decisions import best_thresholds
from chainrule.tables import models
from chainrule.tables._polars import pl
from chainrule.tables.preparation import preparation
from chainrule.tables.result import scale_of
from chainrule.tables.schema import Column
from chainrule.tables.task import encoded
from chainrule.tables.tuning import space
from chainrule.tables.tuning.measure import Measured, error, measure, of_classes
from chainrule.training.callbacks import Callback, Run

CACHED = 2**30  # bytes of prepared folds that are kept between trials

Report = Callable[[int, list[float]], None]
"""Takes a step and the value so far of each fold begun; it may raise to end the trial."""


class Fold(NamedTuple):
    """A prepared fold."""

    X: Array
    y: Array
    X_val: Array
    y_val: Array
    weight: Array | None = None


class Outcome(NamedTuple):
    """The result of a complete trial: the value and the best epoch of each fold, and the seconds it took."""

    folds: list[float]
    epochs: list[int]
    seconds: float


@dataclass
class Problem:
    """The training rows, the folds and the search space: everything that a worker process needs.

    Parameters
    ----------
    frame : polars.DataFrame (rows, columns)
        The inputs, without the held-out rows.
    y : array (rows,), or (rows, targets)
    columns : tuple of Column
    task : str
    seed, patience : int
    fixed : dict
        Arguments of the estimator that are not searched.
    folds : list of (training rows, validation rows)
    weight : array (rows,), optional
    metric : str, optional
        A metric of ``train``, to choose by; the log loss by default, and the RMSE of numbers.
    thresholds : str, optional
        The metric whose best thresholds the network gets that is fitted at the end.
    """

    frame: pl.DataFrame
    y: Array
    columns: tuple[Column, ...]
    task: str
    seed: int
    patience: int
    fixed: dict[str, Any]
    folds: list[tuple[Array, Array]]
    weight: Array | None = None
    metric: str | None = None
    thresholds: str | None = None
    _prepared: dict[int, Fold] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        defaults = self._arguments({})
        self.space = space.space(self.task, len(self.y), defaults, self.fixed)
        self.default = space.point(defaults, self.space)
        self.measure = measure(self.task, self.y, self.metric)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_prepared": {}}  # each process prepares its own folds

    def evaluate(
        self, point: dict[str, Any], report: Report, keep: Callable[[int, Array, Array], None] | None = None
    ) -> Outcome:
        """Train on every fold at a point in the space, and report each epoch as step ``fold * epochs + epoch``.

        ``keep`` takes each fold's number, classes and outputs for its validation rows.

        Raises
        ------
        ValueError
            When training diverges.
        """
        start = time.perf_counter()
        arguments = self._arguments(space.arguments(point))
        values: list[float] = []
        epochs: list[int] = []
        for number in range(len(self.folds)):
            fold = self.prepare(number)
            numbers = self.task == "regression"
            center, scale = (fold.y.mean(axis=0), scale_of(fold.y)) if numbers else (0, 1)
            metrics = ["squared_error" if numbers else "log_loss", self.measure.metric]
            classes = np.unique(fold.y)
            loss, value = (
                error(name, fold.y_val, center, scale) if numbers else of_classes(name, classes, fold.y_val)
                for name in metrics
            )
            watch = _Watch(loss, value, fold.X_val, self.patience, report, number * arguments["max_iter"], values)
            model = models.network(self.task, arguments, 0)
            model = getattr(model, "regressor", model).set_params(callbacks=[watch])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about dead units or too few epochs, which the loss shows
                y = (fold.y - center) / scale if numbers else fold.y
                model.fit(fold.X, y, sample_weight=fold.weight)
            if model.history_.stopped.startswith("interrupted"):
                raise KeyboardInterrupt
            if not np.isfinite(watch.best):
                raise ValueError("training diverged")
            values.append(watch.value)
            epochs.append(watch.best_epoch)
            if keep is not None:
                keep(number, classes, watch.p)
        return Outcome(values, epochs, time.perf_counter() - start)

    def best_thresholds(self, point: dict[str, Any]) -> Array:
        """Return the thresholds of classes or labels that are best for rows that a network was not trained on."""
        known, found = np.unique(self.y), []

        def keep(number: int, classes: Array, p: Array) -> None:
            rows = self.folds[number][1]
            if self.y.ndim == 2:
                found.append((rows, p))
                return
            of_all = np.zeros((len(rows), len(known)))
            of_all[:, np.searchsorted(known, classes)] = p if p.shape[1] > 1 else np.hstack([1 - p, p])
            found.append((rows, of_all))

        self.evaluate(point, lambda _step, _values: None, keep)
        rows, p = (np.concatenate(parts) for parts in zip(*found, strict=True))
        t = self.y[rows] if self.y.ndim == 2 else np.searchsorted(known, self.y[rows])
        return best_thresholds(str(self.thresholds), t, p, None if self.weight is None else self.weight[rows])

    def prepare(self, number: int) -> Fold:
        """Return a fold, with its preparation fitted on its training rows only."""
        if number in self._prepared:
            return self._prepared[number]
        train, validation = self.folds[number]
        steps = preparation(self.columns, len(train), self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `train` gives these warnings once
            X = np.asarray(steps.fit_transform(self.frame[train], encoded(self.y[train])), dtype=np.float32)
            X_val = np.asarray(steps.transform(self.frame[validation]), dtype=np.float32)
        fold = Fold(X, self.y[train], X_val, self.y[validation], None if self.weight is None else self.weight[train])
        if (X.nbytes + X_val.nbytes) * len(self.folds) <= CACHED:
            self._prepared[number] = fold
        return fold

    def _arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        return models.parameters(len(self.y), self.task, self.seed, {**self.fixed, **given})


class _Watch(Callback):
    """Predicts the validation rows after each epoch, and stops when their loss no longer improves, as ``train`` does.

    The value is that of the epoch with the lowest loss, whose network ``train`` would keep. The loss has no label
    smoothing or class weights, with which trials could not be compared.
    """

    def __init__(
        self, loss: Measured, measured: Measured, X: Array, patience: int, report: Report, start: int,
        before: list[float],
    ) -> None:  # fmt: skip
        self.loss, self.measured, self.X, self.patience = loss, measured, X, patience
        self.report, self.start, self.before = report, start, before
        self.best, self.best_epoch, self.value = float("inf"), 0, float("nan")

    def on_epoch(self, run: Run) -> None:
        p = run.network.predict(self.X)
        loss = self.loss(p)
        if loss < self.best:
            self.best, self.best_epoch, self.value, self.p = loss, run.epoch, self.measured(p), p
        elif self.patience and run.epoch - self.best_epoch >= self.patience:
            run.stop("the validation loss does not improve")
        self.report(self.start + run.epoch - 1, [*self.before, self.value])
