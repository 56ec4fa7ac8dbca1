"""Normalization layers: over the batch, or over the features of each sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import numpy as np

from chainrule._internal.checks import check_real
from chainrule._internal.rows import column_sums
from chainrule._internal.typing import Array, Float
from chainrule.initializers import Constant, Fans, Zeros
from chainrule.layers.base import Layer
from chainrule.memo import Memo
from chainrule.parameters import Parameter, Shape

__all__ = ["BatchNorm", "LayerNorm", "RMSNorm"]


@final
@dataclass(eq=False, repr=False)
class BatchNorm(Layer):
    """Batch normalization: each feature is scaled to mean 0 and variance 1 over the batch, then by a learned γ and β.

    .. formula::

        in training, over the N values of a feature (for a channel, rows times positions):
        μ = Σ x / N        σ² = Σ (x − μ)² / N        s = 1 / √(σ² + ε)
        x̂ = (x − μ) s                                  y = γ x̂ + β

        dγ = Σ dy x̂       dβ = Σ dy
        dx = γ s (dy − dβ / N − x̂ dγ / N)

        after the step, k = momentum:
        running_mean ← k running_mean + (1 − k) μ
        running_var ← k running_var + (1 − k) σ² N / (N − 1)

        in prediction:    x̂ = (x − running_mean) / √(running_var + ε)    dx = γ s dy

    Derivation of dx: every x of a feature also changes μ and σ². dy γ s is the direct term; subtracting its mean
    accounts for μ, and subtracting its component along x̂ accounts for σ².

    Parameters
    ----------
    momentum : float
        Weight of the old running statistics at each step, in [0, 1).
    epsilon : float
        Added to the variance, inside the root.

    Attributes
    ----------
    gamma, beta : (features,) arrays
        The learned scale and shift, initially 1 and 0; penalties treat both as biases.
    running_mean, running_var : (features,) arrays
        Views of ``network.statistics``.

    Raises
    ------
    ValueError
        If an argument is out of range; in ``train``, if batches have only one value per feature.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [BatchNorm()], "squared_error", dtype="float64")
    >>> memo = cr.Memo(training=True)
    >>> network.layers[0].forward(np.array([[0.0, 1.0], [2.0, 5.0]]), memo).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> network.layers[0].update_statistics(memo)
    >>> network.layers[0].running_mean, network.layers[0].running_var      # 0.9 · 1 + 0.1 · 2 = 1.1
    (array([0.1, 0.3]), array([1.1, 1.7]))

    Notes
    -----
    Libraries differ. ``momentum`` is the weight of the old statistics, as in Keras (0.99 by default) and ONNX; in
    PyTorch, it is the weight of the new ones, and its 0.1 is 0.9 here. ε is 1e-5 here and in PyTorch, 1e-3 in Keras.
    The running variance is unbiased here and in PyTorch; Keras uses σ² itself. A last batch of one row has no variance:
    y = β, and the running statistics are unchanged (PyTorch raises an error). If all batches have one row, ``train``
    raises an error. As in other libraries, sample weights do not affect μ and σ²: rows of weight 0 count in N.

    Source: Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift" (2015).
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    gamma: Float[Array, "features"] = field(init=False)
    beta: Float[Array, "features"] = field(init=False)
    running_mean: Float[Array, "features"] = field(init=False)
    running_var: Float[Array, "features"] = field(init=False)

    def __post_init__(self) -> None:
        self.momentum = check_real("BatchNorm", "momentum", self.momentum, 0, 1, open_high=True)
        self.epsilon = check_real("BatchNorm", "epsilon", self.epsilon, 0, open_low=True)

    def parameters(self) -> dict[str, Parameter]:
        return {"gamma": _for_each(self.input_shape, 1.0), "beta": _for_each(self.input_shape, 0.0)}

    def statistics(self) -> dict[str, Parameter]:
        return {"running_mean": _for_each(self.input_shape, 0.0), "running_var": _for_each(self.input_shape, 1.0)}

    def buffers(self) -> dict[str, Shape]:
        return {"centered": self.output_shape, "product": self.output_shape}

    def forward(self, x: Float[Array, "batch *shape features"], memo: Memo) -> Float[Array, "batch *shape features"]:
        if memo.training:
            memo.count = count = x.size // x.shape[-1]  # N
            memo.mean = column_sums(x) / count  # μ = Σ x / N
            memo.centered = np.subtract(x, memo.mean, out=memo.centered)  # x − μ
            square = np.square(memo.centered, out=memo.y)
            memo.var = np.divide(column_sums(square), count, dtype=np.float64)  # σ² = Σ (x − μ)² / N
        else:
            memo.mean, memo.var = self.running_mean, self.running_var
            memo.centered = np.subtract(x, memo.mean, out=memo.centered)
        memo.s = 1 / np.sqrt(memo.var.astype(x.dtype) + self.epsilon)
        y = np.multiply(memo.centered, self.gamma * memo.s, out=memo.y)  # γ x̂, because x̂ = (x − μ) s
        y += self.beta  # y = γ x̂ + β
        return y

    def backward(self, dy: Float[Array, "batch *shape features"], memo: Memo) -> Array | None:
        product = np.multiply(memo.centered, memo.s, out=memo.product)
        product *= dy
        memo.dgamma = column_sums(product, out=memo.dgamma)  # dγ = Σ dy x̂
        memo.dbeta = column_sums(dy, out=memo.dbeta)  # dβ = Σ dy
        if not memo.dx_wanted:
            return None
        if not memo.training:
            return np.multiply(dy, self.gamma * memo.s, out=memo.dx)  # dx = γ s dy
        dx = np.multiply(memo.centered, memo.dgamma * memo.s / memo.count, out=memo.dx)  # x̂ dγ / N
        np.subtract(dy, dx, out=dx)
        dx -= memo.dbeta / memo.count
        dx *= self.gamma * memo.s  # dx = γ s (dy − dβ / N − x̂ dγ / N)
        return dx

    def update_statistics(self, memo: Memo, momentum: float | None = None) -> None:
        if memo.count < 2:  # one value has no variance
            return
        keep = self.momentum if momentum is None else momentum
        self.running_mean *= keep
        self.running_mean += (1 - keep) * memo.mean
        self.running_var *= keep
        self.running_var += (1 - keep) * memo.count / (memo.count - 1) * memo.var

    def check_batch(self, name: str, rows: int) -> None:
        if rows * math.prod(self.input_shape[:-1]) < 2:
            raise ValueError(
                f"{name}, {self!r}: expected batches of at least 2 rows, got batches of one sample, shape "
                f"{self.input_shape}: a single value has no variance. Give a larger batch_size."
            )


