"""What a step is made of: several batches in one, rates of the layers, and weight decay beside the gradient."""

import math

import numpy as np
import pytest

import chainrule as cr
import variants
from chainrule import optimizers
from chainrule._internal.names import public_classes
from chainrule.layers import BatchNorm, Dense, Tanh
from chainrule.optimizers import SGD, Adam, AdamW, Momentum, Optimizer, RMSProp
from chainrule.penalties import L2, MaxNorm
from chainrule.training.callbacks import Callback
from chainrule.training.clipping import ClipNorm

rng = np.random.default_rng(0)
ROWS = 53
X, T = rng.normal(size=(ROWS, 4)), rng.integers(0, 3, ROWS)
WEIGHT = rng.uniform(0, 2, ROWS)


def network(dtype="float64"):
    return cr.Network(4, [Dense(6), Tanh(), Dense(3)], "softmax_cross_entropy", seed=1, dtype=dtype)


def fit(net=None, **settings):
    net = net or network()
    history = cr.train(net, X, T, **({"epochs": 4, "seed": 2, "optimizer": Adam(0.02)} | settings))
    return net.theta.copy(), history


# Several batches in a step -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sample_weight": WEIGHT},
        {"sample_weight": np.where(np.arange(ROWS) < 30, 0.0, 1.0), "shuffle": False},
        {"penalties": [L2(0.1, per_row=True), MaxNorm(1.0)], "clip": ClipNorm(0.1)},
        {"schedule": "one_cycle"},
        {"validation": 0.2},
    ],
    ids=["plain", "weights", "batches without weight", "penalties and clip", "schedule", "validation"],
)
@pytest.mark.parametrize(("batch_size", "accumulate"), [(5, 2), (4, 3), (7, 6), (1, 8)])
def test_a_step_of_several_batches_is_that_of_a_large_one(batch_size, accumulate, settings):
    theta, history = fit(batch_size=batch_size, accumulate=accumulate, **settings)
    large, expected = fit(batch_size=batch_size * accumulate, **settings)
    np.testing.assert_allclose(theta, large, rtol=1e-10, atol=1e-12)
    for column in set(history.columns) - {"seconds"}:
        assert history[column] == pytest.approx(expected[column], rel=1e-9), column


def test_in_float32_too():
    theta, _ = fit(network("float32"), batch_size=4, accumulate=3)
    large, _ = fit(network("float32"), batch_size=12)
    np.testing.assert_allclose(theta, large, rtol=1e-4, atol=1e-5)


def test_gradients_accumulate_as_in_pytorch():
    """As its users write it: (loss · rows / all rows of the step).backward() for each batch, then a step."""
    torch = pytest.importorskip("torch")
    net = network()
    W0, b0, W1, b1 = tensors = [
        torch.tensor(net.layout.view(net.theta, e).copy(), requires_grad=True) for e in net.layout.entries
    ]
    optimizer = torch.optim.Adam(tensors, lr=0.02)
    x, t = torch.tensor(X), torch.tensor(T)
    for _ in range(4):
        for first in range(0, ROWS, 15):
            optimizer.zero_grad()
            for start in range(first, min(first + 15, ROWS), 5):
                rows = slice(start, min(start + 5, ROWS))
                y = torch.tanh(x[rows] @ W0 + b0) @ W1 + b1
                share = len(y) / (min(first + 15, ROWS) - first)
                (torch.nn.functional.cross_entropy(y, t[rows]) * share).backward()
            optimizer.step()
    theirs = np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])
    theta, _ = fit(net, batch_size=5, accumulate=3, shuffle=False)
    np.testing.assert_allclose(theta, theirs, rtol=1e-9, atol=1e-12)


def test_batch_normalisation_has_the_statistics_of_every_batch():
    """As in PyTorch, each batch is normalised by itself, and counts for the running statistics."""
    net = cr.Network(4, [BatchNorm(momentum=0.5), Dense(3)], "softmax_cross_entropy", seed=0, dtype="float64")
    fit(net, batch_size=10, accumulate=3, epochs=1, shuffle=False)
    mean = np.zeros(4)
    for start in range(0, ROWS, 10):
        mean = 0.5 * mean + 0.5 * X[start : start + 10].mean(axis=0)
    np.testing.assert_allclose(net.layers[0].running_mean, mean, rtol=1e-12)


