"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["give_back_memory"]


def give_back_memory() -> None:
    """Let the C library give back what it keeps of freed memory for later, where it is one that can (glibc).

    Between two phases that is hundreds of MiB, of which the next phase would reuse little.

    >>> give_back_memory()
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
