"""Ensembles for tables in files: the same predictions to the bit, with NumPy alone, and no damage goes unnoticed."""

import json
import struct
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.base import clone

import chainrule as cr
from chainrule.estimators.advice import LeftOutWarning
from chainrule.files.container import KEY
from chainrule.files.networks import ModelFileError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(
    word=RNG.choice(["u", "Zürich", "w"], 60), two=RNG.choice(["x", "y"], 60), code=RNG.integers(0, 4, 60)
)
FRAME.loc[[1, 7], "a"] = np.nan
FRAME.loc[[2, 9], "word"] = None
LABELS = np.array(["ant", "bee", "cat"])[X.argmax(axis=1)]
SMALL = {
    "n_estimators": 5,
    "hidden_layer_sizes": (4,),
    "max_iter": 3,
    "random_state": 0,
    "categorical_features": ["code"],
}
MODELS = {
    "classes": lambda: cr.TabularClassifier(**SMALL, linear=True, class_weight={"ant": 2.0}).fit(FRAME, LABELS),
    "two classes": lambda: cr.TabularClassifier(**SMALL, linear=False).fit(FRAME, X[:, 0] > 0),
    "labels": lambda: cr.TabularClassifier(**SMALL).fit(FRAME, (X[:, :2] > 0).astype(int)),
    "number": lambda: cr.TabularRegressor(**SMALL, linear=True).fit(FRAME, X[:, 0] * 3 + X[:, 1]),
    "numbers": lambda: cr.TabularRegressor(**SMALL, linear=False).fit(FRAME, X[:, :2]),
}
every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def models():
    return {name: make() for name, make in MODELS.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def outputs(model, rows):
    return model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)


