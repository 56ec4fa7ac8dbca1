"""Passes that raise errors: which part fails, and how, in one line."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.same import came
from chainrule.memo import Memo
from chainrule.network import Network

ELSEWHERE = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]  # not user code
PASSES = {"forward", "backward", "output", "parameters"}


class UnfinishedError(Exception):
    """Raised for a part that is not implemented yet and cannot be checked."""


def describe(error: BaseException) -> str:
    """Return an error as one line, with the line of the user's file that raised it."""
    message = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {message}{_where(error)}"


def raised(what: str, error: BaseException) -> str:
    """Return a sentence: the pass raises an error, or is not implemented yet.

    >>> raised("backward", ValueError("too  small")), raised("backward", NotImplementedError())
    ('backward raises ValueError: too small', 'backward is not implemented yet')
    """
    if isinstance(error, NotImplementedError):
        return f"{what} is not implemented yet{_where(error)}"
    return f"{what} raises {describe(error)}"


def _where(error: BaseException) -> str:
    others = (str(Path(__file__).parents[1]), *ELSEWHERE)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((*others, "<"))]
    return f" (line {frames[0].lineno}: {frames[0].line})" if frames else ""


def pass_of(error: BaseException) -> str:
    """Return the pass that raised the error."""
    names = [f.name for f in traceback.extract_tb(error.__traceback__) if f.name in PASSES]
    return names[-1] if names else "it"


def failure(network: Network, x: Any, t: Array, error: Exception, fresh: Callable[[], Memo] = Memo) -> str:
    """Return the layer or loss that fails on this batch: the first that raises or returns a wrong shape.

    Later layers get unexpected input and are not at fault. If the passes run here, return ``error`` itself.
    """
    said = pass_of(error)
    with np.errstate(all="ignore"):
        try:
            return _first(network, x, t, fresh) or raised(said, error)
        except _FailedError as found:
            return str(found)


class _FailedError(Exception):
    """Describes the part that fails."""


def _run(owner: str, name: str, work: Callable[[], Any], shape: tuple[int, ...], wanted: str) -> Any:
    try:
        result = work()
    except Exception as error:
        raise _FailedError(f"{owner}: {raised(name, error)}") from error
    if getattr(result, "shape", None) != shape:
        raise _FailedError(f"{owner}: {name} returns {came(result)}, but {wanted} {shape}")
    return result


def _first(network: Network, x: Any, t: Array, fresh: Callable[[], Memo]) -> str:
    rows, memos = len(x), [fresh() for _ in network.layers]
    names = [f"layer {i}, {layer!r}" for i, layer in enumerate(network.layers)]
    xs = [x]
    for name, layer, memo in zip(names, network.layers, memos, strict=True):
        given = np.array(xs[-1])
        wanted = (rows, *layer.output_shape)
        y = np.asarray(_run(name, "forward", partial(layer.forward, given, memo), wanted, "y has shape"))
        if y.dtype != given.dtype:
            remedy = f"an array made without dtype=x.dtype, or .astype({given.dtype}) is missing"
            raise _FailedError(f"{name}: forward returns {y.dtype} for {given.dtype} x: {remedy}")
        xs.append(y)
    loss, memo = repr(network.loss), Memo(training=memos[0].training)
    remedy = "must return the loss of each row, not their mean: shape"
    _run(loss, "forward", lambda: network.loss.forward(np.array(xs[-1]), t, memo), (rows,), remedy)
    dy = _run(loss, "backward", lambda: network.loss.backward(t, memo), np.shape(xs[-1]), "y has shape")
    for name, layer, memo, before in reversed(list(zip(names, network.layers, memos, xs, strict=False))):
        given = np.array(dy)
        dy = _run(name, "backward", partial(layer.backward, given, memo), np.shape(before), "x has shape")
    return ""
