"""What scikit-learn's MLP does not have: the new parameters, the validation set, the bridges, and bad input."""

import copy
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_moons, make_multilabel_classification
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule import MLPClassifier, MLPRegressor
from chainrule.estimators import _stochastic, base

X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = StandardScaler().fit_transform(X_IRIS)
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
X_DIABETES = StandardScaler().fit_transform(X_DIABETES)[:200]
Y_DIABETES = ((Y_DIABETES - Y_DIABETES.mean()) / Y_DIABETES.std())[:200]

KINDS = [MLPClassifier, MLPRegressor]


def data(kind):
    return (X_IRIS, Y_IRIS) if kind is MLPClassifier else (X_DIABETES, Y_DIABETES)


def make(kind, **parameters):
    return kind(**{"hidden_layer_sizes": (12,), "max_iter": 8, "random_state": 1, **parameters})


def quiet(estimator, *args, **kwargs):
    """Fit it; that it has not converged is expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return estimator.fit(*args, **kwargs)


def fitted(kind, **parameters):
    return quiet(make(kind, **parameters), *data(kind))


def theta(estimator):
    return np.concatenate([p.ravel() for p in estimator.coefs_ + estimator.intercepts_])


# ---------------------------------------------------------------- each changes what it should, its default nothing

DEFAULTS = {
    "dropout": 0.0,
    "input_dropout": 0.0,
    "l1": 0.0,
    "max_norm": None,
    "gradient_clip": None,
    "dtype": None,
    "callbacks": None,
    "progress": False,
    "resume": None,
    "batch_norm": False,
    "layer_norm": False,
    "layers": None,
    "input_shape": None,
    "device": None,
    "precision": "float32",
}
CHANGES = [
    {"dropout": 0.5},
    {"dropout": [0.5]},
    {"input_dropout": 0.3},
    {"activation": "gelu"},
    {"activation": ["softplus"]},
    {"l1": 1.0},
    {"max_norm": 0.5},
    {"gradient_clip": 1e-3},
    {"dtype": "float32"},
    {"solver": "momentum"},
    {"solver": "rmsprop"},
    {"solver": "adagrad"},
    {"solver": "adamw"},
    {"solver": cr.optimizers.SGD(0.1)},
    {"learning_rate": cr.schedules.Cosine()},
    {"batch_norm": True},
    {"layer_norm": True},
]


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_written_out(kind):
    extra = (
        {"class_weight": None, "label_smoothing": 0.0, "threshold": None}
        if kind is MLPClassifier
        else {"quantile": 0.5}
    )
    expected = {**DEFAULTS, **extra}
    found = kind().get_params()
    assert {name: found[name] for name in expected} == expected
    signature = getattr(theirs, kind.__name__)().get_params()
    assert {name: found[name] for name in signature} == signature
    assert set(found) == set(signature) | set(expected)


@pytest.mark.few(12)
@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_changes_the_model(kind, change):
    default, changed = theta(fitted(kind)), theta(fitted(kind, **change))
    assert np.isfinite(changed).all()
    assert changed.shape == default.shape
    assert np.abs(changed - default).max() > 1e-9
    np.testing.assert_array_equal(theta(fitted(kind, **change)), changed)  # and the same seed gives the same again


@pytest.mark.parametrize("kind", KINDS)
def test_one_value_is_the_same_as_one_per_layer(kind):
    for name, one in [("dropout", 0.25), ("activation", "tanh")]:
        several = fitted(kind, hidden_layer_sizes=(6, 5), **{name: [one, one]})
        np.testing.assert_array_equal(theta(several), theta(fitted(kind, hidden_layer_sizes=(6, 5), **{name: one})))


def test_activations_and_dropouts_per_layer_are_in_the_network():
    model = fitted(
        MLPClassifier, hidden_layer_sizes=(6, 5), activation=["gelu", "relu"], dropout=(0.0, 0.3), input_dropout=0.1
    )
    kinds = [type(layer).__name__ for layer in model.network_.layers if type(layer).__name__ != "Identity"]
    assert kinds == ["Dropout", "Dense", "GELU", "Dense", "ReLU", "Dropout", "Dense"]
    assert len(model.coefs_) == 3
    assert model.n_layers_ == 4


def test_prediction_has_no_dropout():
    model = fitted(MLPClassifier, dropout=0.5, input_dropout=0.2)
    np.testing.assert_array_equal(model.predict_proba(X_IRIS), model.predict_proba(X_IRIS))


def test_max_norm_bounds_every_unit():
    model = fitted(MLPRegressor, max_norm=0.5, max_iter=20)
    for W in model.coefs_:
        assert np.linalg.norm(W, axis=0).max() <= 0.5 + 1e-9


def test_l1_pulls_weights_to_zero():
    def size(model):
        return np.abs(model.coefs_[0]).sum()

    plain = fitted(MLPRegressor, max_iter=100, learning_rate_init=0.01)
    assert size(fitted(MLPRegressor, l1=20.0, max_iter=100, learning_rate_init=0.01)) < size(plain) / 2


def test_dtype_float32():
    for kind in KINDS:
        model = fitted(kind, dtype="float32")
        assert {p.dtype for p in model.coefs_ + model.intercepts_} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("target", "threshold"), [
    ("binary", 0.2), ("binary", [0.2, 0.6]), ("softmax of two", 0.9), ("multiclass", [0.8, 0.1, 0.1]),
    ("multilabel", 0.1), ("multilabel", [0.1, 0.5, 0.9]),
])  # fmt: skip
def test_thresholds_decide_and_are_saved(target, threshold, tmp_path):
    X, y = X_IRIS.astype(np.float32), Y_IRIS
    if target == "multilabel":
        y = np.stack([y == k for k in range(3)], axis=1).astype(int)
    elif target != "multiclass":
        y = np.where(y > 0, "yes", "no")
    layers = {"layers": [cr.layers.Dense(2)]} if target == "softmax of two" else {}
    plain = MLPClassifier(max_iter=8, random_state=0, **(layers or {"hidden_layer_sizes": (4,)}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain.fit(X, y)
        model = clone(plain).set_params(threshold=threshold).fit(X, y)
    p = model.predict_proba(X)
    np.testing.assert_array_equal(p, plain.predict_proba(X))
    if target == "multilabel":
        expected = (p > np.array(threshold)).astype(int)
    elif target == "multiclass":
        expected = (p / np.array(threshold)).argmax(axis=1)
    else:
        expected = np.where(p[:, 1] > (0.75 if threshold == [0.2, 0.6] else threshold), "yes", "no")
    assert (model.predict(X) == expected).all()
    assert (plain.predict(X) != expected).any()
    cr.save(model, tmp_path / "m.safetensors")
    assert (cr.load(tmp_path / "m.safetensors").predict(X) == expected).all()
    again = MLPClassifier.load(tmp_path / "m.safetensors")
    assert again.threshold == threshold
    assert (again.predict(X) == expected).all()


def test_label_smoothing_makes_predictions_less_sure():
    sharp = fitted(MLPClassifier, max_iter=150, learning_rate_init=0.02).predict_proba(X_IRIS).max(axis=1)
    smooth = fitted(MLPClassifier, max_iter=150, learning_rate_init=0.02, label_smoothing=0.2)
    assert smooth.predict_proba(X_IRIS).max(axis=1).mean() < sharp.mean() - 0.05
    assert smooth.score(X_IRIS, Y_IRIS) > 0.9


def test_an_optimizer_object_is_the_solver_of_that_name():
    named = fitted(MLPClassifier, solver="sgd", momentum=0.8, nesterovs_momentum=True, learning_rate_init=0.05)
    given = fitted(MLPClassifier, solver=cr.optimizers.Nesterov(0.05, 0.8))
    np.testing.assert_array_equal(theta(given), theta(named))
    named = fitted(MLPClassifier, solver="momentum", momentum=0.8, learning_rate_init=0.05)
    np.testing.assert_array_equal(theta(fitted(MLPClassifier, solver=cr.optimizers.Momentum(0.05, 0.8))), theta(named))


def test_validation_rows_of_early_stopping_keep_their_weights_in_val_loss(monkeypatch):
    weight = np.random.default_rng(0).random(len(X_IRIS))
    given = {}

    def train(network, X, t, **options):
        given.update(options)
        return cr.train(network, X, t, **options)

    monkeypatch.setattr(_stochastic, "train", train)
    model = make(MLPClassifier, early_stopping=True, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X_IRIS, Y_IRIS, sample_weight=weight)
    X_val, t_val, weight_val = given["validation"]
    assert np.isin(weight_val, weight).all()
    assert len(weight_val) == len(X_val) == 15
    best = int(np.argmax(model.validation_scores_))  # whose parameters the model has
    expected = cr.evaluate(model.network_, X_val, t_val, sample_weight=weight_val)["loss"]
    assert model.history_["val_loss"][best] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_constant_schedule_object_changes_nothing(early_stopping):
    given = fitted(MLPClassifier, learning_rate=cr.schedules.Constant(), early_stopping=early_stopping)
    np.testing.assert_array_equal(theta(given), theta(fitted(MLPClassifier, early_stopping=early_stopping)))


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("squared_error", cr.losses.SquaredError()),
        ("absolute_error", cr.losses.AbsoluteError()),
        ("huber", cr.losses.Huber()),
        ("quantile", cr.losses.Quantile(0.5)),
        ("poisson", cr.losses.Poisson()),
    ],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_loss_object_is_the_loss_of_that_name(name, loss, solver):
    y = np.abs(Y_DIABETES)
    named = quiet(make(MLPRegressor, loss=name, solver=solver), X_DIABETES, y)
    given = quiet(make(MLPRegressor, loss=loss, solver=solver), X_DIABETES, y)
    np.testing.assert_allclose(theta(given), theta(named), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(given.predict(X_DIABETES), named.predict(X_DIABETES), rtol=1e-9)
    assert given.out_activation_ == named.out_activation_


def test_absolute_error_is_not_moved_by_outliers():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 1))
    y = X[:, 0].copy()
    y[::10] += 30
    errors = {}
    for loss in ("squared_error", "absolute_error", "huber"):
        model = quiet(make(MLPRegressor, loss=loss, max_iter=200, learning_rate_init=0.02, batch_size=50), X, y)
        errors[loss] = np.median(np.abs(model.predict(X) - X[:, 0]))
    assert errors["absolute_error"] < 0.3 < 1 < errors["squared_error"]
    assert errors["huber"] < 0.5


# ---------------------------------------------------------------- weights


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_class_weight_is_sample_weight(solver):
    weights = {0: 3.0, 1: 0.5, 2: 1.5}
    a = fitted(MLPClassifier, class_weight=weights, solver=solver, activation="tanh")
    sample_weight = np.array([weights[label] for label in Y_IRIS])
    b = quiet(make(MLPClassifier, solver=solver, activation="tanh"), X_IRIS, Y_IRIS, sample_weight)
    np.testing.assert_allclose(theta(a), theta(b), rtol=1e-10, atol=1e-12)


def test_class_weight_times_sample_weight_with_string_labels():
    names = np.array(["b", "c", "a"])[Y_IRIS]
    given = np.random.default_rng(0).random(len(names))
    weights = {"a": 2.0, "b": 0.5}  # "c" has 1
    a = quiet(make(MLPClassifier, class_weight=weights), X_IRIS, names, given)
    product = given * np.array([weights.get(name, 1.0) for name in names])
    b = quiet(make(MLPClassifier), X_IRIS, names, product)
    np.testing.assert_allclose(theta(a), theta(b), rtol=1e-10, atol=1e-12)


def test_balanced_class_weight_helps_the_rare_class():
    X, y = make_moons(600, noise=0.35, random_state=0)
    keep = (y == 0) | (np.arange(600) % 12 == 0)
    X, y = X[keep], y[keep]
    parameters = {"max_iter": 100, "learning_rate_init": 0.02}
    plain = quiet(make(MLPClassifier, **parameters), X, y)
    balanced = quiet(make(MLPClassifier, class_weight="balanced", **parameters), X, y)
    assert (balanced.predict(X)[y == 1] == 1).mean() > (plain.predict(X)[y == 1] == 1).mean() + 0.1


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", KINDS)
def test_integer_weight_is_repetition(kind, solver):
    X, y = data(kind)
    times = np.random.default_rng(0).integers(1, 4, len(y))
    rows = np.repeat(np.arange(len(y)), times)
    parameters = {"solver": solver, "shuffle": False, "activation": "tanh", "alpha": 0.0}
    a = quiet(make(kind, batch_size=len(y), **parameters), X, y, times.astype(float))
    b = quiet(make(kind, batch_size=len(rows), **parameters), X[rows], y[rows])
    np.testing.assert_allclose(theta(a), theta(b), rtol=1e-10, atol=1e-10)


# ---------------------------------------------------------------- quantiles


def generated(name, n, rng):
    x = rng.uniform(-2, 2, (n, 1))
    centre = np.sin(2 * x[:, 0])
    if name == "normal":
        return x, centre + 0.3 * rng.standard_normal(n)
    if name == "wider to the right":
        return x, centre + (0.1 + 0.2 * (x[:, 0] + 2)) * rng.standard_normal(n)
    return x, centre + rng.exponential(0.5, n)


@pytest.mark.parametrize("name", ["normal", "wider to the right", "skewed"])
def test_quantiles_cover_ninety_percent(name):
    rng = np.random.default_rng(3)
    X, y = generated(name, 3000, rng)
    X_new, y_new = generated(name, 3000, rng)
    edges = []
    for quantile in (0.05, 0.95):
        model = MLPRegressor(
            "quantile",
            (20,),
            quantile=quantile,
            activation="tanh",
            learning_rate_init=0.01,
            max_iter=60,
            random_state=0,
        )
        edges.append(quiet(model, X, y).predict(X_new))
    low, high = edges
    covered = np.mean((low <= y_new) & (y_new <= high))
    assert covered == pytest.approx(0.90, abs=0.03)
    assert np.mean(y_new < low) == pytest.approx(0.05, abs=0.025)


# ---------------------------------------------------------------- validation set, history, callbacks


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_on_a_given_validation_set(kind):
    X, y = data(kind)
    train, held_out = np.arange(len(y)) % 3 > 0, np.arange(len(y)) % 3 == 0
    model = make(kind, early_stopping=True, max_iter=200, learning_rate_init=0.02, hidden_layer_sizes=(30,))
    quiet(model, X[train], y[train], X_val=X[held_out], y_val=y[held_out])
    assert model.n_iter_ == len(model.validation_scores_) == len(model.loss_curve_) < 200
    assert model.best_validation_score_ == max(model.validation_scores_)
    # The best parameters are kept, and they come from all the training rows and no others.
    assert model.score(X[held_out], y[held_out]) == pytest.approx(model.best_validation_score_)
    assert model.t_ == model.n_iter_ * train.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_a_validation_set_alone_changes_no_parameter(kind):
    X, y = data(kind)
    watched = quiet(make(kind), X, y, X_val=X[:50], y_val=y[:50])
    np.testing.assert_array_equal(theta(watched), theta(quiet(make(kind), X, y)))
    assert watched.loss_curve_ == quiet(make(kind), X, y).loss_curve_


def test_a_validation_set_of_string_labels():
    names = np.array(["b", "c", "a"])[Y_IRIS]
    model = make(MLPClassifier, early_stopping=True, max_iter=100, learning_rate_init=0.02)
    quiet(model, X_IRIS, names, X_val=X_IRIS[::2], y_val=names[::2])
    assert model.score(X_IRIS[::2], names[::2]) == pytest.approx(model.best_validation_score_)


def test_a_validation_set_that_lacks_a_class():
    model = quiet(make(MLPClassifier), X_IRIS, Y_IRIS, X_val=X_IRIS[:60], y_val=Y_IRIS[:60])
    assert model.history_["val_score"][-1] == pytest.approx(model.score(X_IRIS[:60], Y_IRIS[:60]))


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_with_early_stopping_on_a_given_validation_set(kind):
    X, y = data(kind)
    model = make(kind, early_stopping=True)
    extra = {"classes": np.unique(y)} if kind is MLPClassifier else {}
    for _ in range(4):
        model.partial_fit(X, y, X_val=X[::3], y_val=y[::3], **extra)
    assert len(model.validation_scores_) == len(model.loss_curve_) == 4
    assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("kind", KINDS)
def test_history(kind):
    X, y = data(kind)
    model = quiet(make(kind), X, y, X_val=X[::3], y_val=y[::3])
    assert {"loss", "val_loss", "val_score"} <= set(model.history_.columns)
    assert len(model.history_) == model.n_iter_ == 8
    assert model.history_["val_score"][-1] == pytest.approx(model.score(X[::3], y[::3]))
    assert all(np.isfinite(model.history_["val_loss"]))
    assert "val_loss" not in fitted(kind).history_


class StopAfter(cr.Callback):
    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch(self, run):
        if run.epoch == self.epochs:
            run.stop("enough")


def test_callbacks():
    model = make(MLPClassifier, callbacks=[StopAfter(3)]).fit(X_IRIS, Y_IRIS)
    assert model.n_iter_ == 3
    assert model.history_.stopped == "enough"


def test_progress_shows_and_changes_nothing(capsys):
    model = fitted(MLPClassifier, progress=True)
    shown = capsys.readouterr()
    assert shown.out + shown.err
    np.testing.assert_array_equal(theta(model), theta(fitted(MLPClassifier)))


# ---------------------------------------------------------------- views, copies, bridges


@pytest.mark.parametrize("kind", KINDS)
def test_coefs_are_views(kind):
    model = fitted(kind)
    X, _ = data(kind)
    before = model.network_.predict(X).copy()
    assert all(np.shares_memory(p, model.network_.theta) for p in model.coefs_ + model.intercepts_)
    model.intercepts_[-1][...] += np.arange(1, model.n_outputs_ + 1)
    model.coefs_[0][...] *= 1.1
    assert np.abs(model.network_.predict(X) - before).max() > 1e-3


@pytest.mark.parametrize("copier", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy], ids=["pickle", "deepcopy"])
@pytest.mark.parametrize(
    "parameters", [{}, {"dropout": 0.3, "solver": "rmsprop", "activation": "gelu"}, {"solver": "lbfgs"}]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_predicts_the_same_and_is_its_own(kind, parameters, copier):
    model = fitted(kind, **parameters)
    X, y = data(kind)
    other = copier(model)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    before = theta(model)
    other.coefs_[0][...] = 0
    np.testing.assert_array_equal(theta(model), before)
    assert np.shares_memory(other.coefs_[0], other.network_.theta)
    if "solver" not in parameters:
        a, b = copier(model), model
        np.testing.assert_array_equal(theta(a.partial_fit(X, y)), theta(b.partial_fit(X, y)))


@pytest.mark.parametrize("kind", KINDS)
def test_clone(kind):
    parameters = {
        "dropout": [0.1], "solver": cr.optimizers.RMSProp(0.01), "learning_rate": cr.schedules.Cosine(), "activation": ["gelu"],
        "callbacks": [StopAfter(3)],
    }  # fmt: skip
    model = fitted(kind, **parameters)
    other = clone(model)
    assert not hasattr(other, "coefs_")
    assert not hasattr(other, "network_")
    np.testing.assert_array_equal(theta(quiet(other, *data(kind))), theta(model))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("activation", ["logistic", "relu"])
@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "regression", "poisson", "multioutput"])
def test_from_sklearn_predicts_the_same(target, activation, solver):
    X, y, kind, extra = X_DIABETES, Y_DIABETES, MLPRegressor, {}
    if target == "poisson":
        y, extra = np.abs(y), {"loss": "poisson"}
    elif target == "multioutput":
        y = np.c_[y, -y]
    elif target != "regression":
        kind = MLPClassifier
        X, y = X_IRIS, np.array(["x", "y", "z"])[Y_IRIS]
        if target == "binary":
            X, y = X[:100], y[:100]
        elif target == "multilabel":
            X, y = make_multilabel_classification(60, random_state=0)
    original = quiet(
        make(getattr(theirs, kind.__name__), max_iter=4, activation=activation, solver=solver, **extra), X, y
    )
    model = kind.from_sklearn(original)
    assert type(model) is kind
    np.testing.assert_array_equal(theta(model), theta(original))
    if kind is MLPClassifier:
        np.testing.assert_array_equal(model.classes_, original.classes_)
        np.testing.assert_array_equal(model.predict(X), original.predict(X))
        np.testing.assert_allclose(model.predict_proba(X), original.predict_proba(X), rtol=1e-9, atol=1e-14)
    else:
        np.testing.assert_allclose(model.predict(X), original.predict(X), rtol=1e-9, atol=1e-12)
    expected = original.get_params()
    assert {name: model.get_params()[name] for name in expected} == expected
    for name in ("n_features_in_", "n_layers_", "n_outputs_", "out_activation_", "n_iter_", "t_", "loss_"):
        assert getattr(model, name) == getattr(original, name), name
    # It is a copy: the original stays as it is.
    before = theta(original)
    model.coefs_[0][...] = 0
    np.testing.assert_array_equal(theta(original), before)


@pytest.mark.parametrize("kind", KINDS)
def test_from_sklearn_can_go_on_and_be_saved(kind, tmp_path):
    X, y = data(kind)
    original = quiet(make(getattr(theirs, kind.__name__), early_stopping=False), X, y)
    model = kind.from_sklearn(original)
    cr.save(model.network_, tmp_path / "model.safetensors")
    loaded = cr.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), model.network_.predict(X))
    before = theta(model)
    model.partial_fit(X, y)
    assert np.abs(theta(model) - before).max() > 0
    assert len(model.loss_curve_) == len(original.loss_curve_) + 1


def test_from_sklearn_needs_a_fitted_model():
    with pytest.raises(ValueError, match="not fitted"):
        MLPClassifier.from_sklearn(theirs.MLPClassifier())
    regressor = quiet(make(theirs.MLPRegressor), X_DIABETES, Y_DIABETES)
    with pytest.raises((ValueError, TypeError), match="MLPRegressor"):
        MLPClassifier.from_sklearn(regressor)


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c"], [3, 5, 7]])
def test_from_network(classes):
    outputs = 1 if len(classes) == 2 else 3
    loss = cr.losses.SigmoidCrossEntropy() if outputs == 1 else cr.losses.SoftmaxCrossEntropy()
    network = cr.Network(
        4, [cr.layers.Dense(5), cr.layers.Tanh(), cr.layers.Dense(outputs)], loss, seed=0, dtype="float64"
    )
    model = MLPClassifier.from_network(network, classes)
    np.testing.assert_array_equal(model.classes_, classes)
    p = model.predict_proba(X_IRIS)
    assert p.shape == (150, len(classes))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X_IRIS), np.asarray(classes)[p.argmax(axis=1)])
    np.testing.assert_allclose(p[:, -outputs:], network.predict(X_IRIS))
    assert model.n_features_in_ == 4
    assert repr(model.layers) == f"[Dense(5), Tanh(), Dense({outputs})]"
    assert model.score(X_IRIS, model.predict(X_IRIS)) == 1


def test_network_and_back():
    model = fitted(MLPClassifier)
    other = MLPClassifier.from_network(model.network_, model.classes_)
    np.testing.assert_array_equal(other.predict_proba(X_IRIS), model.predict_proba(X_IRIS))


def test_from_network_wants_as_many_classes_as_outputs():
    network = cr.Network(4, [cr.layers.Dense(3)], cr.losses.SoftmaxCrossEntropy(), seed=0)
    for classes in (["a", "b"], ["a", "b", "b"]):
        with pytest.raises(ValueError, match="3"):
            MLPClassifier.from_network(network, classes)


def test_from_network_wants_a_loss_for_classes():
    network = cr.Network(4, [cr.layers.Dense(3)], cr.losses.SquaredError(), seed=0)
    with pytest.raises(ValueError, match="SquaredError"):
        MLPClassifier.from_network(network, ["a", "b", "c"])


# ---------------------------------------------------------------- bad input

BAD_PARAMETERS = [
    (MLPClassifier, {"activation": ["relu", "tanh"]}, r"activation.*1.*2"),
    (MLPClassifier, {"activation": "rleu"}, "activation.*ReLU"),
    (MLPClassifier, {"activation": ["rleu"]}, "activation.*ReLU"),
    (MLPClassifier, {"activation": "dense"}, "activation"),
    (MLPClassifier, {"dropout": [0.1, 0.2]}, r"dropout.*1.*2"),
    (MLPClassifier, {"dropout": 1.0}, "dropout"),
    (MLPClassifier, {"dropout": [1.5]}, "1.5"),
    (MLPClassifier, {"input_dropout": -0.1}, "input_dropout"),
    (MLPClassifier, {"class_weight": {0: 1.0, 7: 2.0}}, r"class_weight.*7"),
    (MLPClassifier, {"class_weight": "heavy"}, "class_weight"),
    (MLPClassifier, {"class_weight": {0: -1.0}}, "weight"),
    (MLPClassifier, {"label_smoothing": 1.0}, "label_smoothing"),
    (MLPClassifier, {"threshold": 1.0}, "threshold"),
    (MLPClassifier, {"threshold": 0.5}, "threshold: expected a number for each of 3 classes, got 0.5"),
    (MLPClassifier, {"threshold": [0.5, 0.5]}, r"threshold: expected 3 numbers between 0 and 1, got \[0.5, 0.5\]"),
    (MLPClassifier, {"threshold": [0.5, 0.5, 1.5]}, "threshold: expected 3 numbers between 0 and 1"),
    (MLPClassifier, {"solver": "adamm"}, "solver"),
    (MLPClassifier, {"l1": -1.0}, "l1"),
    (MLPClassifier, {"max_norm": 0.0}, "max_norm"),
    (MLPClassifier, {"gradient_clip": -1.0}, "gradient_clip"),
    (MLPClassifier, {"dtype": "int8"}, "dtype"),
    (MLPRegressor, {"loss": "quantile", "quantile": 0.0}, "quantile"),
    (MLPRegressor, {"loss": "quantile", "quantile": 1.0}, "quantile"),
    (MLPRegressor, {"loss": "quantile", "quantile": -0.5}, "quantile"),
    (MLPRegressor, {"loss": "absolute"}, "loss"),
]


@pytest.mark.few(8)
@pytest.mark.parametrize(("kind", "change", "message"), BAD_PARAMETERS, ids=str)
def test_bad_parameters_leave_the_model(kind, change, message):
    model = fitted(kind)
    X, y = data(kind)
    before, curve = theta(model), list(model.loss_curve_)
    with pytest.raises(ValueError, match=message):
        model.set_params(**change).fit(X, y)
    np.testing.assert_array_equal(theta(model), before)
    assert model.loss_curve_ == curve
    with pytest.raises(ValueError, match=message):
        make(kind, **change).fit(X, y)


BAD_SETS = [
    ({"X_val": X_IRIS[:20], "y_val": np.full(20, 9)}, r"y_val.*9"),
    ({"X_val": X_IRIS[:20, :3], "y_val": Y_IRIS[:20]}, "3 features"),
    ({"X_val": X_IRIS[:20], "y_val": Y_IRIS[:19]}, r"20.*19|19.*20"),
    ({"X_val": X_IRIS[:20]}, "y_val"),
    ({"y_val": Y_IRIS[:20]}, "X_val"),
    ({"X_val": X_IRIS[:20] * np.nan, "y_val": Y_IRIS[:20]}, "NaN"),
]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("bad", "message"), BAD_SETS, ids=lambda v: v if isinstance(v, str) else "+".join(v))
def test_a_bad_validation_set_leaves_the_model(method, bad, message):
    model = fitted(MLPClassifier)
    before, curve, rows = theta(model), list(model.loss_curve_), model.t_
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(X_IRIS, Y_IRIS, **bad)
    np.testing.assert_array_equal(theta(model), before)
    assert (model.loss_curve_, model.t_) == (curve, rows)
    model.partial_fit(X_IRIS, Y_IRIS)


@pytest.mark.parametrize("target", ["regression", "multioutput"])
def test_a_validation_set_with_other_outputs(target):
    y = Y_DIABETES if target == "regression" else np.c_[Y_DIABETES, Y_DIABETES]
    wrong = np.c_[Y_DIABETES, Y_DIABETES, Y_DIABETES]
    with pytest.raises(ValueError, match="3"):
        make(MLPRegressor).fit(X_DIABETES, y, X_val=X_DIABETES, y_val=wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_other_data_leave_the_model(kind):
    model = fitted(kind)
    X, y = data(kind)
    before = theta(model)
    with pytest.raises(ValueError, match="features"):
        model.predict(X[:, 1:])
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, 1:], y)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X * np.nan, y)
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(X, y[1:])
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(X, y, sample_weight=np.ones(3))
    if kind is MLPClassifier:
        with pytest.raises(ValueError, match="classes"):
            model.partial_fit(X, y + 1)
    np.testing.assert_array_equal(theta(model), before)
    model.partial_fit(X, y)


def test_early_stopping_in_partial_fit_wants_a_validation_set():
    with pytest.raises(ValueError, match="early_stopping"):
        make(MLPClassifier, early_stopping=True).partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])


def test_a_divergence_leaves_the_model():
    model = fitted(MLPRegressor, solver="sgd")
    before = theta(model)
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        model.set_params(learning_rate_init=1e6).fit(X_DIABETES, Y_DIABETES)
    np.testing.assert_array_equal(theta(model), before)


@pytest.mark.parametrize("kind", KINDS)
def test_uint8_images_stay_uint8(kind, monkeypatch):
    """They are converted batch by batch, and give the same model as their float64 copy."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 4, (300, 20), dtype=np.uint8), rng.integers(0, 3, 300)
    given = []
    monkeypatch.setattr(
        _stochastic, "train", lambda network, X, y, **work: given.append(X) or cr.train(network, X, y, **work)
    )
    of_bytes, of_floats = quiet(make(kind), X, y), quiet(make(kind), X.astype("float64"), y)
    assert given[0] is X
    assert of_bytes.network_.dtype == np.float64
    np.testing.assert_array_equal(of_bytes.network_.theta, of_floats.network_.theta)
    np.testing.assert_array_equal(of_bytes.predict(X), of_floats.predict(X.astype("float64")))


