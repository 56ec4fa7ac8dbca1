"""Pooling layers, which reduce every window of an image to one value per channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from chainrule._internal.backend import empty, like
from chainrule._internal.typing import Array, Float
from chainrule.layers.base import Layer
from chainrule.layers.windows import Windows, check_padding, check_pair, find_windows
from chainrule.memo import Memo
from chainrule.parameters import Shape

__all__ = ["AveragePool2D", "GlobalAveragePool2D", "MaxPool2D"]


@final
@dataclass(eq=False, repr=False)
class MaxPool2D(Layer):
    """Maximum pooling: the largest value of every window, for each channel.

    .. formula::

        y = max x          over the window; (height + padding − k) // s + 1 rows, and columns alike
        dx = dy            at the maximum, 0 elsewhere; summed if a pixel is the maximum of several windows

    Among equal maxima, the first in the window, row by row, receives dy.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the windows.
    stride : int or (int, int), optional
        Step from one window to the next; ``size`` by default, so that windows do not overlap.
    padding : "valid", "same", int, (int, int) or (int, int, int, int)
        As for :class:`Conv2D`, but with −∞, so that padding is never the maximum.

    Raises
    ------
    ValueError
        If x is not an image, or is smaller than a window.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network((2, 4, 1), [MaxPool2D(2), cr.layers.Flatten()], "squared_error", dtype="float64")
    >>> network.predict(np.arange(8.0).reshape(1, 2, 4, 1))
    array([[5., 7.]])

    Notes
    -----
    PyTorch and TensorFlow also give dy to the first of equal maxima. A last window that does not fit is omitted;
    PyTorch includes it with ``ceil_mode=True``.

    Source: Ranzato et al., "Unsupervised learning of invariant feature hierarchies with applications to object
    recognition" (2007).
    """

    size: int | Sequence[int] = 2
    stride: int | Sequence[int] | None = None
    padding: str | int | Sequence[int] = "valid"

    def __post_init__(self) -> None:
        _check(self)

    def output(self, input_shape: Shape) -> Shape:
        self._windows = _find(self, input_shape)
        return (*self._windows.output, input_shape[2])

    def operations(self) -> int:
        return self._windows.reads(self.input_shape[2])

    def buffers(self) -> dict[str, Shape]:
        return {"left": self.output_shape, "largest": self.output_shape}

    def forward(
        self, x: Float[Array, "batch height width channels"], memo: Memo
    ) -> Float[Array, "batch rows columns channels"]:
        memo.x = x  # backward locates the maxima again
        memo.y = y = empty((len(x), *self.output_shape), x) if memo.y is None else memo.y
        y[...] = -np.inf
        for _, pixels, windows in self._windows.places():
            np.maximum(y[windows], x[pixels], out=y[windows])  # y = max over the window
        return y

    def backward(
        self, dy: Float[Array, "batch rows columns channels"], memo: Memo
    ) -> Float[Array, "batch height width channels"]:
        x, y = memo.x, memo.y
        dx = np.empty_like(x) if memo.dx is None else memo.dx
        largest = np.empty_like(y) if memo.largest is None else memo.largest
        left = np.positive(dy, out=memo.left)  # the part of dy not yet assigned to a pixel
        dx[...] = 0
        for _, pixels, windows in self._windows.places():
            error = np.equal(x[pixels], y[windows], out=largest[windows])
            error *= left[windows]
            dx[pixels] += error  # dx = dy at the maximum, 0 elsewhere
            left[windows] -= error  # later pixels with the same value get nothing
        return dx


@final
@dataclass(eq=False, repr=False)
class AveragePool2D(Layer):
    """Average pooling: the mean of every window, for each channel.

    .. formula::

        y = Σ x / m            over the m pixels of the image in the window; output shape as for MaxPool2D
        dx = Σ dy / m          over the windows that contain the pixel

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the windows.
    stride : int or (int, int), optional
        Step from one window to the next; ``size`` by default, so that windows do not overlap.
    padding : "valid", "same", int, (int, int) or (int, int, int, int)
        As for :class:`Conv2D`. Padding does not count in the mean.

    Raises
    ------
    ValueError
        If x is not an image, or is smaller than a window.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network((2, 4, 1), [AveragePool2D(2), cr.layers.Flatten()], "squared_error", dtype="float64")
    >>> network.predict(np.arange(8.0).reshape(1, 2, 4, 1))
    array([[2.5, 4.5]])

    Notes
    -----
    Padding does not count in Keras, TensorFlow and ONNX either; in PyTorch it does unless ``count_include_pad=False``.

    Source: LeCun et al., "Backpropagation applied to handwritten zip code recognition" (1989): subsampling.
    """

    size: int | Sequence[int] = 2
    stride: int | Sequence[int] | None = None
    padding: str | int | Sequence[int] = "valid"

    def __post_init__(self) -> None:
        _check(self)

    def output(self, input_shape: Shape) -> Shape:
        self._windows = _find(self, input_shape)
        return (*self._windows.output, input_shape[2])

    def operations(self) -> int:
        return self._windows.reads(self.input_shape[2])

    def buffers(self) -> dict[str, Shape]:
        return {"share": self.output_shape}

    def share(self, dtype: np.dtype[Any]) -> Array:
        """Return 1 / m of every window."""
        down, right = (
            np.minimum(starts + k, n) - np.maximum(starts, 0)  # the pixels along each axis that are not padding
            for n, k, starts in zip(self._windows.image, self._windows.size, self._windows.starts(), strict=False)
        )
        return (1 / (down[:, np.newaxis] * right))[..., np.newaxis].astype(dtype)

    def forward(
        self, x: Float[Array, "batch height width channels"], memo: Memo
    ) -> Float[Array, "batch rows columns channels"]:
        y = empty((len(x), *self.output_shape), x) if memo.y is None else memo.y
        y[...] = 0
        for _, pixels, windows in self._windows.places():
            y[windows] += x[pixels]
        y *= like(self.share(x.dtype), x)  # y = Σ x / m
        return y

    def backward(
        self, dy: Float[Array, "batch rows columns channels"], memo: Memo
    ) -> Float[Array, "batch height width channels"]:
        dx = empty((len(dy), *self.input_shape), dy) if memo.dx is None else memo.dx
        share = np.multiply(dy, like(self.share(dy.dtype), dy), out=memo.share)  # dy / m
        dx[...] = 0
        for _, pixels, windows in self._windows.places():
            dx[pixels] += share[windows]  # dx = Σ dy / m
        return dx


@final
@dataclass(eq=False, repr=False)
class GlobalAveragePool2D(Layer):
    """Global average pooling: the mean of every channel over the whole image.

    .. formula::

        y = Σ x / m            over the m = height · width pixels: (batch, channels)
        dx = dy / m            for every pixel

    Raises
    ------
    ValueError
        If x is not an image.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network((2, 2, 1), [GlobalAveragePool2D()], "squared_error", dtype="float64")
    >>> network.predict(np.arange(4.0).reshape(1, 2, 2, 1))
    array([[1.5]])

    Source: Lin, Chen and Yan, "Network in network" (2013).
    """

    def output(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise ValueError("expects images, shape (height, width, channels)")
        return (input_shape[2],)

    def forward(self, x: Float[Array, "batch height width channels"], memo: Memo) -> Float[Array, "batch channels"]:
        return np.mean(x, axis=(1, 2), out=memo.y)

    def backward(self, dy: Float[Array, "batch channels"], memo: Memo) -> Float[Array, "batch height width channels"]:
        height, width, channels = self.input_shape
        dx = empty((len(dy), height, width, channels), dy) if memo.dx is None else memo.dx
        dx[...] = (dy / (height * width)).reshape(-1, 1, 1, channels)  # dx = dy / m
        return dx


def _check(layer: MaxPool2D | AveragePool2D) -> None:
    owner = type(layer).__name__
    check_pair(owner, "size", layer.size)
    if layer.stride is not None:
        check_pair(owner, "stride", layer.stride)
    check_padding(owner, layer.padding)


def _find(layer: MaxPool2D | AveragePool2D, image: Shape) -> Windows:
    """Return the windows; raise an error if one covers only padding, where there is no maximum or mean."""
    owner = type(layer).__name__
    size = check_pair(owner, "size", layer.size)
    stride = size if layer.stride is None else check_pair(owner, "stride", layer.stride)
    windows = find_windows(image, size, stride, (1, 1), check_padding(owner, layer.padding))
    for n, (before, _), k, s, count in zip(image[:2], windows.padding, size, stride, windows.output, strict=True):
        if before >= k or (count - 1) * s - before >= n:
            raise ValueError(f"a window covers only padding: expects padding {windows.padding} below size {size}")
    return windows
