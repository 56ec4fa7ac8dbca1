"""Tuning: the space, the folds, the objective without leakage, the study that goes on, pruning, and the time."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    roc_auc_score,
    root_mean_squared_error,
)

pytestmark = pytest.mark.slow

pl = pytest.importorskip("polars")
optuna = pytest.importorskip("optuna")

from typer.testing import CliRunner  # noqa: E402

from chainrule.cli.app import app  # noqa: E402
from chainrule.tables import folds as folds_module  # noqa: E402
from chainrule.tables import (  # noqa: E402
    models,
    splitting,
    tuning,
)
from chainrule.tables.options import Options  # noqa: E402
from chainrule.tables.result import HeldOut, Split, Trained  # noqa: E402
from chainrule.tables.schema import Column, Schema  # noqa: E402
from chainrule.tables.splitting import SplitRule  # noqa: E402
from chainrule.tables.tuning import objective as objective_module  # noqa: E402
from chainrule.tables.tuning import page as page_module  # noqa: E402
from chainrule.tables.tuning import space as space_module  # noqa: E402
from chainrule.tables.tuning import study as studies  # noqa: E402
from chainrule.tables.tuning import summary, tune, workers  # noqa: E402
from chainrule.tables.tuning.measure import measure, of_classes  # noqa: E402
from chainrule.tables.tuning.objective import Outcome, Problem  # noqa: E402
from chainrule.tables.tuning.search import Search  # noqa: E402
from chainrule.training.callbacks import Callback  # noqa: E402
from chainrule.training.history import History  # noqa: E402
from small_tuning import SHORT, STRATIFIED, frame, opened, problem, run  # noqa: E402


def untimed(records):
    return [(r.state, r.value, r.folds, r.point) for r in records]


def silent(step, losses):
    """Report nothing."""


# ---------------------------------------------------------------- the space


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "multilabel"])
@pytest.mark.parametrize("rows", [40, 300, 1000, 5000, 20_000, 200_000])
def test_the_default_is_in_the_space(task, rows):
    defaults = models.parameters(rows, task, 0, {})
    dimensions = space_module.space(task, rows, defaults, {})
    point = space_module.point(defaults, dimensions)
    for name, value in space_module.arguments(point).items():
        assert value == defaults.get(name, 0.0), name
    assert ("label_smoothing" in point) == (task in ("binary", "multiclass"))


def test_every_dimension_has_a_reason_and_is_taken_by_the_estimator():
    ends = {d.name: (d.choices[-1] if d.choices else d.high) for d in space_module.SPACE}
    for dimension in space_module.SPACE:
        assert len(dimension.why) > 20, dimension.name
        assert dimension.low < dimension.high or len(dimension.choices) > 1, dimension.name
    values = space_module.arguments(ends)
    of = problem(fixed={"max_iter": 1})
    assert min(of.evaluate(ends, silent).folds) > 0
    assert {d.argument for d in space_module.SPACE} == values.keys()


def test_what_is_fixed_is_not_searched():
    defaults = models.parameters(1000, "binary", 0, {"dropout": 0.9})
    names = {d.name for d in space_module.space("binary", 1000, defaults, {"dropout": 0.9})}
    assert "dropout" not in names
    assert {"layers", "units", "alpha"} <= names


# ---------------------------------------------------------------- the folds


def test_folds_keep_shares_and_cover_every_row_once():
    table = frame()
    y = table["target"].to_numpy()
    parts = folds_module.folds(STRATIFIED, 4, table, y)
    assert sorted(np.concatenate([b for _, b in parts]).tolist()) == list(range(120))
    for a, b in parts:
        assert not set(a) & set(b)
        assert (y[b] == "yes").mean() == pytest.approx((y == "yes").mean(), abs=0.03)


def test_folds_by_group_never_split_a_group_and_by_time_never_look_ahead():
    table = frame().with_columns(g=pl.arange(0, 120) // 5, t=pl.Series(np.random.default_rng(1).permutation(120)))
    y = table["target"].to_numpy()
    for a, b in folds_module.folds(SplitRule(0.2, 0.1, 0, group="g"), 3, table, y):
        assert not set(table["g"].to_numpy()[a]) & set(table["g"].to_numpy()[b])
    for a, b in folds_module.folds(SplitRule(0.2, 0.1, 0, time="t"), 3, table, y):
        assert table["t"].to_numpy()[a].max() < table["t"].to_numpy()[b].min()


def test_a_class_of_two_rows_is_trained_on_in_every_fold():
    y = np.array(["a"] * 30 + ["b"] * 30 + ["c"] * 2)
    for a, b in folds_module.folds(STRATIFIED, 3, pl.DataFrame({"y": y}), y):
        assert {60, 61} <= set(a.tolist())
        assert not {60, 61} & set(b.tolist())


@pytest.mark.parametrize(
    ("y", "plan", "message"),
    [
        (np.array([0, 1] * 2), SplitRule(0.2, 0.1, 0), "4 training rows are too few for 3 folds"),
        (np.array([0] * 20 + [1, 2]), STRATIFIED, "fewer than two classes have the 3 training rows"),
        (np.array([0, 1] * 9), SplitRule(0.2, 0.1, 0, group="g"), "2 groups to train on, too few for 3 folds"),
    ],
)
def test_too_few_rows_for_folds(y, plan, message):
    with pytest.raises(ValueError, match=message):
        folds_module.folds(plan, 3, pl.DataFrame({"g": y, "y": y}), y)


# ---------------------------------------------------------------- the objective


def test_preparation_sees_the_training_rows_of_a_fold_only(monkeypatch):
    of, seen = problem(), []
    honest = objective_module.preparation

    def spying(columns, rows, seed):
        steps = honest(columns, rows, seed)
        fit = steps.fit_transform

        def fit_transform(X, y=None, **more):
            seen.append((X, y))
            return fit(X, y, **more)

        monkeypatch.setattr(steps, "fit_transform", fit_transform)
        return steps

    monkeypatch.setattr(objective_module, "preparation", spying)
    first = of.evaluate(of.default, silent)
    assert len(seen) == len(of.folds)
    for (X, y), (train, _) in zip(seen, of.folds, strict=True):
        assert X.equals(of.frame[train])
        assert (y == of.y[train]).all()
    assert of.evaluate(of.default, silent).folds == first.folds
    assert len(seen) == len(of.folds), "a second trial has the same folds and prepares nothing again"


def test_the_value_is_the_loss_that_scikit_learn_measures():
    of = problem(count=2, fixed={**SHORT, "max_iter": 1, "label_smoothing": 0.2})
    outcome = of.evaluate(of.default, silent)
    fold = of.prepare(0)
    given = models.parameters(len(of.y), "binary", 0, of.fixed)
    with pytest.warns():  # of one epoch
        model = models.network("binary", given, 0).fit(fold.X, fold.y)
    assert outcome.folds[0] == pytest.approx(log_loss(fold.y_val, model.predict_proba(fold.X_val)), rel=1e-5)

    of = problem("regression", count=2, fixed={**SHORT, "max_iter": 1})
    outcome = of.evaluate(of.default, silent)
    fold = of.prepare(1)
    model = models.network("regression", models.parameters(len(of.y), "regression", 0, of.fixed), 0)
    with pytest.warns():
        model.fit(fold.X, fold.y)
    assert outcome.folds[1] == pytest.approx(root_mean_squared_error(fold.y_val, model.predict(fold.X_val)), rel=1e-4)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_value_of_several_classes_or_labels(task):
    of = problem(count=2, fixed={**SHORT, "max_iter": 1})
    rng = np.random.default_rng(0)
    y = rng.choice(["u", "v", "w"], 120) if task == "multiclass" else rng.integers(0, 2, (120, 3))
    of = dataclasses.replace(of, y=y, task=task)
    outcome = of.evaluate(of.default, silent)
    fold = of.prepare(0)
    model = models.network(task, models.parameters(len(of.y), task, 0, of.fixed), 0)
    with pytest.warns():  # of one epoch
        model.fit(fold.X, fold.y)
    p = model.predict_proba(fold.X_val)
    columns = [log_loss(fold.y_val[:, k], p[:, k]) for k in range(3)] if task == "multilabel" else None
    expected = np.mean(columns) if columns else log_loss(fold.y_val, p)
    assert outcome.folds[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("task", "metric", "measured"), [
    ("binary", "accuracy", lambda y, p: accuracy_score(y == "yes", p > 0.5)),
    ("binary", "auc", lambda y, p: roc_auc_score(y == "yes", p)),
    ("binary", "f1", lambda y, p: max(f1_score(y == "yes", p >= at) for at in p)),
    ("binary", "balanced-accuracy", lambda y, p: max(balanced_accuracy_score(y == "yes", p >= at) for at in p)),
    ("regression", "mae", mean_absolute_error),
    ("regression", "rmse", root_mean_squared_error),
])  # fmt: skip
def test_a_metric_is_measured_where_the_loss_is_lowest(task, metric, measured):
    fixed = {**SHORT, "max_iter": 12, "learning_rate_init": 0.05}
    plain = problem(task, count=2, fixed=fixed)
    of = dataclasses.replace(plain, metric=metric)
    outcome, losses = of.evaluate(of.default, silent), plain.evaluate(plain.default, silent)
    assert outcome.epochs == losses.epochs
    fold, epochs = of.prepare(0), outcome.epochs[0]
    model = models.network(task, models.parameters(len(of.y), task, 0, of.fixed), 12)  # restores the best epoch
    numbers = task == "regression"
    inner = getattr(model, "regressor", model)
    center, scale = (fold.y.mean(), fold.y.std()) if numbers else (0, 1)
    y, y_val = (((v - center) / scale) if numbers else v for v in (fold.y, fold.y_val))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inner.fit(fold.X, y, X_val=fold.X_val, y_val=y_val)
    assert np.argmin(inner.history_["val_loss"]) + 1 == epochs
    p = inner.predict(fold.X_val) * scale + center if numbers else inner.predict_proba(fold.X_val)[:, 1]
    assert outcome.folds[0] == pytest.approx(measured(fold.y_val, p), rel=1e-4)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("metric", ["accuracy", "balanced-accuracy", "f1", "auc"])
def test_a_metric_of_several_classes_or_labels(task, metric):
    rng = np.random.default_rng(0)
    y = rng.choice(["u", "v", "w"], 40) if task == "multiclass" else rng.integers(0, 2, (40, 3))
    p = rng.dirichlet(np.ones(3), 40)
    of = measure(task, y, metric)
    known = of_classes(of.metric, np.array(["u", "v", "w"]), y)(p)
    sure = np.eye(3)[np.searchsorted(["u", "v", "w"], y)] if task == "multiclass" else 0.01 + 0.98 * y
    assert of.larger
    assert of.worst < known < 1
    assert of_classes(of.metric, np.array(["u", "v", "w"]), y)(sure) == pytest.approx(1)
    if metric == "auc":
        truth = y if task == "multilabel" else np.eye(3)[np.searchsorted(["u", "v", "w"], y)]
        assert known == pytest.approx(np.mean([roc_auc_score(truth[:, k], p[:, k]) for k in range(3)]))


@pytest.mark.parametrize("metric", [None, "accuracy", "f1", "auc"])
def test_a_class_that_a_fold_never_saw_is_as_wrong_as_can_be(metric):
    of = dataclasses.replace(problem(count=2, fixed={**SHORT, "max_iter": 1}), metric=metric)
    of.y = of.y.copy()
    of.folds = [(np.arange(60), np.arange(60, 64))]
    [before] = of.evaluate(of.default, silent).folds
    of = dataclasses.replace(of, y=of.y.copy(), _prepared={})
    of.y[60] = "zebra"
    [value] = of.evaluate(of.default, silent).folds
    if metric is None:
        assert -np.log(1e-7) / 4 < value < -np.log(1e-7) / 4 + 5
    elif metric == "accuracy":
        assert value in (before, before - 0.25)
    else:
        assert 0 <= value < 1


def test_each_epoch_reports_the_best_loss_so_far_on_each_fold():
    of, reports = problem(), []
    outcome = of.evaluate(of.default, lambda step, losses: reports.append((step, losses)))
    assert [step for step, _ in reports] == list(range(12))
    assert [reports[step][1] for step in (3, 7, 11)] == [outcome.folds[:1], outcome.folds[:2], outcome.folds]
    assert reports[5][1][:1] == outcome.folds[:1]
    assert reports[4][1][1] >= reports[5][1][1] >= outcome.folds[1]


# ---------------------------------------------------------------- the study


def test_a_study_that_is_stopped_resumes_as_if_nothing_had_happened(tmp_path):
    whole = run(tmp_path / "a", 14)

    def interrupt(trial, trials):
        if len(trials) == 11:  # the sampler has begun to learn
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 14, on_trial=interrupt)
    assert untimed(run(tmp_path / "b", 14)) == untimed(whole)
    assert {r.state for r in whole} == {"complete", "pruned"}
    assert len({str(r.point) for r in whole}) == 14
    assert untimed(run(tmp_path / "b", 14)) == untimed(whole), "a study that has its trials begins no other"


def test_the_trials_are_those_of_optuna(tmp_path):
    """Optuna's own loop in memory, with its sampler and pruner, given the same losses."""
    found, of, number = run(tmp_path, 14), problem(), iter(range(14))
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5))
    study.enqueue_trial(of.default)

    def objective(trial):
        point = {dimension.name: dimension.suggest(trial) for dimension in of.space}

        def report(step, losses):
            trial.report((sum(losses) + of.measure.worst * (3 - len(losses))) / 3, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        return np.mean(of.evaluate(point, report).folds)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        for number in range(14):
            stream = int(np.random.SeedSequence((0, number)).generate_state(1)[0])
            study.sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=stream)
            study.optimize(objective, n_trials=1)
    assert [r.point for r in found] == [trial.params for trial in study.trials]
    assert [r.state.upper() for r in found] == [trial.state.name for trial in study.trials]


