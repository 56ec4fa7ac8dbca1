"""Rows of an array in a file that is larger than memory, read in an order that suits disks."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, final

import numpy as np

from chainrule._internal.machine import free_memory
from chainrule._internal.taken import in_file
from chainrule._internal.typing import Array

PART = 0.2  # fraction of the free memory for the rows of a window; there are two
PIECE = 2**22  # bytes of the file read at a time
DENSE = 2**14  # bytes per needed row up to which a piece is read as a whole


@final
class Window:
    """The rows of many batches, read together in the order of the file.

    Reading rows in the order of an epoch accesses a different position for each one, and reads a page of 4 kB for a row
    of a few hundred bytes. The rows of many batches share pages, and reading them from the beginning of the file to its
    end reads each page once. The batches are the same.

    While training uses the rows of one window, a thread reads those of the next, so there is memory for two.

    Parameters
    ----------
    X : (rows, inputs) array
    size : int
        Bytes of memory for the rows of a window.

    Examples
    --------
    >>> rows = Window(np.arange(8.0).reshape(8, 1), 32)
    >>> order = np.array([6, 1, 7, 0, 2])
    >>> rows.take(order, 0, 2).ravel().tolist(), rows.take(order, 2, 5).ravel().tolist()
    ([6.0, 1.0], [7.0, 0.0, 2.0])
    """

    def __init__(self, X: Array, size: int) -> None:
        self._X = X
        self._row = max(1, X.dtype.itemsize * int(np.prod(X.shape[1:])))
        self._length = min(len(X), max(1, size // self._row))
        self._buffers = [np.empty((0, *X.shape[1:]), X.dtype)] * 2  # this window's, and the next one's
        self._first = self._last = 0
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="chainrule-read")
        self._ahead: Future[None] | None = None

    def forget(self) -> None:
        """Forget the rows: the next epoch has another order."""
        self._first = self._last = 0
        if self._ahead is not None and not self._ahead.cancel():
            self._ahead.result()  # until then, the thread writes to its buffer
        self._ahead = None

    def take(self, order: Array, first: int, last: int) -> Array:
        """Return the rows ``order[first:last]``; the next call may overwrite them."""
        begun: list[Array] = []
        if self._ahead is not None and self._first <= first <= self._last < last <= self._last + self._length:
            begun = [self._buffers[0][first - self._first : self._last - self._first].copy()]
            first = self._last
            self._ahead.result()
            self._buffers.reverse()
            self._use(order, first)
        elif not self._first <= first <= last <= self._last:
            self.forget()
            self._length = max(self._length, last - first)
            self._buffers[0] = self._read(self._buffers[0], order[first : first + self._length])
            self._use(order, first)
        rows = self._buffers[0][first - self._first : last - self._first]
        return np.concatenate([*begun, rows]) if begun and len(begun[0]) else rows

    def _use(self, order: Array, first: int) -> None:
        """Use the window that begins here, and begin to read the next one."""
        self._first, self._last = first, min(first + self._length, len(order))
        following = order[self._last : self._last + self._length].copy()
        self._ahead = None
        if len(following):
            with suppress(RuntimeError):  # where no thread can be started
                self._ahead = self._reader.submit(self._read_next, following)

    def _read_next(self, index: Array) -> None:
        self._buffers[1] = self._read(self._buffers[1], index)

    def _read(self, buffer: Array, index: Array) -> Array:
        """Read rows in the order of the file; return the buffer, a larger one if it was too small."""
        if len(index) > len(buffer):
            buffer = np.empty((len(index), *self._X.shape[1:]), self._X.dtype)
        by_place = np.argsort(index)
        in_order, step = index[by_place], max(1, PIECE // self._row)
        ends = np.searchsorted(in_order, np.arange(0, len(self._X) + step, step))
        for i in np.flatnonzero(np.diff(ends)).tolist():
            rows, places = in_order[ends[i] : ends[i + 1]], by_place[ends[i] : ends[i + 1]]
            if len(rows) * DENSE < PIECE:
                buffer[places] = self._X[rows]
            else:
                buffer[places] = self._X[i * step : (i + 1) * step].copy()[rows - i * step]
        return buffer


def window(X: Any) -> Window | None:
    """Return a window over an array that is in a file and larger than half of the free memory, or None."""
    if not in_file(X):
        return None
    free = free_memory()
    return Window(X, int(PART * free)) if free and X.nbytes > free / 2 else None
