"""Registered converters for layers and for the inverse links of losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from chainrule.files.folding import fold
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.onnx.graph import Graph

Converter = Callable[[Graph, Any, str], str]
C = TypeVar("C", bound=Converter)

LAYERS: dict[type[Layer], Converter] = {}
IMAGES: dict[type[Layer], str] = {}  # the converter's channel order; last by default
LINKS: dict[type[Loss], tuple[Converter, str]] = {}
INPUT = "X"
OUTPUT = "predictions"


def register_layer(cls: type[Layer], *, images: str = "last") -> Callable[[C], C]:
    """Register a converter for a layer: a decorator for a function of the graph, the layer and the name of its input.

    The function adds the operators of ``forward`` in prediction and returns the name of the result. It is not inherited
    by subclasses.

    Parameters
    ----------
    cls : type of Layer
    images : {"last", "same", "any"}
        The channel order of x, if it holds images. ONNX puts channels first, and transposing costs time. "last" is
        chainrule's order; "same" is for elementwise functions, whose y has the order of x; with "any", the function
        calls ``graph.images(x, first=...)`` for the order it needs, and ``graph.mark_first(y)`` for its result.

    Raises
    ------
    TypeError
        If ``cls`` is not a subclass of Layer.
    ValueError
        If ``images`` has another value.

    Examples
    --------
    >>> import chainrule as cr
    >>> class Square(cr.Layer):
    ...     def forward(self, x, memo):
    ...         memo.x = x
    ...         return x * x
    ...     def backward(self, dy, memo):
    ...         return dy * 2 * memo.x
    >>> @cr.onnx.register_layer(Square, images="same")
    ... def square(graph, layer, x):
    ...     return graph.node("Mul", x, x)
    >>> model = cr.onnx.convert(cr.Network(2, [Square()], "squared_error"))
    >>> [node.op_type for node in model.graph.node]
    ['Mul']
    """
    _check("register_layer", cls, Layer)
    if images not in ("last", "same", "any"):
        raise ValueError(f"register_layer: images: expected 'last', 'same' or 'any', got {images!r}.")

    def register(function: C) -> C:
        LAYERS[cls], IMAGES[cls] = function, images
        return function

    return register


def register_loss(cls: type[Loss], output: str = OUTPUT) -> Callable[[C], C]:
    """Register a converter for a loss's inverse link: a decorator for a function of graph, loss and name of the logits.

    A loss whose inverse link is the identity does not need one.

    Parameters
    ----------
    cls : type of Loss
    output : str
        The name of the network's output.

    Raises
    ------
    TypeError
        If ``cls`` is not a subclass of Loss.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> class Cauchy(cr.Loss):
    ...     def forward(self, y, t, memo):
    ...         memo.error = np.tan(y) - t
    ...         return np.log1p(memo.error**2).sum(axis=1)
    ...     def backward(self, t, memo):
    ...         raise NotImplementedError
    ...     def inverse_link(self, y):
    ...         return np.tanh(y)
    >>> @register_loss(Cauchy)
    ... def cauchy(graph, loss, y):
    ...     return graph.node("Tanh", y)
    >>> cr.onnx.convert(cr.Network(2, [cr.layers.Dense(1)], Cauchy())).graph.output[0].name
    'predictions'
    """
    _check("register_loss", cls, Loss)

    def register(function: C) -> C:
        LINKS[cls] = function, output
        return function

    return register


def prepared(networks: Sequence[Network], dtype: Any) -> list[Network]:
    """Return networks folded and in one dtype; raise an error for a layer or a loss without a converter."""
    for i, layer in enumerate(networks[0].layers):
        for part in (layer, *layer.inner):
            if type(part) not in LAYERS:
                raise ValueError(_unknown(f"layer {i}, {part!r}", "register_layer", type(part).__name__, "layer, x"))
    return [fold(network).astype(dtype) for network in networks]


def rows_to_samples(graph: Graph, network: Network, x: str) -> str:
    """Reshape an estimator's flat rows to the network's samples."""
    shape = network.input_shape
    return x if len(shape) == 1 else graph.node("Reshape", x, np.array([-1, *shape]))


def add_networks(graph: Graph, networks: Sequence[Network], x: str) -> tuple[str | None, str]:
    """Add a network or the mean of an ensemble; return the names of predictions and of logits, which a mean lacks."""
    if len(networks) == 1:
        y = add_layers(graph, networks[0].layers, x)
        return y, add_link(graph, networks[0].loss, y)
    members = []
    for i, network in enumerate(networks):
        y = add_layers(graph, network.layers, x, f"member{i}.layer")
        members.append(add_link(graph, network.loss, y, f"member{i}."))
    graph.scope = "ensemble"
    return None, graph.node("Mul", graph.node("Sum", *members), 1 / len(members))


def add_layers(graph: Graph, layers: Sequence[Layer], x: str, scope: str = "layer") -> str:
    """Add a sequence of layers and return the name of the last output."""
    for i, layer in enumerate(layers):
        graph.scope = f"{scope}{i}"
        place = IMAGES.get(type(layer), "last")
        if place == "last":
            x = graph.images(x, first=False)
        y = LAYERS[type(layer)](graph, layer, x)
        if not isinstance(y, str):
            raise TypeError(
                f"layer {i}, {layer!r}: its converter must return the name that graph.node gave, got {y!r}."
            )
        x = graph.mark_first(y) if place == "same" and graph.channels_first(x) else y
    return x


def add_link(graph: Graph, loss: Loss, y: str, member: str = "") -> str:
    """Add the loss's inverse link and return the name of the predictions."""
    graph.scope = member + "link"
    if type(loss) in LINKS:
        return LINKS[type(loss)][0](graph, loss, y)
    if type(loss).inverse_link is not Loss.inverse_link:
        raise ValueError(
            _unknown(f"the inverse link of the loss, {loss!r},", "register_loss", type(loss).__name__, "loss, y")
        )
    return y


def output_name(loss: Loss) -> str:
    """Return the output name of a network with this loss."""
    return LINKS[type(loss)][1] if type(loss) in LINKS else OUTPUT


def _unknown(what: str, function: str, name: str, arguments: str) -> str:
    return (
        f"onnx: {what} has no converter: write a function of (graph, {arguments}) that adds its operators with "
        f"graph.node(...), and put @chainrule.onnx.{function}({name}) above it."
    )


def _check(function: str, cls: Any, base: type) -> None:
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise TypeError(f"{function}: expected a subclass of {base.__name__}, got {cls!r}.")
