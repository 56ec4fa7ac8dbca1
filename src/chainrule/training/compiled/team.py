"""Threads that do one step together: numbers in memory that all of them see, and waiting for these to change.

``shared`` is an int64 array: how often threads have arrived at a barrier; how many tasks there have been; the task
itself; whether all is over; and for each helper whether it sleeps. Each thread adds 1 to the first when it has come to
a barrier, and goes on when all have. A helper looks for the next task; one that has looked in vain for long sleeps, and
is woken by Python. A thread that has waited long gives up its time slice, so that more threads than cores are slow but
never stuck.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from chainrule.training.compiled.compiling import compiled, kept

ARRIVALS, TASKS, FIRST, LAST, STEP, ROW, OVER, SLEEPS = range(8)  # sleeps: from SLEEPS + 1 on, one a helper

PATIENCE = 10_000  # looks, about 10 µs, before the time slice is given up
SLEEPY = 2_000  # time slices given up, about 1 ms, before a helper sleeps


def _atomic(operation: str) -> Any:
    """Return a function of (array, index, value) that changes array[index] for all threads at once.

    It returns what was there before.
    """

    @intrinsic
    def change(typing: Any, array: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            at, number = (
                context.cast(builder, argument, kind, types.int64)
                for argument, kind in zip(arguments[1:], signature.args[1:], strict=True)
            )
            return builder.atomic_rmw(operation, builder.gep(data, [at]), number, "seq_cst")

        return types.int64(array, index, value), codegen

    return change


add, exchange = _atomic("add"), _atomic("xchg")


@intrinsic
def look(typing: Any, array: Any, index: Any) -> Any:
    """Return array[index] as it is now; what others wrote before they changed it can be read afterwards."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        at = context.cast(builder, arguments[1], signature.args[1], types.int64)
        return builder.load_atomic(builder.gep(data, [at]), "seq_cst", 8)

    return types.int64(array, index), codegen


@intrinsic
def give_way(typing: Any) -> Any:
    """Let another thread have the core."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), codegen


@compiled
def barrier(shared: Any, threads: int, passed: int) -> int:
    """Wait for all threads; return how many barriers this one has passed, or −1 when all is over."""
    if passed < 0:
        return -1
    if threads > 1:
        add(shared, ARRIVALS, 1)
        looks = 0
        while look(shared, ARRIVALS) < threads * (passed + 1):
            looks += 1
            if looks > PATIENCE:
                if look(shared, OVER):
                    return -1
                give_way()
    return passed + 1


@compiled
def next_task(shared: Any, rank: int, done: int) -> bool:
    """Wait until there have been more than ``done`` tasks; return False when this helper sleeps or all is over."""
    looks = 0
    while look(shared, TASKS) == done:
        if look(shared, OVER):
            return False
        looks += 1
        if looks > PATIENCE:
            give_way()
        if looks > PATIENCE + SLEEPY:
            exchange(shared, SLEEPS + rank, 1)
            # A task that came just now wakes either this helper or a new one: whoever takes the 1 away.
            return look(shared, TASKS) != done and exchange(shared, SLEEPS + rank, 0) == 1
    return True


@kept
def post_task(version: int) -> Any:
    """Return the function below; see ``kept``."""

    def post_task(shared: Any, threads: int) -> int:
        """Say that there is a task; return the helpers that sleep, as the bits of a number, and count them as awake."""
        add(shared, TASKS, 1)
        asleep = 0 * version
        for rank in range(1, threads):
            if exchange(shared, SLEEPS + rank, 0) == 1:
                asleep |= 1 << rank
        return asleep

    return post_task


class Team:
    """The thread that makes it, and its helpers, which live as long as the team."""

    def __init__(self, threads: int) -> None:
        self._start(threads)

    def _start(self, threads: int) -> None:
        self._threads, self._passed, self._tasks = threads, 0, 0
        self._shared = np.zeros(SLEEPS + max(threads, 2), np.int64)
        self._shared[SLEEPS:] = 1
        self._helpers = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        self._running: dict[int, Future[Any]] = {}

    def do(self, arguments: tuple[Any, ...], task: tuple[int, int, int, int], work: Any) -> int:
        """Let all threads do ``work(*arguments, …)`` for a task: FIRST, LAST, STEP and ROW. Return its first result.

        The arguments are the same for all tasks of a team.
        """
        self._shared[FIRST : ROW + 1] = task
        if self._helpers is not None and not self._wake(self._helpers, arguments, work):
            self.close()
            self._start(1)
            return self.do(arguments, task, work)
        shared = self._shared
        done, self._passed = work(*arguments, shared, 0, self._threads, self._tasks, self._passed)
        self._tasks += 1
        if self._passed < 0:
            for helper in self._running.values():
                helper.result()  # raises what has happened there
        return int(done)

    def _wake(self, helpers: ThreadPoolExecutor, arguments: tuple[Any, ...], work: Any) -> bool:
        """Post the task; return False where a helper's thread cannot be started, as in some containers."""
        asleep = post_task(self._shared, self._threads)
        for rank in range(1, self._threads):
            if asleep >> rank & 1:
                task_of_helper = (*arguments, self._shared, rank, self._threads, self._tasks, self._passed)
                try:
                    self._running[rank] = helpers.submit(work, *task_of_helper)
                except RuntimeError:
                    return False
                self._running[rank].add_done_callback(self._end_after_an_error)
        return True

    def _end_after_an_error(self, helper: Future[Any]) -> None:
        """Let nobody wait for a helper that has ended with an error."""
        if not helper.cancelled() and helper.exception() is not None:
            self._shared[OVER] = 1

    def close(self) -> None:
        """Let the helpers go."""
        self._shared[OVER] = 1
        if self._helpers is not None:
            self._helpers.shutdown(cancel_futures=True)
