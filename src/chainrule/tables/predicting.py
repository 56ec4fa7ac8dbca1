"""Predictions for new rows: classes with probabilities, numbers with intervals."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from chainrule._internal.names import did_you_mean
from chainrule._internal.threads import blas_threads, choose_threads, work_alone
from chainrule._internal.typing import Array
from chainrule.tables import targets
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.checking import Checker
from chainrule.tables.fitted_steps import of_frames
from chainrule.tables.frames import as_frame
from chainrule.tables.reading import read
from chainrule.tables.result import SavedRun, Trained
from chainrule.tables.schema import Column
from chainrule.tables.serving.model import TableModel
from chainrule.tables.streaming.on_disk import OnDisk

BLOCK = 2**27  # bytes of the prepared inputs of a block of rows


def predict(
    run: SavedRun | Trained | TableModel,
    data: Any,
    *,
    interval: float | None = None,
    coerce: bool = False,
    keep: Sequence[str] = (),
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Predict new rows.

    Parameters
    ----------
    run : Trained, or SavedRun or TableModel
        As :func:`chainrule.tables.train`, :func:`chainrule.tables.load` and :func:`chainrule.load` return it.
    data : path, data frame of polars or pandas, dict, or list of dicts
        Anything that :func:`chainrule.tables.train` takes; a dictionary has columns, or the values of one row. A file
        is read in the same format as for training. :func:`chainrule.tables.checking.check` checks the rows.
    interval : float, optional
        For a regression: the share of values to lie between ``low`` and ``high``, such as 0.9.
    coerce : bool
        Treat values of the wrong type as missing instead of raising an error.
    keep : sequence of str
        Columns of the rows to repeat before the predictions, such as a customer number; they need not be inputs.

    Returns
    -------
    frame : polars.DataFrame (rows, columns)
        For classes, ``prediction`` and a ``p_<class>`` each; for a number, ``prediction``, with ``low`` and ``high`` if
        ``interval`` is given; for several labels, a ``prediction_<label>`` and a ``p_<label>`` each; for several
        numbers, a ``prediction_<name>`` each, with ``low_<name>`` and ``high_<name>``.
    notes : tuple of str
        Those of :func:`chainrule.tables.checking.check`, and the unit of the predictions if the target has one.

    Raises
    ------
    ValueError
        If the rows do not match the schema, there are too few held-out rows for the interval, or a column to keep does
        not exist.

    Notes
    -----
    Intervals come from split conformal prediction; see :class:`~chainrule.tables.intervals.Widths`.

    Examples
    --------
    >>> import chainrule as cr
    >>> data = {"age": [*range(20, 40)] * 2, "plan": ["pro", "free"] * 20, "left": ["no", "yes"] * 20}
    >>> trained = cr.tables.train(pl.DataFrame(data), "left", fast=True)
    >>> predictions, notes = predict(trained, {"age": 41, "plan": "free"})
    >>> predictions.columns, predictions["prediction"].to_list()
    (['prediction', 'p_no', 'p_yes'], ['yes'])
    """
    predictor = Predictor(run, interval=interval, coerce=coerce, keep=keep)
    if isinstance(data, str | os.PathLike):
        table = read(data, schema=run.schema)
        return predictor(table.frame), (*table.notes[1:], *predictor.notes())
    empty = isinstance(data, pl.DataFrame) and not data.height  # the checker raises the error
    return predictor(data if empty else as_frame(data)), predictor.notes()


