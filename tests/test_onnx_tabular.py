"""Ensembles for tables in onnxruntime: for rows that training never saw, it says what predict says, to 1e-5."""

import importlib
import json
import re
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.encoding import TableEncoding
from chainrule.onnx import tabular
from chainrule.onnx.graph import Graph
from chainrule.onnx.model import OLDEST, OPSET, add_outputs, assemble, describe

pl = pytest.importorskip("polars")


def pandas():
    return pytest.importorskip("pandas")


QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "n_estimators": 3, "random_state": 0}
ROWS = 120
TARGETS = ["classes", "two classes", "labels", "number", "numbers"]


def fitted(X, y, *, share=0.3, **parameters):
    """Return a model with a linear model in the mean, so that each part of it matters."""
    number = np.asarray(y).dtype.kind == "f"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = (cr.TabularRegressor if number else cr.TabularClassifier)(linear=True, **{**QUICK, **parameters})
        model.fit(X, y)
    if model.ensemble_.linear is None:
        rng, outputs = np.random.default_rng(0), model.members_[0].output_shape[0]
        model.ensemble_.linear = rng.normal(size=(model.ensemble_.encoding.plain, outputs)), rng.normal(size=outputs), 0
    W, b, _ = model.ensemble_.linear
    model.ensemble_.linear = W, b, share
    return model


def target(kind, x, rng):
    noisy = x + rng.normal(scale=0.3, size=len(x))
    return {
        "classes": np.array(["good", "bad", "worse"])[np.digitize(noisy, [-0.5, 0.5])],
        "two classes": np.where(noisy > 0, 7, -3),
        "labels": np.stack([noisy > 0, x > 0.2, noisy > 1], axis=1).astype(int),
        "number": 1e9 + 50 * noisy,  # float32 cannot tell these apart
        "numbers": np.stack([1e-6 * noisy, 40 + x], axis=1),
    }[kind]


def numbers(rng, rows=ROWS):
    """Return a table of numbers: with holes, heavy tails, ties, far from 0, constant, empty, and of categories."""
    X = np.stack([
        rng.normal(size=rows), rng.standard_cauchy(rows), rng.integers(0, 3, rows), 1.7e9 + rng.integers(0, 100, rows),
        np.full(rows, 5.0), np.full(rows, np.nan), rng.choice([1.0, 2.5, -4.0, np.nan], rows), rng.choice([0.0, 1.0], rows),
        np.arange(rows) + 0.5,
    ], axis=1)  # fmt: skip
    X[rng.random(rows) < 0.2, 1] = np.nan
    return X


NUMERIC = [6, 7, 8]  # these are categories: of three levels and missing, of two, and of none that occurs twice


def odd(X, rng):
    """Return rows with values that training never had."""
    Z = rng.permuted(X, axis=0)
    values = [np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-310, 0.0, -0.0, 3.0, 2.0**60]
    where = rng.random(Z.shape) < 0.3
    Z[where] = rng.choice(values, where.sum())
    return np.vstack([X, Z, *(np.full((1, X.shape[1]), value) for value in values)])


def mixed(rng, rows=ROWS):
    """Return a table with columns of every type, as polars reads them."""

    def some(values, hole=0.1):
        return [None if rng.random() < hole else value for value in values]

    return pl.DataFrame({
        "size": pl.Series(some(rng.normal(size=rows).tolist()), dtype=pl.Float64),
        "rooms": rng.integers(1, 6, rows),
        "city": some(rng.choice(["Rome", "Łódź", "", "a b"], rows).tolist()),
        "port": rng.choice(["S", "C"], rows),
        "garden": some(rng.choice(["yes", "no"], rows).tolist()),
        "kept": rng.choice([True, False], rows),
        "name": [f"person {i}" for i in range(rows)],
        "only": ["here"] * rows,
        "code": pl.Series(some(rng.choice(["01", "(missing)", "", "2"], rows).tolist())).cast(pl.Categorical),
        "nothing": pl.Series([None] * rows, dtype=pl.String),
    })  # fmt: skip


