"""Words for a result that differs from the right one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.course.exercise import Call
from chainrule.gradient_check import array_laws, check_function
from chainrule.gradient_check.report import NO_LAW


def described(
    name: str, value: Array, right: Array, arguments: Mapping[str, Any], slope: tuple[Call, Any] | None
) -> tuple[str, str]:
    """Return a word and a sentence for a wrong result; ``slope`` has the loss and the array of a gradient.

    >>> described("y", np.ones(3), -np.ones(3), {}, None)
    ('factor -1', 'y is -1 times what it should be: the sign is flipped.')
    """
    said = _shape(name, value, right)
    said = said or _numbers(name, value, right, arguments) or _law(name, value, right, arguments)
    if said is None and slope is not None:
        said = _pattern(name, value, right, *slope)
    return said or ("value", _example(name, value, right))


def same(value: Any, right: Any, close: float) -> bool:
    """Return whether a result is right up to rounding, relative to its largest entry.

    >>> same(np.ones(2), np.ones(2) + 1e-12, 1e-8), same(np.ones((2, 1)), np.ones(2), 1e-8), same(np.nan, np.nan, 1e-8)
    (True, False, True)
    """
    value, right = np.asarray(value), np.asarray(right)
    if value.shape != right.shape:
        return False
    scale = float(np.abs(right[np.isfinite(right)]).max(initial=0.0)) if right.size else 0.0
    return bool(np.allclose(value, right, rtol=0, atol=close * max(scale, 1e-6), equal_nan=True))


def _shape(name: str, value: Array, right: Array) -> tuple[str, str] | None:
    a, b = value.shape, right.shape
    if a == b:
        return None
    why = ""
    if a == b[::-1] and len(a) > 1:
        why = ": it is transposed"
    elif not a:
        why = ": it is one number. Is it a sum over everything? Sum over the rows only, axis=0" if len(b) == 1 else ""
    elif [n for n in a if n != 1] == [n for n in b if n != 1]:
        why = ": an axis of length 1 is left over or missing (keepdims)"
    elif not b:
        why = ": it should be one number. Is a sum or a mean missing"
    elif b == (a[0], 1) and a == (a[0], a[0]):
        why = ": a column of shape (n, 1) meets an array of shape (n,), and they broadcast to (n, n)"
    elif len(a) < len(b):
        why = ": an axis was summed over that should have stayed"
    elif len(a) > len(b):
        why = ": an axis is left that should have been summed over"
    return "shape", f"{name} has shape {a}, but should have {b}{why}{'?' if why.endswith('missing') else '.'}"


def _numbers(name: str, value: Array, right: Array, arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    if not np.isfinite(value).all() and np.isfinite(right).all():
        what = f"{name} is {'NaN' if np.isnan(value).any() else 'infinite'}, but should be finite"
        return "not finite", f"{what}: does an exponential overflow, or log(0) or a division by 0 occur?"
    if not value.any() and right.any():
        return "zero", f"{name} is zero everywhere: is it ever computed?"
    if value.dtype.kind in "iu" and np.array_equal(value, np.trunc(right)):
        return "integers", f"{name} has integers only: the fractions are cut off. Was an array made with dtype int?"
    if same(value, right, 1e-5):
        return "precision", f"{name} is right to a few digits only: is there a float32, or was a tiny number added?"
    given = next((n for n, a in arguments.items() if np.ndim(a) and same(value, a, 1e-6)), None)
    return ("unchanged", f"{name} is {given} as it came in.") if given else None


def _law(name: str, value: Array, right: Array, arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    rows = next((len(a) for a in arguments.values() if np.ndim(a) > 1), 0)
    for ratio, words in _ratios(rows, {n for a in arguments.values() for n in (*np.shape(a), np.size(a))}):
        if same(value, right * ratio, 1e-6):
            return f"factor {ratio:g}", f"{name} is {_times(ratio)} what it should be: {words}."
    if right.ndim and len(right) > 2 and len(right) == rows:
        bad = [i for i in range(rows) if not same(value[i], right[i], 1e-6)]
        if bad in ([rows - 1], [0]):
            which = "last" if bad[0] else "first"
            return "loop", f"Only the {which} row of {name} is wrong: does a loop leave out a row?"
    return None


def _pattern(name: str, value: Array, right: Array, loss: Call, at: Any) -> tuple[str, str] | None:
    """Return a word and a sentence for a wrong gradient, from the gradient check."""
    if right.ndim and (law := array_laws.law(name, value, right)):
        return "law", f"{name} is wrong: {law}."
    hints = [p.hint for p in check_function(loss, at, np.asarray(value, at.dtype)).parameters if p.hint != NO_LAW]
    return ("pattern", f"The gradient check of {name} says: {hints[0]}.") if hints else None


def _ratios(rows: int, lengths: Set[int]) -> Iterator[tuple[float, str]]:
    yield -1.0, "the sign is flipped"
    if rows > 2:
        yield float(rows), f"it is summed over the {rows} rows, and the batch's mean is missing"
        yield 1 / rows, f"it is divided by the {rows} rows one time too many"
    yield 2.0, "a factor of ½ is missing, or a square's 2 is there twice"
    yield 0.5, "the 2 of a square is missing, or a factor of ½ is there twice"
    for n in sorted(lengths - {0, 1, 2, rows}):
        yield 1 / n, f"it is divided by {n}, which is not the number of rows"


def _times(ratio: float) -> str:
    return f"{ratio:g} times" if ratio >= 1 or ratio < 0 else f"1/{round(1 / ratio)} of"


def _example(name: str, value: Array, right: Array) -> str:
    difference = np.abs(value - right)
    place = np.unravel_index(int(np.argmax(np.where(np.isnan(difference), math.inf, difference))), right.shape)
    at = f"[{', '.join(map(str, map(int, place)))}]" if place else ""
    return f"{name} has a wrong value: {name}{at} is {value[place]:.6g}, but should be {right[place]:.6g}."
