"""Building an estimator's network from its parameters: layers and initial values. ``e`` is the estimator."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import is_dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from chainrule import layers as layers_module
from chainrule._internal.checks import check_unmasked
from chainrule._internal.names import lookup
from chainrule._internal.typing import is_sparse
from chainrule.estimators._settings import ACTIVATIONS, hidden_activations, hidden_dropouts, hidden_norm
from chainrule.layers import Dense, Dropout, Layer
from chainrule.layers.base import as_layers
from chainrule.losses import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.network import Network

BUILT = ("hidden_layer_sizes", "activation", "dropout", "input_dropout", "batch_norm", "layer_norm")


def hidden_sizes(e: Any) -> list[int]:
    """Return the number of units of each hidden layer."""
    given = e.hidden_layer_sizes
    plain = given.tolist() if isinstance(given, np.ndarray) else given
    sizes = list(plain) if isinstance(plain, Iterable) else [plain]
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
        raise InvalidParameterError(
            f"The 'hidden_layer_sizes' parameter of {type(e).__name__} must be whole numbers, one for each hidden "
            f"layer. Got {given!r} instead."
        )
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def check_architecture(e: Any) -> None:
    """Raise an error for invalid layers, and for parameters that conflict with ``layers``."""
    if e.layers is None:
        hidden_sizes(e)
        if e.input_shape is not None:
            raise ValueError("input_shape requires layers: give both, or omit input_shape.")
        return
    as_layers("layers", e.layers)
    default = type(e)().get_params(deep=False)
    given = [name for name in BUILT if _differs(getattr(e, name), default[name])]
    if given:
        raise ValueError(f"layers: these are all layers of the network: omit {', '.join(given)}, or omit layers.")
    if e.input_shape is not None:
        shape = e.input_shape if isinstance(e.input_shape, tuple | list) else (e.input_shape,)
        if not shape or not all(isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0 for n in shape):
            raise InvalidParameterError(
                f"The 'input_shape' parameter of {type(e).__name__} must be the shape of one row, such as (8, 8, 1) "
                f"for images of 8 x 8 with one channel, or None. Got {e.input_shape!r} instead."
            )


def _differs(value: Any, default: Any) -> bool:
    return isinstance(value, np.ndarray) or bool(value != default)


def sample_shape(e: Any) -> tuple[int, ...] | None:
    """Return the shape of one row for the network, or None if it is that of X."""
    shape = e.input_shape
    return None if shape is None else (int(shape),) if isinstance(shape, Integral) else tuple(int(n) for n in shape)


def as_rows(e: Any, X: Any, name: str = "X") -> Any:
    """Return images as flat rows, as scikit-learn's checks expect; return anything else unchanged."""
    check_unmasked(name, X)
    wanted = sample_shape(e)
    if wanted is None or is_sparse(X) or np.ndim(X) < 3:
        return X
    shape = np.shape(X)
    if shape[1:] not in {wanted, wanted[:-1] if wanted[-1] == 1 else wanted}:
        last = " Channels come last." if sorted(shape[1:]) == sorted(wanted) else ""
        sizes = ", ".join(map(str, wanted))
        raise ValueError(
            f"{name}: expected shape (rows, {sizes}), as input_shape says, or (rows, {math.prod(wanted)}), got {shape}."
            f"{last}"
        )
    return np.asarray(X).reshape(shape[0], -1)


def as_samples(e: Any, X: Any, name: str = "X") -> Any:
    """Return validated flat rows in the network's input shape."""
    wanted = sample_shape(e)
    if wanted is None:
        return X
    if is_sparse(X) and len(wanted) > 1:
        raise TypeError(f"{name}: got sparse rows, but input_shape={wanted} requires images: give {name}.toarray().")
    if X.shape[1] != math.prod(wanted):
        raise ValueError(
            f"{name} has {X.shape[1]} columns, but input_shape={wanted} requires {math.prod(wanted)}: give one column "
            "per value of a row."
        )
    return X.reshape(-1, *wanted) if len(wanted) > 1 else X


def planned(e: Any, columns: int, dtype: Any, sizes: list[int] | None = None) -> Network:
    """Return the network without parameters; ``sizes``, if given, replace those of the hidden layers."""
    if e.layers is None:
        stack = [*_hidden(e, hidden_sizes(e) if sizes is None else sizes), Dense(e.n_outputs_)]
        return Network.blank(columns, stack, e._loss(), dtype)
    network = _blank(e, columns, e._loss(), dtype)
    if (outputs := network.output_shape[0]) != e.n_outputs_:
        raise ValueError(
            f"layers: the last one gives {outputs} output(s), but y needs {e.n_outputs_}: end with "
            f"Dense({e.n_outputs_})."
        )
    return network


