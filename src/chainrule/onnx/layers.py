"""Every layer as ONNX operators that compute ``forward`` in prediction.

float32 uses ONNX's own operator if there is one, because runtimes can fuse and quantize it. onnxruntime lacks most of
them in float64. For float64, the layer's formula is built from available operators, and stays accurate in the tails.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule._internal.special import _ERFC_FLOAT32, _ERFC_FLOAT64
from chainrule._internal.typing import Array
from chainrule.layers import (
    ELU,
    GELU,
    SELU,
    BatchNorm,
    Dense,
    Dropout,
    Dropout2D,
    Embedding,
    Flatten,
    GaussianNoise,
    HardSigmoid,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    Reshape,
    Residual,
    RMSNorm,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.onnx.graph import Graph
from chainrule.onnx.registry import add_layers, register_layer


@register_layer(Dense)
def dense(graph: Graph, layer: Dense, x: str) -> str:
    """Add y = x W + b."""
    weights = graph.parameter("W", layer.W)
    biases = [] if layer.b is None else [graph.parameter("b", layer.b)]
    return graph.node("Gemm", x, weights, *biases)


@register_layer(Dropout, images="same")
@register_layer(Dropout2D, images="same")
@register_layer(GaussianNoise, images="same")
@register_layer(Identity, images="same")
def nothing(graph: Graph, layer: Layer, x: str) -> str:
    """Add nothing: y = x, as for dropout and noise in prediction."""
    return x


@register_layer(ReLU, images="same")
def relu(graph: Graph, layer: ReLU, x: str) -> str:
    """Add y = max(x, 0)."""
    return graph.node("Relu", x)


@register_layer(LeakyReLU, images="same")
def leaky_relu(graph: Graph, layer: LeakyReLU, x: str) -> str:
    """Add y = max(x, a x)."""
    if graph.native():
        return graph.node("LeakyRelu", x, alpha=layer.negative_slope)
    return graph.node("Max", x, graph.node("Mul", x, layer.negative_slope))


@register_layer(PReLU, images="same")
def prelu(graph: Graph, layer: PReLU, x: str) -> str:
    """Add y = max(x, 0) + α min(x, 0)."""
    alpha = _features(graph, "alpha", layer.alpha, x)
    if graph.native():
        return graph.node("PRelu", x, alpha)
    return graph.node("Add", graph.node("Max", x, 0.0), graph.node("Mul", graph.node("Min", x, 0.0), alpha))


@register_layer(ELU, images="same")
def elu(graph: Graph, layer: ELU, x: str) -> str:
    """Add y = x where x > 0, else α (eˣ − 1)."""
    if graph.native():
        return graph.node("Elu", x, alpha=layer.alpha)
    return _exponential_linear(graph, 1.0, layer.alpha, x)


@register_layer(SELU, images="same")
def selu(graph: Graph, layer: SELU, x: str) -> str:
    """Add y = λ x where x > 0, else λ α (eˣ − 1)."""
    if graph.native():
        return graph.node("Selu", x, alpha=layer.ALPHA, gamma=layer.SCALE)
    return _exponential_linear(graph, layer.SCALE, layer.ALPHA, x)


@register_layer(Sigmoid, images="same")
def sigmoid(graph: Graph, layer: Layer, x: str) -> str:
    """Add y = σ(x)."""
    return add_sigmoid(graph, x)


@register_layer(Tanh, images="same")
def tanh(graph: Graph, layer: Tanh, x: str) -> str:
    """Add y = tanh(x)."""
    return graph.node("Tanh", x)


@register_layer(HardSigmoid, images="same")
def hard_sigmoid(graph: Graph, layer: HardSigmoid, x: str) -> str:
    """Add y = min(max(x / 6 + 1/2, 0), 1)."""
    if graph.native():
        return graph.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    return graph.node("Clip", graph.node("Add", graph.node("Mul", x, 1 / 6), 0.5), 0.0, 1.0)


@register_layer(Softplus, images="same")
def softplus(graph: Graph, layer: Softplus, x: str) -> str:
    """Add y = max(x, 0) + log(1 + e^−|x|)."""
    if graph.native():
        return graph.node("Softplus", x)
    u = graph.node("Exp", graph.node("Neg", graph.node("Abs", x)))
    w = graph.node("Add", u, 1.0)
    lost = graph.node("Sub", u, graph.node("Sub", w, 1.0))  # the part of u lost in 1 + u
    log1p = graph.node("Add", graph.node("Log", w), graph.node("Div", lost, w))
    return graph.node("Add", graph.node("Max", x, 0.0), log1p)


@register_layer(SiLU, images="same")
def silu(graph: Graph, layer: SiLU, x: str) -> str:
    """Add y = x σ(x)."""
    return graph.node("Mul", x, add_sigmoid(graph, x))


@register_layer(GELU, images="same")
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


@register_layer(Mish, images="same")
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


@register_layer(BatchNorm, images="same")
def batch_norm(graph: Graph, layer: BatchNorm, x: str) -> str:
    """Add y = (x − running_mean) γ / √(running_var + ε) + β.

    Computed in this order, because BatchNormalization multiplies first and loses digits if the mean is far from 0.
    """
    factor = layer.gamma / np.sqrt(layer.running_var.astype(np.float64) + layer.epsilon)
    centred = graph.node("Sub", x, _features(graph, "running_mean", layer.running_mean, x))
    y = graph.node("Mul", centred, _features(graph, "factor", factor, x))
    return graph.node("Add", y, _features(graph, "beta", layer.beta, x))


@register_layer(LayerNorm)
def layer_norm(graph: Graph, layer: LayerNorm, x: str) -> str:
    """Add y = γ (x − μ) / √(σ² + ε) + β, over the last axis.

    onnxruntime's operator computes σ² as mean(x²) − μ², which loses digits if μ is hundreds of times σ.
    """
    gamma, beta = graph.parameter("gamma", layer.gamma), graph.parameter("beta", layer.beta)
    if graph.native(since=17):
        return graph.node("LayerNormalization", x, gamma, beta, axis=-1, epsilon=layer.epsilon)
    features = layer.input_shape[-1]
    centred = graph.node("Sub", x, _mean(graph, x, features))
    normal = _normal(graph, centred, features, layer.epsilon)
    return graph.node("Add", graph.node("Mul", normal, gamma), beta)


@register_layer(RMSNorm)
def rms_norm(graph: Graph, layer: RMSNorm, x: str) -> str:
    """Add y = γ x / √(mean(x²) + ε), over the last axis."""
    normal = _normal(graph, x, layer.input_shape[-1], layer.epsilon)
    return graph.node("Mul", normal, graph.parameter("gamma", layer.gamma))


@register_layer(Scale, images="same")
def scale(graph: Graph, layer: Scale, x: str) -> str:
    """Add y = γ x."""
    return graph.node("Mul", x, _features(graph, "gamma", layer.gamma, x))


@register_layer(Flatten)
@register_layer(Reshape)
def reshape(graph: Graph, layer: Layer, x: str) -> str:
    """Add y = x as (batch, *shape); 0 is ONNX's notation for an unchanged size."""
    return graph.node("Reshape", x, np.array([0, *layer.output_shape]))


