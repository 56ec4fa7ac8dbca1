"""Normalization: over the batch, for which its parts exchange their sums, or over the features of each row.

The loops: row by row (position by position), and within that the features, which are side by side and so become vector
instructions; sums over the rows are kept feature by feature in memory, in the first cache.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.slots import dx_of, dy_of, gradient, integer, parameters, real, share, x_of, y_of

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program

part, vector = inlined("part", "vector")

# ------------------------------------------------------------ over the batch
# Every part of the batch leaves in SHARED, for each feature: its mean and its sum of squares around that; what all have
# together, μ, σ² and s; and its sums Σ dy x̂ and Σ dy.

FEATURES, OFFSET, MEAN, VAR = range(slots.OWN, slots.OWN + 4)


def BatchNorm(layer: layers.BatchNorm, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan it, with a barrier after each of its sums."""
    size, features = math.prod(layer.output_shape), layer.output_shape[-1]
    y = program.room(size)
    own = (features, program.shared(7 * features), program.statistic("running_mean"), program.statistic("running_var"))
    operands: dict[str, Any] = {
        "x": x, "y": y, "inputs": size, "outputs": size, "W": program.at("gamma"), "b": program.at("beta"), "own": own,
        "reals": (layer.epsilon, layer.momentum),
    }  # fmt: skip
    program.overwritable.add(y)
    if not program.training:
        program.forward(normalize_by_running, **operands)
        return y
    program.forward(moments, **operands)
    program.barrier()
    program.forward(normalize, **operands)
    program.gradient(batch_parameters, **operands)
    if program.slope_wanted:  # backward, the last is planned first
        program.backward(batch_slope, **operands)
        program.barrier_back()
    program.backward(batch_sums, **operands)
    program.after(running, **operands)
    return y


@compiled
def _shared(T, op, base, p, which):
    """Return the values of part p for each feature: 0 and 1 are its moments, 2 to 4 those of all, 5 and 6 its sums."""
    features = integer(op, FEATURES)
    start = integer(op, OFFSET) * integer(base, slots.PARTS) + (7 * p + which) * features
    return vector(T, integer(base, slots.SHARED), start, features)


