"""Drift: distributions of training in the model file, and the comparison of new rows with them."""

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule._internal.special import chi_squared_tail
from chainrule.cli.app import app
from chainrule.files.values import ModelFileError
from chainrule.tables import models
from chainrule.tables.reference import reference
from chainrule.tables.serving.drift import drift, psi
from chainrule.tables.serving.reference import Distribution, Reference, of_columns
from test_docs import ROOT

pl = pytest.importorskip("polars")

SHORT = {"max_iter": 2, "hidden_layer_sizes": (4,)}


def quiet(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tables.train(*args, **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of runs of every task, and the file of their table."""
    folder = tmp_path_factory.mktemp("runs")
    frame = small_tables.frame(400)
    frame.write_csv(folder / "table.csv")

    def run(task):
        goals = small_tables.TARGETS[task]
        names = [n for n in small_tables.INPUTS if n != "street" or task != "multilabel"]
        tables.save(quiet(frame.select(*names, *goals), ",".join(goals), parameters=SHORT), folder / task)
        return folder / task

    runs = small_tables.Made(run)
    runs["table.csv"] = folder / "table.csv"
    return runs


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """Return the model of a table of 1,200 rows: two numbers and a category."""
    rng = np.random.default_rng(0)
    frame = drawn(1200, rng)
    trained = quiet(frame.with_columns(y=(pl.col("a") + pl.col("b") > 0).cast(pl.String)), "y", parameters=SHORT)
    folder = tmp_path_factory.mktemp("numbers") / "run"
    tables.save(trained, folder)
    return cr.load(folder)


def drawn(rows, rng):
    return pl.DataFrame(
        {"a": rng.normal(size=rows), "b": rng.exponential(size=rows) - 1, "c": rng.choice([*"pqr"], rows, p=[0.6, 0.3, 0.1])}
    )  # fmt: skip


def test_the_tail_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    for freedom in (1, 2, 3, 8, 21):
        for x in (0.0, 1e-9, 0.5, 7.0, 60.0, 900.0):
            assert chi_squared_tail(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-9, abs=1e-300)


def test_the_index_is_that_of_the_formula():
    p, q = np.array([300.5, 700.5, 0.5]) / 1001.5, np.array([100.5, 400.5, 500.5]) / 1001.5
    assert psi(np.array([300, 700, 0]), np.array([100, 400, 500])) == pytest.approx(sum((q - p) * np.log(q / p)))
    assert psi(np.array([5, 5, 0]), np.array([5, 5, 0])) == 0


def test_the_p_value_is_scipys(numbers):
    stats = pytest.importorskip("scipy.stats")
    rows = drawn(300, np.random.default_rng(5)).with_columns(pl.col("a") + 0.2)
    found = {shift.name: shift for shift in numbers.drift(rows).shifts}
    before = numbers.reference.columns["a"]
    after = before.counted(rows["a"].to_numpy())
    expected = stats.chi2_contingency([before.counts[:-1], after[:-1]], correction=False).pvalue
    ordered = sorted(shift.p_value for shift in found.values())
    tests = len(found) - ordered.index(found["a"].p_value)
    assert found["a"].p_value == pytest.approx(expected * tests, rel=1e-9)


@pytest.mark.slow
def test_rows_of_the_same_source_rarely_move(numbers):
    """One time in twenty at most, over many tables of training."""
    rng = np.random.default_rng(1)
    moved = []
    for rows in (20, 60, 250, 1000):
        for _ in range(100):
            before, after = ({n: f[n].to_numpy() for n in f.columns} for f in (drawn(960, rng), drawn(rows, rng)))
            predictions = Distribution.of(before["a"] + before["b"])
            known = Reference({name: Distribution.of(x) for name, x in before.items()}, {"prediction": predictions})
            schema = replace(numbers.schema, task="regression")
            moved.append(bool(drift(schema, known, after, (after["a"] + after["b"], None), {}).moved))
    assert np.mean(moved) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
    assert any(moved)  # it is a test, not a constant


def test_each_kind_of_change_is_found(numbers):
    rng = np.random.default_rng(2)
    rows = drawn(600, rng)
    changes = {
        "a": rows.with_columns(pl.col("a") + 0.6),
        "b": rows.with_columns(pl.when(pl.int_range(600) % 4 == 0).then(None).otherwise(pl.col("b")).alias("b")),
        "c": rows.with_columns(
            pl.when(pl.int_range(600) % 5 == 0).then(pl.lit("new")).otherwise(pl.col("c")).alias("c")
        ),
    }
    for name, changed in changes.items():
        found = numbers.drift(changed)
        assert name in found.moved, (name, str(found))
        assert not {"a", "b", "c"} - {name} & set(found.moved)
        assert name in found.verdict
        assert f"! {name}" in str(found)
    assert numbers.drift(changes["c"]).shifts[0].unseen == pytest.approx(0.2)
    assert numbers.drift(changes["b"]).shifts[0].missing == pytest.approx(0.25)
    beyond = numbers.drift(rows.with_columns(pl.col("a") * 100))
    assert {s.name: s.unseen for s in beyond.shifts}["a"] > 0.9


def test_a_network_that_is_less_sure_is_found(numbers):
    """Rows near the border alone: the columns move, and so does the confidence."""
    rng = np.random.default_rng(3)
    found = numbers.drift(pl.DataFrame({"a": rng.normal(0, 0.01, 300), "b": np.full(300, -0.02), "c": ["p"] * 300}))
    assert {"confidence", "a", "b"} <= set(found.moved)


def test_few_rows_are_said_to_be_few(numbers):
    rng = np.random.default_rng(4)
    found = numbers.drift(drawn(10, rng))
    assert "10 rows are too few to be sure of any of the 5" in found.verdict
    needed = max(shift.rows_needed for shift in found.shifts)
    assert f"{needed:,} are needed" in found.verdict
    assert "too few" not in numbers.drift(drawn(needed, rng)).verdict
    one = numbers.drift({"a": 0.1, "b": 0.2, "c": "p"})
    assert not one.moved
    assert "1 row is too few" in one.verdict


@pytest.mark.slow
def test_every_task_has_its_predictions(runs):
    frame = pl.read_csv(runs["table.csv"], infer_schema=False)
    for task, expected in {
        "binary": {"predicted class", "confidence"},
        "multiclass": {"predicted class", "confidence"},
        "regression": {"prediction"},
        "multilabel": {"predicted sold", "predicted late", "confidence"},
    }.items():
        found = cr.load(runs[task]).drift(frame)
        assert {s.name for s in found.shifts if s.kind == "prediction"} == expected, task
        assert not found.moved, (task, str(found))
        assert found.rows == 400
        json.dumps(found.to_dict(), allow_nan=False)


def test_the_stored_distributions_are_those_of_the_rows_as_they_are_read():
    """From a frame by polars in training, from texts by the reader later: the same bins have the same rows."""
    run = small_tables.trained("binary")
    frame = small_tables.frame()
    rows = np.arange(frame.height)
    found = reference(frame, rows, run.schema, run.held_out, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from chainrule.tables.serving.cells import Reader  # noqa: PLC0415

        read = of_columns(Reader(run.schema)(frame), run.schema)
    assert found.columns.keys() == read.keys()
    for name, x in read.items():
        assert found.columns[name] == Distribution.of(x), name
    assert Reference.from_json(json.loads(json.dumps(found.to_json())), run.schema) == found


@pytest.mark.parametrize(
    "x",
    [
        np.array([np.nan, np.nan]), np.array([]), np.array([np.inf, 1.0, -np.inf]), np.array([3.0] * 5),
        np.array([], dtype=object), np.array(["(missing)"], dtype=object), np.arange(1e5),
        np.array([f"{i}" for i in range(100)], dtype=object),
    ],
)  # fmt: skip
def test_every_row_is_in_one_bin(x):
    found = Distribution.of(x)
    assert found.rows == len(x) == found.counted(x).sum()
    assert found.counted(x).tolist() == [*found.counts]
    assert Distribution.from_json("x", json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("counts", [1, 2]), ("counts", [-1] * 11), ("counts", "11"), ("quantiles", [1.0]), ("quantiles", ["a"] * 21),
        ("quantiles", [*map(float, range(21, 0, -1))]), ("values", ["a", "a"]), ("values", ["a"]), ("values", [1]),
    ],
)  # fmt: skip
def test_corrupt_distributions_are_refused(field, value):
    good = Distribution.of(np.arange(50.0)).to_json()
    with pytest.raises(ModelFileError, match="cannot be read"):
        Distribution.from_json("the column", {**good, field: value})


def test_a_reference_of_other_columns_is_refused():
    schema = small_tables.trained("binary").schema
    with pytest.raises(ModelFileError, match="does not fit the columns"):
        Reference.from_json({"columns": {}, "predictions": {}}, schema)
    with pytest.raises(ModelFileError, match="unknown fields"):
        Reference.from_json({"columns": {}}, schema)


def test_a_model_of_an_earlier_version_says_so():
    paths = sorted((ROOT / "tests" / "files" / "tables" / "1").glob("*.safetensors"))
    model = cr.load(paths[0])
    rows = json.loads(paths[0].with_suffix(".json").read_text(encoding="utf-8"))["rows"]
    with pytest.raises(ValueError, match="saved without the distributions of training: train it again"):
        model.drift(rows)


def test_bad_arguments_are_refused(numbers):
    with pytest.raises(ValueError, match="limit"):
        numbers.drift({"a": 0.1, "b": 0.2, "c": "p"}, 0)
    with pytest.raises(ValueError, match="no rows"):
        numbers.drift([])
    with pytest.raises(ValueError, match="'a', 'c' are missing"):
        numbers.drift({"b": [0.2]})


def command(*arguments):
    return CliRunner().invoke(app, ["drift", *map(str, arguments)], catch_exceptions=False)


def test_the_command_has_a_status_for_scripts(runs, tmp_path):
    same = command(runs["binary"], runs["table.csv"])
    assert same.exit_code == 0, same.output
    assert "400 rows of" in same.output
    assert "Nothing moved" in same.output
    text = pl.read_csv(runs["table.csv"], infer_schema=False)
    text.with_columns(size=pl.lit("?!"), city=pl.lit("Atlantis")).write_csv(tmp_path / "odd.csv")
    odd = command(runs["binary"], tmp_path / "odd.csv")
    assert odd.exit_code == 3
    assert "! size" in odd.output
    assert "! city" in odd.output
    assert "treated as missing" in odd.output  # instead of an error: it is what moved
    assert command(runs["binary"], runs["table.csv"], "--psi", "9").exit_code == 0


def test_the_command_refuses_what_is_not_a_table(runs, tmp_path):
    network = cr.Network(2, [cr.layers.Dense(1)], cr.losses.SquaredError(), seed=0)
    cr.save(network, tmp_path / "model.safetensors")
    (tmp_path / "run").mkdir()
    shutil.copy(tmp_path / "model.safetensors", tmp_path / "run")
    for where in (tmp_path / "run", tmp_path / "none"):
        done = command(where, runs["table.csv"])
        assert done.exit_code == 2
        assert done.output.count("\n") <= 2, done.output
    assert "--psi: expected a number in (0, inf), got 0.0" in command(runs["binary"], "rows.csv", "--psi", "0").output
    (tmp_path / "empty.csv").write_text("")
    assert "is empty" in command(runs["binary"], tmp_path / "empty.csv").output


def test_large_tables_are_counted_from_a_sample(monkeypatch):
    run = small_tables.trained("binary")
    monkeypatch.setattr("chainrule.tables.reference.ROWS", 50)
    frame = small_tables.frame()
    found = reference(frame, np.arange(frame.height), run.schema, run.held_out, 0)
    assert {d.rows for d in found.columns.values()} == {50}


@pytest.mark.slow
def test_streamed_tables_have_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "LARGE", 10**9)
    rng = np.random.default_rng(0)
    frame = drawn(400, rng).with_columns(y=pl.col("a") * 2)
    frame.write_csv(tmp_path / "table.csv")
    one = quiet(tmp_path / "table.csv", "y", fast=True, parameters=SHORT)
    two = quiet(tmp_path / "table.csv", "y", stream=True, parameters=SHORT)
    assert one.reference == two.reference is not None
