"""Elementwise activations, each beside its slope, and Softmax.

An operation for each: y = f(z), and dx = dy f′, written with y where that is enough: then z need not be there any more,
and y takes its place. The formulas are those of :mod:`chainrule.layers.activation`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.functions import exp, expm1, normal_cdf, sigmoid, tanh
from chainrule.training.compiled.slots import (
    NUMBERS, OUTPUTS, OWN, W, dx_of, dy_of, gradient, integer, number, parameters, share, x_of, y_of,
)  # fmt: skip

if TYPE_CHECKING:
    from chainrule.layers import Layer
    from chainrule.training.compiled.program import Program

part = inlined("part")[0]


def _elementwise(forward: Any, backward: Any, numbers: Any = lambda layer: (), *, from_y: bool = True) -> Any:
    """Return the plan of an activation; ``from_y`` says that its slope needs y only."""

    def plan(layer: Layer, program: Program, x: int) -> int:
        size = math.prod(layer.output_shape)
        y = x if from_y and x in program.overwritable else program.room(size)
        place = {"x": x, "y": y, "inputs": size, "outputs": size, "numbers": numbers(layer)}
        program.forward(forward, **place)
        if program.slope_wanted:
            program.backward(backward, **place)
        program.overwritable.discard(y)  # the slope is written with it
        return y

    return plan


@operation
def relu(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    for i in range(y.size):
        y[i] = max(z[i], T(0))


@operation
def relu_slope(T, op, base, n, row, rows):
    y, dy, dx = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > T(0) else T(0)


@operation
def leaky_relu(T, op, base, n, row, rows):
    z, y, a = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), T(number(op, NUMBERS))
    for i in range(y.size):
        y[i] = max(z[i], a * z[i])


@operation
def leaky_relu_slope(T, op, base, n, row, rows):
    y, dy, dx = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    a = T(number(op, NUMBERS))
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > T(0) else dy[i] * a


@operation
def elu(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    a, b = T(number(op, NUMBERS)), T(number(op, NUMBERS + 1))
    for i in range(y.size):
        y[i] = b * z[i] if z[i] > T(0) else a * expm1(z[i])


@operation
def elu_slope(T, op, base, n, row, rows):
    y, dy, dx = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    a, b = T(number(op, NUMBERS)), T(number(op, NUMBERS + 1))
    for i in range(y.size):
        dx[i] = dy[i] * (b if y[i] > T(0) else y[i] + a)


@operation
def logistic(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    for i in range(y.size):
        y[i] = sigmoid(z[i])


@operation
def logistic_slope(T, op, base, n, row, rows):
    y, dy, dx = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(y.size):
        dx[i] = dy[i] * ((T(1) - y[i]) * y[i])


@operation
def hyperbolic(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    for i in range(y.size):
        y[i] = tanh(z[i])


@operation
def hyperbolic_slope(T, op, base, n, row, rows):
    y, dy, dx = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(y.size):
        dx[i] = dy[i] * (T(1) - y[i] * y[i])


@operation
def hard_sigmoid(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    for i in range(y.size):
        y[i] = min(max(z[i] * T(1 / 6) + T(0.5), T(0)), T(1))


@operation
def hard_sigmoid_slope(T, op, base, n, row, rows):
    y, dy, dx = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(y.size):
        dx[i] = dy[i] * (T(1 / 6) if (T(1) - y[i]) * y[i] > T(0) else T(0))


@operation
def softplus(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    for i in range(y.size):
        y[i] = max(z[i], T(0)) + math.log1p(exp(-abs(z[i])))


@operation
def softplus_slope(T, op, base, n, row, rows):
    y, dy, dx = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(y.size):
        dx[i] = dy[i] * -expm1(-y[i])  # σ(z) = 1 − e^−y


@operation
def silu(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    for i in range(y.size):
        y[i] = z[i] * sigmoid(z[i])


@operation
def silu_slope(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    dy, dx = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(y.size):
        s = sigmoid(z[i])
        dx[i] = dy[i] * (s + y[i] * (T(1) - s))


@operation
def gelu(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    for i in range(y.size):
        y[i] = z[i] * normal_cdf(z[i])


@operation
def gelu_slope(T, op, base, n, row, rows):
    z, dy, dx = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(z.size):
        x = min(max(z[i], T(-100)), T(100))
        dx[i] = dy[i] * (normal_cdf(x) + x * T(1 / math.sqrt(2 * math.pi)) * exp(T(-0.5) * x * x))


@compiled
def _phi(x: Any) -> Any:
    """Return σ(2u), u = √(2/π) (x + 0.044715 x³)."""
    T = type(x)
    x = min(max(x, T(-100)), T(100))
    return sigmoid(T(2 * math.sqrt(2 / math.pi)) * x * (T(1) + T(0.044715) * x * x))


@operation
def gelu_tanh(T, op, base, n, row, rows):
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    for i in range(y.size):
        y[i] = z[i] * _phi(z[i])


@operation
def gelu_tanh_slope(T, op, base, n, row, rows):
    z, dy, dx = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(z.size):
        x = min(max(z[i], T(-100)), T(100))
        phi = _phi(x)
        slope = T(2 * math.sqrt(2 / math.pi)) * (T(1) + T(3 * 0.044715) * x * x)
        dx[i] = dy[i] * (phi + x * phi * (T(1) - phi) * slope)


@operation
def mish(T, op, base, n, row, rows):
    """Put z m / (m + 2) into y, with m = e (e + 2), e = e^z."""
    z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
    for i in range(y.size):
        e = exp(min(z[i], T(40)))
        m = e * (e + T(2))
        y[i] = z[i] * (m / (m + T(2)))


@operation
def mish_slope(T, op, base, n, row, rows):
    z, dy, dx = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    for i in range(z.size):
        e = exp(min(z[i], T(40)))
        m = e * (e + T(2))
        below = T(1) / (m + T(2))
        dx[i] = dy[i] * (m * below + z[i] * T(4) * e * (e + T(1)) * below * below)


ReLU = _elementwise(relu, relu_slope)
LeakyReLU = _elementwise(leaky_relu, leaky_relu_slope, lambda layer: (layer.negative_slope,))
ELU = _elementwise(elu, elu_slope, lambda layer: (layer.alpha, 1.0))
SELU = _elementwise(elu, elu_slope, lambda layer: (layer.ALPHA * layer.SCALE, layer.SCALE))
Sigmoid = _elementwise(logistic, logistic_slope)
Tanh = _elementwise(hyperbolic, hyperbolic_slope)
HardSigmoid = _elementwise(hard_sigmoid, hard_sigmoid_slope)
Softplus = _elementwise(softplus, softplus_slope)
SiLU = _elementwise(silu, silu_slope, from_y=False)
Mish = _elementwise(mish, mish_slope, from_y=False)
_exact, _approximate = _elementwise(gelu, gelu_slope, from_y=False), _elementwise(gelu_tanh, gelu_tanh_slope, from_y=False)


def GELU(layer: Any, program: Program, x: int) -> int:  # noqa: N802  (named as the class)
    """Plan one of its two formulas."""
    return int((_exact if layer.approximate == "none" else _approximate)(layer, program, x))


def Identity(layer: Layer, program: Program, x: int) -> int:  # noqa: N802
    """Plan nothing: y is x."""
    return x


# ------------------------------------------------------------ activations of a whole row, or with parameters


def Softmax(layer: Layer, program: Program, x: int) -> int:  # noqa: N802
    """Plan it over the last axis."""
    size = math.prod(layer.output_shape)
    y = x if x in program.overwritable else program.room(size)
    place = {"x": x, "y": y, "inputs": size, "outputs": size, "own": (layer.output_shape[-1],)}
    program.forward(softmax, **place)
    if program.slope_wanted:
        program.backward(softmax_slope, **place)
    program.overwritable.discard(y)
    return y


@operation
def softmax(T, op, base, n, row, rows):
    """Put e^(x − max) / Σ into y."""
    x, y, classes = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(op, OWN)
    for i in range(0, y.size, classes):
        z, line = part(x, i, classes), part(y, i, classes)
        largest = z[0]
        for k in range(1, classes):
            largest = max(largest, z[k])
        for k in range(classes):
            line[k] = z[k] - largest
    for i in range(y.size):
        y[i] = exp(y[i])
    for i in range(0, y.size, classes):
        line, total = part(y, i, classes), T(0)
        for k in range(classes):
            total += line[k]
        for k in range(classes):
            line[k] /= total


@operation
def softmax_slope(T, op, base, n, row, rows):
    """Put y (dy − Σ dy y) into dx."""
    y, dy, dx = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    classes = integer(op, OWN)
    for i in range(0, y.size, classes):
        line, slope, out = part(y, i, classes), part(dy, i, classes), part(dx, i, classes)
        total = T(0)
        for k in range(classes):
            total += slope[k] * line[k]
        for k in range(classes):
            out[k] = line[k] * (slope[k] - total)


def PReLU(layer: Layer, program: Program, x: int) -> int:  # noqa: N802
    """Plan it, with α for each feature."""
    size = math.prod(layer.output_shape)
    y = program.room(size)
    place = {
        "x": x, "y": y, "inputs": size, "outputs": size, "W": program.at("alpha"), "own": (layer.output_shape[-1],)
    }  # fmt: skip
    program.forward(prelu, **place)
    program.gradient(prelu_alpha, **place)
    if program.slope_wanted:
        program.backward(prelu_slope, **place)
    program.overwritable.add(y)
    return y


@operation
def prelu(T, op, base, n, row, rows):
    """Put max(x, 0) + α min(x, 0) into y."""
    x, y, features = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(op, OWN)
    alpha = parameters(T, op, base, W, features)
    for i in range(0, y.size, features):
        z, line = part(x, i, features), part(y, i, features)
        for k in range(features):
            line[k] = max(z[k], T(0)) + alpha[k] * min(z[k], T(0))


@operation
def prelu_slope(T, op, base, n, row, rows):
    """Put dy into dx where x > 0, else α dy."""
    x, dy, dx = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    features = integer(op, OWN)
    alpha = parameters(T, op, base, W, features)
    for i in range(0, x.size, features):
        z, slope, out = part(x, i, features), part(dy, i, features), part(dx, i, features)
        for k in range(features):
            out[k] = slope[k] if z[k] > T(0) else alpha[k] * slope[k]


@operation
def prelu_alpha(T, op, base, n, row, rows):
    """Put Σ dy min(x, 0) into this share of dα."""
    x, dy, features = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), integer(op, OWN)
    first, last = share(base, features)
    dalpha = gradient(T, op, base, W, features)
    for k in range(first, last):
        dalpha[k] = T(0)
    for i in range(0, x.size, features):
        z, slope = part(x, i, features), part(dy, i, features)
        for k in range(first, last):
            dalpha[k] += slope[k] * min(z[k], T(0))
