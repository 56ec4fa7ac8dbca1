"""The script that --print-python prints: run by itself, it gives the scores of train()."""

import contextlib
import io
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from chainrule import tables
from chainrule.cli.app import app
from small_tables import frame
from test_tables_training import passengers

QUICK = {"max_iter": 4, "hidden_layer_sizes": (8,)}
TARGETS = ["ill", "grade", "price", "sold", "late"]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # what is advised after four epochs on 200 rows


def printed(text):
    """Run a script, and return the scores that it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, "script.py", "exec"), {"__name__": "__main__"})
    return {name: float(value) for name, value in re.findall(r"^(.+) (\S+)$", out.getvalue(), re.MULTILINE)}


def same(path, target, *, parameters=QUICK, **options):
    found = printed(tables.script(path, target, parameters=parameters, **options))
    scores = tables.train(path, target, parameters=parameters, **options).scores
    assert found == scores, options  # all of them, and all digits


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("target", ["ill", "grade", "price", "sold,late", "price,floor"])
def test_every_task(target, ending, tmp_path):
    table = frame().drop([name for name in TARGETS if name not in target.split(",")])
    table = table.with_columns(floor=pl.col("rooms") * 2.5 + 1)
    path = tmp_path / f"t.{ending}"
    getattr(table, f"write_{ending}")(path)
    same(path, target)
    if target == "price,floor":
        same(path, target, parameters={}, minutes=0.0001, weight="rooms")


@pytest.mark.parametrize(
    "options",
    [
        {"group": "family"},
        {"time_column": "day"},
        {"time_column": "number"},
        {"test": 0.3, "validation": 0.2, "seed": 5},
        {"categorical": ["family"], "drop": ["age"], "dates": ["day:%Y-%m-%d"], "patience": 0},
    ],
)
def test_every_split_and_override(options, tmp_path):
    passengers().write_csv(tmp_path / "t.csv")
    same(tmp_path / "t.csv", "survived", **options)


def test_a_test_file_rare_classes_rows_without_target_and_odd_text(tmp_path):
    target = pl.when(pl.col("number") < 20).then(None).when(pl.col("number") < 23).then(pl.lit("né"))
    rows = passengers().with_columns(survived=target.otherwise(pl.col("survived")), port=pl.col("port") + " ")
    path, other = tmp_path / "t.csv", tmp_path / "o.parquet"
    path.write_bytes(rows.write_csv(separator=";").replace(".", ",").encode("cp1252"))
    passengers(50).write_parquet(other)
    same(path, "survived", test=str(other))


def test_decimal_commas_numbers_as_texts_and_flags(tmp_path):
    rng = np.random.default_rng(3)
    half = rng.random(200) < 0.5
    rows = pl.DataFrame(
        {"x": rng.normal(size=200), "flag": half, "two": half + 1, "zero": half * 1, "kind": rng.integers(0, 9, 200)}
    )
    rows = rows.with_columns(y=pl.col("x") ** 2 + pl.col("two"), empty=pl.lit(None, pl.String))
    path = tmp_path / "t.csv"
    path.write_text(rows.write_csv(separator=";").replace(".", ","))
    same(path, "y", categorical=["kind"])
    rows.with_columns(pl.col("two", "kind").cast(pl.Float64)).write_parquet(tmp_path / "t.parquet")
    same(tmp_path / "t.parquet", "y", categorical=["kind"])
    same(tmp_path / "t.parquet", "two")
    same(tmp_path / "t.parquet", "flag")
    same(tmp_path / "t.parquet", "zero,two,flag")
    same(tmp_path / "t.parquet", "kind", task="classification")


def test_class_weights_and_other_ways_to_train(tmp_path):
    passengers().write_csv(tmp_path / "t.csv")
    given = {**QUICK, "class_weight": "balanced", "label_smoothing": 0.1, "solver": "sgd", "activation": "gelu"}
    same(tmp_path / "t.csv", "survived", parameters=given)


@pytest.mark.parametrize("group", [None, "street", "rooms", "city"])
def test_a_test_file_of_other_types(group, tmp_path):
    frame().write_parquet(tmp_path / "t.parquet")
    frame(60, seed=1).write_csv(tmp_path / "o.csv")
    options = {"drop": ["ill", "price", "sold", "late"], "group": group}
    same(tmp_path / "t.parquet", "grade", test=tmp_path / "o.csv", **options)
    if group is None:  # dates that are texts in the one, and dates in the other
        same(tmp_path / "o.csv", "grade", test=tmp_path / "t.parquet", **options)


def test_row_numbers_are_no_input_where_rows_have_no_target(tmp_path):
    rows = passengers().with_columns(survived=pl.when(pl.col("number") == 7).then(None).otherwise(pl.col("survived")))
    schema = tables.train(rows, "survived", parameters=QUICK).schema
    assert [column.name for column in schema.columns if column.kind == "identifier"] == ["number"]
    told = tables.train(rows, "survived", parameters=QUICK, numeric=["number"]).schema
    assert "number" in [column.name for column in told.used]


def test_the_script_is_short_and_as_one_would_write_it(tmp_path):
    frame().write_csv(tmp_path / "t.csv")
    lines = tables.script(tmp_path / "t.csv", "price").splitlines()
    assert len(lines) < 100
    assert max(map(len, lines)) <= 120, max(lines, key=len)
    assert not [line for line in lines if "'" in line]
    assert "activation" not in "\n".join(lines)  # what the estimator does anyway


@pytest.mark.parametrize("name", ['it\'s {odd} "quoted"', "a\\b", "naïve\ttab", "NAMES"])
def test_names_are_written_as_python(name, tmp_path):
    table = pl.DataFrame({name: np.arange(60) % 7 + 0.5, "c": ["{x}", "'", '"'] * 20, "y": ["\\", "é"] * 30})
    table.write_parquet(tmp_path / "t.parquet")
    same(tmp_path / "t.parquet", "y")
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 2, 29), eager=True).dt.strftime("%d/%m/%Y")
    table.with_columns(days.alias(name)).write_parquet(tmp_path / "t.parquet")
    same(tmp_path / "t.parquet", "y")


def test_the_command_prints_it_and_trains_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    passengers().write_csv("t.csv")
    options = ["--epochs", "4", "--layers", "8"]
    done = CliRunner().invoke(app, ["train", "t.csv", "--target", "survived", *options, "--print-python"])
    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    (tmp_path / "t.py").write_text(done.stdout, encoding="utf-8")
    alone = subprocess.run([sys.executable, "t.py"], capture_output=True, text=True, check=True)
    assert f"accuracy {tables.train('t.csv', 'survived', parameters=QUICK).scores['accuracy']}" in alone.stdout
    refused = CliRunner().invoke(app, ["train", "digits", "--print-python"])
    assert refused.exit_code == 2
    assert "--print-python applies only to tables, and digits is not a table" in refused.stderr
    refused = CliRunner().invoke(app, ["train", "t.csv", "--target", "survived", "--stream", "--print-python"])
    assert refused.exit_code == 2
    assert "--print-python is not available for streamed tables" in refused.stderr


def test_rows_are_in_the_order_of_their_dates_not_of_their_texts():
    with pytest.raises(ValueError, match="--time-column: 'port' is neither a date nor a number"):
        tables.train(passengers(), "survived", time_column="port")
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 10, 26), eager=True)
    table = passengers().with_columns(day=days.dt.strftime("%d.%m.%Y")).sample(fraction=1, shuffle=True, seed=0)
    held = tables.train(table, "survived", time_column="day", parameters=QUICK).held_out.frame
    assert held["day"].str.to_date("%d.%m.%Y").min() == days[-60]


def test_the_column_of_the_groups_is_no_input():
    trained = tables.train(passengers(), "survived", group="family", parameters=QUICK)
    assert "family" not in [column.name for column in trained.schema.used]
