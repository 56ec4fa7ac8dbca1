"""The layers of a network and the inverse link of its loss as operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import layers as kinds
from chainrule._internal.typing import Array
from chainrule.export.program import Builder, Value
from chainrule.files.folding import fold
from chainrule.layers import Layer
from chainrule.layers.windows import Windows
from chainrule.losses import Loss, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.network import Network

SAME = (kinds.Identity, kinds.Flatten, kinds.Reshape)  # a row is a flat vector in every language


def add_network(builder: Builder, network: Network, x: Value) -> Value:
    """Add a network, and return its predictions for a row of float32."""
    network = fold(network).astype("float32")
    return add_link(builder, network.loss, add_layers(builder, network.layers, x))


def add_layers(builder: Builder, layers: Sequence[Layer], x: Value, what: str = "layer") -> Value:
    """Add layers, and return the output of the last one."""
    for i, layer in enumerate(layers):
        if type(layer) in SAME:
            continue
        if type(layer) not in LAYERS:
            raise ValueError(f"export: layer {i}, {layer!r}, cannot be written in another language.")
        sizes = " to ".join(str(math.prod(shape)) for shape in (layer.input_shape, layer.output_shape))
        builder.note += f"{'; ' if builder.note else ''}{what} {i}, {type(layer).__name__}: {sizes}"
        x = LAYERS[type(layer)](builder, layer, x)
    return x


def add_link(builder: Builder, loss: Loss, y: Value) -> Value:
    """Add the inverse link of a loss."""
    builder.note = f"the inverse link of {type(loss).__name__}"
    if type(loss) is SoftmaxCrossEntropy:
        return builder.add("softmax", y, size=y.size, features=y.size)
    if type(loss) is SigmoidCrossEntropy:
        return builder.add("sigmoid", y, size=y.size)
    if type(loss) is Poisson:
        return builder.add("exp", y, size=y.size)
    if type(loss).inverse_link is not Loss.inverse_link:
        raise ValueError(f"export: the inverse link of the loss, {loss!r}, cannot be written in another language.")
    builder.note = ""
    return y


def add_dense(builder: Builder, x: Value, W: Array, b: Array | None) -> Value:
    """Add x W + b."""
    m = W.shape[1]
    b = np.zeros(m) if b is None else b
    return builder.add("dense", x, size=m, W=single(W), b=single(b), m=m, products=W.size)


def single(array: Array) -> Array:
    """Return an array in float32."""
    return np.ascontiguousarray(array, np.float32)


Converter = Callable[[Builder, Any, Value], Value]


def _elementwise(kind: str, **constants: str | float) -> Converter:
    """Return the converter of an elementwise function; strings among its constants are attributes of the layer."""

    def add(builder: Builder, layer: Layer, x: Value) -> Value:
        of: dict[str, Any] = {k: getattr(layer, v) if isinstance(v, str) else v for k, v in constants.items()}
        return builder.add(kind, x, size=x.size, **of)

    return add


def _features(kind: str, *arrays: str, **more: str) -> Converter:
    """Return the converter of a function with arrays for each feature, which the layer has under the same names."""

    def add(builder: Builder, layer: Layer, x: Value) -> Value:
        of: dict[str, Any] = {name: single(getattr(layer, name)) for name in arrays}
        numbers = {name: getattr(layer, value) for name, value in more.items()}
        return builder.add(kind, x, size=x.size, features=layer.input_shape[-1], **of, **numbers)

    return add


def _affine(builder: Builder, x: Value, center: Any, factor: Array, shift: Any) -> Value:
    given = {"center": center, "factor": factor, "shift": shift}
    arrays: dict[str, Any] = {name: single(np.broadcast_to(value, factor.shape)) for name, value in given.items()}
    return builder.add("affine", x, size=x.size, features=len(factor), products=x.size, **arrays)


def _batch_norm(builder: Builder, layer: kinds.BatchNorm, x: Value) -> Value:
    factor = layer.gamma / np.sqrt(layer.running_var.astype(np.float64) + layer.epsilon)
    return _affine(builder, x, layer.running_mean, factor, layer.beta)


def _residual(builder: Builder, layer: kinds.Residual, x: Value) -> Value:
    f = add_layers(builder, layer.inner, x, "in the residual block, layer")
    return builder.add("add", x, f, size=x.size)


def _embedding(builder: Builder, layer: kinds.Embedding, x: Value) -> Value:
    whole = {"chosen": layer._chosen, "others": layer._others, "first": layer._first, "many": layer._many}
    k, o, width = len(layer._chosen), len(layer._others), layer.size
    arrays: dict[str, Any] = {name: array.astype(np.int32) for name, array in whole.items()}
    return builder.add("embedding", x, size=o + k * width, W=single(layer.W), k=k, o=o, width=width, **arrays)


def _convolution(builder: Builder, layer: kinds.Conv2D, x: Value) -> Value:
    windows, filters, places = layer._windows, layer.W.shape[-1], math.prod(layer._windows.output)
    b = np.zeros(filters) if layer.b is None else layer.b
    return builder.add(
        "conv2d", x, size=places * filters, W=single(layer.W), b=single(b), filters=filters, groups=layer.groups,
        dilate_down=windows.dilation[0], dilate_right=windows.dilation[1], products=places * layer.W.size,
        **_geometry(windows),
    )  # fmt: skip


def _pool(kind: str) -> Converter:
    return lambda builder, layer, x: builder.add(
        kind, x, size=math.prod(layer.output_shape), **_geometry(layer._windows)
    )


def _global_pool(builder: Builder, layer: kinds.GlobalAveragePool2D, x: Value) -> Value:
    height, width, channels = layer.input_shape
    none = ((0, 0), (0, 0))
    whole = Windows((height, width, channels), (height, width), (1, 1), (1, 1), none, (1, 1))
    return builder.add("average_pool", x, size=channels, **_geometry(whole))


def _geometry(windows: Windows) -> dict[str, Any]:
    names = ("height", "width", "channels", "kh", "kw", "down", "right", "top", "left", "rows", "columns")
    (top, _), (left, _) = windows.padding
    values = (*windows.image, *windows.size, *windows.stride, top, left, *windows.output)
    return dict(zip(names, values, strict=True))


LAYERS: dict[type[Layer], Converter] = {
    kinds.Dense: lambda builder, layer, x: add_dense(builder, x, layer.W, layer.b),
    kinds.ReLU: _elementwise("relu"),
    kinds.LeakyReLU: _elementwise("leaky_relu", slope="negative_slope"),
    kinds.ELU: _elementwise("elu", alpha="alpha", scale=1.0),
    kinds.SELU: _elementwise("elu", alpha="ALPHA", scale="SCALE"),
    kinds.Sigmoid: _elementwise("sigmoid"),
    kinds.Tanh: _elementwise("tanh"),
    kinds.HardSigmoid: _elementwise("hard_sigmoid"),
    kinds.Softplus: _elementwise("softplus"),
    kinds.SiLU: _elementwise("silu"),
    kinds.Mish: _elementwise("mish"),
    kinds.GELU: lambda builder, layer, x: _elementwise(
        "gelu" if layer.approximate == "none" else "gelu_tanh"
    )(builder, layer, x),
    kinds.PReLU: _features("prelu", "alpha"),
    kinds.Softmax: _features("softmax"),
    kinds.LayerNorm: _features("layer_norm", "gamma", "beta", epsilon="epsilon"),
    kinds.RMSNorm: _features("rms_norm", "gamma", epsilon="epsilon"),
    kinds.BatchNorm: _batch_norm,
    kinds.Scale: lambda builder, layer, x: _affine(builder, x, 0.0, layer.gamma, 0.0),
    kinds.Residual: _residual,
    kinds.Embedding: _embedding,
    kinds.Conv2D: _convolution,
    kinds.MaxPool2D: _pool("max_pool"),
    kinds.AveragePool2D: _pool("average_pool"),
    kinds.GlobalAveragePool2D: _global_pool,
}  # fmt: skip