def test_callbacks_are_asked_after_steps():
    class Count(Callback):
        def on_start(self, run):
            self.batches, self.changed, self.theta = [], 0, run.network.theta.copy()

        def on_batch(self, run):
            self.batches.append(run.batch)
            self.changed += not np.array_equal(run.network.theta, self.theta)
            self.theta = run.network.theta.copy()

    count = Count()
    fit(batch_size=5, accumulate=4, epochs=2, callbacks=[count])
    assert count.batches == [4, 8, 11] * 2
    assert count.changed == 6


def test_training_of_several_batches_a_step_goes_on(tmp_path):
    class Kill(Callback):
        def on_epoch(self, run):
            if run.epoch == 3:
                raise KeyError

    settings = {"batch_size": 5, "accumulate": 3, "layer_rates": {0: 0.5}, "epochs": 5}
    theta, _ = fit(**settings)
    with pytest.raises(KeyError):
        fit(callbacks=[Kill(), cr.Checkpoint(tmp_path)], **settings)
    for other, word in (
        ({"accumulate": 2}, "accumulate: 3 there, 2 here"),
        ({"layer_rates": {0: 0.4}}, "layer_rates: "),
    ):
        with pytest.raises(cr.training.CheckpointError, match=word):
            fit(resume=tmp_path, **(settings | other))
    again, _ = fit(callbacks=[cr.Checkpoint(tmp_path)], resume=tmp_path, **settings)
    np.testing.assert_array_equal(again, theta)


# Rates of the layers -------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    name: variants.brisk(cls, weight_decay=0.2) for name, cls in public_classes(optimizers, Optimizer).items()
}
DECAYING = [type(optimizer) for optimizer in OPTIMIZERS.values() if optimizer.weight_decay]
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


@pytest.fixture(params=["reference", "numba"])
def kernels(request, monkeypatch):
    if request.param == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("CHAINRULE_KERNELS", request.param)


def by_hand(optimizer, rates):
    """Train by the network's own gradient, with an optimizer for each layer at its own rate."""
    net = network()
    workspace = net.workspace(10)
    parts = []
    for layer, rate in rates.items():
        entries = [e for e in net.layout.entries if e.layer == layer]
        where = slice(entries[0].where.start, entries[-1].where.stop)
        own = type(optimizer)(**(optimizer.arguments() | {"learning_rate": optimizer.learning_rate * rate}))
        weights = [net.layout.view(net.theta, e) for e in entries if e.weight]
        parts.append((own, where, own.start(net.theta[where], weights)))
    for _ in range(4):
        for start in range(0, ROWS, 10):
            x, t, _ = net.check(X[start : start + 10], T[start : start + 10])
            _, grad = net.loss_and_grad(x, t, workspace)
            for own, where, state in parts:
                own.update(net.theta[where], grad[where], state)
    return net.theta


@pytest.mark.few(12)
@every_optimizer
@pytest.mark.parametrize("rates", [{0: 0.1}, {2: 3.0, 0: 0.5}, {-1: 0.0}], ids=repr)
def test_a_layer_with_a_rate_of_its_own_is_a_layer_with_an_optimizer_of_its_own(optimizer, rates, kernels):
    theta, _ = fit(optimizer=optimizer, layer_rates=rates, batch_size=10, shuffle=False)
    chosen = {0: rates.get(0, 1.0), 2: rates.get(2, rates.get(-1, 1.0))}
    np.testing.assert_allclose(theta, by_hand(optimizer, chosen), rtol=1e-9, atol=1e-12)


@every_optimizer
def test_a_rate_of_0_freezes_a_layer_and_a_rate_of_1_changes_nothing(optimizer, kernels):
    net = network()
    before = net.layers[0].W.copy(), net.layers[0].b.copy()
    fit(net, optimizer=optimizer, layer_rates={0: 0})
    np.testing.assert_array_equal(net.layers[0].W, before[0])
    np.testing.assert_array_equal(net.layers[0].b, before[1])
    np.testing.assert_allclose(
        fit(optimizer=optimizer, layer_rates={0: 1.0, 2: 1.0})[0], fit(optimizer=optimizer)[0], rtol=1e-11, atol=1e-13
    )


