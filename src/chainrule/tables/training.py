"""train(): from a table to a trained network, compared with models without a network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.tables.cross_validation import cross_validated
from chainrule.tables.evaluation import evaluate
from chainrule.tables.fitting import fit
from chainrule.tables.options import Options
from chainrule.tables.reference import reference
from chainrule.tables.result import Split, Trained
from chainrule.tables.schema import Schema
from chainrule.tables.task import distribution
from chainrule.training.callbacks import Callback
from chainrule.training.ranks import Ranks, Reduce


def train(
    source: Any,
    target: str | Sequence[str],
    *,
    callbacks: Sequence[Callback] = (),
    resume: str | os.PathLike[str] | None = None,
    started: Callable[[Schema, Split, Sequence[str]], Any] | None = None,
    show: Callable[[Any], Any] | None = None,
    reduce: Reduce | None = None,
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
    reduce : Reduce, optional
        Train a single network in several processes, such as ``chainrule.parallel.MPI()``. Each process reads the table,
        and prepares and learns its share of the rows. Only rank 0 has scores of the held-out rows.
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
    given, ranks = Options.of("train", options), Ranks(reduce)
    loaded = given.load(source, target)
    schema, y = loaded.schema, loaded.y
    if callbacks and not given.single:
        raise ValueError("callbacks: apply to a single network, but an ensemble is trained: give fast=True, or show=.")

    def start(notes: tuple[str, ...]) -> None:
        if started is not None:
            started(schema, loaded.split, (*loaded.notes, *notes, *loaded.warnings))

    fitted = fit(given, loaded, callbacks=callbacks, resume=resume, show=show, started=start, reduce=reduce)
    rest = np.concatenate([loaded.train, loaded.validation])
    if ranks.rank:
        none = loaded.test[:0]
        of = evaluate(fitted.pipeline, schema, none, none, y[:0], given.seed)
    elif given.folds is None or fitted.history.stopped.startswith("interrupted"):
        of = evaluate(
            fitted.pipeline, schema, loaded.test, loaded.frame[rest], y[rest], given.seed, loaded.weights(rest)
        )
        of = of._replace(held_out=replace(of.held_out, rows=loaded.test_rows, source=loaded.test_source))
    else:
        of = cross_validated(given, loaded, show)
    return Trained(
        pipeline=fitted.pipeline,
        schema=schema,
        held_out=of.held_out,
        scores=of.scores,
        baselines=of.baselines,
        intervals=of.intervals,
        verdict=of.verdict,
        history=fitted.history,
        split=loaded.split,
        notes=(*loaded.notes, *fitted.notes, *of.notes),
        warnings=(*loaded.warnings, *of.warnings),
        source=loaded.source,
        sha256=loaded.sha256,
        command=given.call("train", source, target),
        settings={
            "target": [column.name for column in schema.targets],
            **given.settings(fitted.arguments),
            "task": schema.task,
        },
        seconds=time.perf_counter() - began,
        target_rows=distribution(schema, y[rest]),
        reference=reference(loaded.frame, rest, schema, of.held_out, given.seed),
    )
