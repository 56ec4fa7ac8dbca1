"""Calling a user's function: without arguments, with the parameters as one object, or with one argument each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

How = Literal["nothing", "whole", "list", "names"]


def how(function: Any, what: str, parameters: Any) -> How:
    """Return how to call the function; raise an error that names arguments without a value.

    >>> how(lambda: 0, "loss", {}), how(lambda p, x=3: 0, "loss", {}), how(lambda W, b: 0, "loss", {"b": 1.0, "W": 2.0})
    ('nothing', 'whole', 'names')
    """
    if not callable(function):
        raise TypeError(f"{what}: expected a function that computes it, got {type(function).__name__}.")
    wanted, rest = _arguments(function)
    keys = list(parameters) if isinstance(parameters, Mapping) else []
    count = len(parameters) if isinstance(parameters, list | tuple | Mapping) else 1
    if not wanted:
        return "list" if rest and count > 1 else "whole" if rest else "nothing"
    if keys and set(wanted) <= set(keys):
        return "names"
    if len(wanted) == 1:
        return "whole"
    if count == len(wanted):
        return "list"
    raise TypeError(
        f"{what} takes {len(wanted)} arguments ({', '.join(wanted)}), but there are {count} parameters. Expected a "
        f"function of the parameters alone: lambda parameters: {what}({', '.join(wanted)})."
    )


def names(function: Callable[..., Any], count: int) -> list[str]:
    """Return the function's names for this many parameters; nothing if it takes another number."""
    wanted = _arguments(function)[0] if callable(function) else []
    return wanted if len(wanted) == count else []


def _arguments(function: Callable[..., Any]) -> tuple[list[str], bool]:
    """Return the arguments without a default, and whether the function has *args."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin
        return ["parameters"], False
    wanted = [p.name for p in given if p.default is p.empty and p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    return wanted, any(p.kind is p.VAR_POSITIONAL for p in given)


def called(function: Callable[..., Any], way: How, parameters: Any) -> Any:
    """Call the function."""
    if way == "nothing":
        return function()
    if way == "whole":
        return function(parameters)
    if way == "names":
        wanted = _arguments(function)[0]
        return function(**{name: parameters[name] for name in wanted})
    return function(*(parameters.values() if isinstance(parameters, Mapping) else parameters))
