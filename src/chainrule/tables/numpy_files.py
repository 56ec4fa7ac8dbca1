"""NumPy files as tables: one column per one-dimensional array, and per column of the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.files.values import shown
from chainrule.tables import unpacking
from chainrule.tables._polars import pl


def parse(content: bytes, name: str) -> tuple[pl.DataFrame, str]:
    """Return the table in the content of a ``.npz`` or ``.npy`` file, and a note on its arrays.

    >>> import io
    >>> file = io.BytesIO()
    >>> np.savez(file, X=np.ones((3, 2)), y=np.arange(3))
    >>> parse(file.getvalue(), "points.npz")[0].columns
    ['X_1', 'X_2', 'y']
    """
    arrays = unpacking.load_numpy(content, name)
    return frame(columns(arrays, name), name), note(arrays)


def columns(arrays: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the columns of arrays by name, as views."""
    arrays = _fields(arrays)
    for key, array in arrays.items():
        if array.dtype.kind not in "biufSUMm":
            raise ValueError(f"{name}: the array {key!r} has type {array.dtype}: expected numbers, strings or dates.")
    rows = {len(array) if array.ndim else 0 for array in arrays.values()}
    if len(rows) != 1 or rows == {0}:
        raise ValueError(f"{name}: expected arrays with the same number of rows, got {sorted(rows)}.")
    found: dict[str, Any] = {}
    for key, array in arrays.items():
        table = array.reshape(len(array), -1)
        names = [key] if array.ndim == 1 else [f"{key}_{i + 1}" for i in range(table.shape[1])]
        if twice := found.keys() & names:
            raise ValueError(f"{name}: two arrays give the column {min(twice)!r}: rename one.")
        found |= {n: table[:, i] for i, n in enumerate(names)}
    return found


def frame(columns: dict[str, Any], name: str) -> pl.DataFrame:
    """Return columns as a table of polars."""
    try:
        return pl.DataFrame({key: plain(value) for key, value in columns.items()})
    except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{name} cannot be converted to a table: {shown(error)}.") from None


def note(arrays: dict[str, Any]) -> str:
    """Return the names and shapes of arrays."""
    return "NumPy: " + ", ".join(f"{key} {array.shape}" for key, array in _fields(arrays).items())


def plain(array: Any) -> Any:
    """Return a column as polars accepts it: contiguous, with numbers of at most 64 bits."""
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
    return np.ascontiguousarray(array, np.float64 if wide else None)


def _fields(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of structured arrays as separate arrays."""
    return {
        field or key: array[field] if field else array
        for key, array in arrays.items()
        for field in array.dtype.names or ("",)
    }
