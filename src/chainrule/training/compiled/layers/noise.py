"""Gaussian noise: y = x + n, dx = dy: one loop over all values; NumPy has drawn n for a block of batches at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import operation
from chainrule.training.compiled.slots import dx_of, dy_of, integer, real, vector, x_of, y_of

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program


def GaussianNoise(layer: layers.GaussianNoise, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan a draw for each value."""
    if not program.training:
        return x
    size = math.prod(layer.output_shape)
    y = x if x in program.overwritable else program.room(size)
    own = (program.draws(size, "standard_normal"),)
    operands = {"x": x, "y": y, "inputs": size, "outputs": size, "own": own, "reals": (layer.deviation,)}
    program.forward(forward, **operands)
    if x != y:
        program.slope(backward, **operands)
    program.overwritable.add(y)
    return y


@operation
def forward(T, op, base, n, row, rows):
    """Put x + n into y."""
    x, y, deviation = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), T(real(op, slots.REALS))
    width = integer(op, slots.OUTPUTS)
    draws = vector(T, integer(base, slots.DRAWS), n * integer(op, slots.OWN) + row * width, rows * width)
    for i in range(y.size):
        y[i] = x[i] + draws[i] * deviation


@operation
def backward(T, op, base, n, row, rows):
    """Put dy into dx."""
    dy, dx = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(dx.size):
        dx[i] = dy[i]
