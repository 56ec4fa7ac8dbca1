"""Row-parallel work: layers that use much memory process a few rows at a time, which fit the cache, in threads.

The parts depend only on the amount of work, so results do not depend on the number of threads.
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

PARTS = 8  # at most: divisible by common numbers of cores, or nearly so
WORTH = 2**18  # the fewest numbers in a part: less work is done before another thread starts
CACHED = 2**16  # numbers in a block of rows that stays in the cache for several operations in a row

_local = threading.local()
_pool: ThreadPoolExecutor | None = None
_threads: contextvars.ContextVar[int] = contextvars.ContextVar("threads", default=1)
_lock = threading.Lock()


@contextmanager
def part_threads(threads: int) -> Iterator[None]:
    """Use this many threads for parts in the block. BLAS should use one meanwhile.

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
    """Call ``work(part, rows)`` for parts of the rows, in threads if that is worthwhile; return the number of parts.

    ``size`` is the number of values read or written for all rows.

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
    """Yield slices of the rows, each with at most this many numbers.

    >>> list(blocks(slice(4, 9), row_size=10, most=20))
    [slice(4, 6, None), slice(6, 8, None), slice(8, 9, None)]
    """
    step = max(1, most // max(1, row_size))
    for start in range(rows.start, rows.stop, step):
        yield slice(start, min(rows.stop, start + step))


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an uninitialized scratch array; the next call in this thread with this name returns it again.

    All layers share it, so it stays in the cache. Nothing is kept in it between calls.
    """
    size = math.prod(shape)
    buffer = getattr(_local, name + dtype.char, None)
    if buffer is None or buffer.size < size:
        buffer = np.empty(size, dtype)
        setattr(_local, name + dtype.char, buffer)
    view: Array = buffer[:size].reshape(shape)
    return view


def _submit(work: Callable[[], None], times: int) -> list[Future[None]]:
    """Run the work in this many threads, or in as many as can be started: in a browser, none."""
    global _pool  # noqa: PLW0603
    others: list[Future[None]] = []
    with _lock:
        try:
            while len(others) < times:
                _pool = _pool or ThreadPoolExecutor(thread_name_prefix="chainrule")
                others.append(_pool.submit(contextvars.copy_context().run, work))  # with NumPy's errstate
        except RuntimeError:  # no thread is available now; there may be one next time
            _pool = None
    return others


def _forget() -> None:
    """Reset the pool in a forked process: its threads do not exist there, and one may have held the lock."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
