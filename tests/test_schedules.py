"""Schedules: by-hand values, their ends, and PyTorch's schedulers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import schedules
from chainrule._internal.names import public_classes
from chainrule.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseScaling,
    InverseTime,
    OneCycle,
    Schedule,
    Step,
    WarmUp,
)
from variants import SCHEDULES

CASES = [case[:2] for case in SCHEDULES if case.values]
REGISTRY = public_classes(schedules, Schedule)
every_case = pytest.mark.parametrize(("schedule", "values"), CASES, ids=[repr(c[0]) for c in CASES])
every_schedule = pytest.mark.parametrize("schedule", [c[0] for c in CASES], ids=repr)


def test_every_public_schedule_has_a_case_here():
    missing = set(REGISTRY) - {type(case[0]).__name__ for case in CASES}
    assert not missing, (
        f"add {sorted(missing)} to SCHEDULES in tests/variants.py: a schedule without by-hand values is untested"
    )


@every_case
def test_by_hand_values(schedule, values):
    for epoch, factor in values.items():
        got = schedule.factor(epoch, 10)
        assert got == pytest.approx(factor, rel=1e-12, abs=1e-12), f"{schedule} at epoch {epoch} of 10"


@pytest.mark.few(8)
@every_schedule
@settings(max_examples=60, deadline=None, derandomize=True)
@given(epochs=st.integers(1, 300), share=st.floats(0, 1, exclude_max=True))
def test_factors_lie_between_0_and_1(schedule, epochs, share):
    factor = schedule.factor(epochs * share, epochs)
    assert 0 <= factor <= 1 + 1e-15, f"{schedule} at {epochs * share} of {epochs} epochs"


@pytest.mark.parametrize("schedule", [Cosine(), Cosine(0.1), OneCycle(), OneCycle(0.1, 0.5, 0.25)], ids=repr)
def test_smooth_schedules_have_no_jumps_and_the_right_ends(schedule):
    factors = np.array([schedule.factor(epoch, 7) for epoch in np.linspace(0, 7, 7001)])
    assert np.abs(np.diff(factors)).max() < 5e-3
    assert factors[0] == pytest.approx(getattr(schedule, "start", 1.0), rel=1e-12)
    assert factors[-1] == pytest.approx(schedule.end, abs=1e-15)
    top = round(7000 * getattr(schedule, "rise", 0))
    assert factors[top] == pytest.approx(1, abs=1e-5)
    assert (np.diff(factors[: top + 1]) > 0).all(), "rises to the top"
    assert (np.diff(factors[top:]) < 0).all(), "and falls from there on"


@pytest.mark.parametrize(
    "then", [Constant(), Cosine(), OneCycle(start=1.0), Exponential(0.9), InverseTime(0.3)], ids=repr
)
def test_the_warm_up_ends_where_the_other_schedule_starts(then):
    warm = WarmUp(3, then=then, start=0.1)
    rise = np.array([warm.factor(epoch, 10) for epoch in np.linspace(0, 3, 301)])
    np.testing.assert_allclose(np.diff(rise), 0.9 / 300, rtol=1e-9, err_msg="the rise is linear")
    assert warm.factor(3, 10) == then.factor(0, 7) == 1
    for epoch in np.linspace(3, 9.99, 50):
        assert warm.factor(epoch, 10) == then.factor(epoch - 3, 7)


@pytest.mark.parametrize(
    ("schedule", "name", "arguments", "per_step"),
    [
        (Constant(), "ConstantLR", {"factor": 1.0}, False),
        (Exponential(0.8), "ExponentialLR", {"gamma": 0.8}, False),
        (Step(4, 0.3), "StepLR", {"step_size": 4, "gamma": 0.3}, False),
        (Cosine(0.1), "CosineAnnealingLR", {"T_max": 120, "eta_min": 0.1}, True),
        (WarmUp(2, start=0.25), "LinearLR", {"start_factor": 0.25, "total_iters": 20}, True),
    ],
    ids=repr,
)
def test_factors_equal_those_of_pytorch(schedule, name, arguments, per_step):
    torch = pytest.importorskip("torch")
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = getattr(torch.optim.lr_scheduler, name)(sgd, **arguments)
    for step in range(120):  # 12 epochs of 10 steps
        expected = sgd.param_groups[0]["lr"]
        assert schedule.factor(step / 10, 12) == pytest.approx(expected, rel=1e-9), f"{schedule} in step {step}"
        sgd.step()
        if per_step or step % 10 == 9:
            scheduler.step()


def test_one_cycle_is_the_curve_of_pytorch():
    """The same two half cosines; PyTorch's top and end lie on steps T · rise − 1 and T − 1, ours on T · rise and T."""
    torch = pytest.importorskip("torch")
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    steps, rise = 200, 0.3
    scheduler = torch.optim.lr_scheduler.OneCycleLR(sgd, 1.0, total_steps=steps, cycle_momentum=False)
    top = rise * steps - 1
    for step in range(steps):
        progress = rise * step / top if step <= top else rise + (1 - rise) * (step - top) / (steps - 1 - top)
        assert OneCycle().factor(progress, 1) == pytest.approx(sgd.param_groups[0]["lr"], rel=1e-9, abs=1e-9)
        sgd.step()
        if step < steps - 1:
            scheduler.step()


