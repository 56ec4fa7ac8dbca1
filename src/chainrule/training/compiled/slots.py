"""The integers and reals that compiled code reads from memory, by their index.

``op`` is the address of an operation in a program: integers, then reals (float64). ``base`` is the address of what a
thread works on: addresses and counts of the batch it is at.
"""

from __future__ import annotations

from chainrule.training.compiled.compiling import compiled, inlined

# An operation: its machine code; the offsets of x and y among the values of all layers; how many
# these are; where its parameters begin in theta (-1: none); and what only this operation knows.
CODE, X, Y, INPUTS, OUTPUTS, W, B, OWN = range(8)
REALS = 24  # from here on they are float64
WIDTH = 32

# What a thread works on.
(
    THETA, GRAD, SUM, S1, S2, STATISTICS, BATCH, VALUES, SLOPES, MEMO, SHARED, DRAWS, ORDER, LABELS, TARGETS, WEIGHTS,
    FIRSTS, COLUMNS, ENTRIES, SHORT, LOSSES, PADDED, PACKED, PRODUCT, WINDOWS, PART, PARTS, SHARE, SHARES, TOTAL, WHOLE,
    RATE, STEP, OF_STEP, ONE, LOSS, BASE
) = range(37)  # fmt: skip

integer, real, vector, address = inlined("integer", "real", "vector", "address")


@compiled
def x_of(T, op, base, n, row, rows):
    """Return these rows of x: of the batch itself, or among the values of all layers."""
    width = integer(op, INPUTS)
    if integer(op, X) < 0:
        return vector(T, integer(base, BATCH), row * width, rows * width)
    return vector(T, integer(base, VALUES), n * integer(op, X) + row * width, rows * width)


@compiled
def y_of(T, op, base, n, row, rows):
    """Return these rows of y."""
    width = integer(op, OUTPUTS)
    return vector(T, integer(base, VALUES), n * integer(op, Y) + row * width, rows * width)


@compiled
def dx_of(T, op, base, n, row, rows):
    """Return these rows of dL/dx."""
    width = integer(op, INPUTS)
    return vector(T, integer(base, SLOPES), n * integer(op, X) + row * width, rows * width)


@compiled
def dy_of(T, op, base, n, row, rows):
    """Return these rows of dL/dy."""
    width = integer(op, OUTPUTS)
    return vector(T, integer(base, SLOPES), n * integer(op, Y) + row * width, rows * width)


@compiled
def parameters(T, op, base, which, size):
    """Return parameters of the operation, which begin where its integer ``which`` says."""
    return vector(T, integer(base, THETA), integer(op, which), size)


@compiled
def gradient(T, op, base, which, size):
    """Return where their gradient belongs."""
    return vector(T, integer(base, GRAD), integer(op, which), size)


@compiled
def share(base, size):
    """Return which of ``size`` rows of parameters are this part's, from the first to the last: all, or a share."""
    part, parts = integer(base, SHARE), integer(base, SHARES)
    return size * part // parts, size * (part + 1) // parts
