"""``chainrule tune`` takes the options of ``train``: those for a network are fixed; others are refused in a sentence."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.cli.options import DATA_SETS_ONLY, NOT_TUNED, TrainOptions, TuneOptions

for package in ("optuna", "skrub"):
    pytest.importorskip(package)
pl = pytest.importorskip("polars")
onnxruntime = pytest.importorskip("onnxruntime")

FIXED = {
    "layers": "6,5", "activation": "tanh", "dropout": 0.1, "input_dropout": 0.05, "l1": 1e-5, "l2": 1e-4, "max_norm": 3.0,
    "optimizer": "adamw", "clip_norm": 5.0, "epochs": 2, "batch_size": 16, "label_smoothing": 0.1,
    "class_weight": "balanced",
}  # fmt: skip
NAMES = {  # of the estimator
    "hidden_layer_sizes": (6, 5), "activation": "tanh", "dropout": 0.1, "input_dropout": 0.05, "l1": 1e-5, "alpha": 1e-4,
    "max_norm": 3.0, "solver": "adamw", "gradient_clip": 5.0, "max_iter": 2, "batch_size": 16, "label_smoothing": 0.1,
    "class_weight": "balanced",
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with a table."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [f"{x:.2f};{y:.2f};{'yes' if x + y > 0 else 'no'}".replace(".", ",") for x, y in rng.normal(size=(60, 2))]
    (tmp_path / "t.csv").write_text("\n".join(["a;b;churned", *rows]) + "\n")


def tune(*arguments, status=0):
    run = ["tune", "t.csv", "--target", "churned", "--trials", "1", "--folds", "2", *map(str, arguments)]
    done = CliRunner().invoke(app, run)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.output
    return done


@pytest.mark.slow
def test_options_for_a_network_are_fixed(monkeypatch):
    from chainrule.tables import tuning  # noqa: PLC0415  (an extra)

    problems = []
    prepare = tuning.prepare

    def kept(*arguments):
        loaded, problem = prepare(*arguments)
        problems.append(problem)
        return loaded, problem

    monkeypatch.setattr(tuning, "prepare", kept)
    words = [word for name, value in FIXED.items() for word in ("--" + name.replace("_", "-"), value)]
    tune(*words, "--patience", 7, "--seed", 3)
    (problem,) = problems
    assert problem.fixed == NAMES
    assert (problem.patience, problem.seed) == (7, 3)
    assert not {d.name for d in problem.space} & {
        "layers",
        "units",
        "activation",
        "dropout",
        "l2",
        "batch_size",
        *FIXED,
    }
    settings = json.loads(Path("runs/t-tune/config.json").read_text(encoding="utf-8"))["settings"]
    assert settings["parameters"]["hidden_layer_sizes"] in ([6, 5], "(6, 5)")
    assert settings["parameters"]["class_weight"] == "balanced"
    assert settings["patience"] == 7


@pytest.mark.slow
def test_the_metric_chooses():
    assert "search     maximizes the F1 score over" in tune("--epochs", 1, "--metric", "f1").stdout
    settings = json.loads(Path("runs/t-tune/config.json").read_text(encoding="utf-8"))
    assert settings["settings"]["chosen_by"] == "F1 score"
    assert "the network was chosen by the F1 score, in a search." in settings["notes"]
    assert "is the study of another search (metric)" in tune("--epochs", 1, status=2).stderr
    assert "--metric: the target is a class: expected one of accuracy" in tune("--metric", "mae", status=2).stderr


@pytest.mark.slow
def test_the_threshold_decides_in_every_file_of_the_run():
    tune("--epochs", 40, "--learning-rate", 0.03, "--batch-size", 8, "--threshold", 0.6)
    run = Path("runs/t-tune")
    found = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert found["settings"]["parameters"]["threshold"] == 0.6
    assert "'yes' is predicted where its probability is above 0.6." in found["notes"]
    assert "Thresholds of the probabilities: no 0.4 and yes 0.6." in (run / "card.md").read_text(encoding="utf-8")
    rows = [{"a": a, "b": b} for a, b in np.random.default_rng(1).normal(size=(400, 2)).tolist()]
    model = cr.load(run)
    expected = np.where(model.predict_proba(rows)[:, 1] > 0.6, "yes", "no").tolist()
    assert model.predict(rows).tolist() == expected
    assert 0 < expected.count("yes") < (model.predict_proba(rows)[:, 1] > 0.5).sum()
    predicted, _ = cr.tables.predict(cr.tables.load(run), pl.DataFrame(rows))
    assert predicted["prediction"].to_list() == expected
    found = onnxruntime.InferenceSession(run / "pipeline.onnx").run(
        None, {name: np.array([[row[name]] for row in rows]) for name in "ab"}
    )
    assert found[0].tolist() == expected


@pytest.mark.slow
def test_the_table_is_read_as_asked():
    assert "2 folds of 48 rows" in tune("--delimiter", ";", "--decimal", ",", "--epochs", 1).stdout
    assert "3 fields under a first line of one" in tune("--delimiter", ",", status=2).stderr


@pytest.mark.parametrize("name", NOT_TUNED)
def test_options_that_do_not_go_with_tune_are_refused(name):
    option = "--" + name.replace("_", "-")
    flag = next(field for field in dataclasses.fields(TuneOptions) if field.name == name).default is False
    value = [] if flag else ["1"]
    said = tune(option, *value, status=2).stderr
    assert said == f"Error: {option} {NOT_TUNED[name]}\n"


def test_no_option_of_train_is_unknown():
    train, tuned = ({field.name for field in dataclasses.fields(of)} for of in (TrainOptions, TuneOptions))
    assert train - tuned == {"data", "image_size"}
    assert "data" in DATA_SETS_ONLY
    shown = CliRunner().invoke(app, ["tune", "--help"], env={"COLUMNS": "120"}).stdout
    assert not [name for name in NOT_TUNED if "--" + name.replace("_", "-") + " " in shown]
    assert "--class-weight" in shown


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--dropout", 1.0], r"tune: --dropout: expected a number in [0, 1), got 1.0."),
        (["--activation", "bogus"], "--activation: unknown activation 'bogus'"),
        (["--layers", "0"], '--layers: expected sizes of at least 1 such as "64,32"'),
        (["--epochs", 0], "tune: --epochs: expected a whole number of at least 1, got 0."),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(arguments, match):
    assert match in tune(*arguments, status=2).stderr
