"""How many threads BLAS uses while training: one where the products are small, and given back afterwards.

A second thread helps a large product and hurts a small one, which is over before the thread has woken up; and where
another process wants the core, a thread that spins costs many times what it brings.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

SMALL = 30_000_000
"""Multiplications in a step's largest product up to which one thread is used: 784 x 256 weights, 128 rows: 26."""


def few_threads(multiplications: int) -> AbstractContextManager[Any]:
    """Within the block BLAS uses one thread, if the largest product of a step is small.

    Where several threads train at once, threadpoolctl lets one of them decide for the process.

    >>> with few_threads(1000):
    ...     pass
    """
    if multiplications > SMALL:
        return nullcontext()
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  (not needed to import chainrule)

    return threadpool_limits(limits=1, user_api="blas")
