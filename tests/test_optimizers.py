"""Optimizers: by-hand steps in plain floats, and PyTorch's parameters after 50 steps of real training."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule import optimizers
from chainrule._internal.names import public_classes
from chainrule.layers import Dense, Tanh
from chainrule.optimizers import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSProp
from chainrule.penalties import L2
from chainrule.schedules import (
    Schedule,
)
from chainrule.training.clipping import ClipNorm, ClipValue
from variants import OPTIMIZERS, SCHEDULES

REGISTRY = public_classes(optimizers, Optimizer)
every_case = pytest.mark.parametrize(
    ("optimizer", "formula", "arguments"), [c[:3] for c in OPTIMIZERS], ids=[repr(c.optimizer) for c in OPTIMIZERS]
)
every_class = pytest.mark.parametrize("cls", REGISTRY.values(), ids=REGISTRY)


def test_every_public_optimizer_has_its_cases_here():
    missing = set(REGISTRY) - {type(case.optimizer).__name__ for case in OPTIMIZERS}
    assert not missing, (
        f"add {sorted(missing)} to OPTIMIZERS in tests/variants.py: without by-hand steps it is untested"
    )


def test_every_public_schedule_is_compared_with_pytorch_in_training():
    missing = set(public_classes(cr.schedules, Schedule)) - {type(c.schedule).__name__ for c in SCHEDULES if c.by_step}
    assert not missing, f"give {sorted(missing)} a formula by step in tests/variants.py"


# By hand -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_case
def test_three_steps_by_hand(optimizer, formula, arguments, dtype):
    theta = np.array([1.0, -2.0, 0.5], dtype)
    w, pasts = theta.astype(float).tolist(), [{}, {}, {}]
    state = optimizer.start(theta, [theta])
    for t, (grad, factor) in enumerate(
        [([0.5, -3.0, 0.0], 1.0), ([-0.25, 1e-4, 0.0], 0.5), ([2.0, 1.0, 1e-3], 0.5)], 1
    ):
        g = np.array(grad, dtype)
        optimizer.update(theta, g, state, factor)
        w = [
            formula(w[i], float(np.array(grad, dtype)[i]), pasts[i], t, optimizer.learning_rate * factor, **arguments)
            for i in range(3)
        ]
        rtol, atol = (1e-12, 1e-14) if dtype == "float64" else (2e-6, 2e-7)
        np.testing.assert_allclose(theta, w, rtol=rtol, atol=atol, err_msg=f"{optimizer}, step {t}")
        np.testing.assert_array_equal(g, np.array(grad, dtype), err_msg="the gradient is only read")
    assert state.t == 3


@every_class
def test_theta_is_changed_in_place_and_stays_in_its_dtype(cls):
    for dtype in ("float32", "float64"):
        whole = np.ones(8, dtype)
        theta = whole[2:6]
        for optimizer in (cls(0.1), cls(np.float64(0.1))):
            state = optimizer.start(theta, [theta[:2]])
            before = theta.copy()
            for _ in range(2):
                assert optimizer.update(theta, np.full(4, 0.5, dtype), state, 0.5) is None
            assert not np.array_equal(theta, before)
            for name, value in vars(state).items():
                if isinstance(value, np.ndarray):
                    assert value.dtype == dtype, f"{cls.__name__}: state.{name} left {dtype}"
        np.testing.assert_array_equal(whole[[0, 1, 6, 7]], 1)


@every_class
def test_a_zero_rate_changes_nothing_and_zero_gradients_are_harmless(cls):
    theta = np.array([1.0, -2.0], "float32")
    optimizer = cls(0.0)
    state = optimizer.start(theta, [theta])
    optimizer.update(theta, np.array([0.5, 3.0], "float32"), state)
    np.testing.assert_array_equal(theta, np.array([1, -2], "float32"))
    optimizer = replace(cls(0.1), weight_decay=0.0) if cls is AdamW else cls(0.1)
    state = optimizer.start(theta, [theta])
    with np.errstate(all="raise"):
        for _ in range(3):
            optimizer.update(theta, np.zeros(2, "float32"), state)
    np.testing.assert_array_equal(theta, np.array([1, -2], "float32"))


@every_class
def test_one_optimizer_can_train_many_networks(cls):
    """What is remembered is in the state: the object itself never changes."""
    optimizer, grads = cls(0.1), np.random.default_rng(0).normal(size=(5, 2, 3))
    alone = []
    for i in range(2):
        theta = np.ones(3)
        state = optimizer.start(theta, [theta])
        for g in grads[:, i]:
            optimizer.update(theta, g, state)
        alone.append(theta)
    before = dict(vars(optimizer))
    thetas = np.ones((2, 3))
    states = [optimizer.start(theta, [theta]) for theta in thetas]
    for pair in grads:
        for theta, g, state in zip(thetas, pair, states, strict=True):
            optimizer.update(theta, g, state)
    np.testing.assert_array_equal(thetas, alone)
    assert vars(optimizer) == before


@every_class
def test_a_step_allocates_nothing_that_grows_with_theta(cls):
    theta = np.ones(1_000_000, "float32")
    grad = np.full_like(theta, 0.5)
    optimizer = cls()
    state = optimizer.start(theta, [theta[:500_000].reshape(500, 1000)])
    optimizer.update(theta, grad, state)
    tracemalloc.start()
    try:
        optimizer.update(theta, grad, state, 0.5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024, f"{cls.__name__}: a step allocated {peak:,} bytes"


def test_adamw_decays_weights_and_biases_only_if_asked():
    for biases in (False, True):
        theta = np.ones(4)
        optimizer = AdamW(0.1, weight_decay=0.5, biases=biases)
        optimizer.update(theta, np.zeros(4), optimizer.start(theta, [theta[:2]]))
        np.testing.assert_allclose(theta, [0.95, 0.95, *([0.95] * 2 if biases else [1, 1])], rtol=1e-15)


@every_class
def test_an_optimizer_finds_the_bottom_of_a_valley(cls):
    scale = np.array([1.0, 10.0])
    theta = np.array([1.0, -1.0])
    optimizer = AdamW(0.05, weight_decay=0.0) if cls is AdamW else cls(0.2 if cls is Adagrad else 0.05)
    state = optimizer.start(theta, [theta])
    for step in range(500):
        optimizer.update(theta, scale * theta, state, 1 / (1 + step / 50))
    assert np.abs(theta).max() < 1e-2, f"{optimizer}: {theta}"


# Against PyTorch: the same start and the same batches give the same parameters after 50 steps ------------------------

ROWS, BATCH, EPOCHS = 77, 8, 5  # 10 batches an epoch, the last one short: 50 steps
STEPS = 10


def network_and_data():
    layers = [Dense(7, biases="normal"), Tanh(), Dense(3, biases="normal")]
    network = cr.Network(5, layers, "softmax_cross_entropy", seed=1, dtype="float64")
    rng = np.random.default_rng(2)
    X = rng.normal(size=(ROWS, 5))
    t = (X @ rng.normal(size=(5, 3)) + rng.normal(size=(ROWS, 3))).argmax(axis=1)
    order = rng.permutation(ROWS)
    return network, X[order], t[order]


def trained_by_pytorch(ours, *, clip=None, l2=0.0, factor=None):
    """The parameters, in the order of theta, after 50 steps of PyTorch; ``factor`` is of the step's number."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    network, X, t = network_and_data()
    x, labels = torch.tensor(X), torch.tensor(t)
    W0, b0, W1, b1 = tensors = [
        torch.tensor(network.layout.view(network.theta, e).copy(), requires_grad=True) for e in network.layout.entries
    ]
    theirs = next(c.torch for c in OPTIMIZERS if type(c.optimizer) is type(ours) and c.torch)
    optimizer = theirs(torch.optim, ours, [W0, W1], [b0, b1])
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor) if factor else None
    for _ in range(EPOCHS):
        for start in range(0, ROWS, BATCH):
            rows = slice(start, start + BATCH)
            optimizer.zero_grad()
            y = torch.tanh(x[rows] @ W0 + b0) @ W1 + b1
            loss = torch.nn.functional.cross_entropy(y, labels[rows])
            loss = loss + 0.5 * l2 * ((W0**2).sum() + (W1**2).sum())
            loss.backward()
            if isinstance(clip, ClipValue):
                torch.nn.utils.clip_grad_value_(tensors, clip.limit)
            elif isinstance(clip, ClipNorm):
                norm = torch.nn.utils.get_total_norm([tensor.grad for tensor in tensors])
                for tensor in tensors:  # clip_grad_norm_ without the 1e-6 that it adds to the norm
                    tensor.grad *= min(1.0, clip.limit / norm.item())
            optimizer.step()
            if scheduler:
                scheduler.step()
    return np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])


