"""One pass over the parameters: the penalties' gradients, clipping and the step of an optimizer, one for each."""

from __future__ import annotations

import math
from typing import Any

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation, summing
from chainrule.training.compiled.slots import integer, real, vector

part, set_real = inlined("part", "set_real")

PIECE = 4096  # parameters at a time: each piece is in the cache from first to last
NO_CLIP, CLIP_NORM, CLIP_VALUE = range(3)
# The runs of theta whose parameters have the same strengths, and its pieces of ``unit`` parameters that stay together.
RUNS, STRENGTHS, UNITS, KINDS, CLIP, GRADS, SIZE, BLOCKS, BATCH_PARTS = range(slots.OWN, slots.OWN + 9)
LIMIT = slots.REALS + 7  # the one after those of the optimizer


def _sum(w: Any, g: Any, l1: Any, l2: Any, penalised: bool) -> Any:
    """Return g + l2 w + l1 sign(w)."""
    if penalised:
        T = type(w)
        g += l2 * w
        g += l1 if w > 0 else (-l1 if w < 0 else T(0))
    return g


_gradient, _fused = compiled(_sum), summing(_sum)  # fused: g + l2 w with one rounding, where the processor can


@summing
def _penalty(w: Any, l1: float, l2: float) -> float:
    """Return l1 Σ|w| + ½ l2 Σ w²."""
    T = w.dtype.type
    absolute, squared = T(0), T(0)
    for i in range(w.size):
        absolute += abs(w[i])
        squared += w[i] * w[i]
    return l1 * absolute + 0.5 * l2 * squared


@summing
def _squared_norm(theta: Any, grad: Any, l1: Any, l2: Any) -> float:
    """Return Σ g² with the penalties' gradients in g, in float64: squares overflow early in float32."""
    total = 0.0
    for i in range(grad.size):
        g = float(_fused(theta[i], grad[i], l1, l2, l1 != 0 or l2 != 0))
        total += g * g
    return total


@compiled
def _sum_of_parts(T, op, base, start, size):
    """Return the gradient from ``start`` on, with what the other parts of the batch gave added to that of the first."""
    g, count, whole = vector(T, integer(base, slots.GRAD), start, size), integer(op, GRADS), integer(op, SIZE)
    for p in range(1, count):
        more = vector(T, integer(base, slots.GRAD), p * whole + start, size)
        for i in range(size):
            g[i] += more[i]
    return g


@compiled
def _range(op, base, i):
    """Return where this part's share of block i of the parameters begins and ends in theta."""
    blocks, p, parts = integer(op, UNITS), integer(base, slots.PART), integer(base, slots.PARTS)
    start, units, unit = integer(blocks, 3 * i), integer(blocks, 3 * i + 1), integer(blocks, 3 * i + 2)
    return start + units * p // parts * unit, start + units * (p + 1) // parts * unit


@compiled
def _run(op, base, k):
    """Return where run k begins and ends, λ of its L1 and L2, its weight decay and its factor of the learning rate."""
    total = real(base, slots.WHOLE)
    divisor = total if total > 0 else 1.0
    runs, s = integer(op, RUNS), integer(op, STRENGTHS)
    l1 = real(s, 6 * k) + real(s, 6 * k + 2) / divisor
    l2 = real(s, 6 * k + 1) + real(s, 6 * k + 3) / divisor
    return integer(runs, 2 * k), integer(runs, 2 * k + 1), l1, l2, real(s, 6 * k + 4), real(s, 6 * k + 5)


@operation
def accumulate(T, op, base, n, row, rows):
    """Add n g to the sum of the step, for this part's share, with what all parts of the batch gave to g."""
    count, whole, total = integer(op, BATCH_PARTS), integer(op, SIZE), T(real(base, slots.TOTAL))
    for i in range(integer(op, BLOCKS)):
        start, end = _range(op, base, i)
        sums = vector(T, integer(base, slots.SUM), start, end - start)
        if integer(base, slots.OF_STEP) == 0:
            for j in range(end - start):
                sums[j] = T(0)
        for j in range(end - start):
            g = vector(T, integer(base, slots.GRAD), start + j, 1)[0]
            for p in range(1, count):
                g += vector(T, integer(base, slots.GRAD), p * whole + start + j, 1)[0]
            sums[j] += g * total


@operation
def average(T, op, base, n, row, rows):
    """Put Σ nᵢ gᵢ / Σ nᵢ into the gradient: that of all batches of the step as one."""
    total = real(base, slots.WHOLE)
    divisor = T(total if total > 0 else 1.0)
    for i in range(integer(op, BLOCKS)):
        start, end = _range(op, base, i)
        sums = vector(T, integer(base, slots.SUM), start, end - start)
        g = vector(T, integer(base, slots.GRAD), start, end - start)
        for j in range(end - start):
            g[j] = sums[j] / divisor


