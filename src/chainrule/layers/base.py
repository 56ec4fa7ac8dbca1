"""The contract of a layer: ``self`` is what was learned, ``memo`` is what happened to this batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from chainrule._specification import Specification
from chainrule._typing import Array, Float
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

    def output(self, input_shape: Shape) -> Shape:
        """Return the shape of one sample of y, given that of x; a ``ValueError`` where x does not fit."""
        return input_shape

    def parameters(self, following: Initializer = GlorotUniform()) -> dict[str, Parameter]:  # noqa: B008
        """Return the parameters by name; ``following`` is what the next activation suggests for weights."""
        return {}

    def buffers(self) -> dict[str, Shape]:
        """Return what to plan in the memo besides y and dx: name and shape for one sample."""
        return {}

    @abstractmethod
    def forward(self, x: Float[Array, "batch *inputs"], memo: Memo) -> Float[Array, "batch *outputs"]:
        """Return y, and leave in ``memo`` what ``backward`` will need."""

    @abstractmethod
    def backward(self, dy: Float[Array, "batch *outputs"], memo: Memo) -> Float[Array, "batch *inputs"] | None:
        """Return dL/dx given dL/dy (or None when ``memo.dx_wanted`` is false); leave dL/dW in ``memo.dW``."""
