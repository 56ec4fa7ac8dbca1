"""Tables train an ensemble by default: the same from Python, the command line, the script, the folder and ONNX."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule import tables
from chainrule.cli.app import app
from chainrule.tables import models, row_inputs
from chainrule.tables.explaining import explain
from chainrule.tables.loading import load
from chainrule.tables.report import build
from test_tables_script import printed
from test_tables_training import passengers

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*perfectly|.*leak:UserWarning")]


def frame(rows=120, seed=0):
    """A table with every kind of column but text, with missing values, and three targets."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 12, rows).round(1)
    plan = rng.choice(["free", "pro", "team"], rows)
    return pl.DataFrame({
        "age": pl.Series(np.where(rng.random(rows) < 0.1, np.nan, age), nan_to_null=True),
        "plan": plan,
        "vip": rng.choice(["no", "yes"], rows),
        "town": [f"town {i}" for i in rng.integers(0, 40, rows)],
        "since": [f"20{10 + i % 12}-{1 + i % 12:02}-{1 + i % 28:02}" for i in rng.integers(0, 9999, rows)],
        "left": np.where((age > 40) ^ (plan == "pro"), "yes", "no"),
        "grade": np.digitize(age, [32, 45]),
        "spent": np.exp(age / 40 + rng.normal(0, 0.2, rows)).round(2),
    })  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    return {target: tables.train(frame().drop({"left", "grade", "spent"} - {target}), target)
            for target in ("left", "grade", "spent")}  # fmt: skip


@pytest.mark.parametrize("target", ["left", "grade", "spent"])
def test_the_folder_and_onnx_predict_the_same(target, trained, tmp_path):
    run = trained[target]
    assert models.is_ensemble(run.pipeline[-1])
    assert run.split.validation == 0
    (said,) = tables.save(run, tmp_path / "run")
    assert "onnxruntime agrees" in said
    saved = tables.load(tmp_path / "run")
    new = frame(30, seed=1).with_columns(plan=pl.Series(["new", None, *["pro"] * 28]))
    ours, theirs = (tables.predict(model, new)[0] for model in (run, saved))
    assert ours.equals(theirs)
    alone = cr.load(tmp_path / "run" / "model.safetensors").predict(new)  # with NumPy alone
    expected = ours["prediction"].to_numpy()
    if target == "spent":
        np.testing.assert_allclose(alone, expected, rtol=1e-9)
    else:
        np.testing.assert_array_equal(alone, expected)


def test_the_report_speaks_of_rows_out_of_fold(trained):
    text = build(trained["left"]).markdown
    assert "Rows: training 96, test 24." in text
    assert re.search(r"\| epoch \| training \| out of fold \|", text)
    assert re.search(r"Best out of fold after epoch \d+: [\d.]+\.", text)
    assert "validation" not in text.replace("cross-validation", "")


def test_numbers_that_are_never_negative_have_intervals_without_negative_ends(trained):
    frame_of, _ = tables.predict(trained["spent"], frame(30, seed=2), interval=0.5)
    assert frame_of["low"].min() >= 0
    assert (frame_of["low"] <= frame_of["prediction"]).all()


@pytest.mark.parametrize("options", [{}, {"group": "family"}, {"time_column": "day"}, {"test": 0.3, "seed": 5}])
def test_the_script_prints_the_same_scores(options, tmp_path):
    path = tmp_path / "t.csv"
    passengers().write_csv(path)
    text = tables.script(path, "survived", **options)
    assert "network = TabularClassifier(random_state=" in text
    assert "validation" not in text
    assert printed(text) == tables.train(path, "survived", **options).scores


def test_groups_stay_within_a_fold(monkeypatch):
    table = passengers()
    given = {}
    fit = cr.TabularClassifier.fit

    def spied(self, X, y, sample_weight=None, groups=None):
        given["groups"] = groups
        return fit(self, X, y, sample_weight, groups)

    monkeypatch.setattr(cr.TabularClassifier, "fit", spied)
    tables.train(table, "survived", group="family")
    loaded = load(table, "survived", group="family", validation=0.0)
    family = loaded.frame["family"].cast(pl.String).fill_null("(missing)").to_numpy()
    np.testing.assert_array_equal(given["groups"], family[loaded.train])


@pytest.mark.parametrize(
    "options",
    [{"fast": True}, {"parameters": {"max_iter": 2}}, {"patience": 3}, {"validation": 0.2}],
)
def test_options_of_a_single_network_train_one(options):
    trained = tables.train(frame().drop("grade", "spent"), "left", **{"parameters": {"max_iter": 2}, **options})
    assert not models.is_ensemble(trained.pipeline[-1])
    assert trained.split.validation > 0


def test_class_weights_are_for_ensembles_too():
    assert not tables.Options(parameters={"class_weight": "balanced"}).single


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minutes": 1, "fast": True}, "minutes: applies to an ensemble, but fast asks for a single network"),
        ({"minutes": 0}, r"minutes: expected a number in \(0"),
        ({"validation": 0.0}, r"validation: expected a number in \(0, 1\)"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tables.train(frame(), "left", **options)


@pytest.mark.parametrize("target", ["left", "spent"])
def test_a_row_is_explained_from_its_columns_to_the_inputs_of_a_network(target, trained, tmp_path):
    tables.save(trained[target], tmp_path / "run")
    run = tables.load(tmp_path / "run")
    model = run.pipeline[-1]
    names = row_inputs.encoded_names(model, row_inputs.names(run))
    assert len(names) == model.ensemble_.encoding.inputs == model.members_[0].input_shape[0]
    worked = explain(run, frame(), 3, "t.csv")
    x = worked.steps[0].table
    assert [row[0] for row in x[1:] if row[0]] == [column.name for column in run.schema.used]
    prediction = next(step for step in worked.steps if step.phase == "prediction")
    assert "the mean of 10 networks" in " ".join(prediction.worked)


def test_the_terminal_tells_what_is_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame().drop("grade", "spent").write_csv("t.csv")
    result = CliRunner().invoke(app, ["train", "t.csv", "--target", "left", "--minutes", "5"])
    assert result.exit_code == 0, result.output
    assert "training, each fifth of them in turn for validation, " in result.stdout
    assert re.search(r"^training   100%  epoch 64 of 64, network \d+ of 10  in \d+ s$", result.stdout, re.MULTILINE)
    checked = CliRunner().invoke(app, ["check", "runs/t", "t.csv"])
    assert checked.exit_code == 0, checked.output


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_killed_run_resumes_to_the_same_model(tmp_path):
    """Bit for bit, and nothing is left of the checkpoints."""
    frame(6000).drop("grade", "spent", "since").write_csv(tmp_path / "t.csv")
    command = [sys.executable, "-m", "chainrule", "train", "t.csv", "--target", "left", "--quiet"]

    def complete(*more):
        done = subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr

    complete("--out", "whole")
    there = tmp_path / "killed" / "checkpoints" / "ensemble-checkpoint.safetensors"
    silent = subprocess.DEVNULL
    with subprocess.Popen([*command, "--out", "killed"], cwd=tmp_path, stdout=silent, stderr=silent) as killed:
        deadline = time.monotonic() + 120
        while not there.exists() and killed.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(killed.pid, signal.SIGKILL)
    assert there.exists()
    complete("--resume", "killed")
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert files[0] == files[1]
    assert not Path(there).parent.exists()
