"""train(): from a table to a trained network, compared with models without a network."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from chainrule._internal.typing import Array
from chainrule.tables import models, positive
from chainrule.tables.evaluation import evaluate
from chainrule.tables.inputs import prepared
from chainrule.tables.options import Options
from chainrule.tables.preparation import preparation
from chainrule.tables.reference import reference
from chainrule.tables.result import Split, Trained
from chainrule.tables.schema import Schema
from chainrule.training.callbacks import Callback

__all__ = ["train"]


def train(
    source: Any,
    target: str | Sequence[str],
    *,
    callbacks: Sequence[Callback] = (),
    resume: str | os.PathLike[str] | None = None,
    started: Callable[[Schema, Split, Sequence[str]], Any] | None = None,
    show: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Trained:
    """Train networks on a table, and compare them with models without a network on held-out rows.

    By default, an ensemble of small networks: :class:`~chainrule.TabularClassifier` or
    :class:`~chainrule.TabularRegressor`. With ``fast=True``, or with options that only a single network has, an
    :class:`~chainrule.MLPClassifier` or :class:`~chainrule.MLPRegressor`.

    Parameters
    ----------
    source : path, "-", polars or pandas DataFrame
        Anything that :func:`chainrule.tables.read` reads, or a frame.
    target : str or sequence of str
        The column to predict; several yes/no columns are predicted as labels.
    callbacks : sequence of Callback
        Callbacks for a single network, such as ``Progress()`` or ``Checkpoint("run")``.
    resume : path, optional
        Resume from the last checkpoint in this folder, if there is one: with the same table and options, the result is
        the same as without the interruption, bit for bit. An ensemble also writes its checkpoints there.
    started : function of (schema, split, notes), optional
        Called with what was detected and decided, before the network is trained.
    show : function, optional
        Called with the progress of training an ensemble, and of preparing a streamed table. Its argument prints as a
        line; :class:`~chainrule.tables.streaming.Printer` prints it.
    **options
        ``drop=["id"]``, ``test=0.3``, ``seed=1`` and so on: the fields of :class:`~chainrule.tables.Options`.

    Returns
    -------
    Trained

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If the file, a column or an option cannot be used.

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
    given = Options(**options)
    loaded = given.load(source, target)
    schema, y, rows, rows_val = loaded.schema, loaded.y, loaded.train, loaded.validation
    weight = loaded.weights(rows)
    single = given.single
    if callbacks and not single:
        raise ValueError("callbacks: apply to a single network, but an ensemble is trained: give fast=True, or show=.")
    prepare = preparation(schema.columns, len(rows), given.seed, scaled=single)
    X, X_val = prepared(prepare, loaded, given.seed, show, np.float32 if single else np.float64)
    arguments = given.arguments(len(rows), schema.task)
    scaler, notes = None, loaded.notes
    if single and schema.task == "regression":
        scaler, more = positive.choose(X, y[rows], X_val, y[rows_val], arguments)
        scaler.fit(y[rows].reshape(-1, 1))
        notes = (*notes, *more)
    if started is not None:
        started(schema, loaded.split, (*notes, *loaded.warnings))

    def scaled(y: Array) -> Array:
        return y if scaler is None else scaler.transform(y.reshape(-1, 1)).ravel()

    if single:
        network = models.network(schema.task, arguments, given.patience, [*callbacks])
        model = getattr(network, "regressor", network)
        model.set_params(resume=resume)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the schedule ends with the last epoch, on purpose
            model.fit(X, scaled(y[rows]), sample_weight=weight, X_val=X_val, y_val=scaled(y[rows_val]))
        model.set_params(resume=None)  # later fits start over
        if scaler is not None:
            models.put_inside(network, model, scaler)
    else:
        network = model = models.ensemble(schema.task, arguments, progress=show or False, checkpoint=resume)
        model.fit(X, y[rows], sample_weight=weight, groups=loaded.groups())
        model.set_params(progress=False, checkpoint=None)
        notes = (*notes, *_thresholds(model, schema))
    pipeline = Pipeline([("prepare", prepare), ("network", network)])
    rest = np.concatenate([rows, rows_val])
    judged = evaluate(pipeline, schema, loaded.test, loaded.frame[rest], y[rest], given.seed, loaded.weights(rest))
    return Trained(
        pipeline=pipeline,
        schema=schema,
        held_out=replace(judged.held_out, rows=loaded.test_rows, source=loaded.test_source),
        scores=judged.scores,
        baselines=judged.baselines,
        intervals=judged.intervals,
        verdict=judged.verdict,
        history=model.history_,
        split=loaded.split,
        notes=notes,
        warnings=(*loaded.warnings, *judged.warnings),
        source=loaded.source,
        sha256=loaded.sha256,
        command=given.call("train", source, target),
        settings={
            "target": [column.name for column in schema.targets], **given.settings(arguments), "task": schema.task,
        },
        seconds=time.perf_counter() - began,
        reference=reference(loaded.frame, rest, schema, judged.held_out, given.seed),
    )  # fmt: skip


def _thresholds(model: Any, schema: Schema) -> tuple[str, ...]:
    """Return a note on the thresholds of the classes, if there are any."""
    thresholds = model.ensemble_.thresholds
    if thresholds is None:
        return ()
    if schema.task == "binary":
        which = f"{schema.classes[1]!r} is predicted where its probability is above {thresholds[1]:.3g}"
    else:
        names = [column.name for column in schema.targets] if schema.task == "multilabel" else schema.classes
        each = ", ".join(f"{name} {t:.3g}" for name, t in zip(names, thresholds, strict=True))
        how = "a label is predicted where its probability is above"
        which = f"{how if schema.task == 'multilabel' else 'each probability is divided by'} its threshold ({each})"
    metric = {"f1": "F1 score"}.get(model.eval_metric, "balanced accuracy")
    why = "as asked" if model.threshold else f"the best {metric} on the rows that each network was not trained on"
    return (f"{which}: {why}.",)
