"""Contributions of columns and counterfactuals: against brute force, on every kind of column and of target."""

import csv
import io
import itertools
import math
import re
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule.cli.app import app
from chainrule.tables import models
from chainrule.tables.serving import explained, search, shapley
from chainrule.tables.serving.search import Candidates
from test_package import HIDE

KINDS = ("binary", "multiclass", "regression", "multilabel")
KEPT = ("size", "garden", "city", "built", "notes")  # a column of each kind, for brute force


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "ensemble", small_tables.small_ensembles)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory, small):
    """Return a folder with a run for each kind of target: one network, or an ensemble with a threshold."""
    folder = tmp_path_factory.mktemp("runs")
    frame = small_tables.frame(120)
    frame.write_csv(folder / "rows.csv")
    options = {
        "binary": {"threshold": 0.3},
        "regression": {},
        "multiclass": {"parameters": small_tables.SHORT},
        "multilabel": {"parameters": small_tables.SHORT},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for task, goals in small_tables.TARGETS.items():
            made = tables.train(frame.select(*KEPT, *goals), ",".join(goals), **options[task])
            tables.save(made, folder / task)
    return folder


@pytest.fixture(scope="module")
def loaded(runs):
    return {task: cr.load(runs / task) for task in KINDS}


def rows_of(count=120, seed=0):
    return small_tables.frame(count, seed).select(KEPT).to_dicts()


def probability(model, rows, about):
    """Return what ``about`` names for rows, by the public methods."""
    if model.schema.task == "regression":
        return model.predict(rows)
    names = [str(name) for name in model.classes_]
    if model.schema.task == "multilabel":
        place = names.index(re.fullmatch(r"probability of (\w+) = \w+", about)[1])
    else:
        place = names.index(about.rpartition(" = ")[2])
    return model.predict_proba(rows)[:, place]


def brute_force(model, row, background, about):
    """Return the Shapley values from their definition: every set of columns, every row."""
    names, k = list(row), len(row)

    def value(kept):
        return probability(model, [{**other, **{n: row[n] for n in kept}} for other in background], about).mean()

    found = dict.fromkeys(names, 0.0)
    for name in names:
        rest = [other for other in names if other != name]
        for size in range(k):
            weight = math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k)
            for kept in itertools.combinations(rest, size):
                found[name] += weight * (value({*kept, name}) - value(kept))
    return value(()), found


@pytest.mark.few(1)
@pytest.mark.parametrize("task", KINDS)
def test_contributions_are_shapley_values(loaded, task):
    model, rows = loaded[task], rows_of()
    row, background = rows[4], rows[20:26]
    found = cr.tables.contributions(model, row, background)
    base, wanted = brute_force(model, row, background, found.about)
    assert found.base == pytest.approx(base, abs=1e-6 * max(1, abs(base)))
    assert {one.column for one in found.columns} == {*KEPT}
    scale = float(max(map(abs, wanted.values())))
    for one in found.columns:
        assert one.amount == pytest.approx(wanted[one.column], abs=1e-5 * scale)
        assert one.standard_error == 0
        assert one.value == row[one.column]
    assert found.orders == 0
    assert found.base + found.total == pytest.approx(probability(model, row, found.about)[0], rel=1e-5)
    sizes = [abs(one.amount) for one in found.columns]
    assert sizes == sorted(sizes, reverse=True)


def test_the_output_that_is_explained(loaded):
    rows = rows_of()
    about = {task: cr.tables.contributions(model, rows[3], rows[:9]).about for task, model in loaded.items()}
    assert about["binary"] == "probability of ill = yes"
    assert about["regression"] == "price"
    grade = loaded["multiclass"].predict(rows[3])[0]
    assert about["multiclass"] == f"probability of grade = {grade}"
    assert re.fullmatch(r"probability of (sold|late) = yes", about["multilabel"])
    for label in loaded["multiclass"].classes_:
        found = cr.tables.contributions(loaded["multiclass"], rows[3], rows[:9], label=label)
        assert found.prediction == pytest.approx(loaded["multiclass"].predict_proba(rows[3])[0, label])
    found = cr.tables.contributions(loaded["binary"], rows[3], rows[:9], label="no")
    other = cr.tables.contributions(loaded["binary"], rows[3], rows[:9])
    assert {one.column: pytest.approx(-one.amount, abs=1e-6) for one in other.columns} == {
        one.column: one.amount for one in found.columns
    }
    assert cr.tables.contributions(loaded["multilabel"], rows[3], rows[:9], label="late").about.startswith(
        "probability of late"
    )