def trained_by_us(ours, **arguments):
    network, X, t = network_and_data()
    start = network.theta.copy()
    history = cr.train(network, X, t, optimizer=ours, epochs=EPOCHS, batch_size=BATCH, shuffle=False, **arguments)
    assert len(history) == EPOCHS
    assert np.abs(network.theta - start).max() > 1e-3, "the parameters have moved"
    return network.theta


AS_IN_PYTORCH = [case.optimizer for case in OPTIMIZERS if case.torch]


@pytest.mark.parametrize("optimizer", AS_IN_PYTORCH, ids=repr)
def test_fifty_steps_give_the_parameters_of_pytorch(optimizer):
    expected = trained_by_pytorch(optimizer)
    np.testing.assert_allclose(trained_by_us(optimizer), expected, rtol=1e-9, atol=1e-12, err_msg=f"{optimizer}")


@pytest.mark.parametrize("clip", [ClipValue(0.05), ClipNorm(0.2), ClipNorm(1e3)], ids=repr)
@pytest.mark.parametrize("optimizer", [SGD(0.3), Adam(0.01)], ids=repr)
def test_clipped_steps_give_the_parameters_of_pytorch(optimizer, clip):
    expected = trained_by_pytorch(optimizer, clip=clip)
    clipped = trained_by_us(optimizer, clip=clip)
    np.testing.assert_allclose(clipped, expected, rtol=1e-9, atol=1e-12, err_msg=f"{optimizer}, {clip}")
    unclipped = np.abs(clipped - trained_by_us(optimizer)).max()
    assert (unclipped < 1e-12) == (clip.limit == 1e3), "the limit bites, unless it is out of reach"


