"""The components of a training run, and the interface between the loop and an engine."""

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
from chainrule.training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Work:
    """All the components of a training step.

    ``seed`` seeds dropout, ``threads`` is the number of threads, ``accumulate`` the number of batches per step;
    ``layer_rates`` are the learning-rate multipliers of the layers, 1 by default; ``ranks`` are the processes that
    train together.
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
    ranks: Ranks = ALONE
    precision: str = "float32"  # of matrix products on a GPU


class Steps(ABC):
    """The steps of successive epochs, and their measurements.

    Attributes
    ----------
    losses, penalties, totals : (batches,) float64 arrays
        For every batch of this epoch: L without penalties, the penalties, and the number of rows or sum of weights.
    rate : float
        The learning rate of the last step.
    block : int
        Number of batches that the training loop requests at once.
    blas_threads : int
        Number of threads for BLAS during the steps.
    rng : numpy.random.Generator
        The random generator used by dropout.
    engine : str
        "compiled", or "numpy" with the reason.
    """

    rng: np.random.Generator
    engine = "numpy"

    def __init__(self, work: Work, run: Run) -> None:
        self.work, self.run = work, run
        self.losses, self.penalties, self.totals = np.zeros((3, len(work.batches)))
        run.losses, run.penalties = self.losses, self.penalties
        self.rate = 0.0
        self.block = 1
        self.blas_threads = work.threads.blas

    @abstractmethod
    def do(self, first: int, last: int) -> None:
        """Run the batches from ``first`` to ``last`` (exclusive, counted from 0) of the current epoch.

        They form whole steps. Afterwards ``run.batch`` is the last completed one. A loss that is not finite raises a
        FloatingPointError.
        """

    def close(self) -> None:  # noqa: B027  (most have nothing to release)
        """Release resources."""

    def factor(self, batch: int) -> float:
        """Return the schedule's factor for the step that contains a batch of the current epoch."""
        run, k = self.run, self.work.accumulate
        steps = -(-run.batches // k)
        return self.work.schedule.factor(run.epoch - 1 + batch // k / steps, run.epochs)

    def mean(self, values: Array) -> float:
        """Return the mean of ``losses`` or ``penalties`` over the rows processed so far."""
        done = self.run.batch
        return float(np.dot(values[:done], self.totals[:done]) / self.totals[:done].sum())