def test_a_trial_that_was_running_when_the_process_died_is_tried_again(tmp_path):
    of = problem()
    with opened(tmp_path, of) as study:
        left = [study.ask() for _ in range(3)]
        points = [{dimension.name: dimension.suggest(trial) for dimension in of.space} for trial in left]
        study.ask().suggest_int("layers", 1, 3)  # not all of a point: the sampler draws it again
    with opened(tmp_path, of) as study:
        states = [trial.state.name for trial in study.trials]
        assert states == ["FAIL"] * 4 + ["WAITING"] * 3
        again = [study.ask() for _ in range(3)]
        assert [{d.name: d.suggest(trial) for d in of.space} for trial in again] == points
    assert points[0] == of.default


def test_a_line_that_a_kill_has_cut_off_is_removed(tmp_path):
    whole = run(tmp_path / "a", 3)
    run(tmp_path / "b", 2)
    with (tmp_path / "b" / studies.FILE).open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"a')
    assert untimed(run(tmp_path / "b", 3)) == untimed(whole)
    assert untimed(run(tmp_path / "b", 3)) == untimed(whole)


def test_a_full_disk_ends_the_search_with_the_error_of_the_system(tmp_path, monkeypatch):
    """Optuna cannot write that the trial has failed, either."""
    written = studies.Journal._append

    def full(self, logs):
        if any(operation["op_code"] == studies.SET_STATE for operation in logs):
            raise OSError(28, "No space left on device")
        written(self, logs)

    monkeypatch.setattr(studies.Journal, "_append", full)
    with pytest.raises(OSError, match="No space left on device"):
        run(tmp_path, 1)


