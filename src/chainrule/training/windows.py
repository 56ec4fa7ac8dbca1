"""Rows of an array in a file that is larger than memory, read in an order that suits disks."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from chainrule._internal.machine import free_memory
from chainrule._internal.taken import in_file
from chainrule._internal.typing import Array

PART = 0.25  # fraction of the free memory for the rows of the next batches
PIECE = 2**22  # bytes of the file read at a time
DENSE = 2**14  # bytes per needed row up to which a piece is read as a whole

__all__ = ["Window", "window"]


@final
class Window:
    """The rows of many batches, read together in the order of the file.

    Reading rows in the order of an epoch accesses a different position for each one, and reads a page of 4 kB for a row
    of a few hundred bytes. The rows of many batches share pages, and reading them from the beginning of the file to its
    end reads each page once. The batches are the same.

    Parameters
    ----------
    X : (rows, inputs) array
    size : int
        Bytes of memory for the rows.

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
        self._buffer = np.empty((0, *X.shape[1:]), X.dtype)
        self._first = self._last = 0

    def forget(self) -> None:
        """Forget the rows: the next epoch has another order."""
        self._first = self._last = 0

    def take(self, order: Array, first: int, last: int) -> Array:
        """Return the rows ``order[first:last]``; the next call may overwrite them."""
        if not self._first <= first <= last <= self._last:
            index = order[first : max(last, first + self._length)]
            self._first, self._last = first, first + len(index)
            if len(index) > len(self._buffer):
                self._buffer = np.empty((len(index), *self._X.shape[1:]), self._X.dtype)
            by_place = np.argsort(index)
            in_order, step = index[by_place], max(1, PIECE // self._row)
            ends = np.searchsorted(in_order, np.arange(0, len(self._X) + step, step))
            for i in np.flatnonzero(np.diff(ends)).tolist():
                rows, places = in_order[ends[i] : ends[i + 1]], by_place[ends[i] : ends[i + 1]]
                if len(rows) * DENSE < PIECE:
                    self._buffer[places] = self._X[rows]
                else:
                    self._buffer[places] = self._X[i * step : (i + 1) * step].copy()[rows - i * step]
        return self._buffer[first - self._first : last - self._first]


def window(X: Any) -> Window | None:
    """Return a window over an array that is in a file and larger than half of the free memory, or None."""
    if not in_file(X):
        return None
    free = free_memory()
    return Window(X, int(PART * free)) if free and X.nbytes > free / 2 else None
