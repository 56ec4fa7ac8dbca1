"""Convolutional layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from chainrule._internal.checks import check_count
from chainrule._internal.rows import column_sums
from chainrule._internal.typing import Array, Float
from chainrule.initializers import Fans, Initializer, Zeros
from chainrule.layers.base import Layer, as_initializer
from chainrule.layers.windows import Columns, check_padding, check_pair, find_windows
from chainrule.memo import Memo
from chainrule.parameters import Parameter, Shape

__all__ = ["Conv2D"]

PRODUCTS = 16  # multiplications of a matrix product in the time of copying one value


@final
@dataclass(eq=False, repr=False)
class Conv2D(Layer):
    """2-D convolution: a Dense layer with shared weights, applied to every window of an image.

    .. formula::

        c: the kh · kw · channels values of the window at row r, column q of image n, as one row
        y = c W + b            for every window
        y[n, r, q, f] = b[f] + Σᵢⱼₖ x[n, r s + i d, q s + j d, k] W[i, j, k, f]

        y has (height + padding − d (kh − 1) − 1) // s + 1 rows, and columns alike; padding counts both sides

        dW = cᵀ dy             summed over all windows of all images
        db = Σ dy
        dc = dy Wᵀ             and dx of a pixel is the sum of dc over all windows and positions that contain it

    s is the stride and d the dilation. As in other libraries, W is not flipped.

    Parameters
    ----------
    filters : int
        Number of channels of y.
    size : int or (int, int)
        Height and width of the windows.
    stride : int or (int, int)
        Step from one window to the next.
    padding : "valid", "same", int, (int, int) or (int, int, int, int)
        Zeros around the image: none; as many as make y as large as x at stride 1; the number on every side; the numbers
        for (top and bottom, left and right); or for (top, bottom, left, right).
    dilation : int or (int, int)
        Step from one pixel of a window to the next.
    groups : int
        Number of groups of channels and filters. Each filter reads only the channels of its group.
    weights, biases : Initializer or str, optional
        As for :class:`Dense`; ``biases=None`` omits b, for example before a BatchNorm.

    Attributes
    ----------
    W : (kh, kw, channels / groups, filters) array
    b : (filters,) array or None

    Raises
    ------
    ValueError
        If x is not an image, is smaller than a window, or its channels or the filters are not divisible by ``groups``.

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
    (batch, channels, height, width) and (filters, channels / groups, kh, kw). At strides above 1, "same" puts the odd
    pixel at the end, as TensorFlow does; PyTorch rejects it.

    c is never stored as a whole, because it is kh · kw times as large as the images: the windows of a few images at a
    time are copied for a matrix product (``Columns`` in ``layers/windows.py``), and again in ``backward``.

    Source: LeCun et al., "Gradient-based learning applied to document recognition" (1998); as a matrix product,
    Chellapilla, Puri and Simard, "High performance convolutional neural networks for document processing" (2006).
    """

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
        self.weights = as_initializer("weights", self.weights)
        self.biases = as_initializer("biases", self.biases)
        if self.biases is None:
            self.b = None

    def output(self, input_shape: Shape) -> Shape:
        size, stride, dilation = (check_pair("Conv2D", n, getattr(self, n)) for n in ("size", "stride", "dilation"))
        self._windows = find_windows(input_shape, size, stride, dilation, check_padding("Conv2D", self.padding))
        if input_shape[2] % self.groups:
            raise ValueError(f"expects a number of channels divisible by {self.groups} groups")
        return (*self._windows.output, self.filters)

    def operations(self) -> int:
        reads = self._windows.reads(self.input_shape[2])
        return reads + reads * self.filters // self.groups // PRODUCTS

    def parameters(self) -> dict[str, Parameter]:
        kh, kw = self._windows.size
        channels, filters = self.input_shape[2] // self.groups, self.filters // self.groups
        fans = Fans(kh * kw * channels, kh * kw * filters)  # within one group
        parameters = {"W": Parameter((kh, kw, channels, self.filters), self.weights, fans)}  # type: ignore[arg-type]
        if self.biases is not None:
            parameters["b"] = Parameter((self.filters,), self.biases, fans, weight=False)  # type: ignore[arg-type]
        return parameters

    def columns(self, x: Float[Array, "batch height width channels"], memo: Memo) -> Columns:
        """Return c, the matrix with every window of every image as a row, for products with W."""
        return Columns(self._windows, x, self.W, self.groups, memo)

    def forward(
        self, x: Float[Array, "batch height width channels"], memo: Memo
    ) -> Float[Array, "batch rows columns filters"]:
        memo.x = x  # backward copies the windows again
        y = self.columns(x, memo).product(out=memo.y)  # y = c W
        if self.b is not None:
            y += self.b  # + b, for every window
        return y

    def backward(
        self, dy: Float[Array, "batch rows columns filters"], memo: Memo
    ) -> Float[Array, "batch height width channels"] | None:
        c = self.columns(memo.x, memo)
        memo.dW = c.gradient(dy, out=memo.dW)  # dW = cᵀ dy
        if self.b is not None:
            memo.db = column_sums(dy, out=memo.db)  # db = Σ dy
        if not memo.dx_wanted:
            return None
        return c.spread(dy, out=memo.dx)  # dc = dy Wᵀ, summed over the windows that contain a pixel