def test_rows_may_be_dictionaries_columns_or_data_frames(loaded):
    pd = pytest.importorskip("pandas")
    model, frame = loaded["binary"], small_tables.frame(60).select(KEPT)
    wanted = cr.tables.contributions(model, frame[2:3], frame, rows=20, seed=3)
    arrow = frame.to_arrow() if hasattr(frame, "to_arrow") else frame
    for row, background in (
        (frame.to_dicts()[2], frame.to_dicts()),
        (frame.to_dicts()[2:3], frame.to_dict(as_series=False)),
        (frame[2:3].to_dict(as_series=False), frame.to_dict()),
        (pd.DataFrame(frame.to_dicts()[2:3]), pd.DataFrame(frame.to_dicts(), index=range(100, 160))),
        (frame[2:3], arrow),
    ):
        found = cr.tables.contributions(model, row, background, rows=20, seed=3)
        assert [(one.column, one.amount) for one in found.columns] == [
            (one.column, one.amount) for one in wanted.columns
        ]
    assert cr.tables.contributions(model, frame[2:3], frame, rows=20, seed=4) != wanted


@pytest.mark.parametrize("evaluations", [2**17, 200])
def test_efficiency_symmetry_dummy_and_linearity(evaluations):
    rng = np.random.default_rng(0)
    X, x, w = rng.normal(size=(9, 6)), rng.normal(size=6), np.array([2.0, -1.0, 0.0, 3.0, 0.5, 0.5])
    of = np.array([0, 1, 2, 3, 4, 4])
    found = shapley.shapley(lambda rows: rows @ w, x, X, of, rng, evaluations)
    linear = w * (x - X.mean(axis=0))
    assert (found.orders > 0) == (evaluations == 200)
    np.testing.assert_allclose(found.values, [*linear[:4], linear[4:].sum()], atol=1e-12)
    np.testing.assert_allclose(found.errors, 0, atol=1e-7)
    assert found.values[2] == 0  # it is not used
    assert found.base + found.values.sum() == pytest.approx(x @ w)

    X[:, 1], x[1] = X[:, 0], x[0]
    alike = shapley.shapley(lambda rows: np.tanh(rows[:, 0] + rows[:, 1]), x, X, of, rng)
    assert alike.values[0] == pytest.approx(alike.values[1], abs=1e-14)
    X[:, 3] = x[3] = np.nan
    with_missing = shapley.shapley(lambda rows: np.nansum(rows, axis=1), x, X, of, rng)
    assert with_missing.values[3] == 0


def test_a_column_that_the_network_does_not_use_contributes_exactly_0(loaded):
    model, rows = loaded["regression"], rows_of()
    part = np.array(model.sources) == "size"

    def without(X):
        y, p = real(np.where(part, 0.0, X))
        return y, p

    real = model.outputs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "outputs", lambda _, X: without(X))
        found = cr.tables.contributions(model, rows[0], rows[50:60])
    assert next(one.amount for one in found.columns if one.column == "size") == 0
    same = [{**row, "city": rows[0]["city"]} for row in rows[50:60]]
    found = cr.tables.contributions(model, rows[0], same)
    assert next(one.amount for one in found.columns if one.column == "city") == 0


def test_sampled_values_are_within_their_standard_errors_and_add_up():
    rng = np.random.default_rng(1)
    W, u = rng.normal(size=(7, 5)), rng.normal(size=5)
    X, x, of = rng.normal(size=(8, 7)) + 1e6, rng.normal(size=7) + 1e6, np.arange(7)

    def f(rows):
        return 1e7 + np.tanh((rows - 1e6) @ W) @ u

    exact = shapley.shapley(f, x, X, of, rng)
    assert exact.orders == 0
    z = []
    for seed in range(40):
        found = shapley.shapley(f, x, X, of, np.random.default_rng(seed), 900)
        assert found.orders == 2 * 8 * 8
        assert found.base + found.values.sum() == pytest.approx(float(f(x[None])[0]), rel=1e-14)
        assert found.base == exact.base
        z.append((found.values - exact.values) / found.errors)
    assert 0.8 < np.std(z) < 1.3
    assert abs(np.mean(z)) < 0.2
    again = shapley.shapley(f, x, X, of, np.random.default_rng(39), 900)
    np.testing.assert_array_equal(again.values, found.values)


