"""Callbacks: what happens between the epochs of :func:`chainrule.train`."""

from __future__ import annotations

import math
import sys
from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, final

import numpy as np

from chainrule._internal.checks import check_count, check_real
from chainrule._internal.config import Config
from chainrule._internal.names import did_you_mean
from chainrule._internal.typing import Array, Float
from chainrule.files.states import check_state, form
from chainrule.metrics import direction
from chainrule.network import Network
from chainrule.training.history import History

__all__ = ["Callback", "EarlyStopping", "Progress", "Run"]


@dataclass
class Run:
    """What a callback sees of the training that goes on, and its way to end it: ``run.stop("why")``.

    Attributes
    ----------
    network : Network
    history : History
        One row for every finished epoch.
    columns : tuple of str
        The columns that the history has or will have.
    epochs, batches, rows : int
        How many epochs there will be, batches an epoch has, and rows are trained on.
    epoch, batch : int
        Where training is, both counted from 1.
    loss, penalty : float
        Those of the batch.
    losses, penalties : (batches,) float64 arrays
        Those of all batches of this epoch, as far as they are done.
    kept : int
        The epoch whose parameters the network has at the end, where that is not the last one that was finished.
    resume : path or None
        The folder from whose checkpoints training goes on.
    measure : function
        Measures the network's statistics once more, with the parameters as they are, on the rows of training.
    snapshot : function
        Returns the state of everything, as a :class:`chainrule.Checkpoint` keeps it.
    """

    network: Network
    history: History
    columns: tuple[str, ...]
    epochs: int
    batches: int
    rows: int
    epoch: int = 0
    batch: int = 0
    loss: float = math.nan
    penalty: float = 0.0
    resume: Path | None = None
    measure: Callable[[], Any] = field(default=lambda: None, repr=False)
    snapshot: Callable[[], Any] = field(default=lambda: None, repr=False)
    losses: Float[Array, "batches"] = field(default_factory=lambda: np.zeros(0), repr=False)
    penalties: Float[Array, "batches"] = field(default_factory=lambda: np.zeros(0), repr=False)
    stopped: str = field(default="", init=False)
    kept: int = field(default=0, init=False)

    def stop(self, reason: str) -> None:
        """End training after this batch."""
        self.stopped = self.stopped or reason


class Callback(Config, ABC):
    """Something to do while training. One of your own overrides what it needs.

    ``on_batch`` is called only for callbacks that override it, after every step: where several batches make one step,
    after the last of them. When ``on_epoch`` is called, ``run.network`` has the average of the weights if one is made.

    >>> class StopAt(Callback):
    ...     def on_epoch(self, run):
    ...         if run.history["loss"][-1] < 0.1:
    ...             run.stop("the loss is below 0.1")
    """

    def on_start(self, run: Run) -> None:
        """Do something before the first epoch; the place to refuse a setting that cannot work."""

    def on_batch(self, run: Run) -> None:
        """Do something after a step."""

    def on_epoch(self, run: Run) -> None:
        """Do something after an epoch; its row is the last of ``run.history``."""

    def on_end(self, run: Run) -> None:
        """Do something at the end, however it came: after the last epoch, ``run.stop``, Ctrl-C, or an exception."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint has to keep: numbers, texts, None, lists of numbers, and arrays, by name."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned in a training that was killed; called after ``on_start``."""


