"""The lines of the methods that compute: a layer's forward and backward, a loss's, an optimizer's step."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from chainrule.pages.blocks import Code

MOST = 40  # lines


def code_of(thing: Any, *methods: str) -> tuple[Code, ...]:
    """Return the bodies of methods of an object, without their docstrings; nothing where there is no source.

    The private functions of the same module that they call follow, such as the one that all variants of Adam share.

    >>> from chainrule.layers import Tanh
    >>> (code,) = code_of(Tanh(), "forward")
    >>> print(code.title.partition(",")[0], code.text, sep=": ")
    Tanh.forward in chainrule/layers/activation.py: memo.y = np.tanh(x, out=memo.y)
    return memo.y
    """
    functions = [inspect.unwrap(getattr(type(thing), method)) for method in methods]
    for function in functions[:]:
        functions += [one for one in helpers(function) if one not in functions]
    return tuple(code for code in map(_body, functions) if code is not None)


def helpers(function: Any) -> list[Any]:
    """Return the private functions of its own module that a function calls."""
    names = (name for name in function.__code__.co_names if name.startswith("_"))
    called = [inspect.unwrap(f) for name in names if inspect.isfunction(f := function.__globals__.get(name))]
    return [f for f in called if f.__module__ == function.__module__]


@cache
def _body(function: Any) -> Code | None:
    try:
        lines, first = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function)
        (tree,) = ast.parse(textwrap.dedent("".join(lines))).body
    except (OSError, TypeError, SyntaxError, ValueError):  # a notebook's cell that is gone, a file that was edited
        return None
    if not isinstance(tree, ast.FunctionDef):
        return None
    body = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
    if not body:
        return None
    start = body[0].lineno - 1
    while start > 1 and lines[start - 1].lstrip().startswith("#"):  # a comment on the first statement
        start -= 1
    stop = tree.end_lineno or len(lines)
    text = textwrap.dedent("".join(lines[start : min(stop, start + MOST)])).rstrip()
    name = function.__qualname__.rpartition("<locals>.")[2]
    module = function.__module__
    place = f"{module.replace('.', '/')}.py" if module.startswith("chainrule.") else Path(file or "").name
    return Code(text + "\n…" * (stop - start > MOST), f"{name} in {place}, line {first + start}")