@pytest.mark.few(1)
@pytest.mark.parametrize("columns", [30, 200, 3000])
def test_the_work_is_bounded_for_many_columns(columns):
    rng, counts = np.random.default_rng(0), []

    def f(rows):
        counts.append(rows.size)
        return rows.sum(axis=1)

    X = rng.normal(size=(100, columns)).astype(np.float32)
    found = shapley.shapley(f, X[0] + 1, X, np.arange(columns), rng, 2**13)
    assert sum(counts) / columns < max(2**14, 10 * columns)
    assert max(counts) <= max(shapley.CELLS, columns)
    assert found.rows == min(100, max(2, 2**13 // (4 * columns)))
    assert found.values.sum() == pytest.approx(columns, rel=1e-5) or found.rows < 100


def test_printed_contributions(loaded):
    rows = rows_of()
    found = cr.tables.contributions(loaded["binary"], rows[4], rows)
    text = str(found)
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"ok 0\.\d{4} \(base\) [+−] 0\.\d{4} \(contributions\) = 0\.\d{4} \(pred", text)
    assert "Exact: all sets of columns were evaluated." in text
    assert "correlated columns" in text
    assert re.search(r"^size +\(missing\) +[+−]0\.\d+ .*│", text, re.MULTILINE)
    many = replace(found, columns=found.columns * 10, orders=600)
    assert re.search(r"^30 others +[+−]\d\.\d+ +– ", str(many), re.MULTILINE)
    assert "Estimated from 600 random orders of the columns; ± is the standard error." in " ".join(str(many).split())
    assert "  !! " in str(replace(found, prediction=found.prediction + 0.1))


def test_without_a_background_values_are_drawn_from_the_distributions_of_training(loaded):
    model, rows = loaded["regression"], rows_of()
    found = cr.tables.contributions(model, rows[5])
    assert found.background == "100 rows, each column drawn by itself from those of training"
    assert found.base == pytest.approx(model.predict(rows).mean(), rel=0.2)
    assert found.base + found.total == pytest.approx(found.prediction, rel=1e-5)
    assert cr.tables.contributions(model, rows[5]) == found
    assert next(one.amount for one in found.columns if one.column == "notes") == 0  # training had no missing texts
    changes = cr.tables.counterfactuals(model, rows[5], wanted=float(found.prediction + 20))
    for one in changes.found:
        assert model.predict(one.row)[0] >= found.prediction + 20
    model = cr.tables.TableModel(model.table._replace(reference=None), model.model)
    with pytest.raises(ValueError, match="background: the model has no distributions of training: give some rows"):
        cr.tables.contributions(model, rows[5])


def test_values_of_every_kind_are_drawn_as_they_are_read(tmp_path):
    tables.save(small_tables.trained("binary"), tmp_path / "run")
    model, row = cr.load(tmp_path / "run"), small_tables.frame(9).to_dicts()[3]
    made, _ = explained.some_rows(model, row, None, 500, 0)
    read = model.read(made)
    assert model.notes == ()
    for column in model.schema.used:
        found, values = model.reference.columns[column.name], read[column.name]
        if column.kind == "text":
            assert {*values} == {row[column.name]}
        elif column.kind in ("number", "date"):
            known = values[~np.isnan(values)]
            assert {*known} == {*found.quantiles[1:-1]}
            assert np.isnan(values).mean() == pytest.approx(found.missing, abs=0.05)
        elif column.kind == "yes/no":
            assert {*values} == {0.0, 1.0}
        else:
            assert {*values} == {*found.values} | ({"(missing)"} if found.missing else set())
    assert all(re.fullmatch(r"\d\d\.\d\d\.20\d\d", text) for text in made["opened"])


def nearest_single(model, row, background, reached):
    """Return the smallest distance of a change of one column that reaches the goal, by trying all."""
    best = math.inf
    for name in row:
        values = [other[name] for other in background]
        known = [value for value in values if value not in (None, "")]
        for value in {*known} - {row[name]}:
            if reached(model, {**row, name: value}):
                distance = 1.0
                if name in ("size", "built") and row[name] is not None:
                    below = [
                        (sum(v < end for v in known) + sum(v <= end for v in known)) / 2 for end in (value, row[name])
                    ]
                    distance = abs(below[0] - below[1]) / len(known)
                best = min(best, distance)
    return best


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "wanted"), [("binary", None), ("multiclass", 2), ("multiclass", None), ("regression", "above 300")]
)
def test_the_nearest_change_of_one_column_is_found(loaded, task, wanted):
    model, rows = loaded[task], rows_of()

    def reached(model, row):
        y = model.predict(row)[0]
        return y > 300 if task == "regression" else y != now if wanted is None else y == wanted

    tried = 0
    for i in range(0, 40, 4):
        now = model.predict(rows[i])[0]
        found = cr.tables.counterfactuals(model, rows[i], rows[40:80], wanted=wanted)
        assert found.reached == reached(model, rows[i]) or wanted is None
        if found.reached or len(found.found) == 0 or len(found.found[0].changes) > 1:
            continue
        assert found.exhaustive
        best = nearest_single(model, rows[i], rows[40:80], reached)
        assert found.found[0].distance == pytest.approx(best)
        assert [one.distance for one in found.found] == sorted(one.distance for one in found.found)
        for one in found.found:
            assert reached(model, one.row)
            changed = {name for name in rows[i] if one.row[name] != rows[i][name]}
            assert changed == {change.column for change in one.changes}
            if task != "regression":
                assert one.prediction == model.predict(one.row)[0]
                assert one.probability == pytest.approx(
                    model.predict_proba(one.row)[0, model.classes_.tolist().index(one.prediction)]
                )
        tried += 1
    assert tried > 1


