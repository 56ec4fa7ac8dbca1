"""Pooling of images: the largest value, or the mean, of every window.

The loops: image, window, pixel of the window, and within that the channels, which are side by side and so become
vector instructions. A table has the pixels of each window, so that its borders are found once, not for every image.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.slots import dx_of, dy_of, integer, vector, x_of, y_of

if TYPE_CHECKING:
    from chainrule import layers
    from chainrule.training.compiled.program import Program

part = inlined("part")[0]
# Windows, channels, the table of pixels, its width, the memo.
COUNT, CHANNELS, TABLE, MOST, AT = range(slots.OWN, slots.OWN + 5)


def MaxPool2D(layer: layers.MaxPool2D, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan it; which pixel was the largest is remembered."""
    return _plan(layer, program, x, largest, to_largest, memo=True)


def AveragePool2D(layer: layers.AveragePool2D, program: Program, x: int) -> int:  # noqa: N802
    """Plan it."""
    return _plan(layer, program, x, mean, to_all, memo=False)


def GlobalAveragePool2D(layer: layers.GlobalAveragePool2D, program: Program, x: int) -> int:  # noqa: N802
    """Plan one window that is the whole image."""
    height, width, _ = layer.input_shape
    return _write(layer, program, x, mean, to_all, np.arange(height * width)[None], memo=False)


def _plan(layer: Any, program: Program, x: int, forward: Any, backward: Any, *, memo: bool) -> int:
    windows = layer._windows  # noqa: SLF001
    height, width, _ = windows.image
    down, right = windows.starts()
    tables = []
    for top in down:
        for left in right:
            rows = [h for h in range(top, top + windows.size[0]) if 0 <= h < height]
            columns = [w for w in range(left, left + windows.size[1]) if 0 <= w < width]
            tables.append([h * width + w for h in rows for w in columns])
    most = max(map(len, tables))
    table = np.array([pixels + [-1] * (most - len(pixels)) for pixels in tables])
    if memo and most == 4 and table.min() >= 0 and len(np.unique(table)) == table.size:  # 2 x 2, side by side
        forward, backward = largest_of_four, to_largest_of_four
    return _write(layer, program, x, forward, backward, table, memo=memo)


def _write(layer: Any, program: Program, x: int, forward: Any, backward: Any, table: Any, *, memo: bool) -> int:
    """Plan both ways; the table has the pixels of each window, filled up with -1."""
    inputs, outputs = math.prod(layer.input_shape), math.prod(layer.output_shape)
    y, channels = program.room(outputs), layer.output_shape[-1]
    at = program.memo(outputs) if memo else 0
    own = (len(table), channels, program.constant(table * channels), table.shape[1], at)
    operands: dict[str, Any] = {"x": x, "y": y, "inputs": inputs, "outputs": outputs, "own": own}
    program.forward(forward, **operands)
    program.slope(backward, **operands)
    program.overwritable.add(y)
    return y


@compiled
def _memo(T, op, base, n, row, rows):
    """Return which pixel of each window of these rows is the largest."""
    width = integer(op, slots.OUTPUTS)
    return vector(T, integer(base, slots.MEMO), n * integer(op, AT) + row * width, rows * width)


@operation
def largest(T, op, base, n, row, rows):
    """Put the largest value of each window into y, and its index into the memo: the first, if there are several."""
    inputs, outputs, channels = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(op, CHANNELS)
    x, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    memo = _memo(T, op, base, n, row, rows)
    table, most = integer(op, TABLE), integer(op, MOST)
    for r in range(rows):
        image = part(x, r * inputs, inputs)
        for w in range(integer(op, COUNT)):
            out, where = part(y, r * outputs + w * channels, channels), part(memo, r * outputs + w * channels, channels)
            pixel = part(image, integer(table, w * most), channels)
            for c in range(channels):
                out[c] = pixel[c]
                where[c] = T(0)
            for k in range(1, most):
                if integer(table, w * most + k) < 0:
                    break
                pixel = part(image, integer(table, w * most + k), channels)
                for c in range(channels):
                    better = pixel[c] > out[c] or pixel[c] != pixel[c]
                    out[c] = pixel[c] if better else out[c]
                    where[c] = T(k) if better else where[c]


