"""Products and sums over the rows of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.special import ones
from chainrule._internal.typing import Array, is_sparse

SUMMED = 256


def product(x: Any, y: Any, out: Array | None = None) -> Array:
    """Return the matrix product x y; x may be sparse rows, which are not converted to a dense array.

    >>> product(np.eye(2), np.array([[1.0], [2.0]])).tolist()
    [[1.0], [2.0]]
    """
    result: Array = x @ y if is_sparse(x) else np.dot(x, y, out=out)
    return result


def column_sums(x: Array, out: Array | None = None) -> Array:
    """Return the sum of each feature (the last axis) over all rows and positions.

    Blocks of SUMMED rows are summed, and these sums are added in float64. Sequential summation in float32 would lose
    digits with the number of rows (three of seven for 100,000 pixels). This takes no longer.

    >>> x = np.full((100_000, 1), 0.1, "float32")
    >>> column_sums(x).round(2), np.cumsum(x, dtype="float32")[-1].round(2)
    (array([10000.], dtype=float32), np.float32(9998.56))
    """
    columns = x.shape[-1]
    x = x.reshape(-1, columns)
    sums, rest = divmod(len(x), SUMMED)
    if sums < 32:  # a single dot product is slightly faster and equally accurate
        return np.dot(ones(len(x), x), x, out=out)
    some = np.dot(ones(SUMMED, x), x[: len(x) - rest].reshape(SUMMED, sums * columns))
    total = np.sum(some.reshape(sums, columns), axis=0, dtype=np.float64)
    total += np.dot(ones(rest, x), x[len(x) - rest :])
    if out is None:
        return total.astype(x.dtype)
    out[...] = total
    return out


def row_dots(x: Array, y: Array, out: Array | None = None) -> Array:
    """Return the dot product of each row of x with that of y.

    >>> row_dots(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    array([11.])
    """
    if out is None or isinstance(out, np.ndarray):
        return np.einsum("ij,ij->i", x, y, out=out)
    out[...] = np.einsum("ij,ij->i", x, y)  # CuPy's has no out
    return out
