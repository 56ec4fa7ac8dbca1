"""Dropout."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from chainrule._internal.checks import check_real
from chainrule._internal.typing import Array, Float, SparseRows, is_sparse
from chainrule.layers.base import Layer
from chainrule.memo import Memo
from chainrule.parameters import Shape

__all__ = ["Dropout", "Dropout2D"]


@final
@dataclass(eq=False, repr=False)
class Dropout(Layer):
    """Inverted dropout: in training, each value is zeroed with probability ``rate`` and the others are scaled up.

    .. formula::

        keep = 1 − rate
        m ~ Bernoulli(keep) / keep          one draw per value; E[m] = 1
        y = x ⊙ m       in training         y = x       in prediction

        dx = dy ⊙ m

    Because values are scaled in training, prediction needs no change. (The paper scales the weights by ``keep`` after
    training instead; the expected values are the same.) Dropout may come before the first layer, also for sparse rows.

    Parameters
    ----------
    rate : float
        Probability of dropping a value, in [0, 1).

    Raises
    ------
    ValueError
        If ``rate`` is outside [0, 1); in ``forward``, if the memo of a training batch has no random generator.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Memo
    >>> x = np.ones((1, 6))
    >>> Dropout(0.5).forward(x, Memo(training=True, rng=np.random.default_rng(0)))
    array([[0., 2., 2., 2., 0., 0.]])
    >>> Dropout(0.5).forward(x, Memo())
    array([[1., 1., 1., 1., 1., 1.]])

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).
    """

    rate: float
    random: ClassVar[bool] = True
    sparse: ClassVar[str] = "handed on"

    def __post_init__(self) -> None:
        self.rate = check_real("Dropout", "rate", self.rate, 0, 1, open_high=True)

    def buffers(self) -> dict[str, Shape]:
        return {"mask": self.output_shape}

    def forward(self, x: Float[Array, "batch *shape"] | SparseRows, memo: Memo) -> Any:
        if not memo.training:
            return x
        if is_sparse(x):  # dropping a zero changes nothing, so only stored values are drawn for
            y: Any = copy.copy(x)
            keep = 1 - self.rate
            y.data = y.data * (self.generator(memo).random(y.data.shape, dtype=x.dtype) < keep) / x.dtype.type(keep)
            return y
        memo.mask = _mask(self, memo, x.shape, x.dtype)  # m
        return np.multiply(x, memo.mask, out=memo.y)  # type: ignore[arg-type]  # y = x ⊙ m

    def backward(self, dy: Float[Array, "batch *shape"], memo: Memo) -> Float[Array, "batch *shape"]:
        if not memo.training:
            return dy
        return np.multiply(dy, memo.mask, out=memo.dx)  # d(x ⊙ m)/dx = m


@final
@dataclass(eq=False, repr=False)
class Dropout2D(Layer):
    """Dropout of whole channels. Neighboring pixels are correlated, so dropping single ones has little effect.

    .. formula::

        keep = 1 − rate
        m ~ Bernoulli(keep) / keep          one draw per channel of each image
        y = x ⊙ m       in training         y = x       in prediction

        dx = dy ⊙ m

    Parameters
    ----------
    rate : float
        Probability of dropping a channel, in [0, 1).

    Raises
    ------
    ValueError
        If ``rate`` is outside [0, 1) or x is not an image; in ``forward``, if the memo of a training batch has no
        random generator.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Memo
    >>> x = np.ones((1, 2, 2, 3))
    >>> Dropout2D(0.5).forward(x, Memo(training=True, rng=np.random.default_rng(0)))[0, 0]
    array([[0., 2., 2.],
           [0., 2., 2.]])

    Notes
    -----
    ``SpatialDropout2D`` in Keras, ``Dropout2d`` in PyTorch.

    Source: Tompson et al., "Efficient object localization using convolutional networks" (2015), SpatialDropout.
    """

    rate: float
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.rate = check_real("Dropout2D", "rate", self.rate, 0, 1, open_high=True)

    def output(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise ValueError("expects images, shape (height, width, channels)")
        return input_shape

    def buffers(self) -> dict[str, Shape]:
        return {"mask": (1, 1, self.output_shape[-1])}

    def forward(
        self, x: Float[Array, "batch height width channels"], memo: Memo
    ) -> Float[Array, "batch height width channels"]:
        if not memo.training:
            return x
        memo.mask = _mask(self, memo, (len(x), 1, 1, x.shape[-1]), x.dtype)  # m, the same for all pixels
        return np.multiply(x, memo.mask, out=memo.y)  # y = x ⊙ m

    def backward(
        self, dy: Float[Array, "batch height width channels"], memo: Memo
    ) -> Float[Array, "batch height width channels"]:
        if not memo.training:
            return dy
        return np.multiply(dy, memo.mask, out=memo.dx)  # d(x ⊙ m)/dx = m


def _mask(layer: Dropout | Dropout2D, memo: Memo, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Return m ~ Bernoulli(keep) / keep."""
    keep = 1 - layer.rate
    u = layer.generator(memo).random(shape, dtype=dtype, out=memo.mask)  # uniform on [0, 1)
    mask: Array = np.less(u, keep, out=u)  # 1 with probability keep
    mask *= 1 / keep  # so that E[m] = 1
    return mask
