"""Cross-validation of a table: every row is predicted once, by a pipeline that was not fitted to it."""

import warnings

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from sklearn import metrics
from typer.testing import CliRunner

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule.cli.app import app
from chainrule.tables import cross_validation, models
from chainrule.tables.report.collect import collect

SHORT = {"max_iter": 3, "hidden_layer_sizes": (4,), "dropout": 0.0}


def frame(rows=90, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    return pl.DataFrame({"a": a, "b": b, "who": [f"p{i % 9}" for i in range(rows)], "when": range(2000, 2000 + rows),
                         "y": a + 2 * b, "label": np.where(a > 0, "yes", "no")})  # fmt: skip


def quiet(source, target, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tables.train(source, target, **options)


@pytest.fixture
def fits(monkeypatch):
    """Return the rows of the fits, as they are made, beside those that the pipelines then predict."""
    found = []

    def fit(given, loaded, **more):
        made = cross_validation_fit(given, loaded, **more)
        found.append([np.concatenate([loaded.train, loaded.validation]), None])
        return made

    def predicted(pipeline, schema, rows, y):
        found[-1][1] = rows["when"].to_numpy() - 2000
        return cross_validation_predicted(pipeline, schema, rows, y)

    cross_validation_fit, cross_validation_predicted = cross_validation.fit, cross_validation.predicted
    monkeypatch.setattr(cross_validation, "fit", fit)
    monkeypatch.setattr(cross_validation, "predicted", predicted)
    return found


@pytest.mark.few(1)
@pytest.mark.parametrize("target", ["y", "label"])
def test_every_row_is_predicted_once_by_a_pipeline_that_has_not_seen_it(fits, target):
    table = frame().drop("y" if target == "label" else "label")
    run = quiet(table, target, folds=3, numeric=["when"], parameters=SHORT)
    assert len(fits) == 3
    for fitted, held in fits:
        assert not set(fitted) & set(held)
        assert len(fitted) + len(held) == 90
    order = np.concatenate([held for _, held in fits])
    assert sorted(order) == [*range(90)]
    assert run.held_out.rows.tolist() == (order + 1).tolist()  # the numbers in the file
    assert run.held_out.y.tolist() == table[target][order].to_list()
    assert run.held_out.frame["when"].to_list() == table["when"][order].to_list()
    assert run.split.train + run.split.validation == 90  # the network itself is trained on all rows
    assert run.split.test == 90


def test_the_scores_are_those_of_all_predictions_together():
    run = quiet(frame().drop("label"), "y", folds=4, parameters=SHORT)
    held = run.held_out
    assert run.scores["RMSE"] == pytest.approx(metrics.mean_squared_error(held.y, held.predictions) ** 0.5, rel=1e-12)
    assert run.scores["R²"] == pytest.approx(metrics.r2_score(held.y, held.predictions), rel=1e-12)
    assert run.widths.rows == 90  # intervals from the errors of all rows
    by_fold = next(note for note in run.notes if note.startswith("RMSE by fold: "))
    assert by_fold.count(",") == 3
    assert run.baselines["mean"]["R²"] < 0.05 < 0.99 < run.baselines["linear model"]["R²"]


@pytest.mark.slow
def test_an_ensemble_is_cross_validated_too(monkeypatch):
    monkeypatch.setattr(models, "ensemble", small_tables.small_ensembles)
    run = quiet(frame().drop("y"), "label", folds=2)
    assert models.is_ensemble(run.pipeline[-1])
    p = run.held_out.probabilities
    assert run.scores["log loss"] == pytest.approx(metrics.log_loss(run.held_out.y, p, labels=["no", "yes"]))


@pytest.mark.slow
def test_groups_stay_together_and_time_goes_on(fits):
    quiet(frame().drop("label"), "y", folds=3, group="who", numeric=["when"], parameters=SHORT)
    who = np.arange(90) % 9
    for fitted, held in fits:
        assert not set(who[fitted]) & set(who[held])
    fits.clear()
    run = quiet(frame().drop("label", "who"), "y", folds=3, time_column="when", numeric=["when"], parameters=SHORT)
    for fitted, held in fits:
        assert max(fitted) < min(held)
    assert len(run.held_out.y) < 90  # the first rows are never predicted


@pytest.mark.slow
def test_the_run_is_saved_with_the_network_of_all_rows(tmp_path):
    run = quiet(frame().drop("label"), "y", folds=3, parameters=SHORT)
    notes = tables.save(run, tmp_path / "run")
    assert "onnxruntime agrees" in notes[0]  # with the saved pipeline, not with those of the folds
    again = tables.load(tmp_path / "run")
    rows = frame(5, 1)
    expected = run.pipeline.predict(tables.casting.cast(tables.checking.check(rows, run.schema)[0], run.schema.columns))
    got = tables.predict(again, rows)[0]["prediction"].to_numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_allclose(cr.load(tmp_path / "run").predict(rows), expected, rtol=1e-5)
    report = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert "in 3 folds, each predicted by networks trained on the others" in report
    assert "RMSE by fold" in report
    assert again.config["settings"]["folds"] == 3


@pytest.mark.slow
def test_the_importance_of_columns_is_that_of_rows_not_trained_on():
    run = quiet(frame().drop("label"), "y", folds=3, parameters=SHORT)
    held = run.held_out
    assert held.pipeline is not run.pipeline
    np.testing.assert_allclose(held.pipeline[-1].predict(held.inputs), held.predictions[: len(held.inputs)])
    assert collect(run, seconds=5).importance.rows == len(held.inputs) == 30


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scores():
    one, two, other = (quiet(frame(), "y", folds=2, seed=s, parameters=SHORT).scores for s in (1, 1, 2))
    assert one == two != other


def test_the_time_is_shared_by_all_fits():
    options = tables.Options(folds=4, minutes=10.0)
    assert options.arguments(100, "binary")["max_minutes"] == 2.0


@pytest.mark.slow
def test_progress_names_the_fold(monkeypatch):
    monkeypatch.setattr(models, "ensemble", small_tables.small_ensembles)
    said = []
    quiet(frame().drop("y"), "label", folds=2, show=lambda state: said.append((str(state), state.over)))
    assert any(text.startswith("fold 2 of 2  ") for text, _ in said)


def test_ctrl_c_in_a_fold_ends_the_run(monkeypatch):
    fit = cross_validation.fit

    def interrupted(*args, **more):
        made = fit(*args, **more)
        made.history.stopped = "interrupted by user"
        return made

    monkeypatch.setattr(cross_validation, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quiet(frame(), "y", folds=2, parameters=SHORT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds: expected a whole number of at least 2"),
        ({"folds": 101}, "folds: expected at most 100"),
        ({"folds": 3, "test": 0.3}, "there is no test set: omit --test"),
        ({"folds": 3, "test": "other.csv"}, "there is no test set: omit --test"),
        ({"folds": 3, "stream": True}, "folds: needs the table in memory"),
        ({"folds": 60}, "90 training rows are too few for 60 folds"),
        ({"folds": 10, "group": "who"}, "'who' has 9 groups to train on, too few for 10 folds"),
    ],
)
def test_bad_folds_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        quiet(frame(), "y", parameters=SHORT, **options)


@pytest.mark.slow
def test_a_class_in_one_fold_only_is_refused():
    table = frame().with_columns(label=pl.when(pl.col("who") == "p1").then(pl.lit("odd")).otherwise(pl.col("label")))
    with pytest.raises(ValueError, match=r"the class 'odd' (is in one fold only|has rows)"):
        quiet(table.drop("y"), "label", folds=3, group="who", fast=True)


@pytest.mark.slow
def test_the_option_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame().write_csv("table.csv")
    short = ["--epochs", "2", "--layers", "4"]
    done = CliRunner().invoke(app, ["train", "table.csv", "--target", "y", "--folds", "3", *short])
    assert done.exit_code == 0, done.output
    assert "RMSE by fold" in done.output
    refused = CliRunner().invoke(app, ["train", "table.csv", "--target", "y", "--folds", "3", "--print-python"])
    assert refused.exit_code == 2
    assert "omit it" in refused.output


@pytest.mark.slow
def test_a_run_that_ended_during_the_folds_is_resumed(tmp_path, monkeypatch):
    """The network itself is trained first: it comes from its checkpoint, and the folds are evaluated again."""
    monkeypatch.chdir(tmp_path)
    frame().drop("label").write_csv("table.csv")
    command = ["train", "table.csv", "--target", "y", "--folds", "2", "--fast", "--epochs", "3", "--out"]
    assert CliRunner().invoke(app, [*command, "whole"]).exit_code == 0

    def power_cut(*_):
        raise SystemError

    with monkeypatch.context() as patch:
        patch.setattr("chainrule.tables.training.cross_validated", power_cut)
        assert isinstance(CliRunner().invoke(app, [*command, "part"]).exception, SystemError)
    done = CliRunner().invoke(app, ["train", "table.csv", "--resume", "part"])
    assert done.exit_code == 0, done.output
    one, two = (tables.load(name) for name in ("whole", "part"))
    assert one.config["scores"] == two.config["scores"]
    files = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "part"))
    (one, two) = ({name: x.tolist() for name, x in file.items() if "seconds" not in name} for file in files)
    assert one == two
