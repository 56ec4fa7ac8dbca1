"""Shuffling what does not fit into memory: segments in a random order, and a buffer that mixes neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule._internal.typing import Array

__all__ = ["ShuffleBuffer"]


class ShuffleBuffer:
    """Rows in a buffer; every row that comes in takes the place of one drawn at random, which goes out.

    A row stays for a geometrically distributed time: the chance that it is still there after m more rows have come is
    (1 − 1/capacity)^m ≈ exp(−m / capacity). Rows that were neighbours in the file leave about ``capacity`` rows
    apart, and a batch holds rows from the last few times ``capacity`` that were read: less than a permutation of the
    whole file, which is why the segments come in a random order where a file allows it.

    Parameters
    ----------
    capacity, piece : int
        Rows that are kept, and rows that go out together; both arrays are used again and again.
    width : int
        Numbers of a row.
    t : array
        Some targets: their shape and dtype count.
    rng : numpy.random.Generator

    Examples
    --------
    >>> x = np.arange(6, dtype="float32").reshape(6, 1)
    >>> buffer = ShuffleBuffer(4, 2, 1, x[:, 0], np.random.default_rng(0))
    >>> first = [rows.ravel().tolist() for rows, t in buffer.push(x, x[:, 0])]
    >>> rest = [rows.ravel().tolist() for rows, t in buffer.drain()]
    >>> first, rest
    ([[2.0, 3.0]], [[4.0, 1.0], [5.0, 0.0]])
    """

    def __init__(self, capacity: int, piece: int, width: int, t: Array, rng: np.random.Generator) -> None:
        self.x, self.out_x = np.empty((capacity, width), np.float32), np.empty((piece, width), np.float32)
        self.t, self.out_t = (np.empty((rows, *t.shape[1:]), t.dtype) for rows in (capacity, piece))
        self.count = self.out = 0
        self.rng = rng

    def push(self, x: Array, t: Array) -> Iterator[tuple[Array, Array]]:
        """Take rows in, and yield those that they have driven out, a piece at a time, which the next one overwrites."""
        at = min(len(self.x) - self.count, len(x))
        self.x[self.count : self.count + at], self.t[self.count : self.count + at] = x[:at], t[:at]
        self.count += at
        while at < len(x):
            rows = min(len(x) - at, len(self.x), len(self.out_x) - self.out)
            places = self.rng.choice(len(self.x), rows, replace=False)
            self._let_go(places)
            self.x[places], self.t[places] = x[at : at + rows], t[at : at + rows]
            at += rows
            if self.out == len(self.out_x):
                yield self._piece()

    def drain(self) -> Iterator[tuple[Array, Array]]:
        """Yield what is left, in a random order; the buffer is empty afterwards."""
        order = self.rng.permutation(self.count)
        at = self.count = 0
        while at < len(order):
            rows = min(len(order) - at, len(self.out_x) - self.out)
            self._let_go(order[at : at + rows])
            at += rows
            if self.out == len(self.out_x) or at == len(order):
                yield self._piece()

    def _let_go(self, places: Array) -> None:
        where = slice(self.out, self.out + len(places))
        self.x.take(places, axis=0, out=self.out_x[where], mode="clip")
        self.t.take(places, axis=0, out=self.out_t[where], mode="clip")
        self.out += len(places)

    def _piece(self) -> tuple[Array, Array]:
        rows, self.out = self.out, 0
        return self.out_x[:rows], self.out_t[:rows]
