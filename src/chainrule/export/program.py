"""A model as a list of operations: what every language is written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array


class Input(NamedTuple):
    """A column of a table: what a person types for it, and what the model makes of it."""

    name: str
    kind: str  # "number", "yes/no", "category", "date" or "text"
    values: tuple[str, ...] = ()  # known categories; of yes/no, the one that is 0 and the one that is 1
    low: float | str | None = None
    high: float | str | None = None
    missing: str = ""  # the text of a missing category
    read_as: str = "text"  # how a category is written: or "whole", "number", "boolean"; "whole" for dates in digits
    unit: str = ""  # of numbers that were written with one
    zone: str = ""  # of dates, which are local times
    formats: tuple[str, ...] = ()  # of dates, besides ISO: codes of strftime for numbers
    optional: bool = False
    holes: tuple[str, ...] = ()  # words among numbers or dates that are missing values


class Field(NamedTuple):
    """The value of a column as an argument of an operation."""

    column: Input


@dataclass(frozen=True, eq=False)
class Value:
    """A vector that an operation computes for one row."""

    name: str
    size: int
    dtype: str = "float32"


@dataclass(frozen=True, eq=False)
class Op:
    """An operation: a function of the languages, and what it is called with, by the names of its parameters.

    The parameters ``y`` and ``x`` (and ``f``) are the result and the vectors that it takes. Arguments are arrays,
    numbers, tuples of strings, a :class:`Field`, or tuples of fields.
    """

    kind: str
    y: Value
    inputs: tuple[Value, ...]
    arguments: Mapping[str, Any]
    note: str = ""


@dataclass
class Program:
    """A model to export: its operations, its inputs and what its results mean.

    ``names`` are those of the numbers x, if known. ``classes`` are those of a classifier; ``several`` says that each of
    them may apply. ``thresholds`` are those of :class:`~chainrule.ensemble.Ensemble`. ``halves`` are half the widths of
    intervals that contain 1 %, 2 %, ... of new values, (percents, outputs), and ``least`` the least prediction of each
    output.
    """

    about: str
    x: Value | None
    columns: tuple[Input, ...]
    ops: Sequence[Op]
    y: Value
    names: tuple[str, ...] = ()
    classes: tuple[int | float | str | bool, ...] = ()
    several: bool = False
    thresholds: Array | None = None
    halves: tuple[tuple[float, ...], ...] = ()
    least: tuple[float, ...] = ()

    @property
    def arrays(self) -> dict[str, Array | tuple[str, ...]]:
        """The constants, by their names: arrays, and lists of strings."""
        return {
            f"{name}{i}": value
            for i, op in enumerate(self.ops)
            for name, value in op.arguments.items()
            if is_constant(value)
        }

    @property
    def kinds(self) -> set[str]:
        """The kinds of operations."""
        return {op.kind for op in self.ops}

    @property
    def read(self) -> list[Input]:
        """The columns that operations take."""
        given = [value for op in self.ops for value in op.arguments.values()]
        each = [part for value in given for part in (value if isinstance(value, tuple) else (value,))]
        return [*(value.column for value in given if isinstance(value, Field)),
                *(part.column for part in each if isinstance(part, Field))]  # fmt: skip

    def keys_of(self, column: Input) -> list[str]:
        """Return the names of the lists in which a column's text is looked up."""
        return [
            f"keys{i}"
            for i, op in enumerate(self.ops)
            if op.arguments.get("text") == Field(column) and "keys" in op.arguments
        ]

    @property
    def bytes(self) -> int:
        """The size of all constants."""
        sizes = (
            value.nbytes if isinstance(value, np.ndarray) else sum(len(text.encode()) + 1 for text in value)
            for value in self.arrays.values()
        )
        return sum(sizes)

    @property
    def multiply_adds(self) -> int:
        """The number of products of a weight and a value, for a row."""
        return sum(int(op.arguments.get("products", 0)) for op in self.ops)


def is_constant(value: object) -> bool:
    """Return whether an argument is an array or a list of strings, which have a name."""
    texts = isinstance(value, tuple) and not isinstance(value, Field) and all(isinstance(text, str) for text in value)
    return isinstance(value, np.ndarray) or texts


@dataclass
class Builder:
    """Operations that are being added."""

    ops: list[Op] = field(default_factory=list)
    note: str = ""  # a comment for the next operation

    def add(self, kind: str, *inputs: Value, size: int, dtype: str = "float32", **arguments: Any) -> Value:
        """Add an operation and return its result; ``n`` is the size of what it takes."""
        y = Value(f"v{len(self.ops)}", size, dtype)
        sizes = {"n": inputs[0].size} if inputs else {}
        self.ops.append(Op(kind, y, inputs, {**arguments, **sizes}, self.note))
        self.note = ""
        return y

    def joined(self, values: Sequence[Value]) -> Value:
        """Add the vectors one after the other."""
        if len(values) == 1:
            return values[0]
        return self.add("join", *values, size=sum(value.size for value in values), dtype=values[0].dtype)
