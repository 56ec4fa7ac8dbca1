"""The command line for tables: train, predict, and what it says when it cannot."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from chainrule.cli import tables as cli
from chainrule.cli.app import app
from test_tables_training import passengers

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
    assert re.search(r"^number +identifier .* left out: its numbers rise by one", printed, re.MULTILINE)
    assert "210 to train, 30 to validate, 60 to test" in printed
    assert re.search(r"^accuracy +0\.\d+ +0\.\d+ +0\.\d+$", printed, re.MULTILINE)
    assert "linear model" in printed
    folder = here / "runs" / "titanic"
    assert {"pipeline.skops", "model.safetensors", "schema.json", "config.json", "report.html"} <= {
        path.name for path in folder.iterdir()
    }
    assert json.loads((folder / "config.json").read_text())
    passengers().drop("survived").write_parquet("new.parquet")
    said = run("predict", folder, "new.parquet", "--out", "predictions.csv").stderr
    assert "predictions.csv: 300 rows" in said
    table = pl.read_csv("predictions.csv")
    assert table.columns == ["prediction", "p_no", "p_yes"]
    assert set(table["prediction"]) <= {"no", "yes"}
    run("predict", folder, "new.parquet", "--out", "predictions.parquet")
    assert pl.read_parquet("predictions.parquet").shape == (300, 3)
    assert run("predict", folder, "new.parquet").stdout.splitlines()[0] == "prediction,p_no,p_yes"


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
    refused("predict", "runs/titanic", "none.csv", match="there are no rows")


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
    refused(
        "train", "titanic.csv", "--target", "survived", "--stream", "--group", "port", match="--group: a table that"
    )


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["titanic.csv"], "--target: name the column of titanic.csv"),
        (["titanic.csv", "--target", "survivd"], "Did you mean 'survived'"),
        (["titanc.csv", "--target", "a"], "there is no file titanc.csv.*Did you mean 'titanic.csv'"),
        (["digits", "--target", "a"], "--target: digits is no table"),
        (["titanic.csv", "--target", "survived", "--schedule", "cosine"], "--schedule: is for data sets"),
        (["titanic.csv", "--target", "survived", "--test", "2"], "test"),
        (["titanic.csv", "--target", "survived", "--test", "no.csv"], "there is no file no.csv"),
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
    class Run:
        scores = {"RMSE": 12345.678, "R²": 0.98765}  # noqa: RUF012
        baselines = {"mean": {"RMSE": 20000.0, "R²": -4e-6}}  # noqa: RUF012

    rows = [line.split() for line in cli.scores(Run()).splitlines()]
    assert rows == [["held-out", "rows", "network", "mean"], ["RMSE", "12,346", "20,000"], ["R²", "0.9877", "-0.0000"]]
