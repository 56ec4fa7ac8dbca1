"""Warnings about input that is valid but probably a mistake, each with a remedy."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule._internal.backend import host
from chainrule._internal.typing import Array, is_sparse
from chainrule.layers import BatchNorm, Conv2D, Dense, Dropout, GaussianNoise, Layer, Sigmoid, Softmax
from chainrule.losses import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.optimizers import Optimizer

__all__ = [
    "AdviceWarning",
    "ConstantOutputWarning",
    "EqualWeightsWarning",
    "LearningRateWarning",
    "UnscaledInputWarning",
]

SAMPLE = 1000
LARGE, LARGEST_BYTE = 100.0, 255.0  # of a column, from its mean and standard deviation
LARGEST_RATE, LARGEST_STEP, SMALLEST_RATE = 100.0, 0.5, 1e-10  # 0 is deliberate: it freezes the parameters
EPOCHS = 3  # after which a loss that has not fallen at all is spoken of
LEAP, STILL = 10, 1e-4  # times the first loss, and of it: what no healthy training shows
LEAST, FEW = 10, 100  # rows that are predicted to see whether all are the same

_silent: ContextVar[bool] = ContextVar("silent", default=False)


class AdviceWarning(UserWarning):
    """Base class of warnings about input that is valid but probably a mistake."""


class UnscaledInputWarning(AdviceWarning):
    """Issued when the scale of a column of X is unsuitable for training a network."""


class EqualWeightsWarning(AdviceWarning):
    """Issued when all units of a layer have the same weights, so that they stay equal forever."""


class LearningRateWarning(AdviceWarning):
    """Issued when the learning rate cannot work with this optimizer, or the loss has not fallen with it."""


class ConstantOutputWarning(AdviceWarning):
    """Issued when the trained network predicts the same for every row."""


@contextmanager
def left_to_the_caller() -> Iterator[None]:
    """Suppress the warnings of :func:`chainrule.train` in the block; its caller issues them with its own names."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def before_training(layers: Sequence[Layer], X: Any, optimizer: Optimizer) -> None:
    """Warn about inputs in the thousands, equal weights, and a learning rate that cannot work."""
    if _silent.get():
        return
    first = next((layer for layer in layers if not isinstance(layer, Dropout | GaussianNoise)), None)
    if isinstance(first, Dense | Conv2D) and X.dtype.kind != "b":
        remedy = "Scale them, for example X = (X - X.mean(axis=0)) / X.std(axis=0)."
        warn_unscaled(X, remedy, largest=LARGEST_BYTE, stacklevel=4)  # pixels as bytes are slow, but learn
    _warn_equal(layers)
    rate, name = optimizer.learning_rate, type(optimizer).__name__
    most = LARGEST_STEP if optimizer.steps_by_rate else LARGEST_RATE
    if rate > most or 0 < rate < SMALLEST_RATE:
        why = (
            f"{name} moves every parameter by about the learning rate in each step"
            if rate > most and optimizer.steps_by_rate
            else f"steps of this size {'overshoot' if rate > most else 'change nothing'}"
        )
        usual = 0.001 if optimizer.steps_by_rate else 0.1
        warnings.warn(
            f"a learning rate of {rate:g} cannot work: {why}. Try {name}({usual}).",
            LearningRateWarning,
            stacklevel=3,
        )


def after_training(
    logits: Callable[[Any], Array], X: Any, t: Array, losses: Sequence[float], optimizer: Optimizer
) -> None:
    """Warn if several epochs taught nothing: the loss rose or did not change, or all predictions are equal."""
    if _silent.get() or len(losses) < EPOCHS:
        return
    rate, name = optimizer.learning_rate, type(optimizer).__name__
    usual = 0.001 if optimizer.steps_by_rate else 0.1
    said = ""
    if losses[-1] > max(2 * losses[0], 1e-3):
        said = f"the loss has risen from {losses[0]:.4g} to {losses[-1]:.4g}"
    elif max(losses) > max(LEAP * losses[0], 1.0):
        said = f"the loss rose from {losses[0]:.4g} to {max(losses):.4g} on the way"
    if rate > (LARGEST_STEP if optimizer.steps_by_rate else LARGEST_RATE) or 0 < rate < SMALLEST_RATE:
        return  # said before training
    if said:
        said += f": the learning rate, {rate:g}, is too large for these data. Try {name}({rate / 10:g})"
    elif 0 < rate < usual / 50 and max(losses) - min(losses) < STILL * abs(losses[0]):
        said = f"the loss, {losses[0]:.4g}, has not moved in {len(losses)} epochs: the learning rate, {rate:g}, is too "
        said += f"small for these data. Try {name}({usual:g})"
    if said:
        warnings.warn(f"{said}, or look for a rate with lr_range_test.", LearningRateWarning, stacklevel=3)
    elif rate and _says_the_same(logits, X, t):
        warnings.warn(
            "the trained network predicts the same for every row: its units may be dead, because of a learning rate "
            "that is too large or weights that started at zero. Try a smaller rate, scaled inputs, or LeakyReLU().",
            ConstantOutputWarning,
            stacklevel=3,
        )


