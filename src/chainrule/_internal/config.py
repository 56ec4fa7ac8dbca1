"""Base classes of objects that are defined by their constructor's arguments and print as the call that makes them."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from chainrule._internal.names import did_you_mean

ELSEWHERE = {
    "activation": "An activation is a separate layer: [Dense(30), ReLU()].",
    "input_shape": "The network infers shapes: give inputs= to Network.",
    "input_dim": "The network infers shapes: give inputs= to Network.",
    "in_features": "The network infers shapes: give the number of units alone, Dense(30).",
    "out_features": "It is called units: Dense(30).",
    "use_bias": "Type biases=None for none.",
    "bias": "Type biases=None for none.",
    "kernel_initializer": "It is called weights=.",
    "bias_initializer": "It is called biases=.",
    "kernel_regularizer": "Penalties are given to train: penalties=[L2(1e-4)].",
    "lr": "It is called learning_rate=.",
    "momentum": "It is an optimizer: Momentum(0.1, 0.9).",
    "nesterov": "It is an optimizer: Nesterov(0.1, 0.9).",
    "weight_decay": "Use AdamW, or an L2 penalty: train(penalties=[L2(1e-4)]).",
    "p": "It is called rate=.",
    "kernel_size": "It is called size=.",
    "out_channels": "It is called filters=.",
}
"""Names of arguments in other libraries, and what to type here."""


class Config:
    """Base class of layers and callbacks and, through :class:`FrozenConfig`, of other objects that users construct."""

    def __new__(cls, *args: Any, **given: Any) -> Any:
        """Create an object; for a misspelled argument, or one of another library, the error says what to type."""
        parameters = vars(cls).get("__dataclass_params__")
        if parameters is not None and parameters.init:
            known = [field.name for field in fields(cls) if field.init]  # type: ignore[arg-type]
            for name in given.keys() - known:
                remedy = ELSEWHERE.get(name) or did_you_mean(name, known) if known else "It takes none."
                raise TypeError(f"{cls.__name__}: there is no argument {name!r}. {remedy}")
        elif cls.__init__ is object.__init__ and (args or given):
            raise TypeError(f"{cls.__name__}: expected no arguments, got {[*args, *given][0]!r}.")
        return super().__new__(cls)

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments (its dataclass fields) by name."""
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


class FrozenConfig(Config):
    """An immutable configuration, equal to others of its class with the same arguments.

    Replaces ``@dataclass(frozen=True)``, which generates code for every class and would double the time of ``import
    chainrule``.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            raise AttributeError(f"{self!r} is immutable: create a new {type(self).__name__}.")
        if getattr(value, "ndim", None) == 0:
            value = value.item()  # a NumPy scalar would turn float32 arrays into float64
        elif isinstance(value, list):
            value = tuple(value)
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))