def test_a_label_of_several_is_changed(loaded):
    model, rows = loaded["multilabel"], rows_of()
    for label in ("sold", "late"):
        place = model.classes_.tolist().index(label)
        now = model.predict(rows[7])[0, place]
        found = cr.tables.counterfactuals(model, rows[7], rows, label=label)
        assert found.wanted == f"{label} = {'no' if now else 'yes'}"
        assert found.found
        for one in found.found:
            assert model.predict(one.row)[0, place] != now
            assert one.prediction == ("no" if now else "yes")
    with pytest.raises(ValueError, match="wanted: there are several labels: give the one to change as the label"):
        cr.tables.counterfactuals(model, rows[7], rows, wanted="late")


def searched(f, x, X, **bounds):
    """Search changes of separate inputs, each to a value of X at the distance |x − X|."""
    k, n = X.shape[1], len(X)
    column, source = np.repeat(np.arange(k), n), np.tile(np.arange(n), k)
    candidates = Candidates(column, source, np.abs(X.T.ravel() - np.repeat(x, n)))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bounds.items():
            patch.setattr(search, name, value)
        found, exhaustive = search.search(candidates, x, X, np.arange(k), lambda Z: (f(Z) > 0, f(Z)))
    return [[(int(column[i]), int(source[i])) for i in one] for one in found], exhaustive


def test_two_or_three_columns_are_changed_only_where_fewer_do_not_suffice():
    x, X = np.zeros(4), np.array([[1.0, 1.0, 1.0, 0.5], [2.0, 2.0, 2.0, 0.5]])
    assert searched(lambda Z: Z[:, 0] - 1.5, x, X) == ([[(0, 1)]], True)
    found, whole = searched(lambda Z: Z[:, 0] + Z[:, 1] - 2.5, x, X)
    assert found in ([[(0, 0), (1, 1)]], [[(0, 1), (1, 0)]])
    assert whole
    assert searched(lambda Z: Z[:, :3].sum(axis=1) - 5.5, x, X) == ([[(0, 1), (1, 1), (2, 1)]], True)
    assert searched(lambda Z: Z.sum(axis=1) - 6.2, x, X) == ([], True)
    assert searched(lambda Z: Z[:, 0] * Z[:, 1] - 3, x, X) == ([[(0, 1), (1, 1)]], True)


