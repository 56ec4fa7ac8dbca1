"""Epochs over a file: blocks are prepared, mixed in a buffer, and given to :func:`chainrule.train` piece by piece."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.typing import Array
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.penalties import Constraint, Penalty
from chainrule.schedules import Schedule
from chainrule.tables.streaming.progress import Meter
from chainrule.tables.streaming.shuffling import ShuffleBuffer
from chainrule.tables.streaming.source import Block, Source
from chainrule.training.clipping import Clip
from chainrule.training.history import History
from chainrule.training.loop import DivergenceError, evaluate, train

BUFFER_BYTES = 32 * 2**20  # rows that are mixed
PIECE_BYTES = 8 * 2**20  # rows that train() is given at once
ROUND_ROWS = 100_000  # from twice as many on, an epoch is measured more than once
ROUNDS = 10  # at most so often

__all__ = ["Plan", "fit"]


@dataclass(frozen=True)
class Plan:
    """How a network is trained on a stream: as the arguments of :func:`chainrule.train`, and when it ends early.

    ``patience`` counts rounds: epochs of a short table, tenths of an epoch of a long one.
    """

    optimizer: Optimizer
    schedule: Schedule
    epochs: int = 1
    batch_size: int = 256
    penalties: Sequence[Penalty | Constraint] = ()
    clip: Clip | None = None
    patience: int = 10
    seed: int = 0
    weights: Array | None = None  # of each class


@final
class _Part(Schedule):
    """A schedule of the whole run, seen from a piece of it: ``length`` epochs from ``start`` on, of ``epochs``."""

    def __init__(self, whole: Schedule, start: float, length: float, epochs: float) -> None:
        self.whole, self.start, self.length, self.epochs = whole, start, length, epochs

    def factor(self, epoch: float, epochs: float) -> float:
        return self.whole.factor(self.start + self.length * epoch, self.epochs)


def fit(
    network: Network,
    source: Source,
    columns: Sequence[str],
    prepared: Callable[[Block], tuple[Array, Array]],
    rows: int,
    validation: tuple[Array, Array],
    plan: Plan,
    meter: Meter,
) -> History:
    """Train a network on the rows of a file; Ctrl-C ends it, and what was learned stays.

    Parameters
    ----------
    network : Network
    source : Source
    columns : names of columns
        What is read.
    prepared : function of Block
        Returns X (rows, inputs) and t of the rows to train on.
    rows : int
        How many these are in the whole file.
    validation : (X, t)
        Measured after every round; the parameters of the best round are those that are kept.
    plan : Plan
    meter : Meter
        Counts the rows of the file.

    Returns
    -------
    History
        One row a round; ``epoch`` has fractions.
    """
    names = [f"val_{name}" for name in network.loss.metrics]
    history = History(["epoch", "rows", "loss", "val_loss", *names, "learning_rate", "seconds"])
    run = _Run(network, rows, validation, plan, history, meter)
    shuffle_seed, run.dropout_seed = np.random.SeedSequence(plan.seed).spawn(2)
    rng = np.random.default_rng(shuffle_seed)
    with deferred_interrupt() as interrupted:
        for pieces in (_pieces(source, columns, prepared, network, plan, rng, meter) for _ in range(plan.epochs)):
            for x, t in pieces:
                run.do(x, t)
                if interrupted():
                    run.stopped = f"interrupted after {run.done:,} rows of training"
                if run.stopped:
                    break
            if run.stopped:
                break
    run.end()
    return history


class _Run:
    """What goes on from piece to piece."""

    def __init__(
        self, network: Network, rows: int, validation: tuple[Array, Array], plan: Plan, history: History, meter: Meter
    ) -> None:
        self.network, self.rows, self.plan, self.history, self.meter = network, rows, plan, history, meter
        self.validation = validation if len(validation[0]) else None
        self.state = plan.optimizer.start(network.theta, network.weights)
        self.dropout_seed = np.random.SeedSequence(0)
        self.done = self.measured = 0
        self.loss = 0.0
        self.rate = 0.0
        self.round = max(1, rows // max(1, min(ROUNDS, rows // ROUND_ROWS)))
        self.since = time.perf_counter()
        self.best, self.best_round, self.best_theta = np.inf, 0, network.values.copy()
        self.stopped = ""

    def do(self, x: Array, t: Array) -> None:
        """Train on a piece, and measure where a round is over."""
        plan = self.plan
        part = _Part(plan.schedule, self.done / self.rows, len(x) / self.rows, plan.epochs)
        weight = None if plan.weights is None else plan.weights[t.ravel().astype(np.int64)]
        try:
            piece = train(
                self.network, x, t, optimizer=plan.optimizer, epochs=1, batch_size=min(plan.batch_size, len(x)),
                schedule=part, penalties=plan.penalties, clip=plan.clip, sample_weight=weight, shuffle=False,
                state=self.state, seed=self.dropout_seed.spawn(1)[0],
            )  # fmt: skip
        except DivergenceError as error:
            self.end()
            message = str(error).partition(". Try ")[0].replace(" in epoch 1,", f" after {self.done:,} rows, in")
            raise DivergenceError(
                f"{message}. Try a learning rate ten times smaller. The network has the parameters of the best round.",
                self.history,
            ) from None
        self.done += len(x)
        self.loss += piece["loss"][0] * len(x)
        self.rate = piece["learning_rate"][0]
        self.meter.note = f"loss {piece['loss'][0]:.4f}"
        if self.done // self.round > self.measured // self.round or self.done >= plan.epochs * self.rows:
            self.measure()

    def measure(self) -> None:
        """Add a row to the history, and see whether it is the best."""
        found = {"loss": np.nan} | dict.fromkeys(self.network.loss.metrics, np.nan)
        if self.validation is not None:
            found = evaluate(self.network, *self.validation)
        now = time.perf_counter()
        new = self.done - self.measured
        self.history.append(
            [self.done / self.rows, self.done, self.loss / new, *found.values(), self.rate, now - self.since]
        )
        self.measured, self.loss, self.since = self.done, 0.0, now
        watched = found["loss"] if self.validation is not None else self.history["loss"][-1]
        if watched < self.best:
            self.best, self.best_round = watched, len(self.history)
            self.best_theta = self.network.values.copy()
        elif len(self.history) - self.best_round >= self.plan.patience:
            self.stopped = f"the validation loss has not improved for {self.plan.patience} rounds"

    def end(self) -> None:
        """Measure what was not measured yet, and go back to the best parameters."""
        if self.done > self.measured:
            self.measure()
        if len(self.history):
            self.network.values[:] = self.best_theta
        self.history.stopped = self.stopped


def _pieces(
    source: Source,
    columns: Sequence[str],
    prepared: Callable[[Block], tuple[Array, Array]],
    network: Network,
    plan: Plan,
    rng: np.random.Generator,
    meter: Meter,
) -> Iterator[tuple[Array, Array]]:
    """Yield the rows of one epoch in a random order, whole batches at a time; the last piece may end in a short one."""
    width = network.input_shape[0]
    length = plan.batch_size * max(1, PIECE_BYTES // (4 * width * plan.batch_size))
    order = rng.permutation(source.segments).tolist()
    buffer: ShuffleBuffer | None = None
    for block in source.blocks(order, columns):
        x, t = prepared(block)
        if buffer is None:
            capacity = max(plan.batch_size, BUFFER_BYTES // (4 * width))
            buffer = ShuffleBuffer(capacity, length, width, t, rng)
        rows = block.frame.height
        del block  # nor what is read kept while it is trained on
        yield from buffer.push(x, t)
        meter.add(rows)
    if buffer is not None:
        yield from buffer.drain()
