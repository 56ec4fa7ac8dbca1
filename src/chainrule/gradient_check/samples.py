"""Inputs for checks: random rows, targets that a loss accepts, and objects of a class with default arguments."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule import layers
from chainrule._internal.typing import Array
from chainrule.gradient_check.objective import differs
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.parameters import Shape

SHAPES: tuple[Shape, ...] = ((5,), (6, 6, 2), (6, 2))  # sample shapes: rows of numbers, small images, sequences
COUNT, RATE = 3, 0.4  # for required arguments: a number of units or a size; a rate


def input_shape(layer: Layer) -> Shape | None:
    """Return the first sample shape that the layer accepts; None if it accepts none.

    >>> from chainrule.layers import Tanh
    >>> input_shape(Tanh())
    (5,)
    """
    layer = copy.copy(layer)
    for shape in SHAPES:
        layer.input_shape = shape
        try:
            layer.output(shape)
        except (ValueError, IndexError):
            continue
        return shape
    return None


def batch(layer: Layer, rows: int, rng: np.random.Generator) -> Array:
    """Return random rows for a layer that knows its shape: normal numbers, or integers if it accepts nothing else.

    >>> from chainrule.layers import Embedding
    >>> layer = Embedding([7], 3, columns=[1])
    >>> layer.input_shape = (2,)
    >>> layer.output(layer.input_shape), batch(layer, 4, np.random.default_rng(0))[:, 1]
    ((4,), array([4., 3., 3., 6.]))
    """
    return with_integers(layer, rng.normal(size=(rows, *layer.input_shape)), rng)


def with_integers(layer: Layer, x: Array, rng: np.random.Generator) -> Array:
    """Return x with random integers in the columns for which the layer needs them."""
    for column, many in layer.integer_columns().items():
        x[:, column] = rng.integers(0, many, len(x))
    return x


def targets(loss: Loss, rows: int, outputs: int, rng: np.random.Generator, y: Array | None = None) -> Array:
    """Return random targets of the first type that the loss accepts and for which it is finite at ``y``.

    Tries real numbers, counts, 0 or 1, labels, and probabilities; y is normal by default. If the gradient of the loss
    is correct only for rows that sum to 1, as p − t is for one-hot t, the rows sum to 1.

    >>> from chainrule.losses import SoftmaxCrossEntropy
    >>> targets(SoftmaxCrossEntropy(), 4, 3, np.random.default_rng(0))
    array([0, 1, 2, 0])
    """
    numbers = rng.normal(size=(rows, outputs))
    p = np.exp(numbers)
    labels = np.arange(rows) % outputs
    drawn, dtype = rng.normal(size=(rows, outputs)), np.dtype("float64")
    y = drawn if y is None else y
    reasons = []
    for t in (numbers, np.floor(p), (numbers > 0).astype(float), labels, p / p.sum(axis=1, keepdims=True)):
        try:
            checked = loss.targets(t, outputs, dtype)
            with np.errstate(all="ignore"):
                finite = np.isfinite(loss.forward(y.copy(), checked, Memo(training=True))).all()
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001  (a custom loss may raise anything for unsuitable t)
            reasons.append(f"{type(error).__name__}: {error}")
            continue
        if finite:
            return _summing_to_one(loss, y, t) if t is numbers else t
        reasons.append("its values are not finite")
    if len(set(reasons)) == 1:
        raise ValueError(reasons[0].partition(": ")[2] or reasons[0])
    raise ValueError(
        f"{loss!r} accepts none of the targets tried (numbers, counts, 0 or 1, labels, probabilities). "
        f"With numbers: {reasons[0]}"
    )


def _summing_to_one(loss: Loss, y: Array, t: Array) -> Array:
    """Return t, or t normalized to rows that sum to 1 if the gradient is correct only there."""
    moved = t - t.mean(axis=1, keepdims=True) + 1 / t.shape[1]
    try:
        return moved if not _is_derivative(loss, y, t) and _is_derivative(loss, y, moved) else t
    except Exception:  # noqa: BLE001  (the check reports its error)
        return t


def _is_derivative(loss: Loss, y: Array, t: Array) -> bool:
    memo = Memo(training=True)
    loss.forward(y.copy(), t, memo)

    def total(y: Array) -> float:
        return float(np.sum(loss.forward(y, t, Memo(training=True))))

    return not differs(total, y, loss.backward(t, memo), np.random.default_rng(0))


def variants(cls: Callable[..., Any]) -> Iterator[Any]:
    """Yield objects of the class: with defaults, or plain numbers for arguments without one; and with other options.

    >>> from chainrule.layers import GELU, Dense, Dropout
    >>> [*variants(Dense), *variants(Dropout), *variants(GELU)]
    [Dense(3), Dense(3, biases=None), Dropout(0.4), GELU(), GELU(approximate='tanh')]
    """
    if cls in GIVEN:
        yield from (cls(**arguments) for arguments in GIVEN[cls])
        return
    given = [_number(p) for p in inspect.signature(cls).parameters.values() if _needed(p)]
    yield cls(*given)
    for name, value in OTHERS.get(getattr(cls, "__name__", ""), ()):
        yield cls(*given, **{name: value})


GIVEN: dict[Any, tuple[dict[str, Any], ...]] = {
    layers.AveragePool2D: ({}, {"size": 3, "stride": 2, "padding": "same"}),
    layers.Conv2D: (
        {"filters": 3},
        {"filters": 4, "size": (3, 2), "stride": (1, 2), "padding": "same", "dilation": (2, 1), "groups": 2},
        {"filters": 3, "size": 2, "padding": (1, 0, 2, 1), "biases": None},
    ),
    layers.Embedding: ({"categories": 7, "size": 3}, {"categories": (4, 3), "size": 2, "columns": (3, 1)}),
    layers.MaxPool2D: ({}, {"size": 3, "stride": 2, "padding": "same"}),
    layers.Reshape: ({"shape": (2, -1)},),
    layers.Residual: (
        {"layers": [layers.Dense(5), layers.Tanh()]},
        {
            "layers": [
                layers.BatchNorm(),
                layers.Conv2D(2, padding="same", biases=None),
                layers.Residual([layers.Scale(0.5)]),
            ]
        },
    ),
}
"""Arguments of chainrule's classes for which plain numbers are unsuitable."""

OTHERS: dict[str, tuple[tuple[str, Any], ...]] = {
    "Adagrad": (("weight_decay", 0.1),),
    "Adam": (("epsilon_hat", True),),
    "AdamW": (("biases", True),),
    "Dense": (("biases", None),),
    "ELU": (("alpha", 0.5),),
    "GELU": (("approximate", "tanh"),),
    "Huber": (("delta", 0.3),),
    "L1": (("per_row", True),),
    "L2": (("per_row", True), ("biases", True)),
    "LeakyReLU": (("negative_slope", 0.3),),
    "Momentum": (("weight_decay", 0.1),),
    "Nesterov": (("weight_decay", 0.1),),
    "Quantile": (("quantile", 0.8),),
    "RMSProp": (("weight_decay", 0.1),),
    "SoftmaxCrossEntropy": (("label_smoothing", 0.1),),
}


def _needed(parameter: inspect.Parameter) -> bool:
    fixed = parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY}
    return fixed and parameter.default is parameter.empty


def _number(parameter: inspect.Parameter) -> int | float:
    annotation = parameter.annotation
    words = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return RATE if words.startswith("float") or parameter.name in {"rate", "strength"} else COUNT
