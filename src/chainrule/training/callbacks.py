"""Training callbacks, called between the epochs of :func:`chainrule.train`."""

from __future__ import annotations

import math
import sys
from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, final

import numpy as np

from chainrule._internal.backend import host, like
from chainrule._internal.checks import check_count, check_real
from chainrule._internal.config import Config
from chainrule._internal.names import did_you_mean
from chainrule._internal.typing import Array, Float
from chainrule.files.states import check_state, form
from chainrule.metrics import direction
from chainrule.network import Network
from chainrule.training import notebook
from chainrule.training.history import History

__all__ = ["Callback", "EarlyStopping", "Progress", "Run"]


@dataclass
class Run:
    """The training state visible to callbacks. Call ``run.stop("why")`` to end training.

    Attributes
    ----------
    network : Network
    history : History
        One row per completed epoch.
    columns : tuple of str
        The columns of the history, including those still to come.
    epochs, batches, rows : int
        Total number of epochs, batches per epoch, and training rows.
    epoch, batch : int
        The current epoch and batch, both counted from 1.
    loss, penalty : float
        Values for the current batch.
    losses, penalties : (batches,) float64 arrays
        Values for the batches of the current epoch completed so far.
    kept : int
        The epoch whose parameters the network has at the end, if it is not the last completed one.
    rank, ranks : int
        Which process this is, counted from 0, and how many train together; 0 and 1 without ``reduce=``.
    resume : path or None
        The checkpoint folder from which training resumes.
    measure : function
        Recomputes the network's statistics with the current parameters on the training rows.
    snapshot : function
        Returns the complete training state, as saved by a :class:`chainrule.Checkpoint`.
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
    rank: int = 0
    ranks: int = 1
    resume: Path | None = None
    measure: Callable[[], Any] = field(default=lambda: None, repr=False)
    snapshot: Callable[[], Any] = field(default=lambda: None, repr=False)
    losses: Float[Array, "batches"] = field(default_factory=lambda: np.zeros(0), repr=False)
    penalties: Float[Array, "batches"] = field(default_factory=lambda: np.zeros(0), repr=False)
    stopped: str = field(default="", init=False)
    kept: int = field(default=0, init=False)

    def stop(self, reason: str) -> None:
        """End training after the current batch."""
        self.stopped = self.stopped or reason


class Callback(Config, ABC):
    """Base class for callbacks. Override the methods you need.

    ``on_batch`` is called after every step, only for callbacks that override it; if several batches make one step,
    after the last of them. In ``on_epoch``, ``run.network`` has the averaged weights, if weight averaging is used.

    >>> class StopAt(Callback):
    ...     def on_epoch(self, run):
    ...         if run.history["loss"][-1] < 0.1:
    ...             run.stop("the loss is below 0.1")
    """

    def on_start(self, run: Run) -> None:
        """Prepare before the first epoch; raise errors for invalid settings here."""

    def on_batch(self, run: Run) -> None:
        """Act after each step."""

    def on_epoch(self, run: Run) -> None:
        """Act after each epoch; its row is the last one in ``run.history``."""

    def on_end(self, run: Run) -> None:
        """Act when training ends: after the last epoch, ``run.stop``, Ctrl-C, or an exception."""

    def state(self) -> dict[str, Any]:
        """Return the state to save in a checkpoint: a dict of numbers, strings, None, lists of numbers, and arrays."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state saved by ``state`` when resuming an interrupted run. Called after ``on_start``."""


@final
@dataclass(eq=False, repr=False)
class EarlyStopping(Callback):
    """Stop training when a monitored column of the history stops improving.

    Parameters
    ----------
    monitor : str
        A column of the history.
    patience : int
        Number of epochs without improvement to wait.
    min_delta : float
        Minimum change that counts as an improvement.
    restore_best : bool
        Whether to restore the parameters of the best epoch when training ends, even by divergence, Ctrl-C, or an
        exception in another callback.
    mode : {"auto", "min", "max"}
        Whether smaller or larger values are better. "auto" recognizes losses, errors and the usual metrics by name
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
        Before training, if the history will not have such a column, or "auto" cannot tell its direction.

    Source: Prechelt, "Early stopping — but when?" (1998).

    Examples
    --------
    >>> EarlyStopping(patience=5)
    EarlyStopping(patience=5)
    >>> EarlyStopping("val_regret", mode="min")            # a custom metric
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
                f"EarlyStopping: the name {self.monitor!r} does not tell whether smaller or larger is better: give "
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
                self._values = host(run.network.values).copy()
        elif run.epoch - self.best_epoch >= self.patience:
            run.stop(f"{self.monitor} has not improved for {self.patience} epochs")

    def on_end(self, run: Run) -> None:
        if self._values is not None:
            run.network.values[:] = like(self._values, run.network.values)
            run.kept = self.best_epoch

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "theta": self._values}

    def restore(self, state: dict[str, Any]) -> None:
        kinds = {"best": "number", "best_epoch": "count", "theta": self._form}
        self.best, self.best_epoch, self._values = check_state(state, kinds)


@final
@dataclass(eq=False, repr=False)
class Progress(Callback):
    """Show the progress of training: one plain-text line per epoch, or in a notebook one live bar.

    Parameters
    ----------
    every : int
        Number of epochs between lines. The last epoch is always printed. The bar follows every epoch.
    file : text file, optional
        Output file for the lines; standard output by default, which is a bar where it goes to a notebook's cell.

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

    def on_start(self, run: Run) -> None:
        self._bar = None if self.file else notebook.bar()
        if self._bar is not None:
            self._bar.show(0, run.epochs, [])

    def on_epoch(self, run: Run) -> None:
        if self._bar is not None:
            self._bar.show(run.epoch, run.epochs, described(run.history.last(), seconds=False))
        elif run.epoch % self.every == 0 or run.epoch == run.epochs or run.stopped:
            self._print(f"epoch {run.epoch}/{run.epochs}  {'  '.join(described(run.history.last()))}")

    def on_end(self, run: Run) -> None:
        stopped = [f"stopped: {run.stopped}"] if run.stopped else []
        if self._bar is not None:
            row = run.history.last() if len(run.history) else {"epoch": 0}
            self._bar.show(row["epoch"], run.epochs, [*described(row, seconds=False), *stopped], over=True)
            self._bar = None  # the display cannot be copied, but an estimator with this callback can
        elif stopped:
            self._print(*stopped)

    def _print(self, line: str) -> None:
        print(line, file=self.file or sys.stdout, flush=True)


def described(row: dict[str, Any], *, seconds: bool = True) -> list[str]:
    """Return one row of a history as texts.

    >>> described({"epoch": 1, "loss": 0.12341, "seconds": 0.5})
    ['loss 0.1234', 'seconds 0.5']
    """
    formats = {"learning_rate": "{:.3g}", "seconds": "{:.1f}"}
    shown = {name: value for name, value in row.items() if name != "epoch" and (seconds or name != "seconds")}
    return [f"{name} {formats.get(name, '{:.4f}').format(value)}" for name, value in shown.items()]
