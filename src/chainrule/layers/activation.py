"""Activation functions, from simple to complex. All but Softmax are elementwise.

All formulas are written to avoid overflow and keep their limits for inputs as large as ±1e4 in float32.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np

from chainrule._internal import special as _special
from chainrule._internal.checks import check_real
from chainrule._internal.rows import column_sums
from chainrule._internal.typing import Array, Float
from chainrule.initializers import Constant, Fans, GlorotUniform, HeNormal, Initializer, LeCunNormal
from chainrule.layers.base import Layer
from chainrule.memo import Memo
from chainrule.parameters import Parameter, Shape

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "HardSigmoid",
    "Identity",
    "LeakyReLU",
    "Mish",
    "PReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]

Rows = Float[Array, "batch *shape"]


class Activation(Layer, ABC):
    """Base class for activation functions, which estimators and the command line offer by name."""


@final
class Identity(Activation):
    """Identity activation (no activation).

    .. formula::

        y = x           dy/dx = 1

    Examples
    --------
    >>> Identity().forward(np.array([[-1.0, 2.0]]), Memo())
    array([[-1.,  2.]])
    """

    default_initializer: ClassVar[Initializer | None] = GlorotUniform()
    sparse: ClassVar[str] = "handed on"

    def forward(self, x: Rows, memo: Memo) -> Rows:
        return x

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        return dy


@final
class ReLU(Activation):
    """Rectified linear unit (ReLU).

    .. formula::

        y = max(x, 0)           dy/dx = 1 where x > 0, else 0

    The derivative is discontinuous at x = 0; 0 is used there, as in PyTorch and Keras.

    Examples
    --------
    >>> ReLU().forward(np.array([[-1.0, 2.0]]), Memo())
    array([[0., 2.]])

    Source: Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines" (2010).
    """

    default_initializer: ClassVar[Initializer | None] = HeNormal()

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.y = np.maximum(x, 0, out=memo.y)
        return memo.y

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        slope = np.sign(memo.y, out=memo.dx)  # 1 where y > 0, that is where x > 0
        return np.multiply(dy, slope, out=slope)


@final
@dataclass(eq=False, repr=False)
class LeakyReLU(Activation):
    """Leaky rectified linear unit, with a small slope for negative inputs.

    .. formula::

        y = x where x > 0, else a x           dy/dx = 1 where x > 0, else a           a = negative_slope

    Parameters
    ----------
    negative_slope : float
        a, in [0, 1]; 0.01 as in PyTorch (Keras: 0.3).

    Examples
    --------
    >>> LeakyReLU().forward(np.array([[-1.0, 2.0]]), Memo())
    array([[-0.01,  2.  ]])

    Source: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models" (2013).
    """

    negative_slope: float = 0.01
    default_initializer: ClassVar[Initializer | None] = HeNormal()

    def __post_init__(self) -> None:
        self.negative_slope = check_real("LeakyReLU", "negative_slope", self.negative_slope, 0, 1)

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.x = x
        y = np.multiply(x, self.negative_slope, out=memo.y)
        return np.maximum(x, y, out=y)  # a <= 1, so y is the larger of x and a x

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        slope = np.sign(memo.x, out=memo.dx)  # -1, 0 or 1
        np.maximum(slope, self.negative_slope, out=slope)  # a, a or 1
        return np.multiply(dy, slope, out=slope)


@final
@dataclass(eq=False, repr=False)
class PReLU(Activation):
    """Parametric rectified linear unit: LeakyReLU with a learned slope for each feature (each channel).

    .. formula::

        y = max(x, 0) + α min(x, 0)           dy/dx = 1 where x > 0, else α

        dα = Σ dy min(x, 0)                   over the batch (and all positions)

    Parameters
    ----------
    start : float
        Initial value of every α; 0.25 as in the paper and in PyTorch.

    Attributes
    ----------
    alpha : (features,) array
        The slopes; penalties treat them as biases, because decay towards 0 would turn this into ReLU.

    Raises
    ------
    ValueError
        If ``start`` is not finite.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [PReLU()], "squared_error", dtype="float64")
    >>> network.predict([[-1.0, 2.0]])
    array([[-0.25,  2.  ]])

    Notes
    -----
    PyTorch's ``PReLU()`` has one slope for all features unless ``num_parameters`` is given. Keras's has one for every
    position as well, with initial value 0.

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers" (2015), section 2.1.
    """

    start: float = 0.25
    default_initializer: ClassVar[Initializer | None] = HeNormal()
    equations: ClassVar[Mapping[str, Any]] = {
        "forward": "n = min(x, 0)\ny = max(x, 0) + α n",
        "backward": "dα = Σ dy n\ndx = dy where x > 0, else α dy",
        "memo": {"n": "below"},
    }

    alpha: Float[Array, "features"] = field(init=False)

    def __post_init__(self) -> None:
        self.start = check_real("PReLU", "start", self.start)

    def parameters(self) -> dict[str, Parameter]:
        features = self.input_shape[-1]
        return {"alpha": Parameter((features,), Constant(self.start), Fans(features, features), weight=False)}

    def buffers(self) -> dict[str, Shape]:
        return {"above": self.output_shape, "below": self.output_shape, "product": self.output_shape}

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.above = np.maximum(x, 0, out=memo.above)
        memo.below = np.minimum(x, 0, out=memo.below)
        y = np.multiply(memo.below, self.alpha, out=memo.y)
        y += memo.above  # y = max(x, 0) + α min(x, 0)
        return y

    def backward(self, dy: Rows, memo: Memo) -> Rows | None:
        product = np.multiply(dy, memo.below, out=memo.product)
        memo.dalpha = column_sums(product, out=memo.dalpha)  # dα = Σ dy min(x, 0)
        if not memo.dx_wanted:
            return None
        slope = np.sign(memo.above, out=memo.dx)  # 1 where x > 0, else 0
        np.subtract(1, slope, out=product)
        product *= self.alpha  # α where x <= 0, else 0
        slope += product
        return np.multiply(dy, slope, out=slope)


@final
@dataclass(eq=False, repr=False)
class ELU(Activation):
    """Exponential linear unit (ELU).

    .. formula::

        y = x where x > 0, else α (eˣ − 1)           dy/dx = 1 where x > 0, else α eˣ = y + α

    Parameters
    ----------
    alpha : float
        α, at least 0; the limit at −∞ is −α.

    Examples
    --------
    >>> ELU().forward(np.array([[-1.0, 2.0]]), Memo()).round(4)
    array([[-0.6321,  2.    ]])

    Source: Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear
    units" (2015).
    """

    alpha: float = 1.0
    default_initializer: ClassVar[Initializer | None] = HeNormal()

    def __post_init__(self) -> None:
        self.alpha = check_real("ELU", "alpha", self.alpha, 0)

    def buffers(self) -> dict[str, Shape]:
        return {"scratch": self.output_shape}

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.y = _exponential_linear(x, 1.0, self.alpha, memo)
        return memo.y

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        return _exponential_linear_gradient(dy, 1.0, self.alpha, memo)


@final
class SELU(Activation):
    """Scaled exponential linear unit (self-normalizing): activations converge towards mean 0 and variance 1.

    .. formula::

        y = λ x where x > 0, else λ α (eˣ − 1)           dy/dx = λ where x > 0, else y + λ α
        α = 1.6732632423543772,  λ = 1.0507009873554805

    The two constants solve the equations for the fixed point (0, 1) with weights of variance 1 / fan_in: use
    :class:`~chainrule.initializers.LeCunNormal`, the default before this layer.

    Examples
    --------
    >>> SELU().forward(np.array([[-1.0, 2.0]]), Memo()).round(4)
    array([[-1.1113,  2.1014]])

    Source: Klambauer et al., "Self-normalizing neural networks" (2017).
    """

    default_initializer: ClassVar[Initializer | None] = LeCunNormal()
    ALPHA: ClassVar[float] = 1.6732632423543772
    SCALE: ClassVar[float] = 1.0507009873554805

    def buffers(self) -> dict[str, Shape]:
        return {"scratch": self.output_shape}

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.y = _exponential_linear(x, self.SCALE, self.ALPHA, memo)
        return memo.y

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        return _exponential_linear_gradient(dy, self.SCALE, self.ALPHA, memo)


@final
class Sigmoid(Activation):
    """The logistic function.

    .. formula::

        y = σ(x) = 1 / (1 + e⁻ˣ)           dy/dx = y (1 − y)

    The derivative is written with y, the value *after* the activation: σ'(x) = σ(x) (1 − σ(x)).

    Examples
    --------
    >>> Sigmoid().forward(np.array([[-10000.0, 0.0, 10000.0]]), Memo()).round(4)
    array([[0. , 0.5, 1. ]])
    """

    default_initializer: ClassVar[Initializer | None] = GlorotUniform()

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.y = _special.sigmoid(x, out=memo.y)
        return memo.y

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        slope = np.subtract(1, memo.y, out=memo.dx)  # 1 − y
        slope *= memo.y  # y (1 − y)
        return np.multiply(dy, slope, out=slope)


@final
class Tanh(Activation):
    """The hyperbolic tangent.

    .. formula::

        y = tanh(x)           dy/dx = 1 − y²

    Examples
    --------
    >>> Tanh().forward(np.array([[-1.0, 0.0]]), Memo()).round(4)
    array([[-0.7616,  0.    ]])
    """

    default_initializer: ClassVar[Initializer | None] = GlorotUniform()

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.y = np.tanh(x, out=memo.y)
        return memo.y

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        slope = np.multiply(memo.y, memo.y, out=memo.dx)  # y²
        np.subtract(1, slope, out=slope)  # 1 − y²
        return np.multiply(dy, slope, out=slope)


@final
class HardSigmoid(Activation):
    """Hard sigmoid: a piecewise linear sigmoid with three segments.

    .. formula::

        y = min(max(x / 6 + 1/2, 0), 1)           dy/dx = 1/6 where 0 < y < 1, else 0

    The slope is 1/6, as in PyTorch, Keras 3 and MobileNetV3 (0.2 in Keras 2 and by default in ONNX).

    Examples
    --------
    >>> HardSigmoid().forward(np.array([[-4.0, 0.0, 1.5]]), Memo())
    array([[0.  , 0.5 , 0.75]])

    Source: Howard et al., "Searching for MobileNetV3" (2019).
    """

    default_initializer: ClassVar[Initializer | None] = GlorotUniform()

    def forward(self, x: Rows, memo: Memo) -> Rows:
        y = np.multiply(x, 1 / 6, out=memo.y)
        y += 0.5
        memo.y = np.clip(y, 0, 1, out=y)
        return memo.y

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        slope = np.subtract(1, memo.y, out=memo.dx)
        slope *= memo.y  # y (1 − y): positive inside, 0 on the flat segments
        np.sign(slope, out=slope)
        slope *= 1 / 6
        return np.multiply(dy, slope, out=slope)


@final
class Softplus(Activation):
    """Softplus, a smooth ReLU whose derivative is the logistic function.

    .. formula::

        y = log(1 + eˣ)           dy/dx = σ(x)

    Computed as max(x, 0) + log(1 + e^−|x|), which cannot overflow.

    Examples
    --------
    >>> Softplus().forward(np.array([[-10000.0, 0.0, 10000.0]]), Memo()).round(4)
    array([[0.000e+00, 6.931e-01, 1.000e+04]])

    Source: Dugas et al., "Incorporating second-order functional knowledge for better option pricing" (2000).
    """

    default_initializer: ClassVar[Initializer | None] = HeNormal()

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.x = x
        return np.logaddexp(x, 0, out=memo.y)

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        slope = _special.sigmoid(memo.x, out=memo.dx)
        return np.multiply(dy, slope, out=slope)


@final
class SiLU(Activation):
    """Sigmoid linear unit, also called swish.

    .. formula::

        y = x σ(x)           dy/dx = σ(x) + y (1 − σ(x))

    Examples
    --------
    >>> SiLU().forward(np.array([[-1.0, 2.0]]), Memo()).round(4)
    array([[-0.2689,  1.7616]])

    Source: Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units" (2017); Hendrycks and Gimpel (2016).
    """

    default_initializer: ClassVar[Initializer | None] = HeNormal()

    def buffers(self) -> dict[str, Shape]:
        return {"sigmoid": self.output_shape}

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.sigmoid = _special.sigmoid(x, out=memo.sigmoid)
        memo.y = np.multiply(x, memo.sigmoid, out=memo.y)
        return memo.y

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        slope = np.subtract(1, memo.sigmoid, out=memo.dx)  # 1 − σ
        slope *= memo.y  # y (1 − σ)
        slope += memo.sigmoid  # σ + y (1 − σ)
        return np.multiply(dy, slope, out=slope)


@final
@dataclass(eq=False, repr=False)
class GELU(Activation):
    """Gaussian error linear unit: x times the probability that a standard normal variable is below x.

    .. formula::

        approximate="none":   y = x Φ(x),  Φ(x) = ½ (1 + erf(x / √2))
                              dy/dx = Φ(x) + x φ(x),  φ(x) = e^(−x²/2) / √(2π)
        approximate="tanh":   y = x Φ(x),  Φ(x) ≈ ½ (1 + tanh u) = σ(2u),  u = √(2/π) (x + 0.044715 x³)
                              dy/dx = Φ + x · 2 Φ (1 − Φ) u',  u' = √(2/π) (1 + 0.134145 x²)

    Parameters
    ----------
    approximate : {"none", "tanh"}
        The exact function, or the approximation, which takes half the time and has an error of at most 5e-4. The names
        are those of PyTorch and ONNX.

    Examples
    --------
    >>> GELU().forward(np.array([[-1.0, 2.0]]), Memo()).round(4)
    array([[-0.1587,  1.9545]])

    Source: Hendrycks and Gimpel, "Gaussian error linear units" (2016).
    """

    approximate: str = "none"
    default_initializer: ClassVar[Initializer | None] = HeNormal()

    def __post_init__(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate: expected 'none' or 'tanh', got {self.approximate!r}.")

    def buffers(self) -> dict[str, Shape]:
        return {"phi": self.output_shape, "scratch": self.output_shape}

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.x = x
        if self.approximate == "none":
            memo.phi = _special.normal_cdf(x, out=memo.phi, scratch=memo.scratch, scratch2=memo.y)
        else:
            u = np.clip(x, -100, 100, out=memo.phi)  # outside, Φ is 0 or 1, and x³ could overflow
            factor = np.multiply(u, u, out=memo.scratch)
            factor *= 0.044715
            factor += 1
            u *= factor
            u *= 2 * math.sqrt(2 / math.pi)
            memo.phi = _special.sigmoid(u, out=u)
        return np.multiply(x, memo.phi, out=memo.y)

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        x = np.clip(memo.x, -100, 100, out=memo.scratch)  # outside, x Φ'(x) is 0
        slope = np.multiply(x, x, out=memo.dx)
        if self.approximate == "none":
            slope *= -0.5
            np.exp(slope, out=slope)
            slope *= 1 / math.sqrt(2 * math.pi)  # φ(x)
            slope *= x  # x φ(x)
        else:
            slope *= 3 * 0.044715
            slope += 1
            slope *= 2 * math.sqrt(2 / math.pi)  # 2 u'
            slope *= x
            slope *= memo.phi
            slope *= np.subtract(1, memo.phi, out=x)  # x · 2 Φ (1 − Φ) u'
        slope += memo.phi  # Φ + x Φ'
        return np.multiply(dy, slope, out=slope)


@final
class Mish(Activation):
    """Mish: x times tanh(softplus(x)).

    .. formula::

        y = x w,  w = tanh(log(1 + eˣ))           dy/dx = w + x (1 − w²) σ(x)

    With e = eˣ and n = e (e + 2): w = n / (n + 2) and (1 − w²) σ(x) = 4 e (e + 1) / (n + 2)². For x ≥ 20, w
    rounds to 1, so x is clipped to 40 in e, and e (e + 2) never overflows.

    Examples
    --------
    >>> Mish().forward(np.array([[-1.0, 2.0]]), Memo()).round(4)
    array([[-0.3034,  1.944 ]])

    Source: Misra, "Mish: a self regularized non-monotonic activation function" (2019).
    """

    default_initializer: ClassVar[Initializer | None] = HeNormal()

    def buffers(self) -> dict[str, Shape]:
        return {"e": self.output_shape, "n": self.output_shape, "w": self.output_shape}

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.x = x
        memo.e = e = np.minimum(x, 40, out=memo.e)
        np.exp(e, out=e)
        memo.w = w = np.add(e, 2, out=memo.w)
        w *= e  # n
        memo.n = np.add(w, 2, out=memo.n)  # n + 2
        w /= memo.n  # n / (n + 2)
        return np.multiply(x, w, out=memo.y)

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        slope = np.add(memo.e, 1, out=memo.dx)
        slope *= memo.e
        slope /= memo.n
        slope /= memo.n
        slope *= 4  # (1 − w²) σ(x)
        slope *= memo.x
        slope += memo.w  # w + x (1 − w²) σ(x)
        return np.multiply(dy, slope, out=slope)


@final
class Softmax(Activation):
    """Softmax over the last axis. The backward pass uses the full Jacobian, so it is correct with any loss.

    .. formula::

        yᵢ = e^xᵢ / Σₖ e^xₖ           ∂yᵢ/∂xⱼ = yᵢ (δᵢⱼ − yⱼ)           dxⱼ = yⱼ (dyⱼ − Σᵢ dyᵢ yᵢ)

    The row's maximum is subtracted first, which prevents overflow and does not change the result. For classification,
    omit this layer and use :class:`~chainrule.losses.SoftmaxCrossEntropy`, which takes logits, has the simpler gradient
    p − t, and is accurate for tiny probabilities.

    Examples
    --------
    >>> Softmax().forward(np.array([[0.0, 0.0, 10000.0]]), Memo())
    array([[0., 0., 1.]])
    """

    default_initializer: ClassVar[Initializer | None] = GlorotUniform()

    def buffers(self) -> dict[str, Shape]:
        return {"row": (*self.output_shape[:-1], 1)}

    def forward(self, x: Rows, memo: Memo) -> Rows:
        memo.row = np.max(x, axis=-1, keepdims=True, out=memo.row)
        y = np.subtract(x, memo.row, out=memo.y)
        np.exp(y, out=y)
        np.sum(y, axis=-1, keepdims=True, out=memo.row)
        y /= memo.row
        memo.y = y
        return y

    def backward(self, dy: Rows, memo: Memo) -> Rows:
        dx = np.multiply(dy, memo.y, out=memo.dx)
        np.sum(dx, axis=-1, keepdims=True, out=memo.row)  # Σᵢ dyᵢ yᵢ
        np.subtract(dy, memo.row, out=dx)
        dx *= memo.y  # yⱼ (dyⱼ − Σᵢ dyᵢ yᵢ)
        return dx


def _exponential_linear(x: Array, scale: float, alpha: float, memo: Memo) -> Array:
    """Return scale · (x where x > 0, else alpha (eˣ − 1))."""
    y = np.minimum(x, 0, out=memo.y)
    np.expm1(y, out=y)
    y *= scale * alpha
    positive = np.maximum(x, 0, out=memo.scratch)
    positive *= scale
    y += positive
    return y


def _exponential_linear_gradient(dy: Array, scale: float, alpha: float, memo: Memo) -> Array:
    slope = np.minimum(memo.y, 0, out=memo.dx)
    slope += scale * alpha  # y + λ α where x <= 0; λ α where x > 0
    positive = np.maximum(memo.y, 0, out=memo.scratch)
    np.sign(positive, out=positive)
    positive *= scale - scale * alpha
    slope += positive  # where x > 0: λ
    return np.multiply(dy, slope, out=slope)
