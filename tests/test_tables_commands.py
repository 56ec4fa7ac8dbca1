"""Commands on the folder of a table's run, what predict takes, and files that are what their names say."""

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule.cli import checks
from chainrule.cli.app import app
from chainrule.tables import converting, explaining, output, row_inputs
from chainrule.tables.casting import cast
from chainrule.tables.checking import check
from chainrule.tables.positive import PositiveTarget

pytestmark = pytest.mark.slow

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
        trained = tables.train(rows(task), "y", parameters={"max_iter": 30, "hidden_layer_sizes": (16,)})
        tables.save(trained, folder / task)
        rows(task, 40, seed=1).write_csv(folder / f"{task}.csv")
    return folder


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """Return a folder with runs on a table with every kind of column, and the table."""
    folder = tmp_path_factory.mktemp("every")
    frame = small_tables.frame(120)
    frame.write_csv(folder / "rows.csv")
    for task, goals in small_tables.TARGETS.items():
        if task != "binary":
            rows = frame.select(*small_tables.INPUTS, *goals)
            tables.save(tables.train(rows, ",".join(goals), parameters=small_tables.SHORT), folder / task)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "drift"])
def test_predictions_do_without_scikit_learn(runs, command):
    """Its import takes longer than the prediction of a hundred thousand rows."""
    code = (
        "import sys; sys.modules |= dict.fromkeys(['sklearn', 'scipy', 'pandas', 'skops', 'matplotlib'])\n"
        "from chainrule.cli import main; main()"
    )
    for task in KINDS:
        arguments = [command, runs / task, runs / f"{task}.csv"]
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)], check=False, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, run(*arguments).stdout), done.stderr


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
        assert re.search(rf"^accuracy +{accuracy:.4f}  0\.\d+ to [01]\.\d+", printed, re.MULTILINE), printed
        assert re.search(r"^class +precision +recall", printed, re.MULTILINE)
    held_out = json.loads((runs / task / "config.json").read_text())["scores"]
    name, value = (
        ("RMSE", f"{held_out['RMSE']:.4g}") if task == "regression" else ("accuracy", f"{held_out['accuracy']:.4f}")
    )
    assert re.search(r"^40 rows +this file +95% interval +held out in training$", printed, re.MULTILINE), printed
    assert re.search(rf"^{name} .* {value}$", printed, re.MULTILINE), printed


@pytest.mark.parametrize("task", KINDS)
def test_evaluate_shows_the_worst_rows_by_their_numbers_in_the_file(runs, tmp_path, task):
    """Row numbers count the rows without a target too."""
    frame = rows(task, 40, seed=1).with_columns(
        pl.when(pl.int_range(pl.len()) < 5).then(None).otherwise(pl.col("y")).alias("y")
    )
    frame.write_csv(tmp_path / "some.csv")
    printed = run("evaluate", runs / task, tmp_path / "some.csv").stdout
    predicted = tables.predict(tables.load(runs / task), tmp_path / "some.csv")[0]
    if task == "regression":
        size = (predicted["prediction"] - frame["y"]).abs()
    else:
        size = 1 - np.array(
            [np.nan if y is None else row[f"p_{y}"] for row, y in zip(predicted.to_dicts(), frame["y"], strict=True)]
        )
    worst = int(np.nanargmax(size.to_numpy() if task == "regression" else size)) + 1
    found = re.search(r"^worst predictions: row .*\n +(\d+) ", printed, re.MULTILINE)
    assert int(found[1]) == worst
    assert worst > 5


def test_evaluate_says_what_does_not_fit(runs, tmp_path):
    folder = runs / "binary"
    refused("evaluate", folder, match="does not include its rows: give a file with the column 'y'")
    frame = rows("binary", 40)
    frame.drop("y").write_csv(tmp_path / "no.csv")
    refused("evaluate", folder, tmp_path / "no.csv", match="has no column 'y'")
    frame.with_columns(pl.lit("maybe").alias("y")).write_csv(tmp_path / "new.csv")
    refused(
        "evaluate", folder, tmp_path / "new.csv", match="has the class 'maybe' of 'y', which was not seen in training"
    )
    frame.drop("x").write_csv(tmp_path / "x.csv")
    refused("evaluate", folder, tmp_path / "x.csv", match="'x'")
    half = frame.with_columns(pl.when(pl.int_range(pl.len()) < 10).then(None).otherwise(pl.col("y")).alias("y"))
    half.write_csv(tmp_path / "half.csv")
    result = run("evaluate", folder, tmp_path / "half.csv")
    assert result.stdout.count("30 rows") == 1
    assert "Note: dropped 10 of 40 rows, which have no 'y'." in result.stderr
    half.with_columns(pl.lit(None, pl.String).alias("y")).write_csv(tmp_path / "none.csv")
    refused("evaluate", folder, tmp_path / "none.csv", match="has no row with a value of y")
    words = pl.when(pl.int_range(pl.len()) == 20).then(pl.lit("tall")).otherwise(pl.col("x").cast(pl.String)).alias("x")
    half.with_columns(words).write_csv(tmp_path / "words.csv")
    refused(
        "evaluate",
        folder,
        tmp_path / "words.csv",
        match=r"'x' is a number, but row 21 has 'tall' \(1 row in total\): correct it\.",
    )


