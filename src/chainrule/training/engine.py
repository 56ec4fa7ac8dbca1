"""Kernels: the few pieces of training that are worth fusing.

``reference`` has them in plain array code, the specification and the fallback; ``numba`` has them compiled. Both have
the same names and the same values to rounding, and :func:`select` is the only place that asks what is installed.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from types import ModuleType

__all__ = ["installed", "select"]

MODULES = {"numba": "compiled", "reference": "step"}


def select(name: str | None = None) -> ModuleType:
    """Return the kernels to train with: compiled ones where Numba and SciPy are installed (``chainrule[fast]``).

    The environment variable ``CHAINRULE_KERNELS``, ``numba`` or ``reference``, says otherwise, and so does ``name``.
    The choice does not depend on the work: one seed gives one result, however long the training. Where Numba is there
    but cannot be used, NumPy trains, and one line on stderr says why.

    >>> select("reference").__name__
    'chainrule.training.step'
    """
    chosen = name or os.environ.get("CHAINRULE_KERNELS", "")
    if chosen and chosen not in MODULES:
        raise ValueError(f"CHAINRULE_KERNELS: expected one of {', '.join(MODULES)}, got {chosen!r}.")
    if chosen == "numba" and not installed():
        raise ImportError('the compiled kernels need Numba: pip install "chainrule[fast]"')
    if chosen == "reference" or not installed():
        return _module("reference")
    try:
        from numba import config  # noqa: PLC0415  (it takes half a second)

        if not config.DISABLE_JIT:
            return _module("numba")
        reason = "NUMBA_DISABLE_JIT is set"
    except ImportError as error:  # Numba refuses a NumPy that is newer than it knows, for example
        if chosen:
            raise
        reason = f"Numba cannot be imported ({error})"
    _say_once(f"training with NumPy, not with compiled code: {reason}")
    return _module("reference")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"chainrule.training.{MODULES[name]}")


@functools.cache
def _say_once(line: str) -> None:
    print(f"chainrule: {line}.", file=sys.stderr, flush=True)  # noqa: T201


def installed() -> bool:
    """Say whether there is all that the compiled kernels need."""
    return all(_is_installed(package) for package in ("numba", "scipy"))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:  # from a finder that hides it
        return False