def odd_frame(frame, rng):
    rows = mixed(rng, frame.height)
    which = pl.int_range(pl.len()) % 8
    return pl.concat([frame, rows.with_columns(
        size=pl.when(which == 0).then(np.inf).when(which == 1).then(-1e300).otherwise("size"),
        city=pl.when(which == 2).then(pl.lit("Oslo")).otherwise("city"),
        port=pl.when(which == 3).then(pl.lit("Q")).when(which == 4).then(None).otherwise("port"),
        garden=pl.when(which == 5).then(pl.lit("perhaps")).otherwise("garden"),
        only=pl.when(which == 6).then(pl.lit("there")).when(which == 7).then(None).otherwise("only"),
        nothing=pl.when(which == 0).then(pl.lit("something")).otherwise("nothing"),
    ).with_columns(rows["code"].cast(pl.Categorical))])  # fmt: skip


def session(model, **options):
    made = model if isinstance(model, onnx.ModelProto) else cr.onnx.convert(model, **options)
    return onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])


def feeds(columns, running, holes):
    """Return columns as inputs: of numbers with NaN, or of strings with what stands for a missing one."""
    found = {}
    for entry, (name, values) in zip(running.get_inputs(), columns.items(), strict=True):
        if entry.type == "tensor(string)":
            hole = holes.get(name, "")
            array = np.array([hole if v is None else str(v) for v in values], dtype=object)
        else:
            array = np.array([np.nan if v is None else float(v) for v in values])
        found[entry.name] = array[:, np.newaxis]
    return found


def agree(model, found, X):
    if isinstance(model, cr.TabularRegressor):
        expected, (value,) = model.predict(X), found
        scale = model.ensemble_.unit.scale
        assert np.abs((value - expected.reshape(value.shape)) / scale).max() <= 1e-5
        assert len(np.unique(expected)) > ROWS / 4
        return
    p, (label, probabilities) = model.predict_proba(X), found
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, p, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(label, model.predict(X))
    assert len(np.unique(p[:, 0].round(6))) > ROWS / 4


@pytest.mark.few(4)
@pytest.mark.parametrize("opset", [OLDEST, OPSET])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", TARGETS)
def test_a_table_of_numbers_is_one_input(kind, seed, opset):
    rng = np.random.default_rng(seed)
    X = numbers(rng)
    model = fitted(X, target(kind, X[:, 0], rng), categorical_features=NUMERIC)
    levels = model.ensemble_.encoding.levels
    assert [None if of is None else len(of) for of in levels] == [None] * 6 + [4, 2, 0]
    running = session(model, opset=opset)
    assert [(e.name, e.type, e.shape) for e in running.get_inputs()] == [("X", "tensor(double)", ["batch", 9])]
    Z = odd(X, rng)
    agree(model, running.run(None, {"X": Z}), Z)


@pytest.mark.few(3)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", TARGETS)
def test_a_table_with_text_has_an_input_for_each_column(kind, seed):
    rng = np.random.default_rng(seed)
    frame = mixed(rng)
    model = fitted(frame, target(kind, frame["size"].fill_null(0.0).to_numpy(), rng))
    made = cr.onnx.convert(model)
    running = session(made)
    texts = {entry.name for entry in running.get_inputs() if entry.type == "tensor(string)"}
    assert texts == {"city", "port", "garden", "name", "only", "code", "nothing"}
    notes = {entry.name: entry.doc_string for entry in made.graph.input}
    assert [notes[name] for name in ("size", "garden", "city", "code")] == [
        "a number; missing: NaN", "a string; missing: the empty string",
        "a string; missing: (missing)", "a string; missing: ((missing))",
    ]  # fmt: skip
    Z = odd_frame(frame, rng)
    columns = {name: Z[name].to_list() for name in Z.columns}
    given = feeds(columns, running, {"city": "(missing)", "code": "((missing))"})
    assert list(given) == Z.columns
    agree(model, running.run(None, given), Z)


@pytest.mark.few(1)
@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("members", [1, 10])
def test_members_and_the_linear_model(members, share):
    rng = np.random.default_rng(3)
    X = numbers(rng)[:, :4]
    for kind in ("classes", "number"):
        model = fitted(X, target(kind, X[:, 0], rng), n_estimators=members, share=share)
        if not share:
            model.ensemble_.linear = None
        Z = odd(X, rng)
        agree(model, session(model).run(None, {"X": Z}), Z)


def test_numbers_at_the_edges_of_quantiles_and_beside_them():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    model = fitted(x[:, np.newaxis], x**2)
    encoding = model.ensemble_.encoding
    (q,) = encoding.quantiles
    z = q / np.sqrt(1 - np.square(q / 3))
    edges = encoding.median[0] + z * encoding.spread[0]
    Z = np.concatenate([x, edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])[:, np.newaxis]
    assert len(q) == 17
    agree(model, session(model).run(None, {"X": Z}), Z)


