"""Writable arrays, and memory that is returned to the system."""

from __future__ import annotations

import ctypes
import sys

import numpy as np

from chainrule._internal.typing import Array


def owned(array: Array) -> Array:
    """Return the array itself, or a copy if it is read-only or not contiguous; arrays on a GPU are neither.

    For unpickled arrays: joblib maps large arrays into its workers as read-only memory.

    >>> owned(np.frombuffer(b"12345678", np.uint8)).flags.writeable
    True
    """
    if not isinstance(array, np.ndarray):
        return array
    return np.require(array, requirements=["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])


def writeable(array: Array) -> bool:
    """Return whether the array can be written to: it is aligned and not read-only. Arrays on a GPU always are.

    >>> writeable(np.frombuffer(b"12345678", np.uint8))
    False
    """
    return not isinstance(array, np.ndarray) or (array.flags.writeable and array.flags.aligned)


def return_freed_memory() -> None:
    """Make the process return freed arrays of 1 MiB or more to the system, if its malloc is glibc's.

    By default, glibc keeps them in a heap for each thread. The arrays of a long stream of blocks leave gaps there, and
    the heaps grow for minutes.
    """
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        ctypes.CDLL(None).mallopt(-3, 2**20)  # M_MMAP_THRESHOLD
