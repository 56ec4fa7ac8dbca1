"""Networks for prediction: normalization folded into the weights of the previous layer, no dropout."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from chainrule._internal.typing import Array
from chainrule.initializers import Zeros
from chainrule.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Dropout2D,
    GaussianNoise,
    Identity,
    Layer,
    Residual,
    Scale,
)
from chainrule.network import Network

__all__ = ["fold"]

Folded = tuple[Layer, dict[str, Array]]  # a specification and its arrays


def fold(network: Network) -> Network:
    """Return a network with fewer layers that makes the same predictions as ``network``, to rounding.

    .. formula::

        Dense or Conv2D, and then BatchNorm:    s = 1 / √(running_var + ε)
        y = γ s (x W + b − running_mean) + β = x W' + b'
        W' = W γ s        b' = (b − running_mean) γ s + β        one factor for each column (for each filter)

        Scale after them:    W' = W γ           b' = b γ
        Dropout, Dropout2D, GaussianNoise:  left out
        Residual:    the same for the layers inside

    Use it for serving only: further training would lack the removed layers. :func:`chainrule.onnx.save` and
    ``chainrule.save(model, path, folded=True)`` write it. A network 100-256-256-10 with two BatchNorm and two dropout
    layers predicts one row in 26 instead of 45 µs on one core, and 1,000 rows in 4.1 instead of 6.0 ms.

    Parameters
    ----------
    network : Network
        It is not modified.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.layers import BatchNorm, Dense, Dropout, ReLU
    >>> layers = [Dense(8, biases=None), BatchNorm(), ReLU(), Dropout(0.2), Dense(3)]
    >>> network = cr.Network(4, layers, "softmax_cross_entropy", seed=0)
    >>> cr.fold(network)
    Network: 4 inputs, SoftmaxCrossEntropy(), float32, 67 parameters
      0  Dense(8)  4 -> 8  W (4, 8)  b (8,)
      1  ReLU()    8 -> 8
      2  Dense(3)  8 -> 3  W (8, 3)  b (3,)

    Source: Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference"
    (2017), section 3.2.
    """
    network = network.on_cpu
    arrays: list[dict[str, Array]] = [{} for _ in network.layers]
    for entry, array in network.arrays():
        arrays[entry.layer][entry.name] = array
    folded = _fold(list(zip(network.layers, arrays, strict=True)))
    other = Network.blank(network.input_shape, [layer for layer, _ in folded], network.loss, network.dtype)
    other.allocate()
    for entry, array in other.arrays():
        array[...] = folded[entry.layer][1][entry.name]
    return other


def _fold(layers: Sequence[Folded]) -> list[Folded]:
    found: list[Folded] = []
    for layer, arrays in layers:
        if isinstance(layer, Dropout | Dropout2D | GaussianNoise):
            continue
        before = found[-1][0] if found else None
        if isinstance(layer, BatchNorm | Scale) and isinstance(before, Dense | Conv2D):
            found[-1] = _with_biases(before), _merged(found[-1][1], layer)
        elif isinstance(layer, Residual):
            found.append(_residual(layer, arrays))
        else:
            found.append((copy.copy(layer), arrays))
    return found or [(Identity(), {})]


def _residual(layer: Residual, arrays: dict[str, Array]) -> Folded:
    inside: list[dict[str, Array]] = [{} for _ in layer.inner]
    for name, array in arrays.items():
        i, _, rest = name.partition(".")
        inside[int(i)][rest] = array
    folded = _fold(list(zip(layer.inner, inside, strict=True)))
    named = {f"{i}.{name}": array for i, (_, by_name) in enumerate(folded) for name, array in by_name.items()}
    return Residual([part for part, _ in folded]), named


def _with_biases(layer: Dense | Conv2D) -> Dense | Conv2D:
    return layer if layer.biases is not None else type(layer)(**{**layer.arguments(), "biases": Zeros()})


def _merged(arrays: dict[str, Array], layer: BatchNorm | Scale) -> dict[str, Array]:
    """Return W' and b', in float64: a network in float32 rounds them once."""
    b, factor = arrays.get("b", np.zeros(1)), layer.gamma.astype(np.float64)
    if isinstance(layer, Scale):
        return {"W": arrays["W"] * factor, "b": b * factor}
    factor /= np.sqrt(layer.running_var.astype(np.float64) + layer.epsilon)  # γ s
    return {"W": arrays["W"] * factor, "b": (b - layer.running_mean) * factor + layer.beta}