def test_it_is_the_encoding_bit_for_bit():
    """Only the networks round differently."""
    rng = np.random.default_rng(0)
    X = numbers(rng)
    encoding = TableEncoding.fit(X, categorical=NUMERIC, bins=8)
    graph = Graph(np.dtype("float64"), OPSET)
    graph.scope = "encoding"
    z = tabular.scaled(graph, encoding, [("X", "float64", (9,))])
    graph.rename(tabular.encoded(graph, encoding, z), "inputs")
    graph.rename(z, "z")
    values = [("X", "float64", (9,))], [("z", "float64", (encoding.plain,)), ("inputs", "float64", (encoding.inputs,))]
    running = session(assemble(onnx, graph, *values, {}, ""))
    Z = odd(X, rng)
    z, inputs = running.run(None, {"X": Z})
    np.testing.assert_array_equal(z, encoding.scaled(Z))
    np.testing.assert_array_equal(inputs.astype(np.float32), encoding(Z))


@pytest.mark.few(2)
@pytest.mark.parametrize("kind", TARGETS)
def test_behind_other_operators_as_in_the_pipeline_of_a_table(kind):
    rng = np.random.default_rng(0)
    X = numbers(rng)[:, :4]
    model = fitted(X, target(kind, X[:, 0], rng))
    graph = Graph(np.dtype("float64"), OPSET)
    columns = [(graph.reserve(name), "float64", (2,)) for name in ("left", "right")]
    x = graph.node("Concat", "left", "right", axis=1)
    p = tabular.add_ensemble(graph, model.ensemble_, [(x, "float64", (4,))])
    outputs = add_outputs(graph, model.members_[0], model, None, p)
    running = session(assemble(onnx, graph, columns, outputs, describe(model.members_[0], model), ""))
    Z = odd(X, rng)
    agree(model, running.run(None, {"left": Z[:, :2], "right": Z[:, 2:]}), Z)


def test_float32_for_runtimes_without_float64_outside():
    rng = np.random.default_rng(0)
    frame = mixed(rng)
    model = fitted(frame, target("classes", frame["size"].fill_null(0.0).to_numpy(), rng))
    running = session(model, dtype="float32")
    assert {entry.type for entry in running.get_inputs()} == {"tensor(float)", "tensor(string)"}
    given = feeds(
        {name: frame[name].to_list() for name in frame.columns}, running, {"city": "(missing)", "code": "((missing))"}
    )
    given = {name: x.astype(np.float32) if x.dtype == np.float64 else x for name, x in given.items()}
    label, p = running.run(None, given)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, model.predict_proba(frame), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(label, model.predict(frame))


def test_categories_that_are_numbers():
    """They are numbers in ONNX too; with text among them, or where float64 would mix them up, they are text."""
    rng = np.random.default_rng(0)
    size, y = rng.normal(size=ROWS), rng.normal(size=ROWS)
    for some, kind in (
        (np.array([1, True, 2.5, None], object), "tensor(double)"),
        (np.array([1, "a", 2.5, None], object), "tensor(string)"),
    ):
        code = rng.choice(some, ROWS)
        frame = pandas().DataFrame({"size": size, "code": pandas().Series(code, dtype=object)})
        model = fitted(frame, y, categorical_features=["code"])
        running = session(model)
        if kind == "tensor(double)":
            given = {"X": np.array([size, [np.nan if v is None else float(v) for v in code]]).T}
        else:
            given = feeds({"size": size, "code": code}, running, {})
        assert running.get_inputs()[-1].type == kind
        agree(model, running.run(None, given), frame)


def test_categories_that_float64_would_mix_up_are_text():
    rng = np.random.default_rng(0)
    X = np.stack([rng.integers(0, 50, ROWS), 2**53 + rng.integers(1, 4, ROWS)], axis=1)
    model = fitted(X, X[:, 0] + 10.0 * (X[:, 1] == 2**53 + 1), categorical_features=[1])
    running = session(model)
    assert [(e.name, e.type) for e in running.get_inputs()] == [("x0", "tensor(double)"), ("x1", "tensor(string)")]
    given = feeds({"x0": X[:, 0], "x1": X[:, 1]}, running, {})
    assert set(given["x1"].ravel()) == {"9007199254740993", "9007199254740994", "9007199254740995"}
    agree(model, running.run(None, given), X)


