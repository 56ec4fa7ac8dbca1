"""``--json``: one object on standard output, its keys as documented, also for errors; nothing else is there."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chainrule._version import __version__
from chainrule.cli import json_output
from chainrule.cli.app import app
from commands import COMMANDS

pytest.importorskip("skrub")

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
COMMON = {"command", "version", "format", "status"}
QUICK = ["--epochs", "2", "--layers", "4"]


def strict(text):
    """Return the only object of a text, without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(constant)

    assert text.endswith("}\n")
    return json.loads(text, parse_constant=refuse)


def called(*arguments, status=0):
    """Return the object of a command, and what it printed on standard error."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    found = strict(result.stdout)
    assert {*found} >= COMMON
    assert found["version"] == __version__
    assert (found["format"], found["status"]) == (1, status)
    if "error" not in found:
        assert_documented(found)
    return found, result.stderr


def documented():
    """Return the documented keys of each command."""
    rows = re.findall(r"^\| `([\w ]+)` \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {command: set(re.findall(r"`(\w+)`", keys)) for command, keys in rows}


def assert_documented(found):
    assert {*found} <= COMMON | {"notes", "warnings"} | documented()[found["command"]], found["command"]
    for name in found:
        assert re.fullmatch("[a-z][a-z0-9_]*", name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder with the runs of a data set and of tables, and their files."""
    folder = tmp_path_factory.mktemp("json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = {"sample": called("sample", "customers.csv", "--rows", 300)[0]}
        called("sample", "new.csv", "--rows", 5, "--new")
        found["moons"] = called("train", "moons", *QUICK, "--out", "moons")[0]
        for name, target in (("churn", "churned"), ("spend", "monthly_fee")):
            found[name], found[f"{name} printed"] = called(
                "train", "customers.csv", "--target", target, *QUICK, "--out", name
            )
    return folder, found


@pytest.fixture
def here(runs, monkeypatch):
    monkeypatch.chdir(runs[0])
    return runs[1]


@pytest.mark.slow
def test_sample_and_train(here):
    assert here["sample"]["columns"][-1] == "churned"
    assert here["sample"]["rows"] == 300
    moons, churn, spend = here["moons"], here["churn"], here["spend"]
    assert moons["kind"] == "data set"
    assert {*moons["scores"]} == {"accuracy", "loss"}
    assert [row["class"] for row in moons["by_class"]] == moons["classes"]
    assert churn["kind"] == "table"
    assert {*churn["scores"]} >= {"accuracy", "log_loss"}
    assert {*spend["scores"]} == {"rmse", "mae", "r2"}
    low, high = churn["intervals"]["accuracy"]
    assert low <= churn["scores"]["accuracy"] <= high
    assert churn["baselines"][0]["model"] == "majority class"
    assert churn["folder"] == "churn"
    assert Path(churn["report"]).is_file()
    assert "column" in here["churn printed"]  # what a person reads is on standard error
    assert {c["name"] for c in churn["columns"]} < {*here["sample"]["columns"]}


@pytest.mark.slow
def test_evaluate(here):
    found, _ = called("evaluate", "moons")
    assert found["scores"] == pytest.approx(here["moons"]["scores"])
    found, printed = called("evaluate", "churn", "customers.csv")
    assert found["rows"] == 300
    assert {*found["scores"]} == {*found["intervals"]} == {*here["churn"]["scores"]}
    assert found["scores_in_training"] == pytest.approx(here["churn"]["scores"])
    assert "worst predictions" in printed
    grouped = called("evaluate", "churn", "customers.csv", "--by", "plan")[0]
    assert [group["name"] for group in grouped["groups"]] == ["basic", "plus", "pro"]
    assert grouped["measures"] == {"score": "accuracy", "second": "log loss"}
    assert sum(group["rows"] for group in grouped["groups"]) == grouped["rows"]
    assert "groups" not in found
    assert "by_class" not in called("evaluate", "spend", "customers.csv")[0]


@pytest.mark.slow
def test_predict(here, tmp_path):
    found, _ = called("predict", "churn", "new.csv", "--keep", "customer")
    assert found["rows"] == len(found["predictions"]) == 5
    for row in found["predictions"]:
        assert {*row} == {"kept", "prediction", "probabilities"}
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] in found["classes"]
    found, _ = called("predict", "spend", "customers.csv", "--interval", 0.8)
    assert {*found["predictions"][0]} == {"prediction", "low", "high"}
    found, printed = called("predict", "churn", "new.csv", "--out", tmp_path / "p.csv")
    assert found["out"] == str(tmp_path / "p.csv")
    assert "predictions" not in found
    assert "Wrote 5 rows" in printed
    found, _ = called("predict", "moons", "moons")
    assert found["predictions"][0]["prediction"] in found["classes"]


