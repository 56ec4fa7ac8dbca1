"""The steps of training in plain array code: the layers' own forward and backward, the optimizer's own update."""

from __future__ import annotations

import math

import numpy as np

from chainrule.callbacks import Run
from chainrule.kernels.steps import Steps, Work
from chainrule.penalties import BoundPenalties

__all__ = ["steps"]


def steps(work: Work, run: Run) -> Steps:
    """Return what does the steps."""
    return _ReferenceSteps(work, run)


class _ReferenceSteps(Steps):
    def __init__(self, work: Work, run: Run) -> None:
        super().__init__(work, run)
        network = work.network
        self.workspace = network.workspace(work.batches.batch_size, seed=work.seed)
        self.rng = self.workspace.rng
        self.bound = BoundPenalties(
            work.penalties, network.layout, len(network.layers), network.theta, self.workspace.grad
        )

    def do(self, first: int, last: int) -> None:
        changes, factor = self.work.schedule.within_epoch, self.factor(first)
        for batch in range(first, last):
            self.run.batch = batch + 1
            self._step(batch, self.factor(batch) if changes else factor)

    def _step(self, batch: int, factor: float) -> None:
        work, run, bound = self.work, self.run, self.bound
        x, t, weight = work.batches.take(batch)
        self.rate = work.optimizer.learning_rate * factor
        loss, grad = work.network.loss_and_grad(x, t, self.workspace, weight)
        total = float(x.shape[0] if weight is None else np.add.reduce(weight))
        run.loss = self.losses[batch] = loss
        self.totals[batch] = total
        if bound:
            rows = total or 1.0
            run.penalty = self.penalties[batch] = bound.value(rows)
            bound.add_gradient(rows)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}")
        if work.clip is not None:
            work.clip.apply(grad)
        work.optimizer.update(work.network.theta, grad, work.state, factor)
        bound.project()
        work.network.commit(self.workspace)
