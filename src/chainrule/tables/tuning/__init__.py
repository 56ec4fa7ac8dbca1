"""Tuning the network of a table: a search by cross-validation, in a study that can be stopped and goes on."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from chainrule.tables import models
from chainrule.tables.tuning import data as data_module
from chainrule.tables.tuning import folds as folds_module
from chainrule.tables.tuning import space as space_module
from chainrule.tables.tuning import study as studies
from chainrule.tables.tuning.objective import MEASURE, Problem
from chainrule.tables.tuning.result import TrialRecord, Tuned, importance, records
from chainrule.tables.tuning.search import Search, Step
from chainrule.tables.tuning.space import Dimension

__all__ = ["Dimension", "Step", "TrialRecord", "Tuned", "tune"]

FORMAT = 1


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
    heard: Callable[[Step], None] | None = None,
    said: Callable[[str], None] | None = None,
    **options: Any,
) -> Tuned:
    """Search for a better network for a table than the default, and fit it as :func:`chainrule.tables.train` does.

    Each trial is a mean over the folds of a cross-validation of the rows to train on; the rows that ``train`` holds out
    are not touched. The first trial is the default, so the best is never worse than it on the folds. The sampler is
    Optuna's TPE; trials whose running mean is above the median of the others at the same epoch are pruned.

    Parameters
    ----------
    source : path or data frame
    target : str, or several
    trials : int, optional
        How many finished trials the study shall have, those of earlier runs among them.
    minutes : float, optional
        How long this run may take, with the fit of the best at its end. One of the two is given.
    folds : int, optional
        Five up to 2,000 rows, else three.
    jobs : int
        Trials at a time, each in a process with its share of the cores. With more than one, a script needs
        ``if __name__ == "__main__":``, as always with processes.
    seed : int
        With one job, seed and study give the same trials, however often it was stopped; with several, the order in
        which trials end matters too.
    out : path, optional
        A folder for the study, ``study.db``: with it the search can be stopped, or killed, and goes on where it was.
    heard : function, optional
        Called with a :class:`Step` after each trial.
    said : function, optional
        Called with a text that says what will be done: before the first trial, and before the best is fitted.
    **options
        Those of :func:`chainrule.tables.train`. What ``parameters`` fixes is not searched.

    Returns
    -------
    Tuned

    Raises
    ------
    ValueError
        When the study in the folder is damaged or of other data, or there are too few rows for the folds.
    KeyboardInterrupt
        After what was found is safe.

    Source: Akiba et al., "Optuna: a next-generation hyperparameter optimization framework" (2019); Bergstra et al.,
    "Algorithms for hyper-parameter optimization" (2011).

    Examples
    --------
    >>> import numpy as np
    >>> import polars as pl
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "same": x[:, 0] * x[:, 1] > 0})
    >>> tuned = tune(frame, "same", trials=2, folds=2)
    >>> tuned.value <= tuned.default_value
    True
    """
    start = time.monotonic()
    _check(trials, minutes, folds, jobs)
    if isinstance(source, str) and source == "-":
        raise ValueError(
            "tune reads the table again for the fit of the best, and standard input only once: give a file."
        )
    data = data_module.load(source, target, seed, **options)
    rows = len(data.y)
    defaults = models.parameters(rows, data.task, seed, data.fixed)
    dimensions = space_module.space(data.task, rows, defaults, data.fixed)
    if not dimensions:
        raise ValueError("there is nothing to search: every dimension of the space is fixed.")
    default = space_module.point(defaults, dimensions)
    count = folds or folds_module.default_count(rows)
    parts = folds_module.folds(data.plan, count, data.frame, data.y)
    problem = Problem(data.inputs, data.y, data.columns, data.task, seed, data.patience, data.fixed, parts)
    about = {
        "format": FORMAT,
        "data": data.sha256,
        "target": data.target,
        "seed": seed,
        "folds": count,
        "space": [[d.name, d.low, d.high, d.log, list(d.choices)] for d in dimensions],
        "set of options": {name: repr(value) for name, value in sorted(options.items())},
    }
    with ExitStack() as stack:
        folder = Path(out if out is not None else stack.enter_context(tempfile.TemporaryDirectory(prefix="chainrule-")))
        studies.make_folder(folder)
        stack.enter_context(studies.locked(folder))
        study = stack.enter_context(studies.opened(folder / studies.FILE, seed, about, default))
        if said is not None:
            said(_intent(rows, problem, dimensions, len(studies.finished(study))))
        seconds = None if minutes is None else 60 * minutes
        Search(study, problem, dimensions, default, trials, seconds, jobs, heard or _silent, start).run()
        if said is not None:
            said("fit        of the best, as train does it")
        best = studies.whole(study)[0]
        found = records(study)
        return Tuned(
            best=dict(best.params),
            value=float(best.value or 0.0),
            default_value=next(float(t.value or 0.0) for t in found if t.state == "whole" and t.point == default),
            measure=MEASURE[data.task],
            trials=found,
            importance=importance(study, seed),
            space=dimensions,
            folds=count,
            trained=data_module.fit(source, target, seed, options, space_module.arguments(best.params)),
        )


def _check(trials: int | None, minutes: float | None, folds: int | None, jobs: int) -> None:
    if (trials is None) == (minutes is None):
        raise ValueError("give either --trials or --minutes, one of them: how many trials, or how long.")
    if trials is not None and trials < 1:
        raise ValueError(f"--trials: expected a whole number of at least 1, got {trials}.")
    if minutes is not None and not 0 < minutes < 1e6:
        raise ValueError(f"--minutes: expected a number above 0, got {minutes:g}.")
    if folds is not None and not 2 <= folds <= 100:
        raise ValueError(f"--folds: expected a whole number from 2 to 100, got {folds}.")
    if jobs < 1:
        raise ValueError(f"--n-jobs: expected a whole number of at least 1, got {jobs}.")


def _intent(rows: int, problem: Problem, dimensions: tuple[Dimension, ...], known: int) -> str:
    lines = [
        f"search     {len(problem.folds)} folds of {rows:,} rows; the {MEASURE[problem.task]} is to be small",
        *(f"           {d.name:<16} {d.shown()}" for d in dimensions),
    ]
    if known:
        lines.append(f"study      goes on: {known} trials are finished")
    return "\n".join(lines)


def _silent(step: Step) -> None:
    """Say nothing."""
