"""Writable arrays."""

from __future__ import annotations

import numpy as np

from chainrule._internal.typing import Array


def owned(array: Array) -> Array:
    """Return the array itself, or a copy if it is read-only or not contiguous.

    For unpickled arrays: joblib maps large arrays into its workers as read-only memory.

    >>> owned(np.frombuffer(b"12345678", np.uint8)).flags.writeable
    True
    """
    return np.require(array, requirements=["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])
