"""Comparison of an optimizer's path on a quadratic with those of textbook rules and of known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np

from chainrule import optimizers
from chainrule._internal.names import did_you_mean, public_classes
from chainrule._internal.typing import Array
from chainrule.gradient_check.contract import Violation
from chainrule.gradient_check.quadratic import START, gradient, walk
from chainrule.gradient_check.subjects import Subject
from chainrule.gradient_check.update_rules import MISTAKES, RULES, VARIANTS, Rule, Settings, adam, decayed

CLOSE = 1e-9  # of the largest step: the same sums in another order


def wanted_rules(subject: Subject, rule: str | None) -> list[str]:
    """Return the rules that the optimizer may be meant to follow, the most likely first."""
    if rule is not None:
        named = [name for name in RULES if name.lower() == str(rule).lower().replace("adamw", "adam")]
        if not named:
            raise ValueError(f"check_optimizer: rule: unknown rule {rule!r}. {did_you_mean(str(rule), list(RULES))}")
        return named
    name = subject.name.lower().replace("_", "")
    for other in ("Adam", "RMSProp", "Adagrad", "Nesterov", "Momentum"):
        if other.lower() in name:
            return [other]
    if "sgd" in name or "gradientdescent" in name:
        return ["Momentum", "Nesterov", "SGD"] if subject.given("momentum") else ["SGD"]
    if any(other.lower() in name for other in public_classes(optimizers, optimizers.Optimizer)):
        return []  # Lion, whose mistakes do not show before the signs of a gradient change
    if subject.given("beta_1") is not None and subject.given("beta_2") is not None:
        return ["Adam"]
    return ["Momentum", "Nesterov"] if isinstance(getattr(subject.owner, "momentum", None), float) else []


class Compared:
    """The path of an optimizer compared with the closed forms."""

    def __init__(self, subject: Subject, wanted: list[str], steps: int) -> None:
        self.got = walk(subject.moves(), steps)
        self.settings = subject.settings()
        self.violations: list[Violation] = []
        self.rule, self.variant, self.expected = "", "", self.got
        for name in wanted or RULES:
            for twist, words in {"": "", **VARIANTS.get(name, {})}.items():
                for rule in _with_decay(RULES[name], self.settings):
                    path = self._path(rule, twist)
                    if self._same(path):
                        self.rule, self.variant, self.expected = name, words, path
                        return
        if not wanted:
            return
        self.rule = wanted[0]
        self.expected = self._path(_with_decay(RULES[self.rule], self.settings)[0], "")
        self.violations.append(
            Violation("rule", f"it differs from {self.rule} from step {self._first()} on{self._mistake(wanted)}")
        )

    def _path(self, rule: Rule, twist: str, settings: Settings | None = None) -> Array:
        return np.array(list(islice(rule(settings or self.settings, twist, START.copy(), gradient), len(self.got))))

    def _same(self, path: Array) -> bool:
        with np.errstate(all="ignore"):
            size = float(np.abs(np.diff(np.concatenate([[START], path]), axis=0)).max())
        return bool(np.allclose(self.got, path, rtol=0, atol=CLOSE * size)) if np.isfinite(size) else False

    def _first(self) -> int:
        differs = ~np.isclose(self.got, self.expected, rtol=1e-9, atol=1e-12).all(axis=1)
        return int(differs.argmax()) + 1

    def _mistake(self, wanted: list[str]) -> str:
        """Return the mistake that gives the same path, as the end of a sentence."""
        for name in wanted:
            for twist, words in MISTAKES[name].items():
                if any(self._same(self._path(rule, twist)) for rule in _with_decay(RULES[name], self.settings)):
                    return f": {words}"
        for rule, twist, factor, words in self._others(wanted):
            if self._same(self._path(rule, twist, self.settings._replace(rate=factor * self.settings.rate))):
                return f": {words}"
        return ", and matches no known mistake"

    def _others(self, wanted: list[str]) -> Iterator[tuple[Rule, str, float, str]]:
        plain = RULES[wanted[0]]
        yield plain, "", -1.0, "the step has the wrong sign"
        yield plain, "", 2.0, "the step is twice as large"
        yield plain, "", 0.5, "the step is half as large"
        if self.settings.weight_decay:
            what, beside = "the weight decay is", "W ← W − η λ W"
            yield decayed(plain, "plain"), "", 1.0, f"{what} not multiplied by the learning rate, {beside}"
            yield adam, "decay in gradient", 1.0, f"{what} added to the gradient, as in L2; expected {beside}"
            yield plain, "", 1.0, f"{what} missing, {beside}"
        for name, rule in RULES.items():
            if name not in wanted:
                yield rule, "", 1.0, f"it is {name}"

    @property
    def error(self) -> float:
        if not self.rule:
            return math.nan
        size = np.abs(np.diff(np.concatenate([[START], self.expected]), axis=0)).max()
        return float(np.abs(self.got - self.expected).max() / size)

    @property
    def rows(self) -> list[tuple[int, float, float]]:
        pairs = zip(self.expected[:, 0], self.got[:, 0], strict=True)
        return [(i, float(a), float(b)) for i, (a, b) in enumerate(pairs, 1)] if self.rule else []


def _with_decay(rule: Rule, settings: Settings) -> list[Rule]:
    return [decayed(rule, "beside")] if settings.weight_decay else [rule]
