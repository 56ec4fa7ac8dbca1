"""Shapes in signatures: ``Float[Array, "batch inputs"]`` is checked while the tests run, and costs nothing else.

With ``CHAINRULE_CHECK_SHAPES=1`` in the environment (the tests set it) the names come from jaxtyping, whose import
hook checks every call. Otherwise they are placeholders that are never evaluated.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num, Shaped
elif os.environ.get("CHAINRULE_CHECK_SHAPES"):
    from jaxtyping import Float, Int, Num, Shaped

    Array = np.ndarray
else:

    class _Unchecked:
        def __class_getitem__(cls, item: Any) -> Any:
            return item[0]

    Float = Int = Num = Shaped = _Unchecked

__all__ = ["Array", "Float", "Int", "Num", "Shaped"]
