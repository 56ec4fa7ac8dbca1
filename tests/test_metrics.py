"""Metrics by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from chainrule import metrics
from chainrule.metrics import accuracy, binary_accuracy, direction, r2

TESTED = {"accuracy", "binary_accuracy", "direction", "r2"}


def test_every_public_metric_is_tested_here():
    missing = set(metrics.__all__) - TESTED
    assert not missing, f"add {sorted(missing)} to this file: a metric without a test may be wrong"


def test_accuracy_takes_labels_and_probabilities():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0.5, 0.3, 0.2]])
    assert accuracy(np.array([0, 2, 0, 1]), p) == 0.5
    assert accuracy(np.array([[0.6, 0.4, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]), p) == 0.5
    rng = np.random.default_rng(0)
    t, p = rng.integers(0, 5, 200), rng.uniform(size=(200, 5))
    assert accuracy(t, p) == pytest.approx(accuracy_score(t, p.argmax(axis=1)), rel=1e-15)


def test_binary_accuracy_counts_every_label():
    t = np.array([[0, 1], [1, 1], [0, 0.0]])
    p = np.array([[0.4, 0.5], [0.6, 0.2], [0.5, 0.1]])
    assert binary_accuracy(t, p) == pytest.approx(4 / 6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_r2_equals_that_of_scikit_learn(outputs, dtype):
    rng = np.random.default_rng(0)
    t = rng.normal(size=(50, outputs)).astype(dtype)
    p = (t + rng.normal(scale=0.5, size=t.shape)).astype(dtype)
    assert r2(t, p) == pytest.approx(r2_score(t.astype(float), p.astype(float)), rel=1e-12)
    assert r2(t, t) == 1
    assert r2(t, np.broadcast_to(t.mean(axis=0, dtype=float), t.shape)) == pytest.approx(0, abs=1e-12)
    assert isinstance(r2(t, p), float)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 10, 49, 1000])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1, -1 / 3])
def test_r2_of_targets_that_are_all_equal(value, rows):
    """Their mean may differ from them by a rounding, which must not be taken for a variance."""
    t = np.full((rows, 1), value)
    assert r2(t, t) == 1
    assert r2(t, t + 0.5) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weighted_metrics_equal_those_of_scikit_learn(dtype):
    rng = np.random.default_rng(1)
    weight = (rng.random(80) * (rng.random(80) < 0.8)).astype(dtype)
    options = {"sample_weight": weight.astype(float)}
    t, p = rng.integers(0, 4, 80), rng.uniform(size=(80, 4))
    assert accuracy(t, p, weight) == pytest.approx(accuracy_score(t, p.argmax(axis=1), **options), rel=1e-6)
    yes, p = rng.integers(0, 2, (80, 1)), rng.uniform(size=(80, 1))
    assert binary_accuracy(yes, p, weight) == pytest.approx(accuracy_score(yes, p >= 0.5, **options), rel=1e-6)
    t = rng.normal(size=(80, 2)).astype(dtype)
    p = t + rng.normal(size=(80, 2)).astype(dtype)
    assert r2(t, p, weight) == pytest.approx(r2_score(t.astype(float), p.astype(float), **options), rel=1e-6)
    assert r2(np.ones((3, 1)), np.ones((3, 1)), np.array([1.0, 0.0, 0.3])) == 1


def test_a_direction_is_said_only_where_a_name_says_it():
    assert direction("val_RMSE") == direction("log loss") == direction("neg-log-likelihood") == "min"
    assert direction("neg_mean_squared_error") == direction("f1_macro") == direction("balanced accuracy") == "max"
    for unknown in ("", "val_", "seconds", "learning_rate", "fun", "one_minus_accuracy", "lossless"):
        assert direction(unknown) is None
