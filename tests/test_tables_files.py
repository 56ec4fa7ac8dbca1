"""Files of new rows: block by block as at once, and one right sentence for each way in which they may not fit."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import small_tables
from chainrule.cli.app import app
from chainrule.tables import files, saving
from chainrule.tables.predicting import predict
from chainrule.tables.reading import read
from chainrule.tables.streaming import on_disk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    found = {}
    for task in small_tables.TARGETS:
        folder = tmp_path_factory.mktemp(task) / "run"
        saving.save(small_tables.trained(task, optional=("garden",)), folder)
        found[task] = folder
    return found


@pytest.fixture
def rows():
    return small_tables.frame(1000, seed=3).select(small_tables.INPUTS)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["at once", "block by block"])
def any_way(request, monkeypatch):
    """Both ways that a file can go."""
    if request.param == "block by block":
        small_blocks(monkeypatch)


def small_blocks(monkeypatch):
    monkeypatch.setattr(files, "LARGE", 0)
    monkeypatch.setattr(on_disk, "SMALLEST_BLOCK", 256)
    monkeypatch.setattr(on_disk, "LARGEST_BLOCK", 256)


def cli(*arguments, status=0):
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def said(result):
    return [line for line in result.stderr.splitlines() if not line.startswith("predicting ")]


# ---------------------------------------------------------------- block by block


@pytest.mark.parametrize("task", small_tables.TARGETS)
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_block_by_block_as_at_once(runs, rows, task, ending, here, monkeypatch):
    getattr(rows, f"write_{ending}")(f"new.{ending}")
    small_blocks(monkeypatch)
    assert files.is_large(f"new.{ending}")
    saved = saving.load(runs[task])
    interval = 0.8 if task == "regression" else None
    expected, notes = predict(saved, read(f"new.{ending}").frame, interval=interval)
    steps = []
    for parquet in (True, False):
        out = here / "out"
        count, found = files.predict_file(
            saved, f"new.{ending}", out, parquet=parquet, interval=interval, show=steps.append
        )
        table = pl.read_parquet(out) if parquet else pl.read_csv(out)
        assert (count, found) == (1000, notes)
        assert table.columns == expected.columns
        for name in table.columns:
            if expected[name].dtype.is_float():
                np.testing.assert_allclose(table[name].to_numpy(), expected[name].to_numpy(), rtol=1e-5, atol=1e-6)
            else:
                assert table[name].to_list() == expected[name].to_list()
    assert [(step.done, step.rows) for step in steps[:4]] == [(256, 1000), (512, 1000), (768, 1000), (1000, 1000)]
    assert [path.name for path in here.iterdir() if path.name.startswith("tmp")] == []


def test_notes_count_the_values_of_all_blocks(runs, rows, monkeypatch):
    odd = rows.with_columns(
        city=pl.Series(["Paris"] * 3 + ["Bern"] * 990 + ["Rome"] * 7),
        street=pl.Series(["street 1"] * 300 + ["street none"] * 700),
        size=pl.when(pl.int_range(1000) % 500 == 7).then(pl.lit("big")).otherwise(pl.col("size").cast(pl.String)),
    )
    odd.write_csv("odd.csv")
    at_once = said(cli(runs["binary"], "odd.csv", "--coerce", "--out", "a.csv"))
    small_blocks(monkeypatch)
    in_blocks = said(cli(runs["binary"], "odd.csv", "--coerce", "--out", "b.csv"))
    assert at_once[:-1] == in_blocks[:-1]
    for part in (
        "'city': 10 rows have values not seen in training ('Rome', 'Paris'); treated as unknown.",
        "'street': 700 rows have values not seen in training ('street none'); treated as unknown.",
        "'size': 2 values are not a number; treated as missing.",
    ):
        assert f"Note: {part}" in in_blocks
    a, b = (pl.read_csv(name) for name in ("a.csv", "b.csv"))
    assert a["prediction"].equals(b["prediction"])


def test_dates_are_read_as_in_the_first_block(runs, rows, monkeypatch):
    """A file whose later blocks could be read in another way."""
    small_blocks(monkeypatch)
    days = ["25/01/2001"] * 256 + ["01/02/2001"] * 744
    rows.with_columns(built=pl.Series(days)).write_csv("days.csv")
    rows.with_columns(built=pl.Series(days).str.to_date("%d/%m/%Y")).write_csv("right.csv")
    cli(runs["binary"], "days.csv", "--out", "a.csv")
    cli(runs["binary"], "right.csv", "--out", "b.csv")
    assert pl.read_csv("a.csv").equals(pl.read_csv("b.csv"))


def test_nothing_is_left_of_a_file_that_is_refused(runs, rows, here, monkeypatch):
    small_blocks(monkeypatch)
    rows.with_columns(size=pl.Series(["1"] * 900 + ["big"] * 100)).write_csv("words.csv")
    for out in ("out.csv", "out.parquet"):
        result = cli(runs["binary"], "words.csv", "--out", out, status=2)
        assert "row 901 has 'big' (100 rows so far)" in result.stderr
    assert not cli(runs["binary"], "words.csv", status=2).stdout
    assert [path.name for path in here.iterdir()] == ["words.csv"]


# ---------------------------------------------------------------- what may not fit


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.drop("size"), "The column 'size' is missing but required by the network."),
        (lambda f: f.rename({"size": "Size"}), "The column 'size' is missing but .* Did you mean 'Size'"),
        (
            lambda f: f.drop("size", "rooms"),
            "The columns 'size', 'rooms' are missing but required by the network.",
        ),
        (
            lambda f: f.with_columns(size=pl.Series(["1"] * 999 + ["big"])),
            r"'size' is a number, but row 1000 has 'big' \(1 row (in total|so far)\): correct it, or pass --coerce.",
        ),
        (lambda f: f.with_columns(built=pl.lit(7)), r"'built' is a date, but row 1 has '?7'? \("),
        (lambda f: f.with_columns(opened=pl.lit("soon")), r"'opened' is a date \(%d.%m.%Y\), but row 1 has 'soon'"),
        (lambda f: f.with_columns(rooms=pl.lit("2020-01-01").str.to_date()), "'rooms' is a number, but row 1 has"),
        (lambda f: f.head(0), "no rows to predict: expected at least one."),
    ],
)
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_one_sentence_for_what_does_not_fit(runs, rows, change, sentence, ending, any_way):
    getattr(change(rows), f"write_{ending}")(f"new.{ending}")
    result = cli(runs["binary"], f"new.{ending}", status=2)
    (line,) = said(result)
    assert line.startswith("Error: ")
    assert re.search(sentence, line), line
    assert not result.stdout


def test_lists_are_refused(runs, rows, any_way):
    rows.with_columns(size=pl.lit([1.0])).write_parquet("lists.parquet")
    assert "'size' has lists or structs: expected a number" in cli(runs["binary"], "lists.parquet", status=2).stderr


def test_columns_that_come_twice(runs, rows, any_way):
    lines = rows.head(3).write_csv().splitlines()
    Path("twice.csv").write_text("\n".join(f"{line},{line.split(',')[0]}" for line in lines) + "\n")
    (line,) = said(cli(runs["binary"], "twice.csv", status=2))
    assert re.search("Error: .*twice.csv: duplicate column name 'size'", line), line


@pytest.mark.parametrize("number", [1, 2])
def test_few_rows(runs, rows, number, any_way):
    rows.head(number).write_parquet("few.parquet")
    assert cli(runs["multiclass"], "few.parquet").stdout.count("\n") == 1 + number


def test_what_the_schema_allows_is_said(runs, rows, any_way):
    rows.drop("garden").with_columns(more=1, ill=pl.lit("no")).write_parquet("new.parquet")
    assert said(cli(runs["binary"], "new.parquet")) == [
        "Note: The column 'more' is not in the schema: ignored.",
        "Note: The column 'garden' is absent; the schema allows this, so values are treated as missing.",
    ]


def test_an_interval_only_of_a_number(runs, rows, any_way):
    rows.write_parquet("new.parquet")
    assert (
        "Error: --interval: expected a network that predicts a number"
        in cli(runs["binary"], "new.parquet", "--interval", "0.9", status=2).stderr
    )
    cli(runs["regression"], "new.parquet", "--interval", "0.8", "--out", "out.parquet")
    table = pl.read_parquet("out.parquet")
    assert table.columns == ["prediction", "low", "high"]
    assert (table["low"] < table["prediction"]).all()
    assert (table["prediction"] < table["high"]).all()
