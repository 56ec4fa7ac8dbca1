"""The target of a table: as the loss wants it, block by block, and as scikit-learn's estimators want it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import targets
from chainrule.tables._polars import pl
from chainrule.tables.kinds import normal
from chainrule.tables.schema import Schema

__all__ = ["Task"]


class Task:
    """What is to be predicted, for rows as they are in the file.

    Examples
    --------
    >>> import polars as pl
    >>> from chainrule.tables.schema import Column
    >>> target = Column("ill", "yes/no", "text", categories=("no", "yes"))
    >>> task = Task(Schema((), (target,), "binary", ("no", "yes")), y=np.array(["no", "yes"]))
    >>> task.t(pl.DataFrame({"ill": ["yes", "no"]})).tolist(), task.outputs
    ([[1], [0]], 1)
    """

    def __init__(self, schema: Schema, y: Array, scaler: Any = None) -> None:
        self.schema = schema
        self.outputs = {"multiclass": len(schema.classes), "multilabel": len(schema.targets)}.get(schema.task, 1)
        self.scaler: Any = None
        if schema.task == "regression":
            from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

            self.scaler = (scaler or StandardScaler()).fit(y.reshape(-1, 1))

    def t(self, frame: pl.DataFrame) -> Array:
        """Return the targets as the loss wants them: numbers of classes (rows,), or (rows, outputs)."""
        schema = self.schema
        if schema.task == "regression":
            return np.asarray(self.scaler.transform(self.y(frame).reshape(-1, 1)), dtype=np.float32)
        if schema.task == "multilabel":
            return np.column_stack([targets.label(frame[c.name], c) for c in schema.targets])
        which = self._classes(frame[schema.targets[0].name])
        return which if schema.task == "multiclass" else which.reshape(-1, 1)

    def y(self, frame: pl.DataFrame) -> Array:
        """Return the targets as the estimator's ``fit`` and ``predict`` have them."""
        return target_values(frame, self.schema)

    def scaled(self, y: Array) -> Array:
        """Return y as the network inside learns it: numbers standardized, classes as they are."""
        return y if self.scaler is None else self.scaler.transform(y.reshape(-1, 1)).ravel()

    def labels(self, y: Array) -> Array | None:
        """Return what the classifier learns its labels from."""
        if self.schema.task == "regression":
            return None
        return y if self.schema.task == "multilabel" else np.array(self.schema.classes)

    def weights(self, given: Any, counts: dict[Any, int] | None) -> Array | None:
        """Return the weight of each class: rows / (classes · rows of the class) for "balanced"."""
        if given is None or self.schema.task not in ("binary", "multiclass"):
            return None
        classes = self.schema.classes
        if isinstance(given, dict):
            return np.array([given.get(label, 1.0) for label in classes], np.float32)
        texts = {_text(value): count for value, count in (counts or {}).items()}
        of = np.array([texts[str(label)] for label in classes], np.float64)
        return (of.sum() / (len(of) * of)).astype(np.float32)

    def wrapped(self, network: Any, model: Any) -> Any:
        """Return the estimator with its trained model: the model itself, or inside what standardizes the target."""
        if self.scaler is None:
            return model
        from sklearn.base import clone  # noqa: PLC0415

        network.transformer, network.transformer_, network.regressor_ = clone(self.scaler), self.scaler, model
        network._training_dim = 1  # noqa: SLF001  (as its fit does)
        return network

    def _classes(self, values: pl.Series) -> Array:
        names = pl.Enum([str(label) for label in self.schema.classes])
        codes = normal(values).cast(pl.String).cast(names, strict=False).to_physical()
        if codes.null_count():
            values = values.filter(codes.is_null())
            raise ValueError(f"the target {values.name!r} has the value {values[0]!r}, which is none of its classes.")
        return codes.to_numpy().astype(np.int64)


def encoded(y: Array) -> Array:
    """Return y as encoders that look at the target want it: that of one label, or of the first of several."""
    return y[:, 0] if y.ndim == 2 else y


def target_values(frame: pl.DataFrame, schema: Schema) -> Array:
    """Return y of rows as the estimators have it: labels, numbers, or 0 and 1 for each label."""
    if schema.task == "multilabel":
        return np.column_stack([targets.label(frame[c.name], c) for c in schema.targets])
    (column,) = schema.targets
    if schema.task == "regression":
        return frame[column.name].cast(pl.Float64).to_numpy()
    return targets.as_labels(frame[column.name], column)


def _text(value: Any) -> str:
    """Return a value of a target as polars' cast to String writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
