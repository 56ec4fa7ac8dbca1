"""Arrays that can be written to."""

from __future__ import annotations

import numpy as np

from chainrule._internal.typing import Array


def owned(array: Array) -> Array:
    """Return an array that can be written: itself, or a copy where it is read-only or not in one piece.

    For what comes out of a pickle: joblib maps large arrays into its workers, read-only.

    >>> owned(np.frombuffer(b"12345678", np.uint8)).flags.writeable
    True
    """
    return np.require(array, requirements=["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])
