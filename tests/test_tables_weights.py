"""A column with the weight of each row: in training, in the baselines, in tuning and in the script."""

import contextlib
import io
import warnings

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule import tables
from chainrule.cli.app import app
from chainrule.tables import baselines, loading, models
from chainrule.tables.tuning import prepare

SHORT = {"max_iter": 3, "hidden_layer_sizes": (4,), "dropout": 0.0}


def frame(rows=120, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    return pl.DataFrame({"a": a, "b": b, "people": rng.integers(0, 5, rows), "y": a + 2 * b})


def quiet(source, target="y", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tables.train(source, target, **options)


@pytest.mark.slow
def test_the_weights_reach_the_network_the_ensemble_and_the_baselines(monkeypatch):
    """Each ``fit`` gets the weights of its own rows."""
    table = frame().with_columns(label=(pl.col("y") > 0).cast(pl.String))
    loaded = loading.load(table, "y", weight="people")
    expected = table["people"].to_numpy().astype(float)
    assert loaded.weight.tolist() == expected.tolist()
    given = []
    for name in ("MLPRegressor", "TabularRegressor", "MLPClassifier", "TabularClassifier"):
        kind = getattr(models, name)

        def fit(self, X, y, sample_weight=None, *, fit=kind.fit, **more):
            given.append((len(y), None if sample_weight is None else sample_weight.sum()))
            return fit(self, X, y, sample_weight=sample_weight, **more)

        monkeypatch.setattr(kind, "fit", fit)
    for target, other in (("y", "label"), ("label", "y")):
        for options, share in (({"parameters": SHORT}, 0.125), ({"minutes": 0.001}, 0.0)):
            given.clear()
            run = quiet(table.drop(other), target, weight="people", **options)
            again = loading.load(table.drop(other), target, weight="people", validation=share)
            assert given[-1] == (run.split.train, expected[again.train].sum())


def test_a_row_of_weight_two_counts_as_two_rows():
    """Exactly in the mean; nearly in the linear model, whose scaler does not know the weights."""
    table, test = frame(), frame(30, 1)
    schema = loading.load(table, "y", weight="people").schema
    y = table["y"].to_numpy() + table["a"].to_numpy() ** 2
    w = table["people"].to_numpy()
    twice = np.repeat(np.arange(len(y)), w)
    weighted = baselines.fit(schema, table, y, test, 0, w.astype(float))
    repeated = baselines.fit(schema, table[twice], y[twice], test, 0)
    np.testing.assert_allclose(weighted[0].predictions, repeated[0].predictions, rtol=1e-12)
    ordinary = baselines.fit(schema, table, y, test, 0)
    assert np.abs(weighted[1].predictions - repeated[1].predictions).max() < 0.1
    assert np.abs(weighted[1].predictions - ordinary[1].predictions).max() > 0.01


def test_a_class_of_weight_0_is_not_learned():
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    table = pl.DataFrame(
        {"a": a, "w": np.where(a > 0, 1.0, 0.0), "y": np.where(a + rng.normal(0, 0.1, 200) > 0, "yes", "no")}
    )
    run = quiet(table, weight="w", parameters={**SHORT, "max_iter": 30})
    assert (run.held_out.predictions == "yes").mean() > 0.9  # where a < 0 it never saw a "no"


def test_the_weight_is_not_an_input_and_new_rows_need_none(tmp_path):
    run = quiet(frame(), weight="people", parameters=SHORT)
    column = next(c for c in run.schema.columns if c.name == "people")
    assert "--weight" in column.dropped
    tables.save(run, tmp_path / "run")
    assert cr.load(tmp_path / "run").predict({"a": 0.1, "b": 0.2}).shape == (1,)


def test_weights_may_be_written_as_text():
    table = frame().with_columns(people=pl.format("{} kg", pl.col("people")))
    found = loading.load(table, "y", weight="people")
    assert found.weight.tolist() == frame()["people"].to_list()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, None] * 60, r"expected numbers of at least 0 in 'people', but row 2 has a missing value \(60 rows"),
        ([1.0, -1.0] + [1.0] * 118, r"row 2 has -1.0 \(1 row in total\)"),
        ([1.0, float("inf")] * 60, "row 2 has inf"),
        ([0.0] * 120, "all weights in 'people' are 0"),
        ([True, False] * 60, "got yes and no"),
        (["a", "b"] * 60, "row 1 has 'a'"),
        ([None] * 120, "missing values only"),
    ],
)
def test_bad_weights_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        loading.load(frame().with_columns(pl.Series("people", values)), "y", weight="people")


def test_a_weight_that_is_no_column_or_another_role_is_refused():
    with pytest.raises(ValueError, match=r"--weight: no input column 'peple'\. Did you mean 'people'"):
        loading.load(frame(), "y", weight="peple")
    with pytest.raises(ValueError, match="is the target, the group or the time of a row"):
        loading.load(frame(), "y", weight="y")
    with pytest.raises(ValueError, match="is the target, the group or the time of a row"):
        loading.load(frame(), "y", weight="people", group="people")


@pytest.mark.slow
def test_tuning_weights_its_folds():
    _, problem = prepare(frame(), "y", 3, tables.Options(weight="people"))
    for number, (train, _) in enumerate(problem.folds):
        assert problem.prepare(number).weight.tolist() == problem.weight[train].tolist()
    assert problem.evaluate(
        {
            **problem.default,
        },
        lambda *_: None,
    ).folds


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"parameters": SHORT}, {"minutes": None}])
def test_the_script_gives_the_same_scores(tmp_path, options, monkeypatch):
    options = {name: value for name, value in options.items() if value is not None}
    path = tmp_path / "table.csv"
    frame(80).write_csv(path)
    run = quiet(path, weight="people", **options)
    text = tables.script(path, "y", weight="people", **options)
    assert "sample_weight=weight[train]" in text
    said = io.StringIO()
    with contextlib.redirect_stdout(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(text, "script", "exec"), {"__name__": "__main__"})
    assert f"RMSE {run.scores['RMSE']}" in said.getvalue()


@pytest.mark.slow
def test_a_streamed_table_gives_the_same_network(tmp_path):
    path = tmp_path / "table.csv"
    frame(200).write_csv(path)
    one, two = (quiet(path, weight="people", parameters=SHORT, **more) for more in ({"fast": True}, {"stream": True}))
    assert one.scores == two.scores


@pytest.mark.slow
def test_the_option_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame().write_csv("table.csv")
    done = CliRunner().invoke(
        app, ["train", "table.csv", "--target", "y", "--weight", "people", "--epochs", "2", "--layers", "4"]
    )
    assert done.exit_code == 0, done.output
    assert "--weight: the weight of the row" in done.output
    assert "--weight" in CliRunner().invoke(app, ["tune", "--help"]).output
    refused = CliRunner().invoke(app, ["train", "digits", "--weight", "people"])
    assert refused.exit_code == 2
