"""Predictions for new rows: classes with their probabilities, numbers with intervals."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import targets
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.checking import Checker, check
from chainrule.tables.frames import as_frame
from chainrule.tables.intervals import Widths
from chainrule.tables.positive import PositiveTarget
from chainrule.tables.reading import read
from chainrule.tables.result import Trained
from chainrule.tables.saving import Saved
from chainrule.tables.schema import Column, Schema

__all__ = ["Predictor", "check", "predict", "seen_values"]

BLOCK = 2**27  # bytes that the prepared inputs of a block of rows may take


def predict(
    run: Saved | Trained, data: Any, *, interval: float | None = None, coerce: bool = False
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return what a network says of new rows.

    Parameters
    ----------
    run : Saved or Trained
    data : path, data frame of polars or pandas, dict, or list of dicts
        What :func:`chainrule.tables.train` takes; a dictionary has columns, or the values of one row. A file is read as
        training's was. Checked by :func:`check`.
    interval : float, optional
        For a regression: the share of rows whose value shall lie between ``low`` and ``high``, such as 0.9.
    coerce : bool
        Take values of another type as missing, instead of refusing them.

    Returns
    -------
    frame : polars.DataFrame (rows, columns)
        ``prediction``, and ``p_<class>`` for each class; or ``prediction``, and ``low`` and ``high`` if asked for; or
        for several labels ``prediction_<label>`` and ``p_<label>`` each.
    notes : tuple of str
        Of :func:`check`; and the unit of the predictions, where the target of training had one.

    Raises
    ------
    ValueError
        When the rows do not fit the schema, or the interval cannot be had.

    Notes
    -----
    Intervals are by split conformal prediction; see :class:`~chainrule.tables.intervals.Widths`.
    """
    predictor = Predictor(run, interval=interval, coerce=coerce)
    if isinstance(data, str | os.PathLike):
        table = read(data, schema=run.schema)
        return predictor(table.frame), (*table.notes[1:], *predictor.notes())
    empty = isinstance(data, pl.DataFrame) and not data.height  # the checker says so
    return predictor(data if empty else as_frame(data)), predictor.notes()


class Predictor:
    """Predicts one block of rows after another, with the arguments of :func:`predict`."""

    def __init__(
        self, run: Saved | Trained, *, interval: float | None = None, coerce: bool = False, whole: bool = True
    ) -> None:
        self.schema, self._pipeline, self._half = run.schema, run.pipeline, None
        if interval is not None:
            if self.schema.task != "regression":
                raise ValueError(
                    f"an interval belongs to a number; this network predicts {self.schema.target!r}, a class."
                )
            widths = run.widths if isinstance(run, Saved) else Widths.of(run.held_out, self.schema.task)
            self._half = widths.half(interval)
        self._checker = Checker(self.schema, coerce=coerce, seen=seen_values(run.pipeline), whole=whole)
        self.look = self._checker.look
        self._rows = max(1, min(2**16, BLOCK // (8 * _inputs(run.pipeline, len(self.schema.used)))))

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the predictions of a block of rows."""
        checked = self._checker(frame)
        blocks = [
            _block(self._pipeline, self.schema, cast(checked.slice(at, self._rows), self.schema.columns), self._half)
            for at in range(0, checked.height, self._rows)
        ]
        return pl.concat(blocks)

    def notes(self) -> tuple[str, ...]:
        """Return the notes on all rows so far, and the unit of the predictions."""
        unit = targets.unit(self.schema)
        told = (f"the predictions of {self.schema.target!r} are in {unit}, as in training.",) if unit else ()
        return (*self._checker.notes(), *told)


def seen_values(pipeline: Any) -> dict[str, list[str]]:
    """Return the values that the encoder of columns with many values has seen."""
    for name, fitted, names in pipeline[0].transformers_:
        if name == "many":
            return {column: list(map(str, seen)) for column, seen in zip(names, fitted[0].categories_, strict=True)}
    return {}


def _inputs(pipeline: Any, columns: int) -> int:
    network = pipeline[-1]
    return int(getattr(getattr(network, "regressor_", network), "n_features_in_", columns))


def _block(pipeline: Any, schema: Schema, rows: pl.DataFrame, half: float | None) -> pl.DataFrame:
    X = pipeline[0].transform(rows)
    network = pipeline[-1]
    if schema.task == "regression":
        y = np.asarray(network.predict(X), dtype=np.float64)
        least = 0.0 if isinstance(network.transformer_, PositiveTarget) else -np.inf
        around = {} if half is None else {"low": np.maximum(y - half, least), "high": y + half}
        return pl.DataFrame({"prediction": y, **around})
    p = network.predict_proba(X)
    if schema.task == "multilabel":
        chosen = {f"prediction_{c.name}": _values(c)[(p[:, i] > 0.5).astype(int)] for i, c in enumerate(schema.targets)}
        return pl.DataFrame({**chosen, **{f"p_{c.name}": p[:, i] for i, c in enumerate(schema.targets)}})
    labels = np.array(schema.classes)  # chosen as MLPClassifier.predict does, without a second forward pass
    which = p.argmax(axis=1) if schema.task == "multiclass" else (p[:, 1] > 0.5).astype(int)
    return pl.DataFrame({"prediction": labels[which], **{f"p_{c}": p[:, i] for i, c in enumerate(schema.classes)}})


def _values(column: Column) -> Array:
    """Return the no and the yes of a label, as in the table."""
    return np.array([int(text) if column.read_as == "whole" else text for text in column.categories])
