"""Training the members of an ensemble side by side, and choosing one common epoch for all of them.

Each member is trained on all folds but one, and predicts the rows of that fold after every epoch. Together they
predict every row out of fold, so that each epoch has one score on all rows. The epoch with the best score, smoothed
over three epochs, is kept. The cycles of the learning rate double in length. Once the score at the end of one is worse
than at the end of the one before, the networks learn the noise of their rows, and training ends; if the error is still
much smaller at the end of the last one, there is one more.
"""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from chainrule._internal.threads import blas_threads, choose_threads
from chainrule._internal.typing import Array
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.schedules import CosineLog
from chainrule.training import engine
from chainrule.training.batches import Batches
from chainrule.training.callbacks import Run
from chainrule.training.history import History
from chainrule.training.lifecycle import DivergedError
from chainrule.training.loop import run_epoch
from chainrule.training.state import Steps, Work

SMOOTHED = 3  # epochs, whose mean score is compared
WORSE = 0.01  # by this share, the score at the end of a cycle ends training
SMALLER = 0.25  # by this share, the error at the end of the last cycle adds one, if it is above
SMALL = 0.001
CYCLES = 6  # at most


@dataclass
class Member:
    """A network, the rows it is trained on and those it predicts, and what is kept of its last epochs."""

    network: Network
    rows: Array
    held_out: Array
    seed: np.random.SeedSequence
    state: Memo
    epoch: int = 0
    losses: list[float] = field(default_factory=list)
    values: dict[int, Array] = field(default_factory=dict)  # parameters by epoch
    logits: dict[int, Array] = field(default_factory=dict)  # of the held-out rows
    busy: bool = False
    steps: Steps | None = field(default=None, init=False)  # made once, for all epochs
    predict: Callable[[], Array] | None = field(default=None, init=False)

    def shuffle(self, order: Array) -> None:
        """Put the rows in the order of the next epoch, which depends on the seed and the epoch alone."""
        rng = np.random.default_rng([*self.seed.generate_state(4), self.epoch])
        for part in order.reshape(-1, len(self.rows)):
            part[:] = rng.permutation(self.rows)


