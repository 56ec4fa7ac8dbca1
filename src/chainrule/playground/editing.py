"""A layer's backward written in the page: run in a process of its own, with limits, and never in this one."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
import time
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.course.worker import FailureError, Limits, Worker
from chainrule.files.descriptions import table
from chainrule.layers import Layer
from chainrule.memo import Memo
from chainrule.playground.bounds import RefusedError
from chainrule.tracing.source import helpers

LONGEST = 20_000  # characters of the code
LIMITS = Limits(seconds=2.0, memory=256)
FRESH, RENEWED = 1.0, 60.0  # seconds after which the code is executed again, and after which the process is new

# Follows the code of the page, so that its lines keep their numbers. The child has NumPy and no chainrule.
AFTER = """
import math
import numpy as np

class _Part:
    def __getattr__(self, name):
        return None

def product(x, y, out=None):
    return np.dot(x, y, out=out)

def column_sums(x, out=None):
    return np.sum(x.reshape(-1, x.shape[-1]), axis=0, out=out)

def _run(names, wanted, *values):
    dy, parts = values[0], {"self": _Part(), "memo": _Part()}
    for name, value in zip(names.split(), values[1:]):
        owner, _, attribute = name.partition(".")
        setattr(parts[owner], attribute, value)
    dx = backward(parts["self"], dy, parts["memo"])
    return (dx, *(getattr(parts["memo"], name) for name in wanted.split()))

if not callable(globals().get("backward")):
    _run = None
"""
KNOWN = {"np", "math", "product", "column_sums", "len", "range", "slice", "tuple"}
"""The global names that a backward may use in the child."""


class Edit:
    """The backward of one layer, as code of the page; a process runs it until ``close``."""

    def __init__(self, layer: Layer, source: str) -> None:
        if not is_editable(type(layer)):
            raise RefusedError("backward", f"backward: that of {type(layer).__name__} cannot be edited in the page.")
        self.source, self._helpers = source, _helpers(type(layer))
        self._worker: Worker | None = None
        self._opened = self._made = 0.0

    def layer(self, layer: Layer) -> Layer:
        """Return a copy of a layer with this backward."""
        cls, edit = type(layer), self

        def backward(self: Layer, dy: Array, memo: Memo) -> Array | None:
            return edit.run(self, dy, memo)

        edited = copy.copy(layer)
        edited.__class__ = type(cls.__name__, (cls,), {"backward": backward})  # no engine has it compiled
        return edited

    def run(self, layer: Layer, dy: Array, memo: Memo) -> Array | None:
        """Return dx, and set the gradients of the parameters in the memo, as the code computes them."""
        parameters = {f"d{name}": parameter.shape for name, parameter in layer.parameters().items()}
        given = {f"self.{name}": value for name, value in _values(layer).items()}
        given |= {f"memo.{name}": value for name, value in _values(memo).items() if name != "dy"}
        try:
            worker = self._ready()
            reply = worker.call((" ".join(given), " ".join(parameters), dy, *given.values()))
        except FailureError as error:
            self.close()
            raise RefusedError("backward", f"backward of {type(layer).__name__}: {error}") from None
        dx, *gradients = reply.result
        for (name, shape), gradient in zip(parameters.items(), gradients, strict=True):
            setattr(memo, name, _checked(layer, f"memo.{name}", gradient, shape, dy.dtype))
        shape = (len(dy), *layer.input_shape)
        return _checked(layer, "dx, its result,", dx, shape, dy.dtype) if memo.dx_wanted else None

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _ready(self) -> Worker:
        """Return the process, with time for another second or two."""
        now = time.monotonic()
        if self._worker is not None and now - self._made > RENEWED:
            self.close()
        if self._worker is None:
            self._worker, self._made, self._opened = Worker(LIMITS), now, 0.0
        if now - self._opened > FRESH:
            self._worker.open(f"{self.source}\n{self._helpers}{AFTER}", "backward", "_run")
            self._opened = now
        return self._worker


def _values(part: Any) -> dict[str, Any]:
    """Return the attributes of a layer or a memo that the child can have: numbers, texts, shapes and arrays."""
    constants = {name: getattr(part, name) for name in dir(type(part)) if name.isupper()}
    return {name: value for name, value in (constants | vars(part)).items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(part, int) for part in value)
    return isinstance(value, bool | int | float | str | np.ndarray)


def _checked(layer: Layer, what: str, value: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    got = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else "no array"
    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype.kind not in "fiu":
        raise RefusedError(
            "backward", f"backward of {type(layer).__name__}: {what} must be an array of shape {shape}, got {got}."
        )
    return value.astype(dtype, copy=False)


# ------------------------------------------------------------------ the library's own code


@cache
def source_of(cls: type) -> str:
    """Return the source of a layer's backward, without annotations in its first line.

    >>> from chainrule.layers import Identity
    >>> print(source_of(Identity))
    def backward(self, dy, memo):
        return dy
    <BLANKLINE>
    """
    function = _backward(cls)
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    first = _tree(function).body[0].lineno
    while lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return "\n".join(["def backward(self, dy, memo):", *lines[first - 1 :]]) + "\n"


@cache
def is_editable(cls: type) -> bool:
    """Return whether the child can run a layer's backward: it calls NumPy, and functions of its own module."""
    known = KNOWN | {function.__name__ for function in helpers(_backward(cls))}
    for function in (_backward(cls), *helpers(_backward(cls))):
        for node in ast.walk(_tree(function)):
            if isinstance(node, ast.Name) and node.id in function.__globals__.keys() - known:
                return False
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                name = node.attr
                if name == "inner" or name.startswith("_") or callable(getattr(cls, name, None)):
                    return False
    return True


