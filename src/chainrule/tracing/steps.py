"""The worked example as data: steps, their equations, their arrays, and the entries that were checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from chainrule._internal.typing import Array
from chainrule.pages.blocks import Matrix

Index = tuple[int, ...]


class Check(NamedTuple):
    """One entry of a gradient beside the central difference of L, both from a copy of the network in float64."""

    gradient: str
    at: Index
    analytic: float
    numeric: float
    h: float
    ok: bool
    kink: bool

    @property
    def entry(self) -> str:
        """Such as ``dW[3, 2]``."""
        return f"{self.gradient}{list(self.at)}"

    @property
    def quotient(self) -> str:
        """The central difference as a formula: ``(L(W[3, 2] + h) − L(W[3, 2] − h)) / 2h``."""
        moved = self.entry.removeprefix("d")
        return f"(L({moved} + h) − L({moved} − h)) / 2h"

    @property
    def relative(self) -> float:
        """The relative difference |analytic − numeric| / max(|analytic|, |numeric|); 0 where both are 0."""
        difference = abs(self.analytic - self.numeric)
        return difference / max(abs(self.analytic), abs(self.numeric)) if difference else 0.0

    @property
    def nothing(self) -> bool:
        """Whether both are 0 but for rounding, as the b in front of a BatchNorm has them."""
        return self.ok and self.relative > 1e-3

    @property
    def verdict(self) -> str:
        """``agree``, or what is the matter."""
        return "agree" if self.ok else "on a kink, where L has no derivative" if self.kink else "THEY DIFFER"

    @property
    def measure(self) -> str:
        """How it went, in words and numbers."""
        if self.analytic == self.numeric == 0:
            return "both are exactly 0"
        if self.nothing:
            return f"h = {self.h:.0e}: both are 0 but for rounding"
        return f"h = {self.h:.0e}, relative difference {self.relative:.0e}: {self.verdict}"


@dataclass(frozen=True, eq=False)
class Step:
    """One thing that happens: a layer's forward or backward pass, the loss, or the update of a layer's parameters.

    Attributes
    ----------
    phase : "preparation", "forward", "prediction", "loss", "backward" or "update"
    layer : the layer's index, or such as "2.0" inside of layer 2; None for what is not a layer
    title, shapes : the layer and the shapes of x and y, as text
    equations : tuple of str, as :mod:`chainrule.pages.formula` sets them
    arrays : tuple of Matrix; ``step["dW"]`` is the one of that name
    worked : single entries of them, with their numbers put in
    checks : tuple of Check
    symbols : what the symbols of the equations stand for, where they are no arrays
    table : rows of text, the first of them the names of the columns

    Examples
    --------
    >>> import numpy as np
    >>> step = Step("backward", 0, "Dense(1)", "", (), (Matrix("db", np.array([0.5])),))
    >>> step["db"]
    array([0.5])
    """

    phase: str
    layer: int | str | None
    title: str
    shapes: str
    equations: tuple[str, ...]
    arrays: tuple[Matrix, ...]
    worked: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    symbols: Mapping[str, float] = field(default_factory=dict)
    table: tuple[tuple[str, ...], ...] = ()

    @property
    def name(self) -> str:
        """``Layer 2``, or what else it is: ``Loss``."""
        return self.phase.capitalize() if self.layer is None else f"Layer {self.layer}"

    def __getitem__(self, name: str) -> Array:
        for array in self.arrays:
            if array.name == name:
                return array.values
        raise KeyError(
            f"{self.title}, {self.phase}: there is no {name!r}, but {', '.join(a.name for a in self.arrays)}."
        )