def test_types_of_pandas():
    rng = np.random.default_rng(0)
    words = pandas().Series(rng.choice(["a", "b", "c"], ROWS))
    frame = pandas().DataFrame({
        "text": words, "kind": words.where(words != "c").astype("category"),
        "steps": pandas().Series(rng.choice([3, 4, 9], ROWS)).astype("category"),
        "whole": pandas().array(rng.integers(0, 90, ROWS), "Int64"), "known": rng.choice([True, False], ROWS),
    })  # fmt: skip
    frame.loc[::7, "whole"] = None
    model = fitted(frame, rng.normal(size=ROWS))
    running = session(model)
    double, text = "tensor(double)", "tensor(string)"
    assert [entry.type for entry in running.get_inputs()] == [text, text, double, double, double]
    given = feeds({name: [None if pandas().isna(v) else v for v in frame[name]] for name in frame}, running, {})
    agree(model, running.run(None, given), frame)


def test_a_number_and_a_text_that_look_alike_are_refused():
    rng = np.random.default_rng(0)
    X = np.array([[1], ["1"], ["a"]] * 20, dtype=object)
    with pytest.raises(ValueError, match="both the text '1' in ONNX: convert the column to texts, and fit again"):
        cr.onnx.convert(fitted(X, rng.normal(size=60)))


def test_texts_that_are_all_different_are_texts():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"size": rng.normal(size=ROWS), "name": [f"person {i}" for i in range(ROWS)]})
    model = fitted(frame, frame["size"].to_numpy())
    running = session(model)
    assert [entry.type for entry in running.get_inputs()] == ["tensor(double)", "tensor(string)"]
    agree(model, running.run(None, feeds({name: frame[name] for name in frame.columns}, running, {})), frame)


def test_names_and_metadata(tmp_path):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"label": rng.choice(["a", "b", "c"], ROWS), "": rng.normal(size=ROWS), "encoding.Sub": rng.normal(size=ROWS)}
    )
    model = fitted(frame, np.where(frame["label"] == "a", "x", "y"))
    cr.onnx.save(model, tmp_path / "model.onnx", {"who": "me"})
    running = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [entry.name for entry in running.get_inputs()] == ["label", "x1", "encoding.Sub"]
    assert [(e.name, e.shape) for e in running.get_outputs()] == [
        ("label_", ["batch"]),
        ("probabilities", ["batch", 2]),
    ]
    known = running.get_modelmeta().custom_metadata_map
    assert known == {
        "classes": '["x", "y"]', "feature_names": json.dumps(frame.columns), "loss": repr(model.members_[0].loss), "who": "me",
    }  # fmt: skip
    given = feeds({name: frame[name].to_list() for name in frame.columns}, running, {})
    agree(model, running.run(None, given), frame)
    for rows in (0, 1):
        label, p = running.run(None, {name: x[:rows] for name, x in given.items()})
        assert label.shape == (rows,)
        assert p.shape == (rows, 2)


def test_a_saved_and_loaded_model_gives_the_same_file(tmp_path):
    rng = np.random.default_rng(0)
    frame = mixed(rng)
    model = fitted(frame, target("labels", frame["size"].fill_null(0.0).to_numpy(), rng))
    cr.save(model, tmp_path / "model.safetensors")
    loaded = cr.TabularClassifier.load(tmp_path / "model.safetensors")
    assert cr.onnx.convert(loaded) == cr.onnx.convert(model)


@pytest.mark.slow
def test_few_operators_and_little_beside_the_weights():
    """The columns are encoded once, with as many operators for a hundred columns as for three."""
    rng = np.random.default_rng(0)
    sizes = []
    for columns in (3, 100):
        X = rng.normal(size=(ROWS, columns))
        X[0] = np.nan
        model = fitted(X, np.nan_to_num(X[:, 0]), n_estimators=10)
        made = cr.onnx.convert(model)
        sizes.append([node.op_type for node in made.graph.node])
        weights = sum(network.theta.nbytes for network in model.members_)
    assert sizes[0] == sizes[1]
    assert len(sizes[0]) < 80
    assert len(made.SerializeToString()) < 1.3 * weights


