"""Commands on the folder of a table's run, what predict takes, and files that are what their names say."""

import gzip
import json
import re
import zipfile
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from chainrule import tables
from chainrule.cli.app import app
from chainrule.tables import converting, output
from chainrule.tables.checking import check

KINDS = ("binary", "multiclass", "regression")


def run(*arguments, status=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def refused(*arguments, match):
    result = run(*arguments, status=2)
    assert re.search(match, result.stderr), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr


def rows(task, count=90, seed=0):
    rng = np.random.default_rng(seed)
    x, color = rng.normal(size=count), rng.choice(["red", "green", "blue"], count)
    day = pl.Series(np.datetime64("2022-01-01") + rng.integers(0, 300, count).astype("timedelta64[D]"))
    y = {
        "binary": np.where(x > 0, "yes", "no"),
        "multiclass": np.array(["low", "middle", "high"])[np.digitize(x, [-0.5, 0.5])],
        "regression": 3 * x + (color == "red"),
    }[task]
    frame = pl.DataFrame({"x": x, "color": color, "day": day, "y": y})
    return frame.with_columns(pl.when(pl.col("x") > 1.5).then(None).otherwise(pl.col("x")).alias("x"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the folder with a run for each kind of target, and a file with its target."""
    folder = tmp_path_factory.mktemp("runs")
    for task in KINDS:
        tables.save(tables.train(rows(task), "y", parameters={"max_iter": 30}), folder / task)
        rows(task, 40, seed=1).write_csv(folder / f"{task}.csv")
    return folder


@pytest.mark.parametrize("task", KINDS)
def test_evaluate_measures_a_labeled_file(runs, task):
    printed = run("evaluate", runs / task, runs / f"{task}.csv").stdout
    run_of = tables.load(runs / task)
    truth = rows(task, 40, seed=1)["y"]
    predictions = tables.predict(run_of, runs / f"{task}.csv")[0]["prediction"]
    if task == "regression":
        rmse = float(((predictions - truth) ** 2).mean() ** 0.5)
        assert re.search(rf"^RMSE +{rmse:.3g}", printed, re.MULTILINE), printed
        assert re.search(r"^R² +0\.\d+", printed, re.MULTILINE)
    else:
        accuracy = float((predictions == truth).mean())
        assert re.search(rf"^accuracy +{accuracy:.4f}  95 % interval 0\.\d+ to ", printed, re.MULTILINE), printed
        assert re.search(r"^class +precision +recall", printed, re.MULTILINE)
    assert re.search(r"^rows +40$", printed, re.MULTILINE)


def test_evaluate_says_what_does_not_fit(runs, tmp_path):
    folder = runs / "binary"
    refused("evaluate", folder, match="keeps no rows: give a file that has the column 'y'")
    frame = rows("binary", 40)
    frame.drop("y").write_csv(tmp_path / "no.csv")
    refused("evaluate", folder, tmp_path / "no.csv", match="has no column 'y'")
    frame.with_columns(pl.lit("maybe").alias("y")).write_csv(tmp_path / "new.csv")
    refused("evaluate", folder, tmp_path / "new.csv", match="has the class 'maybe' of 'y', which training never saw")
    frame.drop("x").write_csv(tmp_path / "x.csv")
    refused("evaluate", folder, tmp_path / "x.csv", match="'x'")
    half = frame.with_columns(pl.when(pl.int_range(pl.len()) < 10).then(None).otherwise(pl.col("y")).alias("y"))
    half.write_csv(tmp_path / "half.csv")
    assert "rows              30, and 10 without a target" in run("evaluate", folder, tmp_path / "half.csv").stdout


@pytest.mark.parametrize("task", KINDS)
def test_explain_follows_a_row_of_a_file_through_preparation_and_network(runs, task, tmp_path):
    source = runs / f"{task}.csv"
    result = run("explain", runs / task, "--row", "3", "--file", source)
    value = rows(task, 40, seed=1)["color"][2]
    assert re.search(rf"^color +{value}$", result.stdout, re.MULTILINE)
    assert "input of the network" in result.stdout
    assert "dL/d" in result.stdout
    rows(task, 40, seed=1).drop("y").write_csv(tmp_path / "new.csv")
    printed = run("explain", runs / task, "--row", "3", "--file", tmp_path / "new.csv").stdout
    assert "the prediction stands for it" in printed
    run("explain", runs / task, "--row", "1", "--file", source, "--out", tmp_path / "row.html")
    assert (tmp_path / "row.html").stat().st_size > 1000


def test_explain_says_which_rows_there_are(runs):
    refused("explain", runs / "binary", "--row", "1", match="give --file")
    for row in ("0", "41"):
        refused("explain", runs / "binary", "--row", row, "--file", runs / "binary.csv", match="a number from 1 to 40")


@pytest.mark.parametrize("task", KINDS)
def test_check_checks_the_gradients_of_a_tables_run_and_of_an_estimators_file(runs, task):
    for target in (runs / task, runs / task / "model.safetensors"):
        printed = run("check", target).stdout
        assert "is right" in printed, printed


@pytest.mark.parametrize("task", KINDS)
def test_export_writes_the_pipeline_that_runs_in_onnxruntime(runs, task, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    printed = run("export", runs / task, "--onnx", tmp_path / "p.onnx").stdout
    assert "onnxruntime agrees to" in printed
    frame = rows(task, 40, seed=1).drop("y")
    run_of = tables.load(runs / task)
    checked = check(frame, run_of.schema)[0]
    session = runtime.InferenceSession(tmp_path / "p.onnx", providers=["CPUExecutionProvider"])
    given = converting.feeds(checked, run_of.schema).values()
    feed = dict(zip((entry.name for entry in session.get_inputs()), given, strict=True))
    found = session.run([session.get_outputs()[-1].name], feed)[0]
    predicted = tables.predict(run_of, frame)[0]
    ours = predicted["prediction"] if task == "regression" else predicted.select(pl.col("^p_.*$"))
    np.testing.assert_allclose(found.reshape(ours.shape), ours.to_numpy(), atol=1e-5)
    refused("export", runs / task, "--onnx", tmp_path / "q.onnx", "--opset", "17", match="--opset: is for networks")


def test_predict_takes_what_train_takes(runs):
    """Frames of polars and pandas, dictionaries of columns, one row, rows by name, and paths."""
    pandas = pytest.importorskip("pandas")
    run_of = tables.load(runs / "binary")
    frame = rows("binary", 5, seed=2).drop("y")
    expected = tables.predict(run_of, frame)[0]
    by_row = frame.to_dicts()
    given = [pandas.DataFrame(by_row), frame.to_dict(as_series=False), by_row, tuple(by_row)]
    for data in given:
        assert tables.predict(run_of, data)[0].equals(expected), type(data)
    assert tables.predict(run_of, by_row[0])[0].equals(expected[:1])
    path = runs / "five.csv"
    frame.write_csv(path)
    for name in (path, str(path)):
        assert tables.predict(run_of, name)[0].equals(expected)
    with pytest.raises(TypeError, match="expected a file, or a data frame of polars or pandas, got int"):
        tables.predict(run_of, 3)
    with pytest.raises(ValueError, match="there are no rows"):
        tables.predict(run_of, frame[:0])


READERS = {
    "p.csv": pl.read_csv, "p": pl.read_csv, "p.parquet": pl.read_parquet, "p.arrow": pl.read_ipc, "p.feather": pl.read_ipc,
    "p.jsonl": pl.read_ndjson, "p.ndjson": pl.read_ndjson, "p.json": pl.read_json,
    "p.tsv": lambda path: pl.read_csv(path, separator="\t"),
    "p.csv.gz": lambda path: pl.read_csv(gzip.decompress(path.read_bytes())),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_predictions_are_written_as_their_name_says(runs, tmp_path, name):
    rows("binary", 5, seed=2).drop("y").write_csv(tmp_path / "new.csv")
    run("predict", runs / "binary", tmp_path / "new.csv", "--out", tmp_path / name)
    found = READERS[name](tmp_path / name)
    expected = tables.predict(tables.load(runs / "binary"), tmp_path / "new.csv")[0]
    assert found.columns == expected.columns
    assert found["prediction"].to_list() == expected["prediction"].to_list()


def test_labels_that_are_none_are_refused_with_their_row(runs, tmp_path):
    """A label 1.5 in a typed file was read as the class 1, and any word among labels of yes and no as a no."""
    frame = rows("binary", 60).with_columns((pl.col("y") == "yes").cast(pl.Int64).alias("y"))
    tables.save(tables.train(frame, "y", parameters={"max_iter": 2}), tmp_path / "run")
    frame.with_columns(pl.Series("y", [1.5] + [1.0, 0.0] * 29 + [1.0])).write_parquet(tmp_path / "half.parquet")
    refused("evaluate", tmp_path / "run", tmp_path / "half.parquet", match=r"row 1 has 1\.5")


def test_excel_files_have_texts_not_formulas(tmp_path):
    pytest.importorskip("xlsxwriter")
    output.write(pl.DataFrame({"prediction": ["=1+1", "b"]}), tmp_path / "p.xlsx")
    with zipfile.ZipFile(tmp_path / "p.xlsx") as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


def test_other_names_are_refused_before_anything_is_read(runs, tmp_path):
    for name in ("p.xls", "p.sqlite", "p.gz", "p.txt.gz"):
        refused(
            "predict",
            runs / "binary",
            tmp_path / "not there.csv",
            "--out",
            tmp_path / name,
            match=r"can end in \.csv, ",
        )
    if find_spec("xlsxwriter") is None:
        result = run("predict", runs / "binary", "new.csv", "--out", tmp_path / "p.xlsx", status=1)
        assert "pip install xlsxwriter" in result.stderr


def test_no_bound_is_zero_and_seeds_are_named(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows("binary").write_csv("t.csv")
    run("train", "t.csv", "--target", "y", "--epochs", "2", "--max-norm", "0", "--clip-norm", "0", "--out", "a")
    run("train", "moons", "--epochs", "1", "--max-norm", "0", "--clip-norm", "0", "--out", "b", "--quiet")
    settings = json.loads((tmp_path / "a" / "config.json").read_text())["settings"]
    assert "max_norm" not in json.dumps(settings) or settings.get("parameters", {}).get("max_norm") is None
    refused("train", "t.csv", "--target", "y", "--seed", "-1", match="--seed: expected")
    refused("train", "moons", "--seed", "-1", match="--seed: expected")
    refused("tune", "t.csv", "--target", "y", "--trials", "1", "--seed", "-1", match="--seed: expected")
