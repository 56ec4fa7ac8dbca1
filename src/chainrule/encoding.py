"""Columns of a table as inputs of a network: scaled numbers, categories, missing values, piecewise-linear encoding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, final

import numpy as np

from chainrule._internal.typing import Array, Float

__all__ = ["TableEncoding"]

Level = str | int | float | bool | None
FAR = 100.0  # scaled numbers are cut there, where the smooth clip is 2.999
ROUNDING = 1e-15  # an interquartile range that is smaller, relative to the largest number, is 0
NEAR = 1e-6  # quantiles that differ by less are one
MOST_LEVELS = 64  # inputs for a category; rarer levels are treated like unseen ones
WIDEST = 200  # numbers; more of them are not encoded piecewise
NUMBER = int | float | Decimal | np.number | np.bool_
NUMBERS = ("int", "uint", "float", "double", "decimal", "bool")  # how the names of dtypes begin, and
UNSUPPORTED = ("interval", "date", "time", "duration", "period", "list", "struct", "array", "complex")


@final
@dataclass(eq=False, repr=False)
class TableEncoding:
    """Encode the columns of a table as inputs of a network, robustly against outliers and missing values.

    .. code-block:: text

        a number x          z = (x − median) / s          s: the interquartile range, or where that is 0 half the range
                            u = z / √(1 + (z / 3)²)       between −3 and 3; 0 for a missing number
        a missing number    one more input, 1 or 0, scaled in the same way
        a category          an input for each level, 1 or 0, scaled in the same way; two levels share one input

        piecewise-linear encoding of u, for quantiles q₀ < q₁ < … of its training rows:
                            min(max((u − qₖ₋₁) / (qₖ − qₖ₋₁), 0), 1) − ½        for each k

    A missing category is a level of its own if one occurs in the training rows. An unseen level has zeros for all
    levels (for two levels, the median). Of a category with more than 64 levels, only the 64 most frequent are encoded,
    without those that occur once; the others are treated like unseen ones. A constant column is always 0.

    Parameters
    ----------
    levels : tuple
        For each column of the table None for a number, or the levels of a category.
    median, spread : (values,) arrays
        For each number, level and missing-value input, in this order; ``spread`` is s, or 0 for a constant.
    missing : (k,) int array
        The numbers, by their index among the values, that have a missing-value input.
    encoded : (m,) int array
        The values with a piecewise-linear encoding, and ``quantiles`` theirs.
    quantiles : tuple of (k,) arrays

    Examples
    --------
    >>> encoding = TableEncoding.fit([np.array([1.0, 2.0, 4.0, np.nan]), np.array(["a", "b", "c", "a"], object)])
    >>> encoding.levels, encoding.inputs
    ((None, ('a', 'b', 'c')), 5)
    >>> encoding([np.array([2.0, np.inf]), np.array(["b", "?"], object)]).round(2)
    array([[ 0.  , -0.49,  2.4 ,  0.  ,  0.  ],
           [ 3.  , -0.49,  0.  ,  0.  ,  0.  ]], dtype=float32)

    Source: "robust scale and smooth clip": Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned
    MLPs and boosted trees on tabular data" (2024). Piecewise-linear encoding: Gorishniy, Rubachev and Babenko, "On
    embeddings for numerical features in tabular deep learning" (2022); scikit-learn's ``SplineTransformer(degree=1,
    knots="quantile")`` spans the same functions with hats instead of ramps.
    """

    levels: tuple[tuple[Level, ...] | None, ...]
    median: Float[Array, "values"]
    spread: Float[Array, "values"]
    missing: Array
    encoded: Array
    quantiles: tuple[Array, ...] = ()

    @classmethod
    def fit(cls, X: Any, *, categorical: Sequence[int] = (), bins: int = 0) -> TableEncoding:
        """Return the encoding for a table.

        Parameters
        ----------
        X : (rows, columns) array, or a sequence of (rows,) arrays
            Columns of numbers have a numeric dtype; those of any other dtype are categories.
        categorical : sequence of int
            Columns of numbers that are categories.
        bins : int
            Number of intervals between quantiles for each number; 0 for no piecewise-linear encoding.
        """
        columns = columns_of(X)
        levels = tuple(
            _levels(column) if i in categorical or column.dtype.kind not in "fiub" else None
            for i, column in enumerate(columns)
        )
        encoding = cls(levels, np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
        values = encoding._values(columns)
        numbers = encoding.numbers
        encoding.missing = numbers[np.isnan(values[:, numbers]).any(axis=0)]
        values = encoding._with_missing(values)
        encoding.median, encoding.spread = _scales(values)
        if bins and len(numbers) <= WIDEST:
            u = clipped(encoding._scaled(values[:, numbers], numbers))
            found = [_quantiles(u[:, i], bins) for i in range(len(numbers))]
            encoding.encoded = numbers[[len(q) > 2 for q in found]]
            encoding.quantiles = tuple(q for q in found if len(q) > 2)
        return encoding

    @property
    def values(self) -> int:
        """Number of values of a row: numbers and levels, without missing-value inputs."""
        return sum(self._widths())

    @property
    def numbers(self) -> Array:
        """Where the numbers are among the values."""
        starts = np.cumsum([0, *self._widths()])[:-1]
        kept = [start for start, levels in zip(starts, self.levels, strict=True) if levels is None]
        return np.array(kept, dtype=np.int64)

    @property
    def plain(self) -> int:
        """Number of inputs that are not piecewise-linear encodings."""
        return len(self.median)

    @property
    def inputs(self) -> int:
        """Number of inputs of the network."""
        return self.plain + sum(len(q) - 1 for q in self.quantiles)

    def without_piecewise(self) -> TableEncoding:
        """Return the same encoding without piecewise-linear encodings."""
        return replace(self, encoded=self.encoded[:0], quantiles=())

    def __call__(self, X: Any) -> Float[Array, "rows inputs"]:
        """Return the inputs for rows of a table, as float32."""
        return self.encode(self.scaled(X))

    def columns(self, X: Any) -> Sequence[Array]:
        """Return the columns of a table, as arrays of numbers or of objects."""
        columns = columns_of(X)
        if len(columns) != len(self.levels):
            raise ValueError(f"X: expected {len(self.levels)} columns, got {len(columns)}.")
        return columns

    def scaled(self, X: Any) -> Float[Array, "rows values"]:
        """Return z as float64, cut at ±100 but without the smooth clip."""
        return self._scaled(self._with_missing(self._values(self.columns(X))))

    def encode(self, z: Float[Array, "rows values"]) -> Float[Array, "rows inputs"]:
        """Return the inputs for scaled values."""
        u = clipped(z)
        out = np.empty((len(u), self.inputs), np.float32)
        out[:, : self.plain] = u
        at = self.plain
        for index, q in zip(self.encoded, self.quantiles, strict=True):
            ramps = (u[:, index, np.newaxis] - q[:-1]) / np.diff(q)
            out[:, at : at + len(q) - 1] = np.clip(ramps, 0.0, 1.0) - 0.5
            at += len(q) - 1
        return out

    # ------------------------------------------------------------ steps

    def _values(self, columns: Sequence[Array]) -> Array:
        """Return numbers and one-hot levels, with NaN for what is missing."""
        parts = []
        for i, (column, levels) in enumerate(zip(columns, self.levels, strict=True)):
            if levels is None:
                parts.append(_as_numbers(column, i)[:, np.newaxis])
                continue
            index = _index(column, levels)
            if len(levels) <= 2:  # one input; unseen levels are missing
                one = np.where(index < 0, np.nan, index == len(levels) - 1)
                parts.append(one[:, np.newaxis])
            else:
                parts.append((index[:, np.newaxis] == np.arange(len(levels))).astype(np.float64))
        rows = len(columns[0]) if len(columns) else 0
        return np.hstack(parts) if parts else np.zeros((rows, 0))

    def _widths(self) -> list[int]:
        return [1 if levels is None or len(levels) <= 2 else len(levels) for levels in self.levels]

    def _with_missing(self, values: Array) -> Array:
        return np.hstack([values, np.isnan(values[:, self.missing])]) if len(self.missing) else values

    def _scaled(self, values: Array, which: Array | slice = slice(None)) -> Array:
        median, spread = self.median[which], self.spread[which]
        with np.errstate(over="ignore", invalid="ignore"):
            z = (values - median) * np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        z[:, spread == 0] = 0.0  # infinity times 0
        return np.clip(np.nan_to_num(z, nan=0.0, posinf=FAR, neginf=-FAR), -FAR, FAR)


def clipped(z: Array) -> Array:
    """Return u = z / √(1 + (z / 3)²), smoothly between −3 and 3."""
    return np.asarray(z / np.sqrt(1 + np.square(z / 3)))


def columns_of(X: Any) -> Sequence[Array]:
    """Return the columns of an array, or of a data frame of pandas or polars, as arrays of numbers or of objects."""
    names = getattr(X, "columns", None)
    if names is not None:
        return [_frame_column(X, i) for i in range(len(names))]
    if isinstance(X, np.ndarray) and X.ndim != 2:
        raise ValueError(f"X: expected rows and columns, (rows, columns), got shape {X.shape}.")
    columns = list(X.T) if isinstance(X, np.ndarray) else [np.asarray(column) for column in X]
    for i, column in enumerate(columns):
        if column.dtype.kind not in "fiubOUST":
            raise _unsupported(i, column.dtype)
    return [_inferred(column) for column in columns] if isinstance(X, np.ndarray) and X.dtype == object else columns


def _frame_column(frame: Any, i: int) -> Array:
    """Return a column of a data frame; categories, text and columns with other missing values become objects."""
    column = frame.iloc[:, i] if hasattr(frame, "iloc") else frame.to_series(i)
    kind = str(column.dtype).lower()
    if kind.startswith("sparse"):  # of pandas
        column = column.sparse.to_dense()
        kind = str(column.dtype).lower()
    if kind.startswith(UNSUPPORTED):
        raise _unsupported(column.name, column.dtype)
    if kind.startswith(NUMBERS):
        if getattr(column.dtype, "kind", "") in ("i", "u") and isinstance(column.dtype, np.dtype):
            return np.asarray(column)  # exact beyond 2^53, for categories
        try:
            return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))  # pandas, also Int64
        except TypeError:
            return np.asarray(column.cast(type(column)([0.0]).dtype).to_numpy())  # polars: null becomes NaN
    values = np.asarray(column, dtype=object)
    return _inferred(values) if kind in ("object", "null") else values


def _unsupported(name: Any, kind: Any) -> ValueError:
    return ValueError(
        f"X: column {name!r} has the type {kind}: expected numbers, categories or text. Convert it, dates to numbers "
        "such as days since a date, others with astype(str); or train on the file with chainrule.tables.train."
    )


def _inferred(column: Array) -> Array:
    """Return a column of objects as numbers, if that is what all values that are not missing are."""
    known = [value for value in column if not is_missing(value)]
    if all(isinstance(value, NUMBER) for value in known):
        return np.array([np.nan if is_missing(value) else _float(value) for value in column])
    return column


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or a missing value of pandas."""
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # of a whole number
        return math.inf if value > 0 else -math.inf


