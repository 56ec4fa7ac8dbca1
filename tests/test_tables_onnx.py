"""The whole pipeline in onnxruntime: for rows with holes and values that training never saw, it says what predict says."""

import sys

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from typer.testing import CliRunner

from chainrule import tables
from chainrule.cli.app import app
from chainrule.onnx.graph import Graph
from chainrule.onnx.model import assemble
from chainrule.tables import converting, fitted_steps, onnx_parts
from chainrule.tables.serving import steps
from small_tables import INPUTS, frame, trained

NO_TEXT = tuple(name for name in INPUTS if name != "notes")
QUICK = {"max_iter": 4, "hidden_layer_sizes": (8,)}

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Found unknown categories")]


def run(content, given):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = (entry.name for entry in session.get_inputs())
    values = session.run(None, dict(zip(names, given.values(), strict=True)))
    return dict(zip((entry.name for entry in session.get_outputs()), values, strict=True))


def odd_rows():
    """Return rows that training never saw, each input with holes, and values that it did not have."""
    rows = frame(rows=120, seed=9)
    which = pl.int_range(pl.len()) % 12
    return rows.with_columns(
        size=pl.when(which == 0).then(float("inf")).when(which == 1).then(-1e100).when(which == 2).then(None)
        .otherwise(pl.col("size")),
        rooms=pl.when(which == 3).then(None).when(which == 4).then(10**12).otherwise(pl.col("rooms")),
        garden=pl.when(which == 5).then(pl.lit("perhaps")).when(which == 6).then(None).otherwise(pl.col("garden")),
        city=pl.when(which == 7).then(pl.lit("Oslo")).when(which == 8).then(None).otherwise(pl.col("city")),
        street=pl.when(which == 9).then(pl.lit("nowhere")).when(which == 10).then(None).otherwise(pl.col("street")),
        built=pl.when(which == 11).then(pl.date(1888, 2, 29)).otherwise(pl.col("built")),
        opened=pl.when(which == 0).then(None).otherwise(pl.col("opened")),
    )  # fmt: skip


@pytest.fixture(scope="module", params=["binary", "multiclass", "regression", "multilabel"])
def run_of(request):
    return trained(request.param, inputs=NO_TEXT)


def test_it_predicts_what_predict_predicts(run_of):
    content, said = converting.to_onnx(run_of)
    assert "onnxruntime agrees to" in said
    rows = odd_rows()
    found = run(content, converting.feeds(rows, run_of.schema))
    expected = tables.predict(run_of, rows)[0]
    if run_of.schema.task == "regression":
        assert found["variable"].ravel() == pytest.approx(expected["prediction"].to_numpy(), rel=1e-5)
        return
    p = expected.select(pl.col("^p_.*$")).to_numpy()
    np.testing.assert_allclose(found["probabilities"], p, rtol=0, atol=1e-5)
    if run_of.schema.task == "multilabel":
        np.testing.assert_array_equal(found["label"], p > 0.5)
    else:
        assert found["label"].tolist() == expected["prediction"].to_list()


def test_one_row_and_no_row(run_of):
    content, _ = converting.to_onnx(run_of)
    given = converting.feeds(odd_rows().head(1), run_of.schema)
    assert len(run(content, given).popitem()[1]) == 1
    assert len(run(content, {name: x[:0] for name, x in given.items()}).popitem()[1]) == 0


def test_inputs_are_named_typed_and_described(run_of):
    content, _ = converting.to_onnx(run_of)
    session = onnxruntime.InferenceSession(content)
    kinds = {entry.name: entry.type for entry in session.get_inputs()}
    text, number = "tensor(string)", "tensor(double)"
    expected = {"size": number, "rooms": number, "garden": text, "city": text, "built": number, "opened": number}
    assert kinds == expected | ({"street": text} if "street" in kinds else {})
    assert {tuple(entry.shape) for entry in session.get_inputs()} == {("batch", 1)}
    notes = {entry.name: entry.doc_string for entry in onnx.load_from_string(content).graph.input}
    assert notes["built"].startswith("seconds since 1970-01-01")
    assert notes["city"] == "a string; missing: the empty string"
    assert session.get_modelmeta().custom_metadata_map["target"] == run_of.schema.target


def kinds(rows=400, seed=0):
    """Return columns of every type, as every kind that they can be told to be."""
    rng = np.random.default_rng(seed)
    start = np.datetime64("1931-05-03T04:05:06.789123")
    table = pl.DataFrame(
        {
            "truth": rng.random(rows) < 0.5,
            "half": rng.choice([0.5, 1.5], rows),
            "level": rng.integers(0, 5, rows) * 10,
            "code": rng.integers(0, 90, rows),
            "share": rng.integers(0, 60, rows) / 8,
            "moment": start + rng.integers(0, 4 * 10**9, rows).astype("timedelta64[s]"),
            "word": rng.choice(["", "a", "b", "(missing)"], rows),
            "rare": np.where(rng.random(rows) < 0.005, "seldom", rng.choice(["x", "y"], rows)),
            "label": rng.normal(size=rows),
            "variable": rng.normal(size=rows),
            "three": rng.choice(["I", "II", "III"], rows),
        }
    )
    holes = [
        pl.when(pl.Series(rng.random(rows) < 0.05)).then(None).otherwise(pl.col(name)).alias(name)
        for name in table.columns[:-1]
    ]
    return table.with_columns(holes)


