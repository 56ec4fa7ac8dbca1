"""Every layer as ONNX operators: what ``forward`` does in prediction.

float32 uses ONNX's own operator where there is one: runtimes fuse and quantize those. onnxruntime lacks most of them in
float64, so there the layer's own formula is composed of operators that it has, and keeps its digits in the tails too.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule._special import _ERFC_FLOAT32, _ERFC_FLOAT64
from chainrule.layers import (
    ELU,
    GELU,
    SELU,
    Dense,
    Dropout,
    HardSigmoid,
    Identity,
    Layer,
    LeakyReLU,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.onnx.graph import Graph
from chainrule.onnx.registry import register_layer


@register_layer(Dense)
def dense(graph: Graph, layer: Dense, x: str) -> str:
    """Add y = x W + b."""
    weights = graph.parameter("W", layer.W)
    biases = [] if layer.b is None else [graph.parameter("b", layer.b)]
    return graph.node("Gemm", x, weights, *biases)


@register_layer(Dropout)
@register_layer(Identity)
def nothing(graph: Graph, layer: Layer, x: str) -> str:
    """Add nothing: y = x, also what dropout does in prediction."""
    return x


@register_layer(ReLU)
def relu(graph: Graph, layer: ReLU, x: str) -> str:
    """Add y = max(x, 0)."""
    return graph.node("Relu", x)


@register_layer(LeakyReLU)
def leaky_relu(graph: Graph, layer: LeakyReLU, x: str) -> str:
    """Add y = max(x, a x)."""
    if graph.native():
        return graph.node("LeakyRelu", x, alpha=layer.negative_slope)
    return graph.node("Max", x, graph.node("Mul", x, layer.negative_slope))


@register_layer(ELU)
def elu(graph: Graph, layer: ELU, x: str) -> str:
    """Add y = x where x > 0, else α (eˣ − 1)."""
    if graph.native():
        return graph.node("Elu", x, alpha=layer.alpha)
    return _exponential_linear(graph, 1.0, layer.alpha, x)


@register_layer(SELU)
def selu(graph: Graph, layer: SELU, x: str) -> str:
    """Add y = λ x where x > 0, else λ α (eˣ − 1)."""
    if graph.native():
        return graph.node("Selu", x, alpha=layer.ALPHA, gamma=layer.SCALE)
    return _exponential_linear(graph, layer.SCALE, layer.ALPHA, x)


@register_layer(Sigmoid)
def sigmoid(graph: Graph, layer: Layer, x: str) -> str:
    """Add y = σ(x)."""
    return add_sigmoid(graph, x)


@register_layer(Tanh)
def tanh(graph: Graph, layer: Tanh, x: str) -> str:
    """Add y = tanh(x)."""
    return graph.node("Tanh", x)


@register_layer(HardSigmoid)
def hard_sigmoid(graph: Graph, layer: HardSigmoid, x: str) -> str:
    """Add y = min(max(x / 6 + 1/2, 0), 1)."""
    if graph.native():
        return graph.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    return graph.node("Clip", graph.node("Add", graph.node("Mul", x, 1 / 6), 0.5), 0.0, 1.0)


@register_layer(Softplus)
def softplus(graph: Graph, layer: Softplus, x: str) -> str:
    """Add y = max(x, 0) + log(1 + e^−|x|)."""
    if graph.native():
        return graph.node("Softplus", x)
    u = graph.node("Exp", graph.node("Neg", graph.node("Abs", x)))
    w = graph.node("Add", u, 1.0)
    lost = graph.node("Sub", u, graph.node("Sub", w, 1.0))  # what 1 + u has lost of u
    log1p = graph.node("Add", graph.node("Log", w), graph.node("Div", lost, w))
    return graph.node("Add", graph.node("Max", x, 0.0), log1p)


@register_layer(SiLU)
def silu(graph: Graph, layer: SiLU, x: str) -> str:
    """Add y = x σ(x)."""
    return graph.node("Mul", x, add_sigmoid(graph, x))


@register_layer(GELU)
def gelu(graph: Graph, layer: GELU, x: str) -> str:
    """Add y = x Φ(x)."""
    if graph.native(since=20):
        return graph.node("Gelu", x, approximate=layer.approximate)
    if layer.approximate == "none":
        return graph.node("Mul", x, _normal_cdf(graph, x))
    u = graph.node("Clip", x, -100.0, 100.0)
    factor = graph.node("Add", graph.node("Mul", graph.node("Mul", u, u), 0.044715), 1.0)
    u = graph.node("Mul", graph.node("Mul", u, factor), 2 * math.sqrt(2 / math.pi))
    return graph.node("Mul", x, add_sigmoid(graph, u))


@register_layer(Mish)
def mish(graph: Graph, layer: Mish, x: str) -> str:
    """Add y = x n / (n + 2), n = e (e + 2), e = eˣ."""
    if graph.native(since=18):
        return graph.node("Mish", x)
    e = graph.node("Exp", graph.node("Min", x, 40.0))
    n = graph.node("Mul", graph.node("Add", e, 2.0), e)
    return graph.node("Mul", x, graph.node("Div", n, graph.node("Add", n, 2.0)))


@register_layer(Softmax)
def softmax(graph: Graph, layer: Layer, x: str) -> str:
    """Add y = eˣ / Σ eˣ over the last axis."""
    return graph.node("Softmax", x, axis=-1)


def add_sigmoid(graph: Graph, x: str, *, exact: bool = False) -> str:
    """Add σ(x). onnxruntime's own is exact to 2e-7, and 0 below −18 in float32: enough inside of a network."""
    if graph.native() and not exact:
        return graph.node("Sigmoid", x)
    e = graph.node("Exp", graph.node("Min", graph.node("Neg", x), log_max(graph)))
    return graph.node("Reciprocal", graph.node("Add", e, 1.0))


