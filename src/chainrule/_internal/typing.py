"""Shapes in signatures: ``Float[Array, "batch inputs"]`` is checked while the tests run, and costs nothing else.

If jaxtyping is already loaded (in the tests, its import hook loads it and checks every call), the names are
jaxtyping's. Otherwise they are placeholders that are never evaluated.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from numpy import ndarray


@runtime_checkable
class SparseRows(Protocol):
    """A matrix of scipy.sparse, recognized by its methods, so that SciPy is not needed."""

    shape: Any
    dtype: Any

    def tocsr(self) -> Any: ...


@runtime_checkable
class DeviceArray(Protocol):
    """An array in the memory of a GPU, such as CuPy's."""

    shape: Any
    dtype: Any
    __cuda_array_interface__: Any


if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num, Shaped
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[Any]
    Number = float  # or, on a GPU, an array of no dimensions
    MatrixLike = Any  # ArrayLike or a matrix of scipy.sparse, which has no types
elif "jaxtyping" in sys.modules:
    from jaxtyping import Float, Int, Num, Shaped
    from numpy.typing import ArrayLike

    Array = ndarray | DeviceArray
    Number = float | DeviceArray
    ArrayLike = ArrayLike | DeviceArray
    MatrixLike = ArrayLike | DeviceArray | SparseRows
else:

    class _Unchecked:
        def __class_getitem__(cls, item: Any) -> Any:
            return item[0]

    Array = ArrayLike = MatrixLike = Number = Any
    Float = Int = Num = Shaped = _Unchecked


def is_sparse(x: Any) -> bool:
    """Return whether x is a matrix of scipy.sparse."""
    return not isinstance(x, ndarray) and hasattr(x, "tocsr")


__all__ = ["Array", "ArrayLike", "Float", "Int", "MatrixLike", "Num", "Number", "Shaped", "SparseRows", "is_sparse"]
