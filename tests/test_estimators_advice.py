"""The warnings that help: each comes when it should, once, and not otherwise."""

import re
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from chainrule import MLPClassifier, MLPRegressor
from chainrule.estimators.advice import (
    ConstantOutputWarning,
    DeadUnitsWarning,
    StillImprovingWarning,
    UnscaledInputWarning,
    warn_unconverged,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
y = (X[:, 0] + X[:, 1] > 0).astype(int)


def caught(model, X=X, y=y, **fit):
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        model.fit(X, y, **fit)
    return [w.message for w in record]


def of(kind, messages):
    return [str(m) for m in messages if type(m) is kind]


def test_unscaled_inputs_name_the_column_and_how_far():
    large = X * [1, 1, 1] + [0, 4000, 0]
    (message,) = of(UnscaledInputWarning, caught(MLPClassifier(max_iter=5, random_state=0), large))
    assert "column 1 of X has mean 4e+03 and standard deviation" in message
    assert "StandardScaler" in message
    many = of(UnscaledInputWarning, caught(MLPClassifier(max_iter=5, random_state=0), X * 1000))
    assert "2 other columns are also large" in many[0]


def test_unscaled_inputs_of_a_frame_are_named():
    frame = pytest.importorskip("pandas").DataFrame(X * [1, 1, 5000], columns=["a", "b", "income"])
    (message,) = of(UnscaledInputWarning, caught(MLPClassifier(max_iter=5, random_state=0), frame))
    assert "column 'income' of X" in message


def test_scaled_inputs_and_a_good_fit_warn_of_nothing():
    assert caught(MLPClassifier((10,), solver="lbfgs", max_iter=300, random_state=0)) == []
    assert caught(MLPClassifier((10,), learning_rate_init=0.05, max_iter=1000, random_state=0)) == []


def test_dead_units_and_constant_output():
    network = MLPClassifier((20,), max_iter=1, random_state=0)
    caught(network)
    network.warm_start = True
    network.intercepts_[0][:11] = -100  # eleven of twenty never answer
    (dead,) = of(DeadUnitsWarning, caught(network))
    assert "55%" in dead
    assert "of the ReLU units in layer 1 are dead: they output 0 for every row" in dead
    model = MLPRegressor(hidden_layer_sizes=(5,), solver="sgd", learning_rate_init=1e-9, max_iter=2, random_state=0)
    constant = X * 0 + 1
    assert of(ConstantOutputWarning, caught(model, constant, X[:, 0]))
    assert not of(ConstantOutputWarning, caught(model, X, X[:, 0]))
    assert not of(ConstantOutputWarning, caught(model, constant, np.ones(200)))


def test_stopping_while_improving_says_how_much_and_how_long():
    (message,) = of(StillImprovingWarning, caught(MLPClassifier(max_iter=20, random_state=0)))
    assert message.startswith("Stochastic Optimizer: Maximum iterations (20) reached")
    assert "is still falling by 0.0" in message
    assert re.search(r"at this rate it needs about \d+ more epochs \(max_iter=", message)
    assert issubclass(StillImprovingWarning, ConvergenceWarning)


def test_the_number_of_epochs_is_that_of_the_pace():
    """Drops that shrink by a tenth an epoch, the mean of the last five 1.0: 44 epochs until they are below 0.01."""
    drops = 0.9 ** np.arange(10)
    drops /= drops[5:].mean()
    with pytest.warns(
        StillImprovingWarning, match=r"still falling by 1 per epoch; at this rate it needs about 44 more epochs"
    ):
        warn_unconverged([100.0, *(100 - np.cumsum(drops))], 10, 0.01)


def test_stopping_without_improvement_is_the_plain_warning():
    with pytest.warns(ConvergenceWarning) as record:
        warn_unconverged([1.0, 1.0, 1.0], 3, 1e-4)
    assert type(record[0].message) is ConvergenceWarning


def test_balanced_weights_for_several_labels_at_once():
    labels = np.c_[y, RNG.random(200) < 0.1].astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain = MLPClassifier((10,), max_iter=30, random_state=0).fit(X, labels)
        balanced = MLPClassifier((10,), max_iter=30, random_state=0, class_weight="balanced").fit(X, labels)
    assert balanced.predict_proba(X)[:, 1].mean() > 1.1 * plain.predict_proba(X)[:, 1].mean()
    with pytest.raises(ValueError, match="expected 'balanced' or None for multilabel targets"):
        MLPClassifier(class_weight={0: 1, 1: 2}).fit(X, labels)


def test_a_first_partial_fit_that_fails_leaves_nothing():
    model = MLPClassifier((5,))
    before = set(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X * np.nan, y, classes=[0, 1])
    assert set(vars(model)) == before


def test_a_fit_that_diverges_leaves_curve_parameters_and_memory_as_they_were():
    settings = {"solver": "sgd", "learning_rate_init": 0.1, "random_state": 0}
    model, twin = (MLPRegressor(hidden_layer_sizes=(5,), **settings).partial_fit(X, X[:, 0]) for _ in range(2))
    model.set_params(warm_start=True)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(1e30 * X, X[:, 0])
    assert model.loss_curve_ == twin.loss_curve_
    for a, b in zip(model.coefs_, twin.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    model.partial_fit(X, X[:, 0])
    twin.partial_fit(X, X[:, 0])
    np.testing.assert_array_equal(model.network_.theta, twin.network_.theta)


def test_label_smoothing_of_two_classes_keeps_probabilities_from_the_ends():
    model = MLPClassifier((10,), solver="lbfgs", alpha=0, max_iter=500, label_smoothing=0.2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        p = model.fit(X, y).predict_proba(X)[:, 1]
    assert 0.05 < np.median(p[y == 0]) < 0.15  # smoothed targets are 0.1 and 0.9
    assert 0.85 < np.median(p[y == 1]) < 0.95
    assert set(model.predict(X)) == {0, 1}
