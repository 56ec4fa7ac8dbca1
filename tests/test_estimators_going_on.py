"""From one call of ``fit`` or ``partial_fit`` to the next: epochs, settings, what Ctrl-C leaves; beside scikit-learn's."""

import signal
import warnings

import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule import MLPClassifier, MLPRegressor
from chainrule.layers import BatchNorm, Dense, Tanh
from chainrule.network import Network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
X_D, Y_D = load_diabetes(return_X_y=True)
X_D, Y_D = StandardScaler().fit_transform(X_D), (Y_D - Y_D.mean()) / Y_D.std()


def make(kind=MLPClassifier, **parameters):
    return kind(**{"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0, **parameters})


def theta(model):
    return np.concatenate([p.ravel() for p in [*model.coefs_, *model.intercepts_]])


# ---------------------------------------------------------------- schedules


def rates(model, parts):
    found = []
    for _ in range(parts):
        model.partial_fit(X, Y, **({"classes": [0, 1, 2]} if isinstance(model, MLPClassifier) else {}))
        found += model.history_["learning_rate"]
    return found


def test_a_schedule_counts_the_epochs_of_partial_fit():
    model = make(learning_rate=cr.schedules.Step(2, 0.1), learning_rate_init=1.0)
    np.testing.assert_allclose(rates(model, 6), [1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_schedule_that_needs_the_end_takes_max_iter_for_it():
    """The learning rates of four parts are those of a fit of four epochs; after the end it stays there."""
    whole = make(learning_rate=cr.schedules.Cosine(), max_iter=4).fit(X, Y)
    parts = make(learning_rate=cr.schedules.Cosine(), max_iter=4)
    np.testing.assert_allclose(rates(parts, 4), whole.history_["learning_rate"])
    assert all(0 <= rate <= parts.learning_rate_init for rate in rates(parts, 2))


def test_the_epochs_are_counted_through_files_and_copies(tmp_path):
    model = make(learning_rate=cr.schedules.Step(2, 0.1), learning_rate_init=1.0)
    rates(model, 3)
    cr.save(model, tmp_path / "model.safetensors")
    for other in (MLPClassifier.load(tmp_path / "model.safetensors"), cr.MLPClassifier.__new__(MLPClassifier)):
        if not vars(other):
            other.__setstate__(model.__getstate__())
        np.testing.assert_allclose(rates(other, 2), [0.1, 0.01])


def test_a_warm_start_is_a_schedule_of_its_own():
    model = make(learning_rate=cr.schedules.Step(2, 0.1), learning_rate_init=1.0, warm_start=True)
    for _ in range(2):
        np.testing.assert_allclose(model.fit(X, Y).history_["learning_rate"], [1, 1, 0.1])


# ---------------------------------------------------------------- warm starts as scikit-learn's


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "settings",
    [
        {"tol": 0.5, "n_iter_no_change": 3},
        {"tol": 0.5, "n_iter_no_change": 3, "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1},
        {"early_stopping": True, "n_iter_no_change": 3},
        {"early_stopping": True, "n_iter_no_change": 2, "solver": "sgd"},
        {"tol": 1e-3, "n_iter_no_change": 2, "learning_rate_init": 0.02},
    ],
    ids=str,
)
def test_a_warm_start_after_a_fit_that_stopped_does_as_many_epochs_as_scikit_learn(settings):
    ours, reference = (
        make(kind, warm_start=True, max_iter=60, **settings) for kind in (MLPClassifier, theirs.MLPClassifier)
    )
    for _ in range(4):
        ours.fit(X, Y)
        reference.fit(X, Y)
        assert ours.n_iter_ == reference.n_iter_
        np.testing.assert_allclose(theta(ours), theta(reference), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("activation", ["logistic", "relu", "tanh", "identity"])
@pytest.mark.parametrize("sizes", [(), (4,)])
def test_first_weights_are_scikit_learns_without_hidden_layers_too(sizes, activation):
    ours, reference = (
        make(kind, hidden_layer_sizes=sizes, activation=activation) for kind in (MLPClassifier, theirs.MLPClassifier)
    )
    np.testing.assert_allclose(theta(ours.fit(X, Y)), theta(reference.fit(X, Y)), rtol=1e-10, atol=1e-12)


def test_a_regressor_has_partial_fit_with_lbfgs_as_scikit_learns_does():
    ours, reference = (make(kind, solver="lbfgs", max_iter=4) for kind in (MLPRegressor, theirs.MLPRegressor))
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    for _ in range(3):
        ours.partial_fit(X_D, Y_D)
        reference.partial_fit(X_D, Y_D)
        assert ours.n_iter_ == reference.n_iter_
        np.testing.assert_allclose(theta(ours), theta(reference), rtol=1e-6, atol=1e-8)


# ---------------------------------------------------------------- set_params before going on: obeyed, or refused

OBEYED = [
    (MLPClassifier, {"activation": "tanh"}),
    (MLPClassifier, {"dropout": 0.5}),
    (MLPClassifier, {"input_dropout": 0.5}),
    (MLPClassifier, {"label_smoothing": 0.3}),
    (MLPClassifier, {"dtype": "float32"}),
    (MLPClassifier, {"alpha": 10.0}),
    (MLPClassifier, {"learning_rate_init": 0.1}),
    (MLPClassifier, {"solver": "sgd"}),
    (MLPClassifier, {"beta_1": 0.1}),
    (MLPRegressor, {"activation": "tanh"}),
    (MLPRegressor, {"loss": "huber"}),
    (MLPRegressor, {"loss": "quantile", "quantile": 0.9}),
    (MLPRegressor, {"loss": cr.losses.AbsoluteError()}),
]


def data(kind):
    return (X, Y) if kind is MLPClassifier else (X_D, Y_D * 2)


def continued(kind, change, method):
    model = make(kind, warm_start=method == "fit").fit(*data(kind))
    start = theta(model).copy()
    model.set_params(**change)
    getattr(model, method)(*data(kind))
    return start, model


@pytest.mark.few(8)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("kind", "change"), OBEYED, ids=str)
def test_what_set_params_changed_is_obeyed(kind, change, method):
    start, plain = continued(kind, {}, method)
    same_start, changed = continued(kind, change, method)
    np.testing.assert_array_equal(start, same_start)
    assert np.abs(theta(changed) - theta(plain)).max() > 1e-9
    asked = make(kind, **change).fit(*data(kind)).network_
    assert list(map(repr, changed.network_.layers)) == list(map(repr, asked.layers))
    assert (repr(changed.network_.loss), changed.network_.dtype) == (repr(asked.loss), asked.dtype)


def test_one_that_goes_on_with_other_layers_starts_where_it_was():
    """A step of size almost 0 after set_params leaves the parameters that were learned."""
    model = make(warm_start=True).fit(X, Y)
    before = theta(model).copy()
    model.set_params(activation="tanh", dropout=0.2, solver="sgd", learning_rate_init=1e-12).fit(X, Y)
    np.testing.assert_allclose(theta(model), before, atol=1e-9)


REFUSED = [
    {"hidden_layer_sizes": (7,)},
    {"hidden_layer_sizes": (6, 6)},
    {"batch_norm": True},
    {"layer_norm": True},
    {"layers": [Dense(5), Tanh(), Dense(3)], "hidden_layer_sizes": (100,)},
]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("change", REFUSED, ids=str)
def test_what_does_not_fit_what_was_learned_is_refused(change, method):
    model = make(warm_start=method == "fit").fit(X, Y)
    before, history = theta(model).copy(), model.history_
    model.set_params(**change)
    with pytest.raises(ValueError, match=r"fitted network is \[Dense\(6\), ReLU\(\), Dense\(3\)\].*now require \["):
        getattr(model, method)(X, Y)
    np.testing.assert_array_equal(theta(model), before)
    assert model.history_ is history


def test_other_outputs_are_refused():
    model = make(MLPRegressor).fit(X_D, Y_D)
    with pytest.raises(ValueError, match=r"fitted network is .*Dense\(1\)\].*require .*Dense\(2\)\]"):
        model.partial_fit(X_D, np.c_[Y_D, Y_D])
    assert model.predict(X_D).shape == Y_D.shape


def test_statistics_are_carried_over():
    model = make(batch_norm=True, warm_start=True, max_iter=20).fit(X, Y)
    model.set_params(activation="tanh", solver="sgd", learning_rate_init=1e-12, max_iter=1)
    before = model.network_.statistics.copy()
    model.fit(X, Y)
    assert [type(layer) for layer in model.network_.layers] == [Dense, BatchNorm, Tanh, Dense]
    assert np.abs(model.network_.statistics - before).max() < 0.2 * np.abs(before).max()


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_early_stopping_may_be_turned_on_and_off(method):
    model = make(warm_start=method == "fit").fit(X, Y)
    given = {"X_val": X, "y_val": Y}
    getattr(model.set_params(early_stopping=True), method)(X, Y, **given)
    assert len(model.validation_scores_) == len(model.loss_curve_) - 3 > 0
    getattr(model.set_params(early_stopping=False), method)(X, Y)
    assert (model.validation_scores_, model.best_validation_score_) == (None, None)
    assert np.isfinite(model.best_loss_)


def test_lbfgs_and_then_adam():
    model = make(solver="lbfgs", warm_start=True).fit(X, Y)
    assert len(model.set_params(solver="adam").fit(X, Y).loss_curve_) == 3


# ---------------------------------------------------------------- Ctrl-C


class PressCtrlC(cr.Callback):
    def __init__(self, at):
        self.at, self.epochs = at, 0

    def on_batch(self, run):
        self.epochs += run.batch == run.batches
        if self.epochs == self.at:
            self.epochs += 1
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_keeps_the_completed_epochs():
    model = make(callbacks=[PressCtrlC(2)])
    with pytest.warns(UserWarning, match="interrupted by user") as caught:
        model.fit(X, Y)
    assert [str(w.message) for w in caught if "interrupted" in str(w.message)] == ["Training interrupted by user."]
    assert model.n_iter_ < model.max_iter
    assert model.predict_proba(X).shape == (150, 3)
    assert not np.array_equal(model.network_.theta, make().fit(X, Y).network_.theta)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_ctrl_c_in_lbfgs_keeps_what_was_learned(kind, monkeypatch):
    calls, original = [], Network.loss_and_grad

    def pressing(self, *args):
        calls.append(1)
        if len(calls) == 12:
            signal.raise_signal(signal.SIGINT)
        return original(self, *args)

    monkeypatch.setattr(Network, "loss_and_grad", pressing)
    model = make(kind, solver="lbfgs", max_iter=200)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(*data(kind))
    assert 5 <= model.n_iter_ <= 12
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.undo()
    shorter = make(kind, solver="lbfgs", max_iter=model.n_iter_).fit(*data(kind))
    np.testing.assert_allclose(theta(model), theta(shorter), rtol=1e-6, atol=1e-9)


def test_no_advice_on_a_network_that_was_interrupted():
    """That it predicts the same for every row after one epoch is no news to who has stopped it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make(callbacks=[PressCtrlC(1)], learning_rate_init=1e3).fit(X, Y)
    assert [str(w.message) for w in caught] == ["Training interrupted by user."]
