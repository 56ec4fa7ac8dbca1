"""Layers of images as ONNX operators.

ONNX has the channels first, chainrule last; neighbouring layers hand images on with the channels first, and what comes
after them transposes once. onnxruntime has neither convolution nor average pooling in float64: there the windows are
gathered, with the channels last, for one matrix product or one reduction.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.layers import AveragePool2D, Conv2D, GlobalAveragePool2D, MaxPool2D
from chainrule.layers.windows import Windows
from chainrule.onnx.graph import Graph
from chainrule.onnx.registry import register_layer


@register_layer(Conv2D, images="any")
def convolution(graph: Graph, layer: Conv2D, x: str) -> str:
    """Add y = c W + b, c the windows of x in rows."""
    windows = layer._windows
    if not graph.native():
        return _gathered_convolution(graph, layer, windows, x)
    x = graph.images(x, first=True)
    weights = graph.parameter("W", layer.W.transpose(3, 2, 0, 1))  # (filters, channels / groups, kh, kw)
    biases = [] if layer.b is None else [graph.parameter("b", layer.b)]
    given = {**_attributes(windows), "dilations": list(windows.dilation), "group": layer.groups}
    return graph.mark_first(graph.node("Conv", x, weights, *biases, **given))


@register_layer(MaxPool2D, images="any")
def max_pool(graph: Graph, layer: MaxPool2D, x: str) -> str:
    """Add y = the largest of every window."""
    windows = layer._windows
    if graph.native():
        return graph.mark_first(graph.node("MaxPool", graph.images(x, first=True), **_attributes(windows)))
    values = _gathered(graph, windows, x, outside=-np.inf)
    axis: dict[str, Any] = {"axes": [2]} if graph.opset < 18 else {}  # since then an input
    largest = graph.node("ReduceMax", values, *([] if axis else [np.array([2])]), keepdims=0, **axis)
    return graph.node("Reshape", largest, np.array([0, *layer.output_shape]))


@register_layer(AveragePool2D, images="any")
def average_pool(graph: Graph, layer: AveragePool2D, x: str) -> str:
    """Add y = the mean of every window, without what was added around the image."""
    windows = layer._windows
    if graph.native():
        given = {**_attributes(windows), "count_include_pad": 0}
        return graph.mark_first(graph.node("AveragePool", graph.images(x, first=True), **given))
    total = graph.node("ReduceSum", _gathered(graph, windows, x), np.array([2]), keepdims=0)
    total = graph.node("Reshape", total, np.array([0, *layer.output_shape]))
    return graph.node("Mul", total, layer.share(graph.dtype))


@register_layer(GlobalAveragePool2D, images="any")
def global_average_pool(graph: Graph, layer: GlobalAveragePool2D, x: str) -> str:
    """Add y = the mean of every channel."""
    if graph.native():
        return graph.node("Flatten", graph.node("GlobalAveragePool", graph.images(x, first=True)), axis=1)
    height, width, _ = layer.input_shape
    total = graph.node("ReduceSum", graph.images(x, first=False), np.array([1, 2]), keepdims=0)
    return graph.node("Mul", total, 1 / (height * width))


def _attributes(windows: Windows) -> dict[str, Any]:
    """Return where the windows lie, in ONNX's words."""
    (top, bottom), (left, right) = windows.padding
    shape, steps = list(windows.size), list(windows.stride)
    return {"kernel_shape": shape, "strides": steps, "pads": [top, left, bottom, right]}


def _gathered(graph: Graph, windows: Windows, x: str, outside: float = 0.0) -> str:
    """Add all windows of images: (batch, windows, pixels of a window, channels)."""
    x = graph.images(x, first=False)
    height, width, channels = windows.padded_shape
    if windows.padded:
        (top, bottom), (left, right) = windows.padding
        x = graph.node("Pad", x, np.array([0, top, left, 0, 0, bottom, right, 0]), outside)
    pixels = graph.node("Reshape", x, np.array([0, height * width, channels]))
    return graph.node("Gather", pixels, _places(windows), axis=1)


def _places(windows: Windows) -> Array:
    """Return which pixels of a padded image, counted row by row, are in each window: (windows, pixels of a window).

    >>> from chainrule.layers.windows import find_windows
    >>> _places(find_windows((3, 3, 1), (2, 2), (1, 1), (1, 1), "valid")).tolist()
    [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]
    """
    height, width, _ = windows.padded_shape
    numbers = np.arange(height * width).reshape(1, height, width)
    return np.stack([numbers[where].ravel() for _, _, where in windows.offsets()], axis=1)


def _gathered_convolution(graph: Graph, layer: Conv2D, windows: Windows, x: str) -> str:
    """Add the windows in rows, and their product with W; each group by itself."""
    kh, kw, channels, filters = layer.W.shape
    values = _gathered(graph, windows, x)
    share, parts = filters // layer.groups, []
    for g in range(layer.groups):
        part = values
        if layer.groups > 1:
            part = graph.node("Gather", values, np.arange(g * channels, (g + 1) * channels), axis=3)
        rows = graph.node("Reshape", part, np.array([0, *windows.output, kh * kw * channels]))
        weights = layer.W[..., g * share : (g + 1) * share].reshape(-1, share)
        parts.append(graph.node("MatMul", rows, graph.parameter("W", weights)))
    y = graph.node("Concat", *parts, axis=-1) if layer.groups > 1 else parts[0]
    return y if layer.b is None else graph.node("Add", y, graph.parameter("b", layer.b))
