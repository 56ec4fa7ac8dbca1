"""One pass over the parameters: the penalties' gradients, clipping and the step of an optimizer."""

from __future__ import annotations

import math
from typing import Any

from chainrule import optimizers
from chainrule.optimizers import Optimizer
from chainrule.training.clipping import Clip, ClipNorm, ClipValue
from chainrule.training.compiled.columns import DENSE, INPUTS, KIND, OUTPUTS, B, W
from chainrule.training.compiled.compiling import compiled, summing
from chainrule.training.compiled.views import matrix, part

SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADAM, LION = range(7)
NO_CLIP, CLIP_NORM, CLIP_VALUE = range(3)
PIECE = 4096  # parameters at a time


CODES: dict[type[Optimizer], tuple[int, tuple[str, ...]]] = {
    optimizers.SGD: (SGD, ()),
    optimizers.Momentum: (MOMENTUM, ("momentum",)),
    optimizers.Nesterov: (NESTEROV, ("momentum",)),
    optimizers.Adagrad: (ADAGRAD, ("epsilon",)),
    optimizers.RMSProp: (RMSPROP, ("rho", "epsilon")),
    optimizers.Adam: (ADAM, ("beta_1", "beta_2", "epsilon", "epsilon_hat")),
    optimizers.Lion: (LION, ("beta_1", "beta_2")),
    optimizers.AdamW: (ADAM, ("beta_1", "beta_2", "epsilon", "epsilon_hat")),
}
"""The code of each optimizer, and the names of its numbers but for rate and weight decay."""


def encode(optimizer: Optimizer) -> tuple[int, tuple[float, ...]] | None:
    """Return an optimizer's code and its numbers; None for one that has no compiled form."""
    if type(optimizer) not in CODES:
        return None
    code, names = CODES[type(optimizer)]
    return code, tuple(float(getattr(optimizer, name, False)) for name in names)  # AdamW has no epsilon_hat


def encode_clip(clip: Clip | None) -> tuple[int, float] | None:
    """Return a clip's code and limit; None for one that is none of ours."""
    if clip is None:
        return NO_CLIP, math.inf
    if isinstance(clip, ClipNorm):
        return CLIP_NORM, clip.limit
    if isinstance(clip, ClipValue):
        return CLIP_VALUE, clip.limit
    return None


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
        g = float(_gradient(theta[i], grad[i], l1, l2, l1 != 0 or l2 != 0))
        total += g * g
    return total


@compiled
def _gradient(w: Any, g: Any, l1: Any, l2: Any, penalised: bool) -> Any:
    """Return g + l2 w + l1 sign(w)."""
    if penalised:
        T = type(w)
        g += l2 * w
        g += l1 if w > 0 else (-l1 if w < 0 else T(0))
    return g


@compiled
def _range(layers: Any, i: int, p: int, parts: int) -> tuple[int, int]:
    """Return where part p of layer i's parameters begins and ends in theta: rows of W, and b after the last of them."""
    if layers[i, KIND] != DENSE:
        return 0, 0
    inputs, outputs = layers[i, INPUTS], layers[i, OUTPUTS]
    begin, end = layers[i, W] + inputs * p // parts * outputs, layers[i, W] + inputs * (p + 1) // parts * outputs
    return begin, end + (outputs if p == parts - 1 and layers[i, B] >= 0 else 0)


@compiled
def _sum_of_parts(grad: Any, start: int, size: int) -> None:
    """Add up in grad[0] what the parts of the batch gave."""
    g = part(grad[0], start, size)
    for p in range(1, len(grad)):
        more = part(grad[p], start, size)
        for i in range(size):
            g[i] += more[i]


@compiled
def measure(
    layers: Any, p: int, parts: int, theta: Any, grad: Any, runs: Any, strengths: Any, total: float, clip: int,
    sums: Any,
) -> None:  # fmt: skip
    """Leave in sums[p] what the penalties add to L for part p and, to clip by it, its gradient's squared norm.

    ``runs`` (k, 2) are where in theta the ``strengths`` (k, 6) are the same: λ of L1, of L2, both again for penalties
    that are divided by ``total``, the rows (or sum of weights) of the batch, weight decay, and the layer's factor of
    the learning rate.
    """
    T = theta.dtype.type
    for k in range(len(runs)):
        l1, l2 = strengths[k, 0] + strengths[k, 2] / total, strengths[k, 1] + strengths[k, 3] / total
        if clip != CLIP_NORM and not l1 and not l2:
            continue
        for i in range(len(layers)):
            begin, end = _range(layers, i, p, parts)
            start = max(begin, runs[k, 0])
            size = min(end, runs[k, 1]) - start
            if size > 0:
                w = part(theta, start, size)
                sums[p, 2] += _penalty(w, l1, l2)
                if clip == CLIP_NORM:
                    _sum_of_parts(grad, start, size)
                    sums[p, 1] += _squared_norm(w, part(grad[0], start, size), T(l1), T(l2))


