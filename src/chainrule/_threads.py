"""How many threads BLAS uses while training: one where the products are small, and given back afterwards.

A second thread helps a large product and hurts a small one, which is over before the thread has woken up; and where
another process wants the core, a thread that spins costs many times what it brings.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

SMALL = 30_000_000
"""Multiplications in a step's largest product up to which one thread is used: 784 x 256 weights, 128 rows: 26."""

_known: dict[int, Any] = {}


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


def blas_threads(threads: int) -> AbstractContextManager[Any]:
    """Within the block BLAS uses so many threads; afterwards as many as before.

    Where several trainings run at once, threadpoolctl lets one of them decide for the process.

    >>> with blas_threads(1):
    ...     pass
    """
    return _controller().limit(limits=threads, user_api="blas")


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
