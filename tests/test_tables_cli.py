"""The command line for tables: train, predict, and what it says when it cannot."""

import datetime as dt
import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import typing
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from chainrule import MLPClassifier
from chainrule.cli import options, resuming
from chainrule.cli import tables as cli
from chainrule.cli.app import app
from chainrule.cli.errors import in_one_sentence, warnings_at_the_end
from chainrule.cli.folder import claimed
from test_tables_training import passengers

pytestmark = pytest.mark.slow

QUICK = ["--epochs", "3", "--layers", "8"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    passengers().write_csv("titanic.csv")
    return tmp_path


def run(*arguments, status=0, **kwargs):
    result = CliRunner().invoke(app, [str(a) for a in arguments], **kwargs)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def refused(*arguments, match):
    result = run(*arguments, status=2)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert re.search(match, result.stderr), result.stderr


def test_train_and_predict(here):
    printed = run("train", "titanic.csv", "--target", "survived", *QUICK).stdout
    assert re.search(r"^sex +yes/no +0 +2  female = 0, male = 1$", printed, re.MULTILINE)
    assert re.search(r"^number +identifier .* dropped: values increase by one", printed, re.MULTILINE)
    assert "210 training, 30 validation, 60 test" in printed
    assert "note     a single network: an option was given that an ensemble does not have" in printed
    assert re.search(r"^accuracy +0\.\d+ +0\.\d+ to 0\.\d+ +0\.\d+ +0\.\d+ +0\.\d+$", printed, re.MULTILINE)
    assert "linear model" in printed
    folder = here / "runs" / "titanic"
    assert {"pipeline.skops", "model.safetensors", "schema.json", "config.json", "report.html"} <= {
        path.name for path in folder.iterdir()
    }
    assert json.loads((folder / "config.json").read_text())
    passengers().drop("survived").write_parquet("new.parquet")
    said = run("predict", folder, "new.parquet", "--out", "predictions.csv").stderr
    assert "Wrote 300 rows to predictions.csv" in said
    table = pl.read_csv("predictions.csv")
    assert table.columns == ["prediction", "p_no", "p_yes"]
    assert set(table["prediction"]) <= {"no", "yes"}
    run("predict", folder, "new.parquet", "--out", "predictions.parquet")
    assert pl.read_parquet("predictions.parquet").shape == (300, 3)
    assert run("predict", folder, "new.parquet").stdout.splitlines()[0] == "prediction,p_no,p_yes"


def test_warnings_are_lines_without_places_in_the_code(capsys):
    with warnings_at_the_end():
        for _ in range(2):
            warnings.warn("60 % of the units give 0.", UserWarning, stacklevel=1)
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "Warning: 60 % of the units give 0.\n"


@pytest.mark.slow
def test_tune_warns_of_what_tells_the_target():
    passengers().with_columns(copy=pl.col("survived")).write_csv("leak.csv")
    said = run("tune", "leak.csv", "--target", "survived", "--trials", "1", "--folds", "2", "--quiet").stderr
    assert "Warning: possible target leakage: the column 'copy' alone determines the target 'survived'" in said


def test_what_does_not_fit_is_said():
    run("train", "titanic.csv", "--target", "survived", *QUICK, "--quiet")
    frame = passengers(20)
    frame.drop("sex").write_csv("missing.csv")
    refused("predict", "runs/titanic", "missing.csv", match="'sex'")
    frame.with_columns(extra=pl.lit(1)).write_csv("extra.csv")
    assert "'extra'" in run("predict", "runs/titanic", "extra.csv").stderr
    frame.with_columns(port=pl.lit("Atlantis")).write_csv("unseen.csv")
    assert "port" in run("predict", "runs/titanic", "unseen.csv").stderr
    frame.with_columns(age=pl.lit("old")).write_csv("words.csv")
    refused("predict", "runs/titanic", "words.csv", match="'age' is a number, but row 1 has 'old'")
    run("predict", "runs/titanic", "words.csv", "--coerce")
    frame.head(0).write_csv("none.csv")
    refused("predict", "runs/titanic", "none.csv", match="no rows to predict")
    refused("predict", "runs/titanic", "titanic.csv", "--data", "here", match="--data applies only to data sets")


def test_a_number_has_an_interval():
    run("train", "titanic.csv", "--target", "age", *QUICK, "--quiet")
    table = run("predict", "runs/titanic", "titanic.csv", "--interval", "0.8").stdout.splitlines()
    assert table[0] == "prediction,low,high"
    prediction, low, high = map(float, table[1].split(","))
    assert low < prediction < high


def test_options_reach_the_network():
    run(
        "train", "titanic.csv", "--target", "survived", *QUICK, "--drop", "age,port", "--class-weight", "balanced",
        "--optimizer", "sgd", "--dropout", "0", "--test", "0.3", "--out", "here", "--quiet",
    )  # fmt: skip
    settings = json.loads((cli.Path("here") / "config.json").read_text())["settings"]
    assert settings["test"] == 0.3
    assert settings["drop"] == ["age", "port"]
    parameters = settings["parameters"]
    assert (parameters["solver"], parameters["class_weight"], parameters["hidden_layer_sizes"]) == (
        "sgd",
        "balanced",
        "(8,)",
    )


def test_from_standard_input():
    run("train", "-", "--target", "survived", *QUICK, "--quiet", input=passengers().write_csv())


def test_streamed(here):
    printed = run("train", "titanic.csv", "--target", "survived", *QUICK, "--stream").stdout
    assert "streamed: 300 rows" in printed
    assert run("predict", "runs/titanic", "titanic.csv").stdout.count("\n") == 301
    config = json.loads((here / "runs" / "titanic" / "config.json").read_text())
    assert config["sha256"] == hashlib.sha256((here / "titanic.csv").read_bytes()).hexdigest()
    assert config["command"].split()[0] == "chainrule"
    assert config["command"] in (here / "runs" / "titanic" / "report.html").read_text().replace("&#x27;", "'")


@pytest.mark.parametrize("options", [["--group", "family"], ["--time-column", "number"], ["--test", "titanic.csv"]])
def test_streamed_with_other_rows_held_out(options):
    option, value = options
    printed = run("train", "titanic.csv", "--target", "survived", *QUICK, "--stream", *options).stdout
    assert {"--group": "whole groups of 'family'", "--time-column": "the last rows by 'number'"}.get(
        option, f"the rows of {value}"
    ) in printed


def left(here, monkeypatch):
    """Leave a training that ends by a crash after its second epoch."""

    def crash(self, run):
        if run.epoch == 2:
            raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("chainrule.cli.resuming.EVERY", dt.timedelta(0))
        patch.setattr("chainrule.training.callbacks.Progress.on_epoch", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            run("train", "titanic.csv", "--target", "survived", *QUICK, "--class-weight", "balanced", "--out", "run")
    return here / "run"


def test_a_training_goes_on(here, monkeypatch):
    folder = left(here, monkeypatch)
    assert {path.name for path in folder.iterdir()} == {"checkpoints"}
    refused("train", "--resume", "run", "--layers", "9", match="--layers: the run in run was started with 8, got 9")
    refused("train", "--resume", "run", "--class-weight", "none", match="--class-weight: .* balanced, got none")
    refused("train", "--resume", "run", "--test", "0.3", match="--test: .* 0.2, got 0.3")
    refused("train", "other.csv", "--resume", "run", match="FILE: .* titanic.csv, got other.csv")
    refused("train", "--resume", "run", match="reads titanic.csv: give it again")
    refused("train", "--resume", "run", "--out", "b", match="--out does not go with --resume")
    refused("train", "--resume", "run", "--schedule", "cosine", match="--schedule applies only to data sets")
    with claimed(folder):
        refused("train", "titanic.csv", "--resume", "run", match="another process is training in run: choose")
    run("train", "titanic.csv", "--target", "survived", "--resume", "run", *QUICK)
    run("train", "titanic.csv", "--target", "survived", *QUICK, "--class-weight", "balanced", "--out", "whole")
    one, other = (json.loads((here / name / "config.json").read_text()) for name in ("run", "whole"))
    networks = [MLPClassifier.load(here / name / "model.safetensors").network_ for name in ("run", "whole")]
    assert np.array_equal(networks[0].theta, networks[1].theta)
    assert one["scores"] == other["scores"]
    assert not (folder / "checkpoints").exists()
    refused("train", "--resume", "run", match="is complete")


def test_another_table_or_a_damaged_plan_is_refused(here, monkeypatch):
    folder = left(here, monkeypatch)
    passengers().reverse().write_csv("titanic.csv")
    refused("train", "titanic.csv", "--resume", "run", match="data")
    path = folder / "checkpoints" / "run.json"
    plan = json.loads(path.read_text())
    for change in (
        {"options": {"seed": {}}},
        {"options": {"os.system": 1}},
        {"options": {"target": None}},
        {"source": None},
        {"options": {"layers": [[1]]}},
        {"kind": "song"},
        {"more": 1},
    ):
        path.write_text(json.dumps(plan | change))
        refused("train", "--resume", "run", match="is corrupt")
    path.write_text("[")
    refused("train", "--resume", "run", match="is corrupt")
    refused("train", "titanic.csv", "--resume", "nowhere", match="is not a folder")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["titanic.csv"], "--target is required: name the column of titanic.csv"),
        (["titanic.csv", "--target", "survivd"], "Did you mean 'survived'"),
        (["titanc.csv", "--target", "a"], "no such file: titanc.csv.*Did you mean 'titanic.csv'"),
        (["digits", "--target", "a"], "--target applies only to tables, and digits is not a table"),
        (["titanic.csv", "--target", "survived", "--schedule", "cosine"], "--schedule applies only to data sets"),
        (["titanic.csv", "--target", "survived", "--test", "2"], "test"),
        (["titanic.csv", "--target", "survived", "--test", "no.csv"], "no such file: no.csv"),
    ],
)
def test_refused(arguments, match, here):
    refused("train", *arguments, match=match)
    assert [path.name for path in here.iterdir()] == ["titanic.csv"]