@final
@dataclass(eq=False, repr=False)
class LayerNorm(Layer):
    """Layer normalization: the features of each sample are scaled to mean 0 and variance 1, then by a learned γ and β.

    .. formula::

        over the F features of one row (or one position):
        μ = Σ x / F        σ² = Σ (x − μ)² / F        s = 1 / √(σ² + ε)
        x̂ = (x − μ) s                                  y = γ x̂ + β

        dγ = Σ dy x̂       dβ = Σ dy                    over all rows
        g = dy γ
        dx = s (g − mean(g) − x̂ mean(g x̂))            means over the features

    Derivation of dx: as for :class:`BatchNorm`, along the features instead of the batch. g s is the direct term;
    subtracting its mean accounts for μ, and subtracting its component along x̂ accounts for σ².

    Training and prediction are the same, and a batch may have one row: rows are independent of each other.

    Parameters
    ----------
    epsilon : float
        Added to the variance, inside the root.

    Attributes
    ----------
    gamma, beta : (features,) arrays
        The learned scale and shift, initially 1 and 0; penalties treat both as biases.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(3, [LayerNorm()], "squared_error", dtype="float64")
    >>> network.predict([[1.0, 2.0, 3.0]]).round(3)
    array([[-1.225,  0.   ,  1.225]])

    Notes
    -----
    Normalizes over the last axis, like Keras and PyTorch's ``LayerNorm(features)``. ε is 1e-5 here and in PyTorch, 1e-3
    in Keras.

    Source: Ba, Kiros and Hinton, "Layer normalization" (2016).
    """

    epsilon: float = 1e-5

    gamma: Float[Array, "features"] = field(init=False)
    beta: Float[Array, "features"] = field(init=False)

    def __post_init__(self) -> None:
        self.epsilon = check_real("LayerNorm", "epsilon", self.epsilon, 0, open_low=True)

    def parameters(self) -> dict[str, Parameter]:
        return {"gamma": _for_each(self.input_shape, 1.0), "beta": _for_each(self.input_shape, 0.0)}

    def buffers(self) -> dict[str, Shape]:
        row = (*self.output_shape[:-1], 1)
        return {"normal": self.output_shape, "product": self.output_shape, "s": row, "mean": row}

    def forward(self, x: Float[Array, "batch *shape features"], memo: Memo) -> Float[Array, "batch *shape features"]:
        memo.mean = _mean(x, memo.mean)
        memo.normal = normal = np.subtract(x, memo.mean, out=memo.normal)  # x − μ
        y = np.multiply(normal, normal, out=memo.y)  # y is used as scratch until it is filled
        memo.s = _inverse_root(_mean(y, memo.s), self.epsilon)  # s = 1 / √(σ² + ε)
        normal *= memo.s  # x̂ = (x − μ) s
        np.multiply(normal, self.gamma, out=y)
        y += self.beta  # y = γ x̂ + β
        return y

    def backward(self, dy: Float[Array, "batch *shape features"], memo: Memo) -> Array | None:
        memo.dbeta = column_sums(dy, out=memo.dbeta)  # dβ = Σ dy
        product = np.multiply(dy, memo.normal, out=memo.product)
        memo.dgamma = column_sums(product, out=memo.dgamma)  # dγ = Σ dy x̂
        if not memo.dx_wanted:
            return None
        g = np.multiply(dy, self.gamma, out=memo.dx)  # g = dy γ
        g -= _mean(g, memo.mean)
        product *= self.gamma  # g x̂
        g -= np.multiply(memo.normal, _mean(product, memo.mean), out=product)
        g *= memo.s  # dx = s (g − mean(g) − x̂ mean(g x̂))
        return g


