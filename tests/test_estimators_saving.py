"""Estimators in files: what comes back scores, is cloned, and is fitted further as before."""

import json
import struct
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import chainrule as cr
from chainrule.estimators.advice import LeftOutWarning
from chainrule.files.networks import ModelFileError
from chainrule.layers import Dense
from chainrule.training.history import History

X = np.random.default_rng(0).normal(size=(60, 3))
WORDS = np.array(["ant", "bee", "cat"])[X.argmax(axis=1)]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def there_and_back(model, path):
    cr.save(model, path, overwrite=True)
    return type(model).load(path)


MODELS = {
    "adam": cr.MLPClassifier((4,), max_iter=3).fit,
    "all options": cr.MLPClassifier(
        [4, 5],
        ["relu", "tanh"],
        solver=cr.optimizers.Adagrad(0.1),
        learning_rate=cr.schedules.WarmUp(2, then=cr.schedules.Cosine()),
        callbacks=[cr.EarlyStopping("loss", patience=2), cr.Progress(every=1000)],
        class_weight={"ant": 1, "bee": 2.5, "cat": 1},
        n_iter_no_change=np.inf,
        alpha=np.float64(0.25),
        dropout=(0.1, 0.2),
        max_iter=3,
        random_state=np.int64(3),
        dtype="float32",
    ).fit,
    "normalised": cr.MLPClassifier((4,), max_iter=3, batch_norm=True).fit,
    "early stopping": cr.MLPClassifier((4,), max_iter=5, early_stopping=True).fit,
    "lbfgs": cr.MLPClassifier((4,), solver="lbfgs", max_iter=3).fit,
    "no hidden layer": cr.MLPClassifier((), max_iter=3).fit,
    "numbers": lambda X, y: cr.MLPRegressor("quantile", (4,), max_iter=3, quantile=0.9).fit(X, X[:, 0]),
    "own loss object": lambda X, y: cr.MLPRegressor(cr.losses.Huber(0.3), (4,), max_iter=3).fit(X, X[:, :2]),
    "several labels": lambda X, y: cr.MLPClassifier((4,), max_iter=3).fit(X, sp.csr_matrix((X > 0).astype(int))),
    "partial": lambda X, y: cr.MLPClassifier((4,)).partial_fit(X, y, classes=["ant", "bee", "cat", "dog"]),
    "from scikit-learn": lambda X, y: cr.MLPClassifier.from_sklearn(
        sklearn.neural_network.MLPClassifier((4,), max_iter=3).fit(X, y)
    ),
    "from a network": lambda X, y: cr.MLPClassifier.from_network(
        cr.Network(3, [cr.layers.Dense(3)], "softmax_cross_entropy", seed=0), ["ant", "bee", "cat"]
    ),
}


def comparable(value):
    if isinstance(value, History):
        return value.to_dict(), value.stopped
    if isinstance(value, list | np.floating):
        return np.asarray(value).tolist()
    if isinstance(value, np.ndarray):
        return value.dtype, value.tolist()
    return sorted(vars(value).items()) if hasattr(value, "sparse_input_") else value


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_everything_that_fit_left_comes_back(path, name):
    model = MODELS[name](X, WORDS)
    loaded = there_and_back(model, path)
    assert type(loaded) is type(model)
    plain = {k: getattr(v, "item", lambda v=v: v)() for k, v in model.get_params().items()}  # numbers of Python
    assert repr(loaded.get_params()) == repr(plain)
    special = {"network_", "_record", *model.get_params()}
    assert vars(loaded).keys() == vars(model).keys()
    for attribute in vars(model).keys() - special:
        ours, theirs = (comparable(getattr(m, attribute)) for m in (loaded, model))
        assert repr(ours) == repr(theirs), attribute  # nan is nan
    np.testing.assert_array_equal(loaded.network_.theta, model.network_.theta)
    assert repr(loaded.network_) == repr(model.network_)
    assert repr(clone(loaded).get_params()) == repr(plain)


@pytest.mark.slow
def test_what_comes_back_scores_and_is_fitted_further(path):
    y = X[:, 0] * X[:, 1]
    for model, targets in (
        (cr.MLPClassifier((8,), max_iter=60, learning_rate_init=0.02, random_state=0), WORDS),
        (cr.MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, learning_rate_init=0.02, random_state=0), y),
    ):
        model.fit(X, targets)
        loaded = there_and_back(model, path)
        before = loaded.score(X, targets)
        assert before == model.score(X, targets)
        for _ in range(40):
            loaded.partial_fit(X, targets)
        assert loaded.score(X, targets) > before
        assert len(loaded.loss_curve_) == len(model.loss_curve_) + 40
        assert loaded.t_ == model.t_ + 40 * len(X)
        warm = there_and_back(model, path).set_params(warm_start=True, max_iter=3).fit(X, targets)
        assert warm.loss_curve_[60] < model.loss_curve_[0] / 2  # it did not start anew
        again = there_and_back(model, path).fit(X, targets)
        np.testing.assert_array_equal(again.network_.theta, clone(model).fit(X, targets).network_.theta)


