"""Rows in parts: layers that touch much memory work on a few rows at a time, which stay in the cache, in threads.

The parts depend on the work alone, so that sums over them, and with them results, do not depend on the threads.
"""

from __future__ import annotations

import contextvars
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule._internal.typing import Array

PARTS = 8  # at most: what the numbers of cores in common divide, or leave little of
WORTH = 2**18  # numbers that a part touches at least: fewer are done before another thread has begun
CACHED = 2**16  # numbers of a block of rows that a few operations one after the other find in the cache

_local = threading.local()
_pool: ThreadPoolExecutor | None = None
_threads: contextvars.ContextVar[int] = contextvars.ContextVar("threads", default=1)
_lock = threading.Lock()


@contextmanager
def part_threads(threads: int) -> Iterator[None]:
    """Within the block, parts are done by so many threads. BLAS shall use one meanwhile.

    >>> with part_threads(2):
    ...     in_parts(lambda part, rows: None, rows=8, size=3 * WORTH)
    3
    """
    token = _threads.set(threads)
    try:
        yield
    finally:
        _threads.reset(token)


def in_parts(work: Callable[[int, slice], None], rows: int, size: int) -> int:
    """Call ``work(part, rows)`` for parts of the rows, in threads where that is worth it; return how many there were.

    ``size`` is how many numbers are touched for all rows.

    >>> in_parts(lambda part, rows: print(part, rows), rows=5, size=10)
    0 slice(0, 5, None)
    1
    """
    count = max(1, min(PARTS, rows, size // WORTH))
    if count == 1:
        work(0, slice(0, rows))
        return 1
    bounds = [rows * i // count for i in range(count + 1)]
    todo = iter([(i, slice(bounds[i], bounds[i + 1])) for i in range(count)])

    def some() -> None:
        while True:
            with _lock:
                part = next(todo, None)
            if part is None:
                return
            work(*part)

    others = _submit(some, min(_threads.get(), count) - 1)
    try:
        some()
    finally:
        for other in others:
            other.result()
    return count


def blocks(rows: slice, row_size: int, most: int = CACHED) -> Iterator[slice]:
    """Yield the rows, as many at a time as have at most so many numbers.

    >>> list(blocks(slice(4, 9), row_size=10, most=20))
    [slice(4, 6, None), slice(6, 8, None), slice(8, 9, None)]
    """
    step = max(1, most // max(1, row_size))
    for start in range(rows.start, rows.stop, step):
        yield slice(start, min(rows.stop, start + step))


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array to write on, with anything in it: the next call in this thread with this name gives it again.

    It is shared by all layers, so that it stays in the cache; nothing is kept in it from one call to the next.
    """
    size = math.prod(shape)
    buffer = getattr(_local, name + dtype.char, None)
    if buffer is None or buffer.size < size:
        buffer = np.empty(size, dtype)
        setattr(_local, name + dtype.char, buffer)
    view: Array = buffer[:size].reshape(shape)
    return view


def _submit(work: Callable[[], None], times: int) -> list[Future[None]]:
    """Let threads do the work so many times: as many as can be started, which in a browser is none."""
    global _pool  # noqa: PLW0603
    others: list[Future[None]] = []
    with _lock:
        try:
            while len(others) < times:
                _pool = _pool or ThreadPoolExecutor(thread_name_prefix="chainrule")
                others.append(_pool.submit(contextvars.copy_context().run, work))  # NumPy's errstate comes along
        except RuntimeError:  # there may be no more threads; the next time there may be
            _pool = None
    return others


def _forget() -> None:
    """In a forked process the threads are not there, and one of them may have held the lock."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
