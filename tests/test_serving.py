"""chainrule.load: what was saved predicts the same with NumPy alone."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import chainrule as cr
from chainrule.files.networks import ModelFileError, read_metadata

FILES = Path(__file__).parent / "files"
STORED = sorted(FILES.glob("*/*.safetensors"))
SEVERAL = FILES / "several-networks"
X = np.random.default_rng(0).normal(size=(60, 3))
WORDS = np.array(["ant", "bee", "cat"])[X.argmax(axis=1)]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("file", STORED, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_files_of_every_version_predict_what_they_did(file):
    """To the last digits only: another machine may have another BLAS."""
    expected = np.load(file.parent / "expected.npz", allow_pickle=False)
    loaders = [cr.load]
    if "classifier" in file.stem and file.parent != SEVERAL:
        loaders.append(cr.MLPClassifier.load)
    if "regressor" in file.stem and file.parent != SEVERAL:
        loaders.append(cr.MLPRegressor.load)
    for load in loaders:
        model = load(file)
        dtype = getattr(model, "network_", getattr(model, "network", model)).dtype
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        for method in ("predict", "predict_proba"):
            key = f"{file.stem}.{method}"
            if key not in expected:
                continue
            got, wanted = getattr(model, method)(expected["X"]), expected[key]
            assert got.dtype == wanted.dtype
            if got.dtype.kind == "f":
                np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
            else:
                np.testing.assert_array_equal(got, wanted)


def test_several_networks_of_an_earlier_estimator_predict_only():
    with pytest.raises(cr.ModelFileError, match=r"has 3 networks, and MLPClassifier has one\. .* use chainrule\.load"):
        cr.MLPClassifier.load(SEVERAL / "classifier.safetensors")


def test_every_kind_is_among_the_stored_files():
    kinds = {type(cr.load(file)).__name__ for file in STORED}
    assert kinds == {"Network", "Classifier", "Regressor"}
    assert read_metadata(FILES / "format-1" / "network-float32.safetensors") == {"made by": "the first format"}
    assert read_metadata(FILES / "0.1.0" / "regressor.safetensors") == {"made by": "chainrule 0.1.0"}


@pytest.mark.parametrize(
    "y",
    [
        WORDS,
        np.array(["no", "yes"], dtype=object)[(X[:, 0] > 0).astype(int)],
        X[:, 0] > 0,
        np.where(X[:, 0] > 0, 7, -3).astype("int16"),
        X.argmax(axis=1).astype("float64"),
        np.zeros(60, int),
        (X > 0).astype(int),
        sp.csr_matrix((X > 0).astype(int)),
    ],
    ids=["words", "two words", "booleans", "two numbers", "floats", "one class", "multilabel", "sparse multilabel"],
)
def test_the_same_labels_and_probabilities_to_the_bit(path, y):
    model = cr.MLPClassifier((4,), max_iter=3, random_state=0).fit(X, y)
    cr.save(model, path)
    served = cr.load(path)
    labels = model.predict(X)
    labels = labels.toarray() if sp.issparse(labels) else labels
    for rows in (X, X.astype("float32"), X.tolist(), sp.csr_array(X), pd.DataFrame(X), (10 * X).astype(int)):
        np.testing.assert_array_equal(served.predict_proba(rows), model.predict_proba(rows))
    np.testing.assert_array_equal(served.predict(X), labels)
    assert served.predict(X).dtype == labels.dtype
    np.testing.assert_array_equal(served.classes_, model.classes_)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_the_same_numbers_to_the_bit(path, loss, outputs):
    y = np.abs(X[:, :outputs])
    model = cr.MLPRegressor(loss, (4,), max_iter=3, random_state=0).fit(X, y.ravel() if outputs == 1 else y)
    cr.save(model, path)
    np.testing.assert_array_equal(cr.load(path).predict(X), model.predict(X))
    assert repr(cr.load(path)) == f"Regressor(3 columns, {'1 output' if outputs == 1 else '2 outputs'})"


def test_threads_may_share_a_model():
    model = cr.load(FILES / "0.1.0" / "classifier-words.safetensors")
    rows = np.random.default_rng(0).normal(size=(64, 50, 4))
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(model.predict_proba, rows))
    for p, x in zip(together, rows, strict=True):
        np.testing.assert_array_equal(p, model.predict_proba(x))


# ---------------------------------------------------------------- what is not as it should be


@pytest.fixture
def served(path):
    frame = pd.DataFrame(X, columns=["length", "width", "height"])
    cr.save(cr.MLPClassifier((4,), max_iter=3, random_state=0).fit(frame, WORDS), path)
    return cr.load(path)


def test_columns_are_compared_by_name(served):
    frame = pd.DataFrame(X, columns=["length", "width", "height"])
    assert list(served.feature_names_in_) == ["length", "width", "height"]
    assert served.n_features_in_ == 3
    np.testing.assert_array_equal(served.predict(frame), served.predict(X))
    np.testing.assert_array_equal(served.predict(frame.astype(object)), served.predict(X))
    with pytest.raises(ValueError, match=r"X: expected the 3 columns used in fit; they are in a different order"):
        served.predict(frame[["width", "length", "height"]])
    with pytest.raises(ValueError, match=r"missing: \['height'\]; unknown: \['depth'\]"):
        served.predict(frame.rename(columns={"height": "depth"}))


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (X[:, :2], ValueError, "X: expected 3 features, got 2"),
        (X[0], ValueError, "One sample"),
        (np.zeros((0, 3)), ValueError, "at least one row"),
        (np.full((2, 3), np.nan), ValueError, "expected finite numbers, got nan in row 0, column 0"),
        ([["a", "b", "c"]], TypeError, "X: expected numbers"),
        (np.array([["a", 1, 2.0]], dtype=object), ValueError, "X: expected numbers, got an array of objects"),
        (np.array([[{}, 1, 2.0]], dtype=object), ValueError, "X: expected numbers, got an array of objects"),
    ],
)
def test_rows_that_do_not_fit(served, rows, error, message):
    with pytest.raises(error, match=message):
        served.predict(rows)
    with pytest.raises(error, match=message):
        served.predict_proba(rows)


def test_a_model_of_another_kind_says_what_reads_it(path, tmp_path):
    cr.save(cr.MLPClassifier((4,), max_iter=3).fit(X, WORDS), path)
    with pytest.raises(
        ModelFileError,
        match=r"a fitted MLPRegressor saved by chainrule was expected, but it holds a classifier: .*MLPCl",
    ):
        cr.MLPRegressor.load(path)
    with pytest.raises(
        ModelFileError, match=r"a network saved by chainrule was expected, but it holds a classifier: .*load"
    ):
        cr.files.networks.load(path)
    network = cr.Network(3, [cr.layers.Dense(3)], "softmax_cross_entropy", seed=0)
    cr.save(network, tmp_path / "network.safetensors")
    with pytest.raises(ModelFileError, match=r"but it holds a network: chainrule.load reads it"):
        cr.MLPClassifier.load(tmp_path / "network.safetensors")
    assert isinstance(cr.load(tmp_path / "network.safetensors"), cr.Network)


def test_loading_and_predicting_need_neither_scikit_learn_nor_safetensors():
    code = (
        "import sys, numpy as np, chainrule as cr; before = set(sys.modules)\n"
        f"for file in {[str(file) for file in STORED]}: cr.load(file).predict(np.ones((300, 4)))\n"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(result.stdout.split()) <= {"chainrule", "numpy", "threadpoolctl"}