def _backward(cls: Any) -> Any:
    return inspect.unwrap(cls.backward)


def _tree(function: Any) -> ast.FunctionDef:
    """Return a function's syntax tree, without annotations."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)  # noqa: S101  (for the type)
    tree.returns = None
    for argument in (*tree.args.args, *tree.args.kwonlyargs):
        argument.annotation = None
    return tree


def _helpers(cls: type) -> str:
    return "".join(f"\n{ast.unparse(_tree(function))}\n" for function in helpers(_backward(cls)))


# ------------------------------------------------------------------ mistakes to try


class Mistake(NamedTuple):
    """A planted mistake: one line of a layer's backward, and what stands there instead."""

    layer: str
    title: str
    right: str
    wrong: str

    def source(self) -> str:
        """Return the backward with the mistake."""
        return source_of(table("Layer")[self.layer]).replace(self.right, self.wrong)


PRODUCT = "memo.dW = product(memo.x.T, dy, out=memo.dW)"
MISTAKES = (
    Mistake("Dense", "dW is divided by the batch size twice", PRODUCT, "memo.dW = product(memo.x.T, dy) / len(dy)"),
    Mistake("Dense", "dW has the wrong sign", PRODUCT, "memo.dW = -product(memo.x.T, dy)"),
    Mistake("Dense", "db is that of the first row only", "column_sums(dy, out=memo.db)", "dy[0].copy()"),
    Mistake("Dense", "dx has the wrong sign", "product(dy, self.W.T, out=memo.dx)", "-product(dy, self.W.T)"),
    Mistake("Tanh", "1 − y in place of 1 − y²", "np.multiply(memo.y, memo.y, out=memo.dx)", "memo.y.copy()"),
    Mistake("Tanh", "the derivative is forgotten", "np.multiply(dy, slope, out=slope)", "dy"),
    Mistake("ReLU", "the derivative is forgotten", "np.multiply(dy, slope, out=slope)", "dy"),
    Mistake("Sigmoid", "the derivative is that of another layer: 1 − y²", "slope *= memo.y", "slope *= 1 + memo.y"),
)