def _as_numbers(column: Array, name: Any) -> Array:
    """Return a column as numbers; text is refused, also text such as "1.5", which ``fit`` takes for a category."""
    if column.dtype.kind not in "fiub":
        bad = next((v for v in column if not is_missing(v) and not isinstance(v, NUMBER)), None)
        if bad is not None:
            raise ValueError(
                f"X: column {name} had numbers in fit: expected numbers, got {bad!r}. Convert it with float(...), or "
                "give None where a value is unknown."
            )
        return _inferred(column.astype(object))
    return np.asarray(column, dtype=np.float64)


def _plain(value: Any) -> Level:
    value = value.item() if isinstance(value, np.generic) else value
    if is_missing(value) or (isinstance(value, float) and math.isinf(value)):  # no file could hold infinity
        return None
    if not isinstance(value, str | int | float | bool):
        raise ValueError(  # noqa: TRY004  (a value of X, as scikit-learn has it)
            f"X: expected categories that are text or numbers, got {value!r}, a {type(value).__name__}. Convert them, "
            "for example with str(...)."
        )
    return value


def _levels(column: Array) -> tuple[Level, ...]:
    """Return the levels of a category: the most frequent ones, in sorted order, with None for missing at the end."""
    counts: dict[Level, int] = {}
    for value in column:
        level = _plain(value)
        counts[level] = counts.get(level, 0) + 1
    known: list[Any] = [level for level in counts if level is not None]
    known.sort(key=lambda level: (-counts[level], str(level)))
    if len(known) > MOST_LEVELS:
        known = [level for level in known[:MOST_LEVELS] if counts[level] > 1]
    found = tuple(sorted(known, key=lambda level: (type(level).__name__, level)))
    return (*found, None) if None in counts else found


