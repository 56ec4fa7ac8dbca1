"""Embedding: y = [the other columns of x, W[x] of each column of categories], dW[k] = Σ dy of category k.

The loops: row, column, and within that the values of a vector, which are side by side. A part of the weights looks at
all rows and takes its own categories: no row of dW is written by two threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.slots import dx_of, dy_of, gradient, integer, parameters, share, x_of, y_of

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program

part = inlined("part")[0]
# Counts, and the addresses of their tables.
OTHERS, OTHER, CHOSEN, COLUMN, FIRST, TABLE, SIZE = range(slots.OWN, slots.OWN + 7)


def Embedding(layer: layers.Embedding, program: Program, x: int) -> int | str:  # noqa: N802  (named as the class)
    """Plan it where its categories are columns of X, which are checked before training, or as batches are drawn."""
    (inputs,), (outputs,) = layer.input_shape, layer.output_shape
    others, chosen, first = layer._others, layer._chosen, layer._first  # noqa: SLF001
    of_X = program.columns_of_X(x, inputs)
    if chosen.max() >= of_X:
        return "is compiled only at the front of a network, for columns of X"
    y = program.room(outputs)
    own = (
        len(others), program.constant(others), len(chosen), program.constant(chosen), program.constant(first),
        len(layer.W), layer.size,
    )  # fmt: skip
    operands: dict[str, Any] = {"x": x, "y": y, "inputs": inputs, "outputs": outputs, "W": program.at("W"), "own": own}
    program.forward(forward, **operands)
    program.gradient(tables, **operands)
    program.slope(backward, **operands)  # for the tables of an Embedding before this one
    program.copied[y] = int((others < of_X).sum())  # they are in ascending order
    program.overwritable.add(y)
    return y


@operation
def forward(T, op, base, n, row, rows):
    """Put the other columns, then the rows of W, into y."""
    inputs, outputs = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS)
    others, size = integer(op, OTHERS), integer(op, SIZE)
    x, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    W_ = parameters(T, op, base, slots.W, integer(op, TABLE) * size)
    for r in range(rows):
        line, out = part(x, r * inputs, inputs), part(y, r * outputs, outputs)
        for j in range(others):
            out[j] = line[integer(integer(op, OTHER), j)]
        for c in range(integer(op, CHOSEN)):
            entry = part(W_, _row_of(op, line, c) * size, size)
            for k in range(size):
                out[others + c * size + k] = entry[k]


@operation
def backward(T, op, base, n, row, rows):
    """Put dy of the other columns into dx, and 0 into those of categories: they have no derivative."""
    inputs, outputs = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS)
    dy, dx = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(dx.size):
        dx[i] = T(0)
    for r in range(rows):
        for j in range(integer(op, OTHERS)):
            dx[r * inputs + integer(integer(op, OTHER), j)] = dy[r * outputs + j]


@operation
def tables(T, op, base, n, row, rows):
    """Put Σ dy of the rows that have a category into its row of dW, for this share of the rows of dW."""
    inputs, outputs = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS)
    others, size = integer(op, OTHERS), integer(op, SIZE)
    x, dy = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows)
    first, last = share(base, integer(op, TABLE))
    dW = gradient(T, op, base, slots.W, integer(op, TABLE) * size)
    for k in range(first * size, last * size):
        dW[k] = T(0)
    for r in range(rows):
        line, slope = part(x, r * inputs, inputs), part(dy, r * outputs, outputs)
        for c in range(integer(op, CHOSEN)):
            category = _row_of(op, line, c)
            if first <= category < last:
                out = part(dW, category * size, size)
                for k in range(size):
                    out[k] += slope[others + c * size + k]


@compiled
def _row_of(op, line, c):
    """Return which row of W column c of them asks for; never one that is not there, whatever happened to X since."""
    row = int(line[integer(integer(op, COLUMN), c)]) + integer(integer(op, FIRST), c)
    return min(max(row, 0), integer(op, TABLE) - 1)
