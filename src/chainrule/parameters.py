"""All parameters in one vector: the layout of theta."""

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
    """One array of parameters that a layer asks the network for.

    ``initializer`` is None where the next activation says how it is drawn. ``weight`` tells weights from biases:
    penalties leave biases alone unless they are asked not to.
    """

    shape: Shape
    initializer: Initializer | None
    fans: Fans
    weight: bool = True

    def draw(self, rng: np.random.Generator) -> Array:
        """Return the array, drawn."""
        return (self.initializer or GlorotUniform()).draw(self.shape, self.fans, rng)


class Entry(NamedTuple):
    """Where one parameter array lies in theta; in a layer with layers inside, such as Residual, its name is "1.W"."""

    layer: int
    name: str
    where: slice
    shape: Shape
    weight: bool

    @property
    def key(self) -> str:
        """Its name in files and tables, such as ``layers.0.W``."""
        return f"layers.{self.layer}.{self.name}"


def locate(part: Any, name: str) -> tuple[Any, str]:
    """Return what has the array, and its name there: for "1.W" what is 1 inside of a layer, or of a memo, and "W"."""
    *path, last = name.split(".")
    for i in path:
        part = part.inner[int(i)]
    return part, last


@dataclass(frozen=True)
class Layout:
    """The order of all parameters in ``theta``: layer by layer, each in the order it declares them.

    ``workspace.grad`` has the same layout, so that an optimizer step, clipping, a penalty or a gradient check is an
    operation on vectors.
    """

    entries: tuple[Entry, ...]
    size: int

    @classmethod
    def of(cls, parameters: Sequence[dict[str, Parameter]]) -> Layout:
        """Lay out the parameters of every layer, one after the other."""
        entries, start = [], 0
        for i, by_name in enumerate(parameters):
            for name, parameter in by_name.items():
                size = math.prod(parameter.shape)
                entries.append(Entry(i, name, slice(start, start + size), tuple(parameter.shape), parameter.weight))
                start += size
        return cls(tuple(entries), start)

    def view(self, vector: Float[Array, "size"], entry: Entry) -> Array:
        """Return the view of ``vector`` that is this parameter: writing into it writes into the vector."""
        return vector[entry.where].reshape(entry.shape)

    def select(self, layers: Sequence[int] | None, *, biases: bool) -> list[Entry]:
        """Return the weights of the given layers (of all layers for None), and their biases if asked."""
        return [e for e in self.entries if (layers is None or e.layer in layers) and (biases or e.weight)]

    def factors(self, by_layer: Mapping[int, float], dtype: np.dtype[Any]) -> Float[Array, "size"]:
        """Return a vector like theta that has each layer's number, and 1 where there is none."""
        vector = np.ones(self.size, dtype)
        for entry in self.entries:
            vector[entry.where] = by_layer.get(entry.layer, 1.0)
        return vector