def test_workers_find_what_one_process_finds(tmp_path):
    alone, two = run(tmp_path / "a", 3), run(tmp_path / "b", 3, jobs=2)
    assert len(two) == 3
    assert two[0].point == alone[0].point
    assert two[0].value == pytest.approx(alone[0].value, rel=1e-5)
    assert len({str(r.point) for r in two}) == 3
    assert "CHAINRULE_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("about", [{"data": "other"}, {"target": "other"}, {"space": []}])
def test_a_study_of_something_else_is_refused(about, tmp_path):
    first = {"data": "a", "target": "b", "space": [1]}
    run(tmp_path, 1, about=first)
    with pytest.raises(
        ValueError, match=rf"is the study of another search \({next(iter(about))}\): choose another --out"
    ):
        run(tmp_path, 1, about={**first, **about})


@pytest.mark.parametrize(
    "content",
    [
        b"no journal\n", b"no journal, and no end", b"{}\n", b"[1]\n", b"[" * 100_000 + b"\n", b"\xff\xfe\n", b"1" * 9999,
        b'{"op_code":0,"worker_id":"a","study_name":"other","directions":[1]}\n',
        b'{"op_code":0,"worker_id":"a","study_name":"chainrule","directions":[2]}\n',
        b'{"op_code":99,"worker_id":"a"}\n', "damaged in the middle",
    ],
)  # fmt: skip
def test_a_damaged_study_is_refused_in_a_sentence_and_left_as_it_is(content, tmp_path):
    path = tmp_path / studies.FILE
    if isinstance(content, str):
        run(tmp_path, 1)
        content = path.read_bytes().replace(b"op_code", b"op\ncode", 7)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"study\.log is damaged or not an Optuna study \(.*\): move it away, or"):
        run(tmp_path, 1)
    assert path.read_bytes() == content


