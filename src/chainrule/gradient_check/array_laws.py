"""Recognizing known errors in an array of derivatives: where it is wrong, and what it equals instead."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.jacobian import CLOSE, close, variants


def law(name: str, analytic: Array, numeric: Array, *, rows_first: bool = False) -> str:
    """Return how one differs from the other, or an empty string; with ``rows_first``, axis 0 counts the samples."""
    if analytic.shape != numeric.shape or close(analytic, numeric):
        return ""
    checks: list[Callable[[Array, Array], str]] = (
        [_shifted, _at_borders] if rows_first else [partial(_rearranged, name), _summed, _shifted]
    )
    return next(filter(None, (check(analytic, numeric) for check in checks)), "")


def _rearranged(name: str, analytic: Array, numeric: Array) -> str:
    for what, changed in variants(numeric):
        if close(analytic, changed):
            if what == "transpose":
                return "it is the transpose of the correct gradient"
            return f"it is the correct gradient with the kernel flipped: {what}, as in d{name}[::-1, ::-1]"
    return ""


def _summed(analytic: Array, numeric: Array) -> str:
    if analytic.size < 2 or np.ptp(analytic) > CLOSE * abs(analytic).max():
        return ""
    if close(analytic, np.full_like(numeric, numeric.sum())):
        return (
            "every entry is the sum over all of dy: sum over the rows only, dy.sum(axis=0), "
            "and for images over rows, height and width"
        )
    return "every entry is the same number: reduce over the rows only (axis=0), not over the units"


def _shifted(analytic: Array, numeric: Array) -> str:
    """Detect windows that start one position too early or too late."""
    places = [a for a in range(analytic.ndim) if analytic.shape[a] >= 3]
    for steps in itertools.product((0, 1, -1), repeat=len(places)):
        moved = {a: s for a, s in zip(places, steps, strict=True) if s}
        if not 1 <= len(moved) <= 2:
            continue
        here = tuple(_part(moved.get(a, 0)) for a in range(analytic.ndim))
        there = tuple(_part(-moved.get(a, 0)) for a in range(analytic.ndim))
        a, b = analytic[here], numeric[there]
        if np.abs(b).max() > 0.1 * np.abs(numeric).max() and np.ptp(b) > 0 and close(a, b):
            by = " and ".join(f"{s:+d} along axis {axis}" for axis, s in moved.items())
            return f"it is the correct gradient shifted by {by}: windows start one position off"
    return ""


def _part(shift: int) -> slice:
    return slice(1, None) if shift > 0 else slice(None, -1) if shift < 0 else slice(None)


def _at_borders(analytic: Array, numeric: Array) -> str:
    wrong = np.abs(analytic - numeric) > CLOSE * max(float(np.abs(numeric).max()), 1e-6)
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    if len(rows) == 1 and rows[0] in {0, len(wrong) - 1} and len(wrong) > 2:
        return (
            f"only the {'last' if rows[0] else 'first'} row of the batch is wrong: does a loop end one row too early?"
        )
    for axes in ((1, 2), (2, 3), (1,), (2,)):
        if max(axes) < wrong.ndim and all(wrong.shape[a] >= 4 for a in axes) and (where := _border(wrong, axes)):
            return f"only entries at the border are wrong, {where}: check the padding, and the first and last window"
    return ""


def _border(wrong: Array, axes: tuple[int, ...]) -> str:
    """Describe the narrowest border along these axes that contains all errors; return an empty string without one."""
    flat: Array = np.any(wrong, axis=tuple(a for a in range(wrong.ndim) if a not in axes))
    widths = [range(n // 2 + 1) for n in flat.shape for _ in range(2)]
    for edges in sorted(itertools.product(*widths), key=lambda e: (sum(e), e)):
        pairs = list(zip(edges[::2], edges[1::2], strict=True))
        inner = flat[tuple(slice(a, n - b) for (a, b), n in zip(pairs, flat.shape, strict=True))]
        if inner.size and 4 * inner.size >= flat.size and not inner.any():
            said = []
            for axis, (first, last) in zip(axes, pairs, strict=True):
                said += [_edge("first", first, axis)] * bool(first) + [_edge("last", last, axis)] * bool(last)
            return ", ".join(said)
    return ""


def _edge(which: str, width: int, axis: int) -> str:
    return f"the {which} {f'{width} entries' if width > 1 else 'entry'} along axis {axis}"
