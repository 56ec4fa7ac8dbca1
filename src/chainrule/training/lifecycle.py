"""The start and the end of a training run: callbacks, resuming, errors and divergence."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.backend import is_array, like, to
from chainrule._version import __version__
from chainrule.layers.base import SHIPPED
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.training import snapshots
from chainrule.training.averaging import WeightAverage, measure_statistics
from chainrule.training.callbacks import Callback, Progress, Run
from chainrule.training.checkpoints import Checkpoint
from chainrule.training.history import History
from chainrule.training.snapshots import Snapshot
from chainrule.training.state import Steps, Work


class DivergenceError(ArithmeticError):
    """Raised when the loss or a parameter becomes NaN or infinite during training.

    The network is restored to its parameters before that epoch, or to those that a callback sets at the end: the best
    ones for ``EarlyStopping``, the mean for weight averaging. A given ``state=`` is restored as well, so training can
    continue from both. ``history`` contains the completed epochs.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:  # for a worker process that passes it to its parent
        return type(self), (str(self), self.history)


class DivergedError(Exception):
    """Raised to end the loop; ``run.stopped`` says why."""


def start(
    steps: Steps,
    callbacks: Sequence[Callback],
    started: list[Callback],
    data: Iterable[Any],
    seed: dict[str, Any],
    resume: str | os.PathLike[str] | None,
    saved: Snapshot | None,
) -> None:
    """Start the callbacks, and restore the state of a checkpoint, if there is one."""
    work, run = steps.work, steps.run
    if resume is not None or any(isinstance(callback, Checkpoint) for callback in callbacks):
        same = snapshots.describe(work, seed, data)
        run.resume = None if resume is None else Path(resume)
        run.snapshot = lambda: snapshots.take(steps, callbacks, seed, same)
    run.measure = lambda: _measure(work)
    for callback in callbacks:
        callback.on_start(run)
        started.append(callback)
    if saved is not None:
        snapshots.restore(saved, steps, callbacks, same)


def facts(steps: Steps, callbacks: Sequence[Callback], data: Sequence[Any], seed: Any) -> dict[str, str]:
    """Return the facts that must be equal on every rank, by name."""
    work, run = steps.work, steps.run
    return {
        "chainrule": __version__,
        **{name: text for name, text in snapshots.describe(work, None, ()).items() if name != "data"},
        "parameters": snapshots.fingerprint(work.network.values)[:12],
        "seed": "none" if seed is None else repr(seed),
        "epochs": str(run.epochs),
        "batches": str(run.batches),
        "columns": ", ".join(run.columns),
        "data": ", ".join("none" if array is None else f"{array.dtype} {array.shape[1:]}" for array in data),
        "callbacks": ", ".join(type(callback).__name__ for callback in callbacks if not isinstance(callback, Progress)),
        "engine": run.history.engine,
    }


def _measure(work: Work) -> None:
    """Recompute the network's statistics on the training rows of all ranks."""
    network, batches = work.network, work.batches
    measure_statistics(network, batches.X, rows=batches.order, batch_size=batches.batch_size)
    work.ranks.average(network.statistics, batches.rows)


@contextmanager
def undone_by_divergence(steps: Steps, callbacks: Sequence[Callback]) -> Iterator[None]:
    """Restore the state from before the block if the loss or a parameter becomes NaN or infinite in it."""
    state, run = steps.work.state, steps.run
    theta, values = run.network.theta, run.network.values
    before = values.copy()
    memory = {
        name: value.copy() if is_array(value) else copy.deepcopy(value)  # deepcopy of arrays is slow
        for name, value in snapshots.kept(state).items()
    }
    averages = [callback for callback in callbacks if isinstance(callback, WeightAverage)]
    means = [copy.deepcopy(average.state()) for average in averages]
    try:
        yield
        if not np.isfinite(theta).all():
            raise FloatingPointError("a parameter is not finite")
    except FloatingPointError as error:
        values[:] = before
        for name in snapshots.kept(state).keys() - memory.keys():
            delattr(state, name)
        for name, value in memory.items():  # in place: compiled code holds these arrays
            if is_array(value):
                getattr(state, name)[...] = value
            else:
                setattr(state, name, value)
        for average, mean in zip(averages, means, strict=True):
            average.restore(mean)
        run.stopped = (
            f"diverged: {error} in epoch {run.epoch}, batch {run.batch} of {run.batches}, at learning rate "
            f"{steps.rate:g}"
        )
        raise DivergedError from None


@contextmanager
def returned(work: Work, home: Network, state: Memo | None) -> Iterator[None]:
    """Copy the result of training on another device into the given network and optimizer state."""
    try:
        yield
    finally:
        if work.network is not home:
            home.values[:] = like(work.network.values, home.values)
            for name, value in snapshots.kept(work.state).items() if state is not None else ():
                setattr(state, name, to(value, home.device) if is_array(value) else value)


@contextmanager
def ended(run: Run) -> Iterator[list[Callback]]:
    """Yield a list for the started callbacks, and call ``on_end`` of each when the block ends for any reason.

    The first error is raised. An error in an ``on_end`` does not prevent the other calls, and is added to the first
    error as a note. A divergence error says which parameters the network then has.
    """
    started: list[Callback] = []
    problem: BaseException | None = None
    notes: list[str] = []
    try:
        yield started
    except BaseException as error:  # noqa: BLE001  (Ctrl-C and SystemExit also end training; raised again below)
        problem = error
        if run.epoch:
            run.stop(f"{type(error).__name__} in epoch {run.epoch}, after batch {run.batch} of {run.batches}")
    run.history.stopped = run.stopped
    for callback in started:
        try:
            callback.on_end(run)
        except BaseException as error:  # noqa: BLE001
            if problem is None:
                problem = error
            else:
                notes.append(f"on_end of {callback!r} also failed: {type(error).__name__}: {error}")
    if isinstance(problem, DivergedError):
        problem = DivergenceError(
            f"training {run.stopped}. Try a learning rate ten times smaller, scale the inputs to roughly [−1, 1], or "
            f"clip the gradient (clip=ClipNorm(1.0)). The network has the {_left(run, started)}.",
            run.history,
        )
    elif isinstance(problem, Exception) and run.epoch:
        custom = [layer for layer in run.network.layers if type(layer) not in SHIPPED.values()]
        checks = ", ".join(f"chainrule.check_layer({layer!r}, {layer.input_shape})" for layer in custom)
        notes += (
            [f"If the error comes from a custom layer, this says what is wrong with it: {checks}"] if custom else []
        )
    if problem is not None:
        for note in notes:
            problem.add_note(note)
        raise problem


def _left(run: Run, callbacks: Sequence[Callback]) -> str:
    """Return which parameters the network has after a divergence, once the callbacks have ended."""
    if run.kept:
        return f"parameters from after epoch {run.kept}"
    if any(isinstance(callback, WeightAverage) and callback.average is not None for callback in callbacks):
        return f"average weights up to epoch {run.epoch - 1}"
    return f"parameters from {f'after epoch {run.epoch - 1}' if run.epoch > 1 else 'before training'}"