@operation
def pack(T, op, base, n, row, rows):
    """Append Σ n and Σ n ℓ to the sum of the step, for the other ranks."""
    tail = vector(T, integer(base, slots.SUM), integer(op, SIZE), 2)
    tail[0], tail[1] = T(real(base, slots.WHOLE)), T(real(base, slots.LOSS))


@operation
def unpack(T, op, base, n, row, rows):
    """Read those of all ranks."""
    tail = vector(T, integer(base, slots.SUM), integer(op, SIZE), 2)
    set_real(base, slots.WHOLE, float(tail[0]))
    set_real(base, slots.LOSS, float(tail[1]))


@operation
def measure(T, op, base, n, row, rows):
    """Leave what the penalties add to L for this part and, to clip by it, its gradient's squared norm."""
    norm, penalty, clipped = 0.0, 0.0, integer(op, CLIP) == CLIP_NORM
    for k in range(integer(op, KINDS)):
        first, last, l1, l2, _, _ = _run(op, base, k)
        if not (clipped or l1 or l2):
            continue
        for i in range(integer(op, BLOCKS)):
            begin, end = _range(op, base, i)
            start = max(begin, first)
            size = min(end, last) - start
            if size > 0:
                w = vector(T, integer(base, slots.THETA), start, size)
                penalty += _penalty(w, l1, l2)
                if clipped:
                    norm += _squared_norm(w, _sum_of_parts(T, op, base, start, size), T(l1), T(l2))
    sums = integer(base, slots.LOSSES)
    set_real(sums, 3 * integer(base, slots.PART) + 1, norm)
    set_real(sums, 3 * integer(base, slots.PART) + 2, penalty)


@compiled
def _scale_and_bound(op, base):
    """Return by what the gradient is multiplied, and how large a value of it may be."""
    if integer(op, CLIP) == CLIP_NORM:
        squared = 0.0
        for q in range(integer(base, slots.PARTS)):
            squared += real(integer(base, slots.LOSSES), 3 * q + 1)
        return real(op, LIMIT) / max(math.sqrt(squared), real(op, LIMIT)), math.inf
    return 1.0, real(op, LIMIT) if integer(op, CLIP) == CLIP_VALUE else math.inf


def _update(name: str, step: Any) -> Any:
    """Return the operation that takes a step on this part of theta, piece by piece; ``step`` is the optimizer's."""

    def update(T, op, base, n, row, rows):
        scale, bound = _scale_and_bound(op, base)
        clip, rate, t = integer(op, CLIP), real(base, slots.RATE), integer(base, slots.STEP)
        for k in range(integer(op, KINDS)):
            first, last, l1, l2, decay, factor = _run(op, base, k)
            for i in range(integer(op, BLOCKS)):
                begin, end = _range(op, base, i)
                for start in range(max(begin, first), min(end, last), PIECE):
                    size = min(PIECE, end - start, last - start)
                    if clip == CLIP_NORM:
                        g = vector(T, integer(base, slots.GRAD), start, size)
                    else:
                        g = _sum_of_parts(T, op, base, start, size)
                    w, c1, c2 = vector(T, integer(base, slots.THETA), start, size), T(l1), T(l2)
                    if clip or (decay and (l1 or l2)):  # what has to be done before the parameters change
                        for j in range(size):
                            d = T(scale) * _gradient(w[j], g[j], c1, c2, True)
                            g[j] = min(max(d, T(-bound)), T(bound))
                        c1 = c2 = T(0)
                    if decay:
                        shrink = T(1 - rate * factor * decay)  # W ← W − η λ W
                        for j in range(size):
                            w[j] *= shrink
                    s1 = vector(T, integer(base, slots.S1), start, size)
                    s2 = vector(T, integer(base, slots.S2), start, size)
                    step(T, op, w, g, s1, s2, c1, c2, rate * factor, t)

    update.__name__ = name
    return operation(update)


# ------------------------------------------------------------ the lines of chainrule.optimizers, value by value


@compiled
def _sgd(T, op, w, g, s1, s2, l1, l2, rate, t):
    eta, penalised = T(rate), l1 != 0 or l2 != 0
    for i in range(w.size):
        w[i] -= eta * _fused(w[i], g[i], l1, l2, penalised)


@compiled
def _momentum(T, op, w, g, s1, s2, l1, l2, rate, t):
    eta, mu, penalised = T(rate), T(real(op, slots.REALS)), l1 != 0 or l2 != 0
    for i in range(w.size):
        v = mu * s1[i] - eta * _fused(w[i], g[i], l1, l2, penalised)
        s1[i] = v
        w[i] += v


