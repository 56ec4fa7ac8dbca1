"""Tuning: the space, the folds, the objective without leakage, the study that goes on, pruning, and the time."""

import os
import signal
import sqlite3
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.metrics import log_loss, root_mean_squared_error

pl = pytest.importorskip("polars")
optuna = pytest.importorskip("optuna")

from typer.testing import CliRunner  # noqa: E402

from chainrule.cli.app import app  # noqa: E402
from chainrule.tables import models, splitting  # noqa: E402
from chainrule.tables.result import HeldOut, Split, Trained  # noqa: E402
from chainrule.tables.schema import Column, Schema  # noqa: E402
from chainrule.tables.splitting import Plan  # noqa: E402
from chainrule.tables.tuning import data as data_module  # noqa: E402
from chainrule.tables.tuning import folds as folds_module  # noqa: E402
from chainrule.tables.tuning import objective as objective_module  # noqa: E402
from chainrule.tables.tuning import pruning, saving, tune, workers  # noqa: E402
from chainrule.tables.tuning import space as space_module  # noqa: E402
from chainrule.tables.tuning import study as studies  # noqa: E402
from chainrule.tables.tuning.objective import Outcome, Problem  # noqa: E402
from chainrule.tables.tuning.search import Search  # noqa: E402
from chainrule.training.callbacks import Callback  # noqa: E402
from chainrule.training.history import History  # noqa: E402
from small_tuning import SHORT, STRATIFIED, frame, problem, run, searched  # noqa: E402


def untimed(records):
    return [(r.state, r.value, r.folds, r.point) for r in records]


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
        assert dimension.distribution().single() is False, dimension.name
    values = objective_module.arguments(ends)
    of = problem(fixed={"max_iter": 1})
    assert of.evaluate(ends, lambda step, value: "").value > 0
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
    for a, b in folds_module.folds(Plan(0.2, 0.1, 0, group="g"), 3, table, y):
        assert not set(table["g"].to_numpy()[a]) & set(table["g"].to_numpy()[b])
    for a, b in folds_module.folds(Plan(0.2, 0.1, 0, time="t"), 3, table, y):
        assert table["t"].to_numpy()[a].max() < table["t"].to_numpy()[b].min()


def test_a_class_of_two_rows_is_trained_on_in_every_fold():
    y = np.array(["a"] * 30 + ["b"] * 30 + ["c"] * 2)
    for a, b in folds_module.folds(STRATIFIED, 3, pl.DataFrame({"y": y}), y):
        assert {60, 61} <= set(a.tolist())
        assert not {60, 61} & set(b.tolist())


