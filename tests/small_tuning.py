"""A small table to tune on, for the tests of tuning and for processes to kill: ``python small_tuning.py FOLDER TRIALS JOBS``.

With a storage in place of the folder, the process searches a shared study; with a fourth argument, slowly.
"""

import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from chainrule.tables import casting
from chainrule.tables import folds as folds_module
from chainrule.tables.kinds import infer
from chainrule.tables.splitting import SplitRule
from chainrule.tables.tuning import shared
from chainrule.tables.tuning import study as studies
from chainrule.tables.tuning.objective import Problem
from chainrule.tables.tuning.search import Search

SHORT = {"max_iter": 4, "hidden_layer_sizes": (8,)}
STRATIFIED = SplitRule(0.2, 0.1, 0, stratify=True)


def frame(rows=120, seed=0):
    rng = np.random.default_rng(seed)
    a, c = rng.normal(size=rows), rng.normal(size=rows)
    return pl.DataFrame({
        "a": np.where(rng.random(rows) < 0.1, np.nan, a),
        "b": rng.choice(["x", "y", "z"], rows),
        "c": c,
        "target": np.where(a * c + 0.3 * rng.normal(size=rows) > 0, "yes", "no"),
    }).with_columns(pl.col("a").fill_nan(None))  # fmt: skip


def problem(task="binary", count=3, fixed=SHORT):
    table = frame()
    columns = tuple(infer(table[name]) for name in "abc")
    y = table["target"].to_numpy().astype(str)
    if task == "regression":
        y = table["c"].to_numpy() * 100 + 7
    plan = STRATIFIED if task == "binary" else SplitRule(0.2, 0.1, 0)
    parts = folds_module.folds(plan, count, table, y)
    return Problem(casting.cast(table, columns), y, columns, task, 0, 0, dict(fixed), parts)


def opened(folder, of, **about):
    return studies.opened(folder, 0, {"seed": 0, **about}, of)


def run(folder, trials, *, of=None, about=None, jobs=1, seconds=None, on_trial=None):
    of = of or problem()
    with opened(folder, of, **(about or {})) as study:
        Search(study, of, 0, trials, seconds, jobs, on_trial).run()
        return studies.records(study)


def share(storage, trials, seconds):
    shared.BEAT, shared.SILENT = 0.2, 2.0
    of = problem()
    evaluate = of.evaluate

    def slowly(point, report):
        print("begins", flush=True)
        time.sleep(seconds)
        return evaluate(point, report)

    of.evaluate = slowly
    with shared.opened(storage, {"seed": 0}, of) as study:
        Search(study, of, 0, trials, on_trial=lambda trial, _: print(trial.number, flush=True), shared=True).run()
        print(len(studies.finished(study)), "in the study")


if __name__ == "__main__" and ":" in sys.argv[1]:
    share(sys.argv[1], int(sys.argv[2]), 1.0 if len(sys.argv) > 4 else 0.1)
elif __name__ == "__main__":
    run(
        Path(sys.argv[1]), int(sys.argv[2]), jobs=int(sys.argv[3]),
        on_trial=lambda trial, trials: print(len(trials), flush=True),
    )  # fmt: skip