def test_evaluate_takes_no_number_for_a_number_that_is_none(runs, tmp_path):
    frame = (
        rows("regression", 12)
        .with_row_index()
        .with_columns(pl.when(pl.col("index") == 3).then(float("nan")).otherwise(pl.col("y")).alias("y"))
    )
    frame.write_parquet(tmp_path / "nan.parquet")
    assert "11 rows" in run("evaluate", runs / "regression", tmp_path / "nan.parquet").stdout
    frame.with_columns(pl.col("y").fill_nan(float("inf"))).write_parquet(tmp_path / "inf.parquet")
    refused("evaluate", runs / "regression", tmp_path / "inf.parquet", match="'y' is infinite in row 4")


def prepared(path, frame, row):
    """Return what the preparation of a run makes of a row, counted from 1."""
    run_of = tables.load(path)
    return np.asarray(run_of.pipeline[0].transform(cast(check(frame, run_of.schema)[0], run_of.schema.columns)))[
        row - 1
    ]


def number(text):
    """Return a number as a page writes it."""
    text = text.replace("−", "-").replace(",", "").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(text.replace(" × 10", "e"))


@pytest.mark.parametrize("task", KINDS)
def test_explain_follows_a_row_of_a_file_through_preparation_and_network(runs, task, tmp_path):
    source, frame = runs / f"{task}.csv", rows(task, 40, seed=1)
    printed = run("explain", runs / task, source, "--row", "3").stdout
    x = prepared(runs / task, frame, 3)
    shown = re.findall(r"^[^▸\n]*x\[0, (\d+)\]  .*  (\S+(?: × 10\S+)?)$", printed, re.MULTILINE)
    assert [int(i) for i, _ in shown] == [*range(len(x))]
    np.testing.assert_allclose([number(value) for _, value in shown], x, rtol=1e-3, atol=1e-12)
    color = frame["color"][2]
    assert re.search(rf"= {color} +1$", printed, re.MULTILINE)
    assert re.search(rf"^ *color +{color} +x\[0, \d+\]", printed, re.MULTILINE)
    assert (
        printed.index("PREPARATION")
        < printed.index("FORWARD")
        < printed.index("PREDICTION")
        < printed.index("BACKWARD")
    )
    assert "dW = xᵀ dy" in printed
    predicted = tables.predict(tables.load(runs / task), source)[0][2]
    if task == "regression":
        assert number(re.search(r"▸ y = .* = (\S+)$", printed, re.MULTILINE)[1]) == pytest.approx(
            predicted.item(), 1e-4
        )
    else:
        for label in tables.load(runs / task).schema.classes:
            assert re.search(rf"^ *{label} +{predicted[f'p_{label}'].item():.4f}$", printed, re.MULTILINE)


@pytest.mark.parametrize("ending", ["html", "md", "txt"])
@pytest.mark.parametrize("task", KINDS)
def test_the_page_of_an_explanation_has_the_preparation_in_it(runs, task, tmp_path, ending):
    out = tmp_path / f"row.{ending}"
    printed = run("explain", runs / task, runs / f"{task}.csv", "--row", "3", "--out", out).stdout
    assert re.search(r"^(true: |Trace\().*; worked example written to ", printed)
    page = out.read_text(encoding="utf-8")
    color = rows(task, 40, seed=1)["color"][2]
    cell = {"html": '<th scope="row">{}</th><td>{}</td><td>x[0, ', "md": r"| {} | {} | x\[0, ", "txt": "{}   {}  "}[
        ending
    ]
    if ending != "txt":
        assert cell.format("color", color) in page
    else:
        assert re.search(rf"color +{color} +x\[0, \d+\]", page)
    assert f"= {color}" in page
    assert f"row 3 of {runs.name}" not in page
    assert re.search(r"row 3 of .*csv", page)


