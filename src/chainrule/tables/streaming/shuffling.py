"""Shuffling what does not fit into memory: segments in a random order, and a buffer that mixes neighbours."""

from __future__ import annotations

import numpy as np

from chainrule._typing import Array

__all__ = ["ShuffleBuffer"]


class ShuffleBuffer:
    """Rows in a buffer; every row that comes in takes the place of one drawn at random, which goes out.

    A row stays for a geometrically distributed time: the chance that it is still there after m more rows have come is
    (1 − 1/capacity)^m ≈ exp(−m / capacity). Rows that were neighbours in the file leave about ``capacity`` rows apart, and
    a batch holds rows from the last few times ``capacity`` that were read: less than a permutation of the whole file, which
    is why the segments come in a random order where a file allows it.

    Parameters
    ----------
    capacity : int
        Rows that are kept.
    width : int
        Numbers of a row.
    targets : tuple of int, numpy.dtype
        Shape of a target, () for one number a row, and its dtype.
    rng : numpy.random.Generator

    Examples
    --------
    >>> buffer = ShuffleBuffer(4, 1, (), np.dtype("int64"), np.random.default_rng(0))
    >>> x = np.arange(6, dtype="float32").reshape(6, 1)
    >>> first, t = buffer.push(x, x[:, 0].astype("int64"))
    >>> rest, t = buffer.drain()
    >>> len(first), len(rest), sorted([*first.ravel().tolist(), *rest.ravel().tolist()])
    (2, 4, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    """

    def __init__(
        self, capacity: int, width: int, targets: tuple[int, ...], dtype: np.dtype, rng: np.random.Generator
    ) -> None:
        self.x = np.empty((capacity, width), np.float32)
        self.t = np.empty((capacity, *targets), dtype)
        self.count = 0
        self.rng = rng

    def push(self, x: Array, t: Array) -> tuple[Array, Array]:
        """Take rows in, and return those that they have driven out: none until the buffer is full."""
        free = min(len(self.x) - self.count, len(x))
        self.x[self.count : self.count + free] = x[:free]
        self.t[self.count : self.count + free] = t[:free]
        self.count += free
        outs_x, outs_t = [], []
        for at in range(free, len(x), len(self.x)):  # more rows than places: in portions
            x_in, t_in = x[at : at + len(self.x)], t[at : at + len(self.x)]
            places = self.rng.choice(len(self.x), len(x_in), replace=False, shuffle=True)
            outs_x.append(self.x.take(places, axis=0))
            outs_t.append(self.t.take(places, axis=0))
            self.x[places], self.t[places] = x_in, t_in
        if len(outs_x) == 1:
            return outs_x[0], outs_t[0]
        return np.concatenate([x[:0], *outs_x]), np.concatenate([t[:0], *outs_t])

    def drain(self) -> tuple[Array, Array]:
        """Return what is left, in a random order; the buffer is empty afterwards."""
        order = self.rng.permutation(self.count)
        self.count = 0
        return self.x.take(order, axis=0), self.t.take(order, axis=0)
