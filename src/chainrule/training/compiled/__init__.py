"""The steps of training as machine code: a whole block of batches in one call."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.training import step as reference
from chainrule.training.callbacks import Run
from chainrule.training.compiled import epoch as driver
from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import address_of
from chainrule.training.compiled.machine import Machine
from chainrule.training.compiled.plan import Plan
from chainrule.training.compiled.program import NotCompiled
from chainrule.training.compiled.rows import Rows
from chainrule.training.state import Steps, Work

__all__ = ["steps"]

MOST_DRAWS = 2**18  # random values that dropout may have waiting: they stay in the cache


def steps(work: Work, run: Run) -> Steps:
    """Return the object that runs the steps: compiled if every component has a compiled form."""
    try:
        return _CompiledSteps(work, run, Plan(work))
    except NotCompiled as reason:
        made = reference.steps(work, run)
        made.engine = f"numpy: {reason}"
        return made


class _CompiledSteps(Steps):
    engine = "compiled"

    def __init__(self, work: Work, run: Run, plan: Plan) -> None:
        super().__init__(work, run)
        self._plan, self.rng = plan, np.random.default_rng(work.seed)
        batches, network, state, program = work.batches, work.network, work.state, plan.program
        theta, dtype, size = network.theta, network.theta.dtype, work.batches.batch_size
        rows = self._rows = Rows(network, batches, work.accumulate)
        self._block, self._rates = rows.block, np.empty(len(batches))
        self._draw_width = sum(width for _, width in program.drawn)
        if self._draw_width:
            self._block = min(self._block, max(1, MOST_DRAWS // (size * self._draw_width)))
        self._block = -(-self._block // work.accumulate) * work.accumulate  # whole steps
        self._draws = np.empty(min(self._block, len(batches)) * size * self._draw_width, dtype)
        self._written = [theta, network.statistics, *(getattr(state, name) for name in work.optimizer.slots)]
        slot_1, slot_2 = [*self._written[2:], theta, theta][:2]  # theta: for an optimizer that reads none
        grads = np.zeros((plan.parts if plan.by_rows else 1, theta.size), dtype)
        norms = np.empty(max([1, *(e.shape[-1] for e in network.layout.entries)]), dtype)
        ranks = work.ranks.size
        wire = np.empty(theta.size + 2 if ranks > 1 else theta.size if work.accumulate > 1 else 0, dtype)
        self._exchange = _Exchange(work.ranks.sum, wire) if ranks > 1 else None
        arrays = [
            (slots.THETA, theta), (slots.STATISTICS, network.statistics), (slots.S1, slot_1), (slots.S2, slot_2),
            (slots.SUM, wire), (slots.BATCH, rows.buffer),
            (slots.SHORT, int(rows.short)), *rows.targets,
        ]  # fmt: skip
        job = {
            driver.ROWS: batches.rows, driver.BY_ROWS: plan.by_rows, driver.READY: rows.ready,
            driver.ROW_BYTES: rows.buffer.itemsize * rows.width, driver.ORDERS: rows.order,
            driver.ALL_DRAWS: self._draws, driver.DRAW_BYTES: self._draw_width * dtype.itemsize, driver.GRADS: grads,
            driver.GRAD_BYTES: grads[0].nbytes, driver.LOSSES: self.losses, driver.PENALTIES: self.penalties,
            driver.TOTALS: self.totals, driver.RATES: self._rates, driver.ACCUMULATE: work.accumulate,
            driver.RANKS: ranks,
        }  # fmt: skip
        table = plan.table(rows.gather, address_of(norms), self._exchange)
        threads = min(plan.parts, work.threads.allowed)
        self._machine = Machine(program, table, size, plan.parts, threads, arrays, job)
        self._norms = norms

    def do(self, first: int, last: int) -> None:
        work, run, state = self.work, self.run, self.work.state
        size = work.batches.batch_size
        for array in self._written:
            if not array.flags.writeable:  # since training began: machine code would not notice
                raise ValueError("the parameters, or what the optimizer remembers, were made read-only in training.")
        while first < last:
            stop = min(last, first + self._block)
            self._fill_rates(first, stop)
            if self._draw_width:
                self._draw(first * size, min(stop * size, work.batches.rows))
            done = self._machine.team.do((first, stop, state.t + 1, self._rows.prepare(first, stop)))
            failed = done < stop - first
            state.t += done // work.accumulate if failed else -(-done // work.accumulate)
            run.batch = first + done + failed
            run.loss, run.penalty = float(self.losses[run.batch - 1]), float(self.penalties[run.batch - 1])
            self.rate = float(self._rates[run.batch - 1])
            if self._exchange is not None and self._exchange.error is not None:
                raise self._exchange.error
            if failed:
                raise FloatingPointError(f"the loss is {run.loss}")
            first = stop

    def close(self) -> None:
        self._machine.team.close()

    def _draw(self, start: int, stop: int) -> None:
        """Draw what the layers need, batch by batch and layer by layer, as the reference does."""
        drawn, size, dtype = self._plan.program.drawn, self.work.batches.batch_size, self._draws.dtype
        if len({kind for kind, _ in drawn}) == 1:  # one stream: in one call
            self._fill(drawn[0][0], self._draws[: (stop - start) * self._draw_width], dtype)
            return
        at = 0
        for row in range(start, stop, size):
            n = min(size, stop - row)
            for kind, width in drawn:
                self._fill(kind, self._draws[at : at + n * width], dtype)
                at += n * width

    def _fill(self, kind: str, out: Array, dtype: np.dtype[np.generic]) -> None:
        getattr(self.rng, kind)(out=out, dtype=dtype)

    def _fill_rates(self, first: int, last: int) -> None:
        rate, rates = self.work.optimizer.learning_rate, self._rates
        if self.work.schedule.within_epoch:
            for batch in range(first, last):
                rates[batch] = rate * self.factor(batch)
        else:
            rates[first:last] = rate * self.factor(first)


class _Exchange:
    """The sum over the ranks as an operation that machine code calls: a C function with the signature of all others."""

    def __init__(self, add: Callable[[Array], Any], wire: Array) -> None:
        self._add, self._wire = add, wire
        self.error: BaseException | None = None
        self._call = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 5)(self._run)

    def _run(self, *_: Any) -> int:
        try:
            self._add(self._wire)
        except BaseException as error:  # noqa: BLE001  (raised when machine code has returned, as the loss is NaN)
            self.error, self._wire[-1] = error, np.nan
        return 0

    def load(self, dtype: np.dtype[Any]) -> bool:
        return True

    def address(self, dtype: np.dtype[Any]) -> int:
        return ctypes.cast(self._call, ctypes.c_void_p).value or 0
