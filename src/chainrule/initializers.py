"""Initializers, each with the variance argument behind it.

For y = x W with independent, zero-mean entries, Var(y) = fan_in · Var(W) · E[x²]. The forward pass preserves the
variance from layer to layer if Var(W) = 1 / fan_in, the backward pass (dx = dy Wᵀ) if Var(W) = 1 / fan_out. ``fan_in``
is the number of inputs of a unit, ``fan_out`` the number of units that an input feeds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from chainrule._internal.config import FrozenConfig
from chainrule._internal.typing import Array

__all__ = [
    "Constant",
    "Fans",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LeCunNormal",
    "Normal",
    "Uniform",
    "Zeros",
]


class Fans(NamedTuple):
    """The number of inputs of a unit, and the number of units that an input feeds."""

    fan_in: int
    fan_out: int


class Initializer(FrozenConfig, ABC):
    """Base class for initializers. Subclasses implement ``draw``."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        """Return a float64 array of ``shape``; ``fans`` are those of the layer, also for its biases."""


@final
class Zeros(Initializer):
    """All zeros, the usual initial biases. With zero weights, all units of a layer learn the same.

    >>> Zeros().draw((2,), Fans(3, 2), np.random.default_rng(0))
    array([0., 0.])
    """

    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        return np.zeros(shape)


@final
@dataclass(eq=False, repr=False)
class Constant(Initializer):
    """A constant, for example 0.01 for the biases of ReLU layers.

    >>> Constant(0.1).draw((2,), Fans(3, 2), np.random.default_rng(0))
    array([0.1, 0.1])
    """

    value: float

    def __post_init__(self) -> None:
        _finite("Constant", "value", self.value)

    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        return np.full(shape, float(self.value))


@final
@dataclass(eq=False, repr=False)
class Uniform(Initializer):
    """Uniform distribution on [low, high), with mean (low + high) / 2 and variance (high − low)² / 12.

    >>> w = Uniform(-0.5, 0.5).draw((1000,), Fans(3, 2), np.random.default_rng(0))
    >>> bool(w.min() >= -0.5 and w.max() < 0.5)
    True
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        _finite("Uniform", "low", self.low)
        _finite("Uniform", "high", self.high)
        if not self.low < self.high:
            raise ValueError(f"Uniform: expected low < high, got low={self.low}, high={self.high}: swap them?")

    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        return rng.uniform(self.low, self.high, shape)


@final
@dataclass(eq=False, repr=False)
class Normal(Initializer):
    """Normal distribution with the given standard deviation and mean.

    >>> Normal(std=0.1).draw((2, 3), Fans(2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """

    std: float = 0.05
    mean: float = 0.0

    def __post_init__(self) -> None:
        _finite("Normal", "std", self.std)
        _finite("Normal", "mean", self.mean)
        if self.std < 0:
            raise ValueError(f"Normal: expected std >= 0, got {self.std}: give the standard deviation, not a range.")

    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.std, shape)


@final
class GlorotUniform(Initializer):
    """Glorot (Xavier) uniform: uniform on ±√(6 / (fan_in + fan_out)), with variance 2 / (fan_in + fan_out).

    A compromise between the variances for the forward pass (1 / fan_in) and the backward pass (1 / fan_out); U(−a, a)
    has variance a² / 3. For layers followed by tanh, sigmoid, softmax or no activation.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010),
    equation 16.

    >>> w = GlorotUniform().draw((200, 100), Fans(200, 100), np.random.default_rng(0))
    >>> round(float(w.var()) * 300, 1)
    2.0
    """

    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        limit = math.sqrt(6 / (fans.fan_in + fans.fan_out))
        return rng.uniform(-limit, limit, shape)


@final
class GlorotNormal(Initializer):
    """Glorot (Xavier) normal: normal with variance 2 / (fan_in + fan_out).

    Not truncated (Keras truncates at two standard deviations; PyTorch does not).

    Source: Glorot and Bengio (2010), as for :class:`GlorotUniform`.

    >>> w = GlorotNormal().draw((200, 100), Fans(200, 100), np.random.default_rng(0))
    >>> round(float(w.var()) * 300, 1)
    2.0
    """

    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        return rng.normal(0.0, math.sqrt(2 / (fans.fan_in + fans.fan_out)), shape)


@final
class HeUniform(Initializer):
    """He (Kaiming) uniform: uniform on ±√(6 / fan_in), with variance 2 / fan_in.

    ReLU sets half of its inputs to zero, which halves E[x²] from layer to layer; the factor 2 compensates for this.

    Source: He et al., "Delving deep into rectifiers" (2015), section 2.2.

    >>> w = HeUniform().draw((200, 100), Fans(200, 100), np.random.default_rng(0))
    >>> round(float(w.var()) * 200, 1)
    2.0
    """

    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        limit = math.sqrt(6 / fans.fan_in)
        return rng.uniform(-limit, limit, shape)


@final
class HeNormal(Initializer):
    """He (Kaiming) normal: normal with variance 2 / fan_in, for ReLU and its variants. Not truncated.

    Source: He et al. (2015), as for :class:`HeUniform`.

    >>> w = HeNormal().draw((200, 100), Fans(200, 100), np.random.default_rng(0))
    >>> round(float(w.var()) * 200, 1)
    2.0
    """

    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        return rng.normal(0.0, math.sqrt(2 / fans.fan_in), shape)


@final
class LeCunNormal(Initializer):
    """LeCun normal: normal with variance 1 / fan_in, which preserves the forward variance; for SELU. Not truncated.

    Source: LeCun et al., "Efficient BackProp" (1998), section 4.6.

    >>> w = LeCunNormal().draw((200, 100), Fans(200, 100), np.random.default_rng(0))
    >>> round(float(w.var()) * 200, 1)
    1.0
    """

    def draw(self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator) -> Array:
        return rng.normal(0.0, math.sqrt(1 / fans.fan_in), shape)


def _finite(kind: str, name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{kind}: expected a finite number for {name}, got {value}.")
