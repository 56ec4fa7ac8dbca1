"""The work buffer of C: where each vector lies while it is needed."""

from __future__ import annotations

from chainrule.export.program import Op, Program, Value

IN_PLACE = frozenset({
    "add", "affine", "elu", "exp", "filled", "gelu", "gelu_tanh", "hard_sigmoid", "layer_norm", "leaky_relu", "missing",
    "mish", "mix", "prelu", "relu", "rms_norm", "scaled", "sigmoid", "silu", "softmax", "softplus", "squash", "tanh",
    "times",
})  # fmt: skip
"""Functions whose result may replace their first vector."""
BASES = {"float32": "floats", "float64": "doubles"}


class Memory:
    """Where each vector lies: at the first place that is free while it is needed, in ``floats`` or ``doubles``.

    The parts of a vector that joins others lie in it from the beginning.
    """

    def __init__(self, program: Program) -> None:
        self.sizes = {"float32": 0, "float64": 0}
        self.words = max((op.arguments["buckets"] for op in program.ops if op.kind == "words"), default=0)
        self._part = {part: (op.y, sum(p.size for p in op.inputs[:k]))
                      for op in program.ops if op.kind == "join" for k, part in enumerate(op.inputs)}  # fmt: skip
        self._place = {program.y: ("y", 0)}
        if program.x is not None:
            self._place[program.x] = ("x", 0)
        last = {self._root(value)[0]: i for i, op in enumerate(program.ops) for value in (op.y, *op.inputs)}
        live: dict[Value, int] = {}
        for i, op in enumerate(program.ops):
            dying = {value for value in live if last[value] == i}
            root = self._root(op.y)[0]
            if root not in self._place:
                at = self._in_place(op, live, dying) if root is op.y else None
                if at is None:
                    at = free({value: at for value, at in live.items() if value.dtype == root.dtype}, root.size)
                live[root], self._place[root] = at, (BASES[root.dtype], at)
                self.sizes[root.dtype] = max(self.sizes[root.dtype], at + root.size)
            for value in dying:
                del live[value]

    @staticmethod
    def _in_place(op: Op, live: dict[Value, int], dying: set[Value]) -> int | None:
        """Return the place of the first vector, if the result may replace it."""
        first = op.inputs[0] if op.inputs else None
        return live[first] if op.kind in IN_PLACE and first in dying and first.size == op.y.size else None

    def _root(self, value: Value) -> tuple[Value, int]:
        """Return the vector that a value is part of, and where it begins."""
        offset = 0
        while value in self._part:
            value, at = self._part[value]
            offset += at
        return value, offset

    def at(self, value: Value) -> tuple[str, int]:
        """Return where a vector lies: the name of an array, and its place in it."""
        root, offset = self._root(value)
        base, at = self._place[root]
        return base, at + offset

    @property
    def bytes(self) -> int:
        """The size of the work buffer."""
        return 4 * (self.sizes["float32"] + self.words) + 8 * self.sizes["float64"]

    def declarations(self) -> list[str]:
        """Return the work buffer in C."""
        sizes = {"float floats": self.sizes["float32"], "double doubles": self.sizes["float64"],
                 "float word_counts": self.words}  # fmt: skip
        return [f"static {name}[{size}];" for name, size in sizes.items() if size]


def free(taken: dict[Value, int], size: int) -> int:
    """Return the first place that is free, between those of other vectors.

    >>> taken = {Value("a", 2): 0, Value("b", 1): 4}
    >>> free(taken, 2), free(taken, 3)
    (2, 5)
    """
    at = 0
    for start, end in sorted((start, start + value.size) for value, start in taken.items()):
        if start - at >= size:
            break
        at = max(at, end)
    return at
