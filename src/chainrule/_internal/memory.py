"""Writable arrays, and memory that is returned to the system."""

from __future__ import annotations

import ctypes
import sys

import numpy as np

from chainrule._internal.typing import Array


def owned(array: Array) -> Array:
    """Return the array itself, or a copy if it is read-only or not contiguous.

    For unpickled arrays: joblib maps large arrays into its workers as read-only memory.

    >>> owned(np.frombuffer(b"12345678", np.uint8)).flags.writeable
    True
    """
    return np.require(array, requirements=["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])


def return_freed_memory() -> None:
    """Let the process return arrays of 1 MiB and more to the system when they are freed, where its malloc is glibc's.

    By default, glibc keeps them in a heap for each thread. Arrays of a long stream of blocks leave gaps there, and the
    heaps grow for minutes.
    """
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        ctypes.CDLL(None).mallopt(-3, 2**20)  # M_MMAP_THRESHOLD