def test_rates_of_layers_are_the_groups_of_pytorch():
    torch = pytest.importorskip("torch")
    net = network()
    W0, b0, W1, b1 = tensors = [
        torch.tensor(net.layout.view(net.theta, e).copy(), requires_grad=True) for e in net.layout.entries
    ]
    optimizer = torch.optim.Adam([{"params": [W0, b0], "lr": 0.002}, {"params": [W1, b1]}], lr=0.02)
    x, t = torch.tensor(X), torch.tensor(T)
    for _ in range(4):
        for start in range(0, ROWS, 10):
            optimizer.zero_grad()
            y = torch.tanh(x[start : start + 10] @ W0 + b0) @ W1 + b1
            torch.nn.functional.cross_entropy(y, t[start : start + 10]).backward()
            optimizer.step()
    theirs = np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])
    theta, _ = fit(net, batch_size=10, shuffle=False, layer_rates={0: 0.1})
    np.testing.assert_allclose(theta, theirs, rtol=1e-9, atol=1e-12)


def test_a_state_that_is_used_again_does_not_keep_the_rates(monkeypatch):
    monkeypatch.setenv("CHAINRULE_KERNELS", "reference")
    optimizer, net = Adam(0.02), network()
    state = optimizer.start(net.theta, net.weights)
    fit(net, optimizer=optimizer, state=state, layer_rates={0: 0.0})
    before = net.layers[0].W.copy()
    fit(net, optimizer=optimizer, state=state)
    assert np.abs(net.layers[0].W - before).max() > 1e-3


# Weight decay --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", DECAYING)
def test_weights_decay_by_a_share_of_the_rate_and_biases_do_not(cls, kernels):
    """At a gradient of 0, with nothing remembered, a step is the decay alone."""
    net = cr.Network(4, [Dense(3)], "squared_error", seed=1, dtype="float64")
    net.layers[0].b[:] = [1.0, -2.0, 3.0]
    W = net.layers[0].W.copy()
    zeros = np.zeros((8, 4))  # so that y = b to the bit, whatever adds up the products
    t = np.tile(net.layers[0].b, (8, 1))
    cr.train(net, zeros, t, optimizer=cls(0.1, weight_decay=0.5), schedule="cosine", epochs=1, batch_size=8, seed=0)
    np.testing.assert_allclose(net.layers[0].W, W * (1 - 0.1 * 0.5), rtol=1e-12)
    np.testing.assert_allclose(net.layers[0].b, [1.0, -2.0, 3.0], rtol=1e-12)


def test_decay_is_not_l2_but_for_plain_descent(kernels):
    """Momentum carries the gradient of L2 on, and RMSProp divides it; decay is a share of the weights, at every step."""
    for cls in (Momentum, RMSProp):
        decayed, penalised = (
            fit(optimizer=cls(0.02, weight_decay=0.5))[0],
            fit(optimizer=cls(0.02), penalties=[L2(0.5)])[0],
        )
        assert np.abs(decayed - penalised).max() > 0.02
    still = Momentum(0.02, momentum=0.0, weight_decay=0.5)
    np.testing.assert_allclose(fit(optimizer=still)[0], fit(optimizer=SGD(0.02), penalties=[L2(0.5)])[0], rtol=1e-10)


def test_decay_beside_momentum_is_pytorchs_plain_one_after_a_shrinkage():
    torch = pytest.importorskip("torch")
    theta = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.SGD([theta], lr=0.1, momentum=0.9)
    ours, w = Momentum(0.1, weight_decay=0.3), np.array([1.0, -2.0])
    state = ours.start(w, [w])
    for _ in range(5):
        with torch.no_grad():
            theta *= 1 - 0.1 * 0.3
        theirs.zero_grad()
        (theta.sin().sum()).backward()
        grad = np.cos(w * (1 - 0.1 * 0.3))
        theirs.step()
        ours.update(w, grad, state)
        np.testing.assert_allclose(w, theta.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("cls", DECAYING)
@pytest.mark.parametrize("decay", [-0.1, math.nan])
def test_a_decay_out_of_range_is_refused(cls, decay):
    with pytest.raises(
        ValueError, match=rf"{cls.__name__}: weight_decay: expected a number in \[0, inf\), got {decay}"
    ):
        cls(weight_decay=decay)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "optimizer", [Momentum(weight_decay=0.1), AdamW(weight_decay=0.1), AdamW(biases=True)], ids=repr
)
def test_a_worked_example_shows_the_decay(optimizer):
    text = str(cr.trace(network(), X[0], 1, optimizer=optimizer))
    assert ("θ ← θ − η λ θ" if getattr(optimizer, "biases", False) else "W ← W − η λ W  for weights") in text
    assert "λ" not in str(cr.trace(network(), X[0], 1, optimizer=Momentum()))