def log_max(graph: Graph) -> float:
    """Return a number whose exponential is finite: that of :func:`chainrule._special.log_max`."""
    return 87.0 if graph.dtype == np.float32 else 708.0


def _exponential_linear(graph: Graph, scale: float, alpha: float, x: str) -> str:
    """Add scale · (x where x > 0, else alpha (eˣ − 1)), with eˣ − 1 = 2 t / (1 − t), t = tanh(x / 2)."""
    t = graph.node("Tanh", graph.node("Mul", graph.node("Min", x, 0.0), 0.5))
    expm1_half = graph.node("Div", t, graph.node("Sub", 1.0, t))
    negative = graph.node("Mul", expm1_half, 2 * scale * alpha)
    return graph.node("Add", graph.node("Mul", graph.node("Max", x, 0.0), scale), negative)


def _normal_cdf(graph: Graph, x: str) -> str:
    """Add Φ(x), line by line as :func:`chainrule._special.normal_cdf`; onnxruntime has no Erf in float64."""
    coefficients = _ERFC_FLOAT32 if graph.dtype == np.float32 else _ERFC_FLOAT64
    z = graph.node("Mul", graph.node("Min", graph.node("Abs", x), 50.0), 1 / math.sqrt(2))
    s = graph.node("Sub", graph.node("Div", 4.0, graph.node("Add", z, 2.0)), 1.0)
    exponent = graph.node("Add", graph.node("Mul", s, coefficients[-1]), coefficients[-2])
    for c in coefficients[-3::-1]:
        exponent = graph.node("Add", graph.node("Mul", exponent, s), c)
    exponent = graph.node("Sub", exponent, graph.node("Mul", z, z))
    beyond = graph.node("Mul", graph.node("Mul", graph.node("Add", s, 1.0), 0.25), graph.node("Exp", exponent))
    sign = graph.node("Sign", x)
    half = graph.node("Mul", graph.node("Add", sign, 1.0), 0.5)
    return graph.node("Sub", half, graph.node("Mul", sign, beyond))
