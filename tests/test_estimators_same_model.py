"""Same seed, same model: what scikit-learn's MLP and ours learn from the same random_state, number by number."""

import warnings
from functools import cache

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse as sp
from sklearn import datasets
from sklearn import neural_network as theirs
from sklearn.preprocessing import StandardScaler

import chainrule

CLASSES = ("iris", "digits", "breast_cancer", "wine")
ROWS = 240  # of each data set, where the number of rows is not the point


@cache
def data(name, rows=None):
    """Return X, standardized, and y of one of scikit-learn's data sets, the diabetes' y standardized too."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(y))[:rows]
    X = StandardScaler().fit_transform(X)[chosen]
    y = y[chosen]
    if name == "diabetes":
        y = (y - y.mean()) / y.std()
    return X, y


def pair(kind, **parameters):
    """Return scikit-learn's estimator and ours, with the same parameters and seed."""
    parameters = {"random_state": 3, **parameters}
    return getattr(theirs, kind)(**parameters), getattr(chainrule, kind)(**parameters)


def fit_both(kind, X, y, *, sample_weight=None, **parameters):
    a, b = pair(kind, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return a.fit(X, y, sample_weight=sample_weight), b.fit(X, y, sample_weight=sample_weight)


def difference(a, b):
    """Return the largest relative difference of a parameter array: max |a - b| / max |a|."""
    pairs = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    return max(np.abs(p - q).max() / np.abs(p).max() for p, q in pairs)


def assert_same(a, b, X, *, rtol=1e-8):
    """Check that two fitted estimators are the same model, with the same record of their training."""
    assert difference(a, b) <= rtol
    assert a.n_iter_ == b.n_iter_
    assert a.t_ == b.t_
    assert (a.n_layers_, a.n_outputs_, a.out_activation_) == (b.n_layers_, b.n_outputs_, b.out_activation_)
    assert a.loss_ == pytest.approx(b.loss_, rel=rtol)
    for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_"):
        left, right = getattr(a, name, None), getattr(b, name, None)
        assert (left is None) == (right is None), name
        if left is not None:
            np.testing.assert_allclose(right, left, rtol=rtol, err_msg=name)
    if hasattr(a, "classes_"):
        np.testing.assert_array_equal(b.classes_, a.classes_)
        np.testing.assert_array_equal(b.predict(X), a.predict(X))
        np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(X), rtol=100 * rtol, atol=rtol)
    else:
        np.testing.assert_allclose(b.predict(X), a.predict(X), rtol=100 * rtol, atol=10 * rtol)


SETTINGS = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "sgd-plain": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "sgd-momentum-invscaling": {
        "solver": "sgd", "nesterovs_momentum": False, "learning_rate": "invscaling", "learning_rate_init": 0.05,
    },
    "sgd-nesterov-invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    "sgd-adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 0.05, "n_iter_no_change": 1,
    },
    "lbfgs": {"solver": "lbfgs", "activation": "tanh"},
    "lbfgs-relu": {"solver": "lbfgs"},
    "early-stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "tanh-two-layers": {"activation": "tanh", "hidden_layer_sizes": (20, 10)},
    "logistic": {"activation": "logistic", "alpha": 0.1},
    "identity-small-batches": {"activation": "identity", "batch_size": 16},
    "relu-no-shuffle": {"shuffle": False, "batch_size": 50, "alpha": 1.0, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6},
    "no-hidden-layer": {"hidden_layer_sizes": ()},
}  # fmt: skip


@pytest.mark.few(30)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", [*CLASSES, "diabetes"])
def test_ten_epochs(name, setting):
    X, y = data(name, ROWS)
    kind = "MLPRegressor" if name == "diabetes" else "MLPClassifier"
    a, b = fit_both(kind, X, y, **{"max_iter": 10, "hidden_layer_sizes": (30,), **SETTINGS[setting]})
    assert_same(a, b, X)


