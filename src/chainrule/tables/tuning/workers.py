"""Worker processes: each trains the trials of one of Optuna's threads, with its share of the cores."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from chainrule.tables.tuning.objective import Outcome, Problem, Report

LIMITS = (*(f"{name}_NUM_THREADS" for name in ("CHAINRULE", "OMP", "OPENBLAS", "MKL", "NUMBA")), "POLARS_MAX_THREADS")


@contextlib.contextmanager
def workers(problem: Problem, jobs: int) -> Iterator[Callable[[dict[str, Any], Report], Outcome]]:
    """Yield ``problem.evaluate``, run by ``jobs`` processes; an exception in the block ends them at once.

    A worker receives a point and sends what each epoch gives; only this process writes the study.

    Raises
    ------
    ChildProcessError
        When a worker is killed.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit the locks of BLAS's and polars' threads
    idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()

    def evaluate(point: dict[str, Any], report: Report) -> Outcome:
        connection = idle.get()
        try:
            connection.send(point)
            while True:
                answer = connection.recv()
                if isinstance(answer, Exception):
                    raise answer
                if isinstance(answer, Outcome):
                    return answer
                go_on = False
                try:
                    report(*answer)
                    go_on = True
                finally:
                    connection.send(go_on)
        except (EOFError, ConnectionError):
            raise ChildProcessError(
                "a worker process was killed, perhaps for lack of memory: use fewer --n-jobs. The same command resumes."
            ) from None
        finally:
            idle.put(connection)

    processes = []
    try:
        with _started(os.environ, str(max(1, cores() // jobs))):
            for _ in range(jobs):
                ours, theirs = context.Pipe()
                processes.append(context.Process(target=_work, args=(theirs, problem), daemon=True))
                processes[-1].start()
                theirs.close()
                idle.put(ours)
        yield evaluate
    finally:
        for process in processes:
            process.terminate()
            process.join()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _started(environment: Any, share: str) -> Iterator[None]:
    """Within the block, processes start with a limit on their threads, which libraries read when they are loaded.

    They ignore Ctrl-C from their first moment on: it is meant for the process that writes the study.
    """
    before = {name: environment.get(name) for name in LIMITS}
    mask = None
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        resource_tracker.ensure_running()  # the first process would start it, and unblock the signal
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        environment.update(dict.fromkeys(LIMITS, share))
        yield
    finally:
        for name, value in before.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _Ended(Exception):  # noqa: N818  (not an error)
    """The trial is not to go on."""


def _work(connection: Connection, problem: Problem) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def report(step: int, losses: list[float]) -> None:
        connection.send((step, losses))
        if not connection.recv():
            raise _Ended

    with contextlib.suppress(EOFError, ConnectionError):  # the other process has ended or was killed
        while True:
            point = connection.recv()
            try:
                connection.send(problem.evaluate(point, report))
            except _Ended:
                pass
            except ValueError as error:
                connection.send(ValueError(str(error)))
