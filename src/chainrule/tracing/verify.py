"""Comparison of gradient entries with central differences of L, on a float64 copy of the computation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tracing.computation import Computation
from chainrule.tracing.equations import symbol
from chainrule.tracing.operations import Check, Index

Entries = Mapping[tuple[int | str, str], Index]
"""Entries to check, by the label of the layer and the gradient: (0, "dW")."""
NONE: Entries = MappingProxyType({})
# Large steps are for small gradients, which rounding error would hide; small steps are for nearby kinks.
STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
TOLERANCE = 1e-6  # of the relative difference
ROUNDING = 1e-13  # of L, a few hundred times float64's epsilon; divided by h, it limits the accuracy of a difference
CANDIDATES = 5  # number of the largest entries; the first that is not on a kink is shown


def verify(computation: Computation, entries: Entries = NONE) -> tuple[list[tuple[Check, ...]], Check]:
    """Return the checks of every layer, in the order of ``computation.all``, and the check of the loss's dy.

    One entry of each parameter's gradient is checked, and one of dx for a layer without parameters or where ``entries``
    asks for it: the largest that is not on a kink, or that of ``entries``. L is computed by the same forward pass with
    one parameter, or one input of one layer, shifted by h.
    """
    exact = computation.astype("float64")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        exact.run()
        grad = exact.workspace.grad.copy()
        xs, dxs = (
            [np.array(given) for given in values] for values in zip(*((w.x, w.dx) for w in exact.all), strict=True)
        )
        y, dy = np.array(exact.loss.seen.y), np.array(exact.loss.seen.dy)
        checks: list[tuple[Check, ...]] = []
        for layer, x, dx in zip(exact.all, xs, dxs, strict=True):
            found = [
                _check(
                    f"d{symbol(name)}",
                    exact.network.layout.view(grad, entry),
                    _moving(exact, exact.parameter(entry)),
                    entries.get((layer.label, f"d{symbol(name)}")),
                )
                for name, entry in layer.names.items()
            ]
            if not found or (layer.label, "dx") in entries:
                layer.instead = x
                found += [_check("dx", dx, _moving(exact, x), entries.get((layer.label, "dx")))]
                layer.instead = None
            checks.append(tuple(found))
        exact.loss.seen.instead = y
        return checks, _check("dy", dy, _moving(exact, y), entries.get(("loss", "dy")))


def _moving(computation: Computation, array: Array) -> Callable[[Index, float], float]:
    def value(index: Index, by: float) -> float:
        before = array[index]
        array[index] = before + by
        try:
            return computation.run()
        finally:
            array[index] = before

    return value


def _check(name: str, gradient: Array, value: Callable[[Index, float], float], at: Index | None = None) -> Check:
    if at is not None:
        return _check_entry(name, at, float(gradient[at]), value)
    largest = np.argsort(-np.abs(gradient), axis=None, kind="stable")[:CANDIDATES]
    checks = []
    for flat in map(int, largest):
        index = tuple(map(int, np.unravel_index(flat, gradient.shape)))
        checks.append(_check_entry(name, index, float(gradient[index]), value))
        if not checks[-1].kink:
            return checks[-1]
    return checks[0]


def _check_entry(name: str, index: Index, analytic: float, value: Callable[[Index, float], float]) -> Check:
    here = value(index, 0.0)
    nearest = Check(name, index, analytic, math.nan, math.nan, ok=False, kink=False)
    for h in STEPS:
        above, below = value(index, h), value(index, -h)
        numeric = (above - below) / (2 * h)
        if not abs(nearest.numeric - analytic) <= abs(numeric - analytic):
            ok = abs(numeric - analytic) <= max(TOLERANCE * abs(analytic), ROUNDING * max(1.0, abs(here)) / h)
            # A subgradient at a kink lies between the one-sided slopes.
            left, right = sorted(((here - below) / h, (above - here) / h))
            kink = not ok and left <= analytic <= right and right - left > 1e-2 * max(abs(left), abs(right))
            nearest = Check(name, index, analytic, numeric, h, ok, kink)
        if nearest.relative <= 0.1 * TOLERANCE:
            break
    return nearest
