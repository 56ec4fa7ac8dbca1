"""Trials side by side: each in a process with its share of the cores, while one process alone writes the study."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from chainrule.tables.tuning.objective import Cut, Problem

if TYPE_CHECKING:
    from chainrule.tables.tuning.search import Search
else:
    Search = Any

LIMITS = ("CHAINRULE", "OMP", "OPENBLAS", "MKL", "NUMBA")  # ..._NUM_THREADS


def side_by_side(search: Search) -> None:
    """Run the trials of a search in ``search.jobs`` processes.

    A worker hears of a point, sends what the epochs give and hears whether to go on; it opens no file.

    Raises
    ------
    ChildProcessError
        When a worker was ended from outside.
    """
    with _workers(search.problem, search.jobs) as connections:
        idle, at = [*connections], {}
        while True:
            while idle and search.wanted():
                number, values = search.ask()
                at[idle[-1]] = number
                idle.pop().send(values)
            if not at:
                return
            for connection in wait([*at]):
                assert isinstance(connection, Connection)  # noqa: S101
                try:
                    what, *rest = connection.recv()
                except (EOFError, ConnectionError):
                    raise ChildProcessError(
                        "a process that trained a trial has ended from outside, perhaps for want of memory: use fewer "
                        "--n-jobs. The same command goes on."
                    ) from None
                if what == "epoch":
                    connection.send(search.report(at[connection], *rest))
                    continue
                number = at.pop(connection)
                idle.append(connection)
                if what == "done":
                    search.done(number, *rest)
                elif what == "cut":
                    search.cut(number, *rest)
                else:
                    search.diverged(number, *rest)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _workers(problem: Problem, jobs: int) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")  # a fork would inherit locks of the threads of BLAS and polars
    processes, connections = [], []
    share = str(max(1, cores() // jobs))
    limits = {f"{name}_NUM_THREADS": share for name in LIMITS} | {"POLARS_MAX_THREADS": share}
    before = {name: os.environ.get(name) for name in limits}
    try:
        os.environ.update(limits)  # libraries read them when they are loaded
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, problem), daemon=True)
            with _deaf():
                process.start()
            theirs.close()
            processes.append(process)
            connections.append(ours)
        for name, value in before.items():
            _restore(name, value)
        yield connections
    finally:
        for name, value in before.items():
            _restore(name, value)
        for connection in connections:
            connection.close()
        for process in processes:
            process.terminate()
            process.join()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Within the block a Ctrl-C waits, and processes that are started never hear one: it is not for them.

    By itself a worker could only say so after its imports, in the seconds of which it would print where it was.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # the first start of a process would start it, and then hear signals again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _work(connection: Connection, problem: Problem) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that writes the study

    def tell(step: int, value: float) -> str:
        connection.send(("epoch", step, value))
        return str(connection.recv())

    with contextlib.suppress(EOFError, ConnectionError):  # the other end is gone: killed, or at its end
        while True:
            values = connection.recv()
            try:
                answer: tuple[Any, ...] = ("done", problem.evaluate(values, tell))
            except Cut as cut:
                answer = ("cut", str(cut))
            except ValueError as error:
                answer = ("diverged", ValueError(str(error)))
            connection.send(answer)