def test_a_row_without_a_target_is_explained_by_its_prediction_and_says_so(runs, tmp_path):
    for task in KINDS:
        rows(task, 40, seed=1).drop("y").write_csv(tmp_path / "new.csv")
        printed = run("explain", runs / task, tmp_path / "new.csv", "--row", "3").stdout
        assert "The row has no value for 'y': the prediction is used in its place." in " ".join(printed.split())
        assert "true:" not in printed


def test_a_fault_is_named_by_its_row_and_other_rows_may_have_some(runs, tmp_path):
    frame = rows("binary", 40).with_columns(pl.col("x").cast(pl.String))
    faulty = pl.int_range(pl.len()) == 20
    for name, word in (("x", "tall"), ("y", "maybe")):
        frame.with_columns(pl.when(faulty).then(pl.lit(word)).otherwise(pl.col(name)).alias(name)).write_csv(
            tmp_path / f"{name}.csv"
        )
    refused("explain", runs / "binary", tmp_path / "x.csv", "--row", "21", match="row 21 has 'tall'")
    refused("explain", runs / "binary", tmp_path / "y.csv", "--row", "21", match="has the class 'maybe' of 'y'")
    run("explain", runs / "binary", tmp_path / "x.csv", "--row", "20")
    run("explain", runs / "binary", tmp_path / "y.csv", "--row", "22")


def test_every_kind_of_column_and_target_is_explained(every):
    """Each input has the name of its column and its category, an ensemble says that it is one, long lists are cut."""
    frame = small_tables.frame(120)
    for task in ("multiclass", "multilabel", "regression"):
        printed = run("explain", every / task, every / "rows.csv", "--row", "7").stdout
        row = frame.row(6, named=True)
        for name in ("size", "rooms", "garden", "city", "street", "built", "opened", "notes"):
            assert re.search(rf"^ *{name} ", printed, re.MULTILINE), name
        assert re.search(rf"= {row['city']} +1$", printed, re.MULTILINE)
        assert len(re.findall(r"words, direction", printed)) <= 12
        run_of = tables.load(every / task)
        assert len(row_inputs.names(run_of)) == prepared(every / task, frame, 7).size
        predicted = tables.predict(run_of, every / "rows.csv")[0].row(6, named=True)
        if task == "multilabel":
            for name in ("sold", "late"):
                assert re.search(rf"^ *{name} +{predicted[f'p_{name}']:.4f}$", printed, re.MULTILINE)
        if task == "regression":
            said = re.search(r"price = .* = (\S+)$", printed, re.MULTILINE)
            assert number(said[1]) == pytest.approx(predicted["prediction"], rel=1e-4)


def test_names_of_inputs_are_those_of_their_values(every):
    """The input of a category is 1 in its rows, that of a missing value where it is missing."""
    run_of, frame = tables.load(every / "multiclass"), small_tables.frame(120)
    X, _ = row_inputs.prepared(run_of, frame)
    for i, (column, what) in enumerate(row_inputs.names(run_of)):
        if what.startswith("= ") and column in ("city", "garden"):
            expected = (frame[column] == what.removeprefix("= ")).fill_null(value=False)
            np.testing.assert_array_equal(X[:, i] == 1, expected.to_numpy())
        if what == "is missing":
            np.testing.assert_array_equal(X[:, i] == 1, frame[column].is_null().to_numpy())


@pytest.mark.parametrize(("target", "scaled", "cut"), [(0.5, False, False), (0.5, True, False), (-99.0, False, True)])
def test_the_scaling_of_a_target_is_undone_in_words(target, scaled, cut):
    scaler = PositiveTarget(log=scaled).fit(np.array([[0.0], [10.0], [100.0]]))
    said = explaining._back(scaler, "price", np.array([target]), 0)
    value = scaler.inverse_transform(np.array([[target]])).item()
    assert number(re.search(r"(?:= |bounded to )(\S+)$", said)[1]) == pytest.approx(value, rel=1e-4, abs=1e-9)
    assert ("exp(" in said) == scaled
    assert ("bounded to" in said) == cut


