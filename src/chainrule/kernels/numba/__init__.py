"""The steps of training compiled by Numba: a whole block of batches in one call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  (the BLAS of compiled code, there before its threads are limited)

from chainrule._threads import SMALL
from chainrule._typing import Array
from chainrule.callbacks import Run
from chainrule.kernels import reference
from chainrule.kernels.numba.epoch import Data, Memory, dense_epoch
from chainrule.kernels.numba.plan import INPUTS, OUTPUTS, Plan, make_plan
from chainrule.kernels.steps import Steps, Work

__all__ = ["steps"]

READABLE = ("float32", "float64", "uint8")  # the kinds of X that are gathered and converted row by row
MOST_DRAWS = 2**18  # numbers that dropout may have waiting: they stay in the cache
FEWEST = 200_000  # multiplications of a step, about 5 µs, from which on a second thread is worth waiting for
FASTEST = 1_000_000  # multiplications up to which OpenBLAS has faster code for a product


def steps(work: Work, run: Run) -> Steps:
    """Return what does the steps: compiled if every part is one of ours and the rows are dense."""
    plan = make_plan(work)
    return reference.steps(work, run) if plan is None else _CompiledSteps(work, run, plan)


def _parts(batch: int, parameters: int, largest: int) -> int:
    """Return into how many parts a batch is cut, each of which one thread can do; ``largest`` is a step's product.

    It depends on the work alone, not on the threads, so that the sums, and with them the result, do not either. Many
    small products are faster than one of medium size; where they are large BLAS itself shares them among threads.
    """
    if batch < 4 or batch * parameters < FEWEST or largest > SMALL:
        return 1
    return 4 if 2 * FASTEST < largest <= 4 * FASTEST else 2


class _CompiledSteps(Steps):
    def __init__(self, work: Work, run: Run, plan: Plan) -> None:
        super().__init__(work, run)
        batches, theta, state = work.batches, work.network.theta, work.state
        self._plan, self._rng = plan, np.random.default_rng(work.seed)
        self._rates, self._draws = np.empty(len(batches)), np.empty(0, theta.dtype)
        parts = _parts(plan.batch_size, theta.size, work.threads.multiplications)
        dtype, size, widest = theta.dtype, -(-plan.batch_size // parts), plan.layers[:, [INPUTS, OUTPUTS]].max()
        nothing = np.empty(0, dtype)
        # Rows of other kinds, and rows that are views of X, are made ready block by block.
        X, self._dtype = batches.X, dtype
        plain = X.dtype.name in READABLE and X.dtype.isnative and X.flags.c_contiguous and X.flags.aligned
        self._gathers = plain and (batches.gathers or X.dtype != dtype)
        slots = [*(getattr(state, name) for name in work.optimizer.slots), nothing, nothing]
        self._memory = Memory(
            theta=theta,
            grad=np.zeros((parts, theta.size), dtype),
            s1=slots[0],
            s2=slots[1],
            x=np.empty((parts, size * plan.layers[0, INPUTS] if self._gathers else 0), dtype),
            y=np.empty((parts, size * plan.width), dtype),
            dy=np.empty((parts, 2 * size * widest), dtype),
            scale=np.empty((parts, size), dtype),
            norms=np.empty(widest, dtype),
            sums=np.zeros((parts, 3)),
            losses=self.losses,
            penalties=self.penalties,
            totals=self.totals,
            rates=self._rates,
        )
        self._data = _data(X if self._gathers else np.empty((0, 1), dtype), batches, dtype)
        self._threads = min(parts, work.threads.allowed)
        self._helpers = ThreadPoolExecutor(self._threads - 1) if self._threads > 1 else None
        if self._helpers is not None:
            self.blas_threads = 1

    def do(self, first: int, last: int) -> None:
        work, run, plan, memory, state = self.work, self.run, self._plan, self._memory, self.work.state
        while first < last:
            stop = last
            if plan.draws:
                stop = min(last, first + max(1, MOST_DRAWS // (plan.batch_size * plan.draws)))
            self._fill_rates(first, stop)
            rows = min(stop * plan.batch_size, work.batches.rows) - first * plan.batch_size
            draws = self._draw(rows * plan.draws)
            data = self._data if self._gathers else self._data._replace(ready=self._ready(first, stop))
            counter = np.zeros(8, np.int64)
            arguments = (plan, data, memory, draws, first, stop, state.t + 1)
            others = [
                self._helpers.submit(dense_epoch, *arguments, rank, self._threads, counter)
                for rank in range(1, self._threads)
                if self._helpers is not None
            ]
            done = dense_epoch(*arguments, 0, self._threads, counter)
            for other in others:
                other.result()
            state.t += done
            failed = done < stop - first
            run.batch = first + done + failed
            run.loss, run.penalty = float(self.losses[run.batch - 1]), float(self.penalties[run.batch - 1])
            self.rate = float(self._rates[run.batch - 1])
            if failed:
                raise FloatingPointError(f"the loss is {run.loss}")
            first = stop

    def close(self) -> None:
        if self._helpers is not None:
            self._helpers.shutdown()

    def _draw(self, count: int) -> Array:
        """Return the numbers that dropout draws, the same as layer by layer, on a reused buffer."""
        if count > len(self._draws):
            self._draws = np.empty(count, self._dtype)
        draws = self._draws[:count]
        if count:
            self._rng.random(out=draws, dtype=self._dtype)
        return draws

    def _ready(self, first: int, last: int) -> Array:
        """Return the rows of these batches in order, of the network's dtype: a view of X where that is possible."""
        batches, size = self.work.batches, self._plan.batch_size
        where: Any = slice(first * size, last * size)
        rows = batches.X[batches.order[where] if batches.gathers else where]
        return _writable(np.ascontiguousarray(rows, dtype=self._dtype))

    def _fill_rates(self, first: int, last: int) -> None:
        rate, rates = self.work.optimizer.learning_rate, self._rates
        if self.work.schedule.within_epoch:
            for batch in range(first, last):
                rates[batch] = rate * self.factor(batch)
        else:
            rates[first:last] = rate * self.factor(first)


def _data(X: Array, batches: Any, dtype: np.dtype[Any]) -> Data:
    """Return the rows as the compiled code wants them: each kind of array there, and all but one of each empty."""
    typed = {name: np.empty((0, 1), name) for name in READABLE}
    typed[X.dtype.name] = _writable(X)
    t, labelled = batches.t, batches.t.ndim == 1
    return Data(
        ready=np.empty((0, 1), dtype),
        x32=typed["float32"],
        x64=typed["float64"],
        x8=typed["uint8"],
        labels=_writable(np.ascontiguousarray(t)) if labelled else np.empty(0, np.intp),
        targets=np.empty((0, 1), dtype) if labelled else _writable(np.ascontiguousarray(t)),
        weights=np.empty(0, dtype) if batches.weight is None else _writable(np.ascontiguousarray(batches.weight)),
        order=batches.order,
    )


class _Memory:
    """An array's memory, said to be writable."""

    def __init__(self, array: Array) -> None:
        self.array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def _writable(array: Array) -> Array:
    """Return the array as one that could be written: Numba compiles once more for those that cannot, for nothing."""
    return array if array.flags.writeable else np.asarray(_Memory(array))
