"""Residual: y = x + f(x), dx = dy + df, with the operations of f between: one loop over all values each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import operation
from chainrule.training.compiled.slots import dx_of, dy_of, integer, vector, x_of, y_of

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program


def Residual(layer: layers.Residual, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan the layers of f, and a sum behind them; backward, dy goes both ways."""
    size = math.prod(layer.output_shape)
    program.overwritable.discard(x)
    wanted, sums = program.slope_wanted, {"inputs": size, "outputs": size}
    if wanted:
        program.backward(add, x=x, y=program.next_room, **sums)  # the last thing: dx = what f gave + dy
    y = program.room(size)
    f = program.layers(layer.inner, x)
    program.forward(forward, x=x, y=y, own=(f,), **sums)
    if f >= 0 and program.training:
        program.backward(copy, x=f, y=y, **sums)  # the first: what comes out of f gets dy
    program.overwritable.add(y)
    return y


@operation
def forward(T, op, base, n, row, rows):
    """Put x + f into y."""
    x, y, width = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(op, slots.OUTPUTS)
    arena, at = (slots.VALUES, n * integer(op, slots.OWN)) if integer(op, slots.OWN) >= 0 else (slots.BATCH, 0)
    f = vector(T, integer(base, arena), at + row * width, rows * width)
    for i in range(y.size):
        y[i] = x[i] + f[i]


@operation
def copy(T, op, base, n, row, rows):
    """Put dy into df."""
    dy, df = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(df.size):
        df[i] = dy[i]


@operation
def add(T, op, base, n, row, rows):
    """Add dy to dx."""
    dy, dx = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(dx.size):
        dx[i] += dy[i]
