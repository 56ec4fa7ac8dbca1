"""Convolution of images: a product of all windows of an image with W, with the windows where they are.

Tables say where each window begins and where each of its numbers is from there. With padding, an image is first copied
into the middle of zeros. dW is the product of the transposed windows with dy. dx is a convolution of dy, spread out by
the stride amid zeros, with W flipped and its channels and filters exchanged.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.layers.dense import sum_rows, x_address
from chainrule.training.compiled.slots import (
    GRAD,
    INPUTS,
    OUTPUTS,
    OWN,
    PADDED,
    SLOPES,
    THETA,
    VALUES,
    WINDOWS,
    B,
    W,
    X,
    Y,
    gradient,
    integer,
    share,
    vector,
)  # fmt: skip

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program

address, call_typed, part = inlined("address", "call_typed", "part")

# Counts: windows, numbers of a window, channels and filters of a group, groups. Tables: where windows begin, where
# their numbers are. The image: height, numbers of a row, and how padded: numbers before it, of a row, and in all.
(
    COUNT, DEPTH, CHANNELS, FILTERS, GROUPS, STARTS, PLACES, HEIGHT, ROW, BEFORE, PADDED_ROW, PADDED_SIZE, IS_PADDED
) = range(OWN, OWN + 13)  # fmt: skip


def Conv2D(layer: layers.Conv2D, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan it; the way back to x is a convolution too."""
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
    starts = ((np.arange(rows) * down)[:, None] * broad + np.arange(columns) * right) * channels
    places = ((np.arange(kh) * high)[:, None] * broad + np.arange(kw) * wide) * channels
    places = places[..., None] + np.arange(some)
    own = [
        rows * columns, kh * kw * some, some, of_group, groups, program.constant(starts), program.constant(places),
        height, width * channels, (top * broad + left) * channels, broad * channels, tall * broad * channels,
        windows.padded,
    ]  # fmt: skip
    place: dict[str, Any] = {"x": x, "y": y, "inputs": inputs, "outputs": outputs, "W": program.at("W")}
    place["b"] = program.at("b")
    program.forward(forward, **place, own=own)
    program.gradient(weights, **place, own=own)
    program.padded(tall * broad * channels if windows.padded else 0)
    if program.slope_wanted:
        # dy amid zeros: row r of it at row r · down + before, so that every pixel sees a whole window of them.
        before_down, before_right = (kh - 1) * high - top, (kw - 1) * wide - left
        tall, broad = height + (kh - 1) * high, width + (kw - 1) * wide
        starts = (np.arange(height)[:, None] * broad + np.arange(width)) * filters
        places = ((np.arange(kh)[::-1] * high)[:, None] * broad + np.arange(kw)[::-1] * wide) * filters
        places = places[..., None] + np.arange(of_group)
        way: list[Any] = [
            height * width, kh * kw * of_group, some, of_group, groups, program.constant(starts),
            program.constant(places), rows, columns, (before_down, before_right), broad, tall, (down, right),
        ]  # fmt: skip
        own = [n for each in way for n in (each if isinstance(each, tuple) else (each,))]
        program.backward(backward, **place, own=own)
        program.padded(tall * broad * filters + layer.W.size)
    program.overwritable.add(y)
    return y


@compiled
def _image(T, op, base, x):
    """Return the address of an image: x itself, or its copy amid zeros."""
    if not integer(op, IS_PADDED):
        return x
    row, size = integer(op, ROW), integer(op, PADDED_SIZE)
    out, image = vector(T, integer(base, PADDED), 0, size), vector(T, x, 0, integer(op, INPUTS))
    for i in range(size):
        out[i] = T(0)
    for h in range(integer(op, HEIGHT)):
        line, into = part(image, h * row, row), part(out, integer(op, BEFORE) + h * integer(op, PADDED_ROW), row)
        for i in range(row):
            into[i] = line[i]
    return integer(base, PADDED)


@operation
def forward(T, op, base, n, row, rows):
    """Put c W + b into y, c being the windows."""
    inputs, outputs, theta = integer(op, INPUTS), integer(op, OUTPUTS), integer(base, THETA)
    some, filters, groups = integer(op, CHANNELS), integer(op, FILTERS), integer(op, GROUPS)
    x = x_address(T, op, base, n, row)
    y = address(T, integer(base, VALUES), n * integer(op, Y) + row * outputs)
    for r in range(rows):
        image = _image(T, op, base, address(T, x, r * inputs))
        for g in range(groups):
            start = address(T, theta, integer(op, B) + g * filters) if integer(op, B) >= 0 else 0
            call_typed(
                integer(base, WINDOWS),
                (
                    address(T, image, g * some), integer(op, STARTS), integer(op, PLACES),
                    address(T, theta, integer(op, W) + g * filters), groups * filters,
                    address(T, y, r * outputs + g * filters), groups * filters, integer(op, COUNT), filters,
                    integer(op, DEPTH), start,
                ),
            )  # fmt: skip


