"""The layout of theta, the vector of all parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array, Float
from chainrule.initializers import Fans, GlorotUniform, Initializer

Shape = tuple[int, ...]


class Parameter(NamedTuple):
    """A parameter array that a layer requests from the network.

    If ``initializer`` is None, it depends on the next activation. ``weight`` distinguishes weights from biases, which
    penalties exempt by default.
    """

    shape: Shape
    initializer: Initializer | None
    fans: Fans
    weight: bool = True

    def draw(self, rng: np.random.Generator) -> Array:
        """Return the initial values."""
        return (self.initializer or GlorotUniform()).draw(self.shape, self.fans, rng)


class Entry(NamedTuple):
    """The position of a parameter array in theta. Inside a Residual, its name is of the form "1.W"."""

    layer: int
    name: str
    where: slice
    shape: Shape
    weight: bool

    @property
    def key(self) -> str:
        """Its name in files and tables, such as ``layers.0.W``."""
        return f"layers.{self.layer}.{self.name}"

    @property
    def size(self) -> int:
        """The number of its values."""
        return self.where.stop - self.where.start


def locate(part: Any, name: str) -> tuple[Any, str]:
    """Return the owner of an array and its name there: for "1.W", inner layer (or memo) 1 and "W"."""
    *path, last = name.split(".")
    for i in path:
        part = part.inner[int(i)]
    return part, last


@dataclass(frozen=True)
class Layout:
    """Names, shapes and positions of the parameters in ``theta``: layer by layer, each in declaration order.

    ``workspace.grad`` has the same layout, so optimizer steps, clipping, penalties and gradient checks are vector
    operations.
    """

    entries: tuple[Entry, ...]
    size: int

    @property
    def largest(self) -> int:
        """The size of the largest parameter."""
        return max((entry.size for entry in self.entries), default=0)

    @classmethod
    def of(cls, parameters: Sequence[dict[str, Parameter]]) -> Layout:
        """Lay out the parameters of all layers, one after the other."""
        entries, start = [], 0
        for i, by_name in enumerate(parameters):
            for name, parameter in by_name.items():
                size = math.prod(parameter.shape)
                entries.append(Entry(i, name, slice(start, start + size), tuple(parameter.shape), parameter.weight))
                start += size
        return cls(tuple(entries), start)

    def view(self, vector: Float[Array, "size"], entry: Entry) -> Array:
        """Return this parameter as a view of ``vector``; writing to it modifies the vector."""
        return vector[entry.where].reshape(entry.shape)

    def select(self, layers: Sequence[int] | None, *, biases: bool) -> list[Entry]:
        """Return the weights of the given layers (all if None), and optionally their biases."""
        return [e for e in self.entries if (layers is None or e.layer in layers) and (biases or e.weight)]

    def factors(self, by_layer: Mapping[int, float], dtype: np.dtype[Any]) -> Float[Array, "size"]:
        """Return a vector of the shape of theta with the number of each layer, 1 by default."""
        vector = np.ones(self.size, dtype)
        for entry in self.entries:
            vector[entry.where] = by_layer.get(entry.layer, 1.0)
        return vector