@dataclass
class Members:
    """The members of an ensemble in training.

    Parameters
    ----------
    members : sequence of Member
    X, t, weight : arrays
        The encoded rows, their targets, and their weights or None.
    fold : (rows,) array
        The fold of each row for the first five members.
    measure : function of (t, outputs, weight)
        Returns what the epoch is chosen by (smaller is better), the loss, and the score of out-of-fold outputs.
    optimizer, schedule, epochs, batch_size, layer_rates
        As in :func:`chainrule.train`.
    """

    members: Sequence[Member]
    fold: Array
    X: Array
    t: Array
    weight: Array | None
    measure: Callable[[Array, Array, Array | None], tuple[float, float, float]]
    optimizer: Optimizer
    schedule: CosineLog
    epochs: int
    batch_size: int
    layer_rates: dict[int, float]
    passes: int = 1  # over the rows in an epoch: several if they are few
    may_end: bool = True  # before the last epoch
    may_extend: bool = False  # by more cycles
    scores: list[tuple[float, float, float]] = field(default_factory=list)  # of epochs 1, 2, ...
    best: int = 0
    stopped: str = ""  # by an interruption, a divergence or the time,
    enough: str = ""  # or because the networks get worse
    engine: str = ""
    began: float = field(default_factory=time.monotonic)
    deadline: float = math.inf

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def run(
        self, until: int, threads: int, on_epoch: Callable[[int, int], None], interrupted: Callable[[], bool]
    ) -> None:
        """Train all members up to epoch ``until``; ``on_epoch`` is called with the member and its epoch."""

        def work() -> None:
            try:
                with blas_threads(1):
                    while (member := self._next(until)) is not None:
                        self._epoch(member, on_epoch, interrupted)
            except BaseException:
                self.stopped = "ended by an error"  # for the other threads
                raise

        if threads == 1:
            work()
            return
        with ThreadPoolExecutor(threads, thread_name_prefix="chainrule") as pool:
            try:
                # each in a copy of the caller's context, which knows who shows that code is compiled
                for done in [pool.submit(contextvars.copy_context().run, work) for _ in range(threads)]:
                    done.result()
            except BaseException:  # also a second Ctrl-C
                self.stopped = "ended by an error"
                raise

    def _epoch(self, member: Member, on_epoch: Callable[[int, int], None], interrupted: Callable[[], bool]) -> None:
        began = time.monotonic()
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # reported as a divergence
                trained = self._train(member, interrupted)
        except DivergedError:
            self.stopped = f"diverged in epoch {member.epoch + 1}"
            return
        if trained is not None:
            with self._lock:
                if not self.enough:  # then another thread was faster, and this epoch does not count
                    self._deliver(member, *trained)
                    try:
                        on_epoch(self.members.index(member), member.epoch)
                    except BaseException:
                        self.stopped = "ended by an error"  # before another thread begins an epoch
                        raise
        if interrupted():
            self.stopped = f"interrupted in epoch {member.epoch + (trained is None)}"
        elif self.scores and 2 * time.monotonic() - began > self.deadline:  # no time for another like it
            self.stopped = "ended when the time was up"

    def _next(self, until: int) -> Member | None:
        """Return the member that is furthest behind and make it busy; None if there is nothing left to do."""
        with self._lock:
            idle = [member for member in self.members if not member.busy and member.epoch < until]
            if not idle or self.stopped or self.enough:
                return None
            member = min(idle, key=lambda member: member.epoch)
            member.busy = True
            return member

    def _train(self, member: Member, interrupted: Callable[[], bool]) -> tuple[float, Array] | None:
        """Train a member for one epoch; return its loss and its outputs for the held-out rows. None if interrupted."""
        if member.steps is None or member.predict is None:
            member.steps = self._steps(member)
            nothing = np.zeros((0, *member.network.output_shape), self.X.dtype)
            some = len(member.held_out) > 0
            member.predict = engine.predictor(member.network, self.X, member.held_out) if some else lambda: nothing
        member.steps.run.epoch = member.epoch + 1
        if not run_epoch(member.steps, (), interrupted):
            return None
        return member.steps.mean(member.steps.losses), member.predict()

    def _steps(self, member: Member) -> Steps:
        network, rows = member.network, np.tile(member.rows, self.passes)
        t = network.loss.targets(self.t, network.output_shape[0], network.dtype)
        size = min(self.batch_size, len(rows))
        batches = Batches(self.X, t, self.weight, rows, size, network.dtype, member)
        work = Work(
            network, batches, self.optimizer, member.state, self.schedule, (), None, member.seed, choose_threads(0, 1),
            layer_rates=self.layer_rates,
        )  # fmt: skip
        history = History(())
        steps = engine.steps(work, Run(network, history, (), self.epochs, len(batches), batches.rows))
        self.engine = history.engine
        return steps

    def _deliver(self, member: Member, loss: float, logits: Array) -> None:
        """Keep the results of an epoch, score it if this member was the last, and forget what is no longer needed."""
        member.epoch += 1
        member.losses.append(loss)
        member.values[member.epoch], member.logits[member.epoch] = member.network.values.copy(), logits
        member.busy = False
        for epoch in range(len(self.scores) + 1, min(member.epoch for member in self.members) + 1):
            rows = np.concatenate([member.held_out for member in self.members])
            out = np.concatenate([member.logits[epoch] for member in self.members])
            with np.errstate(over="ignore", invalid="ignore"):
                score = self.measure(self.t[rows], out, None if self.weight is None else self.weight[rows])
            if not np.isfinite(score).all():
                self.stopped = f"diverged in epoch {epoch}"
                return
            self.scores.append(score)
            self.best = self.best_of(self.scores)
            for other in self.members:
                for kept in (other.values, other.logits):
                    for old in [e for e in kept if e < epoch - SMOOTHED // 2 and e != self.best]:
                        del kept[old]
            self.enough = self.worse()
        if self.enough:
            self._level()
        elif self._is_promising():
            self.extend()

    def _level(self) -> None:
        """Forget the epochs that some members are ahead of others."""
        for member in self.members:
            member.epoch = len(self.scores)
            del member.losses[member.epoch :]
            for kept in (member.values, member.logits):
                kept.pop(member.epoch + 1, None)

    def worse(self) -> str:
        """Return at the end of which cycle the score is worse than before, in words, or ""."""
        for before, now in pairwise(self._ends()[:-1] if self.may_end else ()):
            if now + SMOOTHED // 2 <= len(self.scores) and self._at(now) > (1 + WORSE) * self._at(before):
                return f"out-of-fold predictions after epoch {now} are worse than after epoch {before}"
        return ""

    @property
    def unfinished(self) -> bool:
        """Whether there are epochs to train."""
        return len(self.scores) < self.epochs and not self.stopped and not self.enough

    def extend(self) -> None:
        """Add a cycle of the learning rate, which takes a bit longer than all before it."""
        cycles = self.schedule.cycles
        self.epochs = round(self.epochs * (2 ** (cycles + 1) - 1) / (2**cycles - 1))
        self.schedule = CosineLog(cycles + 1)
        for member in self.members:
            member.steps = None  # they have the schedule

    def _is_promising(self) -> bool:
        """Whether one more cycle is worth its time: there is an error left, and the last cycle made it much smaller."""
        ends, left = self._ends(), self.deadline - time.monotonic()
        if not self.may_extend or len(self.scores) < self.epochs or len(ends) < 2 or self.schedule.cycles == CYCLES:
            return False
        before, now = (1 - self._at(end, 2) for end in ends[-2:])
        return SMALL < now < (1 - SMALLER) * before and 1.2 * (time.monotonic() - self.began) < left

    def _ends(self) -> list[int]:
        """Return the epochs with which the cycles of the learning rate end, but for those that are too short."""
        cycles = self.schedule.cycles
        ends = [round(self.epochs * (2**k - 1) / (2**cycles - 1)) for k in range(1, cycles + 1)]
        return [end for end in ends if end > SMOOTHED // 2]

    def _at(self, epoch: int, which: int = 0) -> float:
        """Return the mean of what the epoch is chosen by, the loss or the score, of an epoch and its neighbors."""
        half = SMOOTHED // 2
        return float(np.mean([score[which] for score in self.scores[epoch - 1 - half : epoch + half]]))

    @staticmethod
    def best_of(scores: Sequence[tuple[float, float, float]], *, ended: bool = False) -> int:
        """Return the epoch with the least mean score of itself and its neighbors; the last one lacks one meanwhile."""
        half, values = SMOOTHED // 2, [score[0] for score in scores]
        known = len(values) if ended else max(1, len(values) - half)
        return 1 + int(np.argmin([np.mean(values[max(0, e - half) : e + half + 1]) for e in range(known)]))

    def history(self) -> History:
        """Return the scores of all epochs, with the mean loss of the members in training."""
        history = History(("epoch", "loss", "val_loss", "val_score"))
        for i, (_, loss, score) in enumerate(self.scores):
            history.append([i + 1, float(np.mean([member.losses[i] for member in self.members])), loss, score])
        history.stopped, history.engine = self.stopped or self.enough, self.engine
        return history

    def finish(self) -> None:
        """Set the parameters of all members to those of the best epoch."""
        self.best = self.best_of(self.scores, ended=True)
        for member in self.members:
            member.network.values[:] = member.values[self.best]

    def out_of_fold(self) -> tuple[Array, Array]:
        """Return the rows and the logits of the out-of-fold predictions of the best epoch."""
        rows = np.concatenate([member.held_out for member in self.members])
        return rows, np.concatenate([member.logits[self.best] for member in self.members])