def test_a_search_that_is_not_exhaustive_says_so_and_is_bounded():
    rng, counts = np.random.default_rng(0), []

    def f(Z):
        counts.append(len(Z))
        return Z[:, 3] + Z[:, 8] - 4.5

    x, X = np.zeros(60), np.abs(rng.normal(size=(50, 60)))
    X[7, 3] = X[9, 8] = 2.4
    X = np.minimum(X, 2.4)
    found, whole = searched(f, x, X, TRIED=2**12)
    assert not whole
    assert [[i for i, _ in one] for one in found] == [[3, 8]]
    assert X[found[0][0][1], 3] + X[found[0][1][1], 8] > 4.5
    assert sum(counts) / 2 < 4 * 2**12
    counts.clear()
    found, whole = searched(lambda Z: f(Z) - 100, x, X, TRIED=2**12)
    assert (found, whole) == ([], False)
    assert sum(counts) / 2 < 4 * 2**12


def test_a_nearer_value_is_taken_where_not_all_were_tried():
    x, X = np.zeros(1), np.arange(1.0, 1001.0)[:, None]
    found, _ = searched(lambda Z: Z[:, 0] - 500.5, x, X, TRIED=70)
    assert found == [[(0, 500)]]


def test_fixed_columns_do_not_change_and_a_reached_prediction_needs_none(loaded):
    model, rows = loaded["binary"], rows_of()
    every = cr.tables.counterfactuals(model, rows[2], rows)
    assert every.found
    used = {change.column for one in every.found for change in one.changes}
    less = cr.tables.counterfactuals(model, rows[2], rows, fixed=sorted(used))
    assert not used & {change.column for one in less.found for change in one.changes}
    assert less.columns == len(KEPT) - len(used)
    none = cr.tables.counterfactuals(model, rows[2], rows, fixed=KEPT)
    assert not none.found
    now = str(model.predict(rows[2])[0])
    reached = cr.tables.counterfactuals(model, rows[2], rows, wanted=now)
    assert (reached.reached, reached.found) == (True, ())
    assert f"The prediction for this row is ill = {now}: nothing has to change." in str(reached)


def test_nothing_is_found_for_a_class_that_is_never_predicted_and_it_says_so(loaded):
    model, rows = loaded["binary"], rows_of()
    unchanging = [{**row, "size": 80.0, "garden": "no", "notes": ""} for row in rows[:3]]
    found = cr.tables.counterfactuals(model, unchanging[0], [unchanging[0]] * 3)
    assert (found.found, found.exhaustive, found.reached) == ((), True, False)
    text = " ".join(str(found).split())
    assert re.search(
        r"None: no change of up to 3 of 5 columns to values of 3 rows of the background leads to ill = ", text
    )
    text = " ".join(str(replace(found, exhaustive=False)).split())
    assert "There are too many to try all: the most promising ones were tried." in text
    far = cr.tables.counterfactuals(loaded["regression"], rows[0], rows, wanted="above 1e9")
    assert not far.found
    assert "price above 1 × 10⁹" in str(far)


def test_odd_rows_are_explained(loaded):
    """Unseen categories, values out of range, and columns that are missing in all rows."""
    model, rows = loaded["regression"], rows_of()
    odd = {**rows[1], "city": "Oslo", "size": 1e9, "notes": "never seen words"}
    bare = [{**row, "size": None, "built": None} for row in rows[:30]]
    for row, background in ((odd, rows), (rows[1], bare), (bare[1], bare), (bare[1], rows)):
        found = cr.tables.contributions(model, row, background)
        assert found.base + found.total == pytest.approx(model.predict(row)[0], rel=1e-5)
        changes = cr.tables.counterfactuals(model, row, background, wanted=found.prediction - 10)
        for one in changes.found:
            assert model.predict(one.row)[0] <= found.prediction - 10
            assert all(change.after is not None for change in one.changes)
            assert 0 < one.distance <= 3
    alone = cr.tables.contributions(model, rows[1], rows[1])
    assert [one.amount for one in alone.columns] == [0.0] * len(KEPT)


def test_a_constant_model_has_no_contributions_and_no_counterfactuals(loaded, monkeypatch):
    model, rows = loaded["regression"], rows_of()
    monkeypatch.setattr(type(model), "outputs", lambda _, X: (np.full(len(X), 7.25), None))
    found = cr.tables.contributions(model, rows[0], rows)
    assert (found.base, found.total, found.prediction) == (7.25, 0.0, 7.25)
    assert "7.250 (base) + 0.000 (contributions) = 7.250 (prediction)" in str(found)
    changes = cr.tables.counterfactuals(model, rows[0], rows, wanted=8)
    assert (changes.found, changes.reached) == ((), False)
    monkeypatch.setattr(type(model), "outputs", lambda _, X: (np.full(len(X), np.nan), None))
    with pytest.raises(ValueError, match="the price is not a finite number for this row or for the background"):
        cr.tables.contributions(model, rows[0], rows)


