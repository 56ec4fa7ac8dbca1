"""How everything in this folder is compiled, where the result is kept, and what is said meanwhile."""

from __future__ import annotations

import gc
import zlib
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any

from numba import njit
from numba.core import event

from chainrule.training.compiled.keeping import REMEDY, FileCache, say

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
    function = njit(**OPTIONS)(make(_version()))
    with suppress(RuntimeError):  # there is nowhere to write
        function._cache = FileCache(function.py_func)  # noqa: SLF001  (njit(cache=True) does this, with Numba's own)
    return function


def _version() -> int:
    """Return a number that changes with this folder: its sources, or its bytecode, which may lie in a zip; 0 for none.

    A single executable may have neither.
    """
    folder = files(__package__)
    there = sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []
    return zlib.crc32(b"".join(file.read_bytes() for file in there if file.name.endswith((".py", ".pyc"))))


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
            kept = getattr(self.function._cache, "_enabled", False)  # noqa: SLF001
            result = "the result is kept for later" if kept else f"the result cannot be kept. {REMEDY}"
            say(f"compiling, which takes about ten seconds; {result}")
        self.collecting = gc.isenabled()
        gc.disable()

    def on_end(self, event: Any) -> None:
        if event.data["dispatcher"] is self.function and self.collecting:
            gc.enable()
