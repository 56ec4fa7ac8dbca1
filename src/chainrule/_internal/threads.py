"""Number of BLAS threads during training: one if the products are small; the old number is restored afterwards.

A second thread speeds up a large product but slows down a small one, which ends before the thread wakes up. If another
process needs the core, a spinning thread costs far more than it gains.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

SMALL = 30_000_000
"""Most multiplications in a step's largest product for which one thread is used: 784 x 256 weights, 128 rows: 26."""

WORTH_ASKING = 100_000
"""Fewest multiplications for which BLAS may wake up a thread, so that setting the number is worth its 15 µs."""

_here = threading.local()  # in a thread of several that share the cores, alone = True
_known: dict[int, list[Any]] = {}
_lock = threading.Lock()
_blocks: dict[object, int] = {}  # the running blocks, each with its thread
_changed: dict[str, tuple[Any, int, int]] = {}  # by library: itself, its old number of threads, and the one set


class Threads(NamedTuple):
    """Number of threads for training in all, and number for BLAS."""

    allowed: int
    blas: int


def choose_threads(multiplications: int, threads: int | None = None) -> Threads:
    """Return the number of threads for steps whose largest product has this many multiplications.

    It is ``threads`` or ``CHAINRULE_NUM_THREADS``. If neither is given, BLAS uses one thread for small products and
    otherwise all allowed ones: the cores of this process, but no more than BLAS is limited to by joblib,
    ``OMP_NUM_THREADS`` or threadpoolctl.

    >>> choose_threads(1000, 3), choose_threads(1000).blas
    (Threads(allowed=3, blas=3), 1)
    """
    threads = threads or (1 if getattr(_here, "alone", False) else _from_environment())
    if threads is not None:
        return Threads(threads, threads)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with _lock:
        allowed = min([cores, *(_before(library) for library in _libraries())])
    return Threads(allowed, allowed if multiplications > SMALL else 1)


def work_alone() -> None:
    """Let everything that the calling thread does take one thread, because other threads use the other cores."""
    _here.alone = True


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Set the number of BLAS threads in the block, and restore it afterwards.

    A nested block changes nothing. Most libraries have one number for the whole process: while blocks run in several
    threads at once, it is one until all have ended, because with more threads the callers of BLAS wait for each other.
    A number that other code sets meanwhile is kept.

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
    """Return the number of threads that a library would use without the running blocks."""
    now = int(library.get_num_threads())
    _, before, ours = _changed.get(library.filepath, (library, now, now))
    return before if now == ours else now


def _is_per_thread(library: Any) -> bool:
    """Return whether the number is set per thread of the process, as in OpenMP."""
    return bool(library.internal_api == "openblas" and getattr(library, "threading_layer", "") == "openmp")


def _set(library: Any, threads: int) -> None:
    """Set the number for the process, from any thread.

    Since threadpoolctl 3.8, only the first thread that set OpenBLAS's number may set it again, as long as that thread
    lives. The claim is therefore cleared before and after.
    """
    owned = hasattr(library, "clear_controlling_thread")
    if owned:
        library.clear_controlling_thread(force=True)
    library.set_num_threads(threads)
    if owned:
        library.clear_controlling_thread(force=True)


def _forget() -> None:
    """Replace the lock in a forked process: another thread, which does not exist there, may have held it."""
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
    """Return threadpoolctl's controllers of BLAS.

    Finding them scans all libraries of the process. It is repeated only after imports, which may load another BLAS.
    """
    modules = len(sys.modules)
    if modules not in _known:
        try:
            from threadpoolctl import ThreadpoolController  # noqa: PLC0415  (not needed to import chainrule)

            found = ThreadpoolController().select(user_api="blas").lib_controllers
        except ModuleNotFoundError:  # a copied folder predicts with NumPy alone; BLAS chooses its threads
            found = []
        _known.clear()
        _known[len(sys.modules)] = found
        return list(found)
    return _known[modules]
