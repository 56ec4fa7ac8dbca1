"""What a point of the space is worth: the mean loss over the folds, each prepared and trained by itself."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import models
from chainrule.tables.preparation import preparation
from chainrule.tables.schema import Column
from chainrule.tables.tuning.space import arguments
from chainrule.training.callbacks import Callback, Run

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

KEPT = 2**30  # bytes of prepared folds that are kept from trial to trial
MEASURE = {"binary": "log loss", "multiclass": "log loss", "multilabel": "log loss", "regression": "RMSE"}
TINY = 1e-7  # the least probability that a loss is taken of, as in the scores

Tell = Callable[[int, float], str]
"""Takes a step and the value so far, and returns why to end the trial, or nothing."""


class Cut(Exception):  # noqa: N818  (no error)
    """A trial that was ended before its end; the reason is "pruned", "interrupted" or "time"."""


class Fold(NamedTuple):
    """A fold as the network sees it."""

    X: Array
    y: Array
    X_val: Array
    y_val: Array


class Outcome(NamedTuple):
    """What a whole trial gave: the value of each fold, its best epoch, and the seconds of all."""

    values: list[float]
    epochs: list[int]
    seconds: float

    @property
    def value(self) -> float:
        """The mean over the folds."""
        return float(np.mean(self.values))


@dataclass
class Problem:
    """Everything that a trial needs: the rows to train on as the pipeline takes them, and the folds.

    Parameters
    ----------
    frame : polars.DataFrame (rows, columns)
        The columns that the network sees; none of the held-out rows.
    y : array (rows,), or (rows, labels)
    columns : tuple of Column
    task : str
    seed, patience : int
    fixed : dict
        Arguments of the estimator that are not searched.
    folds : list of (rows to train on, rows to validate on)
    """

    frame: pl.DataFrame
    y: Array
    columns: tuple[Column, ...]
    task: str
    seed: int
    patience: int
    fixed: dict[str, Any]
    folds: list[tuple[Array, Array]]
    _prepared: dict[int, Fold] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_prepared": {}}  # each process prepares for itself

    def evaluate(self, values: dict[str, Any], tell: Tell) -> Outcome:
        """Train on every fold at a point of the space; after each epoch ``tell`` hears the running mean.

        That is the mean of the folds that are done and of the best epoch so far of the one that is not, at the step
        ``fold * epochs + epoch``: trials are compared at the same step, so over the same rows.

        Raises
        ------
        Cut
            When ``tell`` says so.
        ValueError
            When training diverges.
        """
        start = time.perf_counter()
        given = models.parameters(len(self.y), self.task, self.seed, {**self.fixed, **arguments(values)})
        best: list[float] = []
        epochs: list[int] = []
        for i in range(len(self.folds)):
            fold = self.prepare(i)

            def mean(epoch: int, value: float, first: int = i * given["max_iter"]) -> str:
                return tell(first + epoch - 1, float(np.mean([*best, value])))

            watch = _fit(self.task, given, self.patience, fold, mean)
            best.append(watch.best)
            epochs.append(watch.best_epoch)
        return Outcome(best, epochs, time.perf_counter() - start)

    def prepare(self, number: int) -> Fold:
        """Return a fold with its preparation fitted on its training rows only."""
        if number in self._prepared:
            return self._prepared[number]
        train, validation = self.folds[number]
        steps = preparation(self.columns, len(train), self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what train says once
            X = np.asarray(steps.fit_transform(self.frame[train], self.y[train]), dtype=np.float32)
            X_val = np.asarray(steps.transform(self.frame[validation]), dtype=np.float32)
        fold = Fold(X, self.y[train], X_val, self.y[validation])
        if (X.nbytes + X_val.nbytes) * len(self.folds) <= KEPT:
            self._prepared[number] = fold
        return fold


class Watch(Callback):
    """Measures the validation rows after each epoch, remembers the best, and stops when none has come for long.

    The loss is that of the targets as they are: label smoothing and class weights, which are searched or given, would
    make losses that cannot be compared.
    """

    def __init__(self, measure: Callable[[Array], float], X: Array, patience: int, tell: Tell) -> None:
        self.measure, self.X, self.patience, self.tell = measure, X, patience, tell
        self.best, self.best_epoch, self.why = float("inf"), 0, ""

    def on_epoch(self, run: Run) -> None:
        value = self.measure(run.network.predict(self.X))
        if value < self.best:
            self.best, self.best_epoch = value, run.epoch
        elif self.patience and run.epoch - self.best_epoch >= self.patience:
            run.stop("the validation loss does not improve")
        self.why = self.tell(run.epoch, self.best)
        if self.why:
            run.stop(self.why)


def _fit(task: str, given: dict[str, Any], patience: int, fold: Fold, tell: Tell) -> Watch:
    estimator = models.network(task, given, 0)
    estimator = getattr(estimator, "regressor", estimator)
    y, measure = fold.y, _log_loss(fold)
    if task == "regression":
        centre, scale = float(fold.y.mean()), float(fold.y.std()) or 1.0
        y, measure = (fold.y - centre) / scale, _rmse(fold, centre, scale)
    watch = Watch(measure, fold.X_val, patience, tell)
    estimator.set_params(callbacks=[watch])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dead units, of epochs that were too few: the value says it
        estimator.fit(fold.X, y)
    if estimator.history_.stopped.startswith("interrupted"):
        raise KeyboardInterrupt
    if watch.why:
        raise Cut(watch.why)
    if not np.isfinite(watch.best):
        raise ValueError("training diverged")
    return watch


def _rmse(fold: Fold, centre: float, scale: float) -> Callable[[Array], float]:
    def measure(p: Array) -> float:
        return float(np.sqrt(np.square(p.ravel() * scale + centre - fold.y_val).mean()))

    return measure


def _log_loss(fold: Fold) -> Callable[[Array], float]:
    if fold.y.ndim == 2:
        return lambda p: _binary(p, fold.y_val)
    classes = np.unique(fold.y)
    which = np.searchsorted(classes, fold.y_val).clip(max=len(classes) - 1)
    known = classes[which] == fold.y_val  # by time or by group, a class may be new

    def measure(p: Array) -> float:
        if len(classes) == 2:
            p = np.column_stack([1 - p.ravel(), p.ravel()])
        of_truth = np.where(known, p[np.arange(len(which)), which], 0.0)
        return float(-np.log(np.clip(of_truth, TINY, 1)).mean())

    return measure


def _binary(p: Array, y: Array) -> float:
    p = np.clip(p, TINY, 1 - TINY)
    return float(-np.where(y == 1, np.log(p), np.log1p(-p)).mean())