@pytest.mark.slow
def test_notes(here, tmp_path):
    text = Path("new.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "more.csv").write_text("\n".join([f"{text[0]},extra", *(f"{line},1" for line in text[1:])]) + "\n")
    found, printed = called("predict", "churn", tmp_path / "more.csv")
    assert "The column 'extra' is not in the schema: ignored." in found["notes"]
    assert "Note: The column 'extra'" in printed


@pytest.mark.slow
def test_explain_and_check(here):
    found, printed = called("explain", "moons", "--row", 0)
    assert found["gradients_agree"] is True
    assert {step["phase"] for step in found["steps"]} >= {"forward", "loss", "backward", "update"}
    assert "forward" in printed.lower()
    found, _ = called("explain", "churn", "customers.csv", "--row", 1)
    assert len(found["prediction"]) >= 1
    found, _ = called("check", "moons")
    assert found["ok"] is True
    assert found["checks"][0]["kind"] == "network"


@pytest.mark.slow
def test_export(here, tmp_path):
    for suffix, language in (("py", "--numpy"), ("onnx", "--onnx")):
        for run in ("moons", "spend" if suffix == "py" else "moons"):
            file = tmp_path / f"{run}.{suffix}"
            found, printed = called("export", run, language, file, "--overwrite")
            assert found["files"] == [str(file)]
            assert found["language"] == suffix
            assert found["largest_difference"] is None or found["largest_difference"] < 1e-4
            assert found["comparison"] in printed


@pytest.mark.slow
def test_course(here, tmp_path):
    found, printed = called("course", "start", tmp_path / "mine")
    assert len(found["files"]) == 47
    assert "chainrule course check 1" in printed
    found, _ = called("course", "check", 3, "--folder", tmp_path / "mine", status=1)
    assert [(e["number"], e["state"]) for e in found["exercises"]] == [(3, "not started")]
    found, printed = called("course", "solution", 3)
    assert "x.T @ dy" in found["code"]
    assert found["code"].strip() in printed
    (tmp_path / "mine" / "03_dense_dW.py").write_text(found["code"])
    found, _ = called("course", "check", "--folder", tmp_path / "mine")
    assert (found["points"], found["out_of"]) == (4, 100)
    assert 3 not in found["left"]
    found, _ = called("course", "grade", tmp_path, "--csv", tmp_path / "grades.csv", "--seed", 3)
    assert found["submissions"][0]["exercises"][2] == found["submissions"][0]["points"] == 4
    assert (found["seed"], found["csv"]) == (3, str(tmp_path / "grades.csv"))
    found, _ = called("course", "handout", tmp_path / "pages", "--students", 2)
    assert found["files"] == ["student-1.md", "student-2.md"]
    assert found["answers"] == "answers.md"


@pytest.mark.slow
def test_tune(here, tmp_path):
    pytest.importorskip("optuna")
    found, printed = called(
        "tune", "customers.csv", "--target", "churned", "--trials", 1, "--folds", 2, "--drop",
        ",".join(c["name"] for c in here["churn"]["columns"][2:]), "--out", tmp_path / "study",
    )  # fmt: skip
    assert [trial["state"] for trial in found["trials"]] == ["complete"]
    assert found["best"] == found["trials"][0]["point"]
    assert "trial 1/1" in printed


@pytest.mark.slow
def test_serve(here):
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "chainrule", "serve", "churn", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = strict(process.stdout.readline())
            assert_documented(found)
            for _ in range(50):
                with urllib.request.urlopen(found["url"] + "health", timeout=5) as answer:
                    if answer.status == 200:
                        break
                time.sleep(0.1)
        finally:
            process.terminate()
            assert process.stdout.read() == ""
            assert "Serving" in process.stderr.read()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "match"),
    [
        (["train", "customers.csv"], 2, "--target is required"),
        (["train", "customers.csv", "--target", "churn"], 2, "churn"),
        (["train"], 2, "give a data set"),
        (["train", "moons", "--epochs", "many"], 2, "--epochs"),
        (["train", "moons", "--epoch", "3"], 2, "--epoch"),
        (["predict", "churn"], 2, "INPUT"),
        (["predict", "nowhere", "new.csv"], 2, "nowhere"),
        (["evaluate", "churn"], 2, "does not include its rows"),
        (["explain", "churn", "customers.csv", "--row", "9999"], 2, "row"),
        (["check", "nowhere"], 2, "does not exist"),
        (["export", "churn"], 2, "exactly one"),
        (["sample", "-"], 2, "give a file instead of -"),
        (["train", "customers.csv", "--target", "churned", "--print-python"], 2, "--print-python does not go"),
        (["tune", "nowhere.csv", "--target", "y", "--trials", "1"], 2, "nowhere.csv"),
        (["serve", "moons"], 2, "does not hold a table"),
        (["course", "check"], 2, "has no exercises"),
        (["course", "solution", "99"], 2, "no exercise 99"),
        (["course", "grade", "nowhere"], 2, "is not a folder"),
        (["course", "handout", "pages", "--students", "nowhere.csv"], 2, "no such file"),
        (["course", "evolve"], 2, "No such command 'evolve'"),
        (["course", "solution", "x"], 2, "N"),
        (["evolve"], 2, "No such command 'evolve'"),
    ],
)
def test_errors(here, arguments, status, match):
    found, printed = called(*arguments, status=status)
    assert match in found["error"]
    assert found["command"] == " ".join(arguments[: 1 + (arguments[0] == "course")])
    assert printed


@pytest.mark.slow
def test_a_failed_check_is_no_error(here):
    planted = Path(__file__).parent / "planted.py"
    found, _ = called("check", f"{planted}:NotANumber", status=1)
    assert found["ok"] is False
    assert "error" not in found


def test_every_command_is_documented_and_takes_it():
    assert COMMANDS.keys() == documented().keys()
    for command in COMMANDS:
        assert "--json" in CliRunner().invoke(app, [*command.split(), "--help"]).stdout


def test_an_interrupt_is_reported(monkeypatch, tmp_path):
    from chainrule.cli import sample  # noqa: PLC0415

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "customers", stop)
    result = CliRunner().invoke(app, ["sample", str(tmp_path / "x.csv"), "--json"])
    assert (strict(result.stdout)["error"], result.exit_code) == ("interrupted", 130)


def test_outside_a_command_nothing_is_recorded():
    json_output.record(a=1)
    json_output.finish()
    assert not json_output.is_asked()