@final
@dataclass(eq=False, repr=False)
class EarlyStopping(Callback):
    """Stop when a column of the history has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        A column of the history.
    patience : int
        How many epochs without improvement to wait.
    min_delta : float
        What counts as an improvement is better by more than this.
    restore_best : bool
        At the end, however it came, go back to the parameters of the best epoch: also after a divergence, Ctrl-C, or an
        exception of another callback.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better. "auto" knows losses, errors and the usual metrics by their names
        (:func:`chainrule.metrics.direction`).

    Attributes
    ----------
    best : float
        The best value so far.
    best_epoch : int
        Its epoch, from 1.

    Raises
    ------
    ValueError
        Before training, when the history will not have such a column, or "auto" does not know its direction.

    Source: Prechelt, "Early stopping — but when?" (1998).

    Examples
    --------
    >>> EarlyStopping(patience=5)
    EarlyStopping(patience=5)
    >>> EarlyStopping("val_regret", mode="min")            # a metric of your own
    EarlyStopping(monitor='val_regret', mode='min')
    """

    monitor: str = "val_loss"
    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True
    mode: str = "auto"

    def __post_init__(self) -> None:
        check_count("EarlyStopping", "patience", self.patience)
        check_real("EarlyStopping", "min_delta", self.min_delta, 0)
        if self.mode not in ("auto", "min", "max"):
            raise ValueError(f"EarlyStopping: mode: expected 'auto', 'min' or 'max', got {self.mode!r}.")

    def on_start(self, run: Run) -> None:
        if self.monitor not in run.columns:
            missing = "validation=0.1" if self.monitor.startswith("val_") and "val_loss" not in run.columns else None
            remedy = f"Train with {missing}." if missing else did_you_mean(self.monitor, run.columns)
            raise ValueError(f"EarlyStopping: the history will have no column {self.monitor!r}. {remedy}")
        better = direction(self.monitor) if self.mode == "auto" else self.mode
        if better is None:
            raise ValueError(
                f"EarlyStopping: its name does not say whether a smaller or a larger {self.monitor!r} is better: give "
                "mode='min' or mode='max'."
            )
        self._sign = 1.0 if better == "min" else -1.0
        self.best = math.inf * self._sign
        self.best_epoch = 0
        self._values: Array | None = None
        self._form = form(run.network.values)

    def on_epoch(self, run: Run) -> None:
        value = run.history[self.monitor][-1]
        if self._sign * value < self._sign * self.best - self.min_delta:
            self.best, self.best_epoch = value, run.epoch
            if self.restore_best:
                self._values = run.network.values.copy()
        elif run.epoch - self.best_epoch >= self.patience:
            run.stop(f"{self.monitor} has not improved for {self.patience} epochs")

    def on_end(self, run: Run) -> None:
        if self._values is not None:
            run.network.values[:] = self._values
            run.kept = self.best_epoch

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "theta": self._values}

    def restore(self, state: dict[str, Any]) -> None:
        kinds = {"best": "number", "best_epoch": "count", "theta": self._form}
        self.best, self.best_epoch, self._values = check_state(state, kinds)


@final
@dataclass(eq=False, repr=False)
class Progress(Callback):
    """Print one plain line an epoch.

    Parameters
    ----------
    every : int
        Print every so many epochs (and the last one).
    file : text file, optional
        Where to; standard output by default.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(1, [cr.layers.Dense(1, weights="zeros")], "squared_error")
    >>> history = cr.train(network, [[1.0], [2.0]], [1.0, 2.0], epochs=2, callbacks=[Progress()])
    epoch 1/2  loss 1.2500  learning_rate 0.001  seconds 0.0
    epoch 2/2  loss 1.2...  learning_rate 0.001  seconds 0.0
    """

    every: int = 1
    file: TextIO | None = None

    def __post_init__(self) -> None:
        check_count("Progress", "every", self.every)

    def on_epoch(self, run: Run) -> None:
        if run.epoch % self.every == 0 or run.epoch == run.epochs or run.stopped:
            self._print(f"epoch {run.epoch}/{run.epochs}  {describe(run.history.last())}")

    def on_end(self, run: Run) -> None:
        if run.stopped:
            self._print(f"stopped: {run.stopped}")

    def _print(self, line: str) -> None:
        print(line, file=self.file or sys.stdout, flush=True)


def describe(row: dict[str, Any]) -> str:
    """Return one row of a history as text: ``loss 0.1234  val_accuracy 0.95``."""
    formats = {"learning_rate": "{:.3g}", "seconds": "{:.1f}"}
    return "  ".join(f"{name} {formats.get(name, '{:.4f}').format(v)}" for name, v in row.items() if name != "epoch")