def test_what_is_in_the_columns_and_what_to_type_next_is_shown(here):
    frame = passengers().with_columns(code=pl.col("port").replace({"S": "a" * 50}), name=pl.lit("Ann Lee Ann Lee"))
    frame.write_csv("more.csv")
    lines = run("train", "more.csv", "--target", "survived", *QUICK).stdout.splitlines()
    shown = {line.split("  ")[0].strip(): line for line in lines}
    assert shown["survived"].endswith("target: no = 0, yes = 1")
    assert shown["day"].endswith("1912-04-01 to 1912-04-28")
    assert shown["port"].endswith("C, Q, S")
    assert shown["code"].endswith("  C, Q, ...")
    assert all(len(line) <= 120 for line in lines)
    assert f"report   {Path('runs/more/report.html')}" in lines
    assert f"next     chainrule predict {Path('runs/more')} NEW_ROWS --out predictions.csv" in lines


def test_scores_are_shown_in_digits_that_fit_them():
    scores = {"RMSE": 12345.678, "R²": 0.98765}
    intervals = {"RMSE": (12000.0, 12700.0), "R²": (0.99991, 0.99999)}
    others = {"mean": {"RMSE": 20000.0, "R²": -4e-6}}
    assert cli.beside("held-out rows", "network", scores, intervals, others).splitlines() == [
        "held-out rows  network      95% interval    mean",
        "RMSE            12,346  12,000 to 12,700  20,000",
        "R²              0.9877  0.9999 to 1.0000  0.0000",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], r"--epochs: expected a whole number of at least 1, got 0\."),
        (["--dropout", "1"], r"--dropout: expected a number in \[0, 1\), got 1.0\."),
        (["--learning-rate", "0"], r"--learning-rate: expected a number in \(0, inf\), got 0.0\."),
        (["--batch-size", "0"], r"--batch-size: expected a whole number of at least 1, got 0\."),
        (["--l2", "-1"], r"--l2: expected a number in \[0, inf\), got -1.0\."),
        (["--optimizer", "adamm"], "--optimizer: must be one of .*'adam'.*, got 'adamm'"),
        (["--activation", "rleu"], "--activation: unknown activation 'rleu'"),
        (["--class-weight", "heavy"], "--class-weight: must be 'balanced', got 'heavy'"),
        (["--minutes", "1"], "--minutes: applies to an ensemble, but --layers asks for a single network"),
        (["--folds", "3", "--stream"], "--folds: needs the table in memory: omit --stream"),
        (["--learning-rate", "1e30"], r"a --learning-rate ten times smaller.*\(--clip-norm 1.0\)"),
    ],
    ids=str,
)
def test_messages_name_the_options_that_were_typed(here, options, message):
    """Not the estimators' parameters, which stand for them: max_iter, alpha, learning_rate_init."""
    refused("train", "titanic.csv", "--target", "survived", *QUICK, *options, match=message)


