"""The rows of a file with known targets, read as in training."""

from __future__ import annotations

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl
from chainrule.tables.checking import with_targets
from chainrule.tables.schema import Schema
from chainrule.tables.task import target_values


def labeled(
    frame: pl.DataFrame, schema: Schema, name: str, numbers: Array | None = None
) -> tuple[pl.DataFrame, Array, Array]:
    """Return the rows with all targets, their numbers in the file, and y as the estimators take it.

    Parameters
    ----------
    frame : polars.DataFrame (rows, columns)
    schema : Schema
    name : str
        Name of the file in errors.
    numbers : array (rows,), optional
        Numbers of the rows in the file; 1, 2, 3, ... by default.

    Raises
    ------
    ValueError
        If a target is missing, has a value of another type, or a class not seen in training.

    Examples
    --------
    >>> import polars as pl
    >>> from chainrule.tables.schema import Column
    >>> schema = Schema((), (Column("ill", "yes/no", "text", categories=("no", "yes")),), "binary", ("no", "yes"))
    >>> known, numbers, y = labeled(pl.DataFrame({"ill": ["yes", None, "no"]}), schema, "new.csv")
    >>> numbers.tolist(), y.tolist()
    ([1, 3], ['yes', 'no'])
    """
    goals = [column.name for column in schema.targets]
    if missing := [goal for goal in goals if goal not in frame.columns]:
        raise ValueError(f"{name} has no column {missing[0]!r}, the target of the network.")
    frame = with_targets(frame, schema, name, numbers)
    frame = frame.with_columns(pl.col([goal for goal in goals if frame[goal].dtype.is_float()]).fill_nan(None))
    kept = frame.select(pl.all_horizontal(pl.col(goals).is_not_null())).to_series().arg_true().to_numpy().astype(int)
    known, numbers = frame[kept], kept + 1 if numbers is None else numbers[kept]
    y = target_values(known, schema)
    if schema.task == "regression" and not np.isfinite(y).all():
        at, which = np.argwhere(~np.isfinite(y.reshape(len(y), -1)))[0].tolist()
        raise ValueError(
            f"{name}: the target {goals[which]!r} is infinite in row {numbers[at]}: correct it, or leave it empty."
        )
    check_classes(y, schema, name)
    return known, numbers, y


def check_classes(y: Array, schema: Schema, name: str) -> None:
    """Refuse a class not seen in training."""
    if schema.is_classification and (new := sorted({*y.tolist()} - {*schema.classes}, key=str)):
        raise ValueError(f"{name} has the class {new[0]!r} of {schema.target!r}, which was not seen in training.")
