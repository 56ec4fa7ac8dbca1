"""The target: what is to be predicted follows from it, what cannot be is refused, and columns that give it away are named."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from chainrule import tables
from chainrule.cli.app import app
from chainrule.tables.checking import with_targets
from chainrule.tables.leaks import find as find_leaks
from chainrule.tables.loading import load
from chainrule.tables.schema import Schema
from chainrule.tables.targets import find, split_names, units
from test_tables_script import same

ROWS = 60
X = np.random.default_rng(0).normal(size=ROWS)
QUICK = {"max_iter": 2, "hidden_layer_sizes": (4,)}


def table(y, **others):
    return pl.DataFrame({"x": X, **others, "y": pl.Series(y, strict=False)})


@pytest.mark.parametrize(
    ("y", "task", "found", "classes", "said"),
    [
        (["no", "yes"] * 30, None, "binary", ("no", "yes"), "binary classification: 'y' has two values."),
        ([0, 1] * 30, None, "binary", (0, 1), "binary classification"),
        ([2.0, 7.0] * 30, None, "binary", (2, 7), "binary classification"),
        ([True, False] * 30, None, "binary", ("false", "true"), "binary classification"),
        (list("abc") * 20, None, "multiclass", ("a", "b", "c"), "multiclass classification: 'y' has 3 classes."),
        ([5, 6, 7] * 20, None, "multiclass", (5, 6, 7), "To predict it as a number, use --task regression."),
        ([5, 6, 7] * 20, "classification", "multiclass", (5, 6, 7), "multiclass classification: 'y' has 3 classes."),
        ([5, 6, 7] * 20, "regression", "regression", (), "regression: 'y' is a number with 3 distinct values."),
        (list(range(10)) * 6, None, "multiclass", tuple(range(10)), "10 classes"),
        ([i % 11 for i in range(ROWS)], None, "regression", (), "If these are classes, use --task classification"),
        (X, None, "regression", (), "regression: 'y' is a number with 60 distinct values."),
        ([0.5, 1.5, 2.5] * 20, None, "regression", (), "regression: 'y' is a number with 3 distinct values."),
        (["1", "2", "3"] * 20, None, "multiclass", ("1", "2", "3"), "3 classes"),
    ],
)
def test_the_task_follows_from_the_target(y, task, found, classes, said):
    target = find(table(y), ["y"], task)
    assert (target.task, target.classes) == (found, classes)
    assert said in target.notes[0]
    assert "--task classification" not in target.notes[0] or find(table(y), ["y"], "classification")


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (["x"] * ROWS, {}, "the target 'y' is constant \\('x'\\): there is nothing to predict."),
        (["x", None] * 30, {}, "the target 'y' is constant \\('x'\\)"),
        ([None] * ROWS, {}, "0 rows with a value for y, out of 60: expected at least 10."),
        ([np.nan] * ROWS, {}, "0 rows with a value for y, out of 60"),
        ([1, 2] * 4 + [None] * 52, {}, "8 rows with a value for y, out of 60"),
        ([1.5, np.inf, 2.5] * 20, {}, "the target 'y' is infinite or beyond 1e100 in 20 rows: remove such rows."),
        ([0.5, 1.5] * 30, {}, "the target 'y' has fractional values, not classes: use --task regression."),
        ([0.5, 1.5, 2.5] * 20, {"task": "classification"}, "fractional values, not classes: use --task regression"),
        (["a", "b"] * 30, {"task": "regression"}, "the target 'y' is not numeric, so the task cannot be regression."),
        ([str(i / 2) for i in range(59)] + ["soon"], {}, "1 of its values, such as 'soon', are not numbers"),
        (["soon"] + [str(i) for i in range(59)], {"task": "regression"}, "such as 'soon', are not numbers"),
        (
            [str(i / 2) for i in range(ROWS)],
            {},
            "60 classes among 60 rows: too many. Its numbers are stored as text: store",
        ),
        (X * 1e300, {}, "the target 'y' is infinite or beyond 1e100 in 60 rows"),
        ([0, 1] * 30, {"task": "multiclass"}, "the target 'y' has 2 classes: its task is binary, not multiclass."),
        ([0, 1] * 30, {"task": "multilabel"}, "multilabel requires several targets, separated by commas"),
        ([0, 1] * 30, {"task": "binry"}, "unknown task 'binry'. Did you mean 'binary'?"),
        ([f"c{i}" for i in range(ROWS)], {}, "60 classes among 60 rows: too many. Is it the right column?"),
        (["2020-01-01", "2020-01-02", "2020-01-03"] * 20, {}, "the target 'y' is a date"),
        ([[1], [2]] * 30, {}, "the target 'y' has lists, structs or bytes: expected one value per row."),
        ([0, 1] * 30, {"target": "Y"}, "the target 'Y' is not in the table. Did you mean 'y'?"),
        (
            X,
            {"parameters": {"class_weight": "balanced"}},
            "class_weight: applies to classes, but the target is a number",
        ),
        (["a", "b", "c"] * 20, {"target": "x,y"}, "must all be numbers, or all be yes/no, but 'y' has the kind 'cat"),
        ([0, 1] * 30, {"target": "x,y", "task": "multilabel"}, "multilabel targets must be yes/no, but 'x' has the"),
        ([0, 1] * 30, {"target": "x,y", "task": "binary"}, "require the multilabel task, or regression, not binary"),
        (["a", "b"] * 30, {"target": "x,y", "task": "regression"}, "must all be numbers, .* but 'y' has the kind"),
        ([0, 1] * 30, {"target": "y,y"}, "expected one target, or several, each of them once, got y, y."),
        ([0, 1] * 30, {"drop": ["y"]}, "--drop: no input column 'y'"),
        ([0, 1] * 30, {"drop": ["x"]}, "no usable columns besides the target .'x': --drop."),
        ([0, 1] * 30, {"numeric": ["x"], "categorical": ["x"]}, "--categorical and --numeric both name 'x'"),
        (
            [0, 1] * 30,
            {"group": "x", "time_column": "x"},
            "--time-column and --group are mutually exclusive|no usable columns",
        ),
        ([0, 1] * 30, {"group": "x"}, "no usable columns besides the target .'x': --group"),
        ([0, 1] * 30, {"time_column": "z"}, "--time-column: no input column 'z'"),
    ],
)
def test_what_cannot_be_predicted_is_refused_before_training(y, options, message):
    call = tables.train if "parameters" in options else load
    with pytest.raises(ValueError, match=message):
        call(table(y), options.pop("target", "y"), **options)


def test_of_several_targets_the_one_of_another_kind_is_named():
    columns = {"flag": ["no", "yes"] * 30}
    with pytest.raises(ValueError, match="all be yes/no, but 'y' has the kind 'category'"):
        load(table(["a", "b", "c"] * 20, **columns), "flag,y")


def test_targets_are_named_with_commas_unless_a_column_has_one():
    assert split_names("a, b", ["a", "b"]) == ["a", "b"]
    assert split_names("a,b", ["a,b", "a", "b"]) == ["a,b"]
    assert split_names(["a"], ["a"]) == ["a"]


def test_numbers_with_holes_that_are_nan_are_as_those_with_null():
    given = {"flag": [0.0, 1.0, np.nan] * 20, "few": [1.0, 2.0, np.nan, 4.0, 5.0, 5.0] * 10}
    nulls = {name: [None if np.isnan(v) else v for v in values] for name, values in given.items()}
    made = [
        tables.train(table([0, 1] * 30, **columns), "y", categorical=["few"], parameters=QUICK)
        for columns in (given, nulls)
    ]
    assert made[0].scores == made[1].scores
    assert made[0].schema == made[1].schema
    kinds = {column.name: (column.kind, column.missing) for column in made[0].schema.columns}
    assert kinds == {"x": ("number", 0), "flag": ("yes/no", 20), "few": ("category", 10)}


def test_durations_are_seconds_in_training_and_in_prediction():
    wait = pl.Series(np.arange(ROWS) % 7 * 1000 + 1).cast(pl.Duration("ms"))
    trained = tables.train(table([0, 1] * 30, wait=wait), "y", parameters=QUICK)
    assert {column.name: column.high for column in trained.schema.columns}["wait"] == pytest.approx(
        6.001
    )  # seconds, with their fraction
    again = tables.predict(trained, trained.held_out.frame)[0]
    np.testing.assert_array_equal(again["p_1"].to_numpy(), trained.held_out.probabilities[:, 1])


def warned(y, **columns):
    loaded = load(table(y, **columns).with_columns(x=np.random.default_rng(9).normal(size=ROWS)), "y")
    return [warning for warning in loaded.warnings if "determines the target" in warning]


@pytest.mark.parametrize(
    ("y", "copy"),
    [
        (["x", "y"] * 30, ["u", "v"] * 30),
        ([0, 1] * 30, [1, 0] * 30),
        (["x", "y", "z"] * 20, [5, 6, 7] * 20),
        (["x", "y"] * 30, [0.1, 0.9] * 29 + [None] * 2),
        (["x", "y"] * 30, (np.arange(ROWS) % 2 + np.random.default_rng(1).random(ROWS) / 2)),
        (X, X * -2.54 + 1e-9),
        (X, np.exp(X)),
        (X, np.where(np.arange(ROWS) == 3, np.nan, X)),
    ],
)
def test_a_copy_of_the_target_is_named(y, copy):
    (said,) = warned(y, copy=copy)
    assert said.startswith(
        "possible target leakage: the column 'copy' alone determines the target 'y'. If it is not known"
    )
    assert said.endswith(" before the target, use --drop 'copy'.")


@pytest.mark.parametrize(
    ("y", "other"),
    [
        (["x", "y"] * 30, ["u", "v"] * 29 + ["u", "u"]),
        (["x", "y"] * 30, [*["u", "v"] * 25, *[None] * 10]),
        (["x", "y"] * 30, np.arange(ROWS) / 7),
        (X, X + np.random.default_rng(1).normal(size=ROWS)),
        (X, np.abs(X)),
        (X, np.full(ROWS, np.inf)),
    ],
)
def test_what_only_helps_is_not_named(y, other):
    assert warned(y, other=other) == []


@pytest.mark.slow
def test_a_copy_among_many_columns_and_rows_is_found():
    rows = 5000
    y = np.where(np.arange(rows) < 20, "rare", "often")
    frame = pl.DataFrame(
        {f"c{i}": np.random.default_rng(i).normal(size=rows) for i in range(250)} | {"copy": y, "y": y}
    )
    schema = load(frame, "y").schema
    assert [text[25:42] for text in find_leaks(frame, schema, y)] == ["the column 'copy'"]


MADE = (np.round(X * 3 + 20, 1)).tolist()
WRITTEN = {
    "kg": (lambda n: f"{n} kg", MADE),
    "EUR": (lambda n: f"EUR {1000 * n:,.2f}", [1000 * n for n in MADE]),
    "": (lambda n: f"{n}K", [1000 * n for n in MADE]),
    "km/h": (lambda n: f"{n:.1f} km/h".replace(".", ","), MADE),
    "%": (lambda n: f"{n} %", MADE),
    "seconds": (lambda n: str(dt.timedelta(seconds=round(300 * n))), [float(round(300 * n)) for n in MADE]),
}


@pytest.mark.few(5)
@pytest.mark.parametrize("kind", ["frame", "CSV", "Parquet"])
@pytest.mark.parametrize("said", WRITTEN)
def test_amounts_and_durations_are_predicted_in_their_unit(said, kind, tmp_path):
    write, numbers = WRITTEN[said]
    source = table([write(n) for n in MADE])
    if kind != "frame":
        path = tmp_path / ("t.csv" if kind == "CSV" else "t.parquet")
        source.write_csv(path, separator=";") if kind == "CSV" else source.write_parquet(path)
        source = path
    loaded = load(source, "y")
    [found] = units(loaded.schema).values() or [""]
    assert (loaded.schema.task, found) == ("regression", said)
    np.testing.assert_allclose(loaded.y, numbers, rtol=1e-12)
    column = loaded.schema.targets[0]
    assert (column.low, column.high) == (pytest.approx(min(numbers)), pytest.approx(max(numbers)))
    assert units(Schema.from_json(loaded.schema.to_json())) == units(loaded.schema)


@pytest.fixture(scope="module")
def heavy():
    frame = table([f"{n} kg" for n in MADE])
    return frame, tables.train(frame, "y", parameters={"max_iter": 300})


@pytest.mark.slow
def test_predictions_and_report_name_the_unit_of_training(heavy, tmp_path):
    frame, trained = heavy
    assert trained.schema.targets[0].notation.unit == "kg"
    assert "'y': values such as '20.4 kg', read as an amount in kg." in [*trained.notes]
    tables.save(trained, tmp_path / "run")
    for run in (trained, tables.load(tmp_path / "run")):
        found, notes = tables.predict(run, frame.drop("y"))
        assert notes == ("the predictions of 'y' are in kg, as in training.",)
        assert np.abs(found["prediction"].to_numpy() - MADE).mean() < 0.6  # kg
    assert "actual y (kg)" in tables.report.build(trained).markdown
    plain = tables.train(table(MADE), "y", parameters={"max_iter": 300})
    np.testing.assert_array_equal(*(tables.predict(model, frame)[0]["prediction"] for model in (plain, trained)))
    assert plain.scores == trained.scores


@pytest.mark.slow
def test_labeled_rows_are_read_by_the_unit_of_training(heavy, tmp_path):
    frame, trained = heavy
    grams = frame.with_columns(y=pl.Series([f"{1000 * n:.0f} g" for n in MADE]))
    read = with_targets(grams, Schema.from_json(trained.schema.to_json()), "new.csv")
    np.testing.assert_allclose(read["y"], MADE, rtol=1e-12)
    with pytest.raises(ValueError, match=r"new\.csv: the target 'y' is an amount in kg, but row 1 has '3 EUR'"):
        with_targets(frame.with_columns(y=pl.lit("3 EUR")), trained.schema, "new.csv")
    tables.save(trained, tmp_path / "run")
    grams.write_csv(tmp_path / "new.csv")
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path / "run"), str(tmp_path / "new.csv")])
    assert done.exit_code == 0, done.output
    rmse = float(done.output.split("RMSE")[1].split()[0])
    assert rmse < 1  # kg, not thousands of grams
    frame.write_csv(tmp_path / "t.csv")
    tested = load(tmp_path / "t.csv", "y", test=str(tmp_path / "new.csv"))
    np.testing.assert_allclose(tested.test["y"], MADE, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what is advised after four epochs
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_printed_script_reads_amounts_and_durations_the_same(ending, tmp_path):
    path = tmp_path / f"t.{ending}"
    waits = pl.Series([dt.timedelta(seconds=300 * n) for n in MADE])
    for y in ([f"{n} kg" for n in MADE[1:]] + ["n/a"], waits if ending == "parquet" else ["1:02:45", "0:59:01"] * 30):
        getattr(table(y), f"write_{ending}")(path)
        same(path, "y", task="regression")
    same(path, "y", task="regression", test=str(path))


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        ([f"{['EUR', 'USD'][i % 2]} {n}" for i, n in enumerate(MADE)], {}, "has amounts in EUR, USD: convert them"),
        ([f"{n} {['kg', 'g'][i % 2]}" for i, n in enumerate(MADE)], {}, "has amounts in g, kg: convert them to one"),
        ([f"{n} {['lb', 'kg'][i % 9 > 0]}" for i, n in enumerate(MADE)], {}, "has amounts in kg, lb: convert them"),
        (["8:30", "1:02:45", "7:10"] * 20, {"task": "regression"}, "with one colon and with two: write all as"),
        ([*[f"{n} kg" for n in MADE[1:]], "heavy"], {}, "1 of its values, such as 'heavy', are not an amount in kg"),
        (
            [*[f"{n} kg" for n in MADE[1:]], "1e999 kg"],
            {},
            "infinite|1 of its values, such as '1e999 kg', are not an amount in kg",
        ),
    ],
)
def test_amounts_that_are_no_target_are_refused(y, options, message):
    with pytest.raises(ValueError, match=message):
        load(table(y), "y", **options)


@pytest.mark.parametrize(
    ("y", "options", "task", "values"),
    [
        (["250 ml", "500 ml", "1 l"] * 20, {}, "multiclass", {"250 ml", "500 ml", "1 l"}),
        (["250 ml", "500 ml", "750 ml"] * 20, {"task": "regression"}, "regression", {250.0, 500.0, 750.0}),
        ([f"{n} kg" for n in range(12)] * 5, {"task": "classification"}, "multiclass", {f"{n} kg" for n in range(12)}),
        ([f"{n}h" if n % 3 else f"{60 * n}m" for n in range(1, 31)] * 2, {}, "regression", {*map(float, range(1, 31))}),
        ([f"{n} kg" for n in range(19)] * 3 + [None, None, "n/a"], {}, "regression", {*map(float, range(19))}),
        ([f"${n}{'M' if n % 2 else ''}" for n in range(1, 21)] * 3, {}, "regression",
         {n * (1e6 if n % 2 else 1.0) for n in range(1, 21)}),
        ([dt.time(i % 24, 30) for i in range(ROWS)], {}, "regression", {3600.0 * i + 1800 for i in range(24)}),
    ],
)  # fmt: skip
def test_amounts_are_classes_or_numbers(y, options, task, values):
    loaded = load(table(y), "y", **options)
    assert loaded.schema.task == task
    assert {*loaded.y.tolist()} == values


def test_na_among_amounts_of_a_file_is_missing(tmp_path):
    table([*[f"{n} kg" for n in MADE[2:]], "NA", "-"]).write_csv(tmp_path / "t.csv")
    loaded = load(tmp_path / "t.csv", "y")
    assert (len(loaded.y), loaded.left_out) == (ROWS - 2, 2)
    assert not any("class" in note for note in loaded.notes)


def test_dates_are_classes_where_somebody_says_so():
    loaded = load(table(["2022-Q1", "2022-Q2", "2022-Q3"] * 20), "y", task="classification")
    assert loaded.schema.classes == ("2022-Q1", "2022-Q2", "2022-Q3")
    with pytest.raises(ValueError, match=r"the target 'y' is a date: .* --task classification"):
        load(table(["2022-Q1", "2022-Q2", "2022-Q3"] * 20), "y")
