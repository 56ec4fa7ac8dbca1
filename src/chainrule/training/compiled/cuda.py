"""Lines of CUDA C++ for each number of an activation, a dropout mask, a loss or an optimizer's step.

They are the formulas of :mod:`chainrule.layers`, :mod:`chainrule.losses` and :mod:`chainrule.optimizers`, value by
value: an array is read once instead of once for each operation. Comparisons are written so that NaN stays NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from chainrule._internal.backend import kernel, reduction
from chainrule._internal.philox import INPUTS, SOURCE
from chainrule.layers import ELU, GELU, SELU, HardSigmoid, LeakyReLU, Mish, ReLU, Sigmoid, SiLU, Softplus, Tanh
from chainrule.optimizers import SGD, Adagrad, Adam, AdamW, Lion, Momentum, Nesterov, Optimizer, RMSProp

MOST_CLASSES = 256  # one thread computes a row of the softmax; with more, array operations are faster


class Activation(NamedTuple):
    """y = f(z) and its slope, with a layer's constants a and b; with ``from_y``, the slope needs only y."""

    y: str
    slope: str
    constants: Callable[[Any], tuple[float, ...]] = lambda _: ()
    from_y: bool = True

    def with_bias(self, layer: Any) -> Callable[..., None]:
        """Return the function (z, bias, out z + bias, out y); z + bias is not written if the slope needs y only."""
        a, b = self._constants(layer)
        if self.from_y:
            run = kernel("T x, T bias, T a, T b", "T y", f"T z = x + bias; {self.y}", self._name(layer, "bias"))
            return lambda x, bias, _, y: run(x, bias, a, b, y)
        run = kernel("T x, T bias, T a, T b", "T z, T y", f"z = x + bias; {self.y}", self._name(layer, "bias"))
        return lambda x, bias, z, y: run(x, bias, a, b, z, y)

    def alone(self, layer: Any) -> Callable[..., None]:
        """Return the function (z, out y)."""
        a, b = self._constants(layer)
        run = kernel("T z, T a, T b", "T y", self.y, self._name(layer, "y"))
        return lambda z, y: run(z, a, b, y)

    def backward(self, layer: Any) -> Callable[..., None]:
        """Return the function (dy, z, y, out dx)."""
        a, b = self._constants(layer)
        body = f"T slope; {self.slope} dx = dy * slope;"
        run = kernel("T dy, T z, T y, T a, T b", "T dx", body, self._name(layer, "dx"))
        return lambda dy, z, y, dx: run(dy, z, y, a, b, dx)

    def _constants(self, layer: Any) -> tuple[float, float]:
        a, b, *_ = *self.constants(layer), 0.0, 0.0
        return a, b

    @staticmethod
    def _name(layer: Any, what: str) -> str:
        return f"chainrule_{type(layer).__name__}_{what}"


_ELU_Y = "y = z > T(0) ? b * z : a * expm1(z);"
_ELU_SLOPE = "slope = y > T(0) ? b : y + a;"
_SIGMOID = "T s = T(1) / (T(1) + exp(-z));"
_MISH = "T e = exp(z < T(40) ? z : T(40)); T m = e * (e + T(2)); T below = T(1) / (m + T(2));"
_CLIPPED = "T x_ = z < T(-100) ? T(-100) : z > T(100) ? T(100) : z;"  # outside, Φ is 0 or 1, and x³ could overflow
_CDF = f"T phi = T(0.5) * erfc(-z * T({math.sqrt(0.5)}));"
_TANH_CDF = (
    f"{_CLIPPED} T u = T({2 * math.sqrt(2 / math.pi)}) * x_; T q = T(0.044715) * x_ * x_; "
    "T phi = T(1) / (T(1) + exp(-u * (T(1) + q)));"
)
_GELU = Activation(
    f"{_CDF} y = z * phi;",
    f"{_CDF} slope = phi + z * T({1 / math.sqrt(2 * math.pi)}) * exp(T(-0.5) * z * z);",
    from_y=False,
)
_GELU_TANH = Activation(
    f"{_TANH_CDF} y = z * phi;",
    f"{_TANH_CDF} slope = phi + phi * (T(1) - phi) * u * (T(1) + T(3) * q);",
    from_y=False,
)
_ACTIVATIONS = {
    ReLU: Activation("y = z < T(0) ? T(0) : z;", "slope = y > T(0) ? T(1) : T(0);"),
    LeakyReLU: Activation(
        "y = z < T(0) ? a * z : z;", "slope = y > T(0) ? T(1) : a;", lambda layer: (layer.negative_slope,)
    ),
    ELU: Activation(_ELU_Y, _ELU_SLOPE, lambda layer: (layer.alpha, 1.0)),
    SELU: Activation(_ELU_Y, _ELU_SLOPE, lambda layer: (layer.ALPHA * layer.SCALE, layer.SCALE)),
    Sigmoid: Activation(f"{_SIGMOID} y = s;", "slope = (T(1) - y) * y;"),
    Tanh: Activation("y = tanh(z);", "slope = T(1) - y * y;"),
    HardSigmoid: Activation(
        f"T h = z * T({1 / 6}) + T(0.5); y = h < T(0) ? T(0) : h > T(1) ? T(1) : h;",
        f"slope = (T(1) - y) * y > T(0) ? T({1 / 6}) : T(0);",
    ),
    Softplus: Activation("y = (z < T(0) ? T(0) : z) + log1p(exp(-fabs(z)));", "slope = -expm1(-y);"),
    SiLU: Activation(f"{_SIGMOID} y = z * s;", f"{_SIGMOID} slope = s + y * (T(1) - s);", from_y=False),
    Mish: Activation(
        f"{_MISH} y = z * (m * below);",
        f"{_MISH} slope = m * below + z * T(4) * e * (e + T(1)) * below * below;",
        from_y=False,
    ),
}


