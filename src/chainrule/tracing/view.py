"""One layer of a computation, with everything needed to record its operations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.blocks import Matrix
from chainrule.tracing.computation import Computation, Watched
from chainrule.tracing.entries import Seen, Worked, work
from chainrule.tracing.equations import Equations, equations_of, lines, symbol
from chainrule.tracing.operations import Check, Operation
from chainrule.tracing.source import code_of


def _title(watched: Watched) -> str:
    """Return the layer's constructor call; for one with inner layers, which are listed separately, where they are."""
    if not watched.inside:
        return repr(watched.layer)
    first, last = (watched.inside[i].label for i in (0, -1))
    places = f"layers {first} to {last}" if first != last else f"layer {first}"
    return f"{type(watched.layer).__name__} around {places}"


class View:
    """One layer of a computation, with everything needed to record it."""

    def __init__(
        self, watched: Watched, computation: Computation, checks: tuple[Check, ...], origins: tuple[str, str]
    ) -> None:
        self.watched, self.checks = watched, checks
        self.x_origin, self.dy_origin = origins
        self.layer, self.memo = watched.layer, watched.memo
        self.equations = equations_of(self.layer, training=self.memo.training)
        self.title = _title(watched)
        self.shapes = f"{watched.x.shape} -> {watched.y.shape}"
        self.symbols = symbols_of(self.equations, self.layer)
        self.entries = {check.gradient: check.at for check in checks}
        self.parameters = {symbol(name): computation.parameter(e).copy() for name, e in watched.names.items()}
        self.gradients = {f"d{symbol(name)}": computation.gradient(e) for name, e in watched.names.items()}
        self.extras = {symbol: self._extra(source) for symbol, source in self.equations.memo.items()}
        arrays = {"x": watched.x, "y": watched.y, "dy": watched.dy, "dx": watched.dx}
        arrays |= {**self.parameters, **self.gradients, **self.extras}
        arrays |= {symbol: np.asarray(value) for symbol, value in self.symbols.items()}
        if watched.inside:
            arrays |= {"f": watched.inside[-1].y, "df": watched.inside[0].dx}
        self.seen = Seen(self.layer, arrays, self.entries, self.equations)

    @cached_property
    def worked(self) -> Worked:
        """The worked entries."""
        return work(self.seen)

    def _extra(self, source: Any) -> Array:
        """Return an array that the equations name in addition to x, y and the parameters."""
        return np.asarray(
            source(self.layer, self.memo, self.watched.x) if callable(source) else getattr(self.memo, source)
        )

    @property
    def moves(self) -> bool:
        """Whether a training step changes the layer."""
        return bool(self.watched.names) or (self.memo.training and bool(self.equations.after))

    def forward(self) -> Operation:
        y, entry = self.watched.y, self.worked.y
        arrays = [Matrix("x", self.watched.x, self.x_origin, self.worked.x)]
        arrays += [
            Matrix(name, values, "", self.entries["d" + name], batch=False) for name, values in self.parameters.items()
        ]
        arrays += [
            Matrix(name, values, "", entry if values.shape == y.shape else None, batch=len(values.shape) > 1)
            for name, values in self.extras.items()
        ]
        arrays += self.worked.more
        if self.watched.inside:
            last = self.watched.inside[-1]
            arrays.append(Matrix("f", last.y, f"y of layer {last.label}", entry))
        arrays.append(Matrix("y", y, "", entry))
        return self._step("forward", self.equations.forward, arrays, self.worked.forward, ())

    def backward(self) -> Operation:
        arrays = [Matrix("dy", self.watched.dy, self.dy_origin, self.worked.y)]
        arrays += [Matrix(name, values, "", self.entries[name], batch=False) for name, values in self.gradients.items()]
        if self.watched.inside:
            first = self.watched.inside[0]
            arrays.append(Matrix("df", first.dx, f"dx of layer {first.label}", self.worked.x))
        arrays.append(Matrix("dx", self.watched.dx, "", self.entries.get("dx")))
        return self._step("backward", self.equations.backward, arrays, self.worked.backward, self.checks)

    def _step(
        self,
        phase: str,
        equations: str,
        arrays: list[Matrix],
        worked: Sequence[str],
        checks: tuple[Check, ...],
    ) -> Operation:
        texts = f"{self.equations.forward} {self.equations.backward}"
        symbols = {s: v for s, v in self.symbols.items() if s in texts or not self.equations.after}
        label, code = self.watched.label, code_of(self.layer, phase)
        return Operation(
            phase, label, self.title, self.shapes, lines(equations), tuple(arrays), tuple(worked), checks, symbols,
            code=code,
        )  # fmt: skip


def symbols_of(equations: Equations, thing: Any) -> dict[str, float]:
    """Return the values of the symbols in the equations."""
    return {symbol: getattr(thing, attribute) for symbol, attribute in equations.symbols.items()}
