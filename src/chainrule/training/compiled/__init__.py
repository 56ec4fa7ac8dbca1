"""The steps of training compiled by Numba: a whole block of batches in one call."""

from __future__ import annotations

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  (the BLAS of compiled code, there before its threads are limited)

from chainrule.training import step as reference
from chainrule.training.callbacks import Run
from chainrule.training.compiled.columns import INPUTS, OUTPUTS
from chainrule.training.compiled.epoch import Memory, dense_epoch
from chainrule.training.compiled.plan import Plan, make_plan
from chainrule.training.compiled.products import gemm_address
from chainrule.training.compiled.rows import Rows
from chainrule.training.compiled.team import Team
from chainrule.training.state import Steps, Work

__all__ = ["steps"]

MOST_DRAWS = 2**18  # numbers that dropout may have waiting: they stay in the cache


def steps(work: Work, run: Run) -> Steps:
    """Return what does the steps: compiled if every part has a compiled form and the rows are dense."""
    plan = make_plan(work)
    if isinstance(plan, Plan):
        return _CompiledSteps(work, run, plan)
    made = reference.steps(work, run)
    made.engine = f"numpy: {plan}"
    return made


class _CompiledSteps(Steps):
    engine = "compiled"

    def __init__(self, work: Work, run: Run, plan: Plan) -> None:
        super().__init__(work, run)
        batches, theta, state = work.batches, work.network.theta, work.state
        self._plan, self.rng = plan, np.random.default_rng(work.seed)
        self._rates, self._draws = np.empty(len(batches)), np.empty(0, theta.dtype)
        dtype, size, widest = theta.dtype, plan.batch_size, plan.layers[:, [INPUTS, OUTPUTS]].max()
        nothing = np.empty(0, dtype)
        self._rows = Rows(batches, dtype)
        slots = [*(getattr(state, name) for name in work.optimizer.slots), nothing, nothing]
        self._memory = Memory(
            gemm=gemm_address(dtype),
            theta=theta,
            grad=np.zeros((plan.parts if plan.by_rows else 1, theta.size), dtype),
            s1=slots[0],
            s2=slots[1],
            x=np.empty(size * plan.layers[0, INPUTS] if self._rows.gathered else 0, dtype),
            y=np.empty(size * plan.width, dtype),
            dy=np.empty(size * plan.width, dtype),
            scale=np.empty(size, dtype),
            norms=np.empty(widest, dtype),
            sums=np.zeros((plan.parts, 3)),
            losses=self.losses,
            penalties=self.penalties,
            totals=self.totals,
            rates=self._rates,
        )
        self._block = self._rows.block
        if plan.draws:
            self._block = min(self._block, max(1, MOST_DRAWS // (plan.batch_size * plan.draws)))
            self._draws = np.empty(min(self._block, len(batches)) * plan.batch_size * plan.draws, dtype)
        threads = min(plan.parts, work.threads.allowed)
        self._team = Team(threads)
        if plan.parts > 1:
            self.blas_threads = 1

    def do(self, first: int, last: int) -> None:
        work, run, plan, state = self.work, self.run, self._plan, self.work.state
        for array in (self._memory.theta, self._memory.s1, self._memory.s2):
            if not array.flags.writeable:  # since training began: compiled code would not notice
                raise ValueError("the parameters, or what the optimizer remembers, were made read-only in training.")
        while first < last:
            stop = min(last, first + self._block)
            self._fill_rates(first, stop)
            if plan.draws:
                rows = min(stop * plan.batch_size, work.batches.rows) - first * plan.batch_size
                self.rng.random(out=self._draws[: rows * plan.draws], dtype=self._draws.dtype)
            row = self._rows.prepare(first, stop)
            done = self._team.do(
                (plan, self._rows.data, self._memory, self._draws), (first, stop, state.t + 1, row), dense_epoch
            )
            state.t += done
            failed = done < stop - first
            run.batch = first + done + failed
            run.loss, run.penalty = float(self.losses[run.batch - 1]), float(self.penalties[run.batch - 1])
            self.rate = float(self._rates[run.batch - 1])
            if failed:
                raise FloatingPointError(f"the loss is {run.loss}")
            first = stop

    def close(self) -> None:
        self._team.close()

    def _fill_rates(self, first: int, last: int) -> None:
        rate, rates = self.work.optimizer.learning_rate, self._rates
        if self.work.schedule.within_epoch:
            for batch in range(first, last):
                rates[batch] = rate * self.factor(batch)
        else:
            rates[first:last] = rate * self.factor(first)
