"""Kernels: the few pieces of training that are worth fusing.

``reference`` has them in plain array code, the specification and the fallback; ``numba`` has them compiled. Both have
the same names and the same values to rounding, and :func:`select` is the only place that asks what is installed.
"""

from __future__ import annotations

import importlib.util
import os
from types import ModuleType

__all__ = ["installed", "select"]

KNOWN = ("numba", "reference")


def select(name: str | None = None) -> ModuleType:
    """Return the kernels to train with: compiled ones where Numba and SciPy are installed (``chainrule[fast]``).

    The environment variable ``CHAINRULE_KERNELS``, ``numba`` or ``reference``, says otherwise, and so does ``name``.
    The choice does not depend on the work: one seed gives one result, however long the training.

    >>> select("reference").__name__
    'chainrule.kernels.reference'
    """
    chosen = name or os.environ.get("CHAINRULE_KERNELS", "")
    if chosen and chosen not in KNOWN:
        raise ValueError(f"CHAINRULE_KERNELS: expected one of {', '.join(KNOWN)}, got {chosen!r}.")
    if chosen == "numba" and not installed():
        raise ImportError('the compiled kernels need Numba: pip install "chainrule[fast]"')
    return importlib.import_module(f"{__name__}.{chosen or ('numba' if installed() else 'reference')}")


def installed() -> bool:
    """Say whether there is all that the compiled kernels need."""
    return all(_is_installed(package) for package in ("numba", "scipy"))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:  # from a finder that hides it
        return False
