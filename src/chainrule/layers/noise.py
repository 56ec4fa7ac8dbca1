"""Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from chainrule._internal.checks import check_real
from chainrule._internal.typing import Array, Float
from chainrule.layers.base import Layer
from chainrule.memo import Memo
from chainrule.parameters import Shape

__all__ = ["GaussianNoise"]


@final
@dataclass(eq=False, repr=False)
class GaussianNoise(Layer):
    """Additive Gaussian noise in training, a regularizer.

    .. formula::

        n ~ Normal(0, deviation²)           one draw per value
        y = x + n       in training         y = x       in prediction

        dx = dy

    The noise is in units of x, so use it where the scale is known: on standardized inputs, on pixels in [0, 1], or
    between ``BatchNorm`` and the activation, where it replaces dropout.

    Parameters
    ----------
    deviation : float
        Standard deviation of the noise, in units of x, at least 0. Usual values are 0.1 to 0.5.

    Raises
    ------
    ValueError
        If ``deviation`` is negative or not finite; in ``forward``, if the memo of a training batch has no random
        generator.

    Notes
    -----
    The same as Keras's ``GaussianNoise(stddev)``; PyTorch has no such layer. For a linear network with squared error,
    noise on the inputs is on average an L2 penalty of strength deviation² / 2 (Bishop, 1995).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Memo
    >>> x = np.zeros((1, 3))
    >>> GaussianNoise(0.1).forward(x, Memo(training=True, rng=np.random.default_rng(0))).round(3)
    array([[ 0.013, -0.013,  0.064]])
    >>> GaussianNoise(0.1).forward(x, Memo())
    array([[0., 0., 0.]])

    Source: Bishop, "Training with noise is equivalent to Tikhonov regularization" (1995); with BatchNorm as here,
    Rasmus et al., "Semi-supervised learning with ladder networks" (2015), section 3.
    """

    deviation: float
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.deviation = check_real("GaussianNoise", "deviation", self.deviation, 0)

    def buffers(self) -> dict[str, Shape]:
        return {"noise": self.output_shape}

    def forward(self, x: Float[Array, "batch *shape"], memo: Memo) -> Float[Array, "batch *shape"]:
        if not memo.training:
            return x
        memo.noise = self.generator(memo).standard_normal(x.shape, dtype=x.dtype, out=memo.noise)
        memo.noise *= self.deviation  # deviation · Normal(0, 1) = Normal(0, deviation²)
        return np.add(x, memo.noise, out=memo.y)

    def backward(self, dy: Float[Array, "batch *shape"], memo: Memo) -> Float[Array, "batch *shape"]:
        return dy  # d(x + n)/dx = 1