def _index(column: Array, levels: tuple[Level, ...]) -> Array:
    """Return the index of each value's level; −1 for unseen ones."""
    known = {level: i for i, level in enumerate(levels)}
    found = [known.get(_plain(value), -1) for value in column]
    return np.array(found, dtype=np.int64)


def _scales(values: Array) -> tuple[Array, Array]:
    """Return the median and the interquartile range of each column, or half the range; 0 for a constant."""
    median, spread = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(values.shape[1]):
            known = values[np.isfinite(values[:, i]), i]
            if not known.size:
                continue
            low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
            low_end, high_end = known.min(), known.max()
            rounding = ROUNDING * max(abs(low_end), abs(high_end))
            wide = high - low if high - low > rounding else (high_end - low_end) / 2
            if np.isfinite(wide) and np.isfinite(middle) and wide > rounding:
                median[i], spread[i] = middle, wide
    spread[spread < np.finfo(np.float64).tiny] = 0.0  # its inverse would be infinite
    return median, spread


def _quantiles(u: Array, bins: int) -> Array:
    """Return the quantiles between which a number is encoded; fewer than three where it has two values.

    Those that differ by rounding only are one: a ramp between them would magnify rounding to a step.
    """
    found = np.quantile(u, np.linspace(0.0, 1.0, bins + 1))
    return found[np.concatenate([[True], np.diff(found) > NEAR])]
