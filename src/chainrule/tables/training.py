"""train(): from a table to a network that is trained, and compared with models that need none."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._checks import check_real
from chainrule._extras import require
from chainrule._typing import Array
from chainrule.callbacks import Callback
from chainrule.tables import kinds, leaks, models, overrides, splitting, targets
from chainrule.tables.casting import cast
from chainrule.tables.frames import as_frame
from chainrule.tables.judging import judge
from chainrule.tables.preparation import preparation
from chainrule.tables.reading import Table, read
from chainrule.tables.result import Split, Trained
from chainrule.tables.schema import Column, Schema
from chainrule.tables.task import Task, target_values

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

TEST, VALIDATION, PATIENCE = 0.2, 0.125, 10
FEWEST = 10  # rows with a target
UNBALANCED = 10  # how many times the largest class is as large as the smallest, to be spoken of

__all__ = ["train"]


def train(
    source: Any,
    target: str | Sequence[str],
    *,
    task: str | None = None,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    drop: Iterable[str] = (),
    dates: Iterable[str] = (),
    test: float | str | os.PathLike[str] = TEST,
    validation: float = VALIDATION,
    time_column: str | None = None,
    group: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    patience: int = PATIENCE,
    delimiter: str | None = None,
    header: bool | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    started: Callable[[Schema, Split, Sequence[str]], Any] | None = None,
) -> Trained:
    """Train a network on a table, and compare it with models that need none on rows that it never saw.

    Parameters
    ----------
    source : path, "-", polars or pandas DataFrame
        What :func:`chainrule.tables.read` reads, or a frame.
    target : str or sequence of str
        The column to predict; several are several labels at once, each yes or no.
    task : str, optional
        "binary", "multiclass", "classification", "regression" or "multilabel"; found out from the target by default.
    categorical, numeric, drop, dates : names
        Columns that are not what they seem. A date may have its format after a colon: ``"born:%d/%m/%Y"``.
    test : float or path
        The part of the rows that is held out, or a file with rows of its own.
    validation : float
        The part of the rest that decides when to stop.
    time_column : str, optional
        The last rows by this column are held out, instead of rows at random.
    group : str, optional
        Rows of one group are never on both sides.
    parameters : mapping, optional
        Arguments of :class:`~chainrule.MLPClassifier` or :class:`~chainrule.MLPRegressor` in place of the defaults.
    patience : int
        How many epochs without a better validation loss to wait; 0 for all epochs.
    delimiter, header : optional
        Of CSV, where they cannot be found out.
    seed : int
        Of the split and of the network.
    callbacks : sequence of Callback
        For the network, such as ``Progress()``.
    started : function of (schema, split, notes), optional
        Told what was decided, before the network is trained.

    Returns
    -------
    Trained

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        With one sentence on what is wrong with the file, a column or an argument.

    Examples
    --------
    >>> import polars as pl
    >>> x = np.random.default_rng(0).normal(size=(600, 2))
    >>> frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "inside": (x ** 2).sum(axis=1) < 1.4})
    >>> trained = train(frame, "inside")
    >>> trained.scores["accuracy"] > 0.9 > trained.baselines["linear model"]["accuracy"]
    True
    """
    began = time.perf_counter()
    table = _table(source, target, delimiter, header)
    check_real("train", "validation", validation, 0, 1, open_low=True, open_high=True)
    goals = targets.split_names(target, table.frame.columns)
    frame, notes = _with_targets(table, goals)
    schema, y, said, warned = _schema(frame, goals, task, categorical, numeric, drop, dates)
    warned += leaks.find(frame, schema, y)
    part, own = (0.0, test) if isinstance(test, str | os.PathLike) else (test, None)
    if own is None:
        check_real("train", "test", part, 0, 1, open_low=True, open_high=True)
    for name in (time_column, group):
        if name is not None and name not in frame.columns:
            overrides.known("time-column" if name == time_column else "group", [name], frame.columns)
    stratify = schema.is_classification
    plan = splitting.Plan(part, validation, seed, time_column, group, stratify)
    rows, rows_val, rows_test, how = splitting.split(plan, frame, y)
    if own is not None:
        frame_test = _with_targets(_table(own, target, delimiter, header), goals)[0]
        _check_columns(frame_test, schema, str(own))
        how = f"those of {own}"
    else:
        frame_test = frame[rows_test]
    split = Split(len(rows), len(rows_val), frame_test.height, how)
    all_notes = (*notes, *said)
    if started is not None:
        started(schema, split, (*all_notes, *warned))

    inputs = cast(frame, schema.columns)
    prepare = preparation(schema.columns, len(rows), seed)
    goal = Task(schema, y[rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the transformers say of single columns is in the schema
        X = np.asarray(prepare.fit_transform(inputs[rows], goal.encoded(y[rows])), dtype=np.float32)
        X_val = np.asarray(prepare.transform(inputs[rows_val]), dtype=np.float32)
    arguments = models.parameters(len(rows), schema.task, seed, dict(parameters or {}))
    network = models.network(schema.task, arguments, patience, [*callbacks])
    model = getattr(network, "regressor", network)
    model.fit(X, goal.scaled(y[rows]), X_val=X_val, y_val=goal.scaled(y[rows_val]))
    from sklearn.pipeline import Pipeline  # noqa: PLC0415

    pipeline = Pipeline([("prepare", prepare), ("network", goal.wrapped(network, model))])
    judged = judge(pipeline, schema, frame_test, X, y[rows], seed)
    return Trained(
        pipeline=pipeline,
        schema=schema,
        scores=judged.scores,
        baselines=judged.baselines,
        verdict=judged.verdict,
        held_out=judged.held_out,
        history=model.history_,
        split=split,
        notes=all_notes,
        warnings=warned,
        source=table.path,
        sha256=table.sha256,
        settings={
            "target": goals, "task": schema.task, "categorical": [*categorical], "numeric": [*numeric], "drop": [*drop],
            "dates": [*dates], "test": part if own is None else str(own), "validation": validation,
            "time_column": time_column, "group": group, "patience": patience, "seed": seed,
            "parameters": models.plain(arguments),
        },
        seconds=time.perf_counter() - began,
    )  # fmt: skip


def _table(source: Any, target: str | Sequence[str], delimiter: str | None, header: bool | None) -> Table:
    """Return the table of a file or a frame."""
    if isinstance(source, str | os.PathLike):
        expected = [target, *target.split(",")] if isinstance(target, str) else [*target]
        return read(source, delimiter=delimiter, header=header, expected=expected)
    return Table(as_frame(source), (), "a data frame", "")


def _with_targets(table: Table, goals: list[str]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows that have all targets, and what was found out."""
    pl = require("polars", "tables")
    frame = table.frame
    for name in goals:
        if name not in frame.columns:
            overrides.known("target", [name], frame.columns)
    numbers = [name for name in goals if frame[name].dtype.is_float()]
    usable = frame.with_columns(pl.col(numbers).fill_nan(None)).drop_nulls(goals)
    left_out = frame.height - usable.height
    if usable.height < FEWEST:
        raise ValueError(
            f"{table.path} has {usable.height} row(s) with a target, of {frame.height}: expected {FEWEST} or more."
        )
    notes = (f"{left_out:,} row(s) without a target are left out.",) if left_out else ()
    return usable, (*table.notes, *notes)


