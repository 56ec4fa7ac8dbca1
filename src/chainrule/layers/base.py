"""The layer contract: ``self`` holds what is learned, ``memo`` holds the data of the current batch."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from chainrule import initializers
from chainrule._internal.config import Config
from chainrule._internal.names import key, named, public_classes
from chainrule._internal.typing import Array, Float
from chainrule.initializers import GlorotUniform, Initializer
from chainrule.memo import Memo
from chainrule.parameters import Parameter, Shape

SHIPPED: dict[str, type[Layer]] = {}
"""The built-in layers by name: those that :mod:`chainrule.layers` exports."""


class Layer(Config, ABC):
    """Base class for layers, the differentiable functions that make up a network.

    Subclasses implement ``forward`` and ``backward``. A layer that changes the shape also implements ``output``, and
    one with parameters ``parameters``. The layer that you construct is a specification: a :class:`~chainrule.Network`
    copies it, sets ``input_shape`` and ``output_shape``, and binds every parameter to an attribute of its name
    (``self.W``), a view of the network's ``theta``.

    ``forward`` and ``backward`` write only to ``memo``, never to ``self``, ``x`` or ``dy``. ``backward`` stores the
    gradient of a parameter ``W`` in ``memo.dW`` and returns dL/dx, or None if ``memo.dx_wanted`` is false, that is, for
    the first layer with parameters.

    A layer with running statistics, such as BatchNorm, declares them in ``statistics``. They are bound like parameters
    but are not updated by gradient descent: ``update_statistics`` updates them after each step.

    The class attributes below describe a layer to the network, the estimators, the command line and the tests;
    activations are recognized by their base class.

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
    """The initializer for weights in front of this layer; None if it depends on a later layer, as for dropout."""

    random: ClassVar[bool] = False
    """Whether the layer draws random numbers in training."""

    sparse: ClassVar[str] = "refused"
    """How sparse rows are treated: "refused", "taken", or "handed on" to the next layer."""

    equations: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """The equations for worked examples, as arguments of :class:`chainrule.tracing.Equations`."""

    inner: tuple[Layer, ...] = ()
    """The layers inside this one."""

    def output(self, input_shape: Shape) -> Shape:
        """Return the shape of one sample of y, given that of x; raise a ``ValueError`` if x is incompatible."""
        return input_shape

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name."""
        return {}

    def operations(self) -> int:
        """Return the approximate number of values read to compute y for one sample, an estimate of the cost."""
        return math.prod(self.output_shape)

    def buffers(self) -> dict[str, Shape]:
        """Return the buffers to allocate in the memo in addition to y and dx: name and shape for one sample."""
        return {}

    def integer_columns(self) -> dict[int, int]:
        """Return the columns of x that hold categories, with their numbers of categories. dx is 0 there."""
        return {}

    def statistics(self) -> dict[str, Parameter]:
        """Return the running statistics by name, with their shapes and initial values."""
        return {}

    def update_statistics(self, memo: Memo, momentum: float | None = None) -> None:
        """Update the running statistics with a training batch; ``momentum`` is the weight of the old values.

        This is the only method that modifies the layer. The training loop calls it after the passes of each batch.
        """

    def check_batch(self, name: str, rows: int) -> None:
        """Raise an error if batches of ``rows`` rows are too small; ``name`` is the layer's name in the message."""
        for i, layer in enumerate(self.inner):
            layer.check_batch(f"{name}.{i}", rows)

    def generator(self, memo: Memo) -> Any:
        """Return the random generator for a training batch; raise an error if the memo has none."""
        if memo.rng is None:
            name = type(self).__name__
            raise ValueError(
                f"{name}: training needs a random generator: Memo(training=True, rng=np.random.default_rng(0))."
            )
        return memo.rng

    @abstractmethod
    def forward(self, x: Float[Array, "batch *inputs"], memo: Memo) -> Float[Array, "batch *outputs"]:
        """Return y, and store in ``memo`` what ``backward`` needs."""

    @abstractmethod
    def backward(self, dy: Float[Array, "batch *outputs"], memo: Memo) -> Float[Array, "batch *inputs"] | None:
        """Return dL/dx given dL/dy (or None if ``memo.dx_wanted`` is false); store dL/dW in ``memo.dW``."""


def initialized(
    layers: Sequence[Layer], next_initializer: Initializer | None = None
) -> tuple[list[dict[str, Parameter]], Initializer | None]:
    """Return the parameters of every layer with their initializers, and the initializer for a layer before them.

    Weights without an initializer use the ``default_initializer`` of the next activation. ``next_initializer`` is that
    of the layer after the last one; without one, Glorot is used.
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
        elif any(parameter.weight for parameter in parameters[-1].values()):  # those of BatchNorm are not weights
            next_initializer = GlorotUniform()
    return parameters[::-1], next_initializer


def as_initializer(name: str, value: Initializer | str | None, *, needed: bool = False) -> Initializer | None:
    """Return an initializer, given as an object or by name; None is allowed unless ``needed``."""
    if value is None and not needed:
        return None
    if isinstance(value, str):
        table = public_classes(initializers, Initializer)
        if key(value) not in map(key, table) and key(value) in map(key, SHIPPED):  # Keras's Dense(30, "relu")
            cls = next(cls for cls in SHIPPED if key(cls) == key(value))
            raise ValueError(
                f"{name}: {value!r} is a layer: put it into the network's list, [Dense(30), {cls}(), ...]."
            )
    chosen: Initializer = named(name, value, Initializer, initializers)
    return chosen


def as_layers(owner: str, layers: Layer | Sequence[Layer | str]) -> tuple[Layer, ...]:
    """Return copies of the layers, at least one; a name stands for a layer with its defaults."""
    if not isinstance(layers, Layer | str | Iterable):
        raise TypeError(f"{owner}: expected layers such as [Dense(10), ReLU()], got {layers!r}.")
    given = [layers] if isinstance(layers, Layer | str) else list(layers)
    if not given:
        raise ValueError(f"{owner}: expected at least one layer, got none. For example: layers=[Dense(10)].")
    return tuple(_as_layer(i, layer) for i, layer in enumerate(given))


def _as_layer(i: int, layer: Any) -> Layer:
    if isinstance(layer, type) and issubclass(layer, Layer):
        raise TypeError(f"layer {i}: got the class {layer.__name__}; give an instance: {layer.__name__}(...).")
    if isinstance(layer, str):
        layer = named("layer", layer, Layer, SHIPPED)
    if not isinstance(layer, Layer):
        raise TypeError(f"layer {i}: expected a Layer such as Dense(10) or ReLU(), got {layer!r}.")
    return copy.copy(layer)