@register_layer(Residual, images="any")
def residual(graph: Graph, layer: Residual, x: str) -> str:
    """Add y = x + f(x), with image channels in the order that f returns."""
    scope = graph.scope
    f = add_layers(graph, layer.inner, x, f"{scope}.")
    graph.scope = scope
    first = graph.channels_first(f)
    y = graph.node("Add", graph.images(x, first=first), f)
    return graph.mark_first(y) if first else y


@register_layer(Embedding)
def embedding(graph: Graph, layer: Embedding, x: str) -> str:
    """Add y = [the other columns of x, the rows of W that the columns name]."""
    rows = graph.node("Cast", graph.node("Gather", x, layer._chosen, axis=1), to="int64")
    if layer._first.any():
        rows = graph.node("Add", rows, layer._first)
    vectors = graph.node("Gather", graph.parameter("W", layer.W), rows, axis=0)
    vectors = graph.node("Reshape", vectors, np.array([0, len(layer._chosen) * layer.size]))
    if not len(layer._others):
        return vectors
    return graph.node("Concat", graph.node("Gather", x, layer._others, axis=1), vectors, axis=1)


def _features(graph: Graph, name: str, values: Array, x: str) -> str:
    """Add an array with one number per feature, shaped to match the channel order of x."""
    return graph.parameter(name, values[:, None, None] if graph.channels_first(x) else values)


def _mean(graph: Graph, x: str, features: int) -> str:
    """Add the mean over the last axis; ReduceMean takes its axes differently from opset 18 on."""
    return graph.node("Mul", graph.node("ReduceSum", x, np.array([-1]), keepdims=1), 1 / features)


def _normal(graph: Graph, x: str, features: int, epsilon: float) -> str:
    """Add x / √(mean(x²) + ε), over the last axis."""
    square = graph.node("Add", _mean(graph, graph.node("Mul", x, x), features), epsilon)
    return graph.node("Div", x, graph.node("Sqrt", square))


def add_sigmoid(graph: Graph, x: str, *, exact: bool = False) -> str:
    """Add σ(x). In float32, onnxruntime's operator is exact to 2e-7, and 0 below −18: enough inside a network."""
    if graph.native() and not exact:
        return graph.node("Sigmoid", x)
    e = graph.node("Exp", graph.node("Min", graph.node("Neg", x), log_max(graph)))
    return graph.node("Reciprocal", graph.node("Add", e, 1.0))


def log_max(graph: Graph) -> float:
    """Return a number whose exponential is finite, as :func:`chainrule._internal.special.log_max` does."""
    return 87.0 if graph.dtype == np.float32 else 708.0


def _exponential_linear(graph: Graph, scale: float, alpha: float, x: str) -> str:
    """Add scale · (x where x > 0, else alpha (eˣ − 1)), with eˣ − 1 = 2 t / (1 − t), t = tanh(x / 2)."""
    t = graph.node("Tanh", graph.node("Mul", graph.node("Min", x, 0.0), 0.5))
    expm1_half = graph.node("Div", t, graph.node("Sub", 1.0, t))
    negative = graph.node("Mul", expm1_half, 2 * scale * alpha)
    return graph.node("Add", graph.node("Mul", graph.node("Max", x, 0.0), scale), negative)


def _normal_cdf(graph: Graph, x: str) -> str:
    """Add Φ(x), line by line as :func:`chainrule._internal.special.normal_cdf`; onnxruntime has no Erf in float64."""
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