@pytest.mark.parametrize(
    ("y", "plan", "message"),
    [
        (np.array([0, 1] * 2), Plan(0.2, 0.1, 0), "4 rows to train on are too few for 3 folds"),
        (np.array([0] * 20 + [1, 2]), STRATIFIED, "fewer than two classes have the 3 rows"),
        (np.array([0, 1] * 9), Plan(0.2, 0.1, 0, group="g"), "2 groups to train on, too few for 3 folds"),
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
    default = searched(of)[1]
    first = of.evaluate(default, lambda step, value: "")
    assert len(seen) == len(of.folds)
    for (X, y), (train, _) in zip(seen, of.folds, strict=True):
        assert X.equals(of.frame[train])
        assert (y == of.y[train]).all()
    assert of.evaluate(default, lambda step, value: "").values == first.values
    assert len(seen) == len(of.folds), "a second trial has the same folds and prepares nothing again"


def test_the_value_is_the_loss_that_scikit_learn_measures():
    of = problem(count=2, fixed={**SHORT, "max_iter": 1, "label_smoothing": 0.2})
    default = searched(of, of.fixed)[1]
    outcome = of.evaluate(default, lambda step, value: "")
    fold = of.prepare(0)
    given = models.parameters(len(of.y), "binary", 0, of.fixed)
    with pytest.warns():  # of one epoch
        model = models.network("binary", given, 0).fit(fold.X, fold.y)
    assert outcome.values[0] == pytest.approx(log_loss(fold.y_val, model.predict_proba(fold.X_val)), rel=1e-5)

    of = problem("regression", count=2, fixed={**SHORT, "max_iter": 1})
    outcome = of.evaluate(searched(of)[1], lambda step, value: "")
    fold = of.prepare(1)
    model = models.network("regression", models.parameters(len(of.y), "regression", 0, of.fixed), 0)
    with pytest.warns():
        model.fit(fold.X, fold.y)
    assert outcome.values[1] == pytest.approx(root_mean_squared_error(fold.y_val, model.predict(fold.X_val)), rel=1e-4)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_value_of_several_classes_or_labels(task):
    of = problem(count=2, fixed={**SHORT, "max_iter": 1})
    rng = np.random.default_rng(0)
    of.y = rng.choice(["u", "v", "w"], 120) if task == "multiclass" else rng.integers(0, 2, (120, 3))
    of.task = task
    outcome = of.evaluate(searched(of)[1], lambda step, value: "")
    fold = of.prepare(0)
    model = models.network(task, models.parameters(len(of.y), task, 0, of.fixed), 0)
    with pytest.warns():  # of one epoch
        model.fit(fold.X, fold.y)
    p = model.predict_proba(fold.X_val)
    columns = [log_loss(fold.y_val[:, k], p[:, k]) for k in range(3)] if task == "multilabel" else None
    expected = np.mean(columns) if columns else log_loss(fold.y_val, p)
    assert outcome.values[0] == pytest.approx(expected, rel=1e-5)


def test_a_class_that_a_fold_never_saw_is_as_wrong_as_can_be():
    of = problem(count=2, fixed={**SHORT, "max_iter": 1})
    of.y = of.y.copy()
    of.folds = [(np.arange(60), np.arange(60, 64))]
    of.y[60] = "zebra"
    value = of.evaluate(searched(of)[1], lambda step, value: "").value
    assert -np.log(1e-7) / 4 < value < -np.log(1e-7) / 4 + 5


def test_steps_are_running_means_over_folds():
    of, heard = problem(), []
    outcome = of.evaluate(searched(of)[1], lambda step, value: heard.append((step, value)) or "")
    assert [step for step, _ in heard] == list(range(12))
    assert heard[3][1] == pytest.approx(outcome.values[0])
    assert heard[7][1] == pytest.approx(np.mean(outcome.values[:2]))
    assert heard[11][1] == pytest.approx(outcome.value)


# ---------------------------------------------------------------- the study


def test_a_study_that_is_stopped_goes_on_as_if_nothing_had_happened(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = run(tmp_path / "a", 14)
    stop = iter(range(100))

    def interrupt(step):
        if next(stop) == 10:  # the sampler has begun to learn
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 14, heard=interrupt)
    assert untimed(run(tmp_path / "b", 14)) == untimed(whole)
    assert {r.state for r in whole} == {"whole", "pruned"}
    assert len({str(r.point) for r in whole}) == 14
    assert untimed(run(tmp_path / "b", 14)) == untimed(whole), "a study that has its trials begins no other"


def test_a_trial_that_was_running_when_the_process_died_is_tried_again(tmp_path):
    of = problem()
    dimensions, default = searched(of)
    with studies.opened(tmp_path / "study.db", 0, {"seed": 0}, default) as study:
        left = [studies.ask(study, 0, dimensions, i) for i in range(3)]
    with studies.opened(tmp_path / "study.db", 0, {"seed": 0}, default) as study:
        states = [trial.state.name for trial in study.trials]
        assert states == ["FAIL"] * 3 + ["WAITING"] * 3
        again = [studies.ask(study, 0, dimensions, 0).params for _ in range(3)]
    assert again == [trial.params for trial in left]
    assert again[0] == default


def test_workers_find_what_one_process_finds(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    alone, two = run(tmp_path / "a", 3), run(tmp_path / "b", 3, jobs=2)
    assert len(two) == 3
    same = {str(r.point): r.value for r in alone if r.state == "whole"}
    assert two[0].point == alone[0].point
    assert two[0].value == pytest.approx(same[str(two[0].point)], rel=1e-5)
    assert "CHAINRULE_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("about", [{"data": "other"}, {"target": "other"}, {"space": []}])
def test_a_study_of_something_else_is_refused(about, tmp_path):
    first = {"data": "a", "target": "b", "space": [1]}
    run(tmp_path, 1, about=first)
    with pytest.raises(ValueError, match=f"is a study with another {next(iter(about))}: choose another --out"):
        run(tmp_path, 1, about={**first, **about})


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" + bytes(200), "cut", "other"])
def test_a_damaged_study_is_said_in_a_sentence(content, tmp_path):
    path = tmp_path / studies.FILE
    if content == "cut":
        run(tmp_path, 1)
        path.write_bytes(path.read_bytes()[:20_000])
    elif content == "other":
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE studies (a)")
        connection.commit()
        connection.close()
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"study\.db is damaged or no study of Optuna \(.*\): move it away, or"):
        run(tmp_path, 1)


def test_a_folder_may_have_any_name(tmp_path):
    folder = tmp_path / "50 % {a}#b?c&d=é"
    folder.mkdir()
    assert untimed(run(folder, 1)) == untimed(run(folder, 1))
    assert (folder / studies.FILE).stat().st_size > 10_000


def test_two_processes_do_not_tune_in_one_folder(tmp_path):
    with (
        studies.locked(tmp_path),
        pytest.raises(ValueError, match="another process is tuning in"),
        studies.locked(tmp_path),
    ):
        pass
    with studies.locked(tmp_path):
        pass


# ---------------------------------------------------------------- pruning and time


def test_a_trial_above_the_median_is_pruned_but_never_the_default(tmp_path, monkeypatch):
    monkeypatch.setattr(pruning, "FIRST", 1)
    of = problem()
    dimensions, default = searched(of)
    with studies.opened(tmp_path / "study.db", 0, {"seed": 0}, default) as study:
        search = Search(study, of, dimensions, default, 5, None)
        search._others = [dict.fromkeys(range(12), 0.0)]
        number, point = search.ask()
        assert point == default
        assert [search.report(number, step, 1.0) for step in range(8)] == [""] * 8
        number, point = search.ask()
        assert [search.report(number, step, 1.0) for step in range(7)] == [""] * 5 + ["pruned"] * 2


def test_minutes_bound_the_search(tmp_path):
    steps = []
    records = run(tmp_path, None, seconds=2.0, heard=steps.append)
    assert len(records) == len(steps) > 1
    assert steps[-1].left < 1.5


def test_a_limit_of_time_waits_for_the_default(tmp_path):
    assert [r.state for r in run(tmp_path, None, seconds=1e-6)] == ["whole"]


# ---------------------------------------------------------------- the door and the command


@pytest.fixture
def fitted(monkeypatch):
    """Stand in for the training at the end, and remember what it was asked for."""
    asked = []

    def fit(source, target, seed, options, arguments):
        asked.append((options, arguments))
        schema = Schema((Column("a", "number"),), (Column(target, "yes/no"),), "binary", ("no", "yes"), 120)
        split = Split(86, 10, 24, "rows at random")
        held_out = HeldOut(frame(), np.zeros(0), np.zeros(0))
        return Trained(None, schema, {}, {}, "It does.", held_out, History(()), split, source="<table>")

    monkeypatch.setattr(data_module, "fit", fit)
    return asked


def test_tune_finds_what_is_at_least_as_good_as_the_default_and_fits_it(tmp_path, fitted):
    path = tmp_path / "table.csv"
    frame(200).write_csv(path)
    steps = []
    options = {"parameters": {"max_iter": 5, "hidden_layer_sizes": (8,)}}
    tuned = tune(path, "target", trials=9, folds=2, out=tmp_path / "run", heard=steps.append, **options)
    assert tuned.value <= tuned.default_value
    assert tuned.trials[0].value == tuned.default_value
    assert [step.number for step in steps] == list(range(1, 10))
    assert min(t.value for t in tuned.trials if t.state == "whole") == tuned.value == steps[-1].best
    assert fitted == [(options, space_module.arguments(tuned.best))]
    assert sum(tuned.importance.values()) == pytest.approx(1)
    assert "what mattered" in tuned.table()
    saving.save(tuned, tmp_path)
    page = (tmp_path / saving.PAGE).read_text()
    assert "&lt;table&gt;" in page
    assert not [part for part in ("<script", "http:", "https:") if part in page]
    assert len((tmp_path / saving.TRIALS).read_text().splitlines()) == 10
    assert "| trial |" in (tmp_path / saving.TEXT).read_text()
    assert "<script" not in tuned._repr_html_()
    again = tune(path, "target", trials=9, folds=2, out=tmp_path / "run", **options)
    assert again.trials == tuned.trials, "the same command begins no other trial"
    frame(201).write_csv(path)
    with pytest.raises(ValueError, match="is a study with another data: choose"):
        tune(path, "target", trials=9, folds=2, out=tmp_path / "run", **options)


def test_the_rows_that_are_held_out_are_never_seen(monkeypatch, fitted):
    table = frame(200).with_columns(pl.Series("row", np.random.default_rng(0).permutation(200) * 1.5))
    y = table["target"].to_numpy()
    _, _, test, _ = splitting.split(Plan(0.2, 0.1, 3, stratify=True), table, y)
    seen = set()

    def evaluate(self, values, tell):
        seen.update(self.frame["row"])
        return Outcome([1.0], [1], 0.1)

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
        ({"trials": 1, "target": "one"}, "'one' has one value only"),
        ({"trials": 1, "drop": ["z"]}, "there is no column 'z' to learn from"),
        ({"trials": 1, "source": "-"}, "standard input only once: give a file"),
    ],
)
def test_bad_input_is_said_in_a_sentence(options, message):
    table = frame().with_columns(one=pl.lit("x"))
    with pytest.raises(ValueError, match=message):
        tune(options.pop("source", table), options.pop("target", "target"), **options)


