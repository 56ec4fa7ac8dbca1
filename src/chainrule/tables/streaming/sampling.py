"""Rows drawn at random by a hash of their number: the same ones in whatever pieces the file is read.

No list of row numbers is kept. The hash of a row with the seed is a number that is as good as random, and no two rows
have the same: the k rows of the smallest hashes are a uniform sample of k rows, and whether a row is among them is
one comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.tables.streaming.source import Block

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

__all__ = ["BottomK", "mixed", "row_hashes"]


def row_hashes(start: int, count: int, seed: int) -> Array:
    """Return 64 bits for each of ``count`` rows from ``start``, as good as random, and different for different rows.

    .. code-block:: text

        z = (row + 1) · 0x9E3779B97F4A7C15 + seed's own first number        (mod 2⁶⁴)
        z = (z ⊕ z/2³⁰) · 0xBF58476D1CE4E5B9
        z = (z ⊕ z/2²⁷) · 0x94D049BB133111EB
        z = z ⊕ z/2³¹

    Every line is a one-to-one map of the 64-bit numbers.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), with the constants of
    Stafford's variant 13.

    >>> bool(row_hashes(0, 3, seed=0)[1] == row_hashes(1, 1, seed=0)[0])
    True
    """
    return mixed(np.arange(start + 1, start + count + 1, dtype=np.uint64), seed)


def mixed(values: Array, seed: int, stream: int = 0x5EED) -> Array:
    """Return 64 bits for each 64-bit number, by the lines above; the array is overwritten."""
    origin = np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(1, np.uint64)[0]
    z = values
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += origin
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


class BottomK:
    """The k rows of the smallest hashes among those that were offered.

    Parameters
    ----------
    k : int
    seed : int

    Examples
    --------
    >>> import polars as pl
    >>> sample = BottomK(2, seed=0)
    >>> sample.offer(Block(0, pl.DataFrame({"x": [0, 1, 2]})))
    >>> sample.offer(Block(3, pl.DataFrame({"x": [3, 4, 5]})))
    >>> len(sample.rows()), sample.hashes().size
    (2, 2)
    """

    def __init__(self, k: int, seed: int) -> None:
        self.k, self.seed = k, seed
        self._frames: list[pl.DataFrame] = []
        self._hashes: list[Array] = []
        self._count = 0
        self._limit = np.uint64(2**64 - 1)

    def offer(self, block: Block, allowed: Array | None = None) -> None:
        """Take what is to be kept of a block, of the rows that are ``allowed``."""
        hashes = row_hashes(block.start, block.frame.height, self.seed)
        chosen = hashes <= self._limit
        if allowed is not None:
            chosen &= allowed
        index = np.flatnonzero(chosen)
        if not len(index) and self._frames:
            return  # but of the first one, for the columns and their types
        self._frames.append(block.frame[index])
        self._hashes.append(hashes[index])
        self._count += len(index)
        if self._count > 2 * self.k:
            self._shrink()

    def rows(self) -> pl.DataFrame:
        """Return the rows, those of the smallest hashes first."""
        self._shrink()
        return self._frames[0]

    def hashes(self) -> Array:
        """Return their hashes, in order."""
        self._shrink()
        return self._hashes[0]

    def _shrink(self) -> None:
        polars = require("polars", "tables")
        hashes = np.concatenate(self._hashes)
        best = np.argsort(hashes)[: self.k]
        self._frames = [polars.concat(self._frames)[best]]
        self._hashes, self._count = [hashes[best]], len(best)
        if len(best) == self.k:
            self._limit = self._hashes[0][-1]
