"""The worked example as data: operations with their equations, their arrays, and the entries that were checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.blocks import Block, Code, Matrix

Index = tuple[int, ...]


class Check(NamedTuple):
    """One entry of a gradient and the central difference of L, both from a float64 copy of the network."""

    gradient: str
    at: Index
    analytic: float
    numeric: float
    h: float
    ok: bool
    kink: bool

    @property
    def entry(self) -> str:
        """The entry as text: ``dW[3, 2]``."""
        return f"{self.gradient}{list(self.at)}"

    @property
    def quotient(self) -> str:
        """The central difference as a formula: ``(L(W[3, 2] + h) − L(W[3, 2] − h)) / 2h``."""
        moved = self.entry.removeprefix("d")
        return f"(L({moved} + h) − L({moved} − h)) / 2h"

    @property
    def relative(self) -> float:
        """The relative difference ``|analytic − numeric| / max(|analytic|, |numeric|)``; 0 if both are 0."""
        difference = abs(self.analytic - self.numeric)
        return difference / max(abs(self.analytic), abs(self.numeric)) if difference else 0.0

    @property
    def nothing(self) -> bool:
        """Whether both are 0 up to rounding error, like the gradient of b before a BatchNorm."""
        return self.ok and self.relative > 1e-3

    @property
    def verdict(self) -> str:
        """``agree``, or what is wrong."""
        return "agree" if self.ok else "on a kink, where L has no derivative" if self.kink else "THEY DIFFER"

    @property
    def measure(self) -> str:
        """The result of the check in words and numbers."""
        if self.analytic == self.numeric == 0:
            return "both are exactly 0"
        if self.nothing:
            return f"h = {self.h:.0e}: both are 0 up to rounding error"
        return f"h = {self.h:.0e}, relative difference {self.relative:.0e}: {self.verdict}"


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation: the forward or backward pass of a layer, the loss, or the update of a layer's parameters.

    Attributes
    ----------
    phase : str
        "preparation", "forward", "prediction", "loss", "backward" or "update".
    layer : int, str or None
        Index of the layer; "2.0" is the first layer inside layer 2. None for the loss and other operations without one.
    title, shapes : str
        The layer, and the shapes of x and y.
    equations : tuple of str
        In the notation of :mod:`chainrule.pages.formula`.
    arrays : tuple of Matrix
        ``operation["dW"]`` returns the array of that name.
    worked : tuple of str
        Single entries, computed with numbers.
    checks : tuple of Check
    symbols : mapping of str to float
        Values of the symbols in the equations that are not arrays.
    table : tuple of rows of text
        The first row has the column names.
    code : tuple of Code
        The lines of the methods that computed it, if there is source.
    number : int
        Number of the optimizer step, from 1.

    Examples
    --------
    >>> operation = Operation("backward", 0, "Dense(1)", "", (), (Matrix("db", np.array([0.5])),))
    >>> operation["db"]
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
    code: tuple[Code, ...] = ()
    number: int = 1

    @property
    def name(self) -> str:
        """The heading: ``Layer 2``, or the phase, such as ``Loss``."""
        return self.phase.capitalize() if self.layer is None else f"Layer {self.layer}"

    def __getitem__(self, name: str) -> Array:
        for array in self.arrays:
            if array.name == name:
                return array.values
        raise KeyError(
            f"{self.title}, {self.phase}: no array {name!r}: expected one of {', '.join(a.name for a in self.arrays)}."
        )


@dataclass(frozen=True, eq=False)
class Example:
    """The numbers of a worked example; :class:`chainrule.tracing.Trace` adds the ways to print them."""

    steps: tuple[Operation, ...]
    values: tuple[float, ...]
    prediction: Array
    x: Array
    t: Array
    network: str
    loss: str
    optimizer: str
    dtype: str
    classes: tuple[str, ...] | None = None
    image_shape: tuple[int, int] | None = None
    labeled: bool = True
    title: str = "A worked example"
    front: tuple[Block, ...] = ()

    @property
    def value(self) -> float:
        """L before the first optimizer step."""
        return self.values[0]

    @property
    def value_after(self) -> float:
        """L after the last optimizer step."""
        return self.values[-1]

    @property
    def rows(self) -> int:
        """Number of samples."""
        return len(self.x)

    @property
    def checks(self) -> list[Check]:
        """All entries that were compared with central differences."""
        return [check for step in self.steps for check in step.checks]

    def outcome(self, row: int) -> str:
        """Return the target and the prediction of a sample as text if they are classes, else an empty string.

        >>> import chainrule as cr
        >>> network = cr.Network(1, [cr.layers.Dense(2, weights="zeros")], "softmax_cross_entropy")
        >>> cr.trace(network, [1.0], 1, classes=["cat", "dog"]).outcome(0)
        'true: dog, predicted: cat with 0.500'
        """
        p, t = self.prediction[row], self.t[row]
        if np.ndim(t) or len(p) < 2:
            return ""
        names = self.classes or [str(i) for i in range(len(p))]
        true = f"true: {names[int(t)]}, " if self.labeled else ""
        return f"{true}predicted: {names[int(p.argmax())]} with {p.max():.3f}"
