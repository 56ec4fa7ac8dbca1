"""train(): from a table to a network that is trained, and compared with models that need none."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from chainrule.tables import models, positive
from chainrule.tables.calls import call
from chainrule.tables.inputs import prepared
from chainrule.tables.judging import judge
from chainrule.tables.loading import TEST, VALIDATION, load
from chainrule.tables.models import PATIENCE
from chainrule.tables.preparation import preparation
from chainrule.tables.result import Split, Trained
from chainrule.tables.schema import Schema
from chainrule.tables.streaming.progress import State
from chainrule.tables.task import Task
from chainrule.training.callbacks import Callback

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
    decimal: str | None = None,
    stream: bool = False,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    resume: str | os.PathLike[str] | None = None,
    started: Callable[[Schema, Split, Sequence[str]], Any] | None = None,
    show: Callable[[State], Any] | None = None,
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
    decimal : str, optional
        The decimal mark of numbers in texts, "." or ",", where no column tells it: 4.229 may be either.
    stream : bool
        Leave a Parquet or CSV file that memory cannot hold on disk, and read it column by column and block by block.
        The model is the same, bit for bit. The folder for temporary files (``TMPDIR``) must have room for the network's
        inputs, 4 bytes each; see "Tables larger than memory" in the documentation.
    seed : int
        Of the split and of the network.
    callbacks : sequence of Callback
        For the network, such as ``Progress()``, or ``Checkpoint("run")``.
    resume : path, optional
        Go on from the last checkpoint in this folder, if there is one: with the same table and arguments, the result is
        that of a training without a break, bit for bit.
    started : function of (schema, split, notes), optional
        Told what was decided, before the network is trained.
    show : function of State, optional
        Told how far preparing a streamed table is; :class:`~chainrule.tables.streaming.Printer` prints it.

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
    loaded = load(
        source, target, task=task, categorical=categorical, numeric=numeric, drop=drop, dates=dates, test=test,
        validation=validation, time_column=time_column, group=group, delimiter=delimiter, header=header,
        decimal=decimal, stream=stream, seed=seed,
    )  # fmt: skip
    command = call(train, dict(locals()), left_out=("callbacks", "resume", "started", "show"))
    schema, frame, y, split = loaded.schema, loaded.frame, loaded.y, loaded.split
    rows, rows_val = loaded.train, loaded.validation
    prepare = preparation(schema.columns, len(rows), seed)
    X, X_val = prepared(prepare, loaded, seed, show)
    arguments = models.parameters(len(rows), schema.task, seed, dict(parameters or {}))
    scaler, said = None, loaded.notes
    if schema.task == "regression":
        scaler, more = positive.choose(X, y[rows], X_val, y[rows_val], arguments)
        said = (*said, *more)
    if started is not None:
        started(schema, split, (*said, *loaded.warnings))

    goal = Task(schema, y[rows], scaler)
    network = models.network(schema.task, arguments, patience, [*callbacks])
    model = getattr(network, "regressor", network)
    model.set_params(resume=resume)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the schedule ends with the last epoch, on purpose
        model.fit(X, goal.scaled(y[rows]), X_val=X_val, y_val=goal.scaled(y[rows_val]))
    model.set_params(resume=None)  # a fit like any other, from here on
    pipeline = Pipeline([("prepare", prepare), ("network", goal.wrapped(network, model))])
    rest = np.concatenate([rows, rows_val])
    judged = judge(pipeline, schema, loaded.test, frame[rest], y[rest], seed)
    return Trained(
        pipeline=pipeline,
        schema=schema,
        scores=judged.scores,
        baselines=judged.baselines,
        verdict=judged.verdict,
        held_out=replace(judged.held_out, rows=loaded.test_rows, source=loaded.test_source),
        history=model.history_,
        split=split,
        notes=said,
        warnings=(*loaded.warnings, *judged.warnings),
        source=loaded.source,
        sha256=loaded.sha256,
        command=command,
        settings={
            "target": [column.name for column in schema.targets], "task": schema.task, "categorical": [*categorical],
            "numeric": [*numeric], "drop": [*drop], "dates": [*dates],
            "test": test if isinstance(test, float) else str(test), "validation": validation,
            "time_column": time_column, "group": group, "patience": patience, "seed": seed,
            **({"stream": True} if stream else {}), "parameters": models.plain(arguments),
        },
        seconds=time.perf_counter() - began,
    )  # fmt: skip
