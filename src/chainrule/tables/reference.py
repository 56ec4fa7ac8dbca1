"""The distributions of the training rows, from a frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.result import HeldOut
from chainrule.tables.schema import Schema
from chainrule.tables.serving.reference import Distribution, Reference, of_columns, of_predictions
from chainrule.tables.splitting import drawn

ROWS = 20_000  # that are counted, at most


def reference(frame: Any, rows: Array, schema: Schema, held_out: HeldOut, seed: int) -> Reference:
    """Return the distributions of the columns in training rows of a frame, and of the held-out predictions."""
    some = drawn(len(rows), ROWS, seed)
    taken = cast(frame[rows if some is None else rows[some]], schema.columns)
    columns = {column.name: _array(taken[column.name], column.kind) for column in schema.used}
    found = {name: Distribution.of(x) for name, x in of_columns(columns, schema).items()}
    if not len(held_out.y):
        return Reference(found, {})
    predicted = of_predictions(schema, held_out.predictions, held_out.probabilities)
    return Reference(found, {name: Distribution.of(x) for name, x in predicted.items()})


def _array(values: pl.Series, kind: str) -> Array:
    """Return a column as :class:`~chainrule.tables.serving.cells.Reader` does: dates in seconds since 1970."""
    if kind == "date":
        values = values.cast(pl.Datetime("us")).to_physical() / 1e6
    if kind in ("number", "date", "yes/no"):
        return values.cast(pl.Float64).to_numpy().astype(np.float64)
    return np.array(values.to_list(), dtype=object)
