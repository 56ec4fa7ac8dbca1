"""The engine: which code does the steps, and the only place that asks what is installed.

``step`` has them in plain array code, the specification and the fallback; ``compiled`` has them compiled by Numba. Both
give the same values to rounding, and :attr:`chainrule.History.engine` says which one ran.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from types import ModuleType

from chainrule.training.callbacks import Run
from chainrule.training.state import Steps, Work

__all__ = ["installed", "select", "steps"]

MODULES = {"numba": "compiled", "reference": "step"}


def steps(work: Work, run: Run) -> Steps:
    """Return what does the steps of a training, and note in its history what that is."""
    name, reason = _choose(None)
    made: Steps = _module(name).steps(work, run)
    run.history.engine = made.engine + (f": {reason}" if reason else "")
    return made


def select(name: str | None = None) -> ModuleType:
    """Return the module to train with: the compiled one where Numba and SciPy are installed (``chainrule[fast]``).

    The environment variable ``CHAINRULE_KERNELS``, ``numba`` or ``reference``, says otherwise, and so does ``name``.
    The choice does not depend on the work: one seed gives one result, however long the training. Where Numba is
    installed but cannot be used, NumPy trains, and one line on stderr says why.

    >>> select("reference").__name__
    'chainrule.training.step'
    """
    return _module(_choose(name)[0])


def _choose(name: str | None) -> tuple[str, str]:
    """Return which module trains, and why it is not the compiled one."""
    chosen = name or os.environ.get("CHAINRULE_KERNELS", "")
    if chosen and chosen not in MODULES:
        raise ValueError(f"CHAINRULE_KERNELS: expected one of {', '.join(MODULES)}, got {chosen!r}.")
    if chosen == "reference":
        return chosen, "CHAINRULE_KERNELS is reference"
    if not installed():
        if chosen:
            raise ImportError('the compiled kernels need Numba: pip install "chainrule[fast]"')
        return "reference", 'Numba or SciPy is not installed: pip install "chainrule[fast]"'
    try:
        from numba import config  # noqa: PLC0415  (start-up time: half a second)

        if not config.DISABLE_JIT:
            _module("numba")
            return "numba", ""
        reason = "NUMBA_DISABLE_JIT is set"
    except ImportError as error:  # Numba refuses a NumPy that is newer than it knows, for example
        if chosen:
            raise
        reason = f"Numba cannot be imported ({error})"
    _say_once(f"training with NumPy, not with compiled code: {reason}")
    return "reference", reason


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"chainrule.training.{MODULES[name]}")


@functools.cache
def _say_once(line: str) -> None:
    print(f"chainrule: {line}.", file=sys.stderr, flush=True)  # noqa: T201


def installed() -> bool:
    """Say whether all that the compiled code needs is installed."""
    return all(_is_installed(package) for package in ("numba", "scipy"))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:  # from a finder that hides it
        return False
