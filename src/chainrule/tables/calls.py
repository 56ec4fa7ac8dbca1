"""The call of a function that repeats a run, for its report."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any


def call(function: Callable[..., Any], given: Mapping[str, Any], left_out: tuple[str, ...] = ()) -> str:
    """Return the call of a function with the arguments that are not its defaults; the first may be a table.

    >>> def train(source, target, *, seed=0, show=None): ...
    >>> call(train, {"source": "t.csv", "target": "y", "seed": 3, "show": print}, left_out=("show",))
    "train('t.csv', 'y', seed=3)"
    """
    first, *others = inspect.signature(function).parameters.values()
    source = given[first.name]
    texts = [repr(os.fspath(source)) if isinstance(source, str | os.PathLike) else "frame"]
    for parameter in others:
        value = given[parameter.name]
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        if parameter.name in left_out or (value == parameter.default or value in ((), [], {})):
            continue
        needed = parameter.default is parameter.empty
        texts.append(repr(value) if needed else f"{parameter.name}={value!r}")
    return f"{function.__name__}({', '.join(texts)})"
