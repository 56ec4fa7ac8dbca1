"""Dropout: y = x m / keep, dx = dy m / keep, with the mask m of what was drawn.

One loop over all values, without a branch; the mask is computed twice from what NumPy has drawn, and never stored.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.slots import dx_of, dy_of, integer, real, vector, x_of, y_of

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program

part = inlined("part")[0]


def Dropout(layer: layers.Dropout, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan a mask for each value."""
    return _plan(layer, program, x, 1)


def Dropout2D(layer: layers.Dropout2D, program: Program, x: int) -> int:  # noqa: N802
    """Plan a mask for each channel, the same at all positions."""
    return _plan(layer, program, x, math.prod(layer.input_shape[:2]))


def _plan(layer: layers.Dropout | layers.Dropout2D, program: Program, x: int, positions: int) -> int:
    if not program.training:
        return x
    size = math.prod(layer.output_shape)
    own = (program.draws(size // positions, "random"), positions)  # also where nothing is dropped: the stream goes on
    if layer.rate == 0:
        return x
    y = x if x in program.overwritable else program.room(size)
    keep = 1 - layer.rate
    operands = {"x": x, "y": y, "inputs": size, "outputs": size, "own": own, "reals": (keep, 1 / keep)}
    program.forward(forward, **operands)
    program.slope(backward, **operands)
    program.overwritable.add(y)
    return y


@compiled
def _mask(T, op, base, n, row, rows, x, y):
    """Put x / keep into y where the value drawn is below keep, else 0."""
    keep, grow, positions = T(real(op, slots.REALS)), T(real(op, slots.REALS + 1)), integer(op, slots.OWN + 1)
    drawn = x.size // (rows * positions) if rows else 0  # values drawn for a row
    draws = vector(T, integer(base, slots.DRAWS), n * integer(op, slots.OWN) + row * drawn, rows * drawn)
    if positions == 1:
        for i in range(y.size):
            y[i] = x[i] * (grow if draws[i] < keep else T(0))
        return
    for r in range(rows):
        u = part(draws, r * drawn, drawn)
        for p in range(positions):
            line, out = part(x, (r * positions + p) * drawn, drawn), part(y, (r * positions + p) * drawn, drawn)
            for k in range(drawn):
                out[k] = line[k] * (grow if u[k] < keep else T(0))


@operation
def forward(T, op, base, n, row, rows):
    """Put x m / keep into y."""
    _mask(T, op, base, n, row, rows, x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows))


@operation
def backward(T, op, base, n, row, rows):
    """Put dy m / keep into dx."""
    _mask(T, op, base, n, row, rows, dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows))