def test_explain_says_which_rows_there_are(runs):
    refused("explain", runs / "binary", "--row", "1", match="give the file that has the row, as in .* FILE --row 1")
    for row in ("0", "41", "-1"):
        refused("explain", runs / "binary", runs / "binary.csv", "--row", row, match="a number from 1 to 40")
    refused(
        "explain",
        runs / "binary",
        runs / "binary.csv",
        "--row",
        "1",
        "--learning-rate",
        "nan",
        match="--learning-rate: expected",
    )


def test_check_takes_labeled_rows_and_says_what_it_used(runs, tmp_path):
    source = runs / "multiclass.csv"
    given = run("check", runs / "multiclass", source, "--rows", "5").stdout
    assert f"at the first 5 labeled rows of {source}" in given
    assert "The gradient is correct" in given
    rows("binary", 1).write_csv(tmp_path / "one.csv")
    refused("check", runs / "binary", tmp_path / "one.csv", match="has one labeled row: expected at least two")
    rows("binary", 9).drop("y").write_csv(tmp_path / "new.csv")
    refused("check", runs / "binary", tmp_path / "new.csv", match="has no column 'y'")
    model = runs / "binary" / "model.safetensors"
    refused("check", model, runs / "binary.csv", match="is not a run on a table")
    assert not run("check", model, "--json").stdout.count("made-up")


@pytest.mark.parametrize("task", KINDS)
def test_check_uses_the_rows_and_targets_of_the_file(runs, monkeypatch, task):
    seen = []

    def check_network(name, network, rows, seed, terms, *, at):
        seen.append((rows, *at))
        return checks.Check(kind="network", name=name, ok=True)

    monkeypatch.setattr(checks, "check_network", check_network)
    run("check", runs / task, runs / f"{task}.csv", "--rows", "6")
    ((count, X, t, _),) = seen
    frame, run_of = rows(task, 40, seed=1), tables.load(runs / task)
    np.testing.assert_array_equal(X, [prepared(runs / task, frame, i) for i in range(1, 7)])
    assert count == 6
    if task == "regression":
        np.testing.assert_allclose(run_of.pipeline[-1].transformer_.inverse_transform(t).ravel(), frame["y"][:6])
    else:
        assert [run_of.schema.classes[i] for i in np.ravel(t)] == frame["y"][:6].to_list()


# ---------------------------------------------------------------- folders that lie


def forged(folder, to, edit=None, config=None, model=None):
    """Return a copy of a run with another schema, config or model, whose digests fit."""
    shutil.copytree(folder, to)
    if edit is not None:
        schema = json.loads((to / "schema.json").read_text())
        edit(schema)
        (to / "schema.json").write_text(json.dumps(schema))
    if model is not None:
        shutil.copy(model, to / "model.safetensors")
    there = json.loads((to / "config.json").read_text())
    there |= config or {}
    there["files"] = {name: hashlib.sha256((to / name).read_bytes()).hexdigest() for name in there["files"]}
    (to / "config.json").write_text(json.dumps(there))
    return to


@pytest.mark.parametrize(
    "scores",
    [
        None,
        3,
        ["accuracy"],
        {"accuracy": "\x1b[2Jgreat"},
        {"accuracy": None, "\x1b[2J": 1.0},
        {"accuracy": {"a": 1}},
        {"accuracy": True},
    ],
)
def test_scores_of_a_lying_config_are_left_out(runs, tmp_path, scores):
    printed = run(
        "evaluate", forged(runs / "binary", tmp_path / "run", config={"scores": scores}), runs / "binary.csv"
    ).stdout
    assert "\x1b" not in printed
    assert "great" not in printed
    assert re.search(r"^accuracy +0\.\d+  0\.\d+ to [01]\.\d+ *$", printed, re.MULTILINE), printed


@pytest.mark.parametrize(
    ("column", "changes"),
    [
        ("day", {"low": "yesterday"}), ("day", {"low": None}), ("day", {"low": 3}), ("day", {"high": "9999-99-99"}),
        ("x", {"low": -1e308, "high": 1e308}), ("x", {"low": "a"}),
    ],
)  # fmt: skip
def test_ranges_of_a_lying_schema_are_refused_in_a_sentence(runs, tmp_path, column, changes):
    def edit(schema):
        next(c for c in schema["columns"] if c["name"] == column).update(changes)

    folder = forged(runs / "binary", tmp_path / "run", edit)
    refused("check", folder, match="the schema is damaged")
    refused("export", folder, "--onnx", tmp_path / "p.onnx", match="the schema is damaged")
    run("explain", folder, runs / "binary.csv", "--row", "1")