def test_other_classes_are_refused_as_before(path):
    loaded = there_and_back(cr.MLPClassifier((4,), max_iter=3).fit(X, WORDS), path)
    with pytest.raises(ValueError, match=r"`y` has classes not in"):
        loaded.partial_fit(X, np.where(WORDS == "ant", "dog", WORDS))
    with pytest.raises(ValueError, match="X has 2 features"):
        loaded.predict(X[:, :2])


class Own(cr.Callback):
    def on_epoch(self, run):
        pass


class Constant(cr.Loss):
    def forward(self, y, t, memo):
        memo.y = y
        return np.zeros(len(y), y.dtype)

    def backward(self, t, memo):
        return np.zeros_like(memo.y)

    def targets(self, t, outputs, dtype):
        return cr.losses.SquaredError().targets(t, outputs, dtype)


@pytest.mark.filterwarnings("ignore::chainrule.estimators.advice.ConstantOutputWarning")
def test_what_a_file_cannot_hold_is_said(path):
    model = cr.MLPClassifier((4,), max_iter=3, callbacks=[Own()], random_state=np.random.RandomState(0)).fit(X, WORDS)
    with pytest.warns(LeftOutWarning, match=r"cannot hold callbacks=\[Own\(\)\], random_state=RandomState"):
        cr.save(model, path)
    loaded = cr.MLPClassifier.load(path)
    assert loaded.callbacks is None
    assert loaded.random_state is None
    assert len(model.callbacks) == 1
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    own = cr.MLPRegressor(Constant(), (3,), max_iter=2).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"save: loss, Constant\(\), is not a part of chainrule"):
        cr.save(own, path, overwrite=True)
    assert cr.MLPClassifier.load(path).classes_.tolist() == ["ant", "bee", "cat"]


def test_what_cannot_be_saved(path):
    with pytest.raises(NotFittedError):
        cr.save(cr.MLPClassifier(), path)
    model = cr.MLPClassifier((4,), max_iter=3).fit(X, WORDS)
    with pytest.raises(ValueError, match="'alpha' parameter"):
        cr.save(clone(model).fit(X, WORDS).set_params(alpha=-1), path)
    cr.save(model, path)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        cr.save(model, path)
    model.network_.theta[0] = np.nan
    with pytest.raises(ValueError, match="is not finite"):
        cr.save(model, path, overwrite=True)


def test_a_class_of_ones_own(path):
    class Mine(cr.MLPClassifier):
        """With other defaults only."""

    cr.save(Mine((4,), max_iter=3).fit(X, WORDS), path)
    assert type(Mine.load(path)) is Mine
    assert type(cr.MLPClassifier.load(path)) is cr.MLPClassifier


# ---------------------------------------------------------------- descriptions that do not fit


def rewrite(path, change):
    cr.save(cr.MLPClassifier((4,), max_iter=3, early_stopping=True, random_state=0).fit(X, WORDS), path, overwrite=True)
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header["__metadata__"]["chainrule"])
    change(description["estimator"])
    header["__metadata__"]["chainrule"] = json.dumps(description)
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + content[8 + length :])


