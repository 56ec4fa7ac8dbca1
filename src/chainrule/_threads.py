"""How many threads BLAS uses while training: one where the products are small, and given back afterwards.

A second thread helps a large product and hurts a small one, which is over before the thread has woken up; and where
another process wants the core, a thread that spins costs many times what it brings.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

SMALL = 30_000_000
"""Multiplications in a step's largest product up to which one thread is used: 784 x 256 weights, 128 rows: 26."""

_known: dict[int, Any] = {}


def blas_threads(multiplications: int, threads: int | None = None) -> AbstractContextManager[Any]:
    """Within the block BLAS uses ``threads``, by default one if the largest product of a step is small.

    ``CHAINRULE_NUM_THREADS`` is used where no number is given. Otherwise more threads than were allowed before are
    never taken. Where several threads train at once, threadpoolctl lets one of them decide for the process.

    >>> with blas_threads(1000):
    ...     pass
    """
    if threads is None:
        threads = _from_environment()
    if threads is None:
        if multiplications > SMALL:
            return nullcontext()
        threads = 1
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
