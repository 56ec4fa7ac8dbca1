"""What is wrong with a layer's gradient, found by asking its forward once more: it names the mistake."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from chainrule._typing import Array
from chainrule.gradient_check.bench import Bench
from chainrule.gradient_check.report import NO_LAW, ParameterCheck

STEP = 1e-6
SMALL = 400  # entries of a parameter whose whole gradient is worth a pass each


def explained(bench: Bench, p: ParameterCheck) -> str:
    """Return what is wrong with dx or the gradient of a parameter, as the end of a sentence."""
    law = ""
    with contextlib.suppress(Exception):  # a layer may not take what it is asked about here
        if p.name == "x":
            law = _slope_law(bench, p.hint == NO_LAW)
        elif p.hint == NO_LAW:
            law = _transposed(bench, p.name)
    return f"d{p.name} is off by {p.error:.1e}: {law or p.hint}"


def _slope_law(bench: Bench, without_law: bool) -> str:
    """Compare the slope that backward has with that of forward, for a layer that works number by number."""
    x, dy, layer = bench.batch(), bench.dy(), bench.layer

    def forward(x: Array) -> Array:
        return np.array(layer.forward(x.copy(), bench.memo()))

    memo = bench.memo()
    y = np.array(layer.forward(x.copy(), memo))
    dx = layer.backward(dy.copy(), memo)
    if dx is None or y.shape != x.shape or not np.isfinite(dx).all():
        return ""
    if np.allclose(dx, dy):
        return "it is dy, unchanged: the layer's own derivative is missing"
    ones = np.ones_like(x)
    if np.allclose(dx, dy * _slope(forward, y, ones), rtol=1e-4, atol=1e-6 * float(np.abs(dy).max())):
        return "the derivative is taken at y, the value after the layer, where it belongs at x"
    slope = _slope(forward, x, ones)
    signs = np.where(np.random.default_rng(bench.seed).random(x.shape) < 0.5, -1.0, 1.0)
    if without_law and np.allclose(slope, _slope(forward, x, signs) * signs, rtol=1e-4, atol=1e-6):
        i = np.unravel_index(int(np.abs(dx / dy - slope).argmax()), x.shape)
        return f"where x is {x[i]:.4g} the slope of forward is {slope[i]:.4g}, but dx is {dx[i] / dy[i]:.4g} times dy"
    return ""


def _slope(forward: Callable[[Array], Array], at: Array, direction: Array) -> Array:
    return (forward(at + STEP * direction) - forward(at - STEP * direction)) / (2 * STEP)


def _transposed(bench: Bench, name: str) -> str:
    memo = bench.memo()
    x, dy = bench.batch(), bench.dy()
    bench.layer.forward(x.copy(), memo)
    bench.layer.backward(dy.copy(), memo)
    w, analytic = bench.parameter(name), bench.gradient(memo, name)
    if w.ndim != 2 or w.shape[0] != w.shape[1] or w.size > SMALL:
        return ""
    kept, numeric = w.copy(), np.empty_like(w)
    for i in np.ndindex(w.shape):
        values = []
        for h in (STEP, -STEP):
            w[i] = kept[i] + h
            values.append(float(np.vdot(dy, bench.layer.forward(x.copy(), bench.memo()))))
            w[i] = kept[i]
        numeric[i] = (values[0] - values[1]) / (2 * STEP)
    return "it is the transpose of the right one" if np.allclose(analytic, numeric.T, rtol=1e-4, atol=1e-6) else ""
