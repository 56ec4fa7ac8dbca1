"""Scale: y = γ x."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import inlined, operation
from chainrule.training.compiled.slots import dx_of, dy_of, gradient, integer, parameters, share, x_of, y_of

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program

part = inlined("part")[0]


def Scale(layer: layers.Scale, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan the factors of the last axis."""
    size = math.prod(layer.output_shape)
    y = program.room(size)
    place = {
        "x": x, "y": y, "inputs": size, "outputs": size, "W": program.at("gamma"), "own": (layer.output_shape[-1],)
    }  # fmt: skip
    program.forward(forward, **place)
    program.gradient(factors, **place)
    if program.slope_wanted:
        program.backward(backward, **place)
    program.overwritable.add(y)
    return y


@operation
def forward(T, op, base, n, row, rows):
    """Put γ x into y."""
    x, y, features = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(op, slots.OWN)
    gamma = parameters(T, op, base, slots.W, features)
    for i in range(0, x.size, features):
        line, out = part(x, i, features), part(y, i, features)
        for k in range(features):
            out[k] = line[k] * gamma[k]


@operation
def backward(T, op, base, n, row, rows):
    """Put γ dy into dx."""
    dy, dx, features = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows), integer(op, slots.OWN)
    gamma = parameters(T, op, base, slots.W, features)
    for i in range(0, dx.size, features):
        line, out = part(dy, i, features), part(dx, i, features)
        for k in range(features):
            out[k] = line[k] * gamma[k]


@operation
def factors(T, op, base, n, row, rows):
    """Put Σ dy x into this share of dγ."""
    x, dy, features = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), integer(op, slots.OWN)
    first, last = share(base, features)
    dgamma = gradient(T, op, base, slots.W, features)
    for k in range(first, last):
        dgamma[k] = T(0)
    for i in range(0, x.size, features):
        line, slope = part(x, i, features), part(dy, i, features)
        for k in range(first, last):
            dgamma[k] += slope[k] * line[k]
