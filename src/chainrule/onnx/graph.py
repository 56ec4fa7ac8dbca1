"""A graph under construction: nodes in order of computation, and the arrays they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule._internal.typing import Array

# Operators that onnxruntime does not implement in float64 on a CPU, tried one by one with version 1.32, and Gelu, which
# it computes in float64 with float32 constants.
_NAMES = """
Acos Acosh Asin Asinh Atan Atanh AveragePool Celu Conv ConvTranspose Cosh Elu Erf Gelu GlobalAveragePool GlobalLpPool
GlobalMaxPool HardSigmoid HardSwish Hardmax InstanceNormalization LRN LeakyRelu LpPool MeanVarianceNormalization Mish
PRelu Selu Sinh Softplus Softsign Tan ThresholdedRelu
"""
NOT_IN_FLOAT64 = frozenset(_NAMES.split())
CODES = {"float32": 1, "float64": 11, "int64": 7, "str": 8}  # of onnx.TensorProto: fixed in the format
ML = "ai.onnx.ml"  # the domain of operators such as LabelEncoder
Value = tuple[str, str, tuple[int, ...]]  # name, type, shape of one sample


@dataclass
class Node:
    """An operator with the names of its inputs and outputs."""

    op: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any] = field(default_factory=dict)


class Graph:
    """The graph that converters write to. Values of the graph are identified by name.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64: the floating-point type of the graph.
    opset : int
        The version of ONNX's operators.
    unique : callable, optional
        Function that makes a name unique.

    Attributes
    ----------
    scope : str
        The prefix of names: ``layer0`` and so on.
    nodes, initializers
        Everything added so far: a list, and arrays by name.

    Examples
    --------
    >>> graph = Graph(np.dtype("float32"), opset=21)
    >>> graph.scope = "layer0"
    >>> graph.node("Max", "X", 0.0)
    'layer0.Max'
    >>> graph.nodes[0].inputs, graph.initializers
    (['X', 'layer0.constant'], {'layer0.constant': array(0., dtype=float32)})
    """

    def __init__(self, dtype: np.dtype[Any], opset: int, unique: Callable[[str], str] | None = None) -> None:
        self.dtype, self.opset, self.scope = dtype, opset, "network"
        self.nodes: list[Node] = []
        self.initializers: dict[str, Array] = {}
        self._unique = unique or self._numbered
        self._taken: set[str] = set()
        self._first: set[str] = set()
        self._other: dict[str, str] = {}  # the same images in the other channel order

    def node(self, op: str, *inputs: str | float | Array, **attributes: Any) -> str:
        """Add an operator and return the name of its output.

        Inputs are names of values, numbers (converted to the graph's dtype) or arrays (in their own dtype). Attributes
        are those of the ONNX operator; ``to=`` of a Cast may be the name of a dtype.

        Raises
        ------
        ValueError
            If the graph is float64 and onnxruntime implements the operator in float32 only.
        """
        if self.dtype == np.float64 and op in NOT_IN_FLOAT64:
            raise ValueError(
                f"{self.scope}: onnxruntime does not implement the operator {op} in float64: build it from others "
                f"(graph.native() tells which), or export in float32, with dtype='float32'."
            )
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        if isinstance(to := attributes.get("to"), str):
            attributes["to"] = CODES[to]
        output = self._unique(f"{self.scope}.{op}")
        self.nodes.append(Node(op, names, output, attributes))
        return output

    def parameter(self, name: str, values: Array) -> str:
        """Add an array of the layer, under a name such as ``layer0.W`` and in the graph's dtype."""
        full = self._unique(f"{self.scope}.{name}")
        self.initializers[full] = np.ascontiguousarray(values, self.dtype)
        return full

    def array(self, name: str, values: Array) -> str:
        """Add an array in its own dtype, under a name of the scope."""
        full = self._unique(f"{self.scope}.{name}")
        self.initializers[full] = values
        return full

    def reserve(self, name: str) -> str:
        """Reserve and return the name of an input or an output, with _ appended if it is taken."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def constant(self, value: float | Array) -> str:
        """Add a number of the graph's dtype, or an array of its own dtype; equal ones within a scope are shared."""
        array = value if isinstance(value, np.ndarray) else np.array(value, self.dtype)
        for name, known in self.initializers.items():
            same = known.dtype == array.dtype and known.shape == array.shape
            if same and name.startswith(f"{self.scope}.constant") and (known == array).all():
                return name
        name = self._unique(f"{self.scope}.constant")
        self.initializers[name] = array
        return name

    def channels_first(self, x: str) -> bool:
        """Return whether a value holds images in ONNX's order: (batch, channels, height, width)."""
        return x in self._first

    def mark_first(self, x: str) -> str:
        """Mark a value as images with channels first, and return its name."""
        self._first.add(x)
        return x

    def images(self, x: str, *, first: bool) -> str:
        """Return images with channels first, or last as in chainrule, transposed at most once.

        >>> graph = Graph(np.dtype("float32"), opset=21)
        >>> first = graph.images("X", first=True)
        >>> graph.images(first, first=False), graph.images("X", first=True) == first, len(graph.nodes)
        ('X', True, 1)
        """
        if self.channels_first(x) == first:
            return x
        if x not in self._other:
            y = self.node("Transpose", x, perm=[0, 3, 1, 2] if first else [0, 2, 3, 1])
            self._other[x], self._other[y] = y, x
            if first:
                self.mark_first(y)
        return self._other[x]

    @contextmanager
    def computing_in(self, dtype: Any) -> Iterator[None]:
        """Set the graph's dtype for a part of the graph, whose inputs and results are cast by the caller."""
        before, self.dtype = self.dtype, np.dtype(dtype)
        try:
            yield
        finally:
            self.dtype = before

    def native(self, since: int = 1) -> bool:
        """Return whether an operator introduced in opset ``since``, for float32 only, may be used."""
        return self.dtype == np.float32 and self.opset >= since

    def rename(self, value: str, name: str) -> None:
        """Rename a value to an output's required name, adding an Identity node if no node computes it."""
        if all(node.output != value for node in self.nodes):
            self.nodes.append(Node("Identity", [value], name))
            return
        for node in self.nodes:
            node.inputs = [name if i == value else i for i in node.inputs]
            node.output = name if node.output == value else node.output

    def _numbered(self, name: str) -> str:
        free, n = name, 1
        while free in self._taken:
            n += 1
            free = f"{name}_{n}"
        self._taken.add(free)
        return free
