"""The target: what is to be predicted follows from it, what cannot be is refused, and columns that give it away are named."""

import numpy as np
import polars as pl
import pytest

from chainrule import tables
from chainrule.tables.leaks import find as find_leaks
from chainrule.tables.loading import load
from chainrule.tables.targets import find, split_names

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
        ([5, 6, 7] * 20, None, "multiclass", (5, 6, 7), "Is it a number to predict? --task regression"),
        ([5, 6, 7] * 20, "classification", "multiclass", (5, 6, 7), "multiclass classification: 'y' has 3 classes."),
        ([5, 6, 7] * 20, "regression", "regression", (), "regression: 'y' is a number with 3 values."),
        (list(range(10)) * 6, None, "multiclass", tuple(range(10)), "10 classes"),
        ([i % 11 for i in range(ROWS)], None, "regression", (), "Are they classes? --task classification"),
        (X, None, "regression", (), "regression: 'y' is a number with 60 values."),
        ([0.5, 1.5, 2.5] * 20, None, "regression", (), "regression: 'y' is a number with 3 values."),
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
        (["x"] * ROWS, {}, "the target 'y' has one value only, 'x': there is nothing to predict."),
        (["x", None] * 30, {}, "the target 'y' has one value only, 'x'"),
        ([None] * ROWS, {}, "0 row.s. with a target, of 60: expected 10 or more with a value of y."),
        ([np.nan] * ROWS, {}, "0 row.s. with a target, of 60"),
        ([1, 2] * 4 + [None] * 52, {}, "8 row.s. with a target, of 60"),
        ([1.5, np.inf, 2.5] * 20, {}, "the target 'y' has 20 infinite values .or beyond 1e100.: remove them."),
        ([0.5, 1.5] * 30, {}, "the target 'y' has fractions, which are no classes: pass --task regression."),
        ([0.5, 1.5, 2.5] * 20, {"task": "classification"}, "fractions, which are no classes: pass --task regression"),
        (["a", "b"] * 30, {"task": "regression"}, "the target 'y' is no number: its task cannot be regression."),
        ([str(i / 2) for i in range(59)] + ["soon"], {}, "1 of its values are no numbers, like 'soon'"),
        (["soon"] + [str(i) for i in range(59)], {"task": "regression"}, "are no numbers, like 'soon"),
        ([str(i / 2) for i in range(ROWS)], {}, "60 classes among 60 rows: too many. It has numbers as texts: store"),
        (X * 1e300, {}, "the target 'y' has 60 infinite values .or beyond 1e100.: remove them."),
        ([0, 1] * 30, {"task": "multiclass"}, "the target 'y' has 2 classes: its task is binary, not multiclass."),
        ([0, 1] * 30, {"task": "multilabel"}, "multilabel has several targets: give them with commas between"),
        ([0, 1] * 30, {"task": "binry"}, "unknown task 'binry'. Did you mean 'binary'?"),
        ([f"c{i}" for i in range(ROWS)], {}, "60 classes among 60 rows: too many. Is it the right column?"),
        (["2020-01-01", "2020-01-02", "2020-01-03"] * 20, {}, "the target 'y' is a date"),
        ([[1], [2]] * 30, {}, "the target 'y' has lists, structures or bytes: expected one value a row."),
        ([0, 1] * 30, {"target": "Y"}, "the target 'Y' is not in the table. Did you mean 'y'?"),
        (X, {"parameters": {"class_weight": "balanced"}}, "class weight: is for classes, but a number is predicted"),
        ([0, 1] * 30, {"target": "x,y"}, "several targets must all be yes or no, but 'x' is of the kind number."),
        ([0, 1] * 30, {"target": "y,y"}, "expected a target, or several that differ."),
        ([0, 1] * 30, {"drop": ["y"]}, "--drop: there is no column 'y' to learn from"),
        ([0, 1] * 30, {"drop": ["x"]}, "nothing to learn from besides the target .'x': --drop."),
        ([0, 1] * 30, {"numeric": ["x"], "categorical": ["x"]}, "'x' is named by --categorical and by --numeric"),
        ([0, 1] * 30, {"group": "x", "time_column": "x"}, "--time-column and --group are two ways|nothing to learn"),
        ([0, 1] * 30, {"group": "x"}, "nothing to learn from besides the target .'x': --group"),
        ([0, 1] * 30, {"time_column": "z"}, "--time-column: there is no column 'z'"),
    ],
)
def test_what_cannot_be_predicted_is_refused_before_training(y, options, message):
    call = tables.train if "parameters" in options else load
    with pytest.raises(ValueError, match=message):
        call(table(y), options.pop("target", "y"), **options)


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
    return [warning for warning in loaded.warnings if "tells the target" in warning]


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
    assert warned(y, copy=copy) == [
        "the column 'copy' tells the target 'y' by itself: is it known before the target is? If not: --drop 'copy'."
    ]


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


def test_a_copy_among_many_columns_and_rows_is_found():
    rows = 5000
    y = np.where(np.arange(rows) < 20, "rare", "often")
    frame = pl.DataFrame(
        {f"c{i}": np.random.default_rng(i).normal(size=rows) for i in range(250)} | {"copy": y, "y": y}
    )
    schema = load(frame, "y").schema
    assert [text[:17] for text in find_leaks(frame, schema, y)] == ["the column 'copy'"]