@pytest.mark.parametrize("named", [False, True])
def test_predict_says_what_scikit_learn_says(named):
    """The short way to the network is only for arrays with which nothing is wrong."""
    rng = np.random.default_rng(0)
    X, y = rng.random((40, 3)), rng.integers(0, 2, 40)
    X = pytest.importorskip("pandas").DataFrame(X, columns=["a", "b", "c"]) if named else X
    ours, sklearns = (quiet(cls(max_iter=2), X, y) for cls in (MLPClassifier, theirs.MLPClassifier))
    for bad in [np.full((1, 3), np.nan), np.ones((2, 4)), np.ones(3), np.ones((0, 3)), np.array([["a", "b", "c"]])]:
        said = []
        for model in (ours, sklearns):
            with pytest.raises(ValueError) as error, warnings.catch_warnings():  # noqa: PT011, PT012
                warnings.simplefilter("ignore", UserWarning)
                model.predict_proba(bad)
            said.append(str(error.value))
        assert said[0] == said[1]
    if named:
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            ours.predict(np.ones((1, 3)))


# ---------------------------------------------------------------- normalisation and ensembles


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["batch_norm", "layer_norm"])
def test_a_norm_stands_between_each_hidden_product_and_its_activation(kind, name):
    model = fitted(kind, hidden_layer_sizes=(6, 5), dropout=0.1, **{name: True})
    norm = {"batch_norm": "BatchNorm", "layer_norm": "LayerNorm"}[name]
    block = ["Dense", norm, "ReLU", "Dropout"]
    assert [type(layer).__name__ for layer in model.network_.layers] == [*block, *block, "Dense"]


