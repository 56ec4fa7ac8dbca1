"""What evaluate says about scores: differences from training, calibration, intervals and groups."""

import datetime as dt
import re

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from chainrule import tables
from chainrule.cli import table_scores
from chainrule.cli.app import app
from chainrule.tables.intervals import Widths
from chainrule.tables.report.groups import groups
from chainrule.tables.report.uncertainty import difference, wilson
from chainrule.tables.result import HeldOut, SavedRun
from chainrule.tables.schema import Column, Schema

SCHEMA = Schema((Column("x", "number"),), (Column("y", "number"),), "regression")


def config(scores, intervals):
    return {"scores": scores, "intervals": intervals}


def said(value, interval, before, around, name="accuracy"):
    return table_scores.against_training(config({name: before}, {name: [*around]}), {name: value}, {name: interval})


def test_a_difference_between_equal_networks_is_seldom_more_than_chance():
    rng, more = np.random.default_rng(0), 0
    for old, new in zip(rng.binomial(300, 0.8, 400) / 300, rng.binomial(200, 0.8, 400) / 200, strict=True):
        more += "by more than chance" in said(new, wilson(new, 200), float(old), map(float, wilson(old, 300)))
    assert 0.02 < more / 400 < 0.085


def test_a_difference_is_better_or_worse_by_the_score():
    assert "difference in accuracy is +0.200 (95% interval +0.1" in said(0.9, (0.85, 0.93), 0.7, (0.65, 0.75))
    assert "better by more than chance" in said(0.9, (0.85, 0.93), 0.7, (0.65, 0.75))
    assert "worse by more than chance" in said(0.9, (0.85, 0.93), 0.7, (0.65, 0.75), "log loss")
    assert "it could be chance" in said(0.72, (0.6, 0.8), 0.7, (0.65, 0.75))
    assert difference(0.9, (0.85, 0.93), 0.7, (0.65, 0.75))[0] > 0
    two = {"accuracy": 0.9, "log loss": 0.2, "ROC AUC": 0.9}
    ends = {"accuracy": (0.85, 0.93), "log loss": (0.15, 0.25), "ROC AUC": (0.8, 0.95)}
    before = config(
        {"accuracy": 0.7, "log loss": 0.5, "ROC AUC": 0.88},
        {"accuracy": [0.65, 0.75], "log loss": [0.45, 0.55], "ROC AUC": [0.8, 0.9]},
    )
    assert table_scores.against_training(before, two, ends).endswith("More than chance also: log loss (better).")


@pytest.mark.parametrize(
    ("scores", "intervals"),
    [
        (None, {}),
        ({"accuracy": "high"}, {"accuracy": [0.1, 0.2]}),
        ({"accuracy": 0.5}, {"accuracy": None}),
        ({"accuracy": 0.5}, {"accuracy": [0.5]}),
        ({"accuracy": 0.5}, {"accuracy": [float("nan"), float("nan")]}),
        ({"accuracy": 0.5}, None),
    ],
)
def test_damaged_scores_of_training_are_not_compared(scores, intervals):
    assert not table_scores.against_training(config(scores, intervals), {"accuracy": 0.5}, {"accuracy": (0.4, 0.6)})


def test_exact_probabilities_are_calibrated_and_exaggerated_ones_are_not():
    rng, more = np.random.default_rng(0), 0
    for _ in range(100):
        p = rng.dirichlet([1, 1, 1], 300)
        t = (p.cumsum(axis=1) > rng.random((300, 1))).argmax(axis=1)
        more += "by more than chance" in table_scores.calibrated(t, p)
    assert more <= 12
    sure = p**4 / (p**4).sum(axis=1, keepdims=True)
    assert "overconfident by more than chance" in table_scores.calibrated(t, sure)
    flat = p**0.3 / (p**0.3).sum(axis=1, keepdims=True)
    assert "underconfident by more than chance" in table_scores.calibrated(t, flat)
    right = p.argmax(axis=1) == t
    order = np.argsort(p.max(axis=1), kind="stable")
    ece = sum(abs(p.max(axis=1)[part].mean() - right[part].mean()) for part in np.array_split(order, 10)) / 10
    assert f"Calibration error (ECE, 10 bins): {ece:.3f};" in table_scores.calibrated(t, p)
    labels = rng.random((300, 2))
    assert "no more than chance" in table_scores.calibrated((rng.random((300, 2)) < labels).astype(int), labels)
    assert table_scores.calibrated(t[:19], p[:19]) == ""
    p[3] = np.nan
    assert table_scores.calibrated(t, p) == ""


