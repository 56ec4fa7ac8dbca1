"""Windows that slide over images: what convolution and pooling have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.parts import scratch
from chainrule._internal.typing import Array
from chainrule.layers.base import Shape

Pair = tuple[int, int]
MOST_PADDING = 1000  # pixels on a side; what a file may make a prediction allocate depends on it


class Windows(NamedTuple):
    """Where the windows of a layer lie on images (height, width, channels) of one shape."""

    image: Shape
    size: Pair  # of a window
    stride: Pair
    dilation: Pair
    padding: tuple[Pair, Pair]  # (top, bottom), (left, right)
    output: Pair  # how many windows, downwards and to the right

    @property
    def padded(self) -> bool:
        """Whether there is anything around the image."""
        return self.padding != ((0, 0), (0, 0))

    @property
    def padded_shape(self) -> Shape:
        """The shape of an image with what is around it."""
        (top, bottom), (left, right) = self.padding
        height, width, channels = self.image
        return height + top + bottom, width + left + right, channels

    def reads(self, channels: int) -> int:
        """Return how many numbers all windows of an image have, in so many channels."""
        return math.prod((*self.output, *self.size, channels))

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """Return the images with ``value`` around them: x itself where nothing is, else in this thread's scratch."""
        if not self.padded:
            return x
        padded = scratch("padded", (len(x), *self.padded_shape[:2], x.shape[-1]), x.dtype)
        padded[...] = value
        self.inside(padded)[...] = x
        return padded

    def inside(self, padded: Array) -> Array:
        """Return the view of padded images that is the images."""
        (top, _), (left, _) = self.padding
        return padded[:, top : top + self.image[0], left : left + self.image[1]]

    def starts(self) -> tuple[Array, Array]:
        """Return where the windows begin, downwards and to the right; below 0 on what is around the image."""
        (down, right), ((top, _), (left, _)), (rows, columns) = self.stride, self.padding, self.output
        return np.arange(rows) * down - top, np.arange(columns) * right - left

    def offsets(self) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
        """Yield every place (i, j) in a window, and the index of what padded images have there, over all windows."""
        (high, wide), (down, right), (rows, columns) = self.dilation, self.stride, self.output
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                top, left = i * high, j * wide
                yield i, j, (
                    slice(None),
                    slice(top, top + down * (rows - 1) + 1, down),
                    slice(left, left + right * (columns - 1) + 1, right),
                )  # fmt: skip

    def view(self, padded: Array) -> Array:
        """Return all windows, (batch, rows, columns, window height, window width, channels), as a view: no copy."""
        batch, down, right, channel = padded.strides
        shape = (len(padded), *self.output, *self.size, padded.shape[-1])
        steps = (down * self.stride[0], right * self.stride[1], down * self.dilation[0], right * self.dilation[1])
        return np.lib.stride_tricks.as_strided(padded, shape, (batch, *steps, channel), writeable=False)


def find_windows(image: Shape, size: Pair, stride: Pair, dilation: Pair, padding: str | tuple[Pair, Pair]) -> Windows:
    """Return the windows on images of a shape, or say why there are none.

    Per axis, with n pixels, p around them, size k, dilation d and stride s:
    ``(n + p − d (k − 1) − 1) // s + 1`` windows. "same" makes that ``⌈n / s⌉``, with the odd pixel of padding at the
    end, as TensorFlow does.

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
    if max(map(max, pairs)) > MOST_PADDING:
        raise ValueError(
            f"padding {pairs} (top, bottom), (left, right): expects at most {MOST_PADDING:,} pixels a side"
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
    """Return one number for both axes, or (downwards, to the right), as a pair.

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
    """Return "valid", "same", or how many pixels are added: ((top, bottom), (left, right)).

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