@final
@dataclass(eq=False, repr=False)
class RMSNorm(Layer):
    """Root mean square normalization: each sample is divided by the RMS of its features, then scaled by a learned γ.

    .. formula::

        over the F features of one row (or one position):
        s = 1 / √(Σ x² / F + ε)        x̂ = x s        y = γ x̂

        dγ = Σ dy x̂                    over all rows
        g = dy γ
        dx = s (g − x̂ mean(g x̂))      the mean over the features

    Derivation of dx: g s is the direct term; every x of the row also changes s, ds/dx = −s³ x / F, which subtracts the
    component along x̂. This is LayerNorm without the mean and the shift: fewer passes, and often as good.

    Parameters
    ----------
    epsilon : float
        Added to the mean square, inside the root.

    Attributes
    ----------
    gamma : (features,) array
        The learned scale, initially 1; penalties treat it as a bias.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [RMSNorm()], "squared_error", dtype="float64")
    >>> network.predict([[3.0, 4.0]]).round(3)                   # divided by √12.5
    array([[0.849, 1.131]])

    Notes
    -----
    PyTorch's ``RMSNorm`` uses the machine epsilon of the dtype by default; here ε is 1e-5, as in LayerNorm.

    Source: Zhang and Sennrich, "Root mean square layer normalization" (2019).
    """

    epsilon: float = 1e-5

    gamma: Float[Array, "features"] = field(init=False)

    def __post_init__(self) -> None:
        self.epsilon = check_real("RMSNorm", "epsilon", self.epsilon, 0, open_low=True)

    def parameters(self) -> dict[str, Parameter]:
        return {"gamma": _for_each(self.input_shape, 1.0)}

    def buffers(self) -> dict[str, Shape]:
        row = (*self.output_shape[:-1], 1)
        return {"normal": self.output_shape, "product": self.output_shape, "s": row, "mean": row}

    def forward(self, x: Float[Array, "batch *shape features"], memo: Memo) -> Float[Array, "batch *shape features"]:
        y = np.multiply(x, x, out=memo.y)  # y is used as scratch until it is filled
        memo.s = _inverse_root(_mean(y, memo.s), self.epsilon)  # s = 1 / √(Σ x² / F + ε)
        memo.normal = np.multiply(x, memo.s, out=memo.normal)  # x̂ = x s
        return np.multiply(memo.normal, self.gamma, out=y)  # y = γ x̂

    def backward(self, dy: Float[Array, "batch *shape features"], memo: Memo) -> Array | None:
        product = np.multiply(dy, memo.normal, out=memo.product)
        memo.dgamma = column_sums(product, out=memo.dgamma)  # dγ = Σ dy x̂
        if not memo.dx_wanted:
            return None
        g = np.multiply(dy, self.gamma, out=memo.dx)  # g = dy γ
        product *= self.gamma  # g x̂
        g -= np.multiply(memo.normal, _mean(product, memo.mean), out=product)
        g *= memo.s  # dx = s (g − x̂ mean(g x̂))
        return g


def _for_each(shape: Shape, value: float) -> Parameter:
    """Return a parameter with one value per feature, which penalties exempt like biases."""
    features = shape[-1]
    return Parameter((features,), Constant(value) if value else Zeros(), Fans(features, features), weight=False)


def _mean(x: Array, out: Array | None) -> Array:
    """Return the means over the features, like np.mean, but without its buffers in float64."""
    mean: Array = np.sum(x, axis=-1, keepdims=True, out=out)
    mean /= x.shape[-1]
    return mean


def _inverse_root(square: Array, epsilon: float) -> Array:
    """Return 1 / √(square + ε), in place."""
    square += epsilon
    return np.reciprocal(np.sqrt(square, out=square), out=square)
