"""The contract of a layer: ``self`` is what was learned, ``memo`` is what happened to this batch."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from chainrule._internal.config import Specification
from chainrule._internal.names import named
from chainrule._internal.typing import Array, Float
from chainrule.initializers import Fans, GlorotUniform, Initializer
from chainrule.memo import Memo

Shape = tuple[int, ...]


class Parameter(NamedTuple):
    """What a layer asks the network for: one array of parameters.

    ``weight`` tells weights from biases: penalties leave biases alone unless they are asked not to.
    """

    shape: Shape
    initializer: Initializer
    fans: Fans
    weight: bool = True


class Layer(Specification, ABC):
    """One differentiable step of a network.

    A layer of your own needs ``forward`` and ``backward``; one that changes the shape also ``output``, one that learns
    also ``parameters``. What the constructor is given is the specification. A :class:`~chainrule.Network` makes
    its own copy, sets ``input_shape`` and ``output_shape``, and binds every parameter as an attribute under its name
    (``self.W``), a view of the network's ``theta``.

    The rules: ``forward`` and ``backward`` write only to ``memo``, never to ``self``, to ``x`` or to ``dy``. The
    gradient of a parameter ``W`` is left in ``memo.dW``. ``backward`` returns dL/dx, which may be None when
    ``memo.dx_wanted`` is false: in front of the first layer that learns.

    A layer that measures its batches while training, as BatchNorm does, names its ``statistics``. They are bound as the
    parameters are, but no gradient moves them: ``commit`` does, after the step.

    Examples
    --------
    >>> class Square(Layer):
    ...     def forward(self, x, memo):
    ...         memo.x = x
    ...         return x * x
    ...     def backward(self, dy, memo):
    ...         return dy * 2 * memo.x          # d(x²)/dx = 2x
    >>> import numpy as np
    >>> memo = Memo()
    >>> Square().forward(np.array([[3.0]]), memo), Square().backward(np.array([[1.0]]), memo)
    (array([[9.]]), array([[6.]]))
    """

    input_shape: Shape
    output_shape: Shape

    suits: ClassVar[Initializer | None] = None
    """The initializer for weights that feed this layer; None where the layer does not care (dropout)."""

    blocked: ClassVar[bool] = False
    """Whether it does parts of the rows in threads of its own; BLAS shall use one then."""

    inner: tuple[Layer, ...] = ()
    """The layers inside of this one."""

    def output(self, input_shape: Shape) -> Shape:
        """Return the shape of one sample of y, given that of x; a ``ValueError`` where x does not fit."""
        return input_shape

    def parameters(self, following: Initializer = GlorotUniform()) -> dict[str, Parameter]:  # noqa: B008
        """Return the parameters by name; ``following`` is what the next activation suggests for weights."""
        return {}

    def operations(self) -> int:
        """Return about how many numbers are read for y of one sample: what its time grows with."""
        return math.prod(self.output_shape)

    def buffers(self) -> dict[str, Shape]:
        """Return what to plan in the memo besides y and dx: name and shape for one sample."""
        return {}

    def whole(self) -> dict[int, int]:
        """Return the columns of x that are whole numbers, and how many there are: y has no slope in them, dx is 0."""
        return {}

    def statistics(self) -> dict[str, Parameter]:
        """Return what is measured while training, by name, and how it starts."""
        return {}

    def commit(self, memo: Memo, keep: float | None = None) -> None:
        """Take what the memo has of a training batch into the statistics; ``keep`` is how much of the old ones stays.

        The one place where a layer writes to itself. The training loop calls it after the step.
        """

    def check_batch(self, name: str, rows: int) -> None:
        """Refuse to learn from batches of so few rows; ``name`` is the layer's, for the message."""
        for i, layer in enumerate(self.inner):
            layer.check_batch(f"{name}.{i}", rows)

    @abstractmethod
    def forward(self, x: Float[Array, "batch *inputs"], memo: Memo) -> Float[Array, "batch *outputs"]:
        """Return y, and leave in ``memo`` what ``backward`` will need."""

    @abstractmethod
    def backward(self, dy: Float[Array, "batch *outputs"], memo: Memo) -> Float[Array, "batch *inputs"] | None:
        """Return dL/dx given dL/dy (or None when ``memo.dx_wanted`` is false); leave dL/dW in ``memo.dW``."""


def following_parameters(
    layers: Sequence[Layer],
    following: Initializer = GlorotUniform(),  # noqa: B008
) -> tuple[list[dict[str, Parameter]], Initializer]:
    """Return the parameters of every layer, weights as the next activation suggests: Glorot where there is none.

    ``following`` is what comes after the last layer; also returned is what these layers suggest to the one before.
    """
    parameters: list[dict[str, Parameter]] = []
    for layer in reversed(layers):
        parameters.append(layer.parameters(following))
        if layer.suits is not None:
            following = layer.suits
        elif any(parameter.weight for parameter in parameters[-1].values()):  # those of BatchNorm are none
            following = GlorotUniform()
    return parameters[::-1], following


def specifications(owner: str, layers: Layer | Sequence[Layer | str]) -> tuple[Layer, ...]:
    """Return copies of what shall be layers, at least one of them; a name stands for a layer with its defaults."""
    if not isinstance(layers, Layer | str | Iterable):
        raise TypeError(f"{owner}: expected layers such as [Dense(10), ReLU()], got {layers!r}.")
    given = [layers] if isinstance(layers, Layer | str) else list(layers)
    if not given:
        raise ValueError(f"{owner}: expected at least one layer, got none: for example layers=[Dense(10)].")
    return tuple(_specification(i, layer) for i, layer in enumerate(given))


def _specification(i: int, layer: Any) -> Layer:
    from chainrule import layers as module  # noqa: PLC0415  (all of them, which this file is the base of)

    if isinstance(layer, type) and issubclass(layer, Layer):
        raise TypeError(f"layer {i}: got the class {layer.__name__}; give an object of it: {layer.__name__}(...).")
    if isinstance(layer, str):
        layer = named("layer", layer, Layer, module)
    if not isinstance(layer, Layer):
        raise TypeError(f"layer {i}: expected a Layer such as Dense(10) or ReLU(), got {layer!r}.")
    return copy.copy(layer)