@pytest.mark.slow
def test_nine_classes_of_seven_rows_are_trained_and_tuned(here):
    """The kind: few rows of many classes, and messages that name options which the command has."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(9), 7)
    pl.DataFrame({"x": y + rng.normal(size=63), "z": rng.normal(size=63), "y": [f"c{i}" for i in y]}).write_csv(
        "nine.csv"
    )
    printed = run("train", "nine.csv", "--target", "y", *QUICK).stdout
    assert "41 training, 9 validation, 13 test" in printed
    assert "9 rows for validation, one per class, instead of 12.5%." in printed
    printed = run("train", "nine.csv", "--target", "y", "--validation", "0.3", "--overwrite", *QUICK).stdout
    assert "35 training, 15 validation, 13 test" in printed
    run(
        "tune",
        "nine.csv",
        "--target",
        "y",
        "--trials",
        "1",
        "--folds",
        "2",
        "--test",
        "0.3",
        "--validation",
        "0.3",
        "--quiet",
    )
    config = json.loads((here / "runs" / "nine-tune" / "config.json").read_text())
    assert (config["split"]["test"], config["split"]["validation"]) == (19, 14)
    for command in (["train"], ["tune", "--trials", "1"]):
        refused(
            *command, "nine.csv", "--target", "y", "--test", "0.9", match="give more rows, or another --test or --valid"
        )
    refused(
        "train", "digits", "--validation", "0.3", match="--validation applies only to tables, and digits is not a table"
    )


def test_perfect_scores_of_few_rows_are_not_certain(here):
    """The kind: an interval "1.000 to 1.000", in the terminal, the report and config.json."""
    pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0] * 5, "y": ["a", "a", "b", "b"] * 5}).write_csv("few.csv")
    printed = run("train", "few.csv", "--target", "y", "--epochs", "40", "--seed", "1").stdout
    assert re.search(r"^accuracy +1\.0000 +0\.510 to 1\.000 ", printed, re.MULTILINE), printed
    config = json.loads((here / "runs" / "few" / "config.json").read_text())
    assert config["scores"]["accuracy"] == 1
    assert 0.5 < config["intervals"]["accuracy"][0] < 0.6
    assert 0.5 < config["intervals"]["ROC AUC"][0] < 0.6
    report = (here / "runs" / "few" / "report.md").read_text()
    assert "51.0% to 100.0%" in report
    assert "1.000 to 1.000" not in report


def test_a_plan_with_any_option_of_a_table_can_be_read_again(tmp_path):
    values = {bool: True, int: 3, float: 0.5, str: "0.5", list[str]: ["a"]}
    hints = typing.get_type_hints(options.TrainOptions)
    for name in hints.keys() - {*options.RUN_ONLY, *options.DATA_SETS_ONLY, "layers"}:
        kind = next(kind for kind in values if kind == hints[name] or kind in typing.get_args(hints[name]))
        plan = resuming.Plan(resuming.TABLE, "t.csv", {"target": "y", name: values[kind]})
        (tmp_path / name).mkdir()
        resuming.keep(tmp_path / name, plan)
        assert resuming.read(tmp_path / name) == plan, name


def test_a_home_folder_that_cannot_be_written_to_does_not_matter(tmp_path):
    (tmp_path / "home").write_text("")
    code = 'from chainrule._internal.extras import require; print(require("skrub", "tables").SquashingScaler.__name__)'
    home = {**os.environ, "HOME": str(tmp_path / "home")}
    found = subprocess.run([sys.executable, "-c", code], env=home, capture_output=True, text=True, check=True)
    assert found.stdout == "SquashingScaler\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of this kind on Windows")
def test_two_trainings_do_not_mix_their_files(here):
    (here / "r").mkdir()
    with claimed(here / "r"):
        refused(
            "train", "titanic.csv", "--target", "survived", "--out", "r", match="another process is training in r: ch"
        )
    assert list((here / "r").iterdir()) == []


def test_a_hyphen_is_standard_output(here):
    run("train", "titanic.csv", "--target", "survived", "--out", "r", *QUICK)
    printed = run("predict", "r", "titanic.csv", "--out", "-").stdout
    assert printed == run("predict", "r", "titanic.csv").stdout
    assert not (here / "-").exists()


@pytest.mark.parametrize("command", [["explain"], ["explain", "--seed", "3"], ["evaluate"], ["predict", "--coerce"]])
def test_a_folder_without_a_finished_run_is_called_so(command, here):
    (here / "r").mkdir()
    refused(command[0], "r", "titanic.csv", *command[1:], match=r"no config\.json in r: expected a folder from a comp")


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (errno.ENOSPC, 1, "r/model: No space left on device. Free some space, or choose another place.\n"),
        (errno.EACCES, 2, "r/model: Permission denied.\n"),
    ],
)
def test_an_error_of_the_system_names_the_file(number, status, message, capsys):
    @in_one_sentence
    def command():
        raise OSError(number, os.strerror(number), "r/model")

    with pytest.raises(typer.Exit) as ended:
        command()
    assert (ended.value.exit_code, capsys.readouterr().err) == (status, f"Error: {message}")
