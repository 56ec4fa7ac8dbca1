"""Columns that give the target away: they make a network look good that will be useless."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._extras import require
from chainrule._typing import Array
from chainrule.tables.schema import Schema

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

TOO_ALIKE = 0.999  # |correlation| with a target that is a number
MOST = 200  # columns that are compared


def find(frame: pl.DataFrame, schema: Schema, y: Array) -> tuple[str, ...]:
    """Return a warning for each column that is a copy of the target, or as good as one.

    Of classes: each value of the column comes with one class only, and there are few values. Of numbers: the
    correlation is 1 but for rounding.

    >>> import polars as pl
    >>> from chainrule.tables.schema import Column
    >>> frame = pl.DataFrame({"paid": ["y", "n"] * 20, "left": ["no", "yes"] * 20})
    >>> paid, left = (Column(name, "yes/no", "text") for name in frame.columns)
    >>> schema = Schema((paid,), (left,), "binary", ("no", "yes"))
    >>> find(frame, schema, frame["left"].to_numpy())[0][:51]
    "the column 'paid' tells the target 'left' by itself"
    """
    if schema.task == "multilabel":
        return ()
    known = [column for column in schema.used[:MOST] if _gives_away(frame, column.name, column.kind, schema, y)]
    return tuple(
        f"the column {column.name!r} tells the target {schema.target!r} by itself: is it known before the target is? "
        f"If not: --drop {column.name!r}."
        for column in known
    )


def _gives_away(frame: pl.DataFrame, name: str, kind: str, schema: Schema, y: Array) -> bool:
    pl = require("polars", "tables")
    if schema.task == "regression":
        if kind != "number":
            return False
        x = frame[name].cast(pl.Float64).to_numpy()
        both = np.isfinite(x)
        if both.sum() < 10 or x[both].std() == 0 or y[both].std() == 0:
            return False
        return abs(float(np.corrcoef(x[both], y[both])[0, 1])) > TOO_ALIKE
    if kind not in ("yes/no", "category"):
        return False
    pairs = pl.DataFrame({"x": frame[name].cast(pl.String), "y": np.asarray(y).astype(str)}).drop_nulls()
    alone = pairs.unique()
    return pairs.height >= 0.9 * frame.height and alone.height == alone["x"].n_unique() and alone["y"].n_unique() > 1
