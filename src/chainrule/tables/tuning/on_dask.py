"""Trials on the workers of a Dask cluster; only the process that runs the search writes the study.

A trial is one task. Its epochs come back through a queue on the scheduler. If the search no longer wants the task, or
its process has ended, the worker sees this in the task's state. If a worker dies, Dask starts its tasks elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from chainrule._internal.extras import install, require
from chainrule._internal.threads import work_alone
from chainrule._version import __version__
from chainrule.tables.sources.names import shown
from chainrule.tables.tuning.objective import Outcome, Problem, Report
from chainrule.tables.tuning.study import MOST_UNFINISHED

SECONDS = 10.0  # to wait for an answer from the scheduler
ALONE = 60.0  # seconds to wait for a first worker
EVERY = 0.3  # seconds between messages of a trial, and between reads of them
NEEDED = ("optuna", "polars", "skrub")  # packages on a worker


@dataclass(frozen=True)
class Cluster:
    """The workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
    address : str
        The scheduler's.
    jobs : int
        Trials at a time: one on each thread of the workers.
    """

    client: Any
    address: str
    jobs: int

    @contextlib.contextmanager
    def workers(self, problem: Problem) -> Iterator[Callable[[dict[str, Any], Report], Outcome]]:
        """Yield ``problem.evaluate``, run by the cluster; the end of the block ends its trials.

        Raises
        ------
        ConnectionError
            When the scheduler or all workers are lost.
        ChildProcessError
            When a trial has killed one worker after another.
        """
        over = threading.Event()
        try:
            with self._explained():
                held = self.client.scatter(problem, broadcast=True, hash=False)
            yield lambda point, report: self._evaluate(held, point, report, over)
        finally:
            over.set()

    def _evaluate(self, held: Any, point: dict[str, Any], report: Report, over: threading.Event) -> Outcome:
        last = -1
        with contextlib.closing(self._answers(held, point, over)) as answers:
            while not isinstance(answer := next(answers), Outcome):
                step, values = answer
                if step > last:  # otherwise, a worker has died, and another one begins again
                    last = step
                    report(step, [*values])
        return answer

    def _answers(self, held: Any, point: dict[str, Any], over: threading.Event) -> Generator[Any, None, None]:
        """Start a trial, and yield its epochs and its outcome."""
        queues, ended = require("distributed", "dask").Queue, threading.Event()
        with self._explained(), contextlib.closing(queues(client=self.client)) as queue:
            future = self.client.submit(_trial, held, point, queue.name, pure=False)
            future.add_done_callback(lambda _: ended.set())
            try:
                while not over.is_set():
                    last = ended.wait(EVERY)
                    for epochs in queue.get(batch=True):
                        yield from epochs
                    if last:
                        yield future.result()
                raise CancelledError
            finally:
                with contextlib.suppress(Exception):  # the connection may be lost
                    future.cancel()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise the errors of a cluster with messages that explain them."""
        try:
            yield
        except require("distributed.scheduler", "dask").KilledWorker:
            raise ChildProcessError(
                "a trial has killed several Dask workers, perhaps for lack of memory: give them more, or start "
                "them with fewer threads. The same command resumes the search."
            ) from None
        except (OSError, CancelledError, asyncio.CancelledError) as error:
            why = str(error) if isinstance(error, OSError) else "its scheduler or all of its workers are gone"
            raise ConnectionError(
                f"--dask {self.address}: {why}. Finished trials are kept: once it works, the same command resumes."
            ) from None


@contextlib.contextmanager
def connected(dask: Any) -> Iterator[Cluster]:
    """Connect to a cluster, and check that its workers can run trials.

    Parameters
    ----------
    dask : str or distributed.Client
        The address of the scheduler, such as ``tcp://HOST:8786``, or a client, which is left open.

    Raises
    ------
    ValueError
        When the address is invalid, or the workers lack a package or have another version of chainrule.
    ConnectionError
        When nothing answers there, or something other than a scheduler.
    """
    distributed = require("distributed", "dask")
    with contextlib.ExitStack() as stack:
        client = dask
        if not isinstance(dask, distributed.Client):
            if not isinstance(dask, str) or not re.fullmatch(r"((tcp|tls|wss?)://)?[^/@\s]+:\d+", dask):
                got = shown(str(dask))
                raise ValueError(f"--dask: expected the address of a scheduler, tcp://HOST:PORT, got {got!r}.")
            _check_scheduler(dask)
            client = stack.enter_context(distributed.Client(dask, timeout=SECONDS, set_as_default=False))
            log = logging.getLogger("distributed.client")  # an error message replaces its tracebacks
            stack.callback(log.setLevel, log.level)
            log.setLevel(logging.CRITICAL)
        address = client.scheduler.address
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(1, timeout=ALONE)
        _check_workers(client, address)
        yield Cluster(client, address, min(sum(client.nthreads().values()), MOST_UNFINISHED))


def _check_scheduler(address: str) -> None:
    """Check that a scheduler answers at an address: a client would wait forever for anything else."""
    core = require("distributed.core", "dask")

    async def ask() -> Any:
        security = require("distributed.security", "dask").Security().get_connection_args("client")
        async with core.rpc(address, timeout=SECONDS, connection_args=security) as other:
            return await other.identity()

    try:
        with ThreadPoolExecutor(1) as pool:  # a notebook's thread already has a loop
            found = pool.submit(asyncio.run, asyncio.wait_for(ask(), SECONDS + 1)).result()
    except Exception as error:  # noqa: BLE001  (unknown bytes can raise anything)
        why = (str(error) or "no scheduler answered").rstrip(".")
        raise ConnectionError(f"cannot connect to the Dask scheduler at {address}: {why}.") from None
    if found.get("type") != "Scheduler":
        raise ConnectionError(f"{address} is a Dask {found.get('type', '').lower()}: give the scheduler's address.")


def _check_workers(client: Any, address: str) -> None:
    found = client.get_versions(packages=["chainrule", *NEEDED])["workers"]
    if not found:
        raise ConnectionError(
            f"--dask: the scheduler at {address} has no workers: start one with `dask worker {address}`."
        )
    for worker, about in found.items():
        packages = about["packages"]
        missing = [name for name in ("chainrule", *NEEDED) if packages[name] is None]
        if missing:
            raise ValueError(f"--dask: the worker {worker} lacks {', '.join(missing)}. Run there: {install('tune')}")
        if packages["chainrule"] != __version__:
            raise ValueError(
                f"--dask: the worker {worker} has chainrule {packages['chainrule']}, but this process has "
                f"{__version__}: install the same version everywhere."
            )


def _trial(problem: Problem, point: dict[str, Any], name: str) -> Outcome:
    """Train a trial on a worker, and send its epochs."""
    distributed = require("distributed", "dask")
    worker = distributed.get_worker()
    key = worker.get_current_task()
    unsent: list[tuple[int, list[float]]] = []
    sent = time.monotonic()
    work_alone()  # the other threads of the worker run other trials

    def report(step: int, values: list[float]) -> None:
        nonlocal sent
        unsent.append((step, [float(value) for value in values]))
        if time.monotonic() - sent > EVERY:
            if (task := worker.state.tasks.get(key)) is None or task.state != "executing":
                raise CancelledError
            queue.put(unsent)
            unsent.clear()
            sent = time.monotonic()

    with contextlib.closing(distributed.Queue(name)) as queue:
        outcome = problem.evaluate(point, report)
        queue.put(unsent)
    return outcome