@operation
def largest_of_four(T, op, base, n, row, rows):
    """Do the same for windows of four pixels, all at once: that is most of them."""
    inputs, outputs, channels = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(op, CHANNELS)
    x, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    memo, table = _memo(T, op, base, n, row, rows), integer(op, TABLE)
    for r in range(rows):
        image = part(x, r * inputs, inputs)
        for w in range(integer(op, COUNT)):
            out, where = part(y, r * outputs + w * channels, channels), part(memo, r * outputs + w * channels, channels)
            a, b = part(image, integer(table, 4 * w), channels), part(image, integer(table, 4 * w + 1), channels)
            c, d = part(image, integer(table, 4 * w + 2), channels), part(image, integer(table, 4 * w + 3), channels)
            for k in range(channels):
                above, below = max(a[k], b[k]), max(c[k], d[k])
                out[k] = max(above, below)
                first, second = T(0) if a[k] >= b[k] else T(1), T(2) if c[k] >= d[k] else T(3)
                where[k] = first if above >= below else second


@operation
def to_largest_of_four(T, op, base, n, row, rows):
    """Put dy of each window into dx of its largest pixel, and 0 into the others; no other window has these."""
    inputs, outputs, channels = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(op, CHANNELS)
    dy, dx = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    memo, table = _memo(T, op, base, n, row, rows), integer(op, TABLE)
    if 4 * outputs < inputs:  # some pixels are in no window
        for i in range(dx.size):
            dx[i] = T(0)
    for r in range(rows):
        image = part(dx, r * inputs, inputs)
        for w in range(integer(op, COUNT)):
            at = r * outputs + w * channels
            slope, where = part(dy, at, channels), part(memo, at, channels)
            a, b = part(image, integer(table, 4 * w), channels), part(image, integer(table, 4 * w + 1), channels)
            c, d = part(image, integer(table, 4 * w + 2), channels), part(image, integer(table, 4 * w + 3), channels)
            for k in range(channels):
                a[k] = slope[k] if where[k] == T(0) else T(0)
                b[k] = slope[k] if where[k] == T(1) else T(0)
                c[k] = slope[k] if where[k] == T(2) else T(0)
                d[k] = slope[k] if where[k] == T(3) else T(0)


@operation
def to_largest(T, op, base, n, row, rows):
    """Add dy of each window to dx of its largest pixel."""
    inputs, outputs, channels = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(op, CHANNELS)
    dy, dx = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    memo = _memo(T, op, base, n, row, rows)
    table, most = integer(op, TABLE), integer(op, MOST)
    for i in range(dx.size):
        dx[i] = T(0)
    for r in range(rows):
        image = part(dx, r * inputs, inputs)
        for w in range(integer(op, COUNT)):
            at = r * outputs + w * channels
            for c in range(channels):
                image[integer(table, w * most + int(memo[at + c])) + c] += dy[at + c]


@operation
def mean(T, op, base, n, row, rows):
    """Put the mean of each window into y."""
    inputs, outputs, channels = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(op, CHANNELS)
    x, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    table, most = integer(op, TABLE), integer(op, MOST)
    for r in range(rows):
        image = part(x, r * inputs, inputs)
        for w in range(integer(op, COUNT)):
            out, pixels = part(y, r * outputs + w * channels, channels), 0
            for c in range(channels):
                out[c] = T(0)
            for k in range(most):
                if integer(table, w * most + k) < 0:
                    break
                pixel = part(image, integer(table, w * most + k), channels)
                pixels += 1
                for c in range(channels):
                    out[c] += pixel[c]
            for c in range(channels):
                out[c] *= T(1 / pixels)


@operation
def to_all(T, op, base, n, row, rows):
    """Add dy / m of each window to dx of its m pixels."""
    inputs, outputs, channels = integer(op, slots.INPUTS), integer(op, slots.OUTPUTS), integer(op, CHANNELS)
    dy, dx = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    table, most = integer(op, TABLE), integer(op, MOST)
    for i in range(dx.size):
        dx[i] = T(0)
    for r in range(rows):
        image = part(dx, r * inputs, inputs)
        for w in range(integer(op, COUNT)):
            slope, pixels = part(dy, r * outputs + w * channels, channels), 0
            while pixels < most and integer(table, w * most + pixels) >= 0:
                pixels += 1
            for k in range(pixels):
                pixel = part(image, integer(table, w * most + k), channels)
                for c in range(channels):
                    pixel[c] += slope[c] * T(1 / pixels)
