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

_known: dict[int, list[Any]] = {}
_lock = threading.Lock()
_blocks: dict[object, int] = {}  # those that are running, each with its thread
_changed: dict[str, tuple[Any, int, int]] = {}  # a library, how many threads it had, and how many it was given


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
    with _lock:
        allowed = min([cores, *(_before(library) for library in _libraries())])
    return Threads(allowed, allowed if multiplications > SMALL else 1, multiplications)


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Within the block BLAS uses so many threads; afterwards as many as before.

    A block inside of another changes nothing. Most libraries have one number for the whole process: where blocks run at
    once in several threads it is one until all have ended, because callers wait for each other where BLAS has more. A
    number that somebody else has set meanwhile stays.

    >>> with blas_threads(1):
    ...     pass
    """
    block, mine = object(), []
    try:
        with _lock:
            inside, beside = threading.get_ident() in _blocks.values(), bool(_blocks)
            _blocks[block] = threading.get_ident()
            for library in [] if inside else _libraries():
                now, wanted = library.get_num_threads(), 1 if beside else threads
                if _is_per_thread(library):
                    mine.append((library, now))
                    library.set_num_threads(threads)
                elif now != wanted:
                    _changed[library.filepath] = library, _before(library), wanted
                    _set(library, wanted)
        yield
    finally:
        with _lock:
            for library, before in mine:
                library.set_num_threads(before)
            _blocks.pop(block, None)
            if not _blocks:
                _restore()


def _restore() -> None:
    for library, before, ours in _changed.values():
        if library.get_num_threads() == ours:
            _set(library, before)
    _changed.clear()


def _before(library: Any) -> int:
    """Return how many threads a library would use without the blocks that are running."""
    now = int(library.get_num_threads())
    _, before, ours = _changed.get(library.filepath, (library, now, now))
    return before if now == ours else now


def _is_per_thread(library: Any) -> bool:
    """Say whether each thread of the process has a number of its own, as OpenMP's have."""
    return bool(library.internal_api == "openblas" and getattr(library, "threading_layer", "") == "openmp")


def _set(library: Any, threads: int) -> None:
    """Set the number for the process, from whatever thread.

    From 3.8 on, threadpoolctl lets only the first thread that has set OpenBLAS's number set it again, for as long as
    that thread lives: nobody shall be the first for longer than this takes.
    """
    owned = hasattr(library, "clear_controlling_thread")
    if owned:
        library.clear_controlling_thread(force=True)
    library.set_num_threads(threads)
    if owned:
        library.clear_controlling_thread(force=True)


def _forget() -> None:
    """In a forked process the other threads are not there, and one of them may have held the lock."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _blocks.clear()
    _restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _from_environment() -> int | None:
    value = os.environ.get("CHAINRULE_NUM_THREADS", "").strip()
    if not value:
        return None
    if not value.isdecimal() or int(value) < 1:
        raise ValueError(f"CHAINRULE_NUM_THREADS: expected a whole number of at least 1, got {value!r}.")
    return int(value)


def _libraries() -> list[Any]:
    """Return threadpoolctl's controllers of BLAS. It looks through all libraries of the process: once for an import.

    Only an import brings another BLAS.
    """
    modules = len(sys.modules)
    if modules not in _known:
        from threadpoolctl import ThreadpoolController  # noqa: PLC0415  (not needed to import chainrule)

        found = ThreadpoolController().select(user_api="blas").lib_controllers
        _known.clear()
        _known[len(sys.modules)] = found
        return list(found)
    return _known[modules]