def test_a_folder_may_have_any_name(tmp_path):
    folder = tmp_path / "50 % {a}#b?c&d=é"
    folder.mkdir()
    assert untimed(run(folder, 1)) == untimed(run(folder, 1))
    assert (folder / studies.FILE).stat().st_size > 2_000


def test_two_processes_do_not_tune_in_one_folder(tmp_path):
    with (
        opened(tmp_path, problem()),
        pytest.raises(ValueError, match="another process is tuning in"),
        opened(tmp_path, problem()),
    ):
        pass
    with opened(tmp_path, problem()):
        pass


# ---------------------------------------------------------------- pruning and time


def test_a_trial_above_the_median_is_pruned_but_never_the_default(tmp_path, monkeypatch):
    """At the same step, though its first fold was easy: what is reported only falls, as Optuna's pruner expects."""
    of = problem()
    epochs = {"default": 12, "good": 12}

    def evaluate(point, report):
        kind = "default" if point == of.default else "good" if len(studies.finished(study)) < 6 else "bad"
        folds = {"default": [9.0, 9.0, 9.0], "good": [0.1, 0.5, 0.6], "bad": [0.1, 0.7, 0.8]}[kind]
        for step in range(12):
            report(step, folds[: 1 + step // 4])
            epochs[kind] = step
        return Outcome(folds, [1, 1, 1], 0.1)

    monkeypatch.setattr(of, "evaluate", evaluate)
    with opened(tmp_path, of) as study:
        Search(study, of, 0, 7).run()
        found = studies.records(study)
    assert [r.state for r in found] == ["complete"] * 6 + ["pruned"]
    assert epochs == {"default": 11, "good": 11, "bad": 4}, "pruned in its second fold, after the first six steps"
    assert found[-1].folds == (0.1, 0.7)
    assert found[-1].value == pytest.approx(0.4)


def test_a_metric_prunes_and_chooses_in_its_own_direction(tmp_path, monkeypatch):
    of = dataclasses.replace(problem(), metric="auc")

    def evaluate(point, report):
        kind = "default" if point == of.default else "good" if len(studies.finished(study)) < 6 else "bad"
        folds = {"default": [0.1, 0.1, 0.1], "good": [0.9, 0.7, 0.6], "bad": [0.9, 0.5, 0.4]}[kind]
        for step in range(12):
            report(step, folds[: 1 + step // 4])
        return Outcome(folds, [1, 1, 1], 0.1)

    monkeypatch.setattr(of, "evaluate", evaluate)
    with opened(tmp_path, of, metric="auc") as study:
        Search(study, of, 0, 7).run()
        found = studies.records(study)
        assert study.direction.name == "MAXIMIZE"
        assert study.best_value == pytest.approx(2.2 / 3)
        assert {trial.intermediate_values[0] for trial in study.trials} == {0.1 / 3, 0.3}
    assert [r.state for r in found] == ["complete"] * 6 + ["pruned"]
    assert found[-1].folds == (0.9, 0.5)
    with (
        pytest.raises(ValueError, match=r"is the study of another search \(metric\): choose another --out"),
        opened(tmp_path, problem(), metric=None),
    ):
        pass


def test_a_trial_that_diverges_counts_as_pruned_but_the_default_may_not(tmp_path, monkeypatch):
    of = problem()

    def evaluate(point, report):
        if point == of.default and not steady:
            raise ValueError("training diverged")
        if point != of.default:
            report(0, [float("inf")])
            raise ValueError("training diverged")
        return Outcome([1.0, 1.0, 1.0], [1, 1, 1], 0.1)

    monkeypatch.setattr(of, "evaluate", evaluate)
    steady = False
    with pytest.raises(ValueError, match="training diverged"):
        run(tmp_path, 2, of=of)
    steady = True
    assert [(r.state, r.value) for r in run(tmp_path, 2, of=of)] == [("complete", 1.0), ("diverged", None)]
    assert len(run(tmp_path, 3, of=of)) == 3, "a loss that is not finite does not spoil the study"


def test_minutes_bound_the_search_and_what_the_time_ends_is_tried_again(tmp_path):
    with opened(tmp_path, problem()) as study:
        Search(study, problem(), 0, None, 2.0).run()
        states = [trial.state.name for trial in study.trials]
    assert states.count("COMPLETE") > 1
    assert set(states[:-1]) <= {"COMPLETE", "PRUNED"}, "at most the last trial has no time to end"
    with opened(tmp_path, problem()) as study:
        assert [t.state.name for t in study.trials].count("WAITING") == states.count("FAIL")


def test_a_trial_out_of_time_is_in_the_queue_of_the_next_run(tmp_path, monkeypatch):
    of = problem()

    def evaluate(point, report):
        for step in range(3):
            report(step, [1.0])
            time.sleep(0.1 * (point != of.default))
        return Outcome([1.0, 1.0, 1.0], [1, 1, 1], 0.1)

    monkeypatch.setattr(of, "evaluate", evaluate)
    assert [r.point for r in run(tmp_path, None, of=of, seconds=0.3)] == [of.default]
    with opened(tmp_path, of) as study:
        states = [trial.state.name for trial in study.trials]
        assert states == ["COMPLETE", "FAIL", "WAITING"]
        point = study.trials[1].params
    assert run(tmp_path, 2, of=of)[-1].point == point


def test_a_limit_of_time_waits_for_the_default(tmp_path):
    assert [r.state for r in run(tmp_path, None, seconds=1e-6)] == ["complete"]
    assert len(run(tmp_path, None, seconds=1e-6)) == 1


# ---------------------------------------------------------------- the door and the command


@pytest.fixture
def fitted(monkeypatch):
    """Stand in for the training at the end, and remember what it was asked for."""
    asked = []

    def fit(source, target, options, found):
        asked.append((options.given, found))
        schema = Schema((Column("a", "number"),), (Column(target, "yes/no"),), "binary", ("no", "yes"), 120)
        split = Split(86, 10, 24, "rows at random")
        held_out = HeldOut(frame(), np.zeros(0), np.zeros(0))
        return Trained(
            None,
            schema,
            {},
            {},
            "It does.",
            held_out,
            History(("epoch",)),
            split,
            source="<table>",
            settings={"parameters": found},
        )

    monkeypatch.setattr(tuning, "fit", fit)
    return asked


def test_tune_finds_what_is_at_least_as_good_as_the_default_and_fits_it(tmp_path, fitted):
    path = tmp_path / "table.csv"
    frame(200).write_csv(path)
    trials = []
    options = {"parameters": {"max_iter": 5, "hidden_layer_sizes": (8,)}}
    tuned = tune(
        path,
        "target",
        trials=9,
        folds=2,
        out=tmp_path / "run",
        on_trial=lambda trial, _: trials.append(trial),
        **options,
    )
    assert tuned.value <= tuned.default_value
    assert tuned.trials[0].value == tuned.default_value
    assert tuple(trials) == tuned.trials
    assert min(t.value for t in tuned.trials if t.state == "complete") == tuned.value
    assert fitted == [(options, space_module.arguments(tuned.best))]
    assert sum(tuned.importance.values()) == pytest.approx(1)
    assert "\nimportance\n" in summary(tuned)
    tuning.save(tuned, tmp_path)
    page = (tmp_path / page_module.PAGE).read_text()
    assert "&lt;table&gt;" in page
    assert not [part for part in ("<script", "http:", "https:") if part in page]
    assert len((tmp_path / page_module.TRIALS).read_text().splitlines()) == 10
    assert "| trial |" in (tmp_path / page_module.TEXT).read_text()
    assert "<svg" in page
    again = tune(path, "target", trials=9, folds=2, out=tmp_path / "run", **options)
    assert again.trials == tuned.trials, "the same command begins no other trial"
    frame(201).write_csv(path)
    with pytest.raises(ValueError, match=r"is the study of another search \(data\): choose"):
        tune(path, "target", trials=9, folds=2, out=tmp_path / "run", **options)


@pytest.mark.parametrize(("given", "metric", "chosen_by"), [
    ({"threshold": "auto"}, "f1", "F1 score"), ({"threshold": "auto", "metric": "auc"}, "f1", "ROC AUC"),
    ({"metric": "balanced-accuracy"}, "balanced_accuracy", "balanced accuracy"), ({"threshold": "cost:9:1"}, None, "log loss"),
])  # fmt: skip
def test_the_threshold_of_the_last_fit_is_best_out_of_fold(given, metric, chosen_by, fitted):
    tuned = tune(frame(), "target", trials=2, folds=2, parameters=SHORT, **given)
    found = fitted[0][1]["threshold"]
    assert tuned.measure == chosen_by
    assert any("thresholds have the best" in note for note in tuned.trained.notes) == (metric is not None)
    if metric is None:
        assert found == pytest.approx(0.1)
        return
    _, of = tuning.prepare(frame(), "target", 2, Options(parameters=SHORT), **{"metric": None, **given})
    folds = []
    of.evaluate(tuned.best, silent, lambda number, classes, p: folds.append((of.folds[number][1], p.ravel())))
    rows, p = map(np.concatenate, zip(*folds, strict=True))
    y = of.y[rows] == "yes"
    score = {"f1": f1_score, "balanced_accuracy": balanced_accuracy_score}[metric]
    assert 0 < found < 1
    assert score(y, p > found) == pytest.approx(max(score(y, p >= at) for at in p))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_thresholds_of_several_classes_or_labels(task):
    of = problem(count=2, fixed={**SHORT, "max_iter": 1})
    rng = np.random.default_rng(0)
    y = rng.choice(["u", "v", "w"], 120) if task == "multiclass" else rng.integers(0, 2, (120, 3))
    of = dataclasses.replace(of, y=y, task=task, metric="f1", thresholds="f1", _prepared={})
    found = of.best_thresholds(of.default)
    assert found.shape == (3,)
    assert ((found > 0) & (found < 1)).all()
    assert task == "multilabel" or found.sum() == pytest.approx(1)


def test_what_chose_the_network_is_said(tmp_path, fitted):
    tuned = tune(frame(), "target", trials=3, folds=2, metric="auc", parameters=SHORT)
    assert (tuned.measure, tuned.larger) == ("ROC AUC", True)
    assert tuned.value == max(t.value for t in tuned.trials if t.state == "complete") >= tuned.default_value
    assert page_module.complete(tuned)[0].value == tuned.value
    assert tuned.trained.settings["chosen_by"] == "ROC AUC"
    assert tuned.trained.notes == ("the network was chosen by the ROC AUC, in a search.",)
    assert tuned.trained.command.endswith("# chosen by the ROC AUC")
    said = page_module.sentence(dataclasses.replace(tuned, value=0.9, default_value=0.75))
    assert "ROC AUC 0.9000 over 2 folds, 20.0% more than the default's 0.7500" in said
    tuning.save(tuned, tmp_path)
    page = (tmp_path / page_module.TEXT).read_text()
    assert "chosen by the ROC AUC" in page
    assert "the ROC AUC along each of them" in page
    assert "loss" not in page.replace("the loss of", "").replace("log loss", "")


def test_the_rows_that_are_held_out_are_never_seen(monkeypatch, fitted):
    table = frame(200).with_columns(pl.Series("row", np.random.default_rng(0).permutation(200) * 1.5))
    y = table["target"].to_numpy()
    _, _, test, _ = splitting.split(SplitRule(0.2, 0.1, 3, stratify=True), table, y)
    seen = set()

    def evaluate(self, point, report):
        seen.update(self.frame["row"])
        return Outcome([1.0] * 5, [1] * 5, 0.1)

    monkeypatch.setattr(Problem, "evaluate", evaluate)
    tune(table, "target", trials=1, seed=3)
    assert len(seen) == 160
    assert not seen & set(table["row"].to_numpy()[test])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either --trials or --minutes"),
        ({"trials": 3, "minutes": 1.0}, "give either --trials or --minutes"),
        ({"trials": 0}, "--trials: expected a whole number of at least 1, got 0"),
        ({"minutes": -1.0}, "--minutes: expected a number above 0, got -1"),
        ({"minutes": float("nan")}, "--minutes: expected a number above 0, got nan"),
        ({"trials": 1, "folds": 1}, "--folds: expected a whole number from 2 to 100, got 1"),
        ({"trials": 1, "jobs": 0}, "--n-jobs: expected a whole number of at least 1, got 0"),
        ({"trials": 1, "folds": 50}, "fewer than two classes have the 50 rows|too few for 50 folds"),
        ({"trials": 1, "target": "tarqet"}, "'tarqet' is not in the table. Did you mean 'target'"),
        ({"trials": 1, "target": "one"}, "'one' is constant"),
        ({"trials": 1, "drop": ["z"]}, "no input column 'z'"),
        ({"trials": 1, "metric": "mae"}, "metric: the target is a class: expected one of accuracy, .*, got 'mae'"),
        ({"trials": 1, "metric": "aux"}, "unknown metric 'aux'"),
        ({"trials": 1, "threshold": 1.5}, "threshold: expected a number between 0 and 1, .*, got 1.5"),
        ({"trials": 1, "threshold": 0.3, "metric": "f1"}, "threshold: the metric 'f1' chooses thresholds: omit one of"),
        ({"trials": 1, "source": "-"}, "standard input can be read only once: give a file"),
    ],
)
def test_bad_input_is_said_in_a_sentence(options, message):
    table = frame().with_columns(one=pl.lit("x"))
    with pytest.raises(ValueError, match=message):
        tune(options.pop("source", table), options.pop("target", "target"), **options)


def test_the_command(tmp_path, monkeypatch, fitted):
    runner = CliRunner()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("chainrule.tables.save", lambda trained, folder, overwrite=False: None)
    frame(60).write_csv("people.csv")
    command = ["tune", "people.csv", "--target", "target", "--trials", "2", "--folds", "2"]
    done = runner.invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "\ntrial 2/2 " in done.stdout
    assert "verdict  It does." in done.stdout
    assert (tmp_path / "runs/people-tune/tuning.html").exists()
    assert "resumed: 2 trials" in runner.invoke(app, command).stdout
    quiet = runner.invoke(app, [*command, "--quiet"]).stdout
    assert [line.split()[0] for line in quiet.splitlines()] == ["best", "verdict", "results"]
    other = runner.invoke(app, [*command, "--drop", "a", "--categorical", "b", "--group", "c", "--out", "other"])
    assert other.exit_code == 0, other.output
    assert fitted[-1][0] == {"drop": ["a"], "categorical": ["b"], "group": "c"}
    mixed = runner.invoke(app, [*command, "--drop", "a"])
    assert "is the study of another search (set of options): choose another --out" in mixed.stderr
    bad = runner.invoke(app, [*command[:4], "--trials", "0"])
    assert bad.exit_code == 2
    assert bad.stderr == "Error: --trials: expected a whole number of at least 1, got 0.\n"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no masks of signals")
def test_a_process_that_trains_trials_hears_no_ctrl_c_from_its_first_moment_on():
    code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with workers._no_ctrl_c():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_what_ctrl_c_leaves_half_trained_is_not_the_best(monkeypatch):
    class Stops(Callback):
        def on_epoch(self, run):
            run.stop("interrupted by Ctrl-C")

    monkeypatch.setattr(tuning, "train", functools.partial(tuning.train, callbacks=[Stops()]))
    options = Options(parameters={"hidden_layer_sizes": (4,), "max_iter": 5})
    with pytest.raises(KeyboardInterrupt):
        tuning.fit(frame(60), "target", options, {})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"is not empty and has no study\.log: choose another --out"):
        tune(frame(), "target", trials=1, out=tmp_path / "run")
    with pytest.raises(NotADirectoryError, match=r"notes\.txt is a file, or in one: choose another --out"):
        tune(frame(), "target", trials=1, out=tmp_path / "run/notes.txt")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame(60).write_csv("people.csv")

    def interrupt(self, values, tell):
        raise KeyboardInterrupt

    monkeypatch.setattr(Problem, "evaluate", interrupt)
    done = CliRunner().invoke(app, ["tune", "people.csv", "--target", "target", "--trials", "2"])
    assert done.exit_code == 130
    assert "rerun the same command to resume" in done.stderr


# ---------------------------------------------------------------- a study that somebody else wrote


def crafted(folder, **changes):
    """Change the operations of a study's journal, as whoever crafts one would; None leaves an operation out."""
    path = folder / studies.FILE
    operations = [json.loads(line) for line in path.read_text().splitlines()]
    for name, change in changes.items():
        operations = [new for old in operations for new in (change(old) if name in old else [old])]
    path.write_text("".join(f"{json.dumps(operation)}\n" for operation in operations))


def param(name, value):
    def change(operation):
        return [{**operation, "param_value_internal": value} if operation["param_name"] == name else operation]

    return {"param_name": change}


def note(name, value):
    def change(operation):
        return [{**operation, "user_attr": {name: value}} if name in operation["user_attr"] else operation]

    return {"user_attr": change}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (param("dropout", 0.9), "dropout=0.9, which is not in the"),
        (param("dropout", float("nan")), "dropout=nan, which is not in the"),
        (param("label_smoothing", 0.9), "label_smoothing=0.9"),
        (param("activation", 99), "index out of range"),
        ({"param_name": lambda old: [] if old["param_name"] == "alpha" else [old]}, "alpha=None"),
        ({"values": lambda old: [{**old, "values": [float("-inf")]}]}, "has no value"),
        ({"values": lambda old: [{**old, "values": None}]}, "has no value"),
        ({"intermediate_value": lambda old: [{**old, "intermediate_value": "x"}]}, "not numbers"),
        (note("seconds", "x"), "not numbers"),
        (note("folds", []), "not numbers"),
        (note("folds", {"a": 1}), "not numbers"),
    ],
)
def test_a_point_outside_of_the_space_is_never_trained_or_the_best(changes, message, tmp_path):
    run(tmp_path, 1)
    crafted(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"study.log is damaged or not an Optuna study .*{message}"):
        run(tmp_path, 2)


