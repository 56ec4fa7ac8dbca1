"""Penalties: value and gradient, which parameters they are for, and the projection."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import penalties
from chainrule._internal.names import public_classes
from chainrule.layers import Dense, Tanh
from chainrule.penalties import L1, L2, BoundPenalties, Constraint, MaxNorm, Penalty

# (penalty, its value for one number w, its derivative)
TERMS = [
    (L2(0.3), lambda w: 0.5 * 0.3 * w * w, lambda w: 0.3 * w),
    (L1(0.3), lambda w: 0.3 * abs(w), lambda w: 0.3 * (float(w > 0) - float(w < 0))),
]
CONSTRAINTS = [MaxNorm(0.7)]
REGISTRY = public_classes(penalties, Penalty) | public_classes(penalties, Constraint)
every_term = pytest.mark.parametrize(("penalty", "value", "slope"), TERMS, ids=[repr(t[0]) for t in TERMS])


def test_every_public_penalty_and_constraint_has_a_case_here():
    missing = set(REGISTRY) - {type(p).__name__ for p in [*(t[0] for t in TERMS), *CONSTRAINTS]}
    assert not missing, (
        f"add {sorted(missing)} to TERMS or CONSTRAINTS in this file: a penalty without a case is untested"
    )


def small_network(dtype="float64"):
    """Layers 0, 2 and 4 have weights and (drawn, not zero) biases."""
    layers = [Dense(4, biases="normal"), Tanh(), Dense(3, biases="normal"), Tanh(), Dense(2, biases="normal")]
    return cr.Network(5, layers, "squared_error", seed=0, dtype=dtype)


def bound_to(network, *chosen):
    grad = np.zeros_like(network.theta)
    return BoundPenalties(chosen, network.layout, len(network.layers), network.theta, grad), grad


def remake(penalty, **arguments):
    return type(penalty)(**penalty.arguments() | arguments)


# Values and gradients ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_term
def test_value_and_gradient_equal_the_formula(penalty, value, slope, dtype):
    w = np.array([[1.5, -2.0, 0.0], [-0.0, 1e-3, -7.0]], dtype)
    w.flags.writeable = False
    rtol = 1e-6 if dtype == "float32" else 1e-14
    expected = math.fsum(value(v) for v in w.ravel().tolist())
    assert penalty.value(w) == pytest.approx(expected, rel=rtol)
    assert penalty.value(w, np.empty_like(w)) == pytest.approx(expected, rel=rtol)
    dw = np.full_like(w, 10)
    penalty.add_gradient(w, dw, np.full_like(w, np.nan))
    np.testing.assert_allclose(dw, [[10 + slope(v) for v in row] for row in w.tolist()], rtol=rtol)
    assert dw.dtype == dtype


SELECTIONS = [
    ({}, ["0.W", "2.W", "4.W"]),
    ({"biases": True}, ["0.W", "0.b", "2.W", "2.b", "4.W", "4.b"]),
    ({"layers": 2}, ["2.W"]),
    ({"layers": -1}, ["4.W"]),
    ({"layers": -5, "biases": True}, ["0.W", "0.b"]),
    ({"layers": (0, -1)}, ["0.W", "4.W"]),
    ({"layers": [0, 1]}, ["0.W"]),
]


@pytest.mark.parametrize(("arguments", "chosen"), SELECTIONS, ids=[str(s[0]) for s in SELECTIONS])
@every_term
def test_a_penalty_is_for_the_chosen_layers_and_biases_only(penalty, value, slope, arguments, chosen):
    network = small_network()
    bound, grad = bound_to(network, remake(penalty, **arguments))
    expected, total = np.zeros_like(grad), 0.0
    for entry in network.layout.entries:
        if f"{entry.layer}.{entry.name}" in chosen:
            expected[entry.where] = [slope(v) for v in network.theta[entry.where]]
            total += math.fsum(value(v) for v in network.theta[entry.where])
    bound.add_gradient()
    np.testing.assert_allclose(grad, expected, rtol=1e-13, err_msg=f"{penalty} with {arguments}")
    assert bound.value() == pytest.approx(total, rel=1e-13)


@every_term
def test_the_gradient_equals_central_differences(penalty, value, slope):
    network = small_network()
    bound, grad = bound_to(network, remake(penalty, biases=True), L2(0.01, layers=0))
    bound.add_gradient()
    for i in range(len(grad)):
        kept, ends = network.theta[i], []
        for h in (1e-6, -1e-6):
            network.theta[i] = kept + h
            ends.append(bound.value())
        network.theta[i] = kept
        assert grad[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-9), f"parameter {i}"


def test_several_penalties_add_up():
    network = small_network()
    alone = [bound_to(network, p) for p in (L1(0.1), L2(0.2))]
    both, grad = bound_to(network, L1(0.1), MaxNorm(3.0), L2(0.2))
    assert both.value() == pytest.approx(sum(b.value() for b, _ in alone), rel=1e-14)
    for b in (both, alone[0][0], alone[1][0]):
        b.add_gradient()
    np.testing.assert_allclose(grad, alone[0][1] + alone[1][1], rtol=1e-14)
    assert both, "there is something to add to the loss"
    assert not bound_to(network, MaxNorm(3.0))[0], "a constraint adds nothing to the loss"
    assert bound_to(network)[0].value() == 0


@pytest.mark.parametrize("penalty", [L2(0.1), L2(0.1, biases=True), L2(0.2, layers=-1)], ids=repr)
def test_training_with_l2_is_weight_decay_in_pytorch(penalty):
    torch = pytest.importorskip("torch")
    network = small_network()
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(12, 5)), rng.normal(size=(12, 2))
    bound, _ = bound_to(network, penalty)
    groups, tensors = {True: [], False: []}, []
    for entry in network.layout.entries:
        tensor = torch.tensor(network.layout.view(network.theta, entry).copy(), requires_grad=True)
        tensors.append(tensor)
        chosen = penalty.layers is None or entry.layer == penalty.layers % len(network.layers)
        groups[chosen and (entry.weight or penalty.biases)].append(tensor)
    sgd = torch.optim.SGD(
        [{"params": groups[True], "weight_decay": penalty.strength}, {"params": groups[False], "weight_decay": 0.0}],
        lr=0.05,
    )
    for _ in range(20):
        sgd.zero_grad()
        W0, b0, W1, b1, W2, b2 = tensors
        y = torch.tanh(torch.tanh(torch.tensor(X) @ W0 + b0) @ W1 + b1) @ W2 + b2
        ((y - torch.tensor(t)) ** 2).sum().mul(0.5 / 12).backward()
        sgd.step()
    history = cr.train(
        network, X, t, optimizer=cr.optimizers.SGD(0.05), epochs=20, batch_size=12, shuffle=False, penalties=[penalty]
    )
    expected = np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])
    np.testing.assert_allclose(network.theta, expected, rtol=1e-9, atol=1e-12)
    assert history["penalty"][-1] > 0
    assert bound.value() == pytest.approx(history["penalty"][-1], rel=0.2)


def test_l1_drives_the_weights_of_useless_inputs_to_zero():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6))
    t = 2 * X[:, 0]
    weights = {}
    for strength in (0.0, 0.1):
        network = cr.Network(6, [Dense(1)], "squared_error", seed=0, dtype="float64")
        given = [L1(strength)]
        cr.train(
            network, X, t + rng.normal(size=200), optimizer=cr.optimizers.SGD(0.02), epochs=40, penalties=given, seed=0
        )
        weights[strength] = np.abs(network.layers[0].W.ravel())
    assert weights[0.1][1:].max() < 0.02 < weights[0.0][1:].max()
    assert weights[0.1][0] == pytest.approx(2 - 0.1, abs=0.2)


# MaxNorm -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_max_norm_projects_long_columns_and_leaves_the_others_alone(dtype):
    W = np.array([[3.0, 0.3, 0.0, -6.0], [4.0, 0.4, 0.0, 8.0]], dtype)
    MaxNorm(2.5).project(W)
    rtol = 1e-6 if dtype == "float32" else 1e-15
    np.testing.assert_allclose(W, [[1.5, 0.3, 0, -1.5], [2.0, 0.4, 0, 2.0]], rtol=rtol)
    np.testing.assert_array_equal(W[:, 1:3], np.array([[0.3, 0.0], [0.4, 0.0]], dtype), err_msg="columns inside")
    before = W.copy()
    MaxNorm(3.0).project(W)
    np.testing.assert_array_equal(W, before, err_msg="everything is inside: nothing changes")
    assert W.dtype == dtype


def test_max_norm_of_an_image_layer_takes_each_output_channel_as_a_unit():
    W = np.random.default_rng(0).normal(size=(3, 3, 2, 5))
    MaxNorm(0.5).project(W)
    np.testing.assert_allclose(np.sqrt((W**2).sum(axis=(0, 1, 2))), 0.5, rtol=1e-14)


def test_max_norm_equals_renorm_of_pytorch():
    torch = pytest.importorskip("torch")
    W = np.random.default_rng(0).normal(size=(6, 10))
    expected = torch.renorm(torch.tensor(W), p=2, dim=1, maxnorm=2.0).numpy()
    MaxNorm(2.0).project(W)
    np.testing.assert_allclose(W, expected, rtol=1e-6)  # PyTorch adds 1e-7 to the norm


@pytest.mark.parametrize(("layers", "chosen"), [(None, [0, 2, 4]), (-3, [2]), ([0, 4], [0, 4])], ids=str)
def test_training_with_max_norm_holds_the_chosen_layers_in_the_ball(layers, chosen):
    network = small_network()
    rng = np.random.default_rng(0)
    biases = [network.layers[i].b.copy() for i in (0, 2, 4)]
    X, t = rng.normal(size=(20, 5)), 10 * rng.normal(size=(20, 2))
    fit = {"optimizer": cr.optimizers.SGD(0.2), "epochs": 3, "batch_size": 10, "seed": 0}
    history = cr.train(network, X, t, penalties=[MaxNorm(0.7, layers=layers)], **fit)
    for i in (0, 2, 4):
        norms = np.sqrt((network.layers[i].W ** 2).sum(axis=0))
        assert (norms.max() <= 0.7 * (1 + 1e-12)) == (i in chosen), f"layer {i}: {norms}"
    assert max(np.abs(network.layers[i].b - b).max() for i, b in zip((0, 2, 4), biases, strict=True)) > 0.5
    assert "penalty" not in history


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L2(-0.1), r"L2: strength: expected a number in \[0, inf\), got -0.1"),
        (lambda: L1(math.nan), r"L1: strength: expected a number in \[0, inf\), got nan"),
        (lambda: MaxNorm(0.0), r"MaxNorm: limit: expected a number in \(0, inf\), got 0.0"),
        (
            lambda: bound_to(small_network(), L2(0.1, layers=5)),
            "layer 5 is out of range: the network has layers 0 to 4",
        ),
        (
            lambda: bound_to(small_network(), L1(0.1, layers=(0, -6))),
            "layer -6 is out of range: the network has layers 0 to 4",
        ),
        (lambda: bound_to(small_network(), L2(0.1, layers=1)), "applies to layers without weights"),
        (lambda: bound_to(small_network(), MaxNorm(1.0, layers=[1, 3])), "applies to layers without weights"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("wrong", [0.1, "l2", L2], ids=str)
def test_what_is_no_penalty_is_refused(wrong):
    with pytest.raises(TypeError):
        bound_to(small_network(), wrong)


def test_a_penalty_of_ones_own_is_a_value_and_its_gradient():
    class Cauchy(Penalty):
        def value(self, w, scratch=None):
            return float(np.log1p(w * w).sum())

        def add_gradient(self, w, dw, scratch):
            dw += 2 * w / (1 + w * w)

    network = small_network()
    bound, grad = bound_to(network, Cauchy())
    bound.add_gradient()
    W = network.layers[2].W
    np.testing.assert_allclose(grad[network.layout.entries[2].where], (2 * W / (1 + W * W)).ravel())
    assert bound.value() == pytest.approx(sum(np.log1p(network.layers[i].W ** 2).sum() for i in (0, 2, 4)))
