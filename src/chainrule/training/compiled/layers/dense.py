"""Dense: y = x W + b, dx = dy Wᵀ, dW = xᵀ dy, db = Σ dy.

Each is one call of the product of ``product.py``, which reads its matrices where they are, transposed or not. Sparse
rows: row by row, entry by entry, and within that the outputs, which are side by side in W and y.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.slots import dy_of, gradient, integer, share, vector, y_of

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program

address, call, part = inlined("address", "call", "part")


def Dense(layer: layers.Dense, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan the product, and its bias with it."""
    inputs, outputs = layer.W.shape
    y = program.room(outputs)
    program.work += inputs * outputs
    sparse = program.sparse and x < 0
    operands = {"x": x, "y": y, "inputs": inputs, "outputs": outputs, "W": program.at("W"), "b": program.at("b")}
    program.forward(sparse_forward if sparse else forward, **operands)
    program.gradient(sparse_weights if sparse else weights, **operands)
    program.slope(backward, **operands)
    program.overwritable.add(y)
    return y


@compiled
def x_address(T, op, base, n, row):
    """Return the address of these rows of x."""
    if integer(op, slots.X) < 0:
        return address(T, integer(base, slots.BATCH), row * integer(op, slots.INPUTS))
    return address(T, integer(base, slots.VALUES), n * integer(op, slots.X) + row * integer(op, slots.INPUTS))


@operation
def forward(T, op, base, n, row, rows):
    """Put x W + b into y."""
    inputs, outputs, theta = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(base, slots.THETA)
    y = address(T, integer(base, slots.VALUES), n * integer(op, slots.Y) + row * outputs)
    start = address(T, theta, integer(op, slots.B)) if integer(op, slots.B) >= 0 else 0
    W_ = address(T, theta, integer(op, slots.W))
    arguments = (x_address(T, op, base, n, row), inputs, 1, W_, outputs, 1, y, outputs, rows, outputs, inputs, start)
    call(integer(base, slots.PRODUCT), (*arguments, integer(base, slots.PACKED)))


@operation
def backward(T, op, base, n, row, rows):
    """Put dy Wᵀ into dx."""
    inputs, outputs, slopes = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(base, slots.SLOPES)
    dy = address(T, slopes, n * integer(op, slots.Y) + row * outputs)
    dx = address(T, slopes, n * integer(op, slots.X) + row * inputs)
    W_ = address(T, integer(base, slots.THETA), integer(op, slots.W))
    arguments = (dy, outputs, 1, W_, 1, outputs, dx, inputs, rows, inputs, outputs, 0)
    call(integer(base, slots.PRODUCT), (*arguments, integer(base, slots.PACKED)))


@operation
def weights(T, op, base, n, row, rows):
    """Put xᵀ dy into this share of dW, and Σ dy into its share of db."""
    inputs, outputs = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS)
    first, last = share(base, inputs)
    dy = address(T, integer(base, slots.SLOPES), n * integer(op, slots.Y) + row * outputs)
    if last > first:
        x = address(T, x_address(T, op, base, n, row), first)
        dW = address(T, integer(base, slots.GRAD), integer(op, slots.W) + first * outputs)
        arguments = (x, 1, inputs, dy, outputs, 1, dW, outputs, last - first, outputs, rows, 0)
        call(integer(base, slots.PRODUCT), (*arguments, integer(base, slots.PACKED)))
    if integer(op, slots.B) >= 0:
        sum_rows(T, op, base, dy, rows, outputs)


# ------------------------------------------------------------ sparse rows
# X is read where it is, as compressed rows: FIRSTS says where the entries of each row begin, COLUMNS in which column
# each of ENTRIES is; both are int32 where SHORT says so.


@compiled
def _index(base, which, i):
    if integer(base, slots.SHORT):
        return np.int64(vector(np.int32, integer(base, which), i, 1)[0])
    return integer(integer(base, which), i)


@operation
def sparse_forward(T, op, base, n, row, rows):
    """Put x W + b into y: for each entry of x its row of W."""
    inputs, outputs = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS)
    y = y_of(T, op, base, n, row, rows)
    W_ = vector(T, integer(base, slots.THETA), integer(op, slots.W), inputs * outputs)
    b = vector(T, integer(base, slots.THETA), max(integer(op, slots.B), 0), outputs)
    for r in range(rows):
        out, at = part(y, r * outputs, outputs), integer(integer(base, slots.ORDER), row + r)
        for j in range(outputs):
            out[j] = b[j] if integer(op, slots.B) >= 0 else T(0)
        for i in range(_index(base, slots.FIRSTS, at), _index(base, slots.FIRSTS, at + 1)):
            v = vector(T, integer(base, slots.ENTRIES), i, 1)[0]
            line = part(W_, _index(base, slots.COLUMNS, i) * outputs, outputs)
            for j in range(outputs):
                out[j] += v * line[j]


@operation
def sparse_weights(T, op, base, n, row, rows):
    """Put xᵀ dy into this share of dW, and Σ dy into its share of db."""
    inputs, outputs = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS)
    first, last = share(base, inputs)
    dy, dW = dy_of(T, op, base, n, row, rows), gradient(T, op, base, slots.W, inputs * outputs)
    for i in range(first * outputs, last * outputs):
        dW[i] = T(0)
    for r in range(rows):
        slope, at = part(dy, r * outputs, outputs), integer(integer(base, slots.ORDER), row + r)
        for i in range(_index(base, slots.FIRSTS, at), _index(base, slots.FIRSTS, at + 1)):
            column = _index(base, slots.COLUMNS, i)
            if first <= column < last:
                v, out = vector(T, integer(base, slots.ENTRIES), i, 1)[0], part(dW, column * outputs, outputs)
                for j in range(outputs):
                    out[j] += v * slope[j]
    if integer(op, slots.B) >= 0:
        start = address(T, integer(base, slots.SLOPES), n * integer(op, slots.Y) + row * outputs)
        sum_rows(T, op, base, start, rows, outputs)


@compiled
def sum_rows(T, op, base, dy, rows, width):
    """Put Σ dy over the rows at an address into this share of db: the product of a row of ones with them."""
    first, last = share(base, width)
    if last > first:
        db = address(T, integer(base, slots.GRAD), integer(op, slots.B) + first)
        one, dy = integer(base, slots.ONE), address(T, dy, first)
        arguments = (one, 0, 0, dy, width, 1, db, width, 1, last - first, rows, 0)
        call(integer(base, slots.PRODUCT), (*arguments, integer(base, slots.PACKED)))
