"""The rows of X as compiled code reads them, whatever their dtype and order in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.training.batches import Batches
from chainrule.training.compiled.epoch import Data

READABLE = ("float32", "float64", "uint8")  # the dtypes that compiled code converts while it gathers
BLOCK_NUMBERS = 2**18  # of X that are made ready at once where it cannot: they stay in the cache


class Rows:
    """Three ways to the rows: X itself, in order; gathered by compiled code; or made ready here, block by block.

    Batches that are changed as they are drawn are made ready here, with their targets and weights.

    Attributes
    ----------
    data : Data
    gathered : bool
        Whether compiled code gathers them.
    block : int
        The most batches that can be done at once.
    """

    def __init__(self, batches: Batches, dtype: np.dtype[Any]) -> None:
        X, t, weight = batches.X, batches.t, batches.weight
        self._batches = batches
        self.block = len(batches)
        empty: dict[str, Any] = {name: np.empty(0, name) for name in READABLE}
        ready, strides = np.empty((0, X.shape[1]), dtype), (0, 0)
        self._changed = batches.augment is not None
        self._in_order = not batches.gathers and X.dtype == dtype and X.flags.c_contiguous and X.flags.aligned
        memory = _memory(X) if batches.in_memory and not (self._in_order or self._changed) else None
        self.gathered = memory is not None
        self._buffer = ready
        if self._in_order:
            ready = writable(X)
        elif memory is not None:
            empty[X.dtype.name], strides = memory
        else:
            self.block = max(1, BLOCK_NUMBERS // (batches.batch_size * X.shape[1]))
            ready = self._buffer = np.empty((min(self.block, len(batches)) * batches.batch_size, X.shape[1]), dtype)
        order = batches.order
        if self._changed:  # in the order in which they come
            t, weight = self._t, self._weight = batches.room()
            order = np.arange(batches.rows)
        labelled = t.ndim == 1
        self.data = Data(
            ready=ready.reshape(-1),
            x32=empty["float32"],
            x64=empty["float64"],
            x8=empty["uint8"],
            row_stride=strides[0],
            column_stride=strides[1],
            labels=writable(np.ascontiguousarray(t)) if labelled else np.empty(0, np.intp),
            targets=np.empty((0, 1), dtype) if labelled else writable(np.ascontiguousarray(t)),
            weights=np.empty(0, dtype) if weight is None else weight,
            order=order,
        )

    def prepare(self, first: int, last: int) -> int:
        """Make the rows of these batches ready where that is needed; return where in ``data.ready`` they begin."""
        batches = self._batches
        if self._in_order:
            return first * batches.batch_size
        if self._changed:
            self._take(first, last)
        elif not self.gathered:
            start, stop = first * batches.batch_size, min(last * batches.batch_size, batches.rows)
            self._buffer[: stop - start] = batches.gather(start, stop)
        return 0

    def _take(self, first: int, last: int) -> None:
        """Draw batches, and leave them one after the other."""
        batches, size = self._batches, self._batches.batch_size
        for batch in range(first, last):
            x, t, weight = batches.take(batch)
            start = batch * size
            self._buffer[start - first * size :][: len(t)] = x
            self._t[start : start + len(t)] = t
            if self._weight is not None:
                self._weight[start : start + len(t)] = weight


def _memory(X: Array) -> tuple[Array, tuple[int, int]] | None:
    """Return the memory of X as a vector and how far apart in it rows and columns are; None where that cannot be."""
    fits = X.dtype.name in READABLE and X.dtype.isnative and X.flags.aligned
    size = X.dtype.itemsize
    if not fits or any(stride < 0 or stride % size for stride in X.strides):
        return None
    row, column = (stride // size for stride in X.strides)
    length = (X.shape[0] - 1) * row + (X.shape[1] - 1) * column + 1
    return np.asarray(_View(X, (length,))), (row, column)


class _View:
    """An array's memory in another shape, said to be writable."""

    def __init__(self, array: Array, shape: tuple[int, ...]) -> None:
        self.array = array
        address = array.__array_interface__["data"][0]
        self.__array_interface__ = {
            "version": 3, "shape": shape, "typestr": array.dtype.str, "data": (address, False)
        }  # fmt: skip


def writable(array: Array) -> Array:
    """Return a C-contiguous array as one that could be written: Numba compiles once more for those that cannot."""
    return array if array.flags.writeable else np.asarray(_View(array, array.shape))
