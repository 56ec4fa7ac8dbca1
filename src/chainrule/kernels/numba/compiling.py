"""How everything in this folder is compiled, where the result is kept, and what is said meanwhile."""

from __future__ import annotations

import gc
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import event

# Division by zero gives infinity, as in NumPy: Numba's default, to raise an error, prevents vector instructions.
OPTIONS = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}

compiled = njit(**OPTIONS, no_cpython_wrapper=True)
"""For functions that compiled functions call."""

summing = njit(**OPTIONS, no_cpython_wrapper=True, fastmath={"reassoc", "contract", "nsz"})
"""The same where sums may be taken in another order, for vector instructions; NaN and infinity stay what they are."""


def kept(make: Callable[[int], Callable[..., Any]]) -> Any:
    """Compile ``make(version)``, a function that Python calls, and keep the result on disk, where that is possible.

    ``version`` stands for the text of all that is compiled, since Numba itself looks for changes in one file only. As a
    variable of the function's closure it is part of the key under which the result is kept.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    version = zlib.crc32(b"".join(path.read_bytes() for path in sources))
    try:
        function = njit(**OPTIONS, cache=True)(make(version))
    except RuntimeError:  # there is nowhere to write
        function = njit(**OPTIONS)(make(version))
    return function


def announce(function: Any) -> None:
    """Say so when this function is compiled, because it takes long."""
    event.register("numba:compile", _Notice(function))


class _Notice(event.Listener):
    """Says once that what takes so long is the compiler; which makes so many objects that looking for garbage costs."""

    said = False

    def __init__(self, function: Any) -> None:
        self.function = function
        self.collecting = False

    def on_start(self, event: Any) -> None:
        if event.data["dispatcher"] is not self.function:
            return
        if not _Notice.said:
            _Notice.said = True
            line = "chainrule: compiling, which takes about ten seconds; the result is kept for later"
            print(line, file=sys.stderr, flush=True)  # noqa: T201
        self.collecting = gc.isenabled()
        gc.disable()

    def on_end(self, event: Any) -> None:
        if event.data["dispatcher"] is self.function and self.collecting:
            gc.enable()
