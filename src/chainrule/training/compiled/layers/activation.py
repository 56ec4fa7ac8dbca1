"""Elementwise activations, each beside its slope, and Softmax and PReLU.

Each is y = f(z) and f′, written with y where that is enough: then z need not be there any more, and y takes its place.
The formulas are those of :mod:`chainrule.layers.activation`; a and b are a layer's constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.features import by_feature
from chainrule.training.compiled.functions import exp, expm1, normal_cdf, sigmoid, tanh
from chainrule.training.compiled.slots import dx_of, dy_of, integer, real, x_of, y_of

if TYPE_CHECKING:
    from chainrule.layers import Layer
    from chainrule.training.compiled.program import Program

part = inlined("part")[0]


def _elementwise(
    name: str, f: Any, slope: Any, reals: Callable[[Any], Sequence[float]] = lambda layer: (), *, from_y: bool = True
) -> Any:
    """Return the plan of an activation; ``from_y`` says that its slope needs y only.

    In place and from one offset to another are operations of their own: where the compiler must fear that two vectors
    overlap, it makes no vector instructions.
    """
    f, slope = compiled(f), compiled(slope)
    here, there = _operations(f"{name}_in_place", f, slope, True), _operations(name, f, slope, False)

    def plan(layer: Layer, program: Program, x: int) -> int:
        size = math.prod(layer.output_shape)
        in_place = from_y and x in program.overwritable
        y = x if in_place else program.room(size)
        forward, backward = here if in_place else there
        operands = {"x": x, "y": y, "inputs": size, "outputs": size, "reals": reals(layer)}
        program.forward(forward, **operands)
        program.slope(backward, **operands)
        program.overwritable.discard(y)  # the slope is written with it
        return y

    return plan


def _operations(name: str, f: Any, slope: Any, in_place: bool) -> tuple[Any, Any]:
    """Return y = f(z) and dx = dy f′(z), one loop over all values of the rows each."""

    def forward(T, op, base, n, row, rows):
        y = y_of(T, op, base, n, row, rows)
        z = y if in_place else x_of(T, op, base, n, row, rows)
        a, b = T(real(op, slots.REALS)), T(real(op, slots.REALS + 1))
        for i in range(y.size):
            y[i] = f(T, z[i], a, b)

    def backward(T, op, base, n, row, rows):
        y, dy = y_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows)
        z = y if in_place else x_of(T, op, base, n, row, rows)
        dx = dy if in_place else dx_of(T, op, base, n, row, rows)
        a, b = T(real(op, slots.REALS)), T(real(op, slots.REALS + 1))
        for i in range(y.size):
            dx[i] = dy[i] * slope(T, z[i], y[i], a, b)

    forward.__name__, backward.__name__ = name, f"{name}_slope"
    return operation(forward), operation(backward)


ReLU = _elementwise("relu", lambda T, z, a, b: max(z, T(0)), lambda T, z, y, a, b: T(1) if y > T(0) else T(0))
LeakyReLU = _elementwise(
    "leaky_relu",
    lambda T, z, a, b: max(z, a * z), lambda T, z, y, a, b: T(1) if y > T(0) else a,
    lambda layer: (layer.negative_slope,),
)  # fmt: skip
_ELU = (  # a = λ α, b = λ
    "elu",
    lambda T, z, a, b: b * z if z > T(0) else a * expm1(z), lambda T, z, y, a, b: b if y > T(0) else y + a,
)  # fmt: skip
ELU = _elementwise(*_ELU, lambda layer: (layer.alpha, 1.0))
SELU = _elementwise(*_ELU, lambda layer: (layer.ALPHA * layer.SCALE, layer.SCALE))
Sigmoid = _elementwise("sigmoid", lambda T, z, a, b: sigmoid(z), lambda T, z, y, a, b: (T(1) - y) * y)
Tanh = _elementwise("tanh", lambda T, z, a, b: tanh(z), lambda T, z, y, a, b: T(1) - y * y)
HardSigmoid = _elementwise(
    "hard_sigmoid",
    lambda T, z, a, b: min(max(z * T(1 / 6) + T(0.5), T(0)), T(1)),
    lambda T, z, y, a, b: T(1 / 6) if (T(1) - y) * y > T(0) else T(0),
)
Softplus = _elementwise(
    "softplus",
    lambda T, z, a, b: max(z, T(0)) + math.log1p(exp(-abs(z))),
    lambda T, z, y, a, b: -expm1(-y),  # σ(z) = 1 − e^−y
)


def _silu_slope(T, z, y, a, b):
    s = sigmoid(z)
    return s + y * (T(1) - s)


def _gelu_slope(T, z, y, a, b):
    x = min(max(z, T(-100)), T(100))
    return normal_cdf(x) + x * T(1 / math.sqrt(2 * math.pi)) * exp(T(-0.5) * x * x)


@compiled
def _phi(T, z):
    """Return σ(2u), u = √(2/π) (z + 0.044715 z³)."""
    x = min(max(z, T(-100)), T(100))
    return sigmoid(T(2 * math.sqrt(2 / math.pi)) * x * (T(1) + T(0.044715) * x * x))


def _gelu_tanh_slope(T, z, y, a, b):
    x, phi = min(max(z, T(-100)), T(100)), _phi(T, z)
    return phi + x * phi * (T(1) - phi) * (T(2 * math.sqrt(2 / math.pi)) * (T(1) + T(3 * 0.044715) * x * x))


def _mish(T, z, a, b):  # z m / (m + 2), m = e (e + 2), e = e^z
    e = exp(min(z, T(40)))
    m = e * (e + T(2))
    return z * (m / (m + T(2)))


def _mish_slope(T, z, y, a, b):
    e = exp(min(z, T(40)))
    m = e * (e + T(2))
    below = T(1) / (m + T(2))
    return m * below + z * T(4) * e * (e + T(1)) * below * below


SiLU = _elementwise("silu", lambda T, z, a, b: z * sigmoid(z), _silu_slope, from_y=False)
Mish = _elementwise("mish", _mish, _mish_slope, from_y=False)
_exact = _elementwise("gelu", lambda T, z, a, b: z * normal_cdf(z), _gelu_slope, from_y=False)
_approximate = _elementwise("gelu_tanh", lambda T, z, a, b: z * _phi(T, z), _gelu_tanh_slope, from_y=False)


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
    operands = {"x": x, "y": y, "inputs": size, "outputs": size, "own": (layer.output_shape[-1],)}
    program.forward(softmax, **operands)
    program.slope(softmax_slope, **operands)
    return y


@operation
def softmax(T, op, base, n, row, rows):
    """Put e^(x − max) / Σ into y: row by row, but e^ of all rows in one loop, as a row may be shorter than a vector."""
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


PReLU = by_feature(
    "prelu", "alpha",
    lambda T, x, alpha: max(x, T(0)) + alpha * min(x, T(0)),
    lambda T, x, dy, alpha: dy if x > T(0) else alpha * dy,
    lambda T, x, dy: dy * min(x, T(0)),
)  # fmt: skip