def test_a_point_in_the_queue_outside_of_the_space_is_not_tried(tmp_path):
    of = problem()
    with opened(tmp_path, of) as study:
        study.enqueue_trial({**of.default, "dropout": 7.0})
    with pytest.raises(ValueError, match=r"dropout=7\.0, which is not in the search space"):
        run(tmp_path, 5)


def test_a_study_that_is_too_large_is_not_read(tmp_path):
    run(tmp_path, 1)
    with (tmp_path / studies.FILE).open("ab") as file:
        file.truncate(studies.LARGEST + 1)  # a hole, which takes no room
    with pytest.raises(ValueError, match=r"study\.log is damaged .*bytes are more than the limit"):
        run(tmp_path, 1)


def test_a_journal_that_takes_long_to_replay_or_has_too_many_trials_is_refused(tmp_path, monkeypatch):
    """Optuna copies a trial's values at each operation on it: a few megabytes of them would take hours."""
    run(tmp_path, 1)
    path = tmp_path / studies.FILE
    start = path.read_text()
    path.write_text(
        start + '{"op_code":4,"worker_id":"a","study_id":0,"datetime_start":null}\n' * (studies.MOST_TRIALS)
    )
    with pytest.raises(ValueError, match="or has over 50,000 trials"):
        run(tmp_path, 1)
    trial = '{"op_code":4,"worker_id":"a","study_id":0,"datetime_start":null}\n'
    steps = "".join(
        f'{{"op_code":7,"worker_id":"a","trial_id":1,"step":{i},"intermediate_value":1.0}}\n' for i in range(20_000)
    )
    path.write_text(start + trial + steps)
    monkeypatch.setattr(studies, "SLOWEST", 0.2)
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"it takes more than 0\.2 seconds to read"):
        run(tmp_path, 1)
    assert time.monotonic() - began < 2


