"""How many threads BLAS uses while training: one where the products are small, and given back afterwards.

A second thread helps a large product and hurts a small one, which is over before the thread has woken up; and where
another process wants the core, a thread that spins costs many times what it brings.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

SMALL = 30_000_000
"""Multiplications in a step's largest product up to which one thread is used: 784 x 256 weights, 128 rows: 26."""

WORTH_ASKING = 100_000
"""Multiplications from which on BLAS may wake up a thread, and setting the number of threads is worth its 15 µs."""

_known: dict[int, Any] = {}
_lock = threading.Lock()
_users = 0
_limits: list[Any] = []


class Threads(NamedTuple):
    """How many threads training may use in all, how many of them BLAS shall use, and what that was chosen by."""

    allowed: int
    blas: int
    multiplications: int


def choose_threads(multiplications: int, threads: int | None = None) -> Threads:
    """Return the number of threads for steps whose largest product has so many multiplications.

    That is ``threads``; or ``CHAINRULE_NUM_THREADS``; or, where neither is given, for BLAS one if the products are
    small, else all that are allowed: the cores that this process has, and no more than BLAS may use, which counts the
    limits that joblib, ``OMP_NUM_THREADS`` or threadpoolctl have set.

    >>> choose_threads(1000, 3), choose_threads(1000).blas
    (Threads(allowed=3, blas=3, multiplications=1000), 1)
    """
    threads = threads or _from_environment()
    if threads is not None:
        return Threads(threads, threads, multiplications)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = min([cores, *(pool["num_threads"] for pool in _controller().select(user_api="blas").info())])
    return Threads(allowed, allowed if multiplications > SMALL else 1, multiplications)


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Within the block BLAS uses so many threads; afterwards as many as before.

    Where several blocks run at once, in several threads, the first of them decides for the process until all have
    ended.

    >>> with blas_threads(1):
    ...     pass
    """
    global _users  # noqa: PLW0603  (one for the process, as BLAS's threads are)
    with _lock:
        if not _users:
            _limits.append(_controller().limit(limits=threads, user_api="blas"))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _limits.pop().restore_original_limits()


def _from_environment() -> int | None:
    value = os.environ.get("CHAINRULE_NUM_THREADS", "").strip()
    if not value:
        return None
    if not value.isdecimal() or int(value) < 1:
        raise ValueError(f"CHAINRULE_NUM_THREADS: expected a whole number of at least 1, got {value!r}.")
    return int(value)


def _controller() -> Any:
    """Return threadpoolctl's controller, which looks through all libraries of the process: once for what is imported.

    Only an import brings another BLAS.
    """
    modules = len(sys.modules)
    if modules not in _known:
        from threadpoolctl import ThreadpoolController  # noqa: PLC0415  (not needed to import chainrule)

        _known.clear()
        _known[len(sys.modules)] = ThreadpoolController()
        modules = len(sys.modules)
    return _known[modules]