def test_the_command(tmp_path, monkeypatch, fitted):
    runner = CliRunner()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Trained, "save", lambda self, folder, overwrite=False: None, raising=False)
    frame(60).write_csv("people.csv")
    command = ["tune", "people.csv", "--target", "target", "--trials", "2", "--folds", "2"]
    done = runner.invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "\ntrial 2/2 " in done.stdout
    assert "verdict  It does." in done.stdout
    assert (tmp_path / "runs/people-tune/tuning.html").exists()
    assert "goes on: 2 trials" in runner.invoke(app, command).stdout
    quiet = runner.invoke(app, [*command, "--quiet"]).stdout
    assert [line.split()[0] for line in quiet.splitlines()] == ["best", "verdict", "results"]
    other = runner.invoke(app, [*command, "--drop", "a", "--categorical", "b", "--group", "c", "--out", "other"])
    assert other.exit_code == 0, other.output
    assert fitted[-1][0] == {"drop": ["a"], "categorical": ["b"], "group": "c"}
    mixed = runner.invoke(app, [*command, "--drop", "a"])
    assert "is a study with another set of options: choose another --out" in mixed.stderr
    bad = runner.invoke(app, [*command[:4], "--trials", "0"])
    assert bad.exit_code == 2
    assert bad.stderr == "Error: --trials: expected a whole number of at least 1, got 0.\n"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no masks of signals")
