"""Threads that do one step together: integers in memory that all of them see, and waiting for these to change.

``shared`` is an int64 array: how often threads have arrived at a barrier; how many tasks there have been; the task
itself; whether all is over; and for each helper whether it sleeps. Each thread adds 1 to the first when it has come to
a barrier, and goes on when all have. A helper looks for the next task; one that has looked in vain for long sleeps, and
is woken by Python. A thread that has waited long gives up its time slice, so that more threads than cores are slow but
never stuck.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from chainrule.training.compiled.compiling import address_of, compiled, function, inlined, operation

add, exchange, look, give_way = inlined("add", "exchange", "look", "give_way")
integer, set_integer = inlined("integer", "set_integer")

ARRIVALS, TASKS, FIRST, LAST, STEP, ROW, OVER, SLEEPS = range(8)  # sleeps: from SLEEPS + 1 on, one a helper

PATIENCE = 10_000  # looks, about 10 µs, before the time slice is given up
SLEEPY = 2_000  # time slices given up, about 1 ms, before a helper sleeps


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


@operation
def post_task(shared, threads, asleep):
    """Say that there is a task; leave which helpers sleep, as the bits of an integer, and count them as awake."""
    add(shared, TASKS, 1)
    bits = 0
    for rank in range(1, threads):
        if exchange(shared, SLEEPS + rank, 0) == 1:
            bits |= 1 << rank
    set_integer(asleep, 0, bits)


class Team:
    """The thread that makes it, and its helpers, which live as long as the team.

    ``work`` is machine code that all threads run, for the same ``job``, until there is no task: a function of the job,
    ``shared``, the thread's rank, the number of threads, the tasks done and the barriers passed, and of where to leave
    two integers: its result, and the barriers passed.
    """

    def __init__(self, threads: int, work: Callable[..., Any], job: int) -> None:
        self._work, self._job = work, job
        self._post = function(post_task, np.dtype("float64"))
        self._start(threads)

    def _start(self, threads: int) -> None:
        self._threads, self._passed, self._tasks = threads, 0, 0
        self._shared = np.zeros(SLEEPS + max(threads, 2), np.int64)
        self._shared[SLEEPS:] = 1
        self._results = np.zeros((threads, 2), np.int64)
        self._asleep = np.zeros(1, np.int64)
        self._at, self._asleep_at = address_of(self._shared), address_of(self._asleep)
        self._helpers = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        self._running: dict[int, Future[Any]] = {}

    def do(self, task: tuple[int, int, int, int]) -> int:
        """Let all threads do a task: FIRST, LAST, STEP and ROW. Return its result."""
        self._shared[FIRST : ROW + 1] = task
        if self._helpers is not None and not self._wake(self._helpers):
            self.close()
            self._start(1)
            return self.do(task)
        self._thread(0, self._tasks, self._passed)
        done, self._passed = self._results[0].tolist()
        self._tasks += 1
        if self._passed < 0:
            for helper in self._running.values():
                helper.result()  # raises what has happened there
        return int(done)

    def _wake(self, helpers: ThreadPoolExecutor) -> bool:
        """Post the task; return False where a helper's thread cannot be started, as in some containers."""
        self._post(self._at, self._threads, self._asleep_at)
        asleep = int(self._asleep[0])
        for rank in range(1, self._threads):
            if asleep >> rank & 1:
                try:
                    self._running[rank] = helpers.submit(self._thread, rank, self._tasks, self._passed)
                except RuntimeError:
                    return False
                self._running[rank].add_done_callback(self._end_after_an_error)
        return True

    def _thread(self, rank: int, tasks: int, passed: int) -> None:
        out = address_of(self._results) + 16 * rank
        self._work(self._job, self._at, rank, self._threads, tasks, passed, out)

    def _end_after_an_error(self, helper: Future[Any]) -> None:
        """Let nobody wait for a helper that has ended with an error."""
        if not helper.cancelled() and helper.exception() is not None:
            self._shared[OVER] = 1

    def close(self) -> None:
        """Let the helpers go."""
        self._shared[OVER] = 1
        if self._helpers is not None:
            self._helpers.shutdown(cancel_futures=True)
