"""Layers that only change the shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.typing import Array, Float
from chainrule.layers.base import Layer
from chainrule.memo import Memo
from chainrule.parameters import Shape

__all__ = ["Flatten", "Reshape"]


@final
@dataclass(eq=False, repr=False)
class Flatten(Layer):
    """Flatten each sample to one row, with the last axis varying fastest.

    .. formula::

        y = x            as (batch, height · width · channels)
        dx = dy          as x was

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Memo
    >>> Flatten().forward(np.ones((2, 4, 4, 3)), Memo()).shape
    (2, 48)

    Source: Keras's ``Flatten``. PyTorch flattens (channels, height, width), so its order is different.
    """

    def output(self, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)

    def forward(self, x: Float[Array, "batch *inputs"], memo: Memo) -> Float[Array, "batch outputs"]:
        memo.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: Float[Array, "batch outputs"], memo: Memo) -> Float[Array, "batch *inputs"]:
        return dy.reshape(memo.shape)


@final
@dataclass(eq=False, repr=False)
class Reshape(Layer):
    """Reshape each sample, for example rows of 784 pixels to images.

    .. formula::

        y = x            as (batch, ...shape)
        dx = dy          as x was

    Parameters
    ----------
    shape : sequence of int
        Shape of one sample of y. One size may be −1, which is inferred.

    Raises
    ------
    ValueError
        If the number of values differs.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(784, [Reshape((28, 28, 1)), cr.layers.Flatten()], "squared_error")
    >>> network.layers[0].output_shape
    (28, 28, 1)

    Source: NumPy's ``reshape``.
    """

    shape: int | Sequence[int]

    def __post_init__(self) -> None:
        given = list(self.shape) if isinstance(self.shape, Sequence | np.ndarray) else [self.shape]
        self.shape = tuple(n if n == -1 else check_count("Reshape", "shape", n) for n in given)
        if not self.shape or self.shape.count(-1) > 1:
            raise ValueError(f"Reshape: shape: expected sizes, at most one of them −1, got {self.shape}.")

    def output(self, input_shape: Shape) -> Shape:
        sizes: tuple[int, ...] = self.shape  # type: ignore[assignment]  # since __post_init__
        size, known = math.prod(input_shape), math.prod(n for n in sizes if n != -1)
        shape = tuple(size // known if n == -1 else n for n in sizes)
        if math.prod(shape) != size:
            raise ValueError(f"expects {known} numbers{' or a multiple' if -1 in sizes else ''} for {sizes}")
        return shape

    def forward(self, x: Float[Array, "batch *inputs"], memo: Memo) -> Float[Array, "batch *outputs"]:
        memo.shape = x.shape
        return x.reshape(len(x), *self.output_shape)

    def backward(self, dy: Float[Array, "batch *outputs"], memo: Memo) -> Float[Array, "batch *inputs"]:
        return dy.reshape(memo.shape)
