"""Convolution of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from chainrule import initializers
from chainrule._internal.checks import check_count
from chainrule._internal.names import named
from chainrule._internal.parts import PARTS, blocks, in_parts, scratch
from chainrule._internal.special import column_sums
from chainrule._internal.typing import Array, Float
from chainrule.initializers import Fans, GlorotUniform, Initializer, Zeros
from chainrule.layers.base import Layer, Parameter, Shape
from chainrule.layers.windows import check_padding, check_pair, find_windows
from chainrule.memo import Memo

COLUMNS = 2**20  # numbers of the windows that are copied at a time: 4 MiB in float32, which stay in the cache
SHORT = 16  # numbers of a window's row, below which copying place by place is faster
PRODUCTS = 16  # that a matrix product does in the time in which a number is copied


class Group(NamedTuple):
    """Which channels and filters belong together, and their weights as a matrix."""

    weights: Array
    channels: slice
    filters: slice


@final
@dataclass(eq=False, repr=False)
class Conv2D(Layer):
    """Convolution of images: every window of the image is one row of a Dense layer, all with the same weights.

    .. code-block:: text

        c(n, r, q) = the kh · kw · channels numbers of the window at row r, column q of image n, in one row
        y = c W + b            for every window: y[n, r, q, f] = b[f] + Σᵢⱼₖ x[n, r s + i d, q s + j d, k] W[i, j, k, f]

        y has (height + padding − d (kh − 1) − 1) // s + 1 rows, and columns alike; padding is of both sides

        dW = cᵀ dy             summed over all windows of all images
        db = Σ dy
        dc = dy Wᵀ             and every pixel's dx is the sum of dc over the windows, and the places, where it lies

    s is the stride and d the dilation. It is what every library calls convolution: W is not flipped.

    Parameters
    ----------
    filters : int
        The number of channels of y.
    size : int or (int, int)
        Height and width of the windows.
    stride : int or (int, int)
        From one window to the next.
    padding : "valid", "same", int, (int, int) or (int, int, int, int)
        Zeros around the image: none; as many as make y as large as x at stride 1; so many on every side; at top and
        bottom, and left and right; or top, bottom, left, right.
    dilation : int or (int, int)
        From one pixel of a window to the next.
    groups : int
        Channels and filters are cut into so many groups, and each filter sees its group of channels only.
    weights, biases : Initializer or str, optional
        As in :class:`Dense`; ``biases=None`` leaves b out, as in front of a BatchNorm.

    Attributes
    ----------
    W : (kh, kw, channels / groups, filters) array
    b : (filters,) array or None

    Raises
    ------
    ValueError
        When x is no image, a window is larger than it, or channels or filters cannot be cut into the groups.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network((28, 28, 1), [Conv2D(8, 5), cr.layers.Flatten()], "squared_error", seed=0)
    >>> network
    Network: (28, 28, 1) inputs, SquaredError(), float32, 208 parameters
      0  Conv2D(8, size=5)  (28, 28, 1) -> (24, 24, 8)  W (5, 5, 1, 8)  b (8,)
      1  Flatten()          (24, 24, 8) -> 4608

    Notes
    -----
    Images are (batch, height, width, channels) and W is (kh, kw, channels / groups, filters), as in Keras. PyTorch has
    (batch, channels, height, width) and (filters, channels / groups, kh, kw). At strides above 1 "same" puts the odd
    pixel at the end, as TensorFlow does; PyTorch refuses it.

    The windows are a view of the image with strides; a few images at a time are copied into rows, which stay in the
    cache for one matrix product, and backward makes them again: all windows together would be kh · kw times the image.

    Source: LeCun et al., "Gradient-based learning applied to document recognition" (1998); as a matrix product,
    Chellapilla, Puri and Simard, "High performance convolutional neural networks for document processing" (2006).
    """

    blocked: ClassVar[bool] = True

    filters: int
    size: int | Sequence[int] = 3
    stride: int | Sequence[int] = 1
    padding: str | int | Sequence[int] = "valid"
    dilation: int | Sequence[int] = 1
    groups: int = 1
    weights: Initializer | str | None = None
    biases: Initializer | str | None = Zeros()  # noqa: RUF009  (frozen)

    W: Float[Array, "height width channels filters"] = field(init=False)
    b: Float[Array, "filters"] | None = field(init=False)

    def __post_init__(self) -> None:
        self.filters = check_count("Conv2D", "filters", self.filters)
        self.groups = check_count("Conv2D", "groups", self.groups)
        for name in ("size", "stride", "dilation"):
            check_pair("Conv2D", name, getattr(self, name))
        check_padding("Conv2D", self.padding)
        if self.filters % self.groups:
            raise ValueError(f"Conv2D: groups: {self.groups} groups do not divide {self.filters} filters.")
        if self.weights is not None:
            self.weights = named("weights", self.weights, Initializer, initializers)
        if self.biases is None:
            self.b = None
        else:
            self.biases = named("biases", self.biases, Initializer, initializers)

    def output(self, input_shape: Shape) -> Shape:
        self._windows = find_windows(
            input_shape,
            check_pair("Conv2D", "size", self.size),
            check_pair("Conv2D", "stride", self.stride),
            check_pair("Conv2D", "dilation", self.dilation),
            check_padding("Conv2D", self.padding),
        )
        if input_shape[2] % self.groups:
            raise ValueError(f"expects channels that {self.groups} groups divide")
        return (*self._windows.output, self.filters)

    def operations(self) -> int:
        reads = self._windows.reads(self.input_shape[2])
        return reads + reads * self.filters // self.groups // PRODUCTS

    def parameters(self, following: Initializer = GlorotUniform()) -> dict[str, Parameter]:  # noqa: B008
        kh, kw = self._windows.size
        channels, filters = self.input_shape[2] // self.groups, self.filters // self.groups
        fans = Fans(kh * kw * channels, kh * kw * filters)  # of a number of y, and from a number of x, in one group
        weights = following if self.weights is None else self.weights
        parameters = {"W": Parameter((kh, kw, channels, self.filters), weights, fans)}  # type: ignore[arg-type]
        if self.biases is not None:
            parameters["b"] = Parameter((self.filters,), self.biases, fans, weight=False)  # type: ignore[arg-type]
        return parameters

    def forward(
        self, x: Float[Array, "batch height width channels"], memo: Memo
    ) -> Float[Array, "batch rows columns filters"]:
        memo.x = x  # backward makes the windows again
        y = np.empty((len(x), *self.output_shape), x.dtype) if memo.y is None else memo.y
        groups = self._groups()

        def part(_: int, rows: slice) -> None:
            for block in self._blocks(rows):
                padded, out = self._windows.pad(x[block]), y[block].reshape(-1, self.filters)
                for weights, channels, filters in groups:
                    c = self._columns(padded[..., channels])
                    if len(groups) == 1:
                        np.dot(c, weights, out=out)  # y = c W
                    else:
                        product = scratch("product", (len(c), weights.shape[1]), c.dtype)
                        out[:, filters] = np.dot(c, weights, out=product)
                if self.b is not None:
                    out += self.b  # + b

        in_parts(part, len(x), y.size * self._windows.size[0] * self._windows.size[1])
        return y

    def backward(
        self, dy: Float[Array, "batch rows columns filters"], memo: Memo
    ) -> Float[Array, "batch height width channels"] | None:
        x, windows, groups = memo.x, self._windows, self._groups()
        dx = None
        if memo.dx_wanted:
            dx = np.empty_like(x) if memo.dx is None else memo.dx
        size = dy.size * windows.size[0] * windows.size[1]
        sums = scratch("sums", (PARTS, *self.W.shape), dy.dtype)

        def part(p: int, rows: slice) -> None:
            dW = sums[p]
            dW[...] = 0
            for block in self._blocks(rows):
                padded, error = windows.pad(x[block]), dy[block].reshape(-1, self.filters)
                spread = None if dx is None else self._nothing(dx[block])
                for group in groups:
                    e = error if len(groups) == 1 else self._of_group(error, group)
                    c = self._columns(padded[..., group.channels])
                    product = scratch("product", (c.shape[1], e.shape[1]), c.dtype)
                    np.dot(c.T, e, out=product)  # cᵀ dy
                    dW[..., group.filters] += product.reshape(*windows.size, -1, e.shape[1])
                    if spread is not None:
                        self._spread(e, spread, group)
                if dx is not None and spread is not None and windows.padded:
                    dx[block] = windows.inside(spread)

        parts = in_parts(part, len(x), size)
        memo.dW = np.sum(sums[:parts], axis=0, out=memo.dW)  # dW = cᵀ dy
        if self.b is not None:
            memo.db = column_sums(dy.reshape(-1, self.filters), out=memo.db)  # db = Σ dy
        return dx

    def _columns(self, padded: Array) -> Array:
        """Return the windows of a few images as rows of a matrix, in this thread's scratch."""
        windows = self._windows.view(padded)
        count, (kh, kw, channels) = int(np.prod(windows.shape[:3])), windows.shape[3:]
        columns = scratch("columns", windows.shape, padded.dtype)
        if kw * channels < SHORT or self._windows.dilation[1] > 1:
            for i, j, where in self._windows.offsets():
                columns[:, :, :, i, j] = padded[where]
        else:
            columns[...] = windows
        return columns.reshape(count, kh * kw * channels)

    def _nothing(self, dx: Array) -> Array:
        """Return zeros to add dx of a few images to, what is around them included: dx itself where nothing is."""
        windows = self._windows
        spread = scratch("spread", (len(dx), *windows.padded_shape), dx.dtype) if windows.padded else dx
        spread[...] = 0
        return spread

    def _spread(self, dy: Array, spread: Array, group: Group) -> None:
        """Add dx of a few images: what lies in several windows, at one place in each, is the sum of all dy Wᵀ there.

        Place by place: a product for each is faster than one for all, whose result would be read with gaps.
        """
        dc = scratch("columns", (len(spread), *self._windows.output, self.W.shape[2]), dy.dtype)
        for i, j, where in self._windows.offsets():
            np.dot(dy, self.W[i, j][:, group.filters].T, out=dc.reshape(len(dy), -1))
            spread[(*where, group.channels)] += dc  # dx = Σ dy W[i, j]ᵀ over the places

    def _of_group(self, dy: Array, group: Group) -> Array:
        """Return the filters of a group without gaps, which a product would copy each time."""
        some = scratch("some", (len(dy), self.filters // self.groups), dy.dtype)
        some[...] = dy[:, group.filters]
        return some

    def _groups(self) -> list[Group]:
        channels, filters = self.W.shape[2], self.filters // self.groups
        matrix = self.W.reshape(-1, self.filters)
        cuts = [
            (slice(channels * g, channels * (g + 1)), slice(filters * g, filters * (g + 1))) for g in range(self.groups)
        ]
        return [Group(matrix[:, chosen], seen, chosen) for seen, chosen in cuts]

    def _blocks(self, rows: slice) -> Any:
        rows_of_one = self._windows.output[0] * self._windows.output[1]
        return blocks(rows, rows_of_one * self.W[..., 0].size, COLUMNS)
