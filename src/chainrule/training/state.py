"""What a training is made of, and what the loop asks of an engine: do these batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule._internal.threads import Threads
from chainrule._internal.typing import Array
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.penalties import Constraint, Penalty
from chainrule.schedules import Schedule
from chainrule.training.batches import Batches
from chainrule.training.callbacks import Run
from chainrule.training.clipping import Clip


@dataclass(frozen=True)
class Work:
    """Everything that a step is made of.

    ``seed`` is for what dropout draws, ``threads`` how many are used, ``accumulate`` how many batches a step has;
    ``layer_rates`` are the layers' own factors of the learning rate, 1 where there is none.
    """

    network: Network
    batches: Batches
    optimizer: Optimizer
    state: Memo
    schedule: Schedule
    penalties: Sequence[Penalty | Constraint]
    clip: Clip | None
    seed: np.random.SeedSequence
    threads: Threads
    accumulate: int = 1
    layer_rates: Mapping[int, float] = field(default_factory=dict)


class Steps(ABC):
    """The steps of one epoch after another, and what was measured in each.

    Attributes
    ----------
    losses, penalties, totals : (batches,) float64 arrays
        Of every batch of this epoch: L without penalties, what the penalties add, and its rows or sum of weights.
    rate : float
        The learning rate of the last step.
    block : int
        How many batches the training loop asks for at once.
    blas_threads, part_threads : int
        How many threads BLAS shall use meanwhile, and how many do parts of the rows in layers such as Conv2D.
    rng : numpy.random.Generator
        What dropout draws from.
    engine : str
        "compiled", or "numpy" and why.
    """

    rng: np.random.Generator
    engine = "numpy"

    def __init__(self, work: Work, run: Run) -> None:
        self.work, self.run = work, run
        self.losses, self.penalties, self.totals = np.zeros((3, len(work.batches)))
        run.losses, run.penalties = self.losses, self.penalties
        self.rate = 0.0
        self.block = 1
        self.blas_threads, self.part_threads = work.threads.blas, 1
        if work.network.blocked:
            self.blas_threads, self.part_threads = 1, work.threads.allowed

    @abstractmethod
    def do(self, first: int, last: int) -> None:
        """Do the batches from ``first`` to ``last`` (exclusive, counted from 0) of the running epoch.

        They are whole steps. ``run.batch`` is afterwards the last one that was done. A FloatingPointError at a loss
        that is not finite.
        """

    def close(self) -> None:  # noqa: B027  (most have nothing to let go of)
        """Let go of what only the steps need."""

    def factor(self, batch: int) -> float:
        """Return the schedule's factor for the step that a batch of the running epoch is in."""
        run, k = self.run, self.work.accumulate
        steps = -(-run.batches // k)
        return self.work.schedule.factor(run.epoch - 1 + batch // k / steps, run.epochs)

    def mean(self, values: Array) -> float:
        """Return the mean over the rows done so far of ``losses`` or ``penalties``."""
        done = self.run.batch
        return float(np.dot(values[:done], self.totals[:done]) / self.totals[:done].sum())
