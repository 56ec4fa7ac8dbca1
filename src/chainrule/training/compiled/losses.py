"""The losses: of the rows of a part, their share of L, and dL/dy; an operation for each.

The loops: rows, and within that the outputs. Softmax takes e^y of all rows in one loop of its own, because a row is
often shorter than a vector of the processor.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.functions import exp, sigmoid
from chainrule.training.compiled.slots import dy_of, integer, real, vector, y_of

part, set_real = inlined("part", "set_real")


@compiled
def _index(base, row, i):
    """Return which row of the targets belongs to row i of this part."""
    return integer(integer(base, slots.ORDER), row + i)


@compiled
def _total(T, base, n):
    """Return how many rows the batch has, or the sum of their weights, and leave it for the penalties."""
    total = float(n)
    if integer(base, slots.WEIGHTS):
        total = 0.0
        for i in range(n):
            total += vector(T, integer(base, slots.WEIGHTS), _index(base, 0, i), 1)[0]
    set_real(base, slots.TOTAL, total)
    return total


@compiled
def _scale(T, base, row, i, n, total):
    """Return the weight of a row in the mean: 1 / n, or w / Σ w; 0 if all weights are 0."""
    if not integer(base, slots.WEIGHTS):
        return 1 / n
    w = float(vector(T, integer(base, slots.WEIGHTS), _index(base, row, i), 1)[0])
    return w / total if total > 0 else 0.0


@compiled
def _leave(base, value):
    set_real(integer(base, slots.LOSSES), 3 * integer(base, slots.PART), value)


@operation
def softmax_cross_entropy(T, op, base, n, row, rows):
    """ℓ = log Σ e^y − Σ t y,  dy = p − t,  with t smoothed by a."""
    y, dy, classes = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), integer(op, slots.OUTPUTS)
    a, total, value = real(op, slots.REALS), _total(T, base, n), 0.0
    labelled = integer(base, slots.LABELS) != 0
    even, keep = T(a / classes), T(1 - a)
    for i in range(rows):
        line, out, at = part(y, i * classes, classes), part(dy, i * classes, classes), _index(base, row, i)
        largest = line[0]
        for k in range(1, classes):
            largest = max(largest, line[k])
        expected = 0.0  # Σ t y
        for k in range(classes):
            out[k] = line[k] - largest
            if a:
                expected += even * out[k]
        if labelled:
            expected += keep * out[integer(integer(base, slots.LABELS), at)]
        else:
            t = vector(T, integer(base, slots.TARGETS), at * classes, classes)
            for k in range(classes):
                expected += keep * t[k] * out[k]
        value -= _scale(T, base, row, i, n, total) * expected
    for i in range(dy.size):
        dy[i] = exp(dy[i])
    for i in range(rows):
        out, at, scale, among = part(dy, i * classes, classes), _index(base, row, i), T(0), T(0)
        for k in range(classes):
            among += out[k]
        weight = _scale(T, base, row, i, n, total)
        value += weight * math.log(among)
        factor, scale = T(weight) / among, T(weight)
        for k in range(classes):
            out[k] = out[k] * factor - scale * even
        if labelled:
            out[integer(integer(base, slots.LABELS), at)] -= scale * keep
        else:
            t = vector(T, integer(base, slots.TARGETS), at * classes, classes)
            for k in range(classes):
                out[k] -= scale * keep * t[k]
    _leave(base, value)


@compiled
def _sigmoid(T, y, t, a):
    return sigmoid(y) - t, max(y, T(0)) - t * y + math.log1p(exp(-abs(y)))


@compiled
def _squared(T, y, t, a):
    return y - t, T(0.5) * (y - t) * (y - t)


@compiled
def _sign(T, d):
    return T(1) if d > 0 else (T(-1) if d < 0 else d)


@compiled
def _absolute(T, y, t, a):
    return _sign(T, y - t), abs(y - t)


@compiled
def _huber(T, y, t, a):
    slope = min(max(y - t, -a), a)
    return slope, slope * (y - t - T(0.5) * slope)


@compiled
def _quantile(T, y, t, a):
    sign = _sign(T, y - t)
    slope = T(0.5) * sign + (T(0.5) - a) * abs(sign)
    return slope, slope * (y - t)


@compiled
def _poisson(T, y, t, a):  # t (y − log t) is 0 at t = 0
    slope = T(math.exp(y)) - t
    return slope, slope - t * (y - T(math.log(t))) if t > 0 else slope


def _sum_over_outputs(name: str, of_one: Any) -> Any:
    """Return the operation of a loss that is a sum over the outputs; ``of_one`` returns its slope and its value."""

    def run(T, op, base, n, row, rows):
        y, dy, outputs = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), integer(op, slots.OUTPUTS)
        a, total, value = T(real(op, slots.REALS)), _total(T, base, n), 0.0
        for i in range(rows):
            line, out = part(y, i * outputs, outputs), part(dy, i * outputs, outputs)
            t = vector(T, integer(base, slots.TARGETS), _index(base, row, i) * outputs, outputs)
            scale, of_row = _scale(T, base, row, i, n, total), 0.0
            for k in range(outputs):
                slope, loss = of_one(T, line[k], t[k], a)
                out[k] = T(scale) * slope
                of_row += loss
            value += scale * of_row
        _leave(base, value)

    run.__name__ = name
    return operation(run)


KNOWN = {
    "SoftmaxCrossEntropy": (softmax_cross_entropy, ("label_smoothing",)),
    "SigmoidCrossEntropy": (_sum_over_outputs("sigmoid_cross_entropy", _sigmoid), ()),
    "SquaredError": (_sum_over_outputs("squared_error", _squared), ()),
    "AbsoluteError": (_sum_over_outputs("absolute_error", _absolute), ()),
    "Huber": (_sum_over_outputs("huber", _huber), ("delta",)),
    "Quantile": (_sum_over_outputs("quantile", _quantile), ("quantile",)),
    "Poisson": (_sum_over_outputs("poisson", _poisson), ()),
}
"""The operation of each loss, and the names of its constants."""
