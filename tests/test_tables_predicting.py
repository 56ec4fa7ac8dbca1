"""New rows: checked against the schema, and predicted."""

import numpy as np
import polars as pl
import pytest

import small_tables
from chainrule import tables
from chainrule.tables import files, predicting
from chainrule.tables.casting import cast
from chainrule.tables.checking import check
from chainrule.tables.predicting import predict
from chainrule.tables.schema import Column, Schema


@pytest.fixture(scope="module")
def runs():
    return small_tables.Made(lambda task: small_tables.trained(task, optional=("city",)))


@pytest.fixture
def rows():
    return small_tables.frame(50, seed=3).select(small_tables.INPUTS)


@pytest.mark.slow
@pytest.mark.parametrize("task", small_tables.TARGETS)
def test_blocks_give_what_the_pipeline_gives(runs, rows, task, monkeypatch):
    run = runs[task]
    monkeypatch.setattr(predicting, "BLOCK", 8 * 2000)
    found, _ = predict(run, rows)
    X = cast(rows, run.schema.columns)
    if task == "multilabel":
        found = found.with_columns((pl.col(f"prediction_{name}") == "yes").cast(pl.Int64) for name in ("sold", "late"))
        assert np.array_equal(found.to_numpy()[:, :2], run.pipeline.predict(X))
    else:
        wanted = run.pipeline.predict(X).tolist()
        close = pytest.approx(wanted, rel=1e-5) if task == "regression" else wanted
        assert found["prediction"].to_list() == close
    if task in ("binary", "multiclass"):
        assert found.columns[1:] == [f"p_{label}" for label in run.schema.classes]
        assert np.allclose(found.to_numpy()[:, 1:].astype(float), run.pipeline.predict_proba(X), atol=1e-6)


@pytest.mark.slow
def test_an_interval_holds_its_share_of_held_out_rows(runs):
    run = runs["regression"]
    found, _ = predict(run, run.held_out.frame, interval=0.8)
    inside = (found["low"].to_numpy() <= run.held_out.y) & (run.held_out.y <= found["high"].to_numpy())
    assert 0.8 <= inside.mean() < 0.9
    with pytest.raises(ValueError, match="at least 99 held-out rows"):
        predict(run, run.held_out.frame, interval=0.99)
    with pytest.raises(ValueError, match="expected a network that predicts a number"):
        predict(runs["binary"], run.held_out.frame, interval=0.8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename({"size": "Size"}), "'size' is missing.* Did you mean 'Size'"),
        (lambda f: f.head(0), "no rows"),
        (lambda f: f.with_columns(size=pl.Series(["1"] * 49 + ["big"])), "row 50 has 'big'"),
        (
            lambda f: f.with_columns(only=1).select("only"),
            "missing.* The only column is 'only': is the --del",
        ),
        (lambda f: f.with_columns(opened=pl.lit("soon")), "is a date .*row 1 has 'soon' .50 rows"),
        (lambda f: f.with_columns(size=pl.lit([1])), "lists or structs"),
    ],
)
def test_rows_that_do_not_fit_are_refused(runs, rows, change, message):
    with pytest.raises(ValueError, match=message):
        check(change(rows), runs["binary"].schema)


def test_words_that_training_took_as_missing_are_missing_in_new_rows():
    rng = np.random.default_rng(0)
    size = [str(value) for value in rng.normal(size=200).round(3)]
    size[7] = size[11] = "unknown"
    day = [f"2020-0{1 + i % 9}-{1 + i % 28:02d}" for i in range(200)]
    day[9] = "soon"
    frame = pl.DataFrame({"size": size, "day": day, "y": ["no", "yes"] * 100})
    trained = tables.train(frame, "y", parameters={"max_iter": 2, "hidden_layer_sizes": (4,)})
    schema = Schema.from_json(trained.schema.to_json())
    assert [(c.kind, c.missing, c.holes) for c in schema.columns] == [
        ("number", 2, ("unknown",)),
        ("date", 1, ("soon",)),
    ]
    found, notes = check(frame, schema)
    assert found.null_count().row(0) == (2, 1)
    assert notes == (
        "'size': 2 values are not a number; treated as missing.",
        "'day': 1 value is not a date (%Y-%m-%d); treated as missing.",
    )
    with pytest.raises(ValueError, match="'size' is a number, but row 3 has 'big'"):
        check(frame.with_columns(size=pl.Series([*size[7:9], "big", *size[10:], *size[:7]])), schema)
    assert predict(trained, frame)[0].height == 200


