"""The learning-rate range test: what it measures, what it suggests, and that it leaves the network as it was."""

import io
from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers import Dense, ReLU
from chainrule.optimizers import SGD, Adam, AdamW, Momentum, RMSProp
from chainrule.plotting import plot_range_test

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 3))
T = X[:, 0] + 0.1 * rng.normal(size=300)


def network():
    return cr.Network(3, [Dense(1)], "squared_error", seed=1, dtype="float64")


def run(**settings):
    return cr.lr_range_test(network(), X, T, **({"optimizer": "sgd", "seed": 0} | settings))


def test_losses_are_those_of_a_training_step_by_step():
    """The same batches, by hand, with a rate of its own for every step."""
    result = run(low=1e-3, high=1.0, steps=30, batch_size=20, shuffle=False)
    net, workspace = network(), network().workspace(20)
    np.testing.assert_allclose(result.rates, np.geomspace(1e-3, 1.0, 30), rtol=1e-12)
    for i, (rate, loss) in enumerate(zip(result.rates, result.losses, strict=True)):
        rows = slice(20 * (i % 15), 20 * (i % 15) + 20)
        value, grad = net.loss_and_grad(*net.check(X[rows], T[rows])[:2], workspace)
        assert loss == pytest.approx(value, rel=1e-9), f"step {i}"
        net.theta -= rate * grad


@pytest.mark.parametrize("optimizer", [SGD(), Momentum(1e-9), RMSProp(), Adam(0.0), AdamW()], ids=repr)
def test_the_suggestion_trains(optimizer):
    """A tenth of the best rate of the test: whatever rate the optimizer itself has."""
    result = run(optimizer=optimizer)
    assert result.suggestion is not None
    net = network()
    start = cr.evaluate(net, X, T)["loss"]
    history = cr.train(net, X, T, optimizer=replace(optimizer, learning_rate=result.suggestion), epochs=20, seed=0)
    assert history["loss"][-1] < 0.1 * start


def test_it_ends_where_the_loss_rises():
    result = run(high=100.0, steps=200)
    assert result.diverged
    assert len(result.rates) == len(result.losses) == len(result.smoothed) < 200
    assert 0.5 < result.rates[-1] < 10, "descent of a parabola with curvature about 1 diverges above rate 2"
    assert result.losses[-5:].mean() > result.losses[:20].mean()
    assert not run(high=0.1).diverged


def test_smoothing_keeps_a_constant_and_the_middle_of_a_line():
    result = run(low=1e-12, high=2e-12, batch_size=300, steps=40)  # nothing is learned: all losses are one
    np.testing.assert_allclose(result.smoothed, result.losses[0], rtol=1e-9)
    assert result.suggestion is None
    assert "suggestion none" in repr(result)


def test_noise_is_no_fall():
    assert run(low=1e-12, high=1e-9, batch_size=2).suggestion is None


def test_the_network_is_not_changed_and_the_seed_decides():
    net = network()
    before = net.theta.copy()
    first = cr.lr_range_test(net, X, T, seed=0)
    np.testing.assert_array_equal(net.theta, before)
    np.testing.assert_array_equal(cr.lr_range_test(net, X, T, seed=0).losses, first.losses)


def test_a_loss_that_becomes_infinite_ends_it_too():
    net = cr.Network(3, [Dense(8), ReLU(), Dense(1)], "squared_error", seed=0)
    result = cr.lr_range_test(net, X, T, optimizer=SGD(), low=1e-3, high=1e30, steps=30, seed=0)
    assert result.diverged
    assert np.isfinite(result.losses).all()


def test_rates_that_are_all_too_large_are_said_to_be():
    with pytest.raises(ValueError, match=r"not finite after \d+ steps, at rate .*: give a smaller low, or scale"):
        run(low=1e30, high=1e38)


def test_settings_of_the_training_that_is_planned():
    """A layer that stands still: the losses are those of three batches each, one after the other."""
    result = run(accumulate=3, batch_size=10, layer_rates={0: 0.0}, shuffle=False, steps=20)
    expected = [cr.evaluate(network(), X[i : i + 30], T[i : i + 30])["loss"] for i in range(0, 300, 30)]
    np.testing.assert_allclose(result.losses, [*expected, *expected], rtol=1e-9)


@pytest.mark.slow
def test_the_picture():
    result = run(high=100.0)
    figure = plot_range_test(result)
    (ax,) = figure.axes
    raw, smoothed, suggested = ax.lines
    np.testing.assert_array_equal(raw.get_ydata(), result.losses)
    np.testing.assert_array_equal(smoothed.get_xdata(), result.rates)
    assert suggested.get_xdata()[0] == result.suggestion
    assert ax.get_ylim()[1] < 1.2 * result.smoothed.max(), "a jump at the end does not flatten what was before"
    file = io.BytesIO()
    figure.savefig(file, dpi=40)
    assert file.getvalue().startswith(b"\x89PNG")
    assert len(plot_range_test(run(low=1e-12, high=1e-9)).axes[0].lines) == 2, "no suggestion, no line"
