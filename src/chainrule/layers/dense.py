"""The fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, final

from chainrule._internal.checks import check_count
from chainrule._internal.rows import column_sums, product
from chainrule._internal.typing import Array, Float, SparseRows
from chainrule.initializers import Fans, Initializer, Zeros
from chainrule.layers.base import Layer, as_initializer
from chainrule.memo import Memo
from chainrule.parameters import Parameter, Shape

__all__ = ["Dense"]


@final
@dataclass(eq=False, repr=False)
class Dense(Layer):
    """Fully connected layer.

    .. formula::

        y = x W + b

        dW = xᵀ dy          each weight's gradient is its input times its output's gradient, summed over the batch
        db = Σ dy           summed over the batch
        dx = dy Wᵀ

    No division by the batch size is needed: L is a mean, and dy already includes the factor 1/batch.

    Parameters
    ----------
    units : int
        Number of outputs.
    weights : Initializer or str, optional
        Initializer of W (inputs, units). The default depends on the next activation: He for ReLU and its variants,
        LeCun for SELU, Glorot for others or none.
    biases : Initializer or str, optional
        Initializer of b (units,); zeros by default. ``None`` omits b.
    inputs : int, optional
        Number of inputs; inferred if not given, otherwise checked.

    Raises
    ------
    ValueError
        If ``units`` is not positive, or the number of inputs differs from ``inputs``.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(inputs=3, layers=[Dense(2)], loss=cr.losses.SquaredError(), seed=0)
    >>> network.layers[0].W.shape, network.layers[0].b
    ((3, 2), array([0., 0.], dtype=float32))

    Notes
    -----
    As the first layer it also accepts sparse rows (a SciPy CSR matrix), which are not converted to dense arrays.

    W is (inputs, outputs), as in scikit-learn and Keras; PyTorch's ``Linear.weight`` is its transpose.

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986).
    """

    units: int
    weights: Initializer | str | None = None
    biases: Initializer | str | None = Zeros()  # noqa: RUF009  (frozen)
    inputs: int | None = None
    sparse: ClassVar[str] = "taken"

    W: Float[Array, "inputs outputs"] = field(init=False)
    b: Float[Array, "outputs"] | None = field(init=False)

    def __post_init__(self) -> None:
        self.units = check_count("Dense", "units", self.units)
        if self.inputs is not None:
            self.inputs = check_count("Dense", "inputs", self.inputs)
        self.weights = as_initializer("weights", self.weights)
        self.biases = as_initializer("biases", self.biases)
        if self.biases is None:
            self.b = None

    def output(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ValueError("expects rows of numbers, shape (inputs,), such as the output of Flatten()")
        if self.inputs not in (None, input_shape[0]):
            raise ValueError(f"expects {self.inputs} inputs")
        return (self.units,)

    def parameters(self) -> dict[str, Parameter]:
        fans = Fans(self.input_shape[0], self.units)
        parameters = {"W": Parameter(fans, self.weights, fans)}  # type: ignore[arg-type]  # since __post_init__
        if self.biases is not None:
            parameters["b"] = Parameter((self.units,), self.biases, fans, weight=False)  # type: ignore[arg-type]
        return parameters

    def forward(self, x: Float[Array, "batch inputs"] | SparseRows, memo: Memo) -> Float[Array, "batch outputs"]:
        memo.x = x  # dW needs it
        y = product(x, self.W, out=memo.y)  # y = x W
        if self.b is not None:
            y += self.b  # + b, for every row
        return y

    def backward(self, dy: Float[Array, "batch outputs"], memo: Memo) -> Float[Array, "batch inputs"] | None:
        memo.dW = product(memo.x.T, dy, out=memo.dW)  # dW = xᵀ dy
        if self.b is not None:
            memo.db = column_sums(dy, out=memo.db)  # db = Σ dy
        if not memo.dx_wanted:
            return None
        return product(dy, self.W.T, out=memo.dx)  # dx = dy Wᵀ
