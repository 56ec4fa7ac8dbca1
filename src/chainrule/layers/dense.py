"""The fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from chainrule import initializers
from chainrule._internal.checks import check_count
from chainrule._internal.names import named
from chainrule._internal.special import ones
from chainrule._internal.typing import Array, Float, SparseRows, is_sparse
from chainrule.initializers import Fans, GlorotUniform, Initializer, Zeros
from chainrule.layers.base import Layer, Parameter, Shape
from chainrule.memo import Memo


@final
@dataclass(eq=False, repr=False)
class Dense(Layer):
    """Fully connected: every unit sees every input.

    .. code-block:: text

        y = x W + b

        dW = xᵀ dy          each weight's gradient is its input times its output's gradient, summed over the batch
        db = Σ dy           summed over the batch
        dx = dy Wᵀ

    There is no division by the batch size here: L is a mean, and the loss has put 1/batch into dy.

    Parameters
    ----------
    units : int
        Number of outputs.
    weights : Initializer or str, optional
        How W (inputs, units) is drawn. By default as the activation that comes next suggests: He for ReLU and its
        relatives, LeCun for SELU, Glorot for the others and for none.
    biases : Initializer or str, optional
        How b (units,) is drawn; zeros by default. ``None`` leaves b out.
    inputs : int, optional
        Number of inputs: inferred, and checked when given.

    Raises
    ------
    ValueError
        When ``units`` is not positive, or the layer before gives another number of inputs.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(inputs=3, layers=[Dense(2)], loss=cr.losses.SquaredError(), seed=0)
    >>> network.layers[0].W.shape, network.layers[0].b
    ((3, 2), array([0., 0.], dtype=float32))

    Notes
    -----
    As the first layer it also takes sparse rows (a CSR matrix of SciPy), which never become dense.

    W is (inputs, outputs), as in scikit-learn and Keras; PyTorch's ``Linear.weight`` is its transpose.

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986).
    """

    units: int
    weights: Initializer | str | None = None
    biases: Initializer | str | None = Zeros()  # noqa: RUF009  (frozen)
    inputs: int | None = None

    W: Float[Array, "inputs outputs"] = field(init=False)
    b: Float[Array, "outputs"] | None = field(init=False)

    def __post_init__(self) -> None:
        self.units = check_count("Dense", "units", self.units)
        if self.inputs is not None:
            self.inputs = check_count("Dense", "inputs", self.inputs)
        if self.weights is not None:
            self.weights = _initializer("weights", self.weights)
        if self.biases is None:
            self.b = None
        else:
            self.biases = _initializer("biases", self.biases)

    def output(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ValueError("expects rows of numbers, shape (inputs,), as Flatten() gives them")
        if self.inputs not in (None, input_shape[0]):
            raise ValueError(f"expects {self.inputs} inputs")
        return (self.units,)

    def parameters(self, following: Initializer = GlorotUniform()) -> dict[str, Parameter]:  # noqa: B008
        fans = Fans(self.input_shape[0], self.units)
        weights = following if self.weights is None else _initializer("weights", self.weights)
        parameters = {"W": Parameter(fans, weights, fans)}
        if self.biases is not None:
            parameters["b"] = Parameter((self.units,), _initializer("biases", self.biases), fans, weight=False)
        return parameters

    def forward(self, x: Float[Array, "batch inputs"] | SparseRows, memo: Memo) -> Float[Array, "batch outputs"]:
        memo.x = x  # dW needs it
        y = x @ self.W if is_sparse(x) else np.dot(x, self.W, out=memo.y)  # type: ignore[arg-type]  # y = x W
        if self.b is not None:
            y += self.b  # + b, for every row
        return y

    def backward(self, dy: Float[Array, "batch outputs"], memo: Memo) -> Float[Array, "batch inputs"] | None:
        x = memo.x
        memo.dW = x.T @ dy if is_sparse(x) else np.dot(x.T, dy, out=memo.dW)  # dL/dW = xᵀ dy
        if self.b is not None:
            memo.db = np.dot(ones(len(dy), dy.dtype), dy, out=memo.db)  # dL/db = Σ dy over the batch
        if not memo.dx_wanted:
            return None
        return np.dot(dy, self.W.T, out=memo.dx)  # dL/dx = dy Wᵀ


def _initializer(name: str, value: Initializer | str) -> Initializer:
    chosen: Initializer = named(name, value, Initializer, initializers)
    return chosen
