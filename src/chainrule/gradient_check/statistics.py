"""Detecting a normalization whose backward treats the mean or the variance as constants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.jacobian import CLOSE, close


def constant_statistics(x: Array, y: Array, dy: Array, dx: Array, *, across_rows: bool) -> str:
    """Return an explanation if statistics are treated as constants; an empty string for other errors."""
    whose = "of the batch" if across_rows else "of the row"
    for x2, y2, dy2, dx2 in _columns(x, y, dy, dx, across_rows=across_rows):
        for what, candidate in _candidates(x2, y2, dy2):
            if close(dx2, candidate):
                return _sentence(what, whose)
    if _follows_fixed_scales(x, y, dx / dy):
        return _sentence("mean and the variance", whose)
    return ""


def _sentence(what: str, whose: str) -> str:
    if " and " in what:
        return f"the {what} {whose} are treated as constants, but they depend on x: dx lacks their terms"
    return f"the {what} {whose} is treated as a constant, but it depends on x: dx lacks its term"


def _columns(*arrays: Array, across_rows: bool) -> Iterator[tuple[Array, ...]]:
    """Yield the arrays as matrices whose columns are normalized together."""
    rows = len(arrays[0])
    if across_rows:
        yield tuple(a.reshape(-1, a.shape[-1]) for a in arrays)  # each unit, or each channel if channels are last
        if arrays[0].ndim > 2:
            yield tuple(np.moveaxis(a, 1, -1).reshape(-1, a.shape[1]) for a in arrays)  # channels first
            yield tuple(a.reshape(rows, -1) for a in arrays)
    else:
        yield tuple(a.reshape(rows, -1).T for a in arrays)


def _candidates(x: Array, y: Array, dy: Array) -> Iterator[tuple[str, Array]]:
    """Yield dx for y = a x + c in every column, with the mean, the variance or both treated as constants."""
    centered = x - x.mean(axis=0)
    a = (centered * (y - y.mean(axis=0))).sum(axis=0) / (centered**2).sum(axis=0)
    if not close(a * centered, y - y.mean(axis=0)):
        return
    unit = centered / centered.std(axis=0)
    yield "mean and the variance", a * dy
    yield "variance", a * (dy - dy.mean(axis=0))
    yield "mean", a * (dy - unit * (dy * unit).mean(axis=0))


def _follows_fixed_scales(x: Array, y: Array, scale: Array) -> bool:
    """Return whether y = s x − s mᵣ + cⱼ with the s of backward, a mean mᵣ per row and a shift cⱼ per unit."""
    x, y, s = (a.reshape(len(a), -1) for a in (x, y, scale))
    rows, units = x.shape
    if not np.isfinite(s).all() or rows * units <= rows + units + 2:
        return False
    a = np.zeros((rows, units, rows + units))
    for r in range(rows):
        a[r, :, r] = -s[r]
    for j in range(units):
        a[:, j, rows + j] = 1
    target = (y - s * x).ravel()
    best = np.linalg.lstsq(a.reshape(rows * units, -1), target, rcond=None)[0]
    return close(a.reshape(rows * units, -1) @ best, target) and bool(np.abs(target).max() > CLOSE)
