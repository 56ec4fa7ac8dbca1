"""Shapes in signatures: ``Float[Array, "batch inputs"]`` is checked while the tests run, and costs nothing else.

Where jaxtyping is loaded already (its import hook loads it when the tests run, and then checks every call) the names
are its own. Otherwise they are placeholders that nobody evaluates.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from numpy import ndarray


@runtime_checkable
class SparseRows(Protocol):
    """A matrix of scipy.sparse, told by what it can do: SciPy itself is not needed here."""

    shape: Any
    dtype: Any

    def tocsr(self) -> Any: ...


if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num, Shaped
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[Any]
    MatrixLike = Any  # ArrayLike or a matrix of scipy.sparse, which has no types
elif "jaxtyping" in sys.modules:
    from jaxtyping import Float, Int, Num, Shaped
    from numpy.typing import ArrayLike

    Array = ndarray
    MatrixLike = ArrayLike | SparseRows
else:

    class _Unchecked:
        def __class_getitem__(cls, item: Any) -> Any:
            return item[0]

    Array = ArrayLike = MatrixLike = Any
    Float = Int = Num = Shaped = _Unchecked


def is_sparse(x: Any) -> bool:
    """Say whether x is a matrix of scipy.sparse."""
    return not isinstance(x, ndarray) and hasattr(x, "tocsr")


__all__ = ["Array", "ArrayLike", "Float", "Int", "MatrixLike", "Num", "Shaped", "SparseRows", "is_sparse"]
