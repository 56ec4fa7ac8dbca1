"""A network, its loss and what trains it as a program: operations in order, with barriers between its phases."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.layers import Embedding, Identity, Layer
from chainrule.layers.base import SHIPPED
from chainrule.network import Network
from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import Operation, address_of
from chainrule.training.compiled.epoch import WITH_BARRIER

BARRIER = "barrier"
COLUMNS = {
    "x": slots.X, "y": slots.Y, "inputs": slots.INPUTS, "outputs": slots.OUTPUTS, "W": slots.W, "b": slots.B
}  # fmt: skip
BLANK = np.zeros(slots.WIDTH, np.int64)  # an operation without arrays
BLANK[[slots.X, slots.Y, slots.W, slots.B]] = -1


class NotCompiled(Exception):  # noqa: N818  (a reason, not an error)
    """Raised for a component without a compiled form; the message names it."""


class Program:
    """The operations of a network, written by the function of each layer in ``compiled/layers``.

    Attributes
    ----------
    overwritable : set of int
        The offsets of values that no operation reads again but the next layer's: it may put its y there.
    copied : dict of int to int
        How many of the values at an offset, from the first on, are columns of X as they are.
    work : int
        The multiplications for a row.
    training : bool
        Whether this is for training; else there is no way back, no dropout, and BatchNorm has its statistics.
    slope_wanted : bool
        Whether a layer before this one learns, so that dx is wanted.
    """

    def __init__(self, network: Network, *, training: bool = True, sparse: bool = False) -> None:
        self.network, self.dtype, self.sparse, self.training = network, network.dtype, sparse, training
        self.widths, self.memos, self.sizes, self.work, self.scratch = 0, 0, 0, 0, 0
        self.drawn: list[tuple[str, int]] = []
        self.convolves = False  # so that the product of windows is compiled where there are some
        self.overwritable: set[int] = set()
        self.copied: dict[int, int] = {}
        self.slope_wanted = False
        self.constants: list[np.ndarray[Any, Any]] = []
        self.forwards: list[Any] = []
        self.backwards: list[Any] = []
        self.gradients: list[Any] = []
        self.afterwards: list[Any] = []
        self._path: list[tuple[int, Layer]] = []
        layout, statistics = network.layout, network.statistics_layout
        self._where = {(e.layer, e.name): e.where.start for e in layout.entries}
        self._measured = {(e.layer, e.name): e.where.start for e in statistics.entries}
        self.y = self.layers(network.layers, -1)

    # -------------------------------------------------------- for the layers

    def layers(self, layers: Sequence[Layer], x: int) -> int:
        """Plan layers one after the other; return the offset of the last one's y."""
        for i, layer in enumerate(layers):
            self._path.append((i, layer))
            if self.sparse and x < 0 and layer.sparse != "taken" and not isinstance(layer, Identity):
                raise NotCompiled(f"{self._name()} has no compiled form for sparse rows")
            x = self._form(layer)(layer, self, x)
            if isinstance(x, str):
                raise NotCompiled(f"{self._name()} {x}")
            self.slope_wanted = self.training and (self.slope_wanted or bool(layer.parameters()))
            self._path.pop()
        return x

    def _form(self, layer: Layer) -> Callable[..., Any]:
        cls = type(layer)
        if SHIPPED.get(cls.__name__) is cls:
            name = f"chainrule.training.compiled.layers.{cls.__module__.rpartition('.')[2]}"
            try:
                form = getattr(importlib.import_module(name), cls.__name__, None)
            except ModuleNotFoundError:
                form = None
            if form is not None:
                return form
        raise NotCompiled(f"{self._name()} has no compiled form")

    def _name(self) -> str:
        *outer, (i, layer) = self._path
        inside = "".join(f" of the {type(other).__name__} at layer {j}" for j, other in reversed(outer))
        return f"layer {i}{inside}, {layer!r},"

    def _key(self, name: str) -> tuple[int, str]:
        (i, _), *inner = self._path
        return i, ".".join([*(str(j) for j, _ in inner), name])

    def columns_of_X(self, x: int, inputs: int) -> int:  # noqa: N802  (X)
        """Return how many columns of this layer's x, from the first on, are columns of X whose categories are checked.

        ``Network.check_categories`` sees those that no layer but Embedding and Identity is before.
        """
        before = self.network.layers[: self._path[0][0]]
        seen = len(self._path) == 1 and all(type(layer) in {Embedding, Identity} for layer in before)
        return (inputs if x < 0 else self.copied[x]) if seen else 0

    def at(self, name: str) -> int:
        """Return the offset of this layer's parameter in theta; -1 for none."""
        return self._where.get(self._key(name), -1)

    def statistic(self, name: str) -> int:
        """Return the offset of this layer's statistic."""
        return self._measured[self._key(name)]

    @property
    def next_room(self) -> int:
        """The offset that the next ``room`` returns."""
        return self.widths

    def room(self, width: int) -> int:
        """Reserve so many values a row; return their offset."""
        self.widths += width
        return self.widths - width

    def memo(self, width: int) -> int:
        """Reserve so many values a row for what backward needs besides the values."""
        self.memos += width
        return self.memos - width

    def shared(self, size: int) -> int:
        """Reserve so many values for each part of the batch."""
        self.sizes += size
        return self.sizes - size

    def padded(self, size: int) -> None:
        """Have room for so many values, for each thread, that an operation uses while it runs."""
        self.scratch = max(self.scratch, size)

    def draws(self, width: int, kind: str) -> int:
        """Have so many values drawn for a row, by the generator's method of this name."""
        at = sum(w for _, w in self.drawn)
        self.drawn.append((kind, width))
        return at

    def constant(self, values: Any) -> int:
        """Keep integers; return their address."""
        return self.address(np.ascontiguousarray(values, np.int64))

    def address(self, array: np.ndarray[Any, Any]) -> int:
        """Keep an array; return its address."""
        self.constants.append(array)
        return address_of(array)

    def forward(self, run: Operation, **operands: Any) -> None:
        """Plan an operation on the rows of each part, after those before."""
        self.forwards.append((run, operands))

    def backward(self, run: Operation, **operands: Any) -> None:
        """Plan one of the way back, before those planned already."""
        self.backwards.insert(0, (run, operands))

    def slope(self, run: Operation, **operands: Any) -> None:
        """Plan one of the way back that gives dx, where a layer before has parameters."""
        if self.slope_wanted:
            self.backward(run, **operands)

    def gradient(self, run: Operation, **operands: Any) -> None:
        """Plan one that fills the gradient of parameters, when all slopes are there."""
        if self.training:
            self.gradients.append((run, operands))

    def after(self, run: Operation, **operands: Any) -> None:
        """Plan one for after the step, of one thread."""
        self.afterwards.append((run, operands))

    def barrier(self) -> None:
        """Let all parts come here before the next operation."""
        self.forwards.append(BARRIER)

    def barrier_back(self) -> None:
        """Let all parts come here on the way back, before what was planned last."""
        self.backwards.insert(0, BARRIER)