@compiled
def _nesterov(T, op, w, g, s1, s2, l1, l2, rate, t):
    eta, mu, penalised = T(rate), T(real(op, slots.REALS)), l1 != 0 or l2 != 0
    for i in range(w.size):
        step = eta * _fused(w[i], g[i], l1, l2, penalised)
        v = mu * s1[i] - step
        s1[i] = v
        w[i] += mu * v - step


@compiled
def _adagrad(T, op, w, g, s1, s2, l1, l2, rate, t):
    eta, epsilon, penalised = T(rate), T(real(op, slots.REALS)), l1 != 0 or l2 != 0
    for i in range(w.size):
        d = _fused(w[i], g[i], l1, l2, penalised)
        s = s1[i] + d * d
        s1[i] = s
        w[i] -= eta * (d / (math.sqrt(s) + epsilon))


@compiled
def _rmsprop(T, op, w, g, s1, s2, l1, l2, rate, t):
    eta, rho, rest = T(rate), T(real(op, slots.REALS)), T(1 - real(op, slots.REALS))
    epsilon, penalised = T(real(op, slots.REALS + 1)), l1 != 0 or l2 != 0
    for i in range(w.size):
        d = _fused(w[i], g[i], l1, l2, penalised)
        s = rho * s1[i] + rest * (d * d)
        s1[i] = s
        w[i] -= eta * (d / (math.sqrt(s) + epsilon))


@compiled
def _adam(T, op, w, g, s1, s2, l1, l2, rate, t):
    b1, b2, given = real(op, slots.REALS), real(op, slots.REALS + 1), real(op, slots.REALS + 2)
    beta_1, rest_1, beta_2, rest_2 = T(b1), T(1 - b1), T(b2), T(1 - b2)
    root, penalised = math.sqrt(1 - b2**t), l1 != 0 or l2 != 0
    epsilon = T(given / root if real(op, slots.REALS + 3) else given)
    unbias, eta = T(1 / root), T(rate / (1 - b1**t))
    for i in range(w.size):
        d = _fused(w[i], g[i], l1, l2, penalised)
        m = beta_1 * s1[i] + rest_1 * d
        v = beta_2 * s2[i] + rest_2 * (d * d)
        s1[i] = m
        s2[i] = v
        w[i] -= eta * (m / (math.sqrt(v) * unbias + epsilon))


@compiled
def _lion(T, op, w, g, s1, s2, l1, l2, rate, t):
    b1, b2, eta, penalised = real(op, slots.REALS), real(op, slots.REALS + 1), T(rate), l1 != 0 or l2 != 0
    beta_1, rest_1, beta_2, rest_2 = T(b1), T(1 - b1), T(b2), T(1 - b2)
    for i in range(w.size):
        d = _fused(w[i], g[i], l1, l2, penalised)
        c = beta_1 * s1[i] + rest_1 * d
        w[i] -= eta if c > 0 else (-eta if c < 0 else T(0))
        s1[i] = beta_2 * s1[i] + rest_2 * d


_adam_update = _update("adam", _adam)
KNOWN = {
    "SGD": (_update("sgd", _sgd), ()),
    "Momentum": (_update("momentum", _momentum), ("momentum",)),
    "Nesterov": (_update("nesterov", _nesterov), ("momentum",)),
    "Adagrad": (_update("adagrad", _adagrad), ("epsilon",)),
    "RMSProp": (_update("rmsprop", _rmsprop), ("rho", "epsilon")),
    "Adam": (_adam_update, ("beta_1", "beta_2", "epsilon", "epsilon_hat")),
    "AdamW": (_adam_update, ("beta_1", "beta_2", "epsilon", "epsilon_hat")),
    "Lion": (_update("lion", _lion), ("beta_1", "beta_2")),
}
"""The operation of each optimizer, and the names of its constants but for rate and weight decay."""


@operation
def project(T, op, base, n, row, rows):
    """Keep the columns of a weight matrix (inputs, outputs) in their balls, as MaxNorm does."""
    start, limit = integer(op, slots.OWN), T(real(op, slots.REALS))
    inputs, outputs = integer(op, slots.OWN + 1), integer(op, slots.OWN + 2)
    w = vector(T, integer(base, slots.THETA), start, inputs * outputs)
    norms = vector(T, integer(op, slots.OWN + 3), 0, outputs)
    for j in range(outputs):
        norms[j] = T(0)
    for i in range(inputs):
        line = part(w, i * outputs, outputs)
        for j in range(outputs):
            norms[j] += line[j] * line[j]
    largest = T(0)
    for j in range(outputs):
        norms[j] = math.sqrt(norms[j])
        largest = max(largest, norms[j])
    if largest > limit:
        for j in range(outputs):
            norms[j] = limit / max(norms[j], limit)
        for i in range(inputs):
            line = part(w, i * outputs, outputs)
            for j in range(outputs):
                line[j] *= norms[j]
