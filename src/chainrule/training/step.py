"""The training step in plain array code: the layers' forward and backward, and the optimizer's update."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import final

import numpy as np

from chainrule._internal.typing import Array, Number
from chainrule.penalties import BoundPenalties
from chainrule.training.callbacks import Run
from chainrule.training.state import Steps, Work


def steps(work: Work, run: Run) -> Steps:
    """Return the object that runs the steps."""
    return _ReferenceSteps(work, run)


class ArraySteps(Steps):
    """Steps in array code. Subclasses compute the gradient of a batch and the update from it."""

    def __init__(self, work: Work, run: Run) -> None:
        super().__init__(work, run)
        network = work.network
        factors = network.layout.factors(work.layer_rates, network.dtype) if work.layer_rates else None
        work.state.factors = None if factors is None else network.near(factors)
        self.workspace = network.workspace(work.batches.batch_size, seed=work.seed)
        self.rng = self.workspace.rng
        self.sum = np.empty_like(self.workspace.grad) if work.accumulate > 1 else None
        self.bound = BoundPenalties(
            work.penalties, network.layout, len(network.layers), network.theta, self.workspace.grad
        )

    def do(self, first: int, last: int) -> None:
        changes, factor = self.work.schedule.within_epoch, self.factor(first)
        for batch in range(first, last, self.work.accumulate):
            stop = min(batch + self.work.accumulate, last)
            self._step(batch, stop, self.factor(batch) if changes else factor)

    def _step(self, first: int, last: int, factor: float) -> None:
        """Take one step with the gradient of all rows in these batches."""
        bound = self.bound
        self.rate = self.work.optimizer.learning_rate * factor
        grad, rows = self.batch(first)
        if last > first + 1:
            grad, rows = self._accumulate(grad, rows, first + 1, last)
        rows = self.exchange(grad, rows, first, last)
        if bound:
            self.keep_penalty(first, last, bound.value(rows or 1.0))
            bound.add_gradient(rows or 1.0)
        self.update(grad, factor)
        bound.project()

    def _accumulate(self, grad: Array, rows: float, first: int, last: int) -> tuple[Array, float]:
        """Return Σ nᵢ gᵢ / Σ nᵢ, the gradient of all batches as one; a smaller batch has less weight."""
        total = np.multiply(grad, rows, out=self.sum)
        for batch in range(first, last):
            grad, more = self.batch(batch)
            grad *= more
            total += grad
            rows += more
        return np.divide(total, rows or 1.0, out=grad), rows

    @abstractmethod
    def batch(self, batch: int) -> tuple[Array, float]:
        """Return the gradient of one batch, and its number of rows (or sum of weights)."""

    def exchange(self, grad: Array, rows: float, first: int, last: int) -> float:
        """Replace the gradient and the loss by those of all ranks, if there are any; return Σ nᵢ."""
        return rows

    @abstractmethod
    def keep_penalty(self, first: int, last: int, value: Number) -> None:
        """Record the penalties of these batches."""

    @abstractmethod
    def update(self, grad: Array, factor: float) -> None:
        """Clip the gradient, and take the optimizer's step."""


@final
class _ReferenceSteps(ArraySteps):
    def __init__(self, work: Work, run: Run) -> None:
        super().__init__(work, run)
        network = work.network
        self.wire = np.empty(network.theta.size + 2, network.dtype) if work.ranks.size > 1 else None

    def batch(self, batch: int) -> tuple[Array, float]:
        run = self.run
        run.batch = batch + 1
        x, t, weight = self.work.batches.take(batch)
        loss, grad = self.work.network.loss_and_grad(x, t, self.workspace, weight)
        run.loss = self.losses[batch] = loss
        total = self.totals[batch] = float(x.shape[0] if weight is None else np.add.reduce(weight))
        if self.wire is None:  # with ranks, the loss of all tells
            self._check_finite()
        self.work.network.update_statistics(self.workspace)
        return grad, total

    def exchange(self, grad: Array, rows: float, first: int, last: int) -> float:
        if self.wire is None:
            return rows
        np.multiply(grad, rows, out=self.wire[:-2])
        self.wire[-2:] = rows, self.losses[first:last] @ self.totals[first:last]
        self.work.ranks.sum(self.wire)
        rows = float(self.wire[-2])
        np.divide(self.wire[:-2], rows or 1.0, out=grad)  # Σ nᵢ gᵢ / Σ nᵢ
        self.run.loss = self.losses[first:last] = float(self.wire[-1]) / (rows or 1.0)
        self.totals[first:last] = rows / (last - first)
        self._check_finite()
        return rows

    def keep_penalty(self, first: int, last: int, value: Number) -> None:
        self.run.penalty = self.penalties[first:last] = value

    def update(self, grad: Array, factor: float) -> None:
        work = self.work
        if work.clip is not None:
            work.clip.apply(grad)
        work.optimizer.update(work.network.theta, grad, work.state, factor)

    def _check_finite(self) -> None:
        if not math.isfinite(self.run.loss):
            raise FloatingPointError(f"the loss is {self.run.loss}")