def put(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(description):
        for key in keys:
            description = description[key]
        description[last] = value

    return change


@pytest.mark.few(12)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("surprise", 1), "the estimator: missing or unknown fields: surprise"),
        (put("parameters", []), "the parameters cannot be read"),
        (put("parameters", "surprise", 1), "MLPClassifier has no parameters surprise"),
        (put("parameters", "alpha", -1), "the parameters cannot be read: The 'alpha' parameter"),
        (put("parameters", "alpha", {"float": "1"}), "alpha cannot be read"),
        (put("parameters", "solver", {"Optimizer": {"type": "Adam", "beta_1": 2}}), "Adam, cannot be read"),
        (put("parameters", "solver", {"Optimizer": {"type": "Tanh"}}), "unknown type 'Tanh'"),
        (put("parameters", "solver", {"Loss": {"type": "Poisson"}}), "The 'solver' parameter"),
        (put("parameters", "solver", {"eval": "1"}), "solver cannot be read"),
        (put("parameters", "class_weight", {"dict": [[[1], 2]]}), "class_weight cannot be read"),
        (put("labels", None), "only a classifier has labels"),
        (put("labels", "target", "continuous"), "target continuous"),
        (put("labels", "target", "binary"), "3 classes .binary. do not fit a network with 3 outputs"),
        (put("labels", "target", "multilabel-indicator"), "do not fit a network with the loss Softmax"),
        (put("labels", "classes", ["a", "b"]), "2 classes .multiclass. do not fit"),
        (put("labels", "classes", ["a", "b", "b"]), "do not fit"),
        (put("labels", "classes", ["a", "b", 3]), "expected a list of str"),
        (put("labels", "classes", []), "expected a list of str"),
        (put("labels", "classes", ["a", "b", "\ud800"]), "cannot be read"),
        (put("labels", "dtype", "int8"), "expected a list of int8"),
        (put("labels", "dtype", "V8"), "dtype V8"),
        (put("labels", "dtype", []), "dtype"),
        (lambda d: d["labels"].update(dtype="uint8", classes=[1, 2, 300]), "the classes cannot be read"),
        (put("labels", "sparse", 0), "the labels cannot be read"),
        (put("feature_names", ["a"]), "1 column names do not fit a network with 3 inputs"),
        (put("feature_names", ["a", "b", 1]), "the names of the columns cannot be read"),
        (put("attributes", None), "the attributes cannot be read"),
        (put("attributes", "n_iter_", -1), "n_iter_ cannot be read"),
        (put("attributes", "n_iter_", None), "n_iter_ cannot be read"),
        (put("attributes", "loss_", "0.1"), "the attribute loss_ cannot be read"),
        (put("attributes", "predict", None), "the attribute predict cannot be read"),
        (put("attributes", "__class__", 1.0), "the attribute __class__ cannot be read"),
        (put("columns", ["epoch", "x"]), "the array history_.x is missing"),
        (put("columns", ["epoch"]), "the arrays do not match the description: history_.learning_rate"),
        (put("columns", "epoch"), "the history cannot be read"),
        (put("columns", []), "do not match the description"),
        (put("stopped", 1), "the history cannot be read"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(path, change, message):
    rewrite(path, change)
    with pytest.raises(ModelFileError, match=message):
        cr.MLPClassifier.load(path)


def test_an_unchanged_description_loads(path):
    rewrite(path, lambda description: None)
    assert cr.MLPClassifier.load(path).history_.columns[0] == "epoch"


@pytest.mark.slow
def test_a_long_label_does_not_make_room_for_itself_in_all_the_others(path):
    """NumPy's texts are all as wide as the longest: of a few bytes they would take gigabytes, once more in each row."""
    labels = [*(f"{i:05}" for i in range(299)), "a" * 10**6]
    network = cr.Network(2, [Dense(300)], "softmax_cross_entropy", seed=0)
    cr.save(cr.MLPClassifier.from_network(network, np.array(labels, dtype=object)), path)
    for load in (cr.load, cr.MLPClassifier.load):
        tracemalloc.start()
        try:
            model = load(path)
            predicted = model.predict(np.zeros((1000, 2)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2 * path.stat().st_size + 50e6, peak
        assert model.classes_.dtype == object
        assert sorted(model.classes_) == sorted(labels)
        assert set(predicted) <= set(labels)


@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b" * 900], [f"class {i}" for i in range(2000)]])
def test_labels_of_a_usual_length_keep_their_dtype(path, labels):
    labels = np.array(sorted(labels))
    loss = "sigmoid_cross_entropy" if len(labels) == 2 else "softmax_cross_entropy"
    network = cr.Network(1, [Dense(1 if len(labels) == 2 else len(labels))], loss, seed=0)
    cr.save(cr.MLPClassifier.from_network(network, labels), path)
    for load in (cr.load, cr.MLPClassifier.load):
        assert load(path).classes_.dtype == labels.dtype


@pytest.mark.parametrize("where", ["label", "column"])
def test_a_text_that_no_file_can_hold_is_refused_when_it_is_saved(tmp_path, where):
    """A half of a surrogate pair has no UTF-8: what is written can be read again."""
    bad = "b\ud800"
    labels = np.array(["a", bad if where == "label" else "b"] * 3, object)
    model = cr.MLPClassifier((2,), max_iter=2, tol=10, random_state=0).fit(np.arange(12.0).reshape(6, 2) / 12, labels)
    if where == "column":
        model.feature_names_in_ = np.array(["a", bad], object)
    with pytest.raises(ValueError, match=r"save: b\\ud800 contains half of a surrogate pair"):
        cr.save(model, tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()
