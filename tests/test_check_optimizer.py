"""check_optimizer: every shipped optimizer follows its closed form, and every common mistake is named."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule._internal.names import public_classes
from chainrule.gradient_check.quadratic import CENTER, CURVATURE, START
from chainrule.gradient_check.samples import variants
from chainrule.gradient_check.update_rules import MISTAKES, RULES, Settings
from chainrule.optimizers import Optimizer

SHIPPED = [optimizer for cls in public_classes(cr.optimizers, Optimizer).values() for optimizer in variants(cls)]


@pytest.mark.parametrize("optimizer", SHIPPED, ids=repr)
def test_every_shipped_optimizer_follows_its_rule(optimizer):
    report, rule = cr.check_optimizer(optimizer), type(optimizer).__name__.replace("AdamW", "Adam")
    if rule not in RULES:  # its formula is in tests/variants.py alone
        assert report.unchecked
        assert not report.violations
        return
    assert report, str(report)
    assert report.rule == rule
    assert report.error < 1e-9
    assert "is correct: 20 steps on a quadratic follow" in report.verdict


@pytest.mark.parametrize("optimizer", [cr.optimizers.SGD(0.2), cr.optimizers.Momentum(0.1, 0.8)], ids=repr)
def test_the_steps_are_those_of_the_closed_form(optimizer):
    """θ₀ after n steps by the power of a matrix, which no line of the check or of the optimizer computes."""
    a, eta, mu = CURVATURE[0], optimizer.learning_rate, getattr(optimizer, "momentum", 0.0)
    matrix = np.array([[1 - eta * a, mu], [-eta * a, mu]])  # of (θ − c, v)
    for step, expected, got in cr.check_optimizer(optimizer).steps:
        exact = CENTER[0] + (np.linalg.matrix_power(matrix, step) @ [START[0] - CENTER[0], 0])[0]
        assert abs(expected - exact) < 1e-12
        assert abs(got - exact) < 1e-12


# ---------------------------------------------------------------- a learner's own, with one mistake


class Own:
    """A rule with a mistake in it, as an object with update(w, dw)."""

    def __init__(self, rule, mistake):
        self.__dict__.update(lr=0.05, momentum=0.8, beta1=0.8, beta2=0.95, rho=0.7, eps=1e-6)
        self.rule, self.mistake, self.path = rule, mistake, None

    def update(self, w, dw):
        if self.path is None:
            settings = Settings(0.05 if self.lr == 0.05 else self.lr, 0.8, 0.8, 0.95, 0.7, 1e-6)
            self.path = RULES[self.rule](settings, self.mistake, w, lambda _: self.g)
        self.g = dw
        return next(self.path)


CASES = [(rule, mistake) for rule, mistakes in MISTAKES.items() for mistake in mistakes]


@pytest.mark.few(10)
@pytest.mark.parametrize(("rule", "mistake"), CASES)
def test_a_mistake_in_a_rule_is_named(rule, mistake):
    report = cr.check_optimizer(Own(rule, mistake), rule)
    assert not report
    if mistake in {"no rate", "rate twice"}:
        assert report.violations[0].rule == "learning rate"
    elif mistake == "t late":
        assert "the first step is not finite: does t count from 0?" in report.verdict
    elif mistake == "no square":  # a root of what may be negative
        assert "not finite" in report.verdict or "instead of g²" in report.verdict
    else:
        assert MISTAKES[rule][mistake] in report.verdict, report.verdict
        assert f"it differs from {rule} from step" in report.verdict


def test_what_is_called_as_a_rule_without_a_closed_form_is_taken_for_no_other():
    class MyLion:
        lr, beta_1, beta_2 = 0.01, 0.9, 0.99  # as Adam has them

        def update(self, w, dw):
            return w - self.lr * np.sign(dw)

    report = cr.check_optimizer(MyLion())
    assert report.unchecked
    assert "is WRONG" not in report.verdict


@pytest.mark.parametrize("rule", RULES)
def test_the_same_rules_without_a_mistake_are_right(rule):
    report = cr.check_optimizer(Own(rule, ""), rule.lower())
    assert report, str(report)


class Base(Optimizer):
    learning_rate, momentum = 0.1, 0.9
    slots = ("v",)


class WrongSign(Base):
    def step(self, theta, grad, state, rate):
        state.v[:] = -self.momentum * state.v - rate * grad
        theta += state.v


class Uphill(Base):
    def step(self, theta, grad, state, rate):
        theta += rate * grad


class OwnRate(Base):
    def step(self, theta, grad, state, rate):
        theta -= self.learning_rate * grad


class Rebinds(Base):
    def step(self, theta, grad, state, rate):
        theta = theta - rate * grad


class WritesGradient(Base):
    def step(self, theta, grad, state, rate):
        grad *= rate
        theta -= grad


class InItsClass(Base):
    seen = {}  # noqa: RUF012

    def step(self, theta, grad, state, rate):
        self.seen["v"] = self.momentum * self.seen.get("v", 0) - rate * grad
        theta += self.seen["v"]


class OnSelf(Base):
    def step(self, theta, grad, state, rate):
        self.v = getattr(self, "v", 0) - rate * grad
        theta += self.v


class OneForAll(Base):
    rho, slots = 0.9, ("s",)

    def step(self, theta, grad, state, rate):
        state.s[:] = 0.9 * state.s + 0.1 * np.mean(grad**2)
        theta -= rate * grad / (np.sqrt(state.s) + 1e-8)


class Raises(Base):
    def step(self, theta, grad, state, rate):
        theta -= rate * state.nothing * grad


class UndecayedAdamW(Base):
    weight_decay, beta_1, beta_2, epsilon, slots = 0.1, 0.9, 0.999, 1e-8, ("m", "v")

    def step(self, theta, grad, state, rate):
        cr.optimizers.Adam(0.1).step(theta, grad, state, rate)


class PlainDecayAdamW(UndecayedAdamW):
    def step(self, theta, grad, state, rate):
        theta *= 1 - self.weight_decay
        super().step(theta, grad, state, rate)


@pytest.mark.parametrize(
    ("optimizer", "rule", "said"),
    [
        (WrongSign(), "momentum", "from step 2 on: the velocity has the wrong sign: v ← μ v − η g"),
        (Uphill(), None, "descent: the first step goes uphill, along the gradient: θ ← θ − η g, not +"),
        (OwnRate(), "sgd", "learning rate: the step does not depend on the learning rate: multiply by rate, which includes"),
        (Rebinds(), None, "runs: θ does not change: write into it in place, theta -= ..."),
        (WritesGradient(), "sgd", "gradient: the step writes to the gradient: work on a copy, or on state.scratch"),
        (InItsClass(), "momentum", "state: two training runs with one optimizer affect each other"),
        (OnSelf(), None, "keep remembered values in state, under the names in slots"),
        (OneForAll(), "rmsprop", "parameters: a parameter moves because of another one's gradient"),
        (Raises(), None, "runs: the step raises TypeError: unsupported operand"),
        (UndecayedAdamW(), "adamw", "the weight decay is missing, W ← W − η λ W"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Optimizer) else "",
)  # fmt: skip
def test_what_breaks_the_contract_is_named(optimizer, rule, said):
    report = cr.check_optimizer(optimizer, rule)
    assert not report
    assert said in report.verdict, report.verdict
    assert f"{optimizer!r} is WRONG:" in report.verdict


def test_a_decay_without_the_learning_rate_is_not_in_proportion_to_it():
    assert "learning rate: twice the learning rate gives" in cr.check_optimizer(PlainDecayAdamW(), "adam").verdict


# ---------------------------------------------------------------- lists, dicts, functions


class AdamOfLists:
    def __init__(self, lr=0.01, betas=(0.9, 0.99)):
        self.lr, self.betas, self.t, self.m, self.v = lr, betas, 0, None, None

    def step(self, params, grads):
        (b1, b2), self.t = self.betas, self.t + 1
        self.m = self.m or [np.zeros_like(p) for p in params]
        self.v = self.v or [np.zeros_like(p) for p in params]
        for i, g in enumerate(grads):
            self.m[i] = b1 * self.m[i] + (1 - b1) * g
            self.v[i] = b2 * self.v[i] + (1 - b2) * g**2
            params[i] -= self.lr * self.m[i] / (1 - b1**self.t) / (np.sqrt(self.v[i] / (1 - b2**self.t)) + 1e-8)


class MomentumOfDicts:
    def __init__(self, shared):
        self.lr, self.momentum, self.v, self.shared = 0.1, 0.9, {}, shared

    def update(self, params, grads):
        for name in params:
            key = "all" if self.shared else name
            self.v[key] = self.momentum * self.v.get(key, 0) - self.lr * grads[f"d{name}"]
            params[name] = params[name] + self.v[key]


def sgd(w, dw):
    return w - 0.1 * dw


def test_optimizers_of_lists_dicts_and_functions():
    for optimizer, rule in ((AdamOfLists(), "Adam"), (MomentumOfDicts(shared=False), "Momentum"), (sgd, "SGD")):
        report = cr.check_optimizer(optimizer)
        assert report, str(report)
        assert report.rule == rule
    assert cr.check_optimizer(AdamOfLists().step)


def test_a_velocity_for_all_arrays_is_found():
    report = cr.check_optimizer(MomentumOfDicts(shared=True))
    assert not report
    assert "state: the state is shared between parameters: each array needs its own" in report.verdict


def test_the_optimizer_is_not_changed():
    optimizer = AdamOfLists()
    cr.check_optimizer(optimizer)
    assert (optimizer.t, optimizer.m, optimizer.lr) == (0, None, 0.01)


def test_what_follows_no_rule_is_not_called_right():
    class Signs:
        lr = 0.1

        def update(self, w, dw):
            return w - self.lr * np.sign(dw)

    report = cr.check_optimizer(Signs())
    assert not report
    assert report.unchecked
    assert "Signs cannot be checked:\n  it follows none of the known rules" in report.verdict
    assert (
        "it differs from SGD from step 1 on, and matches no known mistake" in cr.check_optimizer(Signs(), "sgd").verdict
    )


def test_what_is_not_implemented_yet():
    class Later(Base):
        def step(self, theta, grad, state, rate):
            raise NotImplementedError

    report = cr.check_optimizer(Later())
    assert report.unchecked
    assert "the step is not implemented yet" in report.verdict


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((cr.optimizers.SGD,), TypeError, r"got the class SGD; give an object of it: SGD\(...\)"),
        (("adam",), TypeError, "expected an Optimizer, a function of the parameters and the gradients, or an object"),
        ((sgd, "adan"), ValueError, "rule: unknown rule 'adan'. Did you mean 'Adam'"),
    ],
)
def test_bad_input(arguments, error, match):
    with pytest.raises(error, match=match):
        cr.check_optimizer(*arguments)


def test_the_report_is_a_table_with_a_verdict():
    text = str(cr.check_optimizer(WrongSign(), "momentum"))
    assert text.splitlines()[0].split() == ["step", "closed", "form", "optimizer"]
    assert [line.split()[-1] for line in text.splitlines()[1:4]] == ["ok", "WRONG", "WRONG"]