def activation(layer: Any) -> Activation | None:
    """Return the lines for a layer; None if it is not an activation, or has none."""
    if type(layer) is GELU:
        return _GELU if layer.approximate == "none" else _GELU_TANH
    return _ACTIVATIONS.get(type(layer))


def dropout() -> Any:
    """Return the kernel (call and key of the generator, x, keep, 1 / keep, out mask, out y)."""
    body = "mask = uniform(philox(i, call, k0, k1), T(0)) < keep ? scale : T(0); y = x * mask;"
    return kernel(f"{INPUTS}, T x, T keep, T scale", "T mask, T y", body, "chainrule_dropout", SOURCE)


def softmax_cross_entropy() -> Any:
    """Return the kernel (y, labels, wᵢ / Σ w, ε, classes, out ℓ, out dL/dy), with one thread for each row."""
    body = """
        ptrdiff_t start = i * classes;
        T top = y[start], sum = 0, shifted = 0;
        for (int k = 1; k < classes; ++k) top = y[start + k] <= top ? top : y[start + k];
        for (int k = 0; k < classes; ++k) {
            T v = y[start + k] - top;
            shifted += v;
            v = exp(v);
            sum += v;
            dy[start + k] = v;
        }
        T smooth = epsilon / T(classes);
        value = log(sum) - (T(1) - epsilon) * (y[start + t] - top) - smooth * shifted;
        for (int k = 0; k < classes; ++k)
            dy[start + k] = (dy[start + k] / sum - smooth - (k == t ? T(1) - epsilon : T(0))) * share;
    """
    inputs = "raw T y, int64 t, T share, T epsilon, int32 classes"
    return kernel(inputs, "T value, raw T dy", body, "chainrule_softmax_cross_entropy")


def squared_norm(grad: Any) -> Any:
    """Return Σ g² in float64, on the GPU: squares overflow early in float32."""
    return reduction("T g", "double total", "double(g) * double(g)", "a + b", "total = a", "chainrule_norm")(grad)


def clip_factor(squared: Any, limit: float, like: Any) -> Any:
    """Return min(1, limit / ‖g‖) on the GPU."""
    factor = like[:1].reshape(()).copy()
    body = "double norm = sqrt(squared); factor = norm > limit ? T(limit / norm) : T(1);"
    kernel("double squared, double limit", "T factor", body, "chainrule_clip")(squared, limit, factor)
    return factor


# ------------------------------------------------------------ optimizers: g, η, 1 − ηλ, the clip, constants a ... f

_G = "T g = grad * clip; g = g < -bound ? -bound : g > bound ? bound : g; w *= keep;"
_RMS = "w -= eta * (g / (sqrt(s) + {}));"
_ADAM = "m = a * m + b * g; v = c * v + d * (g * g); w -= eta * (m / (sqrt(v) * e + f));"


def _adam(optimizer: Any, t: int, rate: float) -> tuple[float, ...]:
    b1, b2 = optimizer.beta_1, optimizer.beta_2
    root = math.sqrt(1 - b2**t)
    epsilon = optimizer.epsilon / root if getattr(optimizer, "epsilon_hat", False) else optimizer.epsilon
    return rate / (1 - b1**t), b1, 1 - b1, b2, 1 - b2, 1 / root, epsilon


_STEPS: dict[type[Optimizer], tuple[str, Callable[[Any, int, float], tuple[float, ...]]]] = {
    SGD: ("w -= eta * g;", lambda _, __, rate: (rate,)),
    Momentum: ("v = a * v - eta * g; w += v;", lambda o, _, rate: (rate, o.momentum)),
    Nesterov: (
        "T step = eta * g; v = a * v - step; w += a * v - step;",
        lambda o, _, rate: (rate, o.momentum),
    ),
    Adagrad: ("s += g * g; " + _RMS.format("a"), lambda o, _, rate: (rate, o.epsilon)),
    RMSProp: (
        "s = a * s + b * (g * g); " + _RMS.format("c"),
        lambda o, _, rate: (rate, o.rho, 1 - o.rho, o.epsilon),
    ),
    Adam: (_ADAM, _adam),
    AdamW: (_ADAM, _adam),
    Lion: (
        "T u = a * m + b * g; w -= u > T(0) ? eta : u < T(0) ? -eta : u; m = c * m + d * g;",
        lambda o, _, rate: (rate, o.beta_1, 1 - o.beta_1, o.beta_2, 1 - o.beta_2),
    ),
}


def step(optimizer: Optimizer) -> Callable[..., None] | None:
    """Return the function (gradient, η, 1 − ηλ, clip factor, bound, t, θ, *memory); None if there is none."""
    if type(optimizer) not in _STEPS:
        return None
    body, constants = _STEPS[type(optimizer)]
    letters = "abcdef"[: len(constants(optimizer, 1, 1.0)) - 1]
    inputs = ", ".join(f"T {name}" for name in ("grad", "keep", "clip", "bound", "eta", *letters))
    outputs = ", ".join(f"T {name}" for name in ("w", *type(optimizer).slots))
    run = kernel(inputs, outputs, f"{_G} {body}", f"chainrule_{type(optimizer).__name__}")

    def take(grad: Any, rate: float, keep: float, clip: Any, bound: float, t: int, *arrays: Any) -> None:
        run(grad, keep, clip, bound, *constants(optimizer, t, rate), *arrays)

    return take