@pytest.mark.parametrize("target", ["three", "variable", "truth"])
def test_every_type_as_every_kind(target):
    run_of = tables.train(
        kinds(), target, categorical=[name for name in ("level", "code", "share") if name != target], parameters=QUICK
    )
    assert {"category", "many", "date", "yes/no", "number"} == {column.kind for column in run_of.schema.used}
    content, said = converting.to_onnx(run_of)
    assert content is not None, said
    rows = kinds(seed=1).with_columns(code=pl.col("code") + 30, share=pl.col("share") + 1, level=pl.col("level") + 10)
    found = run(content, converting.feeds(rows, run_of.schema))
    expected = tables.predict(run_of, rows)[0]
    if target == "variable":
        np.testing.assert_allclose(found["variable"].ravel(), expected["prediction"], rtol=1e-5, atol=1e-5)
    else:  # a column is called label: the output has another name
        assert found["label_"].tolist() == expected["prediction"].to_list()
        p = expected.select(pl.col("^p_.*$")).to_numpy()
        np.testing.assert_allclose(found["probabilities"], p, rtol=0, atol=1e-5)


def small(add, rows, outputs):
    """Return what a few operators make of one input."""
    graph = Graph(np.dtype("float64"), 21)
    graph.reserve("x")
    graph.rename(add(graph, "x"), "y")
    model = assemble(onnx, graph, [("x", "float64", (rows.shape[1],))], [("y", "float64", (outputs,))], {}, "")
    return run(model.SerializeToString(), {"x": rows})["y"]


def test_the_calendar_is_that_of_polars():
    rng = np.random.default_rng(0)
    seconds = np.concatenate([rng.integers(-62135596800, 253402300799, 5000), [0, -1, 86399, 951782400, 951868799]])
    moments = pl.Series("d", seconds * 1_000_000).cast(pl.Datetime("us"))
    encoder = pytest.importorskip("skrub").DatetimeEncoder(
        add_weekday=True, add_total_seconds=True, periodic_encoding="circular"
    )
    expected = encoder.fit_transform(moments).to_numpy()
    made = small(
        lambda graph, x: onnx_parts.dated(graph, encoder.extracted_features_, x),
        seconds.reshape(-1, 1).astype(float),
        10,
    )
    np.testing.assert_allclose(made, expected, rtol=1e-7, atol=1e-12)
    parts = steps.dated(seconds.astype(float), encoder.extracted_features_)
    np.testing.assert_allclose(parts, expected, rtol=1e-7, atol=1e-12)


def test_the_scaler_is_that_of_skrub():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=200), rng.random(200) < 0.1, np.ones(200), rng.normal(1e9, 1, 200)])
    X[::17] = np.nan
    scaler = pytest.importorskip("skrub").SquashingScaler().fit(X)
    new = np.array([*X[:30], [np.inf] * 4, [-np.inf] * 4, [np.nan] * 4, [1e150] * 4, [0.0] * 4])
    arrays = fitted_steps._scales(scaler)
    expected = np.nan_to_num(scaler.transform(new))
    np.testing.assert_allclose(steps.squashed(new, *arrays), expected, rtol=1e-12, atol=1e-12)
    made = small(lambda graph, x: onnx_parts.squashed(graph, x, *arrays), new, 4)
    np.testing.assert_allclose(made, expected, rtol=1e-12, atol=1e-12)


def test_why_there_is_none(monkeypatch, tmp_path):
    run_of = trained("binary")
    content, said = converting.to_onnx(run_of)
    assert content is None
    assert (
        said == "pipeline.onnx was not written: ONNX has no operator to hash words, as needed for the column 'notes'."
    )
    (tmp_path / "pipeline.onnx").write_bytes(b"of an older run")
    assert tables.save(run_of, tmp_path, overwrite=True) == (said,)
    assert not (tmp_path / "pipeline.onnx").exists()
    for package in ("onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, package, None)
        content, said = converting.to_onnx(trained("binary", inputs=("size",)))
        assert said.endswith(
            {
                "onnxruntime": "not compared: no onnxruntime.",
                "onnx": 'pip install -e ".[onnx]" in a clone of chainrule',
            }[package]
        )
        assert (content is None) == (package == "onnx")


def test_a_file_that_would_be_wrong_is_not_written(monkeypatch):
    monkeypatch.setattr(onnx_parts, "squashed", lambda graph, x, *arrays: graph.node("Neg", x))
    content, said = converting.to_onnx(trained("binary", inputs=("rooms",)))
    assert content is None
    assert "its predictions in onnxruntime differ by" in said


def test_whole_numbers_that_float64_does_not_have_are_refused():
    ids = 2**60 + np.arange(4)[np.random.default_rng(0).integers(0, 4, 100)]
    table = pl.DataFrame({"id": ids, "y": ["a", "b"] * 50})
    _, said = converting.to_onnx(tables.train(table, "y", categorical=["id"], parameters=QUICK))
    assert "float64, which cannot represent every category, such as 1152921504606846976" in said


def test_the_command_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame().select("size", "rooms", "garden", "ill").write_csv("t.csv")
    done = CliRunner().invoke(app, ["train", "t.csv", "--target", "ill", "--epochs", "3", "--layers", "8"])
    assert done.exit_code == 0, done.output
    assert "file     pipeline.onnx, 3 columns to predictions; onnxruntime agrees to" in done.stdout
    assert (tmp_path / "runs" / "t" / "pipeline.onnx").stat().st_size > 1000