class Table:
    """Operations and phases as integers for :func:`~chainrule.training.compiled.epoch.epoch`."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.operations: list[tuple[Operation, dict[str, Any]]] = []
        self._phases: list[list[int]] = []

    def phase(self, kind: int, operations: Sequence[Any], flags: int = WITH_BARRIER) -> None:
        """Add a phase; barriers among its operations cut it into several."""
        some: list[Any] = []
        for each in operations:
            if each == BARRIER:
                self._add(kind, some, flags | WITH_BARRIER)
                some = []
            else:
                some.append(each)
        self._add(kind, some, flags)

    def _add(self, kind: int, operations: Sequence[Any], flags: int) -> None:
        begin = len(self.operations)
        self.operations += operations
        self._phases.append([kind, begin, len(self.operations), flags])

    def arrays(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the operations and the phases."""
        rows = [_encoded(run, operands, self.dtype) for run, operands in self.operations]
        return np.array(rows, np.int64).reshape(-1, slots.WIDTH), np.array(self._phases, np.int64)


def _encoded(run: Operation, operands: dict[str, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return one row: x, y, inputs, outputs, W and b as all operations have them, own integers and reals."""
    row = BLANK.copy()
    row[slots.CODE] = run.address(dtype)
    for name, value in operands.items():
        if name in COLUMNS:
            row[COLUMNS[name]] = value
    own, reals = operands.get("own", ()), operands.get("reals", ())
    row[slots.OWN : slots.OWN + len(own)] = own
    row.view(np.float64)[slots.REALS : slots.REALS + len(reals)] = reals
    return row
