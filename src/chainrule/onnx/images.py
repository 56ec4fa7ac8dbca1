"""Image layers as ONNX operators.

ONNX puts channels first, chainrule last. Adjacent image layers pass images on with channels first; the layer after them
transposes once. onnxruntime has neither convolution nor average pooling in float64. For float64, the windows are
gathered, with channels last, for one matrix product or one reduction.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.layers import AveragePool2D, Conv2D, GlobalAveragePool2D, MaxPool2D
from chainrule.layers.windows import Windows
from chainrule.onnx.graph import Graph
from chainrule.onnx.registry import register_layer


@register_layer(Conv2D, images="any")
def convolution(graph: Graph, layer: Conv2D, x: str) -> str:
    """Add y = c W + b, where the rows of c are the windows of x."""
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
    """Add y = the maximum of every window."""
    windows = layer._windows
    if graph.native():
        return graph.mark_first(graph.node("MaxPool", graph.images(x, first=True), **_attributes(windows)))
    values = _gathered(graph, windows, x, outside=-np.inf)
    axis: dict[str, Any] = {"axes": [2]} if graph.opset < 18 else {}  # an input since opset 18
    largest = graph.node("ReduceMax", values, *([] if axis else [np.array([2])]), keepdims=0, **axis)
    return graph.node("Reshape", largest, np.array([0, *layer.output_shape]))


@register_layer(AveragePool2D, images="any")
def average_pool(graph: Graph, layer: AveragePool2D, x: str) -> str:
    """Add y = the mean of every window, excluding padding."""
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
    """Return the geometry of the windows as ONNX attributes."""
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
    """Return the pixels of a padded image in each window, counted row by row: (windows, pixels of a window).

    >>> from chainrule.layers.windows import find_windows
    >>> _places(find_windows((3, 3, 1), (2, 2), (1, 1), (1, 1), "valid")).tolist()
    [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]
    """
    height, width, _ = windows.padded_shape
    numbers = np.arange(height * width).reshape(1, height, width, 1)
    return windows.view(numbers).reshape(-1, math.prod(windows.size))


def _gathered_convolution(graph: Graph, layer: Conv2D, windows: Windows, x: str) -> str:
    """Add the windows in rows and their product with W, separately for each group."""
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