NEW_TRIAL = b'{"op_code":4,"worker_id":"a","study_id":0,"datetime_start":null}\n'
NOTES = {
    "trial": b'{"op_code":8,"worker_id":"a","trial_id":1,"user_attr":{"%d":1}}\n',
    "study": b'{"op_code":2,"worker_id":"a","study_id":0,"user_attr":{"%d":1}}\n',
}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (NEW_TRIAL * 1001, "its 1,001 unfinished trials are more than the limit"),
        (b'{"op_code":2,"user_attr":{"x":[' + b"[]," * 30_000 + b"[]]}}\n", "a line of more than 65,536 bytes"),
        (NEW_TRIAL + b"".join(NOTES["trial"] % i for i in range(101)), "trial 1 has more than 100 attributes"),
        (b"".join(NOTES["study"] % i for i in range(101)), "it takes more than 30 seconds to read, or has over"),
    ],
)
def test_what_would_take_long_when_the_study_is_resumed_is_refused(lines, message, tmp_path):
    run(tmp_path, 1)
    with (tmp_path / studies.FILE).open("ab") as file:
        file.write(lines)
    with pytest.raises(ValueError, match=message):
        run(tmp_path, 1)


@pytest.mark.parametrize("kind", ["a folder", "a pipe"])
def test_a_study_that_is_not_a_file_is_refused(kind, tmp_path):
    path = tmp_path / studies.FILE
    if kind == "a folder":
        path.mkdir()
        (path / "file").touch()
    elif hasattr(os, "mkfifo"):
        os.mkfifo(path)
    else:
        pytest.skip("no pipes here")
    with pytest.raises(ValueError, match=r"study\.log is damaged .*not a regular file"):
        run(tmp_path, 1)
