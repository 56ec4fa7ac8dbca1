"""Tuning the network of a table: a search by cross-validation with Optuna, which can be stopped and resumed."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.estimators._decisions import WITH_THRESHOLDS
from chainrule.tables import casting, loading, models
from chainrule.tables import folds as folds_module
from chainrule.tables.options import Options
from chainrule.tables.result import Trained
from chainrule.tables.score_names import METRICS
from chainrule.tables.training import train
from chainrule.tables.tuning import shared
from chainrule.tables.tuning.objective import Problem
from chainrule.tables.tuning.on_dask import Cluster, connected
from chainrule.tables.tuning.page import save, summary
from chainrule.tables.tuning.result import TrialRecord, Tuned
from chainrule.tables.tuning.search import OnTrial, Search
from chainrule.tables.tuning.space import Dimension, arguments
from chainrule.tables.tuning.study import check, finished, importance, opened, records, results_in

__all__ = ["Dimension", "TrialRecord", "Tuned", "save", "summary", "tune"]

FORMAT = 2


def tune(
    source: Any,
    target: Any,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    folds: int | None = None,
    jobs: int = 1,
    seed: int = 0,
    out: str | Path | None = None,
    storage: str | None = None,
    dask: Any = None,
    on_trial: OnTrial | None = None,
    on_message: Callable[[str], None] | None = None,
    metric: str | None = None,
    threshold: float | str | None = None,
    **options: Any,
) -> Tuned:
    """Search for a better network for a table than the default, and fit it as :func:`chainrule.tables.train` does.

    A trial's value is the mean of a metric over the folds of a cross-validation on the training rows: the log loss, or
    the RMSE for numbers, unless ``metric`` names another one. The rows that ``train`` holds out are not used. The first
    trial is the default network, so the best is never worse on the folds.
    The search is Optuna's ``study.optimize``, with its ``TPESampler`` and ``MedianPruner``.

    Parameters
    ----------
    source : path or data frame
    target : str, or several
    trials : int, optional
        The number of finished trials that the study is to have, those of earlier runs included.
    minutes : float, optional
        The time for this run, the last fit included. Give either ``trials`` or ``minutes``.
    folds : int, optional
        Five up to 2,000 rows, else three.
    jobs : int
        Trials at a time, each in a process with its share of the cores. With more than one, a script needs
        ``if __name__ == "__main__":``, as always with processes.
    seed : int
        With one job, the same seed and study give the same trials, however often the search was stopped.
    out : path, optional
        A folder for the study, ``study.log``: the search can be stopped, or killed, and resumed from it.
    storage : str, optional
        Where the study is instead: ``journal:FOLDER``, or ``postgresql://USER@HOST/DATABASE``, with ``#NAME`` for one
        of several studies. All processes that are given the same storage search together; ``trials`` is their total.
    dask : str or distributed.Client, optional
        A Dask cluster, given by the address of its scheduler or a client: each thread of its workers trains a trial,
        instead of this process. The workers need chainrule, but neither the table nor the study.
    on_trial : function, optional
        Called after each trial with its :class:`TrialRecord` and the tuple of all finished ones.
    on_message : function, optional
        Called with a text before the first trial, and before the last fit.
    metric : str, optional
        What to choose by: "accuracy", "balanced-accuracy", "f1", "auc" or "log-loss" for classes, "rmse" or "mae" for
        numbers. Each fold still keeps the epoch with the lowest loss, as ``train`` does. "f1" and "balanced-accuracy"
        also set the thresholds of the classes.
    threshold : float or str, optional
        The probability above which the network fitted at the end predicts the second of two classes, or a label: a
        number, "cost:10:1" if missing a case costs ten times as much as a false alarm, or "auto" for the best F1 score
        on the rows of the folds that a network was not trained on. With "auto", the F1 score also chooses, by default.
    **options
        The fields of :class:`~chainrule.tables.Options`. The ``parameters`` given are fixed, and not searched.

    Returns
    -------
    Tuned

    Raises
    ------
    ValueError
        When the study in the folder is damaged or of other data, or there are too few rows for the folds.
    ConnectionError
        When the storage or the cluster cannot be reached, or is lost.
    KeyboardInterrupt
        At Ctrl-C; every finished trial is in the folder.

    Source: Akiba et al., "Optuna: a next-generation hyperparameter optimization framework" (2019); Bergstra et al.,
    "Algorithms for hyper-parameter optimization" (2011).

    Examples
    --------
    >>> import polars as pl
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "same": x[:, 0] * x[:, 1] > 0})
    >>> tuned = tune(frame, "same", trials=2, folds=2)
    >>> tuned.value <= tuned.default_value
    True
    """
    start = time.monotonic()
    _check(trials, minutes, folds, jobs)
    if dask is not None and jobs != 1:
        raise ValueError("--n-jobs: with --dask, each thread of a worker runs a trial, so omit --n-jobs.")
    if storage is not None:
        shared.check_address(storage)
    if isinstance(source, str) and source == "-":
        raise ValueError("tune reads the table twice, and standard input can be read only once: give a file.")
    with ExitStack() as stack:
        cluster = None if dask is None else stack.enter_context(connected(dask))
        given = Options.of("tune", {"seed": seed, **options})
        loaded, problem = prepare(source, target, folds, given, metric, threshold)
        about = {
            "format": FORMAT,
            "data": loaded.sha256,
            "target": loaded.schema.target,
            "seed": seed,
            "folds": len(problem.folds),
            "space": [[d.name, d.low, d.high, d.log, list(d.choices)] for d in problem.space],
            "metric": metric,
            "threshold": threshold,
            "set of options": {name: repr(value) for name, value in sorted(options.items())},
        }
        tell = on_message or (lambda _: None)
        folder = Path(out if out is not None else stack.enter_context(tempfile.TemporaryDirectory(prefix="chainrule-")))
        if storage is None:
            study = stack.enter_context(opened(folder, seed, about, problem))
        else:
            stack.enter_context(results_in(folder))
            study = stack.enter_context(shared.opened(storage, about, problem))
        tell(_plan(problem, len(finished(study)), cluster))
        seconds = None if minutes is None else 60 * minutes
        jobs = jobs if cluster is None else cluster.jobs
        Search(study, problem, seed, trials, seconds, jobs, on_trial, start, storage is not None, cluster).run()
        tell("fit        the best point, as train does")
        best, found = study.best_trial, records(study)
        check(best, problem)  # another process may have written it
        point = arguments(best.params) | _threshold(problem, best.params, threshold)
        trained = _chosen_by(problem, fit(source, target, given, point))
        return Tuned(
            best=dict(best.params),
            value=best.value or 0.0,
            default_value=next(t.value or 0.0 for t in found if t.state == "complete" and t.point == problem.default),
            measure=problem.measure.name,
            trials=found,
            importance=importance(study, seed),
            space=problem.space,
            folds=len(problem.folds),
            trained=trained,
            larger=problem.measure.larger,
        )


def prepare(
    source: Any,
    target: Any,
    folds: int | None,
    options: Options,
    metric: str | None = None,
    threshold: float | str | None = None,
) -> tuple[loading.Loaded, Problem]:
    """Read a table as ``train`` does with the same options, and make folds of the rows that it does not hold out."""
    loaded = options.load(source, target)
    schema, rows = loaded.schema, np.sort(np.concatenate([loaded.train, loaded.validation]))
    frame, y = loaded.frame[rows], loaded.y[rows]
    parts = folds_module.folds(loaded.rule, folds or folds_module.default_count(len(y)), frame, y)
    inputs = casting.cast(frame, schema.columns)
    fixed = dict(options.parameters or {})
    number = models.threshold(schema.task, threshold)
    metric = "f1" if threshold == "auto" and metric is None else metric
    problem = Problem(
        inputs,
        y,
        schema.columns,
        schema.task,
        options.seed,
        options.patience,
        fixed,
        parts,
        loaded.weights(rows),
        metric,
    )
    if (found := problem.measure.metric) in WITH_THRESHOLDS:
        problem.thresholds = found
    elif threshold == "auto":
        problem.thresholds = "f1"
    if number is not None and problem.thresholds:
        raise ValueError(f"threshold: the metric {metric!r} chooses thresholds: omit one of them.")
    if not problem.space:
        raise ValueError("there is nothing to search: every dimension of the space is fixed.")
    return loaded, problem


def fit(source: Any, target: Any, options: Options, found: dict[str, Any]) -> Trained:
    """Train on the table with the arguments found; a fit that Ctrl-C ends early is not kept."""
    options = replace(options, parameters={**(options.parameters or {}), **found})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training interrupted by user")  # raised below
        trained = train(source, target, **options.given)
    if trained.history.stopped.startswith("interrupted"):
        raise KeyboardInterrupt
    return trained


def _threshold(problem: Problem, point: dict[str, Any], given: float | str | None) -> dict[str, Any]:
    """Return the threshold of the network that is fitted at the end, as its argument, if it has one."""
    if problem.thresholds:
        found = problem.best_thresholds(point).tolist()
        return {"threshold": found[1] if len(found) == 2 and problem.task == "binary" else found}
    number = models.threshold(problem.task, given)
    return {} if number is None else {"threshold": number}


def _chosen_by(problem: Problem, trained: Trained) -> Trained:
    """Say in the results of training what its network and its thresholds were chosen by."""
    name = problem.measure.name
    trained.notes = (*trained.notes, f"the network was chosen by the {name}, in a search.")
    if problem.thresholds:
        best = METRICS[problem.thresholds]
        trained.notes += (f"the thresholds have the best {best} on the rows that networks were not trained on.",)
    trained.settings = {**trained.settings, "chosen_by": name}
    trained.command += f"  # chosen by the {name}"
    return trained


def _check(trials: int | None, minutes: float | None, folds: int | None, jobs: int) -> None:
    if (trials is None) == (minutes is None):
        raise ValueError("give either --trials or --minutes: the number of trials, or the time.")
    if trials is not None and trials < 1:
        raise ValueError(f"--trials: expected a whole number of at least 1, got {trials}.")
    if minutes is not None and not 0 < minutes < 1e6:
        raise ValueError(f"--minutes: expected a number above 0, got {minutes:g}.")
    if folds is not None and not 2 <= folds <= 100:
        raise ValueError(f"--folds: expected a whole number from 2 to 100, got {folds}.")
    if jobs < 1:
        raise ValueError(f"--n-jobs: expected a whole number of at least 1, got {jobs}.")


def _plan(problem: Problem, known: int, cluster: Cluster | None) -> str:
    how = "maximizes" if problem.measure.larger else "minimizes"
    lines = [f"search     {how} the {problem.measure.name} over {len(problem.folds)} folds of {len(problem.y):,} rows"]
    lines += [f"           {d.name:<16} {d.shown()}" for d in problem.space]
    lines += [f"study      resumed: {known} trials are finished"] if known else []
    lines += [] if cluster is None else [f"dask       {cluster.jobs} trials at a time, at {cluster.address}"]
    return "\n".join(lines)
