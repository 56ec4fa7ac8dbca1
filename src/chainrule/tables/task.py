"""The target of a table, as scikit-learn's estimators take it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import targets
from chainrule.tables._polars import pl
from chainrule.tables.schema import Schema

QUARTILES = ("smallest", "25%", "median", "75%", "largest")


def encoded(y: Array) -> Array:
    """Return the target for encoders that use it: y itself, or the first of several labels."""
    return y[:, 0] if y.ndim == 2 else y


def target_values(frame: pl.DataFrame, schema: Schema) -> Array:
    """Return y of rows as the estimators take it: class labels, numbers, or 0 and 1 for each of several labels.

    Several targets are (rows, targets).

    >>> from chainrule.tables.schema import Column
    >>> target = Column("ill", "yes/no", "text", categories=("no", "yes"))
    >>> target_values(pl.DataFrame({"ill": ["yes", "no"]}), Schema((), (target,), "binary", ("no", "yes"))).tolist()
    ['yes', 'no']
    """
    if schema.task == "multilabel":
        return np.column_stack([targets.label(frame[c.name], c) for c in schema.targets])
    if schema.task == "regression":
        each = [frame[column.name].cast(pl.Float64).to_numpy() for column in schema.targets]
        return each[0] if len(each) == 1 else np.column_stack(each)
    (column,) = schema.targets
    return targets.as_labels(frame[column.name], column)


def distribution(schema: Schema, y: Array) -> dict[str, Any]:
    """Return the number of rows of each class, or with each label; for a number, its mean and quartiles.

    For several numbers, these are by the target's name.

    >>> distribution(Schema((), (), "binary", ("no", "yes")), np.array(["yes", "no", "yes"]))
    {'no': 1, 'yes': 2}
    """
    if schema.task == "multilabel":
        return {column.name: int(rows) for column, rows in zip(schema.targets, y.sum(axis=0), strict=True)}
    if y.ndim == 2:
        return {c.name: distribution(schema.alone(i), y[:, i]) for i, c in enumerate(schema.targets)}
    if schema.task == "regression":
        ends = np.quantile(y, np.linspace(0, 1, len(QUARTILES)))
        return {"mean": float(y.mean()), **dict(zip(QUARTILES, ends.tolist(), strict=True))}
    values, counts = np.unique(y, return_counts=True)
    rows = dict(zip(map(str, values.tolist()), counts.tolist(), strict=True))
    return {str(name): rows.get(str(name), 0) for name in schema.classes}