def test_what_is_passed_is_said(runs, rows):
    schema = runs["binary"].schema
    odd = rows.drop("city").with_columns(garden=pl.lit("maybe"), new=1, size=pl.lit("big"))
    found, notes = check(odd, schema, coerce=True)
    assert found["size"].null_count() == found["city"].null_count() == 50
    for part in ("'new' is not", "'city' is absent; the schema allows", "('maybe')", "'size': 50 values"):
        assert part in " ".join(notes)
    texts, notes = check(rows.select(pl.all().cast(pl.String)), schema)
    assert not notes
    assert cast(texts, schema.columns).equals(cast(rows, schema.columns))


def test_holes_where_training_had_none_are_said():
    schema = Schema((Column("x", "number"), Column("c", "category", "text", missing=2)), (), "regression")
    rows = pl.DataFrame({"x": [1.5, None, None], "c": [None, "a", None]}, schema={"x": pl.Float64, "c": pl.String})
    assert check(rows, schema)[1][0] == "'x': 2 rows have a missing value; there were none in training."


def test_what_was_expected_is_named():
    columns = {
        "true or false": Column("x", "yes/no", "boolean", categories=("false", "true")),
        "an integer": Column("x", "category", "whole", categories=("1", "2")),
    }
    for what, column in columns.items():
        with pytest.raises(ValueError, match=f"'x' is {what}, but row 1 has 'Yes'"):
            check(pl.DataFrame({"x": ["Yes", "2"]}), Schema((column,), (), "regression"))


def test_a_number_that_cannot_be_squared_is_beyond_all_others():
    frame = pl.DataFrame({"x": np.linspace(-1, 1, 60), "y": [0] * 30 + [1] * 30})
    trained = tables.train(frame, "y", parameters={"max_iter": 2, "hidden_layer_sizes": (4,)})
    found = predict(trained, pl.DataFrame({"x": [1e300, np.inf, -1e200, -np.inf]}))[0]["p_1"].to_list()
    assert (found[0], found[2]) == (found[1], found[3])
    assert found[0] != found[2]


def test_columns_are_kept_before_the_predictions(tmp_path):
    """Inputs and others, in memory and block by block, under their names and without a note."""
    frame = small_tables.frame(60)
    saved = small_tables.trained("binary", inputs=("size", "rooms"))
    tables.save(saved, tmp_path / "run")
    rows = frame.select("id", "size", "rooms", "late")
    expected = tables.predict(saved, rows.select("size", "rooms"))[0]
    for keep in (["id", "rooms"], "id"):
        found, told = tables.predict(saved, rows, keep=keep)
        names = [keep] if isinstance(keep, str) else keep
        assert found.equals(pl.concat([rows.select(names), expected], how="horizontal"))
        assert not any("id" in note.split("'") for note in told)
    rows.write_csv(tmp_path / "rows.csv")
    files.predict_file(tables.load(tmp_path / "run"), tmp_path / "rows.csv", tmp_path / "out.csv", keep=["id"])
    assert pl.read_csv(tmp_path / "out.csv")["id"].to_list() == rows["id"].to_list()
    with pytest.raises(ValueError, match=r"keep: there is no column 'ID'\. Did you mean 'id'"):
        tables.predict(saved, rows, keep=["ID"])
    with pytest.raises(ValueError, match=r"no column 'id,late'.*Repeat --keep for each column"):
        tables.predict(saved, rows, keep=["id,late"])
    with pytest.raises(ValueError, match="keep: 'p_yes' is also the name of a prediction"):
        tables.predict(saved, rows.rename({"late": "p_yes"}), keep=["p_yes"])