@pytest.mark.parametrize(
    "setting",
    [
        {"loss": "poisson"},
        {"loss": "poisson", "solver": "lbfgs", "activation": "tanh"},
        {"loss": "poisson", "solver": "sgd", "early_stopping": True},
    ],
    ids=["adam", "lbfgs", "sgd-early"],
)
def test_poisson(setting):
    X, y = data("diabetes", ROWS)
    a, b = fit_both("MLPRegressor", X, np.abs(y), **{"max_iter": 10, **setting})
    assert_same(a, b, X)


@pytest.mark.few(5)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", ["multilabel", "multioutput", "multioutput-poisson", "strings", "binary-strings"])
def test_other_targets(kind, solver):
    X, y = data("wine", ROWS)
    estimator, extra = "MLPClassifier", {}
    if kind == "multilabel":
        X, y = datasets.make_multilabel_classification(random_state=0)
    elif kind == "strings":
        y = np.array(["red", "green", "blue"])[y]
    elif kind == "binary-strings":
        y = np.where(y == 1, "one", "another")
    else:
        X, y = data("diabetes", ROWS)
        y = np.c_[y, y**2]
        estimator = "MLPRegressor"
        if kind == "multioutput-poisson":
            y, extra = np.abs(y), {"loss": "poisson"}
    a, b = fit_both(estimator, X, y, solver=solver, max_iter=10, activation="tanh", **extra)
    assert_same(a, b, X)


@pytest.mark.few(2)
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_matrix])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse(container, solver):
    X, y = datasets.load_digits(return_X_y=True)
    X, y = container(X[:ROWS] / 16.0), y[:ROWS]
    a, b = fit_both("MLPClassifier", X, y, solver=solver, max_iter=10)
    assert_same(a, b, X)
    np.testing.assert_allclose(b.predict_proba(X.toarray()), a.predict_proba(X), rtol=1e-6)


@pytest.mark.few(7)
@pytest.mark.parametrize("setting", ["adam", "sgd", "lbfgs", "early-stopping"])
@pytest.mark.parametrize("name", [*CLASSES, "diabetes"])
def test_sample_weight(name, setting):
    X, y = data(name, ROWS)
    kind = "MLPRegressor" if name == "diabetes" else "MLPClassifier"
    weight = np.random.default_rng(0).random(len(y)) * 3
    weight[5:9] = 0
    a, b = fit_both(kind, X, y, sample_weight=weight, max_iter=10, **SETTINGS[setting])
    assert_same(a, b, X)


@pytest.mark.few(1)
@pytest.mark.parametrize("batch_size", [1, 7, 100, 240])
def test_batch_sizes(batch_size):
    X, y = data("wine", ROWS)
    a, b = fit_both("MLPClassifier", X, y, batch_size=min(batch_size, len(y)), max_iter=5, hidden_layer_sizes=(10,))
    assert_same(a, b, X)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_float32(name, solver):
    X, y = data(name, ROWS)
    kind = "MLPRegressor" if name == "diabetes" else "MLPClassifier"
    X = X.astype(np.float32)
    a, b = fit_both(kind, X, y, solver=solver, max_iter=10, activation="tanh")
    assert all(p.dtype == np.float32 for p in b.coefs_ + b.intercepts_)
    assert difference(a, b) < (1e-2 if solver == "lbfgs" else 1e-4)
    result = b.predict_proba(X) if hasattr(b, "predict_proba") else b.predict(X)
    assert result.dtype == np.float32
    assert a.n_iter_ == b.n_iter_


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warm_start(solver):
    X, y = data("iris")
    a, b = pair("MLPClassifier", solver=solver, warm_start=True, max_iter=4, activation="tanh")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rows in (slice(None), slice(0, 100), slice(None)):
            if len(np.unique(y[rows])) < 3:
                continue
            a.fit(X[rows], y[rows])
            b.fit(X[rows], y[rows])
            assert_same(a, b, X)


