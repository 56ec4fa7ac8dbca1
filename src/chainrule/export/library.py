"""The functions of each language: files from which a model takes those that it needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from chainrule._version import __version__
from chainrule.export.program import Op, is_constant

HEADS = {
    "functions.c": re.compile(r"^static [\w ]+?\*?(\w+)\((.*?)\) \{", re.MULTILINE | re.DOTALL),
    "functions.mjs": re.compile(r"^function (\w+)\((.*?)\) \{", re.MULTILINE | re.DOTALL),
    "functions.py": re.compile(r"^def (\w+)\((.*?)\) ->", re.MULTILINE | re.DOTALL),
}
CALLS = {
    "functions.c": (r"(\w+)\(", r"/\*.*?\*/"),
    "functions.mjs": (r"(?<![\w.])(\w+)(?=[(),])", r"/\*.*?\*/|//[^\n]*"),
    "functions.py": (r"(?<![\w.])(\w+)\(", r'""".*?"""'),
}
"""Patterns of calls, and of comments."""


class Function(NamedTuple):
    """A function: the names of its parameters, and its source with the comment above it."""

    parameters: tuple[str, ...]
    source: str


@cache
def library(file: str) -> dict[str, Function]:
    """Return the functions of a file of this folder, by their names.

    >>> library("functions.mjs")["add"].parameters
    ('x', 'f')
    """
    text = resources.files("chainrule.export").joinpath(file).read_text(encoding="utf-8")
    found = {}
    for block in re.split(r"\n\n+(?=\S)", text):
        if head := HEADS[file].search(block):
            plain = re.sub(r"\[.*?\]+", "", head[2])  # without the arguments of types
            names = [re.split(r"[:=]", part)[0].split()[-1].strip("*") for part in plain.split(",") if part.strip()]
            found[head[1]] = Function(tuple(names), block.strip())
    return found


def needed(file: str, names: Iterable[str]) -> list[str]:
    """Return the sources of these functions, where there are any, and of those they call, in the order of the file."""
    there, (calls, comments) = library(file), CALLS[file]
    wanted = {*names} & there.keys()
    open_ = [there[name].source for name in wanted]
    while open_:
        named = re.findall(calls, re.sub(comments, "", open_.pop(), flags=re.DOTALL))
        called = {word for word in named if word in there} - wanted
        wanted |= called
        open_ += [there[name].source for name in called]
    return [function.source for name, function in there.items() if name in wanted]


def call(file: str, op: Op, i: int, spelled: Callable[[Any], str]) -> str:
    """Return the call of the function of operation i, in a language whose functions return their result."""

    def given(name: str) -> str:
        if name in ("x", "f"):
            return op.inputs[name == "f"].name
        value = op.arguments.get(name)
        return name if value is None else f"{name}{i}" if is_constant(value) else spelled(value)

    names = library(file)[op.kind].parameters
    arguments = [value.name for value in op.inputs] if op.kind == "join" else [given(name) for name in names]
    return f"{op.kind}({', '.join(arguments)})"


def by() -> str:
    """Return who wrote a file."""
    return f"Written by chainrule {__version__} (chainrule export)"
