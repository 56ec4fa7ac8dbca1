"""The choice of the training engine. Only this module checks which packages are installed.

``step`` has the training steps in plain array code, the reference and the fallback; ``compiled`` compiles them with
Numba. Both agree to rounding error, and :attr:`chainrule.History.engine` tells which one ran.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from chainrule._internal.backend import CPU
from chainrule._internal.extras import install
from chainrule._internal.typing import Array
from chainrule.network import Network
from chainrule.training.callbacks import Run
from chainrule.training.state import Steps, Work

MODULES = {"numba": "compiled", "reference": "step"}


def steps(work: Work, run: Run) -> Steps:
    """Return the object that runs the steps of training, and record the engine in the history."""
    if work.network.device != CPU:
        made = importlib.import_module("chainrule.training.compiled.cupy").steps(work, run)
        run.history.engine = made.engine
        return made
    name, reason = choose()
    try:
        made = _module(name).steps(work, run)
    except ImportError as error:  # for example, Numba rejects a NumPy newer than it supports
        if os.environ.get("CHAINRULE_KERNELS"):
            raise
        reason = f"Numba cannot be imported ({error})"
        _say_once(f"training with NumPy, not with compiled code: {reason}")
        made = _module("reference").steps(work, run)
    run.history.engine = made.engine + (f": {reason}" if reason else "")
    return made


def logits(network: Network, X: Array, threads: int | None = None) -> Array | None:
    """Return y of many rows by compiled code; None where NumPy is chosen, or where there is none for a layer."""
    prediction = _prediction(network, X, None, threads)
    return None if prediction is None else prediction.once()


def predictor(network: Network, X: Array, rows: Array) -> Callable[[], Array]:
    """Return a function that computes y of these rows, in one thread, with the parameters that the network then has."""
    return _prediction(network, X, rows, 1) or (lambda: network.logits(X[rows]))


def _prediction(network: Network, X: Array, rows: Array | None, threads: int | None) -> Any:
    if choose()[0] != "numba":
        return None
    try:
        compiled = importlib.import_module("chainrule.training.compiled.prediction")
        return compiled.prediction(network, X, rows, threads)
    except ImportError as error:
        _say_once(f"predicting with NumPy, not with compiled code: Numba cannot be imported ({error})")
        return None


def choose() -> tuple[str, str]:
    """Return "numba", or "reference" and the reason.

    The compiled engine is chosen if Numba is installed (the extra ``fast``); the environment variable
    ``CHAINRULE_KERNELS`` (``numba`` or ``reference``) overrides this. The choice does not depend on the amount of work,
    so the same seed gives the same result however long training is. If Numba is installed but cannot be used, NumPy is
    used, and one line on stderr explains why.
    """
    chosen = os.environ.get("CHAINRULE_KERNELS", "")
    if chosen and chosen not in MODULES:
        raise ValueError(f"CHAINRULE_KERNELS: expected one of {', '.join(MODULES)}, got {chosen!r}.")
    if chosen == "reference":
        return chosen, "CHAINRULE_KERNELS is reference"
    if not installed():
        if chosen:
            raise ImportError(f"the compiled engine needs Numba: {install('fast')}")
        return "reference", f"Numba is not installed: {install('fast')}"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0"):
        return "numba", ""
    _say_once("training with NumPy, not with compiled code: NUMBA_DISABLE_JIT is set")
    return "reference", "NUMBA_DISABLE_JIT is set"


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"chainrule.training.{MODULES[name]}")


@functools.cache
def _say_once(line: str) -> None:
    print(f"chainrule: {line}.", file=sys.stderr, flush=True)  # noqa: T201


@functools.cache
def installed() -> bool:
    """Return whether the dependency of the compiled code is installed."""
    try:
        return importlib.util.find_spec("numba") is not None
    except ImportError:  # from an import hook that hides it
        return False
