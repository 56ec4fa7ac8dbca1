"""The target of a table as scikit-learn's estimators take it, and the standardization of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import targets
from chainrule.tables._polars import pl
from chainrule.tables.schema import Schema

__all__ = ["Task", "encoded", "target_values"]


class Task:
    """The standardization of a numeric target, fitted; classes are left alone.

    Examples
    --------
    >>> from chainrule.tables.schema import Column
    >>> task = Task(Schema((), (Column("price", "number"),), "regression"), y=np.array([1.0, 3.0]))
    >>> task.scaled(np.array([1.0, 2.0, 3.0])).tolist()
    [-1.0, 0.0, 1.0]
    """

    def __init__(self, schema: Schema, y: Array, scaler: Any = None) -> None:
        self.scaler: Any = None
        if schema.task == "regression":
            from sklearn.preprocessing import StandardScaler  # noqa: PLC0415  (start-up time)

            self.scaler = (scaler or StandardScaler()).fit(y.reshape(-1, 1))

    def scaled(self, y: Array) -> Array:
        """Return y as the network learns it: numbers standardized, classes unchanged."""
        return y if self.scaler is None else self.scaler.transform(y.reshape(-1, 1)).ravel()

    def wrapped(self, network: Any, model: Any) -> Any:
        """Return the fitted estimator: the model, or the TransformedTargetRegressor ``network`` around it."""
        if self.scaler is None:
            return model
        from sklearn.base import clone  # noqa: PLC0415  (start-up time)

        network.transformer, network.transformer_, network.regressor_ = clone(self.scaler), self.scaler, model
        network._training_dim = 1  # noqa: SLF001  (as its fit does)
        return network


def encoded(y: Array) -> Array:
    """Return y for target encoders: of several labels, the first."""
    return y[:, 0] if y.ndim == 2 else y


def target_values(frame: pl.DataFrame, schema: Schema) -> Array:
    """Return y as the estimators take it: labels, numbers, or 0 and 1 for each of several labels."""
    if schema.task == "multilabel":
        return np.column_stack([targets.label(frame[c.name], c) for c in schema.targets])
    (column,) = schema.targets
    if schema.task == "regression":
        return frame[column.name].cast(pl.Float64).to_numpy()
    return targets.as_labels(frame[column.name], column)