def test_a_process_that_trains_trials_hears_no_ctrl_c_from_its_first_moment_on():
    code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with workers._deaf():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_what_ctrl_c_leaves_half_trained_is_not_the_best():
    class Stops(Callback):
        def on_epoch(self, run):
            run.stop("interrupted by Ctrl-C")

    options = {"parameters": {"hidden_layer_sizes": (4,), "max_iter": 5}, "callbacks": [Stops()]}
    with pytest.raises(KeyboardInterrupt):
        data_module.fit(frame(60), "target", 0, options, {})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"is not empty and has no study\.db: choose another --out"):
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
    assert "the same command goes on" in done.stderr


# ---------------------------------------------------------------- a study that somebody else wrote


def changed(folder, *statements):
    """Change the study in a folder, as whoever crafts one would."""
    connection = sqlite3.connect(folder / studies.FILE)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
HOSTILE = {
    "a view that never ends": [
        "ALTER TABLE trials RENAME TO old", f"CREATE VIEW trials AS {ENDLESS}",
    ],
    "a trigger": ["CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM studies; END"],
    "a virtual table": ["CREATE VIRTUAL TABLE v USING fts5(x)"],
    "a computed column": ["ALTER TABLE trials ADD COLUMN big AS (zeroblob(1000000000))"],
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_runs_when_a_study_is_read_is_refused(name, tmp_path):
    run(tmp_path, 1)
    changed(tmp_path, *HOSTILE[name])
    with pytest.raises(ValueError, match=r"study\.db is damaged or no study of Optuna \(it has .*\): move it away, or"):
        run(tmp_path, 1)


def test_a_study_that_is_too_large_is_not_opened(tmp_path):
    run(tmp_path, 1)
    with (tmp_path / studies.FILE).open("ab") as file:
        file.truncate(studies.LARGEST + 1)  # a hole, which takes no room
    with pytest.raises(ValueError, match=r"study\.db is damaged .*bytes are more than a study takes"):
        run(tmp_path, 1)


def test_a_statement_that_never_ends_is_ended(tmp_path, monkeypatch):
    """Whatever a file makes of a statement; and a value may not be larger than the file is."""
    monkeypatch.setattr(studies, "SLOWEST", 0.05)
    connection = studies._connection(tmp_path / studies.FILE)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        connection.execute(f"SELECT count(*) FROM ({ENDLESS})").fetchone()
    assert connection.execute("SELECT 1").fetchone() == (1,), "the time is that of one statement"
    with pytest.raises(sqlite3.DataError, match="too big"):
        connection.execute("SELECT zeroblob(1000000000)").fetchone()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE trial_params SET param_value = 0.9 WHERE param_name = 'dropout'", "dropout=0.9, which is not in the"),
        ("UPDATE trial_params SET param_value = 0.9 WHERE param_name = 'label_smoothing'", "label_smoothing=0.9"),
        ("DELETE FROM trial_params WHERE param_name = 'alpha'", "alpha=None"),
        ("UPDATE trial_values SET value = NULL, value_type = 'INF_NEG'", "has no value"),
        ("UPDATE trial_user_attributes SET value_json = '\"x\"' WHERE \"key\" = 'seconds'", "not numbers"),
        ("UPDATE trial_user_attributes SET value_json = '[]' WHERE \"key\" = 'folds'", "not numbers"),
    ],
)
def test_a_point_outside_of_the_space_is_never_trained_or_the_best(statement, message, tmp_path):
    run(tmp_path, 1)
    changed(tmp_path, statement)
    with pytest.raises(ValueError, match=message):
        run(tmp_path, 2)


def test_a_point_in_the_queue_outside_of_the_space_is_not_tried(tmp_path):
    of = problem()
    dimensions, default = searched(of)
    with studies.opened(tmp_path / studies.FILE, 0, {"seed": 0}, default) as study:
        study.enqueue_trial({**default, "dropout": 7.0})
        search = Search(study, of, dimensions, default, 5, None)
        search.ask()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match=r"dropout=7\.0, which is not in the space"):
                search.ask()
