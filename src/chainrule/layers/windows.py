"""Sliding windows over images, shared by convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.backend import empty
from chainrule._internal.checks import check_count
from chainrule._internal.typing import Array
from chainrule.memo import Memo
from chainrule.parameters import Shape

Pair = tuple[int, int]
MAX_PADDING = 1000  # pixels on a side; bounds the memory that a model file can make a prediction allocate
BLOCK = 2**19  # values of windows that are copied at a time (2 MiB in float32), or those of one image
Slices = tuple[slice, slice, slice]


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
        """Return the images padded with ``value``: x itself without padding."""
        if not self.padded:
            return x
        padded = np.full_like(x, value, order="C", shape=(len(x), *self.padded_shape[:2], x.shape[-1]))
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

    def places(self) -> Iterator[tuple[Pair, Slices, Slices]]:
        """Yield each position (i, j) in a window, the pixels there, and their windows, leaving out the padding.

        They are indices into images x and into y: ``x[pixels]`` and ``y[windows]`` have the same shape and correspond.
        """
        down, right = self._along(0), self._along(1)
        for i, pixels_down, windows_down in down:
            for j, pixels_right, windows_right in right:
                yield (i, j), (slice(None), pixels_down, pixels_right), (slice(None), windows_down, windows_right)

    def _along(self, axis: int) -> list[tuple[int, slice, slice]]:
        """Return these positions along one axis, with their pixels and windows."""
        n, stride, count = self.image[axis], self.stride[axis], self.output[axis]
        found = []
        for i in range(self.size[axis]):
            at = i * self.dilation[axis] - self.padding[axis][0]  # the pixel in the first window, or padding
            first, last = max(0, -(at // stride)), min(count - 1, (n - 1 - at) // stride)
            if first <= last:
                pixels = slice(at + first * stride, at + last * stride + 1, stride)
                found.append((i, pixels, slice(first, last + 1)))
        return found

    def view(self, padded: Array) -> Array:
        """Return all windows, (batch, rows, columns, window height, window width, channels), as a view: no copy."""
        reach = tuple(d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True))
        every = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))
        (down, right), (high, wide) = self.stride, self.dilation
        return every[:, ::down, ::right, :, ::high, ::wide].transpose(0, 1, 2, 4, 5, 3)


class Columns:
    """The windows of images as the rows of a matrix c: (windows of all images, values of a window).

    c is never stored as a whole, because it is kh · kw times as large as the images: the windows of a few images at a
    time are copied for one product. W is (kh, kw, channels / groups, filters). Each group of filters reads only its
    channels, so there is one matrix per group.
    """

    def __init__(self, windows: Windows, x: Array, W: Array, groups: int, memo: Memo) -> None:
        self.windows, self.x, self.W, self.groups = windows, x, W, groups
        self.kept = memo if memo.training else Memo()  # a prediction does not hold the memory of all its layers

    def product(self, out: Array | None) -> Array:
        """Return c W: (batch, rows, columns, filters)."""
        y = empty((len(self.x), *self.windows.output, self.W.shape[-1]), self.x) if out is None else out
        for images, memory in self._blocks():
            np.matmul(self._copied(images, memory), self._by_group(self.W), out=self._by_group(y[images]))
        return y

    def gradient(self, dy: Array, out: Array | None) -> Array:
        """Return cᵀ dy: (kh, kw, channels / groups, filters)."""
        dW = np.empty_like(self.W) if out is None else out
        dW[...] = 0
        total, kept = self._by_group(dW), self.kept
        for images, memory in self._blocks():
            c = self._copied(images, memory)
            kept.share = np.matmul(c.swapaxes(1, 2), self._by_group(dy[images]), out=kept.share)
            total += kept.share
        return dW

    def spread(self, dy: Array, out: Array | None) -> Array:
        """Return dx: dc = dy Wᵀ, summed for each pixel over the windows, and positions in them, that contain it."""
        dx = np.empty_like(self.x) if out is None else out
        dx[...] = 0
        (kh, kw, channels, filters), groups = self.W.shape, self.groups
        W = self.W.reshape(kh, kw, channels, groups, filters // groups).transpose(0, 1, 3, 4, 2)
        for images, memory in self._blocks():
            dc = memory.reshape(kh, kw, groups, -1, channels)
            np.matmul(self._by_group(dy[images]), W, out=dc)
            dc = np.moveaxis(dc.reshape(kh, kw, groups, -1, *self.windows.output, channels), 2, -2)
            sums = dx[images].reshape(-1, *self.windows.image[:2], groups, channels)
            for position, pixels, windows in self.windows.places():
                sums[pixels] += dc[position][windows]
        return dx

    def _blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield a few images at a time, and memory for the values of their windows."""
        each, kept = self.windows.reads(self.x.shape[-1]), self.kept
        most = min(len(self.x), max(1, BLOCK // each))
        if kept.columns is None or kept.columns.size < most * each:
            kept.columns = empty((most * each,), self.x)
            kept.padded = self.windows.pad(self.x[:most]) if self.windows.padded else None
        for start in range(0, len(self.x), most or 1):
            images = slice(start, min(start + most, len(self.x)))
            yield images, kept.columns[: (images.stop - start) * each]

    def _copied(self, images: slice, memory: Array) -> Array:
        """Copy the windows of these images; return the rows of c for each group: (groups, windows, values)."""
        x, (kh, kw, channels, _) = self.x[images], self.W.shape
        if self.windows.padded:
            self.windows.inside(self.kept.padded)[: len(x)] = x
            x = self.kept.padded[: len(x)]
        c = memory.reshape(self.groups, len(x), *self.windows.output, kh, kw, channels)
        windows = self.windows.view(x)
        c[...] = np.moveaxis(windows.reshape(*windows.shape[:-1], self.groups, channels), -2, 0)
        return c.reshape(self.groups, -1, kh * kw * channels)

    def _by_group(self, values: Array) -> Array:
        """Return an array whose last axis is channels or filters as a matrix per group: (groups, rows, of a group)."""
        return values.reshape(-1, self.groups, values.shape[-1] // self.groups).swapaxes(0, 1)


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
