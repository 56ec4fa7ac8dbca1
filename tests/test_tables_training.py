"""Training on tables: the parts of the rows, what is decided, what is warned of and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer

from chainrule import tables
from chainrule.tables import evaluation, loading
from chainrule.tables.casting import cast
from chainrule.tables.leaks import find as find_leaks
from chainrule.tables.report import build

pytestmark = pytest.mark.slow

QUICK = {"max_iter": 4, "hidden_layer_sizes": (8,)}
RNG = np.random.default_rng(0)
ROWS = 300


def passengers(rows=ROWS):
    rng = np.random.default_rng(1)
    sex, age = rng.choice(["male", "female"], rows), rng.gamma(6, 5, rows).round(1)
    survived = rng.random(rows) < np.where(sex == "female", 0.8, 0.2)
    return pl.DataFrame(
        {
            "number": np.arange(rows),
            "sex": sex,
            "age": [None if i % 7 == 0 else a for i, a in enumerate(age)],
            "port": rng.choice(["S", "C", "Q"], rows),
            "day": [f"1912-04-{d:02}" for d in rng.integers(1, 29, rows)],
            "ship": "Titanic",
            "family": rng.integers(0, 60, rows),
            "survived": np.where(survived, "yes", "no"),
        }
    )


def train(frame=None, target="survived", **options):
    return tables.train(passengers() if frame is None else frame, target, parameters=QUICK, **options)


def test_kinds_and_parts_are_decided_and_said():
    said = []
    trained = train(started=lambda *arguments: said.append(arguments))
    kinds = {column.name: column.kind for column in trained.schema.columns}
    assert kinds == {
        "number": "identifier", "sex": "yes/no", "age": "number", "port": "category", "day": "date", "ship": "constant",
        "family": "number",
    }  # fmt: skip
    assert [column.name for column in trained.schema.used] == ["sex", "age", "port", "day", "family"]
    [(schema, split, notes)] = said
    assert schema == trained.schema
    assert (split.train, split.validation, split.test) == (210, 30, 60)
    assert any("binary classification" in note for note in notes)
    assert trained.held_out.frame.height == len(trained.held_out.y) == 60
    assert trained.verdict.startswith("The network")
    assert {*trained.baselines} == {"majority class", "linear model", "boosted trees"}


def test_the_preparation_sees_the_rows_to_train_on_only():
    frame = passengers()
    parts = loading.load(frame, "survived")
    held = set(parts.test["number"].to_list()) | set(parts.frame[parts.validation]["number"].to_list())
    changed = frame.with_columns(age=pl.when(pl.col("number").is_in(list(held))).then(1e6).otherwise(pl.col("age")))
    prepared = [train(f).pipeline[0].transform(_inputs(frame)) for f in (frame, changed)]
    np.testing.assert_array_equal(prepared[0], prepared[1])


def _inputs(frame):
    return cast(frame, train(frame).schema.columns)


def test_one_seed_one_result():
    first, again, other = train(seed=3), train(seed=3), train(seed=4)
    np.testing.assert_array_equal(first.held_out.probabilities, again.held_out.probabilities)
    assert first.scores == again.scores
    assert first.scores != other.scores


@pytest.mark.parametrize("make", [lambda f: f, lambda f: f.lazy(), lambda f: pd.DataFrame(f.to_dict(as_series=False))])
def test_frames_of_either_kind(make):
    assert train(make(passengers())).scores == train().scores


def test_the_other_tasks():
    x = RNG.normal(size=(ROWS, 3))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})
    number = train(frame.with_columns(y=100 + 20 * pl.col("a")), "y")
    assert number.schema.task == "regression"
    assert {*number.scores} == {"RMSE", "MAE", "R²"}
    assert number.held_out.probabilities is None
    assert 40 < number.held_out.predictions.mean() < 160  # in the target's own unit
    three = train(
        frame.with_columns(y=pl.Series(np.array(["low", "mid", "top"])[np.digitize(x[:, 0], [-0.5, 0.5])])), "y"
    )
    assert three.schema.task == "multiclass"
    assert three.schema.classes == ("low", "mid", "top")
    labels = train(frame.with_columns(p=pl.col("a") > 0, q=pl.col("b") > 0), "p,q")
    assert labels.schema.task == "multilabel"
    assert labels.held_out.predictions.shape == (60, 2)
    assert (
        train(frame.with_columns(y=pl.Series(np.arange(ROWS) % 8)), "y", task="regression").schema.task == "regression"
    )


def test_overrides():
    trained = train(categorical=["family"], drop=["age"], dates=["day:%Y-%m-%d"], numeric=["number"])
    columns = {column.name: column for column in trained.schema.columns}
    assert columns["family"].kind == "many"
    assert columns["age"].dropped == "--drop"
    assert columns["day"].date_format == "%Y-%m-%d"
    assert columns["number"].used


def test_rows_of_a_group_are_on_one_side():
    parts = loading.load(passengers(), "survived", group="family")
    sides = [set(parts.frame[rows]["family"].to_list()) for rows in (parts.train, parts.validation)]
    sides.append(set(parts.test["family"].to_list()))
    assert not (sides[0] & sides[1])
    assert not (sides[2] & (sides[0] | sides[1]))


def test_the_last_rows_are_held_out_by_time():
    parts = loading.load(passengers(), "survived", time_column="number")
    assert parts.test["number"].min() > parts.frame[parts.validation]["number"].max()
    assert parts.frame[parts.validation]["number"].min() > parts.frame[parts.train]["number"].max()


def test_a_test_file_of_its_own(tmp_path):
    passengers().write_csv(tmp_path / "train.csv")
    passengers(40).write_parquet(tmp_path / "test.parquet")
    trained = train(tmp_path / "train.csv", test=tmp_path / "test.parquet")
    assert trained.split.test == 40
    assert "test.parquet" in trained.split.how
    passengers(40).drop("sex").write_parquet(tmp_path / "test.parquet")
    with pytest.raises(ValueError, match=r"--test: .*has no column 'sex'"):
        train(tmp_path / "train.csv", test=tmp_path / "test.parquet")


def test_rows_without_a_target_are_left_out():
    frame = passengers().with_columns(survived=pl.when(pl.col("number") < 20).then(None).otherwise(pl.col("survived")))
    trained = train(frame)
    assert "dropped 20 rows with a missing target." in trained.notes


def test_columns_that_give_the_target_away():
    frame = passengers().with_columns(
        lived=pl.when(pl.col("survived") == "yes").then(pl.lit("a")).otherwise(pl.lit("b"))
    )
    assert any("the column 'lived' alone determines the target 'survived'" in text for text in train(frame).warnings)
    assert train().warnings == ()
    x = RNG.normal(size=ROWS)
    parts = loading.load(pl.DataFrame({"x": x, "copy": 2 * x + 1, "other": RNG.normal(size=ROWS)}), "x")
    assert [text.split("'")[1] for text in find_leaks(parts.frame, parts.schema, parts.y)] == ["copy"]


def test_a_result_is_shown_in_two_lines():
    trained = train(passengers(), "survived")
    first, second = repr(trained).split("\n")
    assert first.startswith("Trained on a data frame: binary, ")
    assert f"accuracy {trained.scores['accuracy']:.4g}" in first
    assert second == trained.verdict


def test_unbalanced_classes_are_spoken_of():
    frame = passengers().with_columns(rare=pl.Series(np.where(np.arange(ROWS) % 20, "no", "yes")))
    assert any("--class-weight balanced" in text for text in train(frame, "rare").warnings)
    balanced = tables.train(frame, "rare", parameters=QUICK | {"class_weight": "balanced"})
    assert balanced.pipeline[-1].class_weight == "balanced"


@pytest.mark.parametrize(
    ("frame", "target", "options", "match"),
    [
        (None, "survivd", {}, "the target 'survivd' is not in the table. Did you mean 'survived'"),
        (None, "ship", {}, "is constant .'Titanic'."),
        (None, "survived", {"drop": ["agee"]}, "--drop: no input column 'agee'.*Did you mean 'age'"),
        (
            None,
            "survived",
            {"numeric": ["port"]},
            "'port' cannot be numeric: most values are not numbers, such as '[SCQ]'",
        ),
        (None, "survived", {"dates": ["age"]}, "'age' cannot be a date"),
        (None, "survived", {"group": "familly"}, "--group: no input column 'familly'"),
        (None, "survived", {"time_column": "dai"}, "--time-column: no input column 'dai'"),
        (None, "survived", {"test": 1.5}, "test"),
        (None, "survived", {"validation": 0}, "validation"),
        (None, "survived", {"task": "regression"}, "is not numeric"),
        (None, "survived", {"task": "guess"}, "unknown task 'guess'"),
        (pl.DataFrame({"a": [1.0], "y": ["b"]}), "y", {}, "has 1 row with a value for y, out of 1"),
        (pl.DataFrame({"y": ["a", "b"] * 20}), "y", {}, "no usable columns besides the target"),
        (
            pl.DataFrame({"a": ["x"] * 40, "y": ["a", "b"] * 20}),
            "y",
            {},
            "no usable columns .*'a': constant",
        ),
        (pl.DataFrame({"a": [1.0, 2.0] * 20, "y": [None] * 40}), "y", {}, "has 0 rows with a value for y, out of 40"),
        (
            pl.DataFrame({"a": np.arange(40.0) ** 2, "y": np.r_[np.inf, np.arange(39) + 0.5]}),
            "y",
            {},
            "infinite or beyond 1e100 in 1 row",
        ),
        (None, "survived", {"max_iter": 3}, r"train: unexpected keyword argument 'max_iter'\..*parameters={'max_iter'"),
        (None, "survived", {"tset": 0.3}, "unexpected keyword argument 'tset'. Did you mean 'test'"),
        (pl.DataFrame(), "y", {}, "0 rows and 0 columns"),
        (np.zeros((3, 2)), "y", {}, "expected a file, or a polars or pandas data frame"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_one_sentence(frame, target, options, match):
    with pytest.raises((ValueError, TypeError), match=match) as error:
        train(passengers() if frame is None else frame, target, **options)
    assert "\n" not in str(error.value)


def test_infinities_and_holes_in_columns_are_no_obstacle():
    frame = passengers().with_columns(
        wild=pl.Series(np.where(np.arange(ROWS) % 9, RNG.normal(size=ROWS), np.inf)),
        empty=pl.lit(None, pl.Float64),
    )
    trained = train(frame)
    assert np.isfinite(trained.held_out.probabilities).all()
    assert next(c for c in trained.schema.columns if c.name == "empty").dropped == "all values are missing"


def test_ten_thousand_columns():
    frame = pl.DataFrame(RNG.normal(size=(60, 10_000))).with_columns(y=pl.Series(["a", "b"] * 30))
    assert len(train(frame, "y").schema.used) == 10_000


def test_the_held_out_rows_can_be_found_in_their_file(tmp_path):
    table = passengers().with_columns(
        survived=pl.when(pl.col("number") % 5 == 0).then(None).otherwise(pl.col("survived"))
    )
    held = train(table).held_out
    assert held.source == "a data frame"
    assert (table[held.rows - 1]["number"] == held.frame["number"]).all()
    table.write_csv(tmp_path / "test.csv")
    trained = train(test=tmp_path / "test.csv")
    held = trained.held_out
    assert (table[held.rows - 1]["number"] == held.frame["number"]).all()
    line = build(trained).markdown.partition("| row | actual | predicted |")[2].splitlines()[2]
    number, truth = [part.strip() for part in line.split("|")[1:3]]
    assert table["survived"][int(number) - 1] == truth
    assert f"Row 1 is the first data row of {tmp_path / 'test.csv'}"[:45] in build(trained).markdown


def test_the_call_that_repeats_a_run_is_kept(tmp_path):
    passengers().write_csv(tmp_path / "t.csv")
    again = tables.train(tmp_path / "t.csv", "survived", drop=["age"], seed=2, parameters=QUICK, callbacks=())
    assert again.command == f"train({str(tmp_path / 't.csv')!r}, 'survived', drop=['age'], parameters={QUICK}, seed=2)"
    assert again.command in build(again).html.replace("&#x27;", "'")
    assert train(test=0.3).command.startswith("train(frame, 'survived', test=0.3")


def test_the_held_out_rows_are_prepared_once_for_scores_and_report(monkeypatch):
    counts, transform, prepared = [], ColumnTransformer.transform, evaluation.prepared

    def transformed(self, X):
        counts.append((self, len(X)))
        return transform(self, X)

    def counted(prepare, schema):
        return lambda frame: counts.append((prepare, len(frame))) or prepared(prepare, schema)(frame)

    monkeypatch.setattr(ColumnTransformer, "transform", transformed)
    monkeypatch.setattr(evaluation, "prepared", counted)
    trained = train()
    build(trained)
    rows = [count for by, count in counts if by is trained.pipeline[0]]
    assert rows == [trained.split.validation, trained.split.test]


def test_the_options_of_train_tune_and_script_are_the_same(tmp_path):
    path = tmp_path / "t.csv"
    passengers().write_csv(path)
    for function in (tables.train, tables.tune, tables.script):
        with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
            function(path, "survived", epochs=3, **({"trials": 1} if function is tables.tune else {}))
    given = tables.Options(drop="age", dates=(name for name in ["day"]), test=Path("test.csv"), patience=30, seed=1)
    assert given.given == {"drop": ["age"], "dates": ["day"], "test": "test.csv", "seed": 1}
    assert train(drop="age").command == f"train(frame, 'survived', drop=['age'], parameters={QUICK})"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("drop", "drop: expected the names of columns, got 3"),
        ("parameters", r"parameters: expected a dict, such as .*got 3"),
    ],
)
def test_an_option_of_another_type_is_named(name, message):
    options = tables.Options()
    object.__setattr__(options, name, 3)  # past the type checks of the tests
    with pytest.raises(TypeError, match=message):
        options.__post_init__()
