"""Specifications: small objects that are what their constructor was given, and print as it would be typed."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any


class Specification:
    """Base of layers and callbacks, and by way of :class:`Value` of everything else that a user constructs."""

    def arguments(self) -> dict[str, Any]:
        """Return what the constructor was given (its dataclass fields), by name."""
        if not is_dataclass(self):
            return {}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.init}

    def __repr__(self) -> str:
        if not is_dataclass(self):
            return f"{type(self).__name__}()"
        typed: list[str] = []
        for field in fields(self):
            if not field.init:
                continue
            value = getattr(self, field.name)
            if field.default is MISSING and field.default_factory is MISSING:
                typed.append(repr(value))
            elif value != field.default:
                typed.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(typed)})"


class Value(Specification):
    """A specification that never changes, equal to another of its class with the same arguments.

    What ``@dataclass(frozen=True)`` would generate for every class, written once: it halves the time of
    ``import chainrule``.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            raise AttributeError(f"{self!r} does not change: make a new {type(self).__name__}.")
        if getattr(value, "ndim", None) == 0:
            value = value.item()  # a NumPy scalar would turn float32 arrays into float64
        elif isinstance(value, list):
            value = tuple(value)
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))
