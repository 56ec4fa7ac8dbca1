"""Convolution: y = c W + b, dW = cᵀ dy, where the rows of c are the windows of an image, read where they are.

Tables have the offset of each window, and of each value within a window. With padding, an image is first copied into
the middle of zeros. For dx, dy Wᵀ is added where each window lies: for windows that do not overlap at a time, since
their sums are in registers meanwhile. The loops: image by image, which then stays in the cache, group by group, and
within that the product.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.layers.dense import sum_rows, x_address
from chainrule.training.compiled.slots import integer, share, vector

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program

address, call, part = inlined("address", "call", "part")

# The image: height, values of a row, and how padded: values before it, of a row, and in all. Counts: windows, values
# of a window, channels and filters of a group, groups. Tables: the offsets of windows, of the values within a
# window, and of the rows of y and of W.
(
    HEIGHT, ROW, BEFORE, PADDED_ROW, PADDED_SIZE, IS_PADDED, COUNT, DEPTH, CHANNELS, FILTERS, GROUPS, STARTS, OFFSETS,
    ROWS_OF_Y, ROWS_OF_W
) = range(slots.OWN, slots.OWN + 15)  # fmt: skip
# On the way back: how many windows are done together, in how many turns; the values of each that are side by side;
# the offsets of the windows in y and in x, turn by turn; the offsets of those values, and how many there are; filters.
TOGETHER, TURNS, BESIDE, _, _, IN_Y, IN_X, PIXELS, TIMES, SINGLE = range(slots.OWN + 6, slots.OWN + 16)


def Conv2D(layer: layers.Conv2D, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan it; with the tables that its products read."""
    windows, filters, groups = layer._windows, layer.filters, layer.groups  # noqa: SLF001
    inputs, outputs = math.prod(layer.input_shape), math.prod(layer.output_shape)
    (height, width, channels), (kh, kw) = windows.image, windows.size
    (down, right), (high, wide) = windows.stride, windows.dilation
    (top, _), (left, _) = windows.padding
    rows, columns = windows.output
    tall, broad, _ = windows.padded_shape
    y = program.room(outputs)
    program.convolves = True
    program.work += rows * columns * layer.W[..., 0].size * filters
    some, of_group = channels // groups, filters // groups
    starts = (((np.arange(rows) * down)[:, None] * broad + np.arange(columns) * right) * channels).ravel()
    pixels = ((np.arange(kh) * high)[:, None] * broad + np.arange(kw) * wide) * channels
    offsets = (pixels[..., None] + np.arange(some)).ravel()
    rows_of_y, rows_of_w = np.arange(rows * columns) * filters, np.arange(len(offsets)) * filters
    image = (height, width * channels, (top * broad + left) * channels, broad * channels, tall * broad * channels)
    own = [
        *image, windows.padded, rows * columns, len(offsets), some, of_group, groups, *map(
            program.constant, (starts, offsets, rows_of_y, rows_of_w)
        ),
    ]  # fmt: skip
    operands: dict[str, Any] = {"x": x, "y": y, "inputs": inputs, "outputs": outputs, "W": program.at("W")}
    operands["b"] = program.at("b")
    program.forward(forward, **operands, own=own)
    program.gradient(weights, **operands, own=own)
    program.padded(tall * broad * channels if windows.padded else 0)
    if program.slope_wanted:
        # Together: the values of a window that are side by side in the image, and windows that do not overlap there.
        whole = wide == 1 and groups == 1
        beside, apart = (kw, -(-kw // right)) if whole else (1, 1)
        chosen = [np.arange(rows * columns).reshape(rows, columns)[:, s::apart].ravel() for s in range(apart)]
        order = np.concatenate(chosen)
        own = [
            *image, windows.padded, program.constant([len(some) for some in chosen]), apart, some * beside, of_group,
            groups, *map(program.constant, (rows_of_y[order], starts[order], pixels[:, ::beside].ravel())),
            len(offsets) // (some * beside), program.constant(np.arange(of_group)),
        ]  # fmt: skip
        program.backward(backward, **operands, own=own)
        program.padded(tall * broad * channels + layer.W.size)
    program.overwritable.add(y)
    return y


@compiled
def _image(T, op, base, x):
    """Return the address of an image: x itself, or its copy amid zeros."""
    if not integer(op, IS_PADDED):
        return x
    row, size = integer(op, ROW), integer(op, PADDED_SIZE)
    out, image = vector(T, integer(base, slots.PADDED), 0, size), vector(T, x, 0, integer(op, slots.INPUTS))
    for i in range(size):
        out[i] = T(0)
    for h in range(integer(op, HEIGHT)):
        line, into = part(image, h * row, row), part(out, integer(op, BEFORE) + h * integer(op, PADDED_ROW), row)
        for i in range(row):
            into[i] = line[i]
    return integer(base, slots.PADDED)


@operation
def forward(T, op, base, n, row, rows):
    """Put c W + b into y, c being the windows."""
    inputs, outputs, theta = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(base, slots.THETA)
    some, filters, groups = integer(op, CHANNELS), integer(op, FILTERS), integer(op, GROUPS)
    x = x_address(T, op, base, n, row)
    y = address(T, integer(base, slots.VALUES), n * integer(op, slots.Y) + row * outputs)
    for r in range(rows):
        image = _image(T, op, base, address(T, x, r * inputs))
        for g in range(groups):
            start = address(T, theta, integer(op, slots.B) + g * filters) if integer(op, slots.B) >= 0 else 0
            call(
                integer(base, slots.WINDOWS),
                (
                    address(T, image, g * some), integer(op, STARTS), integer(op, OFFSETS),
                    address(T, theta, integer(op, slots.W) + g * filters), groups * filters,
                    address(T, y, r * outputs + g * filters), integer(op, ROWS_OF_Y), integer(op, COUNT), filters,
                    integer(op, DEPTH), start,
                ),
            )  # fmt: skip


@operation
def weights(T, op, base, n, row, rows):
    """Put cᵀ dy into this share of dW, and Σ dy into its share of db."""
    inputs, outputs = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS)
    some, filters, groups = integer(op, CHANNELS), integer(op, FILTERS), integer(op, GROUPS)
    every = groups * filters
    first, last = share(base, integer(op, DEPTH))
    x = x_address(T, op, base, n, row)
    dy = address(T, integer(base, slots.SLOPES), n * integer(op, slots.Y) + row * outputs)
    dW = address(T, integer(base, slots.GRAD), integer(op, slots.W) + first * every)
    if rows == 0:
        nothing = vector(T, dW, 0, (last - first) * every)
        for i in range(nothing.size):
            nothing[i] = T(0)
    for r in range(rows):
        image = _image(T, op, base, address(T, x, r * inputs))
        for g in range(groups):
            call(
                integer(base, slots.WINDOWS),
                (
                    address(T, image, g * some), integer(op, OFFSETS) + 8 * first, integer(op, STARTS),
                    address(T, dy, r * outputs + g * filters), every, address(T, dW, g * filters),
                    integer(op, ROWS_OF_W), last - first, filters, integer(op, COUNT), 1 if r else 0,
                ),
            )  # fmt: skip
    if integer(op, slots.B) >= 0:
        sum_rows(T, op, base, dy, rows * integer(op, COUNT), every)


@operation
def backward(T, op, base, n, row, rows):
    """Add dy Wᵀ to dx where each window lies, for the values of windows that are side by side, one after the other."""
    inputs, outputs, size = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(op, PADDED_SIZE)
    beside, filters, groups = integer(op, BESIDE), integer(op, FILTERS), integer(op, GROUPS)
    every, times = groups * filters, integer(op, TIMES)
    turned = address(T, integer(base, slots.PADDED), size)  # Wᵀ: (group, time, filter, value beside)
    Wt = vector(T, turned, 0, times * beside * every)
    W_ = vector(T, integer(base, slots.THETA), integer(op, slots.W), times * beside * every)
    for g in range(groups):
        for i in range(times):
            for k in range(beside):
                line = part(W_, (i * beside + k) * every + g * filters, filters)
                for f in range(filters):
                    Wt[((g * times + i) * filters + f) * beside + k] = line[f]
    dy = address(T, integer(base, slots.SLOPES), n * integer(op, slots.Y) + row * outputs)
    dx = address(T, integer(base, slots.SLOPES), n * integer(op, slots.X) + row * inputs)
    for r in range(rows):
        image = integer(base, slots.PADDED) if integer(op, IS_PADDED) else address(T, dx, r * inputs)
        spread = vector(T, image, 0, size)
        for i in range(size):
            spread[i] = T(0)
        for g in range(groups):
            for i in range(times):
                done, at = 0, address(T, image, integer(integer(op, PIXELS), i) + g * beside)
                for turn in range(integer(op, TURNS)):
                    count = integer(integer(op, TOGETHER), turn)
                    call(
                        integer(base, slots.WINDOWS),
                        (
                            address(T, dy, r * outputs + g * filters), integer(op, IN_Y) + 8 * done,
                            integer(op, SINGLE), address(T, turned, (g * times + i) * filters * beside), beside, at,
                            integer(op, IN_X) + 8 * done, count, beside, filters, 1,
                        ),
                    )  # fmt: skip
                    done += count
        if integer(op, IS_PADDED):
            line = integer(op, ROW)
            out = vector(T, address(T, dx, r * inputs), 0, inputs)
            for h in range(integer(op, HEIGHT)):
                inside = part(spread, integer(op, BEFORE) + h * integer(op, PADDED_ROW), line)
                into = part(out, h * line, line)
                for i in range(line):
                    into[i] = inside[i]
