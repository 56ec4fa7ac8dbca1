"""The losses of chainrule.losses: L of a batch, and dL/dy into an array of the caller's, in one pass over the rows."""

from __future__ import annotations

import math
from typing import Any

from chainrule import losses
from chainrule.losses import Loss
from chainrule.training.compiled.activations import exponential
from chainrule.training.compiled.compiling import compiled
from chainrule.training.compiled.functions import exp, sigmoid
from chainrule.training.compiled.views import part

SOFTMAX, SIGMOID, SQUARED, ABSOLUTE, HUBER, QUANTILE, POISSON = range(7)


def encode(loss: Loss) -> tuple[int, float] | None:
    """Return a loss's code and its number; None for a loss that is none of ours."""
    simple = {
        losses.SigmoidCrossEntropy: SIGMOID,
        losses.SquaredError: SQUARED,
        losses.AbsoluteError: ABSOLUTE,
        losses.Poisson: POISSON,
    }
    if type(loss) in simple:
        return simple[type(loss)], 0.0
    if isinstance(loss, losses.SoftmaxCrossEntropy):
        return SOFTMAX, loss.label_smoothing
    if isinstance(loss, losses.Huber):
        return HUBER, loss.delta
    if isinstance(loss, losses.Quantile):
        return QUANTILE, loss.quantile
    return None


@compiled
def total_weight(weights: Any, rows: Any) -> float:
    """Return how many rows there are, or the sum of their weights where there are any."""
    if not weights.size:
        return float(len(rows))
    total = 0.0
    for i in range(len(rows)):
        total += weights[rows[i]]
    return total


@compiled
def loss_and_gradient(
    code: int, a: float, y: Any, rows: Any, labels: Any, targets: Any, weights: Any, n: int, total: float, scale: Any,
    dy: Any,
) -> float:  # fmt: skip
    """Return what these rows of a batch of n add to L, given their logits y, and leave dL/dy in dy.

    ``rows`` says which entries of ``labels`` (classes), ``targets`` (numbers) and ``weights`` are theirs; of labels and
    targets one is empty, and so is weights where all rows count alike. ``total`` is that of the batch; ``scale`` is
    written on.
    """
    for i in range(len(rows)):
        if weights.size:
            scale[i] = weights[rows[i]] / total if total > 0 else 0.0  # weights that are all 0 teach nothing
        else:
            scale[i] = 1 / n
    if code == SOFTMAX:
        return _softmax(a, y, rows, labels, targets, scale, dy)
    return _elementwise(code, a, y, rows, targets, scale, dy)


@compiled
def _softmax(a: float, y: Any, rows: Any, labels: Any, targets: Any, scale: Any, dy: Any) -> float:
    """ℓ = log Σ e^y − Σ t y,  dy = p − t,  with t smoothed by a."""
    T = y.dtype.type
    n, classes = y.shape
    value = 0.0
    even, keep = T(a / classes), T(1 - a)
    for i in range(n):
        row, largest = rows[i], y[i, 0]
        for k in range(1, classes):
            largest = max(largest, y[i, k])
        expected = 0.0  # Σ t y
        for k in range(classes):
            z = y[i, k] - largest
            dy[i, k] = z
            if a:
                expected += even * z
            if not labels.size:
                expected += keep * targets[row, k] * z
        if labels.size:
            expected += keep * dy[i, labels[row]]
        value -= scale[i] * expected
    exponential(part(dy, 0, n * classes))
    for i in range(n):
        row, total = rows[i], T(0)
        for k in range(classes):
            total += dy[i, k]
        value += scale[i] * math.log(total)
        factor, weight = scale[i] / total, scale[i] * keep
        for k in range(classes):
            d = dy[i, k] * factor - scale[i] * even
            if not labels.size:
                d -= weight * targets[row, k]
            dy[i, k] = d
        if labels.size:
            dy[i, labels[row]] -= weight
    return value


@compiled
def _elementwise(code: int, a: float, y: Any, rows: Any, targets: Any, scale: Any, dy: Any) -> float:
    """ℓ of the losses that are a sum over the outputs; dy = ∂ℓ/∂y."""
    T = y.dtype.type
    zero = T(0)
    n, outputs = y.shape
    value = 0.0
    for i in range(n):
        row = rows[i]
        for k in range(outputs):
            v, t = y[i, k], targets[row, k]
            if code == SIGMOID:
                part = max(v, zero) - t * v + math.log1p(exp(-abs(v)))
                slope = sigmoid(v) - t
            elif code == SQUARED:
                slope = v - t
                part = T(0.5) * slope * slope
            elif code == ABSOLUTE:
                part = abs(v - t)
                slope = _sign(v - t)
            elif code == HUBER:
                slope = min(max(v - t, T(-a)), T(a))
                part = slope * (v - t - T(0.5) * slope)
            elif code == QUANTILE:
                slope = T(0.5) * _sign(v - t) + T(0.5 - a) * abs(_sign(v - t))
                part = slope * (v - t)
            else:  # Poisson: t (y − log t) is 0 at t = 0
                slope = math.exp(v) - t
                part = slope - t * (v - math.log(t)) if t > 0 else slope
            dy[i, k] = scale[i] * slope
            value += scale[i] * part
    return value


@compiled
def _sign(x: Any) -> Any:
    T = type(x)
    return T(1) if x > 0 else (T(-1) if x < 0 else T(x))