def test_categories_and_classes_of_a_lying_schema(runs, tmp_path):
    def more(schema):
        next(c for c in schema["columns"] if c["name"] == "color")["categories"] = ["1\x1b[2J"] * 3

    folder = forged(runs / "binary", tmp_path / "a", more)
    for command in (
        ["check"],
        ["check", runs / "binary.csv"],
        ["explain", runs / "binary.csv", "--row", "1"],
        ["evaluate", runs / "binary.csv"],
    ):
        result = run(command[0], folder, *command[1:])
        assert "\x1b" not in result.output
    folder = forged(runs / "binary", tmp_path / "b", lambda schema: schema.update(classes=["no", "yes", "maybe"]))
    for command in (["check"], ["explain", runs / "binary.csv", "--row", "1"], ["evaluate", runs / "binary.csv"]):
        refused(command[0], folder, *command[1:], match="has the classes")


def test_the_model_of_another_run_is_refused(runs, every, tmp_path):
    others = {"a": runs / "multiclass", "b": every / "multiclass", "c": runs / "regression"}
    for name, other in others.items():
        folder = forged(runs / "binary", tmp_path / name, model=other / "model.safetensors")
        for command in (["check"], ["explain", runs / "binary.csv", "--row", "1"], ["evaluate", runs / "binary.csv"]):
            result = run(command[0], folder, *command[1:], status=2)
            assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("task", KINDS)
def test_check_checks_the_gradients_of_a_tables_run_and_of_an_estimators_file(runs, task):
    for target in (runs / task, runs / task / "model.safetensors"):
        printed = run("check", target).stdout
        assert "The gradient is correct" in printed, printed
        assert ("at 8 made-up rows in the range of training, and random targets" in printed) == target.is_dir()


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
    refused(
        "export", runs / task, "--onnx", tmp_path / "q.onnx", "--opset", "17", match="--opset applies only to networks"
    )


def test_export_compares_columns_of_two_words(tmp_path):
    pytest.importorskip("onnxruntime")
    frame = rows("binary").with_columns(plan=pl.Series(["free", "pro"] * 45))
    tables.save(tables.train(frame, "y", parameters={"max_iter": 2}), tmp_path / "run")
    assert "onnxruntime agrees to" in run("export", tmp_path / "run", "--onnx", tmp_path / "p.onnx").stdout


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
    with pytest.raises(TypeError, match="expected a file, or a polars or pandas data frame, got int"):
        tables.predict(run_of, 3)
    with pytest.raises(ValueError, match="no rows to predict"):
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
            match=r"expected the ending \.csv, ",
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
    refused("tune", "t.csv", "--trials", "1", match="--target is required: name the column of t.csv to predict")
    for seed in (-1, 2**32):  # not "too few rows", which is what the split would make of it
        with pytest.raises(ValueError, match=f"seed: expected a whole number from 0 to 4294967295, got {seed}"):
            tables.train("t.csv", "y", seed=seed)
    with pytest.raises(TypeError, match="seed: expected a whole number, got True"):
        tables.train("t.csv", "y", seed=True)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--input-dropout", "nan"), ("--label-smoothing", "-0.1"), ("--l1", "inf"), ("--max-norm", "-1"),
        ("--clip-norm", "nan"), ("--patience", "-1"), ("--validation", "0"), ("--seed", str(2**32)),
    ],
)  # fmt: skip
def test_numbers_out_of_their_bounds_are_refused_by_their_option(runs, tmp_path, option, value):
    out = tmp_path / "run"
    refused("train", runs / "binary.csv", "--target", "y", option, value, "--out", out, match=f"{option}: expected")
    assert not out.exists()


def test_load_of_the_package_reads_the_folder_of_a_run(runs, tmp_path):
    frame = rows("binary", 5, seed=2).drop("y")
    expected = tables.predict(tables.load(runs / "binary"), frame)[0]
    for loaded in (cr.load(runs / "binary"), cr.load(str(runs / "binary" / "model.safetensors"))):
        assert isinstance(loaded, tables.TableModel)
        assert loaded.schema == tables.load(runs / "binary").schema
        assert loaded.predict(frame).tolist() == expected["prediction"].to_list()
    (tmp_path / "schema.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file"):
        cr.load(tmp_path)