class TestPipelines:
    """Through skl2onnx, where the input is a matrix."""

    @pytest.fixture(autouse=True)
    def _registered(self):
        cr.onnx.register_skl2onnx()

    @staticmethod
    def run(model, x, **options):
        last = model[-1] if hasattr(model, "steps") else model
        made = importlib.import_module("skl2onnx").to_onnx(
            model, x[:1], options={id(last): options} if options else None
        )
        return session(made).run(None, {"X": x})

    @pytest.mark.few(2)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("kind", TARGETS)
    def test_alone_and_as_the_last_step(self, kind, dtype):
        rng = np.random.default_rng(0)
        X = numbers(rng).astype(dtype)
        y = target(kind, X[:, 0], rng)
        options = {} if kind in ("number", "numbers") else {"zipmap": False}
        alone = fitted(X, y, categorical_features=NUMERIC)
        piped = make_pipeline(StandardScaler(), fitted(StandardScaler().fit_transform(X[:, :4]), y))
        piped.steps[0][1].fit(X[:, :4])
        for model, x in ((alone, X), (piped, X[:, :4])):
            found = self.run(model, x, **options)
            if options:
                np.testing.assert_allclose(found[1], model.predict_proba(x), rtol=0, atol=1e-5)
                np.testing.assert_array_equal(found[0], model.predict(x))
                assert found[1].dtype == dtype
            else:
                expected = model.predict(x)
                np.testing.assert_allclose(found[0].reshape(expected.shape), expected, rtol=1e-6, atol=1e-5)

    def test_inside_of_others(self):
        rng = np.random.default_rng(0)
        X = numbers(rng)[:, [0, 2, 3]]
        within = cr.TabularClassifier(linear=False, **QUICK), cr.TabularRegressor(linear=False, **QUICK)
        labels, y = target("classes", X[:, 0], rng), np.exp(X[:, 0])
        calibrated = CalibratedClassifierCV(within[0], method="sigmoid", cv=2).fit(X, labels)
        label, p = self.run(calibrated, X, zipmap=False)
        np.testing.assert_allclose(p, calibrated.predict_proba(X), rtol=0, atol=1e-5)
        np.testing.assert_array_equal(label, calibrated.predict(X))
        logarithm = TransformedTargetRegressor(within[1], func=np.log, inverse_func=np.exp).fit(X, y)
        np.testing.assert_allclose(self.run(logarithm, X)[0].ravel(), logarithm.predict(X), rtol=1e-5)

    def test_labels_are_numbered_and_named(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(ROWS, 2)).astype(np.float32)
        model = fitted(x, target("classes", x[:, 0], rng))
        label, _ = self.run(model, x, nocl=True, zipmap=False)
        np.testing.assert_array_equal(model.classes_[label], model.predict(x))
        mapped = self.run(model, x)[1]
        np.testing.assert_allclose([row["bad"] for row in mapped], model.predict_proba(x)[:, 0], atol=1e-5)
        with pytest.raises(ValueError, match="an ensemble averages probabilities and has no logits"):
            self.run(model, x, logits=True, zipmap=False)

    def test_text_is_refused_with_the_remedy(self):
        rng = np.random.default_rng(0)
        X = np.array([["a", 1.0], ["b", 2.0], ["c", 3.0]] * 10, object)
        model = fitted(X, rng.normal(size=30))
        with pytest.raises(ValueError, match=r"column 0 has text, such as 'a'.*with chainrule\.onnx\.save"):
            self.run(model, np.zeros((1, 2), np.float32))


def test_not_fitted_and_wrong_types():
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415

    with pytest.raises(NotFittedError):
        cr.onnx.convert(cr.TabularRegressor())
    X = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(ValueError, match="dtype: expected 'float32' or 'float64', got 'int8'"):
        cr.onnx.convert(fitted(X, X[:, 0]), dtype="int8")
    with pytest.raises(ValueError, match="opset: expected 13"):
        cr.onnx.convert(fitted(X, X[:, 0]), opset=12)


@pytest.mark.few(1)
@pytest.mark.parametrize("text", [False, True])
def test_the_command_exports_a_saved_ensemble(text, tmp_path):
    rng = np.random.default_rng(0)
    X = numbers(rng).astype(object)[:, :3]
    X[:, 2] = rng.choice(["a", "b", "c"], len(X)) if text else X[:, 2]
    cr.save(fitted(X, target("two classes", rng.normal(size=len(X)), rng)), tmp_path / "model.safetensors")
    files = [str(tmp_path / name) for name in ("model.safetensors", "model.onnx")]
    result = CliRunner().invoke(app, ["export", files[0], "--onnx", files[1]])
    assert result.exit_code == 0, result.output
    said = "3 columns, .* not compared: it has columns of text" if text else r"on 256 random rows: \d.\de-0[789]\."
    assert re.search(said, result.output), result.output
