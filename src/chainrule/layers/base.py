"""The contract of a layer: ``self`` is what was learned, ``memo`` is what happened to this batch."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from chainrule import initializers
from chainrule._internal.config import Config
from chainrule._internal.names import key, named, public_classes
from chainrule._internal.typing import Array, Float
from chainrule.initializers import GlorotUniform, Initializer
from chainrule.memo import Memo
from chainrule.parameters import Parameter, Shape

SHIPPED: dict[str, type[Layer]] = {}
"""The layers that have a name: those that :mod:`chainrule.layers` exports."""


class Layer(Config, ABC):
    """One differentiable step of a network.

    A custom layer needs ``forward`` and ``backward``; one that changes the shape also ``output``, one that learns also
    ``parameters``. The layer that you construct is a description: a :class:`~chainrule.Network` makes its own copy,
    sets ``input_shape`` and ``output_shape``, and binds every parameter as an attribute under its name (``self.W``), a
    view of the network's ``theta``.

    The rules: ``forward`` and ``backward`` write only to ``memo``, never to ``self``, to ``x`` or to ``dy``. The
    gradient of a parameter ``W`` is left in ``memo.dW``. ``backward`` returns dL/dx, which may be None when
    ``memo.dx_wanted`` is false: in front of the first layer that learns.

    A layer that measures its batches while training, as BatchNorm does, names its ``statistics``. They are bound as the
    parameters are, but no gradient moves them: ``update_statistics`` does, after the step.

    What a layer is, its class says: by ``random``, ``sparse`` and the other attributes below, and activations by their
    base class. The estimators, the command line, the network and the tests ask for it.

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

    default_initializer: ClassVar[Initializer | None] = None
    """The initializer for weights that feed this layer; None where the layer does not care (dropout)."""

    random: ClassVar[bool] = False
    """Whether it draws random numbers while training."""

    sparse: ClassVar[str] = "refused"
    """What it does with sparse rows: "refused", "taken", or "handed on" to the next layer."""

    blocked: ClassVar[bool] = False
    """Whether its helpers do parts of the rows in threads; BLAS shall use one then."""

    equations: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """What a worked example prints, by the arguments of :class:`chainrule.tracing.Equations`."""

    inner: tuple[Layer, ...] = ()
    """The layers inside this one."""

    def output(self, input_shape: Shape) -> Shape:
        """Return the shape of one sample of y, given that of x; a ``ValueError`` where x does not fit."""
        return input_shape

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name."""
        return {}

    def operations(self) -> int:
        """Return about how many numbers are read for y of one sample: what its time grows with."""
        return math.prod(self.output_shape)

    def buffers(self) -> dict[str, Shape]:
        """Return what to plan in the memo besides y and dx: name and shape for one sample."""
        return {}

    def integer_columns(self) -> dict[int, int]:
        """Return the columns of x that hold categories, and the number of these: y has no slope there, dx is 0."""
        return {}

    def statistics(self) -> dict[str, Parameter]:
        """Return what is measured while training, by name, and how it starts."""
        return {}

    def update_statistics(self, memo: Memo, momentum: float | None = None) -> None:
        """Update the statistics with a training batch; ``momentum`` is the share of the old ones that stays.

        The one place where a layer writes to itself. The training loop calls it after the step.
        """

    def check_batch(self, name: str, rows: int) -> None:
        """Refuse to learn from batches of so few rows; ``name`` is the layer's, for the message."""
        for i, layer in enumerate(self.inner):
            layer.check_batch(f"{name}.{i}", rows)

    def generator(self, memo: Memo) -> np.random.Generator:
        """Return what to draw random numbers from for a training batch, or say that the memo has nothing."""
        if memo.rng is None:
            name = type(self).__name__
            raise ValueError(f"{name}: training needs randomness: Memo(training=True, rng=np.random.default_rng(0)).")
        rng: np.random.Generator = memo.rng
        return rng

    @abstractmethod
    def forward(self, x: Float[Array, "batch *inputs"], memo: Memo) -> Float[Array, "batch *outputs"]:
        """Return y, and leave in ``memo`` what ``backward`` will need."""

    @abstractmethod
    def backward(self, dy: Float[Array, "batch *outputs"], memo: Memo) -> Float[Array, "batch *inputs"] | None:
        """Return dL/dx given dL/dy (or None when ``memo.dx_wanted`` is false); leave dL/dW in ``memo.dW``."""


def initialized(
    layers: Sequence[Layer], next_initializer: Initializer | None = None
) -> tuple[list[dict[str, Parameter]], Initializer | None]:
    """Return the parameters of every layer, each with an initializer, and the one for a layer before these.

    Weights that have none are drawn as the next activation suggests, by its ``default_initializer``.
    ``next_initializer`` is what comes after the last layer; where nothing does, Glorot is used.
    """
    parameters: list[dict[str, Parameter]] = []
    for layer in reversed(layers):
        parameters.append(
            {
                name: p if p.initializer else p._replace(initializer=next_initializer)
                for name, p in layer.parameters().items()
            }
        )
        if layer.default_initializer is not None:
            next_initializer = layer.default_initializer
        elif any(parameter.weight for parameter in parameters[-1].values()):  # those of BatchNorm are none
            next_initializer = GlorotUniform()
    return parameters[::-1], next_initializer


def as_initializer(name: str, value: Initializer | str | None, *, needed: bool = False) -> Initializer | None:
    """Return an initializer, or the one that a name stands for; None stays None unless one is needed."""
    if value is None and not needed:
        return None
    if isinstance(value, str):
        table = public_classes(initializers, Initializer)
        if key(value) not in map(key, table) and key(value) in map(key, SHIPPED):  # Keras' Dense(30, "relu")
            cls = next(cls for cls in SHIPPED if key(cls) == key(value))
            raise ValueError(
                f"{name}: {value!r} is a layer, which has a place of its own in the network: [Dense(30), {cls}(), ...]."
            )
    chosen: Initializer = named(name, value, Initializer, initializers)
    return chosen


def as_layers(owner: str, layers: Layer | Sequence[Layer | str]) -> tuple[Layer, ...]:
    """Return copies of the layers, at least one of them; a name stands for a layer with its defaults."""
    if not isinstance(layers, Layer | str | Iterable):
        raise TypeError(f"{owner}: expected layers such as [Dense(10), ReLU()], got {layers!r}.")
    given = [layers] if isinstance(layers, Layer | str) else list(layers)
    if not given:
        raise ValueError(f"{owner}: expected at least one layer, got none: for example layers=[Dense(10)].")
    return tuple(_as_layer(i, layer) for i, layer in enumerate(given))


def _as_layer(i: int, layer: Any) -> Layer:
    if isinstance(layer, type) and issubclass(layer, Layer):
        raise TypeError(f"layer {i}: got the class {layer.__name__}; give an object of it: {layer.__name__}(...).")
    if isinstance(layer, str):
        layer = named("layer", layer, Layer, SHIPPED)
    if not isinstance(layer, Layer):
        raise TypeError(f"layer {i}: expected a Layer such as Dense(10) or ReLU(), got {layer!r}.")
    return copy.copy(layer)
