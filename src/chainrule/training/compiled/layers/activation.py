"""Elementwise activations, each beside its slope, and Softmax and PReLU.

Each is y = f(z) and f′, written with y where that is enough: then z need not be there any more, and y takes its place.
The formulas are those of :mod:`chainrule.layers.activation`; a and b are a layer's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.functions import exp, expm1, normal_cdf, sigmoid, tanh
from chainrule.training.compiled.slots import dx_of, dy_of, gradient, integer, parameters, real, share, x_of, y_of

if TYPE_CHECKING:
    from chainrule.layers import Layer
    from chainrule.training.compiled.program import Program

part = inlined("part")[0]


def _elementwise(
    f: Any, slope: Any, numbers: Callable[[Any], Sequence[float]] = lambda layer: (), *, from_y: bool = True
) -> Any:
    """Return the plan of an activation; ``from_y`` says that its slope needs y only.

    In place and from one place to another are operations of their own: where the compiler must fear that two places
    overlap, it makes no vector instructions.
    """
    name = f.python.__name__.strip("_")
    here, there = _operations(f"{name}_in_place", f, slope), _operations(name, f, slope)

    def plan(layer: Layer, program: Program, x: int) -> int:
        size = math.prod(layer.output_shape)
        in_place = from_y and x in program.overwritable
        y = x if in_place else program.room(size)
        forward, backward = here if in_place else there
        place = {"x": x, "y": y, "inputs": size, "outputs": size, "reals": numbers(layer)}
        program.forward(forward, **place)
        if program.slope_wanted:
            program.backward(backward, **place)
        program.overwritable.discard(y)  # the slope is written with it
        return y

    return plan


def _operations(name: str, f: Any, slope: Any) -> tuple[Any, Any]:
    def forward(T, op, base, n, row, rows):
        z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
        a, b = T(real(op, slots.REALS)), T(real(op, slots.REALS + 1))
        for i in range(y.size):
            y[i] = f(T, z[i], a, b)

    def backward(T, op, base, n, row, rows):
        z, y = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows)
        dy, dx = dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
        a, b = T(real(op, slots.REALS)), T(real(op, slots.REALS + 1))
        for i in range(y.size):
            dx[i] = dy[i] * slope(T, z[i], y[i], a, b)

    def forward_in_place(T, op, base, n, row, rows):
        y = y_of(T, op, base, n, row, rows)
        a, b = T(real(op, slots.REALS)), T(real(op, slots.REALS + 1))
        for i in range(y.size):
            y[i] = f(T, y[i], a, b)

    def backward_in_place(T, op, base, n, row, rows):
        y, dy = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows)
        a, b = T(real(op, slots.REALS)), T(real(op, slots.REALS + 1))
        for i in range(y.size):
            dy[i] *= slope(T, y[i], y[i], a, b)

    pair = (forward_in_place, backward_in_place) if name.endswith("in_place") else (forward, backward)
    for function, which in zip(pair, (name, f"{name}_slope"), strict=True):
        function.__name__ = which
    return operation(pair[0]), operation(pair[1])


@compiled
def _relu(T, z, a, b):
    return max(z, T(0))


@compiled
def _relu_slope(T, z, y, a, b):
    return T(1) if y > T(0) else T(0)


@compiled
def _leaky_relu(T, z, a, b):
    return max(z, a * z)


@compiled
def _leaky_relu_slope(T, z, y, a, b):
    return T(1) if y > T(0) else a


@compiled
def _elu(T, z, a, b):  # a = λ α, b = λ
    return b * z if z > T(0) else a * expm1(z)


@compiled
def _elu_slope(T, z, y, a, b):
    return b if y > T(0) else y + a


@compiled
def _sigmoid(T, z, a, b):
    return sigmoid(z)


@compiled
def _sigmoid_slope(T, z, y, a, b):
    return (T(1) - y) * y


@compiled
def _tanh(T, z, a, b):
    return tanh(z)


@compiled
def _tanh_slope(T, z, y, a, b):
    return T(1) - y * y


@compiled
def _hard_sigmoid(T, z, a, b):
    return min(max(z * T(1 / 6) + T(0.5), T(0)), T(1))


@compiled
def _hard_sigmoid_slope(T, z, y, a, b):
    return T(1 / 6) if (T(1) - y) * y > T(0) else T(0)


@compiled
def _softplus(T, z, a, b):
    return max(z, T(0)) + math.log1p(exp(-abs(z)))


@compiled
def _softplus_slope(T, z, y, a, b):  # σ(z) = 1 − e^−y
    return -expm1(-y)


@compiled
def _silu(T, z, a, b):
    return z * sigmoid(z)


@compiled
def _silu_slope(T, z, y, a, b):
    s = sigmoid(z)
    return s + y * (T(1) - s)


@compiled
def _gelu(T, z, a, b):
    return z * normal_cdf(z)


@compiled
def _gelu_slope(T, z, y, a, b):
    x = min(max(z, T(-100)), T(100))
    return normal_cdf(x) + x * T(1 / math.sqrt(2 * math.pi)) * exp(T(-0.5) * x * x)


@compiled
def _phi(T, z):
    """Return σ(2u), u = √(2/π) (z + 0.044715 z³)."""
    x = min(max(z, T(-100)), T(100))
    return sigmoid(T(2 * math.sqrt(2 / math.pi)) * x * (T(1) + T(0.044715) * x * x))


@compiled
def _gelu_tanh(T, z, a, b):
    return z * _phi(T, z)


@compiled
def _gelu_tanh_slope(T, z, y, a, b):
    x, phi = min(max(z, T(-100)), T(100)), _phi(T, z)
    return phi + x * phi * (T(1) - phi) * (T(2 * math.sqrt(2 / math.pi)) * (T(1) + T(3 * 0.044715) * x * x))


@compiled
def _mish(T, z, a, b):  # z m / (m + 2), m = e (e + 2), e = e^z
    e = exp(min(z, T(40)))
    m = e * (e + T(2))
    return z * (m / (m + T(2)))


@compiled
def _mish_slope(T, z, y, a, b):
    e = exp(min(z, T(40)))
    m = e * (e + T(2))
    below = T(1) / (m + T(2))
    return m * below + z * T(4) * e * (e + T(1)) * below * below


ReLU = _elementwise(_relu, _relu_slope)
LeakyReLU = _elementwise(_leaky_relu, _leaky_relu_slope, lambda layer: (layer.negative_slope,))
ELU = _elementwise(_elu, _elu_slope, lambda layer: (layer.alpha, 1.0))
SELU = _elementwise(_elu, _elu_slope, lambda layer: (layer.ALPHA * layer.SCALE, layer.SCALE))
Sigmoid = _elementwise(_sigmoid, _sigmoid_slope)
Tanh = _elementwise(_tanh, _tanh_slope)
HardSigmoid = _elementwise(_hard_sigmoid, _hard_sigmoid_slope)
Softplus = _elementwise(_softplus, _softplus_slope)
SiLU = _elementwise(_silu, _silu_slope, from_y=False)
Mish = _elementwise(_mish, _mish_slope, from_y=False)
_exact = _elementwise(_gelu, _gelu_slope, from_y=False)
_approximate = _elementwise(_gelu_tanh, _gelu_tanh_slope, from_y=False)


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
    y = program.room(size)
    place = {"x": x, "y": y, "inputs": size, "outputs": size, "own": (layer.output_shape[-1],)}
    program.forward(softmax, **place)
    if program.slope_wanted:
        program.backward(softmax_slope, **place)
    return y


@operation
def softmax(T, op, base, n, row, rows):
    """Put e^(x − max) / Σ into y."""
    x, y, classes = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(op, slots.OWN)
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
    classes = integer(op, slots.OWN)
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
    x, y, features = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(op, slots.OWN)
    alpha = parameters(T, op, base, slots.W, features)
    for i in range(0, y.size, features):
        z, line = part(x, i, features), part(y, i, features)
        for k in range(features):
            line[k] = max(z[k], T(0)) + alpha[k] * min(z[k], T(0))


@operation
def prelu_slope(T, op, base, n, row, rows):
    """Put dy into dx where x > 0, else α dy."""
    x, dy, dx = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
    features = integer(op, slots.OWN)
    alpha = parameters(T, op, base, slots.W, features)
    for i in range(0, x.size, features):
        z, slope, out = part(x, i, features), part(dy, i, features), part(dx, i, features)
        for k in range(features):
            out[k] = slope[k] if z[k] > T(0) else alpha[k] * slope[k]


@operation
def prelu_alpha(T, op, base, n, row, rows):
    """Put Σ dy min(x, 0) into this share of dα."""
    x, dy, features = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), integer(op, slots.OWN)
    first, last = share(base, features)
    dalpha = gradient(T, op, base, slots.W, features)
    for k in range(first, last):
        dalpha[k] = T(0)
    for i in range(0, x.size, features):
        z, slope = part(x, i, features), part(dy, i, features)
        for k in range(first, last):
            dalpha[k] += slope[k] * min(z[k], T(0))