def test_errors_say_what_to_give(loaded):
    model, rows = loaded["binary"], rows_of(20)
    number = loaded["regression"]
    for call, match in (
        (lambda: cr.tables.contributions(model, rows[:2], rows), "row: expected one row, got 2"),
        (lambda: cr.tables.contributions(model, rows[0], []), "background: expected at least one row"),
        (lambda: cr.tables.contributions(model, rows[0], rows, rows=0), "background: rows: expected a whole number"),
        (lambda: cr.tables.contributions(model, rows[0], rows, label="ys"), "label: 'ys' is not a class of 'ill'.*yes"),
        (
            lambda: cr.tables.contributions(number, rows[0], rows, label="yes"),
            "'price' is a number, which has no class",
        ),
        (
            lambda: cr.tables.contributions(model, {**rows[0], "size": "x"}, rows),
            "'size' is a number, but row 1 has 'x'",
        ),
        (
            lambda: cr.tables.counterfactuals(model, rows[0], rows, fixed=["sise"]),
            "no column 'sise'. Did you mean 'size'",
        ),
        (lambda: cr.tables.counterfactuals(model, rows[0], rows, wanted="maybe"), "wanted: 'maybe' is not a class"),
        (lambda: cr.tables.counterfactuals(number, rows[0], rows), "'price' is a number: give the wanted one"),
        (lambda: cr.tables.counterfactuals(number, rows[0], rows, wanted="much"), 'expected a number, "above 100" or'),
        (lambda: cr.tables.counterfactuals(number, rows[0], rows, wanted="nan"), 'expected a number, "above 100" or'),
    ):
        with pytest.raises(ValueError, match=match):
            call()


def test_they_need_numpy_alone(runs, tmp_path):
    (tmp_path / "explain.py").write_text(
        f"""
import chainrule as cr
model = cr.load({str(runs / "binary")!r})
row = {{"size": 70.0, "garden": "yes", "city": "Bern", "built": "2010-05-01", "notes": "quiet lake"}}
others = [{{**row, "size": size, "city": city}} for size in (20.0, 95.0, 150.0) for city in ("Graz", "Bern", None)]
found = cr.tables.contributions(model, row, others)
print(found, cr.tables.counterfactuals(model, row, others), cr.tables.contributions(model, row), sep="\\n")
assert abs(found.base + found.total - model.predict_proba(row)[0, 1]) < 1e-6
"""
    )
    result = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", HIDE, tmp_path / "explain.py"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Contributions of the columns" in result.stdout