def test_training_reports_the_rate_of_the_last_step_of_each_epoch():
    network = cr.Network(2, [cr.layers.Dense(1)], "squared_error", seed=0)
    X = np.random.default_rng(0).normal(size=(8, 2))
    optimizer = cr.optimizers.SGD(0.2)
    arguments = {"optimizer": optimizer, "epochs": 3, "batch_size": 2}
    history = cr.train(network, X, X[:, 0], schedule=InverseTime(1.0), **arguments)
    assert history["learning_rate"] == pytest.approx([0.2, 0.1, 0.2 / 3])
    history = cr.train(network, X, X[:, 0], schedule=Cosine(), **arguments)
    expected = [0.1 * (1 + math.cos(math.pi * (epoch + 0.75) / 3)) for epoch in range(3)]
    assert history["learning_rate"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InverseTime(-0.1), r"InverseTime: decay: expected a number in \[0, inf\), got -0.1"),
        (lambda: InverseScaling(-1.0), r"InverseScaling: power: expected a number in \[0, inf\), got -1.0"),
        (lambda: Exponential(0.0), r"Exponential: gamma: expected a number in \(0, 1\], got 0.0"),
        (lambda: Exponential(1.1), r"Exponential: gamma: expected a number in \(0, 1\], got 1.1"),
        (lambda: Step(0), "Step: every: expected a whole number of at least 1, got 0"),
        (lambda: Step(2, gamma=2.0), r"Step: gamma: expected a number in \(0, 1\], got 2.0"),
        (lambda: Cosine(-0.1), r"Cosine: end: expected a number in \[0, 1\], got -0.1"),
        (lambda: OneCycle(rise=0.0), r"OneCycle: rise: expected a number in \(0, 1\), got 0.0"),
        (lambda: OneCycle(rise=1.0), r"OneCycle: rise: expected a number in \(0, 1\), got 1.0"),
        (lambda: OneCycle(start=2.0), r"OneCycle: start: expected a number in \[0, 1\], got 2.0"),
        (lambda: OneCycle(end=math.nan), r"OneCycle: end: expected a number in \[0, 1\], got nan"),
        (lambda: WarmUp(0), r"WarmUp: epochs: expected a number in \(0, inf\), got 0.0"),
        (lambda: WarmUp(2, start=-0.5), r"WarmUp: start: expected a number in \[0, 1\], got -0.5"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("make", [lambda: WarmUp(2, then="cosine"), lambda: WarmUp(2, then=Cosine), lambda: Step(2.5)])
def test_arguments_of_the_wrong_type_are_refused(make):
    with pytest.raises(TypeError):
        make()


def test_a_schedule_of_ones_own_is_one_method():
    class Off(Schedule):
        def factor(self, epoch, epochs):
            return 0.0 if epoch >= 1 else 1.0

    network = cr.Network(2, [cr.layers.Dense(1)], "squared_error", seed=0)
    X = np.random.default_rng(0).normal(size=(8, 2))
    cr.train(network, X, X[:, 0], schedule=Off(), epochs=1, seed=0)
    once = network.theta.copy()
    network = cr.Network(2, [cr.layers.Dense(1)], "squared_error", seed=0)
    cr.train(network, X, X[:, 0], schedule=Off(), epochs=4, seed=0)
    np.testing.assert_array_equal(network.theta, once)