def outputs_of_layers(e: Any, columns: int) -> int | None:
    """Return the number of outputs of ``layers``, or None without ``layers``."""
    if e.layers is None:
        return None
    return _blank(e, columns, "squared_error", "float32").output_shape[0]


def _blank(e: Any, columns: int, loss: Loss | str, dtype: Any) -> Network:
    try:
        return Network.blank(sample_shape(e) or columns, e.layers, loss, dtype)
    except ValueError as error:
        raise ValueError(f"layers: {str(error).removeprefix('Network: ')}") from None


def _hidden(e: Any, sizes: list[int]) -> list[Layer]:
    activations, norm = hidden_activations(e, len(sizes)), hidden_norm(e)
    stack: list[Layer] = [Dropout(e.input_dropout)] if e.input_dropout else []
    for size, activation, rate in zip(sizes, activations, hidden_dropouts(e, len(sizes)), strict=True):
        stack += [Dense(size), *([norm()] if norm else []), activation(), *([Dropout(rate)] if rate else [])]
    return stack


def draw(e: Any, network: Network, sizes: int, random_state: np.random.RandomState) -> None:
    """Initialize a network: with scikit-learn's initial values, or for ``layers`` as each layer's initializers say."""
    network.allocate()
    if e.layers is not None:
        network.draw(np.random.default_rng(random_state.randint(2**31 - 1)))
        return
    network.draw(np.random.default_rng(0), but=Dense)  # only Dense is random
    # scikit-learn initializes every layer for its activation, the last layer for that of the last hidden one.
    named = hidden_activations(e, sizes)
    last = lookup("activation", e.activation, ACTIVATIONS) if isinstance(e.activation, str) else None
    follows = [*named, last or (named[-1] if named else layers_module.Identity)]
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    for layer, activation in zip(dense, follows, strict=True):
        (inputs, outputs), factor = layer.W.shape, 2.0 if activation is layers_module.Sigmoid else 6.0
        bound = math.sqrt(factor / (inputs + outputs))
        layer.W[...] = random_state.uniform(-bound, bound, (inputs, outputs))
        if layer.b is not None:
            layer.b[...] = random_state.uniform(-bound, bound, outputs)


def carried_over(e: Any, known: Network, columns: int) -> Network:
    """Return the fitted network for the current parameters: itself, or another one with the same values.

    Raises
    ------
    ValueError
        If the fitted network is incompatible with the parameters.
    """
    wanted = planned(e, columns, e.dtype or known.dtype)
    if _described(wanted) == _described(known):
        return known
    one_by_one = isinstance(known.loss, SigmoidCrossEntropy) and isinstance(wanted.loss, SoftmaxCrossEntropy)
    if one_by_one or _shapes(wanted) != _shapes(known):
        raise ValueError(
            f"{type(e).__name__}: the fitted network is {_named(known)}, but the parameters and the data "
            f"now require {_named(wanted)}: change them back, or refit with warm_start=False."
        )
    wanted.allocate()
    wanted.values[:] = known.values
    return wanted


def _described(network: Network) -> tuple[Any, ...]:
    return network.input_shape, network.dtype, repr(network.loss), [(type(x), repr(x)) for x in network.layers]


def _shapes(network: Network) -> list[Any]:
    layouts = (network.layout, network.statistics_layout)
    return [[(entry.name.rpartition(".")[2], entry.shape) for entry in layout.entries] for layout in layouts]


def _named(network: Network) -> str:
    return f"[{', '.join(map(repr, network.layers))}] with {network.loss!r}"


def architecture(network: Any) -> dict[str, Any]:
    """Return the parameters of an estimator that builds the same network, apart from its values."""
    if not isinstance(network, Network):
        raise TypeError(f"from_network: expected a chainrule.Network, got {type(network).__name__}.")
    shape = network.input_shape
    layers = [_as_given(layer) for layer in network.__getstate__()["layers"]]
    return {"layers": layers, "input_shape": shape if len(shape) > 1 else None, "dtype": str(network.dtype)}


def _as_given(layer: Layer) -> Layer:
    """Return an unbound layer with the same arguments; one that is not a dataclass is copied."""
    if not is_dataclass(layer):
        return layer
    arguments = layer.arguments()
    if layer.inner:
        arguments["layers"] = [_as_given(inner) for inner in layer.inner]
    return type(layer)(**arguments)