@pytest.mark.few(1)
@every_model
def test_predictions_are_the_same_to_the_bit(models, name, path):
    model = models[name]
    cr.save(model, path)
    served, loaded = cr.load(path), type(model).load(path)
    objects = FRAME.astype(object).where(FRAME.notna(), None)
    unseen = FRAME.assign(word="never", two=None, a=np.inf)
    for rows in (
        FRAME,
        pl.from_pandas(FRAME),
        objects,
        objects.to_numpy(),
        objects.to_numpy().tolist(),
        FRAME[:1],
        unseen,
    ):
        expected = outputs(model, FRAME if not isinstance(rows, pd.DataFrame) else rows)
        np.testing.assert_array_equal(outputs(served, rows), expected)
        if hasattr(rows, "columns"):
            np.testing.assert_array_equal(outputs(loaded, rows), expected)
    np.testing.assert_array_equal(served.predict(FRAME), model.predict(FRAME))
    assert served.predict(FRAME).dtype == model.predict(FRAME).dtype
    assert served.n_features_in_ == 6
    assert served.feature_names_in_.tolist() == list(FRAME.columns)
    if name.startswith("number"):
        for ours, theirs in zip(served.predict_interval(FRAME, 0.8), model.predict_interval(FRAME, 0.8), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.few(1)
@every_model
def test_everything_that_fit_left_comes_back(models, name, path):
    model = models[name]
    cr.save(model, path, {"made by": "a test"})
    loaded = type(model).load(path)
    assert repr(loaded.get_params()) == repr(model.get_params())
    assert vars(model).keys() - vars(loaded).keys() == {"oof_predictions_"}
    assert vars(loaded).keys() <= vars(model).keys()
    assert loaded.history_.to_dict() == model.history_.to_dict()
    for attribute in ("temperature_", "linear_share_", "n_iter_", "best_iter_", "n_features_in_"):
        assert getattr(loaded, attribute, None) == getattr(model, attribute, None)
    assert loaded.ensemble_.encoding.levels == model.ensemble_.encoding.levels
    cr.save(loaded, path, {"made by": "a test"}, overwrite=True)
    np.testing.assert_array_equal(outputs(type(model).load(path), FRAME), outputs(model, FRAME))
    y = {"classes": LABELS, "two classes": X[:, 0] > 0, "labels": (X[:, :2] > 0).astype(int)}.get(name, X[:, 0])
    np.testing.assert_array_equal(
        outputs(clone(loaded).fit(FRAME, y), FRAME), outputs(clone(model).fit(FRAME, y), FRAME)
    )


def test_folded_networks_predict_nearly_the_same(models, path):
    cr.save(models["number"], path, folded=True)
    np.testing.assert_allclose(cr.load(path).predict(FRAME), models["number"].predict(FRAME), rtol=1e-4, atol=1e-5)


def test_the_same_model_gives_the_same_bytes(models, path, tmp_path):
    cr.save(models["classes"], path)
    cr.save(models["classes"], tmp_path / "other")
    assert path.read_bytes() == (tmp_path / "other").read_bytes()


def test_it_predicts_without_scikit_learn(models, path):
    cr.save(models["classes"], path)
    rows = FRAME.astype(object).where(FRAME.notna(), None).to_numpy().tolist()
    code = (
        "import sys, json, numpy as np, chainrule as cr; before = set(sys.modules)\n"
        "model = cr.load(sys.argv[1]); p = model.predict_proba(json.loads(sys.argv[2]))\n"
        "print(p.tobytes().hex())\n"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    command = [sys.executable, "-c", code, str(path), json.dumps(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    numbers, loaded = done.stdout.splitlines()
    assert numbers == models["classes"].predict_proba(FRAME).tobytes().hex()
    of_numpy_random = {name for name in loaded.split() if "cython" in name}
    assert set(loaded.split()) - of_numpy_random <= {"chainrule", "numpy", "threadpoolctl"}


def test_a_model_of_another_kind_says_what_reads_it(models, path):
    cr.save(models["classes"], path)
    with pytest.raises(ModelFileError, match=r"it holds a classifier: chainrule\.TabularClassifier\.load reads it"):
        cr.TabularRegressor.load(path)
    with pytest.raises(ModelFileError, match=r"it holds a classifier: chainrule\.TabularClassifier\.load reads it"):
        cr.MLPClassifier.load(path)
    assert repr(cr.load(path)) == "Classifier(6 columns, 3 classes: 'ant', 'bee', 'cat')"
    cr.save(models["numbers"], path, overwrite=True)
    assert repr(cr.load(path)) == "Regressor(6 columns, 2 outputs)"
    with pytest.raises(ValueError, match=r"expected the 6 columns used in fit; missing: \['two'\]"):
        cr.load(path).predict(FRAME.drop(columns="two"))
    with pytest.raises(ValueError, match="expected 6 columns, got 3"):
        cr.load(path).predict(X)


@pytest.mark.slow
def test_what_a_file_cannot_hold_is_said(path):
    model = cr.TabularRegressor(**SMALL, progress=lambda _: None).fit(FRAME, X[:, 0])
    with pytest.warns(LeftOutWarning, match="a file cannot hold progress="):
        cr.save(model, path)
    dates = np.where(X[:, 0] > 0, np.datetime64("2020-01-01"), np.datetime64("2021-01-01"))
    with pytest.raises(ValueError, match="a file cannot hold classes of dtype datetime64"):
        cr.save(cr.TabularClassifier(**SMALL).fit(FRAME, dates), path, overwrite=True)
    half = cr.TabularRegressor(**SMALL).fit(
        FRAME.assign(word=pd.Series(["\ud800", "b", "c"] * 20, dtype=object)), X[:, 0]
    )
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        cr.save(half, path, overwrite=True)
    with pytest.raises(ValueError, match="not fitted"):
        cr.save(cr.TabularRegressor(), path, overwrite=True)


def test_a_file_does_not_say_where_the_next_fit_writes(models, path, tmp_path):
    model = cr.TabularRegressor(**SMALL, checkpoint=str(tmp_path / "run")).fit(FRAME, X[:, 0])
    cr.save(model, path)
    assert str(tmp_path) not in path.read_bytes().decode(errors="replace")
    describe(models["number"], path, lambda e: e["parameters"].update(checkpoint="/somewhere"))
    assert cr.TabularRegressor.load(path).checkpoint is None


# ---------------------------------------------------------------- damage


def parts(path):
    content = path.read_bytes()
    [length] = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"][KEY]), content[8 + length :]


def write(path, header, description, data):
    header["__metadata__"][KEY] = json.dumps(description)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def refused(path, model, match="."):
    for load in (cr.load, *([] if model is None else [type(model).load])):
        with pytest.raises(ModelFileError, match=match):
            load(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["classes", "numbers"])
def test_every_array_is_checked(models, name, path):
    """Without it, with another shape, with another type, and not finite: each is refused."""
    model = models[name]
    cr.save(model, path)
    arrays, metadata = load_file(path), {KEY: json.dumps(parts(path)[1])}
    assert len(arrays) >= 6 + 4 + 5 * 5
    for key, array in arrays.items():
        if key.startswith(("members.1", "members.2", "members.3")):
            continue  # as the first and the last
        changes = [array[np.newaxis], array.astype("f4" if array.dtype == "f8" else "f8")]
        if key != "errors":  # of which there may be any number
            changes += [np.concatenate([array, array[-1:]])] * bool(array.size)
        if array.dtype.kind == "f" and array.size:
            changes += [np.full_like(array, np.nan)]
        save_file({k: v for k, v in arrays.items() if k != key}, path, metadata)
        refused(path, None)
        for changed in changes:
            save_file({**arrays, key: changed}, path, metadata)
            refused(path, None)
    save_file({**arrays, "more": np.zeros(2)}, path, metadata)
    refused(path, None, "more")


@every_model
def test_truncations_are_refused(models, name, path):
    cr.save(models[name], path)
    content = path.read_bytes()
    for at in [0, 7, 8, 100, *np.random.default_rng(0).integers(0, len(content), 20).tolist(), len(content) - 1]:
        path.write_bytes(content[:at])
        refused(path, models[name])


STRANGE = [None, True, -1, 10**30, 1.5, "x", [], {}, [None], ["x"], [[]], [{}], {"x": 1}]


@every_model
@pytest.mark.slow
def test_every_field_is_checked(models, name, path):
    """Any other value of any field is refused, or is another value of the same kind that changes no prediction."""
    model = models[name]
    cr.save(model, path)
    header, description, data = parts(path)
    expected = outputs(model, FRAME)
    fields = description["estimator"]
    harmless = {"parameters", "stopped", "columns", "feature_names"}
    changes = [(field, value) for field in fields for value in STRANGE if fields[field] != value]
    for field, value in changes:
        write(path, header, {**description, "estimator": {**fields, field: value}}, data)
        try:
            loaded = cr.load(path)
        except ModelFileError:
            continue
        assert field in harmless, (field, value)
        rows = FRAME if loaded.__dict__.get("feature_names_in_") is not None else FRAME.to_numpy()
        np.testing.assert_array_equal(outputs(loaded, rows), expected)
    for field in fields:
        write(path, header, {**description, "estimator": {k: v for k, v in fields.items() if k != field}}, data)
        refused(path, model, "missing or unknown fields")
    write(path, header, {**description, "estimator": {**fields, "more": 1}}, data)
    refused(path, model, "missing or unknown fields: more")


def describe(model, path, change):
    cr.save(model, path, overwrite=True)
    header, description, data = parts(path)
    change(description["estimator"])
    write(path, header, description, data)


@pytest.mark.few(8)
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("classes", lambda e: e["levels"].append(None), "inconsistent"),
        ("classes", lambda e: e["levels"].pop(), "inconsistent|column names"),
        ("classes", lambda e: e["levels"][3].append("u"), "the levels cannot be read"),
        ("classes", lambda e: e["levels"][3].append([1]), "the levels cannot be read"),
        ("classes", lambda e: e["levels"][3].append("\ud800"), "."),
        ("classes", lambda e: e["levels"].insert(0, e["levels"].pop()), "inconsistent"),
        ("classes", lambda e: e["labels"].update(target="binary"), "do not fit|labels of this kind"),
        ("two classes", lambda e: e["labels"].update(target="binary"), "labels of this kind"),
        ("classes", lambda e: e["labels"]["classes"].pop(), "do not fit"),
        ("classes", lambda e: e["labels"].update(classes=["ant", "ant", "cat"]), "do not fit"),
        ("classes", lambda e: e["members"].pop(), "not expected"),
        ("classes", lambda e: e["members"].append(e["members"][0]), "."),
        ("classes", lambda e: e["attributes"].update(temperature_=-1.0), "temperature_"),
        ("classes", lambda e: e["attributes"].update(n_iter_=3.5), "n_iter_"),
        ("classes", lambda e: e["attributes"].pop("best_iter_"), "lack best_iter_"),
        ("classes", lambda e: e["attributes"].update(__class__=1.0), "__class__"),
        ("classes", lambda e: e.update(share=1.5), "share"),
        ("classes", lambda e: e.update(share=None), "linear.W"),
        ("numbers", lambda e: e.update(share=0.5), "linear.W"),
        ("number", lambda e: e.update(labels={}), "labels of a TabularRegressor"),
        ("classes", lambda e: e.update(labels=None), "labels of a TabularClassifier"),
        ("classes", lambda e: e.update(columns=["epoch"]), "not expected"),
        ("classes", lambda e: e.update(feature_names=["a"] * 5), "5 column names do not fit a table with 6"),
        ("classes", lambda e: e.update(feature_names=["\ud800"] * 6), "names of the columns cannot be read"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(models, path, name, change, message):
    describe(models[name], path, change)
    refused(path, models[name], message)


def test_parameters_that_the_class_does_not_have_are_refused_by_its_load(models, path):
    describe(models["classes"], path, lambda e: e["parameters"].update(more=1))
    with pytest.raises(ModelFileError, match=r"has no parameter.*more"):
        cr.TabularClassifier.load(path)
    describe(models["classes"], path, lambda e: e["parameters"].update(n_estimators=-1))
    with pytest.raises(ModelFileError, match="the parameters cannot be read"):
        cr.TabularClassifier.load(path)


def arranged(model, path, key, change):
    cr.save(model, path, overwrite=True)
    header, description, data = parts(path)
    begin, end = header[key]["data_offsets"]
    kind = {"F64": "<f8", "I64": "<i8"}[header[key]["dtype"]]
    values = np.frombuffer(data[begin:end], kind).reshape(header[key]["shape"]).copy()
    change(values)
    write(path, header, description, data[:begin] + values.tobytes() + data[end:])


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("encoding.spread", lambda a: a.__setitem__(0, -1.0), "inconsistent"),
        ("encoding.missing", lambda a: a.__setitem__(0, 99), "inconsistent"),
        ("encoding.missing", lambda a: a.__setitem__(0, -1), "inconsistent"),
        ("encoding.encoded", lambda a: a.__setitem__(0, 2**62), "inconsistent"),
        ("encoding.encoded", lambda a: a.__setitem__(slice(2), [1, 0]), "inconsistent"),
        ("encoding.lengths", lambda a: a.__setitem__(0, -5), "inconsistent"),
        ("encoding.lengths", lambda a: a.__setitem__(0, 2**63 - 1), "inconsistent"),
        ("encoding.quantiles", lambda a: a.__setitem__(1, a[0]), "inconsistent"),
        ("scale", lambda a: a.fill(0), "scale is not positive"),
        ("low", lambda a: a.fill(1e9), "range is empty"),
        ("errors", lambda a: a.__setitem__(0, 1e9), "not sorted"),
        ("errors", lambda a: a.fill(-1.0), "not sorted"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(models, path, key, change, message):
    arranged(models["number"], path, key, change)
    refused(path, models["number"], message)


@pytest.mark.slow
def test_single_bits_of_the_header_are_noticed_or_harmless(models, path):
    """A flipped bit gives a ModelFileError, or a model that predicts: never another error."""
    cr.save(models["number"], path)
    content = path.read_bytes()
    [length] = struct.unpack("<Q", content[:8])
    for at in np.random.default_rng(0).integers(0, 8 + length, 300).tolist():
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << (at % 7))]) + content[at + 1 :])
        try:
            loaded = cr.load(path)
        except ModelFileError:
            continue
        rows = FRAME.to_numpy()
        assert loaded.predict(rows).shape == (60,)
