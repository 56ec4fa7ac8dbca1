"""The tables: which function converts which layer, and the link of which loss."""

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
IMAGES: dict[type[Layer], str] = {}  # where the converter has the channels; not here: last
LINKS: dict[type[Loss], tuple[Converter, str]] = {}
OUTPUT = "predictions"


def register_layer(cls: type[Layer], *, images: str = "last") -> Callable[[C], C]:
    """Say how a layer is converted: a decorator for a function of the graph, the layer and the name of its input.

    The function adds what ``forward`` does in prediction, and returns the name of the result. It is not inherited:
    every class has its own.

    Parameters
    ----------
    cls : type of Layer
    images : {"last", "same", "any"}
        Where x has the channels, if it is images. ONNX wants them first, and transposing costs time: "last" is as
        chainrule has them; "same" is right for elementwise functions, whose y has the place of x; with "any" the
        function asks ``graph.images(x, first=...)`` for what it wants, and says ``graph.mark_first(y)``.

    Raises
    ------
    TypeError
        When ``cls`` is not a class of layers.
    ValueError
        When ``images`` is something else.

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
    """Say how the link of a loss is converted: a decorator for a function of the graph, the loss and the logits' name.

    A loss whose link is the identity needs none.

    Parameters
    ----------
    cls : type of Loss
    output : str
        What the network's output is called.

    Raises
    ------
    TypeError
        When ``cls`` is not a class of losses.

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
    ...     def link(self, y):
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
    """Return networks as they are written: folded, of one dtype. Refuse what has no converter, by its place."""
    for i, layer in enumerate(networks[0].layers):
        for part in (layer, *layer.inner):
            if type(part) not in LAYERS:
                raise ValueError(_unknown(f"layer {i}, {part!r}", "register_layer", type(part).__name__, "layer, x"))
    return [fold(network).astype(dtype) for network in networks]


def rows_to_samples(graph: Graph, network: Network, x: str) -> str:
    """Give the rows of columns that an estimator takes the shape of the network's samples."""
    shape = network.input_shape
    return x if len(shape) == 1 else graph.node("Reshape", x, np.array([-1, *shape]))


def add_networks(graph: Graph, networks: Sequence[Network], x: str) -> tuple[str | None, str]:
    """Add a network, or the mean of an ensemble; return the names of logits, which a mean has not, and predictions."""
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
    """Add layers one after the other and return the name of what the last one gives."""
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
    """Add the loss's link and return the name of the predictions."""
    graph.scope = member + "link"
    if type(loss) in LINKS:
        return LINKS[type(loss)][0](graph, loss, y)
    if type(loss).link is not Loss.link:
        raise ValueError(_unknown(f"the link of the loss, {loss!r},", "register_loss", type(loss).__name__, "loss, y"))
    return y


def output_name(loss: Loss) -> str:
    """Return what the output of a network with this loss is called."""
    return LINKS[type(loss)][1] if type(loss) in LINKS else OUTPUT


def _unknown(what: str, function: str, name: str, arguments: str) -> str:
    return (
        f"to_onnx: {what} has no converter: write a function (graph, {arguments}) that adds its operators with "
        f"graph.node(...), and put @chainrule.onnx.{function}({name}) above it."
    )


def _check(function: str, cls: Any, base: type) -> None:
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise TypeError(f"{function}: expected a class derived from {base.__name__}, got {cls!r}.")
