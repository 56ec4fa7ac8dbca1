"""Compiling of all that a network needs: with a clock for whoever waits, and another process that does a part of it."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.threads import choose_threads
from chainrule.training.compiled import compiling, keeping

FEWEST_TO_SHARE = 6  # operations: another process takes half a second to start


def prepare(operations: Iterable[compiling.Operation], dtype: np.dtype[Any]) -> None:
    """Load operations; compile those that are kept nowhere yet, from both ends of a list, with a helper if possible."""
    with compiling.lock:
        missing = sorted((run for run in dict.fromkeys(operations) if not run.load(dtype)), key=lambda run: -run.size)
        order, total = [*missing[::2], *missing[1::2][::-1]], len(missing)  # the smallest meet in the middle
        watch = keeping.watcher.get() or (lambda done, total: None)
        with _helper([run.name for run in reversed(order)], dtype):
            for i, run in enumerate(order):
                if not run.load(dtype):
                    watch(max(i, sum(keeping.there(other.key(dtype)) for other in order)), total)
                    run.address(dtype)
        if missing:
            watch(total, total)


HELPER = """
import json, sys
sys.path[:], names, dtype = json.loads(sys.argv[1])
from chainrule.training.compiled import sharing
sharing.compile_named(names, dtype)
"""


@contextmanager
def _helper(names: Sequence[str], dtype: np.dtype[Any]) -> Iterator[None]:
    """Let another process compile and keep operations meanwhile, if a core is idle and there is a folder for them.

    Threads would not do: Numba compiles under one lock, and llvmlite calls LLVM under another. What the helper has not
    kept, for whatever reason, is compiled here.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # where all cores are busy, a helper is in the way
    alone = len(names) < FEWEST_TO_SHARE or not keeping.possible() or choose_threads(0).allowed - load <= 1
    python = Path(sys.executable or "").name.lower()  # in a single executable, this would be the program
    if alone or not python.startswith(("python", "pypy")):
        yield
        return
    import subprocess  # noqa: PLC0415  (start-up time)

    command = [sys.executable, "-I", "-c", HELPER, json.dumps([list(map(str, sys.path)), names, dtype.name])]
    silent, no_window = subprocess.DEVNULL, getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        helper = subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent, creationflags=no_window)  # noqa: S603
    except OSError:  # processes are not allowed here
        yield
        return
    try:
        yield
        helper.wait()
    finally:
        helper.kill()
        helper.wait()


def compile_named(names: Sequence[str], dtype: str) -> None:
    """Compile and keep operations: the work of a helper."""
    for name in names:
        importlib.import_module(f"{compiling.PACKAGE}.{name.rpartition('.')[0]}")
        compiling.operations[name].address(np.dtype(dtype))
