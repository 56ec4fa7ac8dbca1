"""The model card, and the scores of groups of held-out rows: every number is computed again in another way."""

import datetime as dt
import hashlib
import itertools
import math
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics
from typer.testing import CliRunner

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule._internal.code import code_digest
from chainrule.cli.app import app
from chainrule.tables import loading, models, saving
from chainrule.tables.report import differences, importance, page
from chainrule.tables.report.card import card
from chainrule.tables.report.collect import collect
from chainrule.tables.report.data import LEVEL
from chainrule.tables.report.groups import groups, scored, sentences
from chainrule.tables.report.uncertainty import intervals, wilson
from chainrule.tables.result import HeldOut
from chainrule.tables.schema import Column, Schema

SHORT = {"max_iter": 3, "hidden_layer_sizes": (4,), "dropout": 0.0}
NUMBER = Schema((), (Column("y", "number"),), "regression")
CLASSES = Schema((), (Column("y", "yes/no", "text", categories=("no", "yes")),), "binary", ("no", "yes"))


def frame(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    region = rng.choice(["north", "south", "west"], rows)
    noise = np.where(region == "north", 3.0, 0.1) * rng.normal(size=rows)
    day = np.datetime64("2020-01-01") + rng.integers(0, 900, rows)
    return pl.DataFrame({
        "a": a, "b": b, "region": region, "day": pl.Series(day), "age": rng.integers(18, 80, rows),
        "gap": [None if i % 7 == 0 else "ab"[i % 2] for i in range(rows)],
        "weight": rng.integers(1, 4, rows), "who": [f"p{i % 30}" for i in range(rows)],
        "y": a + 2 * b + noise, "label": np.where(a + noise > 0, "yes", "no"),
        "sold": np.where(b > 0, "yes", "no"), "late": np.where(a > 0, "yes", "no"),
        "grade": np.where(a > 1, "high", np.where(a > -1, "middle", "low")),
    })  # fmt: skip


TARGETS = {"regression": "y", "binary": "label", "multiclass": "grade", "multilabel": "sold,late"}
OTHERS = ["y", "label", "sold", "late", "grade", "weight", "who"]


def quiet(source, target, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tables.train(source, target, **options)


def trained(task, rows=300, keep=(), **options):
    target = TARGETS[task]
    dropped = [name for name in OTHERS if name not in (*target.split(","), *keep)]
    options = {"parameters": SHORT} | options
    return quiet(frame(rows).drop(dropped), target, **options)


def text_of(run):
    """Return the card as text without the escapes of Markdown."""
    return re.sub(r"\\([\\`*_{}\[\]#|$~])", r"\1", card(run, collect(run, seconds=0)).markdown)


def table_of(text, title):
    """Return the rows of the table after a heading, as lists of texts."""
    lines = text.split(f"### {title}\n\n", 1)[1].split("\n\n")[0].splitlines()
    return [[cell.strip().replace("**", "") for cell in line[1:-1].split(" | ")] for line in lines[2:]]


def facts_of(text):
    return dict(re.findall(r"^\| ([a-zA-Z0-9 -]+?) \| (.*) \|$", text, re.M))


# ---------------------------------------------------------------- groups


def test_groups_are_values_of_texts_and_quarters_of_numbers_and_dates():
    made = groups(NUMBER, pl.DataFrame({"g": ["b", None, "a", "b"]}), "g")
    assert {name: rows.tolist() for name, rows in made.items()} == {"a": [2], "b": [0, 3], "(missing)": [1]}
    numbers = groups(NUMBER, pl.DataFrame({"n": [10, 9, 2, 10, None]}), "n")
    assert [*numbers] == ["2", "9", "10", "(missing)"]  # in the order of numbers, not of texts
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(40)]
    quarters = groups(NUMBER, pl.DataFrame({"d": days[::-1]}), "d")
    assert next(iter(quarters)) == "2020-01-01 to 2020-01-10"
    assert [len(rows) for rows in quarters.values()] == [10, 10, 10, 10]
    assert quarters["2020-01-01 to 2020-01-10"].tolist() == [*range(30, 40)]


def test_a_dropped_column_of_texts_is_read_as_the_schema_says():
    """Amounts and dates as a person writes them are cut in quarters, and words among them are missing."""
    columns = (
        Column("born", "date", "text", date_format="%d.%m.%Y", dropped="--drop"),
        Column("age", "number", "text", holes=("old",), dropped="--drop"),
    )
    schema = replace(NUMBER, columns=columns)
    table = pl.DataFrame({
        "born": [f"{1 + i % 28:02d}.{1 + i // 28:02d}.1990" for i in range(56)], "age": [*map(str, range(55)), "young"],
    })  # fmt: skip
    assert next(iter(groups(schema, table, "born"))) == "1990-01-01 to 1990-01-14"
    assert [*groups(schema, table, "age")] == ["0 to 13", "14 to 27", "28 to 41", "42 to 54", "(missing)"]


def test_every_row_is_in_one_group_whatever_the_names():
    odd = ["(missing)", None, "a\0", "a", "", "1e3", "x" * 500]
    made = groups(NUMBER, pl.DataFrame({"g": odd}), "g")
    assert sorted(np.concatenate([*made.values()]).tolist()) == [*range(len(odd))]
    assert len(made) == len(odd)
    near = pl.DataFrame({"n": 1e6 + np.arange(40) / 100})  # ends that are alike in six digits
    assert sum(map(len, groups(NUMBER, near, "n").values())) == 40
    for values in ([True, False, None], [[1], [2], [1]], [float("inf"), float("nan"), -1.0], [None] * 3):
        made = groups(NUMBER, pl.DataFrame({"g": values}, strict=False), "g")
        assert sorted(np.concatenate([*made.values()]).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("task", ["binary", "regression", "multilabel"])
def test_the_scores_of_groups(task):
    rng = np.random.default_rng(0)
    n, which = 200, rng.choice(["s", "m", "l"], 200, p=[0.1, 0.3, 0.6])
    schema, p = CLASSES, None
    if task == "binary":
        y, p1 = rng.choice(["no", "yes"], n), rng.random(n)
        said, p = np.where(p1 > 0.5, "yes", "no"), np.column_stack([1 - p1, p1])
    elif task == "regression":
        schema, y, said = NUMBER, rng.normal(size=n), rng.normal(size=n)
    else:
        names = ("a", "b", "c")
        schema = Schema((), tuple(Column(name, "yes/no", categories=("no", "yes")) for name in names), task)
        y, p = rng.integers(0, 2, (n, 3)), rng.random((n, 3))
        said = (p > 0.5).astype(int)
    held = HeldOut(pl.DataFrame({"g": which}), y, said, p)
    (of,) = scored(schema, held, {"g": groups(schema, held.frame, "g")})
    assert [group.name for group in of.shown] == ["l", "m", "s"]
    for group in of.shown:
        mine = which == group.name
        assert group.rows == mine.sum()
        if task == "regression":
            main, second = metrics.root_mean_squared_error, metrics.mean_absolute_error
            expected = main(y[mine], said[mine]), second(y[mine], said[mine]), main(y[~mine], said[~mine])
        else:
            flat = (lambda values: values) if task == "binary" else np.ravel
            main = [metrics.accuracy_score(flat(y[rows]), flat(said[rows])) for rows in (mine, ~mine)]
            labels = ["no", "yes"] if task == "binary" else [0, 1]
            expected = main[0], metrics.log_loss(flat(y[mine]), flat(p[mine]), labels=labels), main[1]
        assert (group.score, group.second, group.others) == pytest.approx(expected, rel=1e-9)
        part = HeldOut(held.frame.filter(mine), y[mine], said[mine], None if p is None else p[mine])
        around = intervals(schema, part, {of.measures[0]: group.score})[of.measures[0]]
        assert (group.low, group.high) == pytest.approx(around, rel=1e-9)
        if task == "binary":
            assert (group.low, group.high) == pytest.approx(wilson(group.score, group.rows), rel=1e-9)


def test_right_and_wrong_are_compared_by_fishers_exact_test_with_holms_correction():
    rng = np.random.default_rng(0)
    wrong = rng.random(300) < np.repeat([0.1, 0.3, 0.2], 100)
    parts = np.split(np.arange(300), 3)
    n, total = np.full(3, 100.0), np.array([wrong[part].sum() for part in parts], float)
    p_values, _ = differences.tested(wrong.astype(float), parts, n, total, [3])
    one_sided = []
    for part in parts:
        inside = np.isin(np.arange(300), part)
        counts = [[(wrong & rows).sum(), (~wrong & rows).sum()] for rows in (inside, ~inside)]
        one_sided.append(min(stats.fisher_exact(counts, side)[1] for side in ("less", "greater")))
    raw = np.minimum(1, 2 * np.array(one_sided))
    order, holm, most = np.argsort(raw), np.empty(3), 0.0
    for i, at in enumerate(order):
        most = max(most, min(1, (3 - i) * raw[at]))
        holm[at] = most
    np.testing.assert_allclose(p_values, holm, rtol=1e-9)


def test_the_moments_of_a_sum_of_errors_are_exact():
    """Of all sets of three rows of eight: the variance and the skewness that the gamma distribution is given."""

    losses = np.array([0.1, 0.2, 0.2, 0.3, 0.5, 0.9, 1.4, 3.0])
    sums = np.array([sum(one) for one in itertools.combinations(losses, 3)])
    for total in (0.8, 2.0, 4.0):
        z = (total - sums.mean()) / sums.std()
        of = stats.pearson3(stats.skew(sums))
        expected = min(1.0, 2 * min(of.cdf(z), of.sf(z)))
        assert differences._chance(losses, np.array([3.0]), np.array([total]))[0] == pytest.approx(expected, rel=1e-9)


def _said(schema, y, predictions, which):
    held = HeldOut(pl.DataFrame({"g": which}), y, predictions)
    if schema.is_classification:
        held = replace(held, probabilities=np.where(predictions[:, None] == ["no", "yes"], 0.9, 0.1))
    return " ".join(sentences(scored(schema, held, {"g": groups(schema, held.frame, "g")})))


@pytest.mark.slow
@pytest.mark.parametrize("error", ["right", "normal", "t2", "lognormal"])
def test_equal_groups_are_seldom_said_to_differ(error):
    """In at most 5% of the tables, of six groups of very different sizes."""
    rng, more, times = np.random.default_rng(0), 0, 300
    draws = {
        "right": lambda: (rng.random(250) < 0.1).astype(float),
        "normal": lambda: rng.normal(size=250) ** 2,
        "t2": lambda: rng.standard_t(2, 250) ** 2,
        "lognormal": lambda: rng.lognormal(size=250) ** 2,
    }
    for _ in range(times):
        losses, which = draws[error](), rng.choice(6, 250, p=[0.4, 0.3, 0.15, 0.08, 0.05, 0.02])
        parts = [np.flatnonzero(which == k) for k in np.unique(which)]
        n, total = np.array([[len(part), losses[part].sum()] for part in parts], float).T
        more += (differences.tested(losses, parts, n, total, [len(parts)])[0] <= LEVEL).any()
    assert more <= times * LEVEL + 2 * math.sqrt(times * LEVEL * (1 - LEVEL))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_worse_group_is_found(task):
    rng, found = np.random.default_rng(1), 0
    for _ in range(20):
        which = rng.choice([*"abcd"], 400)
        bad = which == "c"
        if task == "binary":
            y = rng.choice(["no", "yes"], 400)
            wrong = rng.random(400) < np.where(bad, 0.4, 0.1)
            text = _said(CLASSES, y, np.where(wrong, np.where(y == "no", "yes", "no"), y), which)
        else:
            text = _said(NUMBER, np.zeros(400), rng.normal(size=400) * np.where(bad, 2.0, 1.0), which)
        found += bool(
            re.match(r"By more than chance, (accuracy|RMSE) is worse than for all other rows for g: c \(", text)
        )
    assert found >= 18


def test_a_few_huge_errors_in_a_group_of_small_ones_are_no_difference():
    """The sum of the squared errors is larger by far, but most of the errors are smaller."""
    rng = np.random.default_rng(0)
    error = rng.normal(size=400) * np.repeat([0.3, 1.0], 200)
    error[:8] = 30.0
    which = np.repeat(["a", "b"], 200)
    assert _said(NUMBER, np.zeros(400), error, which).startswith("No difference in RMSE")


def test_a_group_of_few_rows_is_too_small_to_tell():
    which = np.array(["few"] * 4 + ["a"] * 150 + ["b"] * 150)
    y = np.tile(["no", "yes"], 152)
    wrong = np.arange(304) % 9 == 0
    text = _said(CLASSES, y, np.where(wrong, np.where(y == "no", "yes", "no"), y), which)
    assert text.startswith("No difference in accuracy between a group and all other rows is more than chance")
    assert text.endswith("Too few rows to tell twice as many errors from chance: g: few (4 rows).")
    # if all four are wrong, it is not too small
    wrong[:4] = True
    text = _said(CLASSES, y, np.where(wrong, np.where(y == "no", "yes", "no"), y), which)
    assert text.startswith(
        "By more than chance, accuracy is worse than for all other rows for g: few (0.0% vs. 89.0%)."
    )
    assert "Too few" not in text


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_nothing_to_compare(rows):
    nothing = "There is nothing to compare"
    assert _said(NUMBER, np.zeros(rows), np.arange(1.0, rows + 1), np.array(["a"] * rows)).startswith(nothing)
    assert _said(NUMBER, np.zeros(9), np.ones(9), np.array(["a", "b", "c"] * 3)).startswith(nothing)  # equal errors
    huge = np.array([1e200, 1.0, 2.0] * 3)
    with np.errstate(over="ignore"):
        assert _said(NUMBER, np.zeros(9), huge, np.array(["a", "b", "c"] * 3)).startswith(nothing)  # infinite squares


def test_two_groups_are_one_test():
    """The second group of two is all other rows of the first."""
    rng = np.random.default_rng(0)
    losses = (rng.random(200) < np.repeat([0.1, 0.25], 100)).astype(float)
    parts = np.split(np.arange(200), 2)
    total = np.array([losses[part].sum() for part in parts])
    p_values, _ = differences.tested(losses, parts, np.full(2, 100.0), total, [2])
    counts = [[total[0], 100 - total[0]], [total[1], 100 - total[1]]]
    assert p_values.tolist() == pytest.approx([2 * stats.fisher_exact(counts, "less")[1]] * 2)


def test_a_thousand_groups():
    rng = np.random.default_rng(0)
    which = np.arange(20_000) % 1000
    wrong = (rng.random(20_000) < 0.05) | (which == 137)
    y = rng.choice(["no", "yes"], 20_000)
    held = HeldOut(
        pl.DataFrame({"shop": [f"shop {i}" for i in which]}), y, np.where(wrong, np.where(y == "no", "yes", "no"), y),
        np.full((20_000, 2), 0.5),
    )  # fmt: skip
    of = scored(CLASSES, held, {"shop": groups(CLASSES, held.frame, "shop")})
    assert len(of[0].shown) == 12
    assert of[0].more == 988
    assert [group.name for group in of[0].differing] == ["shop 137"]
    assert "shop 137" in [group.name for group in of[0].shown]
    text = " ".join(sentences(of))
    assert "accuracy is worse than for all other rows for shop: shop 137 (0.0% vs. 9" in text
    assert re.search(r"shop: shop \d+ \(20 rows\) and 994 more\.$", text)
    assert len(text) < 800


# ---------------------------------------------------------------- the card


@pytest.mark.few(1)
@pytest.mark.parametrize("task", [*TARGETS])
def test_every_number_of_the_card(task):
    run = trained(task, by=["region", "day"])
    text, held = text_of(run), run.held_out
    facts = facts_of(text)
    outputs = {"multiclass": 3, "multilabel": 2}.get(task, 1)
    size = (held.inputs.shape[1] + 1) * 4 + (4 + 1) * outputs
    assert f"with a network of {size:,} parameters in total." in text
    assert f": {held.inputs.shape[1]} inputs." in text
    assert facts["SHA-256"] == facts["data SHA-256"] == run.sha256
    assert facts["rows held out"].startswith("60 (random rows")
    assert facts["rows trained on"] == "240, 30 of them for early stopping"
    day = frame()["day"]
    assert facts["period"] == f"day: {day.min()} to {day.max()}"
    assert facts["weights"] == "all rows count the same"
    assert facts["seed"] == "0"
    loaded = loading.load(frame().drop(
        [name for name in OTHERS if name not in TARGETS[task].split(",")]), TARGETS[task], by=["region", "day"]
    )  # fmt: skip
    learned = loaded.y[np.concatenate([loaded.train, loaded.validation])]
    rows = table_of(text, "Target in the rows trained on")
    if task == "regression":
        quartiles = [float(v.replace("−", "-")) for v in rows[0]]
        expected = [learned.mean(), learned.min(), *np.percentile(learned, [25, 50, 75]), learned.max()]
        assert quartiles == pytest.approx(expected, rel=1e-3)
    elif task == "multilabel":
        assert {name: int(count) for name, count, _ in rows} == {
            "sold": learned[:, 0].sum(), "late": learned[:, 1].sum()
        }  # fmt: skip
    else:
        names, counts = np.unique(learned, return_counts=True)
        assert {name: int(count) for name, count, _ in rows} == dict(zip(names, counts, strict=True))
        assert sum(float(share[:-1]) for *_, share in rows) == pytest.approx(100, abs=1)
    columns = {name: cells for name, *cells in table_of(text, "Columns")}
    missing = frame()["gap"].is_null().mean()
    assert columns["gap"] == ["yes/no", f"{100 * missing:.0f}%", "a and b"]
    assert columns["region"] == ["category", "0%", "north, south and west"]
    assert columns["age"] == ["number", "0%", f"{frame()['age'].min()} to {frame()['age'].max()}"]
    group = {name: cells for name, *cells in table_of(text, "region")}
    for name in ("north", "south", "west"):
        mine = (held.frame["region"] == name).to_numpy()
        right = [held.y[rows] == held.predictions[rows] for rows in (mine, ~mine)]
        assert group[name][0] == str(mine.sum())
        if task == "regression":
            errors = [held.y[rows] - held.predictions[rows] for rows in (mine, ~mine)]
            shown = [float(group[name][at]) for at in (1, 3, 4)]
            expected = [*(math.sqrt((e**2).mean()) for e in errors), np.abs(errors[0]).mean()]
            assert shown == pytest.approx(expected, rel=2e-3)
        else:
            assert group[name][1] == f"{100 * right[0].mean():.1f}%"
            assert group[name][3] == f"{100 * right[1].mean():.1f}%"
    assert len(table_of(text, "day")) == 4
    for name, value in run.scores.items():
        assert name in text
        if name in ("accuracy", "balanced accuracy"):
            assert f"- **{100 * value:.1f}%** {name}" in text


@pytest.mark.slow
def test_the_card_of_an_ensemble(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "ensemble", small_tables.small_ensembles)
    run = trained("binary", parameters=None, metric="f1")
    text, model = text_of(run), run.pipeline[-1]
    size = sum(network.theta.size for network in model.members_)
    assert f"with an ensemble of 5 networks of {size:,} parameters in total." in text
    shown = re.search(r"Thresholds of the probabilities: no ([\d.]+) and yes ([\d.]+)\.", text)
    assert [float(v) for v in shown.groups()] == pytest.approx(model.ensemble_.thresholds.tolist(), abs=1e-3)
    assert f"(temperature {model.temperature_:.3g}" in text
    number = text_of(trained("regression", parameters=None))
    assert re.search(r"predictions stay within the target's range in the rows trained on, −[\d.]+ to [\d.]+,", number)


@pytest.mark.slow
def test_a_column_of_groups_stays_an_input_unless_it_is_dropped():
    run = trained("binary", by=["region"])
    assert "region" in [column.name for column in run.schema.used]
    run = trained("binary", by="region", drop=["region"])
    assert "region" not in [column.name for column in run.schema.used]
    text = text_of(run)
    assert len(table_of(text, "region")) == 3
    assert "| region | dropped: --drop |" in text
    assert run.settings["by"] == ["region"]


@pytest.mark.parametrize("options", [{}, {"folds": 3}, {"stream": True}])
def test_an_unknown_column_is_refused_before_training(options, tmp_path, monkeypatch):
    frame().drop(OTHERS[1:]).write_csv(tmp_path / "t.csv")
    monkeypatch.setattr("chainrule.tables.training.fit", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"--by: there is no column 'regoin'\. Did you mean 'region'"):
        tables.train(tmp_path / "t.csv", "y", by=["a", "regoin"], **options)
    frame(20).drop("region").write_csv(tmp_path / "test.csv")
    with pytest.raises(ValueError, match=r"test\.csv has no column 'region', whose groups --by asks for"):
        tables.train(frame().drop("region").with_columns(region=pl.lit("a")), "y", test=tmp_path / "test.csv",
                     by=["region"], drop=["region"])  # fmt: skip


@pytest.mark.slow
def test_with_folds_every_row_is_in_a_group():
    run = trained("regression", rows=90, folds=3, by=["region"])
    rows = table_of(text_of(run), "region")
    assert {name: int(n) for name, n, *_ in rows} == dict(frame(90)["region"].value_counts().rows())
    assert "in 3 folds" in facts_of(text_of(run))["rows held out"]


@pytest.mark.slow
def test_with_weights_a_test_file_or_by_time(tmp_path):
    run = trained("regression", keep=["weight"], weight="weight")
    text = text_of(run)
    assert facts_of(text)["weights"] == "column weight"
    assert "Training weighted its rows by 'weight'; the scores count every row the same." in text
    assert "Tested on 60 rows of the same table." in text
    frame(50, seed=1).drop(OTHERS[1:]).write_csv(tmp_path / "test.csv")
    text = text_of(trained("regression", test=tmp_path / "test.csv", by=["region"], drop=["region"]))
    assert "Tested on the 50 rows of another file." in text
    assert {name: int(n) for name, n, *_ in table_of(text, "region")} == dict(
        frame(50, seed=1)["region"].value_counts().rows()
    )
    text = text_of(trained("regression", time_column="day"))
    assert "Tested on the last 60 rows by 'day', later than those trained on." in text
    assert f"as for 'day' after {frame()['day'].max()}" in text
    text = text_of(trained("regression", keep=["who"], group="who"))
    assert re.search(r"Tested on \d+ rows with other values of 'who' than those trained on", text)


@pytest.mark.slow
def test_limits_are_those_of_the_data():
    run = trained("multiclass")
    text = text_of(run)
    low = run.target_rows["low"]
    assert f"'low' ({low:.0f} row" in text or low >= 30
    assert "Its probabilities are not calibrated" in text
    run = replace(run, target_rows={"low": 3, "middle": 200, "high": 29})
    assert "2 classes had fewer than 30 training rows: 'low' (3 rows) and 'high' (29 rows)." in text_of(run)
    assert "It knows only the values of 'region' and 'gap' in its table" in text
    assert "No missing values occurred in 'a', 'b', 'region', 'day' and 'age', so" in text
    assert "beyond the values of its 3 numbers and 1 date" in text
    number = trained("regression")
    half = number.widths.half(0.9)
    errors = np.sort(np.abs(number.held_out.y - number.held_out.predictions))
    assert half == errors[math.ceil(61 * 0.9) - 1]
    assert f"are ± {half:.4g} for every row, from 60 held-out rows." in text_of(number)


@pytest.mark.slow
def test_without_groups_it_says_how_to_get_them_and_without_held_out_rows_that_there_are_none():
    run = trained("regression")
    text = text_of(run)
    assert "Not examined: no groups were given. Train with --by COLUMN" in text
    none = replace(
        run, held_out=HeldOut(run.held_out.frame[:0], np.zeros(0), np.zeros(0)), scores={}, intervals={},
        split=replace(run.split, test=0), settings=run.settings | {"by": ["region"]},
    )  # fmt: skip
    text = text_of(none)
    assert "No rows were held out, so groups of rows cannot be compared." in text
    assert "Not tested: no rows were held out." in text
    assert facts_of(text)["rows held out"] == "none"


def test_names_are_text_not_markup():
    evil = ["<script>alert(1)</script>", "a|b", "`code`", "two\nlines", "*bold* _x_", "[link](http://x)", "# head"]
    rng = np.random.default_rng(0)
    name = "group | <b>`of`</b>\nrows"
    table = pl.DataFrame({"x": rng.normal(size=280), name: evil * 40}).with_columns(y=pl.col("x") * 2)
    run = quiet(table, "y", by=[name], parameters=SHORT)
    data = collect(run, seconds=0)
    written = card(run, data).markdown
    assert "<script" not in written
    assert "<b>" not in re.sub("```text\n.*?```", "", written, flags=re.S)  # in code, it is text
    assert r"\`code\`" in written
    assert r"a\|b" in written
    assert "two lines" in written
    assert not re.search(r"^# head", written, re.M)
    for line in re.findall(r"^\|.*\|$", written, re.M):  # every table stays a table
        assert len(re.findall(r"(?<!\\)\|", line)) >= 3
    for html in (page(data).html, card(run, data).html):
        assert "<script" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.slow
def test_the_report_has_groups_and_limits_once():
    run = trained("binary", by=["region"])
    report = page(collect(run, seconds=0)).markdown
    for heading in ("## For whom it works worse: groups of held-out rows", "## Limits", "## Data"):
        assert report.count(heading) == 1
    assert "### Columns" not in report  # its table of the data has them
    for text in ("Tested on 60 rows", "not causes"):
        assert report.count(text) == 1


@pytest.mark.slow
def test_two_runs_with_one_seed_have_the_same_card_to_the_byte():
    one, two = (trained("regression", by=["region", "age"]) for _ in range(2))
    assert one.seconds != two.seconds
    assert text_of(one) == text_of(two)


@pytest.mark.slow
def test_the_file_of_the_command_has_what_repeats_the_run_and_nothing_that_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving.converting, "to_onnx", lambda _: (None, "not asked for"))
    monkeypatch.setattr(importance, "measure", lambda *_, **__: None)
    frame(120).drop(OTHERS[1:]).write_csv("t.csv")
    command = ["train", "t.csv", "--target", "y", "--by", "region,age", "--layers", "4", "--epochs", "2"]
    for more in (["--out", "one"], ["--out=two", "--quiet", "--overwrite"]):
        monkeypatch.setattr(sys, "argv", ["chainrule", *command, *more])
        done = CliRunner().invoke(app, [*command, *more])
        assert done.exit_code == 0, done.output
    one, two = (Path(folder, "card.md").read_bytes() for folder in ("one", "two"))
    assert one == two
    assert b"chainrule train t.csv --target y --by region,age --layers 4 --epochs 2\n" in one
    assert hashlib.sha256(Path("t.csv").read_bytes()).hexdigest().encode() in one
    assert code_digest().encode() in one


def test_the_option_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame(120).drop(OTHERS[1:]).write_csv("t.csv")
    bad = CliRunner().invoke(app, ["train", "t.csv", "--target", "y", "--by", "regoin"])
    assert bad.exit_code == 2
    assert "there is no column 'regoin'. Did you mean 'region'?" in bad.stderr
    assert not Path("runs").exists() or not list(Path("runs").glob("*/model.safetensors"))
    refused = CliRunner().invoke(app, ["train", "digits", "--by", "region"])
    assert refused.exit_code == 2
    assert "--by" in CliRunner().invoke(app, ["train", "--help"]).output


@pytest.mark.slow
def test_the_digest_of_the_code_is_that_of_the_files_also_in_a_zip(tmp_path):
    root = Path(cr.__file__).parent
    lines = sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(root).as_posix()}\n"
        for path in root.rglob("*.py")
    )
    assert code_digest() == hashlib.sha256("".join(lines).encode()).hexdigest()
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_bytes(b"a = 1\r\n")
    (package / "inner" / "__init__.py").write_bytes(b"")
    (package / "inner" / "part.py").write_bytes("ä = 2\n".encode())
    (package / "note.txt").write_bytes(b"not code")
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for path in sorted(package.rglob("*"), reverse=True):
            archive.write(path, path.relative_to(tmp_path))
    digests = set()
    for place in (tmp_path, tmp_path / "package.zip"):
        text = (
            f"import sys; sys.path.insert(0, {str(place)!r}); from chainrule._internal.code import code_digest; "
            "print(code_digest('package'))"
        )
        digests.add(subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout)
    assert len(digests) == 1
    shutil.rmtree(package / "inner")
    assert code_digest("email") != code_digest("json")
