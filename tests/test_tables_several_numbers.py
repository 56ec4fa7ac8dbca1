"""Several numbers as the target of one table: scores, intervals, the page, new rows, the service and the code."""

import json
import runpy
import shutil
import subprocess
import warnings

import numpy as np
import polars as pl
import pytest
from sklearn import metrics
from typer.testing import CliRunner

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule.cli.app import app
from chainrule.export import build, comparing, saving
from chainrule.serve.answers import Answers
from chainrule.serve.bodies import Request
from chainrule.serve.bounds import RefusedError
from chainrule.tables import baselines, models, report, scores
from chainrule.tables.intervals import Widths
from chainrule.tables.report.uncertainty import intervals
from chainrule.tables.result import HeldOut

GOALS = ["price", "rent"]
ROW = {"size": 100.0, "age": 40, "city": "Rome"}


def homes(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    size, age, city = rng.uniform(20, 200, rows), rng.integers(0, 90, rows), rng.choice(["Lima", "Oslo", "Rome"], rows)
    worth = size * np.where(city == "Oslo", 2.0, 1.0)
    price = worth * 3000 * np.exp(rng.normal(0, 0.1, rows))
    return pl.DataFrame({"size": size, "age": age, "city": city, "price": price, "rent": 9 * worth - 5 * age - 300})


def quiet(source, target=GOALS, **options):
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(models, "ensemble", small_tables.small_ensembles)
        return tables.train(source, target, **options)


@pytest.fixture(scope="module", params=["ensemble", "single"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("homes") / "run"
    trained = quiet(homes(), **({"parameters": {"max_iter": 20}} if request.param == "single" else {}), by=["city"])
    tables.save(trained, folder)
    return trained, folder


@pytest.mark.few(1)
def test_the_scores_are_those_of_each_number_and_their_mean(run):
    trained, _ = run
    y, p = trained.held_out.y, trained.held_out.predictions
    assert y.shape == p.shape == (60, 2)
    expected = {"R²": metrics.r2_score(y, p)}
    for name, function in (
        ("RMSE", metrics.root_mean_squared_error), ("MAE", metrics.mean_absolute_error), ("R²", metrics.r2_score),
    ):  # fmt: skip
        expected |= {f"{name} of {goal}": function(y[:, i], p[:, i]) for i, goal in enumerate(GOALS)}
    assert list(trained.scores) == list(expected)
    assert trained.scores == pytest.approx(expected, rel=1e-12)
    assert trained.scores["R²"] > 0.6
    for i, goal in enumerate(GOALS):  # as those of a table with one number
        alone = HeldOut(trained.held_out.frame, y[:, i], p[:, i])
        of = {name.removesuffix(f" of {goal}"): v for name, v in trained.scores.items() if name.endswith(goal)}
        ends = intervals(trained.schema.alone(i), alone, of)
        assert {name: trained.intervals[f"{name} of {goal}"] for name in of} == ends


def test_the_interval_of_the_mean_agrees_with_the_jackknife():
    """The delta method's standard error of the mean R², against leaving out each row in turn."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(400, 3)) * [1, 50, 0.1]
    p = y + rng.normal(size=y.shape) * [0.4, 30, 0.05]
    schema = tables.Schema((), tuple(tables.Column(name, "number") for name in "abc"), "regression")
    held = HeldOut(pl.DataFrame({"x": np.arange(400)}), y, p)
    low, high = intervals(schema, held, scores.of_schema(schema, y, p))["R²"]
    left = [metrics.r2_score(np.delete(y, i, 0), np.delete(p, i, 0)) for i in range(400)]
    error = np.sqrt(399 / 400 * np.square(np.array(left) - np.mean(left)).sum())
    assert (high - low) / 2 / 1.966 == pytest.approx(error, rel=0.05)


@pytest.mark.slow
def test_baselines_of_several_numbers_are_those_of_each():
    table, test = homes(), homes(50, 1)
    y = table.select(GOALS).to_numpy()
    schema = quiet(table, parameters={"max_iter": 1}).schema
    both = baselines.fit(schema, table, y, test, seed=0)
    for i in range(2):
        alone = baselines.fit(schema.alone(i), table, y[:, i], test, seed=0)
        for ours, one, close in zip(both, alone, (1e-12, 0.02, 1e-12), strict=True):  # one penalty for both numbers
            assert ours.name == one.name
            np.testing.assert_allclose(ours.predictions[:, i], one.predictions, rtol=0, atol=close * y[:, i].std())


@pytest.mark.few(1)
def test_units_do_not_matter_for_the_verdict_and_for_groups(run):
    trained, _ = run
    held = trained.held_out
    others = {"mean": np.broadcast_to(held.y.mean(axis=0), held.y.shape)}
    said = scores.verdict("regression", held.y, held.predictions, others)
    assert "standardized RMSE" in said
    assert "vs. 1" in said  # the error of the mean, divided by the standard deviation
    cents = np.array([100.0, 1e-3])
    scaled = scores.verdict("regression", held.y * cents, held.predictions * cents, {"mean": others["mean"] * cents})
    assert said == scaled


def test_a_width_for_each_number(run):
    trained, folder = run
    held = trained.held_out
    alone = [Widths.of(held.y[:, i], held.predictions[:, i]) for i in range(2)]
    assert trained.widths.half(0.8).tolist() == [one.half(0.8) for one in alone]
    assert Widths.from_json(json.loads(json.dumps(trained.widths.to_json())), 2) == trained.widths
    low, high = cr.load(folder).predict_interval(held.frame, 0.8)
    assert 0.75 < ((low <= held.y) & (held.y <= high)).mean() < 0.9


def test_predictions_of_new_rows(run):
    trained, folder = run
    rows = homes(40, 3).drop(GOALS)
    found, notes = tables.predict(tables.load(folder), rows, interval=0.9)
    assert found.columns == [f"{part}_{goal}" for part in ("prediction", "low", "high") for goal in GOALS]
    assert notes == ()
    expected = trained.pipeline.predict(rows.with_columns(pl.col("age").cast(pl.Float64)))
    np.testing.assert_allclose(found.select(found.columns[:2]).to_numpy(), expected, rtol=1e-6)
    model = cr.load(folder)
    np.testing.assert_allclose(model.predict(rows.to_dicts()), expected, rtol=1e-5, atol=1e-3)
    ends = np.hstack(model.predict_interval(rows, 0.9))
    np.testing.assert_allclose(found.select(found.columns[2:]).to_numpy(), ends, rtol=1e-5, atol=1e-3)
    assert tuple(np.ravel(model.least) == 0) == ((True, False) if model.model.ensemble else (False, False))


def test_the_report_has_a_section_for_each_number_and_the_card_a_line(run):
    trained, folder = run
    text = report.build(trained, seconds=1).markdown
    for goal in GOALS:
        assert text.count(f"## Predictions and errors: {goal}") == 1
        assert f"| RMSE of {goal}" in text
    assert "standardized RMSE" in text.partition("Column importance")[2]
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert "price, rent (2 numbers)" in card
    for goal in GOALS:
        assert f"| {goal} | " in card
        assert f"for '{goal}'" in card


def test_one_of_them_is_explained(run):
    _, folder = run
    model = cr.load(folder)
    for i, goal in enumerate(GOALS):
        found = tables.contributions(model, ROW, label=goal)
        assert found.about == goal
        assert found.prediction == pytest.approx(model.predict(ROW)[0, i])
        assert found.base + found.total == pytest.approx(found.prediction)
    assert tables.contributions(model, ROW).about == "price"
    changed = tables.counterfactuals(model, ROW, homes(), label="rent", wanted="above 1000")
    assert all(one.prediction > 1000 for one in changed.found)
    assert changed.found
    with pytest.raises(ValueError, match=r"label: 'rents' is not a target\. Did you mean 'rent'\?"):
        tables.contributions(model, ROW, label="rents")


@pytest.mark.slow
def test_the_commands(run, tmp_path, monkeypatch):
    _, folder = run
    monkeypatch.chdir(tmp_path)
    homes(60, 5).write_csv("more.csv")

    def said(*args, status=0):
        result = CliRunner().invoke(app, [*map(str, args)])
        assert result.exit_code == status, result.output
        return result.stdout

    text = said("evaluate", folder, "more.csv", "--by", "city")
    assert "RMSE of rent" in text
    assert "prediction intervals of price" in text
    assert "standardized RMSE" in text
    found = json.loads(said("evaluate", folder, "more.csv", "--json"))
    assert {"r2", "rmse_of_price", "r2_of_rent"} <= found["scores"].keys()
    found = json.loads(said("predict", folder, "more.csv", "--interval", "0.8", "--json"))
    assert found["target"] == GOALS
    first = found["predictions"][0]
    assert all(low < y < high for low, y, high in zip(first["low"], first["prediction"], first["high"], strict=True))
    text = said("explain", folder, "more.csv", "--row", "3", "--class", "rent")
    assert "CONTRIBUTIONS OF THE COLUMNS: rent" in text
    assert "price = " in text.partition("PREDICTION")[2]
    assert "choose with --class" in said("explain", folder, "more.csv")
    assert "prediction of rent" in said("drift", folder, "more.csv")
    assert "The gradient is correct" in said("check", folder, "more.csv")


def test_the_service(run):
    _, folder = run
    answers = Answers(cr.load(folder), 100)
    body = json.dumps({"rows": [ROW], "interval": 0.8}).encode()
    (answer,) = answers([Request(body)])
    (one,) = json.loads(answer.body)["predictions"]
    assert list(one) == GOALS
    assert all(of["low"] < of["prediction"] < of["high"] for of in one.values())
    (answer,) = answers([Request(body, wants_csv=True)])
    assert (
        answer.body.decode().splitlines()[0]
        == "prediction_price,prediction_rent,low_price,low_rent,high_price,high_rent"
    )
    (refused,) = answers([Request(json.dumps([ROW | {"size": "large"}]).encode())])
    assert isinstance(refused, RefusedError)


MAIN = """#include <stdio.h>
#include "m.h"
int main(void) {
    struct m_row row = {0};
    double y[2], low[2], high[2];
    row.size = 100; row.age = 40; row.city = "Rome";
    m_predict(&row, y);
    m_interval(y, 0.8, low, high);
    printf("[[%.9g,%.9g],[%.9g,%.9g],[%.9g,%.9g]]\\n", y[0], y[1], low[0], low[1], high[0], high[1]);
    m_interval(y, 0.999, low, high);
    printf("%d\\n", low[0] != low[0] && high[1] != high[1]);
    return 0;
}
"""


@pytest.mark.slow
def test_intervals_in_code(run, tmp_path):
    _, folder = run
    model = cr.load(folder)
    expected = [*model.predict(ROW), *np.concatenate(model.predict_interval(ROW, 0.8))]
    program = build.program(model)
    assert len(program.halves[0]) == len(program.least) == 2
    for suffix in ("py", "mjs", "c"):
        saving.save(model, tmp_path / f"m.{suffix}")
    script = runpy.run_path(str(tmp_path / "m.py"))
    np.testing.assert_allclose(script["predict"]([ROW])[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(script["interval"]([ROW], 0.8)[0], np.transpose(expected[1:]), rtol=1e-6)
    if node := shutil.which("node"):
        code = f"import {{interval}} from './m.mjs'; console.log(JSON.stringify(interval({json.dumps(ROW)}, 0.8)))"
        done = subprocess.run(
            [node, "--input-type=module", "--eval", code], cwd=tmp_path, capture_output=True, check=True
        )
        np.testing.assert_allclose(json.loads(done.stdout), np.transpose(expected[1:]), rtol=1e-5)
    for compiler in filter(None, map(shutil.which, ("gcc", "clang"))):
        (tmp_path / "main.c").write_text(MAIN)
        subprocess.run([compiler, *comparing.FLAGS, "main.c", "m.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
        done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
        numbers, refused = done.stdout.splitlines()
        np.testing.assert_allclose(json.loads(numbers), expected, rtol=1e-5)
        assert refused == "1"


def test_units_and_missing_values_in_several_targets():
    table = homes(60).with_columns(
        price=pl.format("EUR {}", pl.col("price").round(2)), rent=pl.when(pl.col("age") < 80).then("rent")
    )
    trained = quiet(table, parameters={"max_iter": 1})
    assert trained.schema.rows == int((table["age"] < 80).sum())
    assert "price: values such as" not in trained.notes
    assert any("read as an amount in EUR" in note for note in trained.notes)
    notes = tables.predict(trained, table.drop(GOALS))[1]
    assert [note for note in notes if "in training" in note] == [
        "the predictions of 'price' are in EUR, as in training."
    ]
    bad = homes(20).with_columns(rent=pl.when(pl.col("age") == pl.col("age").max()).then(np.inf).otherwise("rent"))
    with pytest.raises(ValueError, match=r"the target 'rent' is infinite or beyond 1e100 in . row"):
        quiet(bad)


@pytest.mark.slow
def test_the_search_for_a_network(tmp_path):
    short = {"max_iter": 2}
    tuned = tables.tune(homes(80), GOALS, trials=2, folds=2, out=tmp_path / "study", parameters=short)
    assert tuned.measure == "standardized RMSE"
    assert 0 < tuned.value < 2


@pytest.mark.slow
def test_cross_validation_and_weights():
    trained = quiet(homes(60), folds=3, weight="age")
    assert trained.held_out.y.shape == (60, 2)
    assert any("R² by fold" in note for note in trained.notes)