@pytest.mark.few(3)
@pytest.mark.parametrize("state", [7, "generator"])
@pytest.mark.parametrize("setting", [{}, {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1}])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_partial_fit(kind, setting, state):
    X, y = data("digits" if kind == "MLPClassifier" else "diabetes", ROWS)
    a, b = pair(kind, **setting)
    for estimator in (a, b):
        seed = np.random.RandomState(5) if state == "generator" else state
        estimator.set_params(random_state=seed)
        extra = {"classes": np.unique(y)} if kind == "MLPClassifier" else {}
        for start in (0, 60, 120, 0, 60, 180):
            estimator.partial_fit(X[start : start + 60], y[start : start + 60], **extra)
    assert_same(a, b, X)


def test_partial_fit_with_weights_after_fit():
    X, y = data("iris")
    weight = np.random.default_rng(0).random(len(y))
    a, b = fit_both("MLPClassifier", X, y, max_iter=3)
    for estimator in (a, b):
        for _ in range(3):
            estimator.partial_fit(X, y, sample_weight=weight)
    assert_same(a, b, X)


def test_fit_after_partial_fit_begins_anew():
    X, y = data("iris")
    a, b = pair("MLPClassifier", max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator in (a, b):
            estimator.partial_fit(X, y, classes=[0, 1, 2]).fit(X, y).fit(X, y)
    assert_same(a, b, X)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CLASSES, "diabetes"])
def test_default_stopping(name):
    """All the epochs that the defaults take."""
    X, y = data(name, 2000)  # all rows
    kind = "MLPRegressor" if name == "diabetes" else "MLPClassifier"
    a, b = fit_both(kind, X, y)
    assert_same(a, b, X, rtol=1e-6)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["iris", "wine", "diabetes"])
def test_default_stopping_with_early_stopping(name):
    X, y = data(name)
    kind = "MLPRegressor" if name == "diabetes" else "MLPClassifier"
    a, b = fit_both(kind, X, y, early_stopping=True, learning_rate_init=0.01)
    assert a.n_iter_ < 200
    assert_same(a, b, X, rtol=1e-6)


def test_default_stopping_of_the_adaptive_rate():
    X, y = data("iris")
    a, b = fit_both("MLPClassifier", X, y, solver="sgd", learning_rate="adaptive", learning_rate_init=0.1, tol=1e-3)
    assert a.n_iter_ < 200
    assert_same(a, b, X, rtol=1e-6)


def test_lbfgs_until_it_converges():
    """Short and smooth; a long run with ReLU parts from theirs by rounding (3e-3 after 200 iterations on diabetes)."""
    X, y = data("iris")
    a, b = fit_both("MLPClassifier", X, y, solver="lbfgs", activation="tanh", alpha=1.0, hidden_layer_sizes=(5,))
    assert a.n_iter_ == b.n_iter_ < 200
    assert difference(a, b) < 1e-5
    np.testing.assert_array_equal(a.predict(X), b.predict(X))


@pytest.mark.parametrize("parameters", [{"max_iter": 3}, {"max_iter": 3, "solver": "lbfgs"}, {"batch_size": 1000}])
def test_same_warnings(parameters):
    X, y = data("iris")
    raised = []
    for estimator in pair("MLPClassifier", **{"max_iter": 3, **parameters}):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator.fit(X, y)
        raised.append(caught)
    assert raised[0]
    for expected in raised[0]:  # ours may say more, and in a class of its own under theirs
        beginning = str(expected.message).splitlines()[0].rstrip(".")
        assert any(
            issubclass(w.category, expected.category) and str(w.message).startswith(beginning) for w in raised[1]
        ), [str(w.message) for w in raised[1]]


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True}, {"solver": "sgd", "learning_rate": "adaptive"}])
def test_same_lines_with_verbose(parameters, capsys):
    X, y = data("iris")
    printed = []
    for estimator in pair(
        "MLPClassifier", verbose=True, max_iter=40, tol=0.02, n_iter_no_change=2, learning_rate_init=0.1, **parameters
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(X, y)
        printed.append(capsys.readouterr().out)
    assert printed[0]
    assert printed[0] == printed[1]
