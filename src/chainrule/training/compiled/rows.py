"""The rows of X as compiled code reads them, whatever their dtype and order in memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.network import Network
from chainrule.training.batches import Batches
from chainrule.training.compiled import gathering, slots
from chainrule.training.compiled.compiling import address_of

BLOCK_VALUES = 2**18  # of X that are made ready at once where it cannot: they stay in the cache


class Rows:
    """Three ways to the rows: X itself, in order; gathered by compiled code; or made ready here, block by block.

    Batches that are changed as they are drawn are made ready here, with their targets and weights.

    Attributes
    ----------
    buffer : array
        The rows of a block of batches, or of one if they are gathered.
    ready : int
        The address of the rows if they are ready, else 0.
    gather : list
        The operation that gets them, if they are not.
    targets : list
        What else compiled code reads of the rows, each with its slot: targets and weights, and all of sparse rows.
    short : bool
        Whether the indices of sparse rows are int32.
    order : int64 array
        Which row each is.
    block : int
        The most batches that can be done at once.
    """

    def __init__(self, network: Network, batches: Batches, accumulate: int) -> None:
        self._network, dtype = network, network.dtype
        X, t, weight = batches.X, batches.t, batches.weight
        self._batches, self.block, self.order = batches, len(batches), batches.order
        self.width = math.prod(X.shape[1:])
        self.gather: list[Any] = []
        self.targets: list[tuple[int, Any]] = []
        self._changed = batches.augment is not None
        self._in_order = not (batches.sparse or batches.gathers) and in_place(X, dtype)
        strides = (
            strides_of(X) if batches.in_memory and not (self._in_order or self._changed or batches.sparse) else None
        )
        self.short = False
        if batches.sparse:
            self.buffer, self._in_order = np.empty(0, dtype), True
            self.short = X.indices.dtype.itemsize == 4
            index = np.int32 if self.short else np.int64
            for slot, values, kind in (
                (slots.FIRSTS, X.indptr, index), (slots.COLUMNS, X.indices, index), (slots.ENTRIES, X.data, dtype)
            ):  # fmt: skip
                self.targets.append((slot, np.ascontiguousarray(values, kind)))
        elif self._in_order:
            self.buffer = X
        elif strides is not None:
            self.buffer = np.empty((batches.batch_size, self.width), dtype)
            operands = {"outputs": self.width, "own": (address_of(X), *strides)}
            self.gather = [(gathering.GATHER[X.dtype.name], operands)]
        else:
            steps = max(1, BLOCK_VALUES // (batches.batch_size * self.width * accumulate))
            self.block = steps * accumulate
            self.buffer = np.empty((min(self.block, len(batches)) * batches.batch_size, *X.shape[1:]), dtype)
        if self._changed:  # in the order in which they come
            t, weight = self._t, self._weight = batches.room()
            self.order = np.arange(batches.rows)
        self.ready = 0 if self.gather else address_of(self.buffer)
        t = np.ascontiguousarray(t, np.int64 if t.ndim == 1 else dtype)
        self.targets.append((slots.LABELS if t.ndim == 1 else slots.TARGETS, t))
        if weight is not None:
            self.targets.append((slots.WEIGHTS, np.ascontiguousarray(weight, dtype)))

    def prepare(self, first: int, last: int) -> int:
        """Make the rows of these batches ready where that is needed; return which is the first among those ready."""
        batches = self._batches
        if self._in_order:
            return first * batches.batch_size
        if self._changed:
            self._take(first, last)
        elif not self.gather:
            start, stop = first * batches.batch_size, min(last * batches.batch_size, batches.rows)
            self.buffer[: stop - start] = batches.gather(start, stop)
        return 0

    def _take(self, first: int, last: int) -> None:
        """Draw batches, and leave them one after the other."""
        batches, size = self._batches, self._batches.batch_size
        for batch in range(first, last):
            x, t, weight = batches.take(batch)
            self._network.check_categories(x, "the batch")
            start = batch * size
            self.buffer[start - first * size :][: len(t)] = x
            self._t[start : start + len(t)] = t
            if self._weight is not None:
                self._weight[start : start + len(t)] = weight


def in_place(X: Array, dtype: np.dtype[Any]) -> bool:
    """Return whether machine code can read the rows of X where they are, one after the other."""
    return bool(X.dtype == dtype and X.flags.c_contiguous and X.flags.aligned)


def strides_of(X: Array) -> tuple[int, int] | None:
    """Return how far apart in its memory X's rows are, and the values of a row; None where that is not so simple."""
    fits = X.dtype.name in gathering.GATHER and X.dtype.isnative and X.flags.aligned
    size = X.dtype.itemsize
    if not fits or any(stride < 0 or stride % size for stride in X.strides):
        return None
    if X.ndim > 2 and not X[:1].flags.c_contiguous:
        return None
    return X.strides[0] // size, (X.strides[1] // size if X.ndim == 2 else 1)