class Predictor:
    """Predicts rows block by block, with the arguments of :func:`predict`."""

    def __init__(
        self,
        run: SavedRun | Trained | TableModel,
        *,
        interval: float | None = None,
        coerce: bool = False,
        keep: Sequence[str] = (),
        whole: bool = True,
    ) -> None:
        self.schema, self._half = run.schema, None
        self._model = _Served(run) if isinstance(run, TableModel) else _fitted(run)
        self.keep = [keep] if isinstance(keep, str) else [*keep]
        self._others = {*self.keep} - {column.name for column in run.schema.used}
        if interval is not None:
            if self.schema.task != "regression":
                raise ValueError(
                    f"interval: expected a network that predicts a number; this one predicts the class "
                    f"{self.schema.target!r}."
                )
            self._half = self._model.half(interval)
        self._checker = Checker(self.schema, coerce=coerce, seen=self._model.seen, whole=whole)
        self._rows = max(1, min(2**16, BLOCK // (8 * self._model.inputs)))

    def look(self, names: Sequence[str]) -> None:
        """Refuse a table without a required column, or without one to keep, by its column names."""
        for name in self.keep:
            if name not in names:
                each = " Repeat --keep for each column." if "," in name else ""
                raise ValueError(f"keep: there is no column {name!r}. {did_you_mean(name, names)}{each}")
            ends = ("low", "high") if self._half is not None else ()
            if name in ("prediction", *ends) or name.startswith(("prediction_", "p_", *(f"{end}_" for end in ends))):
                raise ValueError(f"keep: {name!r} is also the name of a prediction: rename the column.")
        self._checker.look([name for name in names if name not in self._others])

    def begin(self, source: OnDisk, start: int = 0) -> list[str]:
        """Check the columns of a file, whose rows follow from ``start`` on; return the names of those to read."""
        used = [column.name for column in self.schema.used if column.name in source.columns]
        self.look(source.columns)
        names = [name for name in source.columns if name not in self._others]
        head = next(source.blocks(used), None) if start else None
        self._checker.begin(names, start, head)
        return [*used, *(name for name in self.keep if name not in used)]

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the predictions of a block of rows."""
        if self.keep:
            self.look(frame.columns)
        return self._predicted(frame, self._checker(frame.drop(self._others)))

    def each(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield the predictions of blocks of rows, in order; each core predicts a block of its own."""
        threads, waiting = choose_threads(0).allowed, deque[Future[pl.DataFrame]]()
        with blas_threads(1), ThreadPoolExecutor(threads, initializer=work_alone) as pool:
            for frame in frames:
                checked = self._checker(frame.drop(self._others, strict=False))
                try:
                    waiting.append(pool.submit(self._predicted, frame, checked))
                except RuntimeError:  # no thread can be started, as in some containers
                    waiting.append(Future())
                    waiting[-1].set_result(self._predicted(frame, checked))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _predicted(self, frame: pl.DataFrame, checked: pl.DataFrame) -> pl.DataFrame:
        blocks = [self._block(checked.slice(at, self._rows)) for at in range(0, checked.height, self._rows)]
        return (
            pl.concat([frame.select(self.keep), pl.concat(blocks)], how="horizontal")
            if self.keep
            else pl.concat(blocks)
        )

    def _block(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self._as_frame(*self._model.outputs(self._model.prepare(cast(rows, self.schema.columns))))

    def notes(self) -> tuple[str, ...]:
        """Return the notes on all rows so far, and the unit of the predictions."""
        units = targets.units(self.schema)
        told = (f"the predictions of {name!r} are in {unit}, as in training." for name, unit in units.items())
        return (*self._checker.notes(), *told)

    def _as_frame(self, y: Array, p: Array | None) -> pl.DataFrame:
        schema, half = self.schema, self._half
        if p is None:
            y = np.asarray(y, dtype=np.float64)
            found = {"prediction": y}
            if half is not None:
                found |= {"low": np.maximum(y - half, self._model.least), "high": y + half}
            if y.ndim == 1:
                return pl.DataFrame(found)
            return pl.DataFrame(
                {f"{n}_{c.name}": of[:, i] for n, of in found.items() for i, c in enumerate(schema.targets)}
            )
        if schema.task == "multilabel":
            chosen = {f"prediction_{c.name}": _values(c)[y[:, i]] for i, c in enumerate(schema.targets)}
            return pl.DataFrame({**chosen, **{f"p_{c.name}": p[:, i] for i, c in enumerate(schema.targets)}})
        classes = pl.Series(schema.classes).gather(y)
        return pl.DataFrame({"prediction": classes, **{f"p_{c}": p[:, i] for i, c in enumerate(schema.classes)}})


class _Served:
    """A model file as a predictor needs it: as :class:`chainrule.tables.fitted_model.FittedModel`."""

    def __init__(self, model: TableModel) -> None:
        self.seen, self.inputs, self.half, self.least = (
            model.seen, model.model.n_features_in_, model.table.widths.half, model.least,
        )  # fmt: skip
        self.prepare, self.outputs = of_frames(model.table.steps), model.choices


def _fitted(run: SavedRun | Trained) -> Any:
    from chainrule.tables.fitted_model import FittedModel  # noqa: PLC0415  (start-up time: scikit-learn)

    return FittedModel(run)


def _values(column: Column) -> Array:
    """Return the negative and the positive value of a label, as in the table."""
    return np.array([int(text) if column.read_as == "whole" else text for text in column.categories])
