"""Elementwise activations, in place on a vector; each beside its slope, for the layers of chainrule.layers.

``forward`` turns z into y; ``backward`` multiplies dy by dy/dz, written with y where that is enough: then z is not
kept. The formulas are those of the layers.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule import layers
from chainrule.layers import Layer
from chainrule.training.compiled.compiling import compiled
from chainrule.training.compiled.functions import exp, expm1, normal_cdf, sigmoid, tanh

RELU, LEAKY_RELU, ELU, SIGMOID, TANH, HARD_SIGMOID, SOFTPLUS, SILU, GELU, GELU_TANH, MISH = range(11)
NEEDS_Z = (SILU, GELU, GELU_TANH, MISH)


def encode(layer: Layer) -> tuple[int, float, float] | None:
    """Return an activation's code and its numbers a and b; None for what is no elementwise activation of ours."""
    simple = {
        layers.ReLU: RELU,
        layers.Sigmoid: SIGMOID,
        layers.Tanh: TANH,
        layers.HardSigmoid: HARD_SIGMOID,
        layers.Softplus: SOFTPLUS,
        layers.SiLU: SILU,
        layers.Mish: MISH,
    }
    if type(layer) in simple:
        return simple[type(layer)], 0.0, 0.0
    if isinstance(layer, layers.LeakyReLU):
        return LEAKY_RELU, layer.negative_slope, 0.0
    if isinstance(layer, layers.ELU):
        return ELU, layer.alpha, 1.0
    if isinstance(layer, layers.SELU):
        return ELU, layer.ALPHA * layer.SCALE, layer.SCALE
    if isinstance(layer, layers.GELU):
        return (GELU if layer.approximate == "none" else GELU_TANH), 0.0, 0.0
    return None


@compiled
def forward(code: int, a: float, b: float, y: Any) -> None:
    """Put the activation of y into y."""
    T = y.dtype.type
    zero, half, one, two, most = T(0), T(0.5), T(1), T(2), T(40)
    a, b = T(a), T(b)
    n = y.size
    if code == RELU:
        for i in range(n):
            y[i] = max(y[i], zero)
    elif code == LEAKY_RELU:
        for i in range(n):
            x = y[i]
            y[i] = max(x, a * x)
    elif code == ELU:
        for i in range(n):
            x = y[i]
            y[i] = b * x if x > zero else a * expm1(x)
    elif code == SIGMOID:
        for i in range(n):
            y[i] = sigmoid(y[i])
    elif code == TANH:
        for i in range(n):
            y[i] = tanh(y[i])
    elif code == HARD_SIGMOID:
        for i in range(n):
            y[i] = min(max(y[i] * T(1 / 6) + half, zero), one)
    elif code == SOFTPLUS:
        for i in range(n):
            x = y[i]
            y[i] = max(x, zero) + math.log1p(exp(-abs(x)))
    elif code == SILU:
        for i in range(n):
            x = y[i]
            y[i] = x * sigmoid(x)
    elif code == GELU:
        for i in range(n):
            x = y[i]
            y[i] = x * normal_cdf(x)
    elif code == GELU_TANH:
        for i in range(n):
            x = y[i]
            y[i] = x * _phi(x)
    else:  # Mish: z m / (m + 2), m = e (e + 2), e = e^z
        for i in range(n):
            x = y[i]
            e = exp(min(x, most))
            m = e * (e + two)
            y[i] = x * (m / (m + two))


@compiled
def backward(code: int, a: float, b: float, z: Any, y: Any, dy: Any) -> None:
    """Multiply dy by the activation's slope; z is read only by those in NEEDS_Z."""
    T = y.dtype.type
    zero, one, two = T(0), T(1), T(2)
    a, b = T(a), T(b)
    n = y.size
    if code == RELU:
        for i in range(n):
            dy[i] = dy[i] if y[i] > zero else zero
    elif code == LEAKY_RELU:
        for i in range(n):
            dy[i] *= one if y[i] > zero else a
    elif code == ELU:
        for i in range(n):
            v = y[i]
            dy[i] *= b if v > zero else v + a
    elif code == SIGMOID:
        for i in range(n):
            v = y[i]
            dy[i] *= (one - v) * v
    elif code == TANH:
        for i in range(n):
            v = y[i]
            dy[i] *= one - v * v
    elif code == HARD_SIGMOID:
        for i in range(n):
            v = y[i]
            dy[i] *= T(1 / 6) if (one - v) * v > zero else zero
    elif code == SOFTPLUS:
        for i in range(n):
            dy[i] *= -expm1(-y[i])  # σ(z) = 1 − e^−y
    elif code == SILU:
        for i in range(n):
            s = sigmoid(z[i])
            dy[i] *= s + y[i] * (one - s)
    elif code == GELU:
        for i in range(n):
            x = min(max(z[i], T(-100)), T(100))
            dy[i] *= normal_cdf(x) + x * T(1 / math.sqrt(2 * math.pi)) * exp(T(-0.5) * x * x)
    elif code == GELU_TANH:
        for i in range(n):
            x = min(max(z[i], T(-100)), T(100))
            phi = _phi(x)
            slope = T(2 * math.sqrt(2 / math.pi)) * (one + T(3 * 0.044715) * x * x)
            dy[i] *= phi + x * phi * (one - phi) * slope
    else:
        for i in range(n):
            x = z[i]
            e = exp(min(x, T(40)))
            m = e * (e + two)
            below = one / (m + two)
            dy[i] *= m * below + x * T(4) * e * (e + one) * below * below


@compiled
def _phi(x: Any) -> Any:
    """Return σ(2u), u = √(2/π) (x + 0.044715 x³)."""
    T = type(x)
    x = min(max(x, T(-100)), T(100))
    return sigmoid(T(2 * math.sqrt(2 / math.pi)) * x * (T(1) + T(0.044715) * x * x))


@compiled
def exponential(y: Any) -> None:
    """Put e^y into y."""
    for i in range(y.size):
        y[i] = exp(y[i])
