"""A table with every kind of column, and a pipeline trained on it, for the tests of saving and predicting."""

import copy
import functools
import hashlib
import json
import warnings
from dataclasses import replace

import numpy as np
import polars as pl

from chainrule.tables import models, targets
from chainrule.tables.casting import cast
from chainrule.tables.evaluation import evaluate
from chainrule.tables.kinds import infer
from chainrule.tables.preparation import preparation
from chainrule.tables.reference import reference
from chainrule.tables.result import Split, Trained
from chainrule.tables.schema import Schema
from chainrule.tables.splitting import SplitRule, split

TARGETS = {"binary": ["ill"], "multiclass": ["grade"], "regression": ["price"], "multilabel": ["sold", "late"]}
INPUTS = ["size", "rooms", "garden", "city", "street", "built", "opened", "notes", "id", "only"]
WORDS = [
    "bright",
    "quiet",
    "small",
    "old",
    "new",
    "near",
    "station",
    "lake",
    "garden",
    "view",
    "kitchen",
    "floor",
    "wood",
    "stone",
    "corner",
    "roof",
]
SHORT = {"max_iter": 3, "hidden_layer_sizes": (8,)}


class Made(dict):
    """A dictionary whose values are made when they are first asked for: few tests need the runs of all tasks."""

    def __init__(self, make):
        self.make = make

    def __missing__(self, name):
        self[name] = self.make(name)
        return self[name]


def small_ensembles(task, arguments, *, ensemble=models.ensemble, **more):
    """Stands for ``models.ensemble``: five networks of eight units."""
    return ensemble(task, {"n_estimators": 5, "hidden_layer_sizes": (8,), "max_iter": 8, **arguments}, **more)


def frame(rows=240, seed=0):
    rng = np.random.default_rng(seed)
    size = np.abs(rng.normal(80, 30, rows)).round(2)
    days = rng.integers(0, 9000, rows)
    start = np.datetime64("2000-01-01")
    return pl.DataFrame({
        "size": pl.Series(size, nan_to_null=True),
        "rooms": rng.integers(1, 9, rows),
        "garden": rng.choice(["no", "yes"], rows),
        "city": rng.choice(["Bern", "Graz", "Köln"], rows),
        "street": [f"street {i}" for i in rng.integers(0, 60, rows)],
        "built": pl.Series((start + days).astype("datetime64[D]")),
        "opened": [f"{1 + d % 28:02d}.{1 + d % 12:02d}.{2000 + d % 20}" for d in days],
        "notes": [" ".join(rng.choice(WORDS, 7)) for _ in range(rows)],
        "id": [f"k{i}" for i in range(rows)],
        "only": ["x"] * rows,
        "ill": np.where(size + rng.normal(0, 9, rows) > 80, "yes", "no"),
        "grade": np.digitize(size, [60, 90]),
        "price": size * 3 + rng.normal(0, 9, rows),
        "sold": np.where(size > 70, "yes", "no"),
        "late": np.where(days > 4000, "yes", "no"),
    }).with_columns(
        pl.when(pl.int_range(pl.len()) % 9 == 4).then(None).otherwise(pl.col("size")).alias("size"),
        pl.when(pl.int_range(pl.len()) % 11 == 4).then(None).otherwise(pl.col("city")).alias("city"),
        pl.when(pl.int_range(pl.len()) % 13 == 4).then(None).otherwise(pl.col("built")).alias("built"),
    )  # fmt: skip


def trained(task="binary", **options):
    """Return a run of one's own; the fit is made once in a process for all tests that ask for the same."""
    return copy.deepcopy(_kept(task, *sorted(options.items())))


@functools.cache
def _kept(task, *options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what scikit-learn and chainrule advise on three epochs and 200 rows
        return _trained(task, **dict(options))


def _trained(task, *, inputs=tuple(INPUTS), optional=(), given=SHORT):
    table = frame()
    target = targets.find(table, TARGETS[task])
    inputs = [name for name in inputs if name != "street" or task != "multilabel"]  # TargetEncoder has one target
    columns = tuple(replace(infer(table[name]), optional=name in optional) for name in inputs)
    schema = Schema(columns, target.columns, target.task, target.classes, table.height)
    train, validation, test, how = split(SplitRule(0.2, 0.1, 0), table, target.y)
    prepare = preparation(columns, len(train), 0)
    X = cast(table, columns)
    prepared = prepare.fit_transform(X[train], target.y[train])
    arguments = models.parameters(len(train), target.task, 0, given)
    network = models.network(target.task, arguments, patience=5 if task != "regression" else 0)
    held_out = {"X_val": prepare.transform(X[validation]), "y_val": target.y[validation]}
    network.fit(prepared, target.y[train], **(held_out if task != "regression" else {}))
    from sklearn.pipeline import Pipeline  # noqa: PLC0415

    pipeline = Pipeline([("prepare", prepare), ("network", network)])
    rest = np.concatenate([train, validation])
    j = evaluate(pipeline, schema, table[test], table[rest], target.y[rest], 0)
    return Trained(
        pipeline, schema, j.scores, j.baselines, j.verdict, j.held_out, models.inside(network).history_,
        Split(len(train), len(validation), len(test), how), source="houses.csv", sha256="0" * 64,
        command="chainrule train houses.csv", settings={"seed": 0}, intervals=j.intervals,
        reference=reference(table, train, schema, j.held_out, 0),
    )  # fmt: skip


def rewritten(folder, name, content):
    """Put a file into a run, and its digest into config.json, as whoever crafts a run would."""
    (folder / name).write_bytes(content)
    config = json.loads((folder / "config.json").read_text())
    config["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))
