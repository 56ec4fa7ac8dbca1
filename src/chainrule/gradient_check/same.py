"""Comparison of results of two passes and of attributes before and after, and wording for differences."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from chainrule._internal.names import with_article

CLOSE = 1e-9  # of the largest value: the same sums in another order


def same(a: Any, b: Any) -> bool:
    """Return whether two results are equal up to rounding; None equals only None.

    >>> same(np.ones(2), np.ones(2) + 1e-12), same(np.ones(2), np.ones(3)), same(None, None)
    (True, False, True)
    """
    if a is None or b is None or np.shape(a) != np.shape(b):
        return a is b
    scale = float(np.abs(b).max(initial=0.0))
    return bool(np.allclose(a, b, rtol=0, atol=CLOSE * (scale if np.isfinite(scale) else 1.0), equal_nan=True))


def differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Return the names of the results that differ."""
    return [name for name in a if not same(a[name], b[name])]


def copied(value: Any) -> Any:
    """Return a deep copy if possible, else the object itself."""
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  (a lock or a file cannot be copied: it is compared by identity)
        return value


def equal(a: Any, b: Any, depth: int = 20) -> bool:
    """Return whether two attributes are deeply equal.

    >>> equal({"cache": [np.zeros(2)]}, {"cache": [np.zeros(2)]}), equal([1], [1, 2])
    (True, False)
    """
    if type(a) is not type(b) or not depth:  # an object may contain itself
        return type(a) is type(b)
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(equal(x, y, depth - 1) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key], depth - 1) for key in a)
    if type(a).__eq__ is object.__eq__:  # type: ignore[comparison-overlap]  # no values of its own
        return not hasattr(a, "__dict__") or equal(vars(a), vars(b), depth - 1)
    return bool(a == b)


def came(value: Any) -> str:
    """Describe a value returned instead of an array of the right shape."""
    if value is None:
        return "None"
    return f"shape {value.shape}" if hasattr(value, "shape") else f"{with_article(type(value).__name__)}, not an array"


def listed(names: list[str]) -> str:
    """Join names to a phrase.

    >>> listed(["y", "dx", "dW"])
    'y, dx and dW'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def differ(names: list[str]) -> str:
    """Return the verb for the names."""
    return "differs" if len(names) == 1 else "differ"
