"""Some rows of an array in a file, which are read where they are used instead of being copied into memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any, final

import numpy as np

from chainrule._internal.typing import Array, Int

PART = 2**24  # bytes of rows that are read together


@final
class Taken:
    """The rows ``X[index]`` of an array; slices of them are gathered when they are asked for.

    Parameters
    ----------
    X : (rows, ...) array
    index : (taken,) int array

    Examples
    --------
    >>> rows = Taken(np.arange(8.0).reshape(4, 2), np.array([3, 0]))
    >>> rows.shape, rows[1:].tolist(), np.asarray(rows).tolist()
    ((2, 2), [[0.0, 1.0]], [[6.0, 7.0], [0.0, 1.0]])
    """

    def __init__(self, X: Array, index: Int[Array, "taken"]) -> None:
        self.X, self.index = X, index
        self.shape, self.dtype, self.ndim = (len(index), *X.shape[1:]), X.dtype, X.ndim

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice) -> Array:
        return self.X[self.index[rows]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)

    def parts(self) -> Iterator[Array]:
        """Yield all rows, in order, in arrays of at most :data:`PART` bytes."""
        rows = max(1, PART // max(1, self.X[:1].nbytes))
        for start in range(0, len(self), rows):
            yield self[start : start + rows]


def taken(X: Any, index: Int[Array, "taken"]) -> Any:
    """Return ``X[index]``: a copy, or of an array in a file a :class:`Taken`."""
    return Taken(X, index) if in_file(X) else X[index]


def in_file(X: Any) -> bool:
    """Return whether an array is a view of a memory-mapped file."""
    while isinstance(X, np.ndarray):
        X = X.base
    return isinstance(X, mmap.mmap)