@compiled
def update(
    layers: Any, p: int, parts: int, theta: Any, grad: Any, runs: Any, strengths: Any, total: float, clip: int,
    limit: float, sums: Any, code: int, numbers: Any, s1: Any, s2: Any, rate: float, t: int,
) -> None:  # fmt: skip
    """Take step number t on part p of theta, piece by piece, so that each is in the cache from first to last."""
    T = theta.dtype.type
    scale, bound = 1.0, math.inf
    if clip == CLIP_NORM:
        squared = 0.0
        for q in range(parts):
            squared += sums[q, 1]
        scale = limit / max(math.sqrt(squared), limit)
    elif clip == CLIP_VALUE:
        bound = limit
    for k in range(len(runs)):
        l1, l2 = strengths[k, 0] + strengths[k, 2] / total, strengths[k, 1] + strengths[k, 3] / total
        for i in range(len(layers)):
            begin, end = _range(layers, i, p, parts)
            for start in range(max(begin, runs[k, 0]), min(end, runs[k, 1]), PIECE):
                size = min(PIECE, end - start, runs[k, 1] - start)
                if clip != CLIP_NORM:
                    _sum_of_parts(grad, start, size)
                w, g, c1, c2 = part(theta, start, size), part(grad[0], start, size), T(l1), T(l2)
                if clip or (strengths[k, 4] and (l1 or l2)):  # what has to be done before the parameters change
                    for j in range(size):
                        d = T(scale) * _gradient(w[j], g[j], c1, c2, True)
                        g[j] = min(max(d, T(-bound)), T(bound))
                    c1 = c2 = T(0)
                if strengths[k, 4]:
                    shrink = T(1 - rate * strengths[k, 5] * strengths[k, 4])  # W ← W − η λ W
                    for j in range(size):
                        w[j] *= shrink
                eta = rate * strengths[k, 5]
                _step(code, numbers, w, g, part(s1, start, size), part(s2, start, size), c1, c2, eta, t)


@compiled
def _step(
    code: int, numbers: Any, w: Any, g: Any, s1: Any, s2: Any, l1: Any, l2: Any, rate: float, t: int
) -> None:  # fmt: skip
    """θ ← θ + …: the lines of chainrule.optimizers, parameter by parameter."""
    T = w.dtype.type
    eta = T(rate)
    penalised = l1 != 0 or l2 != 0
    if code == SGD:
        for i in range(w.size):
            w[i] -= eta * _gradient(w[i], g[i], l1, l2, penalised)
    elif code == MOMENTUM:
        mu = T(numbers[0])
        for i in range(w.size):
            v = mu * s1[i] - eta * _gradient(w[i], g[i], l1, l2, penalised)
            s1[i] = v
            w[i] += v
    elif code == NESTEROV:
        mu = T(numbers[0])
        for i in range(w.size):
            step = eta * _gradient(w[i], g[i], l1, l2, penalised)
            v = mu * s1[i] - step
            s1[i] = v
            w[i] += mu * v - step
    elif code == ADAGRAD:
        epsilon = T(numbers[0])
        for i in range(w.size):
            d = _gradient(w[i], g[i], l1, l2, penalised)
            s = s1[i] + d * d
            s1[i] = s
            w[i] -= eta * (d / (math.sqrt(s) + epsilon))
    elif code == RMSPROP:
        rho, rest, epsilon = T(numbers[0]), T(1 - numbers[0]), T(numbers[1])
        for i in range(w.size):
            d = _gradient(w[i], g[i], l1, l2, penalised)
            s = rho * s1[i] + rest * (d * d)
            s1[i] = s
            w[i] -= eta * (d / (math.sqrt(s) + epsilon))
    elif code == ADAM:
        beta_1, rest_1, beta_2, rest_2 = T(numbers[0]), T(1 - numbers[0]), T(numbers[1]), T(1 - numbers[1])
        root = math.sqrt(1 - numbers[1] ** t)
        epsilon = T(numbers[2] / root if numbers[3] else numbers[2])
        unbias, eta = T(1 / root), T(rate / (1 - numbers[0] ** t))
        for i in range(w.size):
            d = _gradient(w[i], g[i], l1, l2, penalised)
            m = beta_1 * s1[i] + rest_1 * d
            v = beta_2 * s2[i] + rest_2 * (d * d)
            s1[i] = m
            s2[i] = v
            w[i] -= eta * (m / (math.sqrt(v) * unbias + epsilon))
    else:
        beta_1, rest_1, beta_2, rest_2 = T(numbers[0]), T(1 - numbers[0]), T(numbers[1]), T(1 - numbers[1])
        for i in range(w.size):
            d = _gradient(w[i], g[i], l1, l2, penalised)
            c = beta_1 * s1[i] + rest_1 * d
            w[i] -= eta if c > 0 else (-eta if c < 0 else T(0))
            s1[i] = beta_2 * s1[i] + rest_2 * d


@compiled
def project(theta: Any, columns: Any, limits: Any, norms: Any) -> None:
    """Keep the columns of the weights at ``columns`` (k, 3: start, inputs, outputs) in their balls."""
    T = theta.dtype.type
    for k in range(len(columns)):
        inputs, outputs = columns[k, 1], columns[k, 2]
        w = matrix(theta, columns[k, 0], inputs, outputs)
        limit = T(limits[k])
        for j in range(outputs):
            norms[j] = T(0)
        for i in range(inputs):
            for j in range(outputs):
                norms[j] += w[i, j] * w[i, j]
        largest = T(0)
        for j in range(outputs):
            norms[j] = math.sqrt(norms[j])
            largest = max(largest, norms[j])
        if largest > limit:
            for j in range(outputs):
                norms[j] = limit / max(norms[j], limit)
            for i in range(inputs):
                for j in range(outputs):
                    w[i, j] *= norms[j]
