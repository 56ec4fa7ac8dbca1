"""Shapes in signatures: ``Float[Array, "batch inputs"]`` is checked while the tests run, and costs nothing else.

If jaxtyping is already loaded (in the tests, which check every call), the names are jaxtyping's. Otherwise they are
placeholders that are never evaluated.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from numpy import ndarray


class SparseRows(ABC):
    """A matrix of scipy.sparse, recognized by its method, so that SciPy is not needed."""

    shape: Any
    dtype: Any

    @abstractmethod
    def tocsr(self) -> Any: ...

    @classmethod
    def __subclasshook__(cls, other: type) -> bool:
        return hasattr(other, "tocsr")


class DeviceArray(ABC):  # noqa: B024  (it is recognized, and never inherited from)
    """An array in the memory of a GPU, such as CuPy's."""

    @classmethod
    def __subclasshook__(cls, other: type) -> bool:
        return hasattr(other, "__cuda_array_interface__")


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
