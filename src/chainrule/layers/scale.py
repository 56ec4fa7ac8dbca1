"""A learned scale for each feature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from chainrule._internal.checks import check_real
from chainrule._internal.rows import column_sums
from chainrule._internal.typing import Array, Float
from chainrule.initializers import Constant, Fans
from chainrule.layers.base import Layer
from chainrule.memo import Memo
from chainrule.parameters import Parameter

__all__ = ["Scale"]


@final
@dataclass(eq=False, repr=False)
class Scale(Layer):
    """A learned factor for each feature (each channel), known as LayerScale.

    .. formula::

        y = γ x

        dγ = Σ dy x        over the batch (and all positions)
        dx = γ dy

    At the end of a Residual block, a small initial value such as 1e-2 lets deep stacks begin close to the identity.

    Parameters
    ----------
    start : float
        Initial value of every factor.

    Attributes
    ----------
    gamma : (features,) array
        The factors; penalties treat them as biases.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [Scale(3.0)], "squared_error", dtype="float64")
    >>> network.predict([[1.0, -2.0]])
    array([[ 3., -6.]])

    Source: Touvron et al., "Going deeper with image transformers" (2021), section 2: LayerScale.
    """

    start: float = 1.0

    gamma: Float[Array, "features"] = field(init=False)

    def __post_init__(self) -> None:
        self.start = check_real("Scale", "start", self.start)

    def parameters(self) -> dict[str, Parameter]:
        features = self.input_shape[-1]
        return {"gamma": Parameter((features,), Constant(self.start), Fans(features, features), weight=False)}

    def forward(self, x: Float[Array, "batch *shape features"], memo: Memo) -> Float[Array, "batch *shape features"]:
        memo.x = x  # dγ needs it
        return np.multiply(x, self.gamma, out=memo.y)  # y = γ x

    def backward(self, dy: Float[Array, "batch *shape features"], memo: Memo) -> Array | None:
        product = np.multiply(dy, memo.x, out=memo.dx)
        memo.dgamma = column_sums(product, out=memo.dgamma)  # dγ = Σ dy x
        if not memo.dx_wanted:
            return None
        return np.multiply(dy, self.gamma, out=product)  # dx = γ dy
