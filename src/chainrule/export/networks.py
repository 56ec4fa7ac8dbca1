"""The layers of a network and the inverse link of its loss as operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from chainrule._internal.typing import Array
from chainrule.export.program import Builder, Value
from chainrule.files.folding import fold
from chainrule.layers import (
    ELU,
    GELU,
    SELU,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePool2D,
    HardSigmoid,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
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
from chainrule.layers.windows import Windows
from chainrule.losses import Loss, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.network import Network

Converter = Callable[[Builder, Any, Value], Value]
C = TypeVar("C", bound=Converter)

LAYERS: dict[type[Layer], Converter] = {}
ELEMENTWISE: dict[type[Layer], tuple[str, Callable[[Any], dict[str, Any]]]] = {
    ReLU: ("relu", lambda _: {}),
    LeakyReLU: ("leaky_relu", lambda layer: {"slope": layer.negative_slope}),
    ELU: ("elu", lambda layer: {"alpha": layer.alpha, "scale": 1.0}),
    SELU: ("elu", lambda layer: {"alpha": layer.ALPHA, "scale": layer.SCALE}),
    Sigmoid: ("sigmoid", lambda _: {}),
    Tanh: ("tanh", lambda _: {}),
    HardSigmoid: ("hard_sigmoid", lambda _: {}),
    Softplus: ("softplus", lambda _: {}),
    SiLU: ("silu", lambda _: {}),
    Mish: ("mish", lambda _: {}),
}
SAME = (Identity, Flatten, Reshape)  # a row is a flat vector in every language


def add_network(builder: Builder, network: Network, x: Value) -> Value:
    """Add a network, and return its predictions for a row of float32."""
    network = fold(network).astype("float32")
    return add_link(builder, network.loss, add_layers(builder, network.layers, x))


def add_layers(builder: Builder, layers: Sequence[Layer], x: Value, what: str = "layer") -> Value:
    """Add layers, and return the output of the last one."""
    for i, layer in enumerate(layers):
        if type(layer) in SAME:
            continue
        if not builder.note:
            builder.note = f"{what} {i}, {layer!r}"
        if type(layer) in ELEMENTWISE:
            kind, numbers = ELEMENTWISE[type(layer)]
            x = builder.add(kind, x, size=x.size, **numbers(layer))
        elif type(layer) in LAYERS:
            x = LAYERS[type(layer)](builder, layer, x)
        else:
            raise ValueError(f"export: layer {i}, {layer!r}, cannot be written in another language.")
    return x


def add_link(builder: Builder, loss: Loss, y: Value) -> Value:
    """Add the inverse link of a loss."""
    builder.note = builder.note or f"predictions of {loss!r}"
    if type(loss) is SoftmaxCrossEntropy:
        return builder.add("softmax", y, size=y.size, features=y.size)
    if type(loss) is SigmoidCrossEntropy:
        return builder.add("sigmoid", y, size=y.size)
    if type(loss) is Poisson:
        return builder.add("exp", y, size=y.size)
    builder.note = ""
    if type(loss).inverse_link is not Loss.inverse_link:
        raise ValueError(f"export: the inverse link of the loss, {loss!r}, cannot be written in another language.")
    return y


def _converts(cls: type[Layer]) -> Callable[[C], C]:
    def register(function: C) -> C:
        LAYERS[cls] = function
        return function

    return register


@_converts(Dense)
def _dense(builder: Builder, layer: Dense, x: Value) -> Value:
    return add_dense(builder, x, layer.W, np.zeros(layer.W.shape[1]) if layer.b is None else layer.b)


def add_dense(builder: Builder, x: Value, W: Array, b: Array) -> Value:
    """Add x W + b."""
    m = len(b)
    return builder.add("dense", x, size=m, W=_single(W), b=_single(b), m=m, products=W.size)


@_converts(PReLU)
def _prelu(builder: Builder, layer: PReLU, x: Value) -> Value:
    return builder.add("prelu", x, size=x.size, alpha=_single(layer.alpha), features=len(layer.alpha))


@_converts(GELU)
def _gelu(builder: Builder, layer: GELU, x: Value) -> Value:
    return builder.add("gelu" if layer.approximate == "none" else "gelu_tanh", x, size=x.size)


@_converts(Softmax)
def _softmax(builder: Builder, layer: Softmax, x: Value) -> Value:
    return builder.add("softmax", x, size=x.size, features=layer.input_shape[-1])


@_converts(BatchNorm)
def _batch_norm(builder: Builder, layer: BatchNorm, x: Value) -> Value:
    factor = layer.gamma / np.sqrt(layer.running_var.astype(np.float64) + layer.epsilon)
    return _affine(builder, x, layer.running_mean, factor, layer.beta)


@_converts(Scale)
def _scale(builder: Builder, layer: Scale, x: Value) -> Value:
    zero = np.zeros_like(layer.gamma)
    return _affine(builder, x, zero, layer.gamma, zero)


def _affine(builder: Builder, x: Value, center: Array, factor: Array, shift: Array) -> Value:
    arrays: dict[str, Any] = {"center": _single(center), "factor": _single(factor), "shift": _single(shift)}
    return builder.add("affine", x, size=x.size, features=len(factor), products=x.size, **arrays)


@_converts(LayerNorm)
def _layer_norm(builder: Builder, layer: LayerNorm, x: Value) -> Value:
    arrays: dict[str, Any] = {"gamma": _single(layer.gamma), "beta": _single(layer.beta)}
    return builder.add("layer_norm", x, size=x.size, epsilon=layer.epsilon, features=len(layer.gamma), **arrays)


@_converts(RMSNorm)
def _rms_norm(builder: Builder, layer: RMSNorm, x: Value) -> Value:
    gamma = _single(layer.gamma)
    return builder.add("rms_norm", x, size=x.size, gamma=gamma, epsilon=layer.epsilon, features=len(gamma))


@_converts(Residual)
def _residual(builder: Builder, layer: Residual, x: Value) -> Value:
    f = add_layers(builder, layer.inner, x, "in the residual block, layer")
    return builder.add("add", x, f, size=x.size)


@_converts(Embedding)
def _embedding(builder: Builder, layer: Embedding, x: Value) -> Value:
    chosen, others = layer._chosen, layer._others
    whole: dict[str, Any] = {"chosen": chosen, "others": others, "first": layer._first, "many": layer._many}
    return builder.add(
        "embedding", x, size=len(others) + len(chosen) * layer.size, W=_single(layer.W), k=len(chosen),
        o=len(others), width=layer.size, **{name: array.astype(np.int32) for name, array in whole.items()},
    )  # fmt: skip


@_converts(Conv2D)
def _convolution(builder: Builder, layer: Conv2D, x: Value) -> Value:
    windows, filters = layer._windows, layer.W.shape[-1]
    b = np.zeros(filters) if layer.b is None else layer.b
    size = math.prod(windows.output) * filters
    return builder.add(
        "conv2d", x, size=size, W=_single(layer.W), b=_single(b), filters=filters, groups=layer.groups,
        dilate_down=windows.dilation[0], dilate_right=windows.dilation[1],
        products=math.prod(windows.output) * layer.W.size, **_geometry(windows),
    )  # fmt: skip


@_converts(MaxPool2D)
@_converts(AveragePool2D)
def _pool(builder: Builder, layer: MaxPool2D | AveragePool2D, x: Value) -> Value:
    kind = "max_pool" if isinstance(layer, MaxPool2D) else "average_pool"
    return builder.add(kind, x, size=math.prod(layer.output_shape), **_geometry(layer._windows))


@_converts(GlobalAveragePool2D)
def _global_pool(builder: Builder, layer: GlobalAveragePool2D, x: Value) -> Value:
    height, width, channels = layer.input_shape
    none = ((0, 0), (0, 0))
    whole = Windows((height, width, channels), (height, width), (1, 1), (1, 1), none, (1, 1))
    return builder.add("average_pool", x, size=channels, **_geometry(whole))


def _geometry(windows: Windows) -> dict[str, Any]:
    """Return the geometry of windows over images."""
    (height, width, channels), (kh, kw), (down, right) = windows.image, windows.size, windows.stride
    (top, _), (left, _) = windows.padding
    rows, columns = windows.output
    return {
        "height": height, "width": width, "channels": channels, "kh": kh, "kw": kw, "down": down, "right": right,
        "top": top, "left": left, "rows": rows, "columns": columns,
    }  # fmt: skip


def _single(array: Array) -> Array:
    return np.ascontiguousarray(array, np.float32)
