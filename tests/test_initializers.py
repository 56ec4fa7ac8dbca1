"""Initializers by their moments, with a fixed seed and bounds of five standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

import chainrule as cr
from chainrule import initializers
from chainrule._internal.names import public_classes
from chainrule.initializers import (
    Constant,
    Fans,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LeCunNormal,
    Normal,
    Uniform,
    Zeros,
)


def sum_of(fans):
    return fans.fan_in + fans.fan_out


# (initializer, mean, variance for given fans, distribution)
CASES = [
    (Zeros(), 0, lambda fans: 0, "constant"),
    (Constant(0.3), 0.3, lambda fans: 0, "constant"),
    (Uniform(), 0, lambda fans: 0.1**2 / 12, "uniform"),
    (Uniform(-1, 3), 1, lambda fans: 4**2 / 12, "uniform"),
    (Normal(), 0, lambda fans: 0.05**2, "normal"),
    (Normal(std=2.0, mean=-1.0), -1, lambda fans: 4, "normal"),
    (GlorotUniform(), 0, lambda fans: 2 / sum_of(fans), "uniform"),
    (GlorotNormal(), 0, lambda fans: 2 / sum_of(fans), "normal"),
    (HeUniform(), 0, lambda fans: 2 / fans.fan_in, "uniform"),
    (HeNormal(), 0, lambda fans: 2 / fans.fan_in, "normal"),
    (LeCunNormal(), 0, lambda fans: 1 / fans.fan_in, "normal"),
]
REGISTRY = public_classes(initializers, Initializer)
SHAPES = [((400, 100), Fans(400, 100)), ((50, 800), Fans(50, 800)), ((5, 5, 20, 40), Fans(500, 1000))]
every_case = pytest.mark.parametrize(("init", "mean", "variance", "kind"), CASES, ids=[repr(c[0]) for c in CASES])


def test_every_public_initializer_has_a_case_here():
    missing = set(REGISTRY) - {type(case[0]).__name__ for case in CASES}
    assert not missing, f"add {sorted(missing)} to CASES in this file: what are its mean and variance?"


@pytest.mark.parametrize(("shape", "fans"), SHAPES, ids=str)
@every_case
def test_moments_and_support(init, mean, variance, kind, shape, fans):
    w = init.draw(shape, fans, np.random.default_rng(0))
    assert w.shape == shape
    assert w.dtype == np.float64
    expected, n = variance(fans), w.size
    if kind == "constant":
        np.testing.assert_array_equal(w, mean)
        return
    fourth = {"uniform": 9 / 5, "normal": 3}[kind]  # E[(w − mean)⁴] / Var²
    std = math.sqrt(expected)
    assert w.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(n)), f"{init}: mean"
    assert w.var() == pytest.approx(expected, rel=5 * math.sqrt((fourth - 1) / n)), f"{init}: variance"
    if kind == "uniform":
        limit = math.sqrt(3) * std
        distribution = scipy.stats.uniform(mean - limit, 2 * limit)
        assert limit * 0.999 < np.abs(w - mean).max() <= limit, f"{init}: support"
    else:
        distribution = scipy.stats.norm(mean, std)
        assert np.abs(w - mean).max() > 3.5 * std, f"{init} is not truncated"
    assert scipy.stats.kstest(w.ravel(), distribution.cdf).pvalue > 1e-3, f"{init} is not {kind}"


@every_case
def test_the_same_generator_gives_the_same_numbers(init, mean, variance, kind):
    fans = Fans(7, 5)
    first, second = (init.draw((7, 5), fans, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    if kind != "constant":
        assert not np.array_equal(first, init.draw((7, 5), fans, np.random.default_rng(2)))
        rng = np.random.default_rng(1)
        init.draw((7, 5), fans, rng)
        assert not np.array_equal(first, init.draw((7, 5), fans, rng)), "a generator moves on"


@pytest.mark.parametrize(
    ("init", "name", "kwargs"),
    [
        (GlorotUniform(), "xavier_uniform_", {}),
        (GlorotNormal(), "xavier_normal_", {}),
        (HeUniform(), "kaiming_uniform_", {"nonlinearity": "relu"}),
        (HeNormal(), "kaiming_normal_", {"nonlinearity": "relu"}),
        (LeCunNormal(), "kaiming_normal_", {"nonlinearity": "linear"}),
    ],
    ids=repr,
)
def test_the_variance_is_that_of_pytorch(init, name, kwargs):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    other = getattr(torch.nn.init, name)(torch.empty(300, 200), **kwargs)  # PyTorch: (outputs, inputs)
    w = init.draw((200, 300), Fans(200, 300), np.random.default_rng(0))
    assert w.var() == pytest.approx(other.var().item(), rel=5 * math.sqrt(2 * 2 / w.size))


@pytest.mark.parametrize(
    ("activation", "init"),
    [(cr.layers.ReLU(), HeNormal()), (cr.layers.SELU(), LeCunNormal()), (cr.layers.Identity(), LeCunNormal())],
    ids=repr,
)
def test_the_argument_about_variance_holds_through_ten_layers(activation, init):
    """Forward, E[x²] neither vanishes nor explodes: that is what the initializers are for."""
    layers = [layer for _ in range(10) for layer in (cr.layers.Dense(200, weights=init), activation)]
    network = cr.Network(200, layers, "squared_error", seed=0, dtype="float64")
    x = np.random.default_rng(0).normal(size=(100, 200))
    assert 0.4 < np.mean(network.predict(x) ** 2) < 2.5


def test_a_network_draws_biases_too_with_the_fans_of_their_layer():
    network = cr.Network(400, [cr.layers.Dense(3000, biases="he_uniform")], "squared_error", seed=0)
    b = network.layers[0].b
    limit = math.sqrt(6 / 400)
    assert 0.99 * limit < np.abs(b).max() <= np.float32(limit)
    assert b.var() == pytest.approx(2 / 400, rel=5 * math.sqrt(0.8 / 3000))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(1.0, 1.0), "Uniform: expected low < high, got low=1.0, high=1.0: swap them"),
        (lambda: Uniform(0.5, -0.5), "Uniform: expected low < high"),
        (lambda: Uniform(-math.inf, 0.0), "Uniform: expected a finite number for low, got -inf"),
        (lambda: Uniform(0.0, math.nan), "Uniform: expected a finite number for high, got nan"),
        (lambda: Normal(-0.1), "Normal: expected std >= 0, got -0.1"),
        (lambda: Normal(math.nan), "Normal: expected a finite number for std, got nan"),
        (lambda: Normal(1.0, math.inf), "Normal: expected a finite number for mean, got inf"),
        (lambda: Constant(math.nan), "Constant: expected a finite number for value, got nan"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_initializer_of_ones_own_is_one_method():
    class Eye(Initializer):
        def draw(self, shape, fans, rng):
            return np.eye(*shape)

    network = cr.Network(3, [cr.layers.Dense(3, weights=Eye())], "squared_error")
    np.testing.assert_array_equal(network.predict(np.eye(3)), np.eye(3))