def test_both_norms_are_refused():
    with pytest.raises(ValueError, match="batch_norm and layer_norm: expected at most one, got both"):
        make(MLPClassifier, batch_norm=True, layer_norm=True).fit(X_IRIS, Y_IRIS)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_batch_norm_predicts_with_what_it_has_measured(solver):
    model = fitted(MLPClassifier, batch_norm=True, solver=solver, max_iter=60, learning_rate_init=0.02)
    layer = model.network_.layers[1]
    z = X_IRIS @ model.coefs_[0] + model.intercepts_[0]
    if solver == "lbfgs":  # the batch is all rows
        np.testing.assert_allclose(layer.running_mean, z.mean(axis=0), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(layer.running_var, z.var(axis=0, ddof=1), rtol=1e-9)
    hidden = np.maximum(layer.gamma * (z - layer.running_mean) / np.sqrt(layer.running_var + 1e-5) + layer.beta, 0)
    logits = hidden @ model.coefs_[1] + model.intercepts_[1]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X_IRIS), p, rtol=1e-9, atol=1e-12)
    assert model.score(X_IRIS, Y_IRIS) > 0.9


def test_early_stopping_takes_the_statistics_of_the_best_epoch_too():
    model = make(MLPClassifier, batch_norm=True, early_stopping=True, max_iter=30)
    quiet(model, X_IRIS, Y_IRIS)
    np.testing.assert_array_equal(model.network_.values, model._record.solver.best_theta)
    assert model.network_.statistics.size == 24


