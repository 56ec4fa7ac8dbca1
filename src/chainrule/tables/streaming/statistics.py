"""What one pass over the rows tells of every column, block by block, in memory that does not grow with the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

CATEGORIES = 1_000  # values that are counted; a column of more is one of many values
SKETCH = 1_024  # hashes that are kept to estimate how many values differ: to 1/√1024, 3 %

__all__ = ["ColumnStatistics"]


@dataclass
class ColumnStatistics:
    """One column: counts, extremes, moments, and its values while they are few.

    Attributes
    ----------
    rows, missing, infinite : int
        Rows seen; those without a value (null or NaN); those with ±∞, which count for nothing else.
    low, high : float or str, optional
        The extremes.
    whole : bool
        Whether no number has a fraction.
    mean, squares : float
        Of numbers: the mean, and Σ (x − mean)².
    counts : dict or None
        How often each value occurs; None where there are more than 1,000.

    Examples
    --------
    >>> import polars as pl
    >>> column = ColumnStatistics("x")
    >>> for values in ([1.0, None], [3.0, float("nan"), 5.0]):
    ...     new = column.add(pl.Series("x", values))
    >>> column.rows, column.missing, column.mean, column.variance, column.low, column.high, column.distinct
    (5, 2, 3.0, 2.666..., 1.0, 5.0, 3)
    """

    name: str
    rows: int = 0
    missing: int = 0
    infinite: int = 0
    low: Any = None
    high: Any = None
    whole: bool = True
    mean: float = 0.0
    squares: float = 0.0
    counts: dict[Any, int] | None = field(default_factory=dict)
    _there: int = field(default=0, repr=False)
    _hashes: Array = field(default_factory=lambda: np.zeros(0, np.uint64), repr=False)

    def add(self, values: pl.Series) -> list[Any]:
        """Count the values of a block; return those that were never seen before, where they are counted."""
        polars = require("polars", "tables")
        self.rows += len(values)
        kind = values.dtype
        if kind.is_nested() or kind in (polars.Object, polars.Binary):
            self.counts = None
            self.missing += values.null_count()
            return []
        there, before = values.drop_nulls() if values.null_count() else values, self.infinite
        if kind.is_numeric() or kind == polars.Boolean:
            x = there.to_numpy().astype(np.float64, copy=False)
            if kind.is_float() and not np.isfinite(x).all():
                self.infinite += int(np.isinf(x).sum())
                there = there.filter(there.is_finite())
                x = there.to_numpy().astype(np.float64, copy=False)
            self.whole = self.whole and (not kind.is_float() or bool((x == np.rint(x)).all()))
            self._moments(x)
        self.missing += len(values) - len(there) - (self.infinite - before)
        if not len(there):
            return []
        self._extremes(there)
        self._sketch(there)
        return self._count(there)

    @property
    def variance(self) -> float:
        """Of the values that are there, divided by their number, as scikit-learn's scalers have it."""
        there = self.rows - self.missing - self.infinite
        return self.squares / there if there else 0.0

    @property
    def distinct(self) -> int:
        """How many values differ: exact up to 1,024 (or while they are counted), beyond that to about 3 %."""
        if self.counts is not None:
            return len(self.counts)
        if len(self._hashes) < SKETCH:
            return len(self._hashes)
        return round((SKETCH - 1) / (float(self._hashes[-1]) / 2**64))

    def _extremes(self, values: pl.Series) -> None:
        low, high = values.min(), values.max()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def _moments(self, x: Array) -> None:
        """Merge the moments of a block into those of all before: Chan, Golub and LeVeque (1983), equation 2.1."""
        if not len(x):
            return
        before, count, mean = self._there, len(x), float(x.mean())
        delta, both = mean - self.mean, before + count
        squares = float(np.square(x - mean).sum())  # not by BLAS: its threads would get in the way of those that count
        self.squares += squares + delta * delta * before * count / both
        self.mean += delta * count / both
        self._there = both

    def _count(self, values: pl.Series) -> list[Any]:
        if self.counts is None:
            return []
        if values.head(4 * CATEGORIES).n_unique() > CATEGORIES:  # most columns of numbers, at once
            self.counts = None
            return []
        found = values.value_counts(name="count")
        new = []
        for value, count in found.sort(values.name).iter_rows():
            if value not in self.counts:
                new.append(value)
                self.counts[value] = 0
            self.counts[value] += count
        if len(self.counts) > CATEGORIES:
            self.counts = None
            return []
        return new

    def _sketch(self, values: pl.Series) -> None:
        """Keep the smallest hashes of different values: Bar-Yossef et al., "Counting distinct elements" (2002)."""
        hashes = values.hash(seed=0)
        if len(self._hashes) == SKETCH:
            hashes = hashes.filter(hashes < int(self._hashes[-1]))
        if len(hashes):
            both = np.sort(np.concatenate([self._hashes, hashes.to_numpy()]))
            self._hashes = both[np.concatenate([[True], both[1:] != both[:-1]])][:SKETCH]
