"""Residual blocks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from chainrule._internal.typing import Array, Float
from chainrule.layers.base import Layer, as_layers, initialized
from chainrule.memo import Memo
from chainrule.parameters import Parameter, Shape

__all__ = ["Residual"]


@final
@dataclass(eq=False, repr=False)
class Residual(Layer):
    """Residual block: a sequence of layers whose input is added to their output.

    .. formula::

        y = x + f(x)          f(x) = layerₙ(… layer₁(x))

        dx = dy + dy · ∂f/∂x  the shortcut passes dy on unchanged; the other term comes from the backward passes of f

    Parameters
    ----------
    layers : sequence of Layer
        Their output must have the shape of their input.

    Attributes
    ----------
    inner : tuple of Layer
        The bound layers: ``network.layers[2].inner[0].W``, called ``layers.2.0.W`` in files, penalties and the layout.

    Raises
    ------
    ValueError
        If the layers change the shape.

    Examples
    --------
    >>> import chainrule as cr
    >>> block = Residual([cr.layers.Dense(3, weights="zeros"), cr.layers.Tanh()])
    >>> network = cr.Network(3, [block], "squared_error", dtype="float64")
    >>> network.predict([[1.0, 2.0, 3.0]])                       # f(x) = 0
    array([[1., 2., 3.]])

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015); "Identity mappings in deep
    residual networks" (2016).
    """

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        self.layers = as_layers("Residual", self.layers)

    @property
    def inner(self) -> tuple[Layer, ...]:  # type: ignore[override]
        """The layers inside this one."""
        return self.layers  # type: ignore[return-value]

    def __copy__(self) -> Residual:
        other = object.__new__(Residual)
        vars(other).update(vars(self), layers=tuple(copy.copy(layer) for layer in self.layers))
        return other

    def output(self, input_shape: Shape) -> Shape:
        shape = input_shape
        for i, layer in enumerate(self.inner):
            layer.input_shape = shape
            try:
                layer.output_shape = shape = layer.output(shape)
            except ValueError as error:
                raise ValueError(f"its layer {i}, {layer!r}: {error} and gets shape {layer.input_shape}") from error
        if shape != input_shape:
            raise ValueError(f"its layers output shape {shape}, so it expects inputs of shape {shape}")
        return shape

    def operations(self) -> int:
        return sum(layer.operations() for layer in self.inner) + super().operations()

    def parameters(self) -> dict[str, Parameter]:
        inside, _ = initialized(self.inner)
        return {f"{i}.{name}": parameter for i, named in enumerate(inside) for name, parameter in named.items()}

    def statistics(self) -> dict[str, Parameter]:
        return {f"{i}.{name}": s for i, layer in enumerate(self.inner) for name, s in layer.statistics().items()}

    def update_statistics(self, memo: Memo, momentum: float | None = None) -> None:
        for layer, inside in zip(self.inner, memo.inner, strict=True):
            layer.update_statistics(inside, momentum)

    def forward(self, x: Float[Array, "batch *shape"], memo: Memo) -> Float[Array, "batch *shape"]:
        memo.inner = memo.inner or [Memo(training=memo.training, rng=memo.rng) for _ in self.inner]
        f: Any = x
        for layer, inside in zip(self.inner, memo.inner, strict=True):
            f = layer.forward(f, inside)
        return np.add(x, f, out=memo.y)  # y = x + f(x)

    def backward(self, dy: Float[Array, "batch *shape"], memo: Memo) -> Float[Array, "batch *shape"] | None:
        df: Any = dy
        for layer, inside in zip(reversed(self.inner), reversed(memo.inner), strict=True):
            df = layer.backward(df, inside)
            if df is None:  # no earlier layer has parameters
                return None
        return np.add(dy, df, out=memo.dx)  # dx = dy + dy · ∂f/∂x
