"""Dense: y = x W + b."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.slots import (
    BATCH,
    COLUMNS,
    ENTRIES,
    FIRSTS,
    GRAD,
    INPUTS,
    ONE,
    ORDER,
    OUTPUTS,
    PACKED,
    PRODUCT,
    SHORT,
    SLOPES,
    THETA,
    VALUES,
    B,
    W,
    X,
    Y,
    dy_of,
    gradient,
    integer,
    share,
    vector,
    y_of,
)  # fmt: skip

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
    place = {"x": x, "y": y, "inputs": inputs, "outputs": outputs, "W": program.at("W"), "b": program.at("b")}
    program.forward(sparse_forward if sparse else forward, **place)
    program.gradient(sparse_weights if sparse else weights, **place)
    if program.slope_wanted:
        program.backward(backward, **place)
    program.overwritable.add(y)
    return y


@compiled
def x_address(T, op, base, n, row):
    """Return the address of these rows of x."""
    if integer(op, X) < 0:
        return address(T, integer(base, BATCH), row * integer(op, INPUTS))
    return address(T, integer(base, VALUES), n * integer(op, X) + row * integer(op, INPUTS))


@operation
def forward(T, op, base, n, row, rows):
    """Put x W + b into y."""
    inputs, outputs, theta = integer(op, INPUTS), integer(op, OUTPUTS), integer(base, THETA)
    y = address(T, integer(base, VALUES), n * integer(op, Y) + row * outputs)
    start = address(T, theta, integer(op, B)) if integer(op, B) >= 0 else 0
    W_ = address(T, theta, integer(op, W))
    arguments = (x_address(T, op, base, n, row), inputs, 1, W_, outputs, 1, y, outputs, rows, outputs, inputs, start)
    call(integer(base, PRODUCT), (*arguments, integer(base, PACKED)))


@operation
def backward(T, op, base, n, row, rows):
    """Put dy Wᵀ into dx."""
    inputs, outputs, slopes = integer(op, INPUTS), integer(op, OUTPUTS), integer(base, SLOPES)
    dy = address(T, slopes, n * integer(op, Y) + row * outputs)
    dx = address(T, slopes, n * integer(op, X) + row * inputs)
    W_ = address(T, integer(base, THETA), integer(op, W))
    arguments = (dy, outputs, 1, W_, 1, outputs, dx, inputs, rows, inputs, outputs, 0)
    call(integer(base, PRODUCT), (*arguments, integer(base, PACKED)))


@operation
def weights(T, op, base, n, row, rows):
    """Put xᵀ dy into this share of dW, and Σ dy into its share of db."""
    inputs, outputs = integer(op, INPUTS), integer(op, OUTPUTS)
    first, last = share(base, inputs)
    if last > first:
        x = address(T, x_address(T, op, base, n, row), first)
        dy = address(T, integer(base, SLOPES), n * integer(op, Y) + row * outputs)
        dW = address(T, integer(base, GRAD), integer(op, W) + first * outputs)
        arguments = (x, 1, inputs, dy, outputs, 1, dW, outputs, last - first, outputs, rows, 0)
        call(integer(base, PRODUCT), (*arguments, integer(base, PACKED)))
    if integer(op, B) >= 0:
        sum_rows(T, op, base, address(T, integer(base, SLOPES), n * integer(op, Y) + row * outputs), rows, outputs)


# ------------------------------------------------------------ sparse rows
# X is read where it is, as compressed rows: FIRSTS says where the entries of each row begin, COLUMNS in which column
# each of ENTRIES is; both are int32 where SHORT says so.


@compiled
def _index(base, which, i):
    if integer(base, SHORT):
        return np.int64(vector(np.int32, integer(base, which), i, 1)[0])
    return integer(integer(base, which), i)


@operation
def sparse_forward(T, op, base, n, row, rows):
    """Put x W + b into y: for each entry of x its row of W."""
    inputs, outputs = integer(op, INPUTS), integer(op, OUTPUTS)
    y, W_ = y_of(T, op, base, n, row, rows), vector(T, integer(base, THETA), integer(op, W), inputs * outputs)
    b = vector(T, integer(base, THETA), max(integer(op, B), 0), outputs)
    for r in range(rows):
        out, at = part(y, r * outputs, outputs), integer(integer(base, ORDER), row + r)
        for j in range(outputs):
            out[j] = b[j] if integer(op, B) >= 0 else T(0)
        for i in range(_index(base, FIRSTS, at), _index(base, FIRSTS, at + 1)):
            v = vector(T, integer(base, ENTRIES), i, 1)[0]
            line = part(W_, _index(base, COLUMNS, i) * outputs, outputs)
            for j in range(outputs):
                out[j] += v * line[j]


@operation
def sparse_weights(T, op, base, n, row, rows):
    """Put xᵀ dy into this share of dW, and Σ dy into its share of db."""
    inputs, outputs = integer(op, INPUTS), integer(op, OUTPUTS)
    first, last = share(base, inputs)
    dy, dW = dy_of(T, op, base, n, row, rows), gradient(T, op, base, W, inputs * outputs)
    for i in range(first * outputs, last * outputs):
        dW[i] = T(0)
    for r in range(rows):
        slope, at = part(dy, r * outputs, outputs), integer(integer(base, ORDER), row + r)
        for i in range(_index(base, FIRSTS, at), _index(base, FIRSTS, at + 1)):
            column = _index(base, COLUMNS, i)
            if first <= column < last:
                v, out = vector(T, integer(base, ENTRIES), i, 1)[0], part(dW, column * outputs, outputs)
                for j in range(outputs):
                    out[j] += v * slope[j]
    if integer(op, B) >= 0:
        sum_rows(T, op, base, address(T, integer(base, SLOPES), n * integer(op, Y) + row * outputs), rows, outputs)


@compiled
def sum_rows(T, op, base, dy, rows, width):
    """Put Σ dy over the rows at an address into this share of db: the product of a row of ones with them."""
    first, last = share(base, width)
    if last > first:
        db = address(T, integer(base, GRAD), integer(op, B) + first)
        arguments = (integer(base, ONE), 0, 0, address(T, dy, first), width, 1, db, width, 1, last - first, rows, 0)
        call(integer(base, PRODUCT), (*arguments, integer(base, PACKED)))