def _schema(
    frame: pl.DataFrame,
    goals: list[str],
    task: str | None,
    categorical: Iterable[str],
    numeric: Iterable[str],
    drop: Iterable[str],
    dates: Iterable[str],
) -> tuple[Schema, Array, tuple[str, ...], tuple[str, ...]]:
    """Return the schema, y, what was decided, and what to look at."""
    found = targets.find(frame, goals, task)
    names = [name for name in frame.columns if name not in goals]
    told = overrides.told(names, list(categorical), list(numeric), list(dates))
    dropped = overrides.known("drop", list(drop), names)
    columns: list[Column] = []
    for name in names:
        kind, date_format = told.get(name, (None, None))
        column = kinds.infer(frame[name], kind, date_format)
        columns.append(replace(column, dropped="--drop") if name in dropped else column)
    if not any(column.used for column in columns):
        why = "; ".join(f"{column.name!r}: {column.dropped}" for column in columns[:5]) or "there is no other column"
        raise ValueError(f"the table has nothing to learn from besides the target ({why}).")
    schema = Schema(tuple(columns), found.columns, found.task, found.classes, frame.height, found.notes)
    return schema, found.y, found.notes, _unbalanced(found)


def _unbalanced(found: targets.Target) -> tuple[str, ...]:
    if found.task not in ("binary", "multiclass"):
        return ()
    labels, counts = np.unique(found.y, return_counts=True)
    if counts.max() < UNBALANCED * counts.min():
        return ()
    rare, often = labels[counts.argmin()], labels[counts.argmax()]
    return (
        f"the classes are unbalanced: {counts.max():,} rows are {often}, {counts.min():,} are {rare}. If the rare ones "
        "matter as much as the others: --class-weight balanced.",
    )


def _check_columns(frame: pl.DataFrame, schema: Schema, path: str) -> None:
    """Refuse a test file without a column that the network sees."""
    for column in schema.used:
        if column.name not in frame.columns:
            overrides.known(f"test {path}", [column.name], frame.columns)
    target_values(frame, schema)
