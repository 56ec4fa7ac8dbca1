"""The inputs of a network from the rows of a table, in memory or on disk, with the same numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.loading import Loaded
from chainrule.tables.schema import Column
from chainrule.tables.splitting import drawn
from chainrule.tables.streaming.on_disk import OnDisk
from chainrule.tables.streaming.progress import Meter, State
from chainrule.tables.streaming.scratch import DiskMatrix, amount
from chainrule.tables.task import encoded

CELLS = 2**22  # values that a preparation is fitted on at most
MIN_ROWS = 2000  # that it is fitted on, however wide
TEXT = 64  # values that a text counts as
BLOCK = 65_536  # rows to prepare at once


def prepared(
    prepare: Any,
    loaded: Loaded,
    seed: int,
    show: Callable[[State], Any] | None = None,
    dtype: Any = np.float32,
    share: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """Fit a preparation, and return the inputs of the training and validation rows.

    It is fitted on all training rows, or on a random sample of them with :data:`CELLS` values. The rows that it is
    fitted on get the result of ``fit_transform``, which encodes a category by the target's mean in other rows; all
    others get the result of ``transform``.

    Parameters
    ----------
    prepare : sklearn.compose.ColumnTransformer
    loaded : Loaded
        In memory or on disk; the inputs will be in the same place.
    seed : int
    show : function of State, optional
    dtype : dtype
        Of the inputs: float32 for a network, float64 for an ensemble, which scales them itself.
    share : pair of int arrays, optional
        Which of the training rows and which of the validation rows to return; all by default.
    """
    frame, columns, y, rows = loaded.frame, loaded.schema.used, loaded.y, loaded.train
    places = fitted_rows(columns, len(rows), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the schema has what the transformers warn about
        known = rows[places]
        X = np.asarray(prepare.fit_transform(cast(frame[known], columns), encoded(y[known])), dtype=dtype)
        mine, mine_val = (np.arange(len(of)) for of in (rows, loaded.validation)) if share is None else share
        used = np.concatenate([rows[mine], loaded.validation[mine_val]])
        if share is not None:
            _, here, places = np.intersect1d(places, mine, assume_unique=True, return_indices=True)
            X = X[here]
        if not isinstance(frame, OnDisk):
            inputs = np.empty((len(used), X.shape[1]), dtype)
            inputs[places] = X
            _put_others(prepare, frame, columns, used, places, inputs.__setitem__, None)
            return inputs[: len(mine)], inputs[len(mine) :]
        matrix = DiskMatrix(len(used), X.shape[1])
        meter = Meter(show, "preparing", frame.total, matrix.size)
        meter.note = f"at most {amount(matrix.size)} of disk"
        meter.tell()
        matrix.put(places, X)
        del X
        _put_others(prepare, frame, columns, used, places, matrix.put, meter)
    inputs = matrix.array()
    return inputs[: len(mine)], inputs[len(mine) :]


def fitted_rows(columns: Sequence[Column], rows: int, seed: int) -> Array:
    """Return the numbers of the rows that a preparation is fitted on.

    >>> fitted_rows([Column("x", "number")], 3, 0), len(fitted_rows([Column("x", "number")], 10**7, 0))
    (array([0, 1, 2]), 4194304)
    """
    cells = sum(TEXT if column.kind == "text" else 1 for column in columns)
    some = drawn(rows, max(MIN_ROWS, CELLS // max(1, cells)), seed)
    return np.arange(rows) if some is None else some


def _put_others(
    prepare: Any, frame: Any, columns: Sequence[Column], used: Array, fitted: Array,
    put: Callable[[Array, Array], Any], meter: Meter | None,
) -> None:  # fmt: skip
    """Prepare the rows that the preparation was not fitted on, in the order of the table."""
    numbers = frame.numbers(used) if isinstance(frame, OnDisk) else used
    place = np.full(frame.total if isinstance(frame, OnDisk) else frame.height, -1)
    place[numbers] = np.arange(len(used))
    place[numbers[fitted]] = -1
    start = 0
    for block in _blocks(frame, [column.name for column in columns]):
        to = place[start : start + block.height]
        here = np.flatnonzero(to >= 0)
        if len(here):
            put(to[here], np.asarray(prepare.transform(cast(block[here], columns))))
        start += block.height
        if meter is not None:
            meter.add(block.height)


def _blocks(frame: Any, names: list[str]) -> Iterator[pl.DataFrame]:
    if isinstance(frame, OnDisk):
        yield from frame.blocks(names)
        return
    for start in range(0, frame.height, BLOCK):
        yield frame.select(names).slice(start, BLOCK)
