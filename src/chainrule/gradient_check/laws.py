"""Diagnosing a layer's wrong gradient by evaluating its forward again, to name the mistake."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check import array_laws
from chainrule.gradient_check.bench import Bench
from chainrule.gradient_check.jacobian import CLOSE, STEP, Probe, close
from chainrule.gradient_check.report import NO_LAW, ParameterCheck
from chainrule.gradient_check.statistics import constant_statistics
from chainrule.layers import Layer
from chainrule.memo import Memo


def explained(bench: Bench, p: ParameterCheck) -> str:
    """Return the error in dx or in the gradient of a parameter, as the end of a sentence."""
    known = "" if p.hint == NO_LAW else p.hint
    law = law_of(bench.layer, bench.batch(), bench.dy(), bench.memo, p.name, known)
    return f"d{p.name} is off by {p.error:.1e}: {law or p.hint}"


def law_of(layer: Layer, x: Array, dy: Array, fresh: Callable[[], Memo], name: str, known: str = "") -> str:
    """Return the error pattern of a layer's wrong dx or dW; ``known`` if it is simpler, empty if none matches."""
    with contextlib.suppress(Exception):  # a layer may not accept the inputs used here
        probe = Probe(layer, x, dy, fresh)
        laws = _of_dx(probe, known) if name == "x" else _of_parameter(probe, name, known)
        return next(filter(None, laws), "")
    return known


def _of_dx(probe: Probe, known: str) -> Iterator[str]:
    if not np.isfinite(probe.dx).all():
        yield known
        return
    if probe.backward_draws:
        yield "backward draws a new mask: it must reuse the mask drawn by forward, so store it in the memo (memo.mask)"
    if probe.y.shape == probe.x.shape:
        yield _of_slopes(probe)
    yield known
    yield _other_mask(probe)
    for name, what in probe.with_other_parameters():
        if probe.is_dx(probe.dx):
            if what == "transpose":
                yield f"it is dy {name} instead of dy {name}ᵀ: write dy @ self.{name}.T"
            yield f"the kernel {name} is flipped the wrong way: reverse it in backward ({what})"
    slopes = probe.slopes("x")
    if slopes is not None:
        yield from _of_jacobian(probe, slopes)


def _of_jacobian(probe: Probe, slopes: Array) -> Iterator[str]:
    x, y, dx, dy = probe.x, probe.y, probe.dx, probe.dy
    numeric = np.tensordot(slopes, dy, dy.ndim)
    if close(dx, numeric):  # correct on these few rows
        return
    diagonal, coupled = None, True
    if y.shape == x.shape:
        matrix = slopes.reshape(x.size, y.size)
        diagonal = np.diag(matrix).reshape(x.shape)
        coupled = bool(np.abs(matrix - np.diag(np.diag(matrix))).max() > CLOSE * np.abs(matrix).max())
        if coupled:
            yield _diagonal_only(probe, diagonal)
            yield constant_statistics(x, y, dy, dx, across_rows=_couples_rows(slopes))
            if close(dx, (matrix.T @ dy.ravel()).reshape(x.shape)):
                yield "it multiplies dy by the Jacobian instead of its transpose"
    yield _overwritten(slopes, dy, dx)
    yield array_laws.law("x", dx, numeric, rows_first=True)
    if diagonal is not None and not coupled:
        i = np.unravel_index(int(np.abs(dx / dy - diagonal).argmax()), x.shape)
        yield f"where x is {x[i]:.4g} the slope of forward is {diagonal[i]:.4g}, but dx is {dx[i] / dy[i]:.4g} times dy"


def _diagonal_only(probe: Probe, diagonal: Array) -> str:
    if not close(probe.dx, probe.dy * diagonal):
        return ""
    softmax = probe.x.ndim == 2 and np.allclose(probe.y.sum(axis=1), 1)
    remedy = "for a softmax, dx = y * (dy - (dy * y).sum(axis=1, keepdims=True))"
    every = "dx[i] is the sum over j of dy[j] ∂y[j]/∂x[i]"
    return f"backward uses only the diagonal of the Jacobian: {remedy if softmax else every}"


def _of_parameter(probe: Probe, name: str, known: str) -> Iterator[str]:
    yield known
    slopes = probe.slopes(name)
    if slopes is None:
        return
    analytic, numeric = probe.gradient(name), np.tensordot(slopes, probe.dy, probe.dy.ndim)
    if close(analytic, numeric):
        return
    yield _overwritten(slopes, probe.dy, analytic)
    yield array_laws.law(name, analytic, numeric)


def _of_slopes(probe: Probe) -> str:
    """Compare dx / dy with the slope of forward, entry by entry."""
    y, dx, dy = probe.y, probe.dx, probe.dy
    if np.allclose(dx, dy) and not probe.is_dx(dx):
        return "it is dy, unchanged: the layer's own derivative is missing"
    at_y = (probe.forward(y + STEP) - probe.forward(y - STEP)) / (2 * STEP)
    if np.allclose(dx, dy * at_y, rtol=1e-4, atol=1e-6 * float(np.abs(dy).max())) and not probe.is_dx(dx):
        return "the derivative is evaluated at y, the layer's output, instead of at x"
    return ""


def _other_mask(probe: Probe) -> str:
    """Compare the masks of forward and backward if both have only two values, as in dropout."""
    x, y, dx, dy = probe.x, probe.y, probe.dx, probe.dy
    if y.shape != x.shape:
        return ""
    forward, backward = (np.round(a, 6) for a in (y / x, dx / dy))
    kept = np.unique(forward)
    both = len(kept) == 2 and kept[0] == 0 and np.isin(backward, kept).all() and np.any(backward)
    if both and (forward != backward).any():
        return "backward drops different units than forward: it must reuse the mask drawn by forward (memo.mask)"
    return ""


def _couples_rows(slopes: Array) -> bool:
    rows = len(slopes)
    size = np.abs(slopes).max()
    half = slopes.ndim // 2
    return any(
        np.abs(slopes[r].take(k, axis=half - 1)).max() > CLOSE * size
        for r in range(rows)
        for k in range(rows)
        if r != k
    )


def _overwritten(slopes: Array, dy: Array, analytic: Array) -> str:
    """Compare with a single one of several contributions: = in a loop, or a repeated index."""
    parts = (slopes * dy).reshape(*analytic.shape, *dy.shape)
    n, first = dy.ndim, analytic.ndim
    for kept in itertools.chain.from_iterable(itertools.combinations(range(n), k) for k in range(1, n + 1)):
        others = tuple(first + a for a in range(n) if a not in kept)
        each = parts.sum(axis=others).reshape(analytic.size, -1)
        there = np.abs(each) > CLOSE * np.abs(each).max()
        if (there.sum(axis=1) < 2).all():
            continue
        for which, at in (("last", each.shape[1] - 1 - there[:, ::-1].argmax(axis=1)), ("first", there.argmax(axis=1))):
            alone = np.where(there.any(axis=1), each[np.arange(len(each)), at], 0.0)
            if close(analytic.ravel(), alone):
                many = "rows of the batch" if kept == (0,) else "contributions"
                return f"it holds only the {which} of several {many}: add them up, with += (or np.add.at) instead of ="
    return ""
