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

from threadpoolctl import threadpool_limits

from chainrule._internal.threads import choose_threads
from chainrule.tables.tuning.objective import Outcome, Problem, Report


@contextlib.contextmanager
def workers(problem: Problem, jobs: int) -> Iterator[Callable[[dict[str, Any], Report], Outcome]]:
    """Yield ``problem.evaluate``, run by ``jobs`` processes; an exception in the block ends them at once.

    A worker receives a point and sends what each epoch gives; only this process writes the study.

    Raises
    ------
    ChildProcessError
        When a worker is killed.
    """
    threads = max(1, choose_threads(0).allowed // jobs)
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
        with _no_ctrl_c():
            for _ in range(jobs):
                ours, theirs = context.Pipe()
                processes.append(context.Process(target=_work, args=(theirs, problem, threads), daemon=True))
                processes[-1].start()
                theirs.close()
                idle.put(ours)
        yield evaluate
    finally:
        for process in processes:
            process.terminate()
            process.join()


@contextlib.contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """Within the block, processes start that ignore Ctrl-C from their first moment on."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # the first process would start it, and unblock the signal
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _Ended(Exception):  # noqa: N818  (not an error)
    """Ends the trial in a worker."""


def _work(connection: Connection, problem: Problem, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that writes the study handles it
    os.environ["CHAINRULE_NUM_THREADS"] = str(threads)

    def report(step: int, losses: list[float]) -> None:
        connection.send((step, losses))
        if not connection.recv():
            raise _Ended

    with (
        threadpool_limits(threads),
        contextlib.suppress(EOFError, ConnectionError),
    ):  # the other process has ended or was killed
        while True:
            point = connection.recv()
            try:
                connection.send(problem.evaluate(point, report))
            except _Ended:
                pass
            except ValueError as error:
                connection.send(ValueError(str(error)))