def test_an_estimator_that_fails_stays_as_it_was(monkeypatch):
    model = make(MLPClassifier)
    model.partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])
    before, steps = model.network_.values.copy(), model._record.solver.memory.t

    def fails_at_the_end(*args, **kwargs):
        _stochastic.fit_stochastic(*args, **kwargs)
        raise ValueError("broken")

    monkeypatch.setattr(base, "fit_stochastic", fails_at_the_end)
    with pytest.raises(ValueError, match="broken"):
        model.partial_fit(X_IRIS, Y_IRIS)
    np.testing.assert_array_equal(model.network_.values, before)
    assert model._record.solver.memory.t == steps


# ---------------------------------------------------------------- names in messages are those of the estimators


def big(y):
    return np.where(np.arange(len(y)) == 3, 1e200, y)


@pytest.mark.parametrize(
    ("kind", "change", "arguments", "message"),
    [
        (MLPRegressor, {"loss": "poisson"}, {"y": Y_DIABETES - 9}, "^y: Poisson expects counts of at least 0"),
        (
            MLPRegressor,
            {"loss": "poisson"},
            {"y": np.abs(Y_DIABETES), "y_val": Y_DIABETES - 9},
            "^y_val: Poisson expects",
        ),
        (MLPRegressor, {}, {"y_val": np.c_[Y_DIABETES, Y_DIABETES]}, r"^y_val: .*\(200, 2\)\. y has 1 column"),
        (
            MLPRegressor,
            {},
            {"y_val": Y_DIABETES[1:]},
            "^X_val and y_val: expected the same number of rows, got 200 and 199",
        ),
        (MLPRegressor, {}, {"y_val": Y_DIABETES * np.nan}, "^y_val: expected finite numbers"),
        (MLPRegressor, {}, {"y": np.array([None, *Y_DIABETES[1:]])}, "^y: expected finite numbers, got NaN, None"),
        (
            MLPRegressor,
            {"dtype": "float32"},
            {"y": big(Y_DIABETES)},
            "^y: values up to 1e\\+200 overflow float32",
        ),
        (
            MLPRegressor,
            {"dtype": "float32"},
            {"X_val": X_DIABETES * 1e200, "y_val": Y_DIABETES},
            "^X_val: .*set dtype='float64'",
        ),
        (
            MLPRegressor,
            {"solver": "sgd", "learning_rate_init": 1e6},
            {},
            r"a learning_rate_init ten times.*\(gradient_clip=1.0\)",
        ),
        (MLPRegressor, {"callbacks": [cr.EarlyStopping()]}, {}, r"fit\(X, y, X_val=X_val, y_val=y_val\)"),
        (MLPClassifier, {"dropout": [1.5]}, {}, r"^MLPClassifier: dropout: expected a number in \[0, 1\), got 1.5"),
        (MLPClassifier, {"class_weight": {0: -1.0, 1: 1, 2: 1}}, {}, "^class_weight: 0: expected a number"),
        (MLPClassifier, {"class_weight": {0: 0.0, 1: 0, 2: 0}}, {}, "^class_weight: expected a weight above 0"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_messages_name_what_the_user_of_an_estimator_typed(kind, change, arguments, message):
    """Not train()'s names for it: t, validation, clip=ClipNorm(1.0)."""
    X, y = data(kind)
    given = {"X_val": X} | arguments if "y_val" in arguments else arguments
    with pytest.raises(ValueError, match=message) as caught:
        make(kind, **change).fit(X, **({"y": y} | given))
    assert "ClipNorm" not in str(caught.value)
    assert not str(caught.value).startswith("t:")


def test_a_warning_of_a_divergence_names_them_too():
    model = make(MLPRegressor, solver="sgd", learning_rate_init=0.5, early_stopping=True, max_iter=200)
    with pytest.warns(UserWarning, match=r"gradient_clip=1.0.*best parameters so far are kept") as caught:
        model.fit(X_DIABETES, Y_DIABETES * 30)
    assert not any("ClipNorm" in str(warning.message) for warning in caught)


# ---------------------------------------------------------------- a fold that lacks a class, columns, sizes, dates


@pytest.mark.parametrize("names", [[0, 1, 2], ["a", "b", "c"]])
def test_a_class_weight_of_a_class_that_a_fold_lacks(names):
    """A dict for all classes works on rows that lack one, as in scikit-learn; the others count as they should."""
    y = np.asarray(names)[Y_IRIS]
    rows = Y_IRIS > 0
    weights = dict(zip(names, [5.0, 2.0, 0.5], strict=True))
    model = quiet(make(MLPClassifier, class_weight=weights), X_IRIS[rows], y[rows])
    sample_weight = np.where(y[rows] == names[1], 2.0, 0.5)
    expected = quiet(make(MLPClassifier), X_IRIS[rows], y[rows], sample_weight)
    np.testing.assert_allclose(theta(model), theta(expected), rtol=1e-10, atol=1e-12)


def test_a_class_weight_in_the_parts_of_a_partial_fit():
    model = make(MLPClassifier, class_weight={2: 5.0})
    for part in (slice(0, 50), slice(50, 100), slice(100, 150)):
        model.partial_fit(X_IRIS[part], Y_IRIS[part], classes=[0, 1, 2])
    assert model.t_ == 150


def test_a_misspelled_class_is_still_refused():
    names = np.array(["no", "yes"])[(Y_IRIS > 0).astype(int)]
    with pytest.raises(
        ValueError, match=r"class_weight: \['Yes'\] are not among the classes .* \['yes'\] have no weight"
    ):
        make(MLPClassifier, class_weight={"no": 1.0, "Yes": 2.0}).fit(X_IRIS, names)


@pytest.mark.parametrize("kind", KINDS)
def test_y_val_may_be_a_column_as_y_may(kind):
    X, y = data(kind)
    flat = quiet(make(kind), X, y, X_val=X[::3], y_val=y[::3])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        column = make(kind).fit(X, y, X_val=X[::3], y_val=y[::3, np.newaxis])
    assert any("column-vector y was passed" in str(warning.message) for warning in caught)
    assert column.history_["val_loss"] == flat.history_["val_loss"]
    assert column.history_["val_score"] == flat.history_["val_score"]


@pytest.mark.parametrize(
    "sizes", [True, [True], [5.7], (5.0,), ["10"], [None], [[3, 4]], [np.nan], np.array([3.5])], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_that_are_no_whole_numbers(kind, sizes):
    with pytest.raises((ValueError, TypeError), match=r"'hidden_layer_sizes' parameter of MLP.* must be whole numbers"):
        make(kind, hidden_layer_sizes=sizes).fit(*data(kind))


@pytest.mark.parametrize("sizes", [np.array([3, 4]), [np.int64(3), 4], (3, 4), range(3, 5)], ids=repr)
def test_sizes_that_are(sizes):
    assert [W.shape[1] for W in fitted(MLPClassifier, hidden_layer_sizes=sizes).coefs_] == [3, 4, 3]


DAYS = np.array("2024-01-01", "M8[D]") + np.arange(200)


@pytest.mark.parametrize(
    "y", [DAYS, DAYS.astype("M8[ns]"), DAYS - DAYS[0], np.array(["1", "2"] * 100)], ids=lambda y: str(y.dtype)
)
def test_dates_and_texts_are_no_numbers_to_predict(y):
    """scikit-learn refuses them, too."""
    with pytest.raises(TypeError):
        quiet(make(theirs.MLPRegressor), X_DIABETES, y)
    for method in ("fit", "partial_fit"):
        with pytest.raises(TypeError, match=r"^y: expected numbers, got .*: convert them, for example"):
            getattr(make(MLPRegressor), method)(X_DIABETES, y)
    with pytest.raises(TypeError, match=r"^y_val: expected numbers, got"):
        make(MLPRegressor).fit(X_DIABETES, Y_DIABETES, X_val=X_DIABETES, y_val=y)


@pytest.mark.parametrize("kind", KINDS)
def test_from_network_wants_a_network(kind):
    for thing in (kind(), [cr.layers.Dense(1)], None):
        with pytest.raises(TypeError, match="Network"):
            kind.from_network(thing, **({"classes": [0, 1]} if kind is MLPClassifier else {}))
