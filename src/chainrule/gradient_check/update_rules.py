"""Textbook update rules, each in a few lines on a vector, and common mistakes in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from chainrule._internal.typing import Array

Gradient = Callable[[Array], Array]


class Settings(NamedTuple):
    """The settings of the rules."""

    rate: float
    momentum: float = 0.9
    beta_1: float = 0.9
    beta_2: float = 0.999
    rho: float = 0.9
    epsilon: float = 1e-8
    weight_decay: float = 0.0


Rule = Callable[[Settings, str, Array, Gradient], Iterator[Array]]


def sgd(s: Settings, twist: str, theta: Array, gradient: Gradient) -> Iterator[Array]:
    """Move against the gradient: θ ← θ − η g."""
    rate = {"no rate": 1.0, "rate twice": s.rate**2}.get(twist, s.rate)
    while True:
        theta = theta - rate * gradient(theta)
        yield theta


def momentum(s: Settings, twist: str, theta: Array, gradient: Gradient) -> Iterator[Array]:
    """Move by a velocity: v ← μ v − η g, θ ← θ + v."""
    v = last = np.zeros_like(theta)
    mu = {"minus": -s.momentum, "no decay": 1.0, "complement": 1 - s.momentum}.get(twist, s.momentum)
    share = 1 - s.momentum if twist == "average" else 1.0
    while True:
        g, old = gradient(theta), v
        v, last = mu * (last if twist == "last step" else v), -share * (1.0 if twist == "no rate" else s.rate) * g
        v = v + last
        theta = theta + (s.rate if twist == "rate twice" else 1.0) * (old if twist == "late" else v)
        yield theta


def nesterov(s: Settings, twist: str, theta: Array, gradient: Gradient) -> Iterator[Array]:
    """Move by the velocity that comes next: v ← μ v − η g, θ ← θ + μ v − η g."""
    v = np.zeros_like(theta)
    mu = -s.momentum if twist == "minus" else s.momentum
    while True:
        g = gradient(theta)
        v = mu * v - s.rate * g
        theta = theta + (s.momentum * v if twist == "no gradient" else mu * v - s.rate * g)
        yield theta


def adagrad(s: Settings, twist: str, theta: Array, gradient: Gradient) -> Iterator[Array]:
    """Divide by the sum of squares: s ← s + g², θ ← θ − η g / (√s + ε)."""
    total = np.zeros_like(theta)
    while True:
        g = gradient(theta)
        total = g * g if twist == "no sum" else total + (g if twist == "no square" else g * g)
        theta = theta - s.rate * g / _divisor(total, s.epsilon, twist)
        yield theta


def rmsprop(s: Settings, twist: str, theta: Array, gradient: Gradient) -> Iterator[Array]:
    """Divide by a mean of squares: s ← ρ s + (1 − ρ) g², θ ← θ − η g / (√s + ε)."""
    mean = np.zeros_like(theta)
    old, new = {"swapped": (1 - s.rho, s.rho), "no share": (s.rho, 1.0)}.get(twist, (s.rho, 1 - s.rho))
    while True:
        g = gradient(theta)
        mean = old * mean + new * (g if twist == "no square" else g * g)
        theta = theta - s.rate * g / _divisor(mean, s.epsilon, twist)
        yield theta


def adam(s: Settings, twist: str, theta: Array, gradient: Gradient) -> Iterator[Array]:
    """Do both: m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← θ − η m̂ / (√v̂ + ε)."""
    b1, b2 = (s.beta_2, s.beta_1) if twist == "betas swapped" else (s.beta_1, s.beta_2)
    m, v, t = np.zeros_like(theta), np.zeros_like(theta), {"t late": -1, "t early": 1}.get(twist, 0)
    while True:
        g = gradient(theta)
        t = 1 if twist == "t constant" else t + 1
        if twist == "decay in gradient":
            g = g + s.weight_decay * theta
        m = b1 * m + (1.0 if twist == "no share of m" else 1 - b1) * g
        v = b2 * v + (1.0 if twist == "no share of v" else 1 - b2) * (g if twist == "no square" else g * g)
        corrected_m = m if twist in {"no correction", "no correction of m"} else m / _one_minus(b1, t)
        corrected_v = v if twist in {"no correction", "no correction of v"} else v / _one_minus(b2, t)
        if twist == "epsilon hat":
            step = s.rate * corrected_m / ((np.sqrt(v) + s.epsilon) / math.sqrt(1 - b2**t))
        else:
            step = s.rate * corrected_m / _divisor(corrected_v, s.epsilon, twist)
        theta = theta - step
        yield theta


def _one_minus(beta: float, t: int) -> float:
    return 1 - beta**t or math.nan


def _divisor(squares: Array, epsilon: float, twist: str) -> Array:
    if twist == "no root":
        return squares + epsilon
    return np.sqrt(squares + epsilon) if twist == "epsilon inside" else np.sqrt(squares) + epsilon


RULES: dict[str, Rule] = {
    "SGD": sgd,
    "Momentum": momentum,
    "Nesterov": nesterov,
    "Adagrad": adagrad,
    "RMSProp": rmsprop,
    "Adam": adam,
}

VARIANTS: dict[str, dict[str, str]] = {
    "Momentum": {"average": "with an average of gradients, v ← μ v − (1 − μ) η g"},
    "Adagrad": {"epsilon inside": "with ε inside the root"},
    "RMSProp": {"epsilon inside": "with ε inside the root"},
    "Adam": {"epsilon inside": "with ε inside the root", "epsilon hat": "with ε beside √v"},
}
"""Accepted variants of the same rule."""

_RATE = {"no rate": "the learning rate is missing", "rate twice": "the learning rate is applied twice"}
_ROOT = {
    "no root": "the square root of {s} is missing: divide by √{s} + ε",
    "no square": "{s} accumulates g instead of g²",
}
_MINUS = "the velocity has the wrong sign: v ← μ v − η g keeps μ v positive"
MISTAKES: dict[str, dict[str, str]] = {
    "SGD": _RATE,
    "Momentum": {
        "minus": _MINUS,
        "no decay": "the velocity is never multiplied by μ, so it never decays: v ← μ v − η g",
        "complement": "the velocity is multiplied by 1 − μ instead of μ",
        "last step": "only the last gradient is remembered, not all of them: store the velocity v ← μ v − η g",
        "late": "the step uses the previous velocity: update v first, then θ",
        **_RATE,
    },
    "Nesterov": {"minus": _MINUS, "no gradient": "the step lacks the term − η g: θ ← θ + μ v − η g"},
    "Adagrad": {
        "no sum": "s is only the last g²: add them up, s ← s + g²",
        **{k: v.format(s="s") for k, v in _ROOT.items()},
    },
    "RMSProp": {
        "swapped": "ρ and 1 − ρ are swapped: s ← ρ s + (1 − ρ) g²",
        "no share": "g² is not multiplied by 1 − ρ: s ← ρ s + (1 − ρ) g²",
        **{k: v.format(s="s") for k, v in _ROOT.items()},
    },
    "Adam": {
        "no correction": "the bias corrections are missing: m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ)",
        "no correction of m": "the bias correction of m is missing: m̂ = m / (1 − β₁ᵗ)",
        "no correction of v": "the bias correction of v is missing: v̂ = v / (1 − β₂ᵗ)",
        "t constant": "the bias correction never changes: is t incremented? Use 1 − βᵗ, not 1 − β",
        "t late": "t starts at 0, and 1 − β⁰ = 0 divides by zero: increment t first, t = 1, 2, …",
        "t early": "t is one too large: the first step has t = 1",
        "betas swapped": "β₁ and β₂ are swapped: β₁ is for m, β₂ for v",
        "no share of m": "g is not multiplied by 1 − β₁: m ← β₁ m + (1 − β₁) g",
        "no share of v": "g² is not multiplied by 1 − β₂: v ← β₂ v + (1 − β₂) g²",
        **{k: v.format(s="v̂" if k == "no root" else "v") for k, v in _ROOT.items()},
    },
}
"""Descriptions of mistakes, by rule and mistake."""


def decayed(rule: Rule, when: str) -> Rule:
    """Return the rule with decoupled weight decay, W ← W − η λ W; without η if ``when`` is "plain"."""

    def run(s: Settings, twist: str, theta: Array, gradient: Gradient) -> Iterator[Array]:
        moved = [theta]
        steps = rule(s, twist, theta, lambda _: gradient(moved[0]))
        before = theta
        factor = (1.0 if when == "plain" else s.rate) * s.weight_decay
        for after in steps:
            moved[0] = moved[0] + (after - before) - factor * moved[0]
            before = after
            yield moved[0]

    return run