@pytest.mark.parametrize("optimizer", [SGD(0.3), Nesterov(0.05), Adam(0.01)], ids=repr)
def test_penalised_steps_give_the_parameters_of_pytorch(optimizer):
    """The penalty is added before clipping, and goes through the optimizer: L2 is not AdamW."""
    clip = ClipNorm(0.3)
    expected = trained_by_pytorch(optimizer, l2=0.05, clip=clip)
    ours = trained_by_us(optimizer, penalties=[L2(0.05)], clip=clip)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


BY_STEP = [(case.schedule, case.by_step) for case in SCHEDULES if case.by_step]


@pytest.mark.parametrize("optimizer", [SGD(0.3), Adam(0.02)], ids=repr)
@pytest.mark.parametrize(("schedule", "factor"), BY_STEP, ids=[repr(s[0]) for s in BY_STEP])
def test_scheduled_steps_give_the_parameters_of_pytorch(optimizer, schedule, factor):
    expected = trained_by_pytorch(optimizer, factor=factor)
    ours = trained_by_us(optimizer, schedule=schedule)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12, err_msg=f"{optimizer}, {schedule}")


def test_the_velocity_holds_the_rate_so_that_a_drop_takes_effect_slowly():
    """As in scikit-learn and Keras, and as documented: PyTorch has η outside the velocity."""
    optimizer, theta = Momentum(1.0, momentum=0.5), np.zeros(1)
    state = optimizer.start(theta)
    optimizer.update(theta, np.ones(1), state)
    optimizer.update(theta, np.zeros(1), state, 0.0)
    assert theta[0] == -1.5


# Arguments -----------------------------------------------------------------------------------------------------------


@every_class
@pytest.mark.parametrize("rate", [-0.1, math.nan, math.inf])
def test_a_rate_out_of_range_is_refused(cls, rate):
    with pytest.raises(
        ValueError, match=rf"{cls.__name__}: learning_rate: expected a number in \[0, inf\), got {rate}"
    ):
        cls(rate)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Momentum(0.1, momentum=1.1), r"Momentum: momentum: expected a number in \[0, 1\], got 1.1"),
        (lambda: Momentum(0.1, momentum=-0.1), r"Momentum: momentum: expected a number in \[0, 1\], got -0.1"),
        (lambda: Nesterov(0.1, momentum=1.5), r"Nesterov: momentum: expected a number in \[0, 1\], got 1.5"),
        (lambda: Adagrad(epsilon=0.0), r"Adagrad: epsilon: expected a number in \(0, inf\), got 0.0"),
        (lambda: RMSProp(rho=1.0), r"RMSProp: rho: expected a number in \[0, 1\), got 1.0"),
        (lambda: RMSProp(epsilon=-1e-8), r"RMSProp: epsilon: expected a number in \(0, inf\), got -1e-08"),
        (lambda: Adam(beta_1=1.0), r"Adam: beta_1: expected a number in \[0, 1\), got 1.0"),
        (lambda: Adam(beta_2=-0.5), r"Adam: beta_2: expected a number in \[0, 1\), got -0.5"),
        (lambda: Adam(epsilon=0.0), r"Adam: epsilon: expected a number in \(0, inf\), got 0.0"),
        (lambda: AdamW(beta_2=1.0), r"AdamW: beta_2: expected a number in \[0, 1\), got 1.0"),
        (lambda: AdamW(weight_decay=-0.1), r"AdamW: weight_decay: expected a number in \[0, inf\), got -0.1"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_optimizer_of_ones_own_is_slots_and_step():
    class SignOfMomentum(Optimizer):
        learning_rate = 0.25

        @property
        def slots(self):
            return ("m",)

        def step(self, theta, grad, state, rate):
            state.m += grad
            theta -= rate * np.sign(state.m)

    theta, ours = np.zeros(2), SignOfMomentum()
    state = ours.start(theta)
    for g in ([1.0, -3.0], [-2.0, 1.0]):
        ours.update(theta, np.array(g), state)
    np.testing.assert_array_equal(theta, [0.0, 0.5])