@pytest.mark.parametrize(
    ("spread", "verdict"), [(1, "as they should"), (2, "fewer than they"), (0.3, "more than they")]
)
def test_the_coverage_of_intervals(spread, verdict):
    rng = np.random.default_rng(0)
    zeros = np.zeros(2000)
    run = SavedRun(None, SCHEMA, {}, Widths.of(rng.normal(size=2000), zeros))
    y = spread * rng.normal(size=2000)
    found = table_scores.covered(run, HeldOut(pl.DataFrame(), y, zeros))
    share = (np.abs(y) <= run.widths.half(0.9)).mean()
    assert f"contain {100 * share:.0f}" in found
    assert verdict in found
    assert table_scores.covered(run._replace(widths=Widths()), HeldOut(pl.DataFrame(), y, zeros)) == ""


def test_groups_are_values_of_texts_and_quarters_of_numbers():
    frame = pl.DataFrame({
        "x": [str(i) for i in range(40)],
        "few": [i % 3 for i in range(40)],
        "text": ["b", "a", None, "a"] * 10,
        "day": [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(40)],
        "gap": [float("nan"), 1.5, 2.5, None] * 10,
        "words": ["1", "x"] * 20,
        "none": pl.Series([None] * 40, dtype=pl.String),
    })  # fmt: skip

    def found(name):
        made = groups(SCHEMA, frame, name)
        assert np.array_equal(np.sort(np.concatenate([*made.values()])), np.arange(40))
        return {group: len(rows) for group, rows in made.items()}

    assert found("x") == {"0 to 9": 10, "10 to 19": 10, "20 to 29": 10, "30 to 39": 10}
    assert found("few") == {"0": 14, "1": 13, "2": 13}
    assert found("text") == {"a": 20, "b": 10, "(missing)": 10}
    assert next(iter(found("day"))) == "2020-01-01 to 2020-01-10"
    assert found("gap") == {"1.5": 10, "2.5": 10, "(missing)": 20}
    assert found("words") == {"1": 20, "x": 20}
    assert found("none") == {"(missing)": 40}
    with pytest.raises(ValueError, match=r"--by: there is no column .fwe.\. Did you mean .few."):
        found("fwe")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("scores")
    rng = np.random.default_rng(0)
    x, region = rng.normal(size=300), rng.choice(["north", "south"], 300)
    y = np.where(x + 0.3 * rng.normal(size=300) > 0, "yes", "no")
    frame = pl.DataFrame({"x": x, "region": region, "y": y, "z": 2 * x + rng.normal(size=300)})
    frame[:200].write_csv(place / "train.csv")
    frame[200:].write_csv(place / "new.csv")
    few = {"parameters": {"max_iter": 20, "hidden_layer_sizes": (8,)}}
    tables.save(tables.train(place / "train.csv", "y", drop=["z", "region"], **few), place / "class")
    tables.save(tables.train(place / "train.csv", "z", drop=["y", "region"], **few), place / "number")
    return place


def evaluated(*arguments, status=0):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


@pytest.mark.slow
@pytest.mark.parametrize("task", ["class", "number"])
def test_evaluate_compares_with_training_and_scores_groups(folder, task):
    result = evaluated(folder / task, folder / "new.csv", "--by", "region")
    text = " ".join(result.stdout.split())
    score = "accuracy" if task == "class" else "RMSE"
    assert f"Compared with the rows held out in training, the difference in {score} is " in text
    assert ("Calibration error (ECE, 10 bins)" in text) == (task == "class")
    assert ("The 90% prediction intervals (±" in text) == (task == "number")
    frame = pl.read_csv(folder / "new.csv")
    predicted = tables.predict(tables.load(folder / task), frame.drop("y", "z"))[0]["prediction"]
    for region in ("north", "south"):
        mine = frame["region"] == region
        truth, guess = frame.filter(mine)["y" if task == "class" else "z"], predicted.filter(mine)
        value = (truth == guess).mean() if task == "class" else ((truth - guess) ** 2).mean() ** 0.5
        shown = f"{value:.3f}" if task == "class" else f"{value:.4g}"
        assert re.search(rf"^{region} +{mine.sum()} +{shown} ", result.stdout, re.MULTILINE), result.stdout
    assert "this is the table of training" not in result.stderr
    assert "this is the training table, and most of its rows" in evaluated(folder / task, folder / "train.csv").stderr


@pytest.mark.slow
def test_evaluate_refuses_an_unknown_group_before_it_prints_scores(folder):
    result = evaluated(folder / "class", folder / "new.csv", "--by", "regoin", status=2)
    assert result.stdout == ""
    assert "--by: there is no column 'regoin'. Did you mean 'region'?" in result.stderr


@pytest.mark.slow
def test_few_rows_are_evaluated(folder, tmp_path):
    frame = pl.read_csv(folder / "new.csv")
    for count in (1, 2, 5):
        frame[:count].write_csv(tmp_path / "few.csv")
        for task in ("class", "number"):
            for by in ("region", "x"):
                assert re.search(
                    r"^(accuracy|RMSE) ", evaluated(folder / task, tmp_path / "few.csv", "--by", by).stdout, re.M
                )