def _says_the_same(logits: Callable[[Any], Array], X: Any, t: Array) -> bool:
    """Return whether the predictions for a few rows are all equal although the rows and their targets are not."""
    few = slice(None, None, max(1, X.shape[0] // FEW))
    X, t = host(X[few]), t[few]
    if X.shape[0] < LEAST or not np.ptp(t, axis=0).any():
        return False
    with np.errstate(all="ignore"):
        if not is_sparse(X) and bool(np.equal(X, X[0]).all()):
            return False
        return not np.ptp(logits(X), axis=0).any()


def warn_link_twice(layers: Sequence[Layer], loss: Loss) -> None:
    """Warn about a last layer that repeats the activation of the loss."""
    last = layers[-1]
    if isinstance(last, Softmax | Sigmoid) and isinstance(loss, SoftmaxCrossEntropy | SigmoidCrossEntropy):
        link = "softmax" if isinstance(loss, SoftmaxCrossEntropy) else "sigmoid"
        warnings.warn(
            f"{type(loss).__name__} takes logits and applies the {link} itself; after {last!r} they are "
            f"squashed twice, and learning is slow. Remove {last!r}: predict returns probabilities without it.",
            AdviceWarning,
            stacklevel=3,
        )


def warn_unscaled(X: Any, remedy: str, names: Any = None, largest: float = LARGE, stacklevel: int = 2) -> None:
    """Warn if the size of a column, √(mean² + variance), is above ``largest``.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_unscaled(np.array([[0.1, 900.0], [0.3, 1100.0]]), "Scale them.")
    >>> str(caught[0].message)[:76]
    'column 1 of X has mean 1e+03 and standard deviation 100: inputs of this size'
    """
    if is_sparse(X):
        return
    rows = sample(X).reshape(-1, X.shape[-1])
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        size = np.hypot(mean, std)
    worst = int(size.argmax())
    if size[worst] > largest:
        name = f"{names[worst]!r}" if names is not None else str(worst)
        others = int((size > largest).sum()) - 1
        warnings.warn(
            f"column {name} of X has mean {mean[worst]:.3g} and standard deviation {std[worst]:.3g}: inputs of this "
            f"size slow learning down or break it{f' ({others} other columns are also large)' if others else ''}. "
            f"{remedy}",
            UnscaledInputWarning,
            stacklevel=stacklevel,
        )


def sample(X: Any) -> Any:
    """Return at most 1,000 rows of an array or a sparse matrix, evenly spread."""
    return host(X[:: max(1, -(-X.shape[0] // SAMPLE))])


def _warn_equal(layers: Sequence[Layer]) -> None:
    """Warn if all units of a layer have equal incoming and outgoing weights, and so equal gradients."""
    if any(isinstance(layer, Dropout | GaussianNoise | BatchNorm) for layer in layers):
        return  # noise makes the units differ
    dense = [(i, layer) for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    for (i, layer), (j, behind) in pairwise(dense):
        between = layers[i + 1 : j]
        elementwise = all(part.input_shape == part.output_shape and not part.parameters() for part in between)
        alike = _equal(layer.W.T) and _equal(behind.W) and (layer.b is None or _equal(layer.b.reshape(-1, 1)))
        if layer.units > 1 and elementwise and alike:
            warnings.warn(
                f"layer {i}, {layer!r}: all {layer.units} units have the same weights, so they get the same gradients "
                "and stay equal forever. Initialize them at random: omit weights=, or give weights='he_normal'.",
                EqualWeightsWarning,
                stacklevel=4,
            )
            return


def _equal(rows: Array) -> bool:
    return bool((rows[0] == rows[-1]).all() and (rows == rows[0]).all())
