"""Sliding windows over images, shared by convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.parts import PARTS, blocks, in_parts, scratch
from chainrule._internal.typing import Array
from chainrule.parameters import Shape

Pair = tuple[int, int]
MAX_PADDING = 1000  # pixels on a side; bounds the memory that a model file can make a prediction allocate
COLUMNS = 2**20  # values of windows copied at a time: 4 MiB in float32, which stay in the cache
SHORT = 16  # values in a row of a window below which copying position by position is faster


class Windows(NamedTuple):
    """The positions of a layer's windows on images of shape (height, width, channels)."""

    image: Shape
    size: Pair  # of a window
    stride: Pair
    dilation: Pair
    padding: tuple[Pair, Pair]  # (top, bottom), (left, right)
    output: Pair  # number of windows down and across

    @property
    def padded(self) -> bool:
        """Whether the image is padded."""
        return self.padding != ((0, 0), (0, 0))

    @property
    def padded_shape(self) -> Shape:
        """The shape of an image with its padding."""
        (top, bottom), (left, right) = self.padding
        height, width, channels = self.image
        return height + top + bottom, width + left + right, channels

    def reads(self, channels: int) -> int:
        """Return the number of values in all windows of an image with this number of channels."""
        return math.prod((*self.output, *self.size, channels))

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """Return the images padded with ``value``: x itself without padding, else an array in this thread's scratch."""
        if not self.padded:
            return x
        padded = scratch("padded", (len(x), *self.padded_shape[:2], x.shape[-1]), x.dtype)
        padded[...] = value
        self.inside(padded)[...] = x
        return padded

    def inside(self, padded: Array) -> Array:
        """Return the view of padded images without the padding."""
        (top, _), (left, _) = self.padding
        return padded[:, top : top + self.image[0], left : left + self.image[1]]

    def starts(self) -> tuple[Array, Array]:
        """Return the first rows and the first columns of the windows; they are negative in the padding."""
        (down, right), ((top, _), (left, _)), (rows, columns) = self.stride, self.padding, self.output
        return np.arange(rows) * down - top, np.arange(columns) * right - left

    def offsets(self) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
        """Yield every position (i, j) in a window, and the index into padded images of that position in all windows."""
        (high, wide), (down, right), (rows, columns) = self.dilation, self.stride, self.output
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                top, left = i * high, j * wide
                yield i, j, (
                    slice(None),
                    slice(top, top + down * (rows - 1) + 1, down),
                    slice(left, left + right * (columns - 1) + 1, right),
                )  # fmt: skip

    def places(self) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """Yield, for every position in a window, the pixels there and their windows, leaving out the padding.

        They are indices into images x and into y: ``x[pixels]`` and ``y[windows]`` have the same shape and correspond.
        """
        down, right = self._along(0), self._along(1)
        for pixels_down, windows_down in down:
            for pixels_right, windows_right in right:
                yield (slice(None), pixels_down, pixels_right), (slice(None), windows_down, windows_right)

    def _along(self, axis: int) -> list[tuple[slice, slice]]:
        """Return the same along one axis."""
        n, stride, count = self.image[axis], self.stride[axis], self.output[axis]
        found = []
        for i in range(self.size[axis]):
            at = i * self.dilation[axis] - self.padding[axis][0]  # the pixel in the first window, or padding
            first, last = max(0, -(at // stride)), min(count - 1, (n - 1 - at) // stride)
            if first <= last:
                pixels = slice(at + first * stride, at + last * stride + 1, stride)
                found.append((pixels, slice(first, last + 1)))
        return found

    def view(self, padded: Array) -> Array:
        """Return all windows, (batch, rows, columns, window height, window width, channels), as a view: no copy."""
        batch, down, right, channel = padded.strides
        shape = (len(padded), *self.output, *self.size, padded.shape[-1])
        steps = (down * self.stride[0], right * self.stride[1], down * self.dilation[0], right * self.dilation[1])
        return np.lib.stride_tricks.as_strided(padded, shape, (batch, *steps, channel), writeable=False)


class Columns:
    """The windows of images as the rows of a matrix c: (windows of all images, values of a window).

    c is never stored as a whole, because it is kh · kw times as large as the images. The windows of a few images at a
    time are copied to rows that stay in the cache for a matrix product; threads share the batch. W is
    (kh, kw, channels / groups, filters): each group of filters reads only its channels.
    """

    def __init__(self, windows: Windows, x: Array, W: Array, groups: int) -> None:
        self.windows, self.x, self.W, self.groups = windows, x, W, groups
        self.channels, self.filters = W.shape[2], W.shape[3]

    def product(self, out: Array | None) -> Array:
        """Return c W: (batch, rows, columns, filters)."""
        shape = (len(self.x), *self.windows.output, self.filters)
        y = np.empty(shape, self.x.dtype) if out is None else out
        self._each_block(lambda block: self._product(block, y[block]), y)
        return y

    def _product(self, block: slice, y: Array) -> None:
        padded, y = self.windows.pad(self.x[block]), y.reshape(-1, self.filters)
        matrix = self.W.reshape(-1, self.filters)
        for channels, filters in self._groups():
            c, weights = self._columns(padded[..., channels]), matrix[:, filters]
            if self.groups == 1:
                np.dot(c, weights, out=y)
            else:
                y[:, filters] = np.dot(c, weights, out=scratch("product", (len(c), weights.shape[1]), c.dtype))

    def gradient(self, dy: Array, out: Array | None) -> Array:
        """Return cᵀ dy: (kh, kw, channels / groups, filters)."""
        sums = scratch("sums", (PARTS, *self.W.shape), dy.dtype)
        parts = self._in_parts(lambda p, rows: self._add_gradient(sums[p], rows, dy), dy)
        total: Array = np.sum(sums[:parts], axis=0, out=out)
        return total

    def _add_gradient(self, dW: Array, rows: slice, dy: Array) -> None:
        dW[...] = 0
        for block in self._blocks(rows):
            padded = self.windows.pad(self.x[block])
            for channels, filters in self._groups():
                c, error = self._columns(padded[..., channels]), self._of_group(dy[block], filters)
                product = scratch("product", (c.shape[1], error.shape[1]), c.dtype)
                np.dot(c.T, error, out=product)
                dW[..., filters] += product.reshape(*self.windows.size, -1, error.shape[1])

    def spread(self, dy: Array, out: Array | None) -> Array:
        """Return dx: for every pixel, the sum of dy Wᵀ over all windows, and positions in them, that contain it."""
        dx = np.empty_like(self.x) if out is None else out
        self._each_block(lambda block: self._spread(dy[block], dx[block]), dy)
        return dx

    def _spread(self, dy: Array, dx: Array) -> None:
        """Add position by position: one product each is faster than one for all, whose result is not contiguous."""
        windows, padded = self.windows, dx
        if windows.padded:
            padded = scratch("spread", (len(dx), *windows.padded_shape), dx.dtype)
        padded[...] = 0
        dc = scratch("columns", (len(dx), *windows.output, self.channels), dy.dtype)
        for channels, filters in self._groups():
            error = self._of_group(dy, filters)
            for i, j, where in windows.offsets():
                np.dot(error, self.W[i, j][:, filters].T, out=dc.reshape(len(error), -1))
                padded[(*where, channels)] += dc
        if windows.padded:
            dx[...] = windows.inside(padded)

    def _columns(self, padded: Array) -> Array:
        """Return the windows of a few images as the rows of a matrix, in this thread's scratch."""
        windows = self.windows.view(padded)
        count, (kh, kw, channels) = math.prod(windows.shape[:3]), windows.shape[3:]
        columns = scratch("columns", windows.shape, padded.dtype)
        if kw * channels < SHORT or self.windows.dilation[1] > 1:
            for i, j, where in self.windows.offsets():
                columns[:, :, :, i, j] = padded[where]
        else:
            columns[...] = windows
        return columns.reshape(count, kh * kw * channels)

    def _groups(self) -> Iterator[tuple[slice, slice]]:
        """Yield the channels and the filters of each group."""
        channels, filters = self.channels, self.filters // self.groups
        for g in range(self.groups):
            yield slice(channels * g, channels * (g + 1)), slice(filters * g, filters * (g + 1))

    def _of_group(self, dy: Array, filters: slice) -> Array:
        """Return the filters of a group as a contiguous array, which products do not need to copy."""
        rows = dy.reshape(-1, self.filters)
        if self.groups == 1:
            return rows
        some = scratch("some", (len(rows), filters.stop - filters.start), dy.dtype)
        some[...] = rows[:, filters]
        return some

    def _each_block(self, work: Callable[[slice], None], y: Array) -> None:
        def part(_: int, rows: slice) -> None:
            for block in self._blocks(rows):
                work(block)

        self._in_parts(part, y)

    def _in_parts(self, work: Callable[[int, slice], Any], y: Array) -> int:
        return in_parts(work, len(self.x), y.size * self.windows.size[0] * self.windows.size[1])

    def _blocks(self, rows: slice) -> Iterator[slice]:
        return blocks(rows, math.prod(self.windows.output) * self.W[..., 0].size, COLUMNS)


def find_windows(image: Shape, size: Pair, stride: Pair, dilation: Pair, padding: str | tuple[Pair, Pair]) -> Windows:
    """Return the windows on images of this shape; raise an error if there are none.

    Along an axis with n pixels, p pixels of padding, size k, dilation d and stride s, there are
    ``(n + p − d (k − 1) − 1) // s + 1`` windows. With "same" padding there are ``⌈n / s⌉``, with the odd pixel of
    padding at the end, as in TensorFlow.

    >>> find_windows((5, 5, 1), (3, 3), (2, 2), (1, 1), "same").output
    (3, 3)
    """
    if len(image) != 3:
        raise ValueError("expects images, shape (height, width, channels)")
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    if padding == "same":
        around = [max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(image, stride, reach, strict=False)]
        pairs = tuple((p // 2, p - p // 2) for p in around)
    else:
        pairs = ((0, 0), (0, 0)) if padding == "valid" else padding  # type: ignore[assignment]
    if max(map(max, pairs)) > MAX_PADDING:
        raise ValueError(
            f"padding {pairs} (top, bottom), (left, right): expects at most {MAX_PADDING:,} pixels per side"
        )
    counts = [(n + sum(p) - r) // s + 1 for n, p, r, s in zip(image[:2], pairs, reach, stride, strict=True)]
    if min(counts) < 1:
        extra = "" if pairs == ((0, 0), (0, 0)) else f" and padding {pairs}"
        raise ValueError(
            f"windows of {reach[0]} x {reach[1]} are larger than the image: "
            f"expects at least that many pixels, height x width{extra}"
        )
    return Windows(image, size, stride, dilation, pairs, (counts[0], counts[1]))  # type: ignore[arg-type]


def check_pair(owner: str, name: str, value: Any, least: int = 1) -> Pair:
    """Return one number for both axes, or (down, across), as a pair.

    >>> check_pair("Conv2D", "stride", 0)
    Traceback (most recent call last):
    ...
    ValueError: Conv2D: stride: expected a whole number of at least 1, got 0.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise ValueError(f"{owner}: {name}: expected one number or two, (height, width), got {value!r}.")
        return check_count(owner, name, value[0], least), check_count(owner, name, value[1], least)
    number = check_count(owner, name, value, least)
    return number, number


def check_padding(owner: str, value: Any) -> str | tuple[Pair, Pair]:
    """Return "valid", "same", or the padding in pixels: ((top, bottom), (left, right)).

    >>> check_padding("Conv2D", 1), check_padding("Conv2D", (1, 2))
    (((1, 1), (1, 1)), ((1, 1), (2, 2)))
    """
    if isinstance(value, str):
        if value not in ("valid", "same"):
            raise ValueError(f"{owner}: padding: expected 'valid', 'same' or numbers of pixels, got {value!r}.")
        return value
    if isinstance(value, Sequence) and len(value) == 4:
        top, bottom, left, right = (check_count(owner, "padding", n, 0) for n in value)
        return (top, bottom), (left, right)
    if isinstance(value, Sequence) and len(value) != 2:
        raise ValueError(
            f"{owner}: padding: expected one number, two or four (top, bottom, left, right), got {value!r}."
        )
    high, wide = check_pair(owner, "padding", value, 0)
    return (high, high), (wide, wide)