@operation
def weights(T, op, base, n, row, rows):
    """Put cᵀ dy into this share of dW, and Σ dy into its share of db."""
    inputs, outputs = integer(op, INPUTS), integer(op, OUTPUTS)
    some, filters, groups = integer(op, CHANNELS), integer(op, FILTERS), integer(op, GROUPS)
    every = groups * filters
    first, last = share(base, integer(op, DEPTH))
    x = x_address(T, op, base, n, row)
    dy = address(T, integer(base, SLOPES), n * integer(op, Y) + row * outputs)
    dW = address(T, integer(base, GRAD), integer(op, W) + first * every)
    if rows == 0:
        nothing = vector(T, dW, 0, (last - first) * every)
        for i in range(nothing.size):
            nothing[i] = T(0)
    for r in range(rows):
        image = _image(T, op, base, address(T, x, r * inputs))
        for g in range(groups):
            call_typed(
                integer(base, WINDOWS),
                (
                    address(T, image, g * some), integer(op, PLACES) + 8 * first, integer(op, STARTS),
                    address(T, dy, r * outputs + g * filters), every, address(T, dW, g * filters), every, last - first,
                    filters, integer(op, COUNT), 1 if r else 0,
                ),
            )  # fmt: skip
    if integer(op, B) >= 0:
        count = rows * integer(op, COUNT)
        sum_rows(T, vector(T, dy, 0, count * every), count, gradient(T, op, base, B, every), share(base, every))


# The same places in the way back: images of dy, with their rows, columns, what is before them, and how far apart.
ROWS, COLUMNS, DOWN_BEFORE, RIGHT_BEFORE, BROAD, TALL, DOWN, RIGHT = range(OWN + 7, OWN + 15)


@operation
def backward(T, op, base, n, row, rows):
    """Put dy, spread out amid zeros, times W, flipped and its channels and filters exchanged, into dx."""
    inputs, outputs = integer(op, INPUTS), integer(op, OUTPUTS)
    some, filters, groups = integer(op, CHANNELS), integer(op, FILTERS), integer(op, GROUPS)
    every, broad, depth = groups * filters, integer(op, BROAD), integer(op, DEPTH)
    size = integer(op, TALL) * broad * every
    spread, around = vector(T, integer(base, PADDED), 0, size), address(T, integer(base, PADDED), size)
    flipped = vector(T, around, 0, depth * groups * some)  # (group, place · filter, channel)
    W_ = vector(T, integer(base, THETA), integer(op, W), depth * groups * some)
    for g in range(groups):
        for k in range(depth):
            place, f = k // filters, k % filters
            for c in range(some):
                flipped[(g * depth + k) * some + c] = W_[(place * some + c) * every + g * filters + f]
    for i in range(size):
        spread[i] = T(0)
    dy = vector(T, integer(base, SLOPES), n * integer(op, Y) + row * outputs, rows * outputs)
    dx = address(T, integer(base, SLOPES), n * integer(op, X) + row * inputs)
    down, right, tall = integer(op, DOWN), integer(op, RIGHT), integer(op, TALL)
    for r in range(rows):
        for p in range(integer(op, ROWS)):
            at = p * down + integer(op, DOWN_BEFORE)
            for q in range(integer(op, COLUMNS)):
                to = q * right + integer(op, RIGHT_BEFORE)
                if 0 <= at < tall and 0 <= to < broad:  # else the window lies on what is around the image
                    line = part(dy, r * outputs + (p * integer(op, COLUMNS) + q) * every, every)
                    into = part(spread, (at * broad + to) * every, every)
                    for f in range(every):
                        into[f] = line[f]
        for g in range(groups):
            call_typed(
                integer(base, WINDOWS),
                (
                    address(T, integer(base, PADDED), g * filters), integer(op, STARTS), integer(op, PLACES),
                    address(T, around, g * depth * some), some, address(T, dx, r * inputs + g * some), groups * some,
                    integer(op, COUNT), some, depth, 0,
                ),
            )  # fmt: skip
