"""A user's parameters and gradients: arrays in dicts or lists, possibly nested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule._internal.typing import Array

FORMS = ("d{}", "d_{}", "D{}", "dL_d{}", "dL/d{}", "grad_{}", "{}_grad", "grad{}", "g_{}", "delta_{}", "{}")
"""Names of the gradient of W in a dict of gradients: dW, grad_W, W_grad, ..., and W itself."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every array with its name: a key, or an index in a list.

    >>> [name for name, _ in leaves({"W": 1.0, "layers": [{"b": 2.0}, 3.0]})]
    ['W', 'layers[0].b', 'layers[1]']
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and not all(isinstance(v, int | float) for v in value):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{i}]")
    else:
        yield path, value


def rebuilt(value: Any, new: Iterator[Any]) -> Any:
    """Return the same structure of dicts and lists with other arrays, in order."""
    if isinstance(value, Mapping):
        return {key: rebuilt(inner, new) for key, inner in value.items()}
    if isinstance(value, list | tuple) and not all(isinstance(v, int | float) for v in value):
        inner = [rebuilt(v, new) for v in value]
        return inner if isinstance(value, list) else tuple(inner)
    return next(new)


def named_leaves(parameters: Any, names: list[str]) -> dict[str, Any]:
    """Return the arrays of ``parameters`` by name; each must hold floats. ``names`` applies to plain lists."""
    found = list(leaves(parameters))
    if not found:
        raise ValueError("parameters: expected at least one array, got none: for example {'W': W, 'b': b}.")
    if len(names) == len(found) and all(not name or name.startswith("[") for name, _ in found):
        found = [(name, value) for name, (_, value) in zip(names, found, strict=True)]
    arrays = {name or "θ": value for name, value in found}
    for name, value in arrays.items():
        _check_floats(name, value)
    known: list[tuple[str, Any]] = []
    for name, value in arrays.items():
        for other, array in known:
            if isinstance(value, np.ndarray) and isinstance(array, np.ndarray) and np.shares_memory(value, array):
                raise ValueError(
                    f"parameters: {other} and {name} share memory: give the array once; its gradient is then the "
                    "sum of both."
                )
        known.append((name, value))
    return arrays


def _check_floats(name: str, value: Any) -> None:
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        new = f"{name}.astype(float)" if isinstance(value, np.ndarray) else f"np.array({name}, float)"
        raise TypeError(
            f"parameters: {name} holds integers ({array.dtype}), which no small step can change. Make them floats: "
            f"{name} = {new if array.ndim else float(array)}."
        )
    if array.dtype.kind != "f":
        raise TypeError(
            f"parameters: {name}: expected an array of floats, got {type(value).__name__} of {array.dtype}."
        )
    if not isinstance(value, np.ndarray | float | np.floating):
        raise TypeError(f"parameters: {name}: expected a NumPy array, got a {type(value).__name__}: np.array({name}).")
    if not array.size:
        raise ValueError(f"parameters: {name} is empty: its shape is {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"parameters: {name} contains NaN or infinity: check at other parameters.")


def matched(gradients: Any, arrays: Mapping[str, Any]) -> Array:
    """Return the gradients as one vector, in the order of the parameters, from any dict or list."""
    if isinstance(gradients, tuple | list) and len(gradients) == 1 and len(arrays) > 1:
        gradients = gradients[0]  # return (grads,)
    if gradients is None:
        raise ValueError("gradients: got None: is the return missing?")
    given = list(leaves(gradients))
    total = sum(np.size(w) for w in arrays.values())
    if len(given) == 1 and np.size(given[0][1]) == total and len(arrays) > 1:  # one vector for all parameters
        return np.array(given[0][1], np.float64).ravel()
    table = dict(given)
    if not isinstance(gradients, Mapping) and len(given) == len(arrays):
        pairs = [(name, value) for name, (_, value) in zip(arrays, given, strict=True)]
    else:
        pairs = [(name, _entry(table, name, gradients)) for name in arrays]
    parts = []
    for name, value in pairs:
        g, shape = np.asarray(value), np.shape(arrays[name])
        if g.dtype.kind not in "fiub":
            raise TypeError(f"gradients: that of {name}: expected numbers, got {value!r}.")
        if g.shape != shape:
            turned = ": it is transposed, use its .T" if g.ndim > 1 and g.shape == shape[::-1] else ""
            axis = ": sum over the rows only, with axis=0" if g.size == 1 and np.prod(shape) > 1 else ""
            raise ValueError(
                f"gradients: that of {name} has shape {g.shape}, but {name} has shape {shape}{turned or axis}."
            )
        parts.append(g.astype(np.float64).ravel())
    return np.concatenate(parts)


def _entry(table: Mapping[str, Any], name: str, gradients: Any) -> Any:
    head, dot, last = name.rpartition(".")
    for form in FORMS:
        key = f"{head}{dot}{form.format(last)}"
        if key in table:
            return table[key]
    there = ", ".join(table) if isinstance(gradients, Mapping) else f"{len(table)} without names"
    raise ValueError(f"gradients: expected one for {name}, under d{last} or {last}; got {there or 'none'}.")