def run(*arguments, status=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


@pytest.mark.few(1)
@pytest.mark.parametrize("task", KINDS)
def test_explain_begins_with_the_contributions(runs, loaded, task):
    given = ("--wanted", "above 200") if task == "regression" else ()
    printed = run("explain", runs / task, runs / "rows.csv", "--row", "5", *given).stdout
    parts = ["CONTRIBUTIONS OF THE COLUMNS", "WHAT WOULD CHANGE THE ANSWER", "A WORKED EXAMPLE", "PREPARATION"]
    places = [printed.index(part) for part in parts]
    assert places == sorted(places)
    rows = small_tables.frame(120).drop("id", "only").to_dicts()
    found = cr.tables.contributions(loaded[task], rows[4], rows[:4] + rows[5:])
    for one in found.columns:
        assert re.search(rf"^{one.column} +\S.* [+−]?\d+\.?\d*  +[ █▐]*│", printed, re.MULTILINE), one
    assert f"on average over {found.background}" in " ".join(printed.split())
    line = re.search(r"ok (\S+) \(base\)", printed)[1]
    assert float(line.replace(",", "")) == pytest.approx(found.base, abs=0.005 * abs(found.base))


@pytest.mark.slow
def test_changes_of_explain_change_what_predict_says(runs, loaded, tmp_path):
    frame = pl.read_csv(runs / "rows.csv")
    rows = frame.to_dicts()
    flipped = 0
    for i in (2, 11, 17):
        found = cr.tables.counterfactuals(loaded["binary"], rows[i], rows)
        changed = [one.row for one in found.found]
        assert changed
        pl.DataFrame([rows[i], *changed], schema=frame.schema).write_csv(tmp_path / "changed.csv")
        printed = run("predict", runs / "binary", tmp_path / "changed.csv").stdout
        before, *after = [line["prediction"] for line in csv.DictReader(io.StringIO(printed))]
        assert set(after) == {"no" if before == "yes" else "yes"}
        flipped += len(after)
    assert flipped > 2


@pytest.mark.slow
def test_without_a_row_the_worst_prediction_is_explained(runs, tmp_path):
    frame, table = pl.read_csv(runs / "rows.csv"), tmp_path / "labeled.csv"
    frame[:40].write_csv(table)
    for task in ("binary", "multiclass", "regression", "multilabel"):
        evaluated = run("evaluate", runs / task, table).stdout
        worst = evaluated[evaluated.index("worst predictions") :].splitlines()[1].split()[0]
        assert (
            f"Note: row {worst} is explained: the worst of 40 predictions" in run("explain", runs / task, table).stderr
        )
    frame[:5].drop("ill").write_csv(table)
    assert "row 1 is explained: the first one, as there are no actual" in run("explain", runs / "binary", table).stderr


@pytest.mark.slow
def test_options_of_explain(runs, tmp_path):
    frame = pl.read_csv(runs / "rows.csv")
    source, others = tmp_path / "few.csv", tmp_path / "others.csv"
    frame[:3].write_csv(source)
    frame[50:90].write_csv(others)
    printed = run("explain", runs / "multiclass", source, "--row", "2", "--class", "0", "--background", others).stdout
    assert "probability of grade = 0" in printed
    assert "over 40 rows of the background" in " ".join(printed.split())
    printed = run("explain", runs / "multiclass", source, "--row", "2").stdout
    assert "each column drawn by itself from those of training" in " ".join(printed.split())
    printed = run("explain", runs / "regression", source, "--row", "2").stdout
    assert "give a number as --wanted" in printed
    printed = run(
        "explain", runs / "regression", source, "--row", "2", "--wanted", "5000", "--fixed", "size, city"
    ).stdout
    assert "leads to price at least 5,000" in " ".join(printed.split())
    assert "of up to 3 of 3 columns" in " ".join(printed.split())
    frame[:0].write_csv(tmp_path / "empty.csv")
    for options, match in (
        (("multiclass", source, "--row", "1", "--class", "7"), "--class: '7' is not a class of 'grade'"),
        (("multiclass", source, "--row", "1", "--fixed", "size,sise"), "--fixed: the model has no column 'sise'"),
        (("multiclass", source, "--row", "1", "--wanted", "9"), "--wanted: '9' is not a class of 'grade'"),
        (("regression", source, "--row", "1", "--wanted", "more"), '--wanted: expected a number, "above 100"'),
        (("multilabel", source, "--row", "1", "--wanted", "late"), "labels: give the one to change with --class"),
        (("regression", tmp_path / "empty.csv", "--row", "1"), "empty.csv has no rows to explain"),
        (("regression", source, "--row", "1", "--background", tmp_path / "empty.csv"), "There are no other rows"),
        (("regression", source, "--row", "1", "--seed", "-1"), "--seed: expected"),
    ):
        result = run("explain", runs / options[0], *options[1:], status=2 if "There are" not in match else 0)
        assert match in " ".join(result.output.split()), result.output


@pytest.mark.slow
def test_the_page_of_an_explanation_has_bars_on_both_sides(runs, tmp_path):
    run("explain", runs / "binary", runs / "rows.csv", "--row", "3", "--out", tmp_path / "row.html")
    page = (tmp_path / "row.html").read_text(encoding="utf-8")
    assert "<h1>Row 3 of " in page
    assert page.index('id="contributions"') < page.index('id="counterfactuals"') < page.index('id="preparation"')
    widths = [float(w) for w in re.findall(r'class="bar both"><i[^>]*width:([\d.]+)%', page)]
    assert len(widths) == len(KEPT)
    assert max(widths) == 50
    assert re.search(r'class="bar both"><i class="less" style="margin-left:[\d.]+%', page)
    run("explain", runs / "binary", runs / "rows.csv", "--row", "3", "--out", tmp_path / "row.md")
    assert "│" in (tmp_path / "row.md").read_text(encoding="utf-8")
