"""Layers, losses and optimizers to and from JSON: ``Dense(3)`` is ``{"type": "Dense", "units": 3, ...}``.

Types are looked up by name in fixed tables of chainrule's own modules. The annotations of a class's fields define what
each may be in a file. So no code from a file is executed, and a field of the wrong type is an error before the
constructor runs.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any

from chainrule._internal.config import Config
from chainrule._internal.names import public_classes
from chainrule.files.values import ModelFileError, shown

MODULES = {
    "Callback": "training.callbacks training.averaging",
    "Clip": "training.clipping",
    "Constraint": "penalties",
    "Initializer": "initializers",
    "Layer": "layers",
    "Loss": "losses",
    "Optimizer": "optimizers",
    "Penalty": "penalties",
    "Schedule": "schedules",
}
"""The kinds of objects in a file: the base class, and the modules with it and its table."""

NEWER = " Is the file from a newer version?"
DEEPEST = 16  # nested parts, such as Residual in Residual: far from exhausting the stack
MOST = 2_000  # parts in a sequence, such as layers
SCALARS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
ALIASES = {"Layers": "int | Sequence[int] | None"}


@cache
def table(base: str) -> dict[str, Any]:
    """Return the classes that a file may name in place of a ``base``.

    >>> sorted(table("Clip"))
    ['ClipNorm', 'ClipValue']
    """
    modules = [importlib.import_module(f"chainrule.{name}") for name in MODULES[base].split()]
    known: dict[str, Any] = {}
    for module in modules:
        known |= public_classes(module, getattr(modules[0], base))
    return known


def describe(what: str, value: Config, base: str, remedy: str = "", depth: int = 0) -> dict[str, Any]:
    """Return a part of chainrule as JSON; ``what`` and ``remedy`` are for the message when it is not one.

    >>> from chainrule.optimizers import Momentum
    >>> describe("the optimizer", Momentum(0.5), "Optimizer")
    {'type': 'Momentum', 'learning_rate': 0.5, 'momentum': 0.9, 'weight_decay': 0.0}
    """
    name = type(value).__name__
    if table(base).get(name) is not type(value):
        raise ValueError(
            f"save: {what}, {shown(value)}, is not a part of chainrule, and a file cannot hold its code{remedy}."
        )

    if depth > DEEPEST:
        raise ValueError(f"save: {what}: a file holds parts nested at most {DEEPEST} deep, this is deeper.")

    def part(what: str, value: Any, base: str) -> Any:
        return describe(what, value, base, remedy, depth + 1)

    forms = _forms(table(base)[name])
    try:
        arguments = {k: _fit(f"{name}: {k}", v, forms[k], part) for k, v in value.arguments().items()}
    except TypeError as error:
        raise ValueError(f"save: {what}: a file cannot hold it: {error}") from None
    return {"type": name, **arguments}


def build(what: str, description: Any, base: str, depth: int = 0) -> Any:
    """Return the object that :func:`describe` described, or raise a :class:`ModelFileError`.

    >>> build("the optimizer", {"type": "Momentum", "learning_rate": 0.5}, "Optimizer")
    Momentum(learning_rate=0.5)
    """
    if not isinstance(description, dict):
        raise ModelFileError(f"{what} cannot be read: expected an object, got {shown(description)}.")
    if depth > DEEPEST:
        raise ModelFileError(f"{shown(what)} cannot be read: it is nested more than {DEEPEST} deep.")

    def part(what: str, value: Any, base: str) -> Any:
        return build(what, value, base, depth + 1)

    arguments = dict(description)
    name = arguments.pop("type", None)
    known = table(base)
    if not isinstance(name, str) or name not in known:
        raise ModelFileError(f"{what}: unknown type '{shown(name)}'. Known: {', '.join(known)}.{NEWER}")
    forms = _forms(known[name])
    if unknown := arguments.keys() - forms:
        raise ModelFileError(f"{what}, {name}: unknown fields {shown(', '.join(sorted(unknown)))}.{NEWER}")
    needed = {f.name for f in _fields(known[name]) if f.default is MISSING and f.default_factory is MISSING}
    if missing := needed - arguments.keys():
        raise ModelFileError(f"{what}, {name}: missing fields: {', '.join(sorted(missing))}.")
    try:
        return known[name](**{k: _fit(k, v, forms[k], part) for k, v in arguments.items()})
    except ModelFileError:
        raise
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ModelFileError(f"{what}, {name}, cannot be read: {shown(error)}") from None


@cache
def _forms(cls: Any) -> dict[str, str]:
    """Return the annotations of the constructor's arguments as strings."""
    return {f.name: str(f.type) for f in _fields(cls)}


def _fields(cls: Any) -> list[Field[Any]]:
    return [f for f in fields(cls) if f.init] if is_dataclass(cls) else []


def _fit(what: str, value: Any, annotation: str, part: Callable[[str, Any, str], Any]) -> Any:
    """Return a value if it matches one form of the annotation; ``part`` describes or builds nested parts."""
    if getattr(value, "ndim", None) == 0:
        value = value.item()  # a NumPy scalar
    forms = ALIASES.get(annotation, annotation).split(" | ")
    for form in forms:
        if form in SCALARS and _is_scalar(value, SCALARS[form]):
            return value
        if form == "Sequence[int]" and isinstance(value, list | tuple) and all(_is_scalar(v, (int,)) for v in value):
            return tuple(value)
        if form in MODULES and isinstance(value, dict | Config):
            return part(what, value, form)
        base = form.removeprefix("Sequence[").removesuffix("]")
        if base in MODULES and isinstance(value, list | tuple):
            if len(value) > MOST:
                raise TypeError(f"{what}: expected at most {MOST}, got {len(value)}")
            return [part(f"{what}, {i}", v, base) for i, v in enumerate(value)]
    if value is None and "None" in forms:
        return None
    raise TypeError(f"{what}: expected {' or '.join(forms)}, got {shown(value)}.")


def _is_scalar(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    if isinstance(value, int):
        return int in types and abs(value) < 2**63
    if isinstance(value, float):
        return float in types and math.isfinite(value)
    return isinstance(value, types)