@compiled
def _count(op, rows, width):
    """Return how many values of a feature there are in these rows."""
    return rows * (width // integer(op, FEATURES))


@operation
def moments(T, op, base, n, row, rows):
    """Leave the mean and the sum of squares around it of these rows."""
    x, p, features = x_of(T, op, base, n, row, rows), integer(base, slots.PART), integer(op, FEATURES)
    mean, squares = _shared(T, op, base, p, 0), _shared(T, op, base, p, 1)
    for k in range(features):
        mean[k] = squares[k] = T(0)
    for i in range(0, x.size, features):
        line = part(x, i, features)
        for k in range(features):
            mean[k] += line[k]
    share_of_one = T(1) / T(max(x.size // features, 1))
    for k in range(features):
        mean[k] *= share_of_one
    for i in range(0, x.size, features):
        line = part(x, i, features)
        for k in range(features):
            d = line[k] - mean[k]
            squares[k] += d * d


@operation
def normalize(T, op, base, n, row, rows):
    """Put γ (x − μ) s + β into y, with μ, σ² and s of all parts."""
    x, y, p = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(base, slots.PART)
    features, parts, width = integer(op, FEATURES), integer(base, slots.PARTS), integer(op, 3)
    mean, var, s = _shared(T, op, base, p, 2), _shared(T, op, base, p, 3), _shared(T, op, base, p, 4)
    for k in range(features):
        mean[k] = var[k] = T(0)
    for q in range(parts):
        weight = T((n * (q + 1) // parts - n * q // parts) / n)
        means = _shared(T, op, base, q, 0)
        for k in range(features):
            mean[k] += weight * means[k]
    for q in range(parts):
        weight = T((n * (q + 1) // parts - n * q // parts) / n)
        means, squares = _shared(T, op, base, q, 0), _shared(T, op, base, q, 1)
        for k in range(features):
            d = means[k] - mean[k]
            var[k] += squares[k] / T(_count(op, n, width)) + weight * d * d
    epsilon = T(real(op, slots.REALS))
    gamma, beta = parameters(T, op, base, slots.W, features), parameters(T, op, base, slots.B, features)
    for k in range(features):
        s[k] = T(1) / math.sqrt(var[k] + epsilon)
    for i in range(0, x.size, features):
        line, out = part(x, i, features), part(y, i, features)
        for k in range(features):
            out[k] = (line[k] - mean[k]) * (gamma[k] * s[k]) + beta[k]


@operation
def normalize_by_running(T, op, base, n, row, rows):
    """Put γ (x − running mean) / √(running variance + ε) + β into y."""
    x, y, features = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(op, FEATURES)
    mean = vector(T, integer(base, slots.STATISTICS), integer(op, MEAN), features)
    var, epsilon = vector(T, integer(base, slots.STATISTICS), integer(op, VAR), features), T(real(op, slots.REALS))
    gamma, beta = parameters(T, op, base, slots.W, features), parameters(T, op, base, slots.B, features)
    for i in range(0, x.size, features):
        line, out = part(x, i, features), part(y, i, features)
        for k in range(features):
            out[k] = (line[k] - mean[k]) * (gamma[k] / math.sqrt(var[k] + epsilon)) + beta[k]


@operation
def batch_sums(T, op, base, n, row, rows):
    """Leave Σ dy x̂ and Σ dy of these rows."""
    x, dy, p = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), integer(base, slots.PART)
    features = integer(op, FEATURES)
    mean, s = _shared(T, op, base, p, 2), _shared(T, op, base, p, 4)
    along, plain = _shared(T, op, base, p, 5), _shared(T, op, base, p, 6)
    for k in range(features):
        along[k] = plain[k] = T(0)
    for i in range(0, x.size, features):
        line, slope = part(x, i, features), part(dy, i, features)
        for k in range(features):
            along[k] += slope[k] * (line[k] - mean[k])
            plain[k] += slope[k]
    for k in range(features):
        along[k] *= s[k]


@operation
def batch_slope(T, op, base, n, row, rows):
    """Put γ s (dy − dβ / N − x̂ dγ / N) into dx."""
    x, dy, p = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), integer(base, slots.PART)
    dx, features = dx_of(T, op, base, n, row, rows), integer(op, FEATURES)
    mean, s, gamma = _shared(T, op, base, p, 2), _shared(T, op, base, p, 4), parameters(T, op, base, slots.W, features)
    # What all parts have together takes the place of σ², which nobody needs from here on, and of this part's moments.
    along, plain = _shared(T, op, base, p, 0), _shared(T, op, base, p, 1)
    for k in range(features):
        along[k] = plain[k] = T(0)
    for q in range(integer(base, slots.PARTS)):
        some, more = _shared(T, op, base, q, 5), _shared(T, op, base, q, 6)
        for k in range(features):
            along[k] += some[k]
            plain[k] += more[k]
    one = T(1) / T(_count(op, n, integer(op, 3)))
    for k in range(features):
        along[k] *= one * s[k]
        plain[k] *= one
    for i in range(0, x.size, features):
        line, slope, out = part(x, i, features), part(dy, i, features), part(dx, i, features)
        for k in range(features):
            out[k] = gamma[k] * s[k] * (slope[k] - plain[k] - (line[k] - mean[k]) * along[k])


@operation
def batch_parameters(T, op, base, n, row, rows):
    """Put Σ dy x̂ and Σ dy into this share of dγ and dβ: of this part's rows, or of all parts."""
    features = integer(op, FEATURES)
    first, last = share(base, features)
    whole = integer(base, slots.SHARES) == 1
    start = integer(base, slots.PART) if whole else 0
    stop = start + 1 if whole else integer(base, slots.PARTS)
    dgamma, dbeta = gradient(T, op, base, slots.W, features), gradient(T, op, base, slots.B, features)
    for k in range(first, last):
        dgamma[k] = dbeta[k] = T(0)
    for q in range(start, stop):
        along, plain = _shared(T, op, base, q, 5), _shared(T, op, base, q, 6)
        for k in range(first, last):
            dgamma[k] += along[k]
            dbeta[k] += plain[k]


@operation
def running(T, op, base, n, row, rows):
    """Update the running statistics: running ← k running + (1 − k) measured."""
    features, count = integer(op, FEATURES), _count(op, n, integer(op, 3))
    if count < 2:  # one value has no variance, and its mean is itself
        return
    keep = real(op, slots.REALS + 1)
    mean, var = _shared(T, op, base, 0, 2), _shared(T, op, base, 0, 3)
    running_mean = vector(T, integer(base, slots.STATISTICS), integer(op, MEAN), features)
    running_var = vector(T, integer(base, slots.STATISTICS), integer(op, VAR), features)
    for k in range(features):
        running_mean[k] = T(keep) * running_mean[k] + T(1 - keep) * mean[k]
        running_var[k] = T(keep) * running_var[k] + T((1 - keep) * count / (count - 1)) * var[k]


# ------------------------------------------------------------ over the features of a row
# Of each row (of each position) its mean and its s are left in MEMO.


def LayerNorm(layer: layers.LayerNorm, program: Program, x: int) -> int:  # noqa: N802
    """Plan it with mean and shift."""
    return _by_row(layer, program, x, program.at("beta"))


def RMSNorm(layer: layers.RMSNorm, program: Program, x: int) -> int:  # noqa: N802
    """Plan it without: its mean is 0, and so is what it adds."""
    return _by_row(layer, program, x, -1)


def _by_row(layer: layers.LayerNorm | layers.RMSNorm, program: Program, x: int, beta: int) -> int:
    size, features = math.prod(layer.output_shape), layer.output_shape[-1]
    y = program.room(size)
    own = (features, program.memo(2 * (size // features)))
    operands: dict[str, Any] = {
        "x": x, "y": y, "inputs": size, "outputs": size, "W": program.at("gamma"), "b": beta, "own": own,
        "reals": (layer.epsilon,),
    }  # fmt: skip
    program.forward(normalize_rows, **operands)
    program.gradient(row_parameters, **operands)
    program.slope(row_slope, **operands)
    program.overwritable.add(y)
    return y


@compiled
def _memo(T, op, base, n, row, rows, width):
    """Return mean and s of each position of these rows, one after the other."""
    count = 2 * (width // integer(op, FEATURES))
    return vector(T, integer(base, slots.MEMO), n * integer(op, OFFSET) + row * count, rows * count)


@operation
def normalize_rows(T, op, base, n, row, rows):
    """Put γ (x − μ) s + β into y."""
    x, y, features = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(op, FEATURES)
    memo, centered = _memo(T, op, base, n, row, rows, integer(op, 3)), integer(op, slots.B) >= 0
    epsilon = T(real(op, slots.REALS))
    gamma = parameters(T, op, base, slots.W, features)
    beta = parameters(T, op, base, slots.B if centered else slots.W, features)
    for i in range(0, x.size, features):
        line, out, at = part(x, i, features), part(y, i, features), 2 * (i // features)
        mean = T(0)
        if centered:
            for k in range(features):
                mean += line[k]
            mean /= T(features)
        square = T(0)
        for k in range(features):
            square += (line[k] - mean) * (line[k] - mean)
        s = T(1) / math.sqrt(square / T(features) + epsilon)
        memo[at], memo[at + 1] = mean, s
        for k in range(features):
            out[k] = (line[k] - mean) * s * gamma[k] + (beta[k] if centered else T(0))


@operation
def row_slope(T, op, base, n, row, rows):
    """Put s (g − mean(g) − x̂ mean(g x̂)), g = dy γ, into dx."""
    x, dy, dx = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    features, centered = integer(op, FEATURES), integer(op, slots.B) >= 0
    memo, gamma = _memo(T, op, base, n, row, rows, integer(op, 3)), parameters(T, op, base, slots.W, features)
    for i in range(0, x.size, features):
        line, slope, out, at = part(x, i, features), part(dy, i, features), part(dx, i, features), 2 * (i // features)
        mean, s = memo[at], memo[at + 1]
        plain = along = T(0)
        for k in range(features):
            g = slope[k] * gamma[k]
            plain += g
            along += g * ((line[k] - mean) * s)
        plain = plain / T(features) if centered else T(0)
        along /= T(features)
        for k in range(features):
            out[k] = s * (slope[k] * gamma[k] - plain - (line[k] - mean) * s * along)


@operation
def row_parameters(T, op, base, n, row, rows):
    """Put Σ dy x̂ and Σ dy into this share of dγ and dβ."""
    x, dy, features = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), integer(op, FEATURES)
    first, last = share(base, features)
    memo, centered = _memo(T, op, base, n, row, rows, integer(op, 3)), integer(op, slots.B) >= 0
    dgamma = gradient(T, op, base, slots.W, features)
    dbeta = gradient(T, op, base, slots.B if centered else slots.W, features)
    for k in range(first, last):
        dgamma[k] = T(0)
        if centered:
            dbeta[k] = T(0)
    for i in range(0, x.size, features):
        line, slope, at = part(x, i, features), part(dy, i, features), 2 * (i // features)
        mean, s = memo[at], memo[at + 1]
        for k in range(first, last):
            dgamma[k] += slope[k] * ((line[k] - mean) * s)
        if centered:
            for k in range(first, last):
                dbeta[k] += slope[k]
