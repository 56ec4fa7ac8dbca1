"""Comparison of an optimizer with the closed form of its rule, step by step on a quadratic."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule._internal.checks import check_count
from chainrule.gradient_check.behavior import behavior
from chainrule.gradient_check.closed_forms import Compared, wanted_rules
from chainrule.gradient_check.contract import Violation
from chainrule.gradient_check.failing import UnfinishedError
from chainrule.gradient_check.report import Report
from chainrule.gradient_check.subjects import Subject
from chainrule.gradient_check.update_rules import RULES
from chainrule.pages.text import columns


@dataclass(frozen=True, kw_only=True)
class OptimizerReport(Report):
    """The result of :func:`check_optimizer`: true if the optimizer is correct; prints as a table with a verdict.

    Attributes
    ----------
    ok : bool
    optimizer : str
    rule : str
        The rule that it follows, or should follow; empty if unknown.
    error : float
        The largest difference from the closed form, relative to the largest step; NaN if there is no closed form.
    steps : list of (step, expected, got)
        θ₀ after each step.
    violations : list of Violation
        Each with the name of its ``rule`` and a description, ``what``.
    verdict : str
    unchecked : list of str
        Reasons why the optimizer could not be checked: ``ok`` is then false, although no error is known.

    Examples
    --------
    >>> report = check_optimizer(lambda w, dw: w - 0.1 * dw, "sgd")
    >>> report.ok, report.rule, [step for step, expected, got in report.steps[:3]]
    (True, 'SGD', [1, 2, 3])
    """

    optimizer: str
    rule: str = ""
    steps: list[tuple[int, float, float]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def table(self, width: int | None = None) -> str:
        """Return the first steps and the last one: θ₀ of the closed form and of the optimizer."""
        rows = [("step", "closed form", "optimizer", "")]
        shown = [*self.steps[:3], *self.steps[3:][-1:]]
        for step, expected, got in shown:
            ok = abs(expected - got) <= 1e-9 * max(1.0, abs(expected))
            rows.append((str(step), f"{expected:.8f}", f"{got:.8f}", "ok" if ok else "WRONG"))
        return columns(rows, width) if shown else ""


def check_optimizer(optimizer: Any, rule: str | None = None, *, steps: int = 20) -> OptimizerReport:
    """Check an optimizer against the closed form of its rule on a quadratic, and explain any errors.

    .. formula::

        L(θ) = ½ Σ aᵢ (θᵢ − cᵢ)²        g = a (θ − c)        θ after 1, 2, … steps: closed form against optimizer

    The rules are SGD, Momentum, Nesterov, Adagrad, RMSProp and Adam, with decoupled weight decay if the optimizer has
    it, and their usual variants, such as ε inside the root. For every rule: *descent*: a small step reduces L;
    *learning rate*: the step is proportional to it; the *gradient* is not modified; the *state* belongs to one training
    run and one array; *parameters*: none moves because of another's gradient.

    Parameters
    ----------
    optimizer : Optimizer, or a custom object or function
        A function of the parameters and the gradients, or an object with ``update`` or ``step`` for these. It receives
        arrays, lists or dicts, whichever it accepts, and changes them in place or returns new ones. Settings are read
        from the usual attribute names: ``learning_rate`` or ``lr``, ``momentum``, ``beta_1``, ``epsilon``, ... A copy
        is checked.
    rule : str, optional
        The rule it should follow, such as ``"adam"``. By default inferred from its name and settings.
    steps : int
        Number of steps to compare.

    Returns
    -------
    OptimizerReport

    Raises
    ------
    TypeError
        If ``optimizer`` cannot update parameters.
    ValueError
        If ``rule`` is unknown.

    Examples
    --------
    >>> import chainrule as cr
    >>> class Momentum:
    ...     lr, momentum, v = 0.1, 0.9, 0.0
    ...     def update(self, w, dw):
    ...         self.v = -self.momentum * self.v - self.lr * dw        # a mistake: + μ v
    ...         return w + self.v
    >>> print(cr.check_optimizer(Momentum()).verdict)
    Momentum is WRONG:
      rule: it differs from Momentum from step 2 on: the velocity has the wrong sign: v ← μ v − η g keeps μ v positive.
    """
    steps = check_count("check_optimizer", "steps", steps, least=3)
    subject = Subject(optimizer)
    wanted = wanted_rules(subject, rule)
    found: list[Violation] = []
    with np.errstate(all="ignore"):
        try:
            found = list(behavior(subject))
            compared = Compared(subject, wanted, steps) if not {"runs", "state"} & {v.rule for v in found} else None
        except UnfinishedError as unfinished:
            return _not_checked(subject, str(unfinished))
    if compared is None:
        return _report(subject, found, None)
    found += compared.violations
    if not compared.rule and not found:
        return _not_checked(
            subject,
            f"it follows none of the known rules ({', '.join(RULES)}), and its name matches none: give "
            'the rule it should follow, as rule="adam". It does reduce L, in proportion to the learning rate',
        )
    return _report(subject, found, compared)


def _not_checked(subject: Subject, why: str) -> OptimizerReport:
    verdict = f"{subject.name} cannot be checked:\n  {why}."
    return OptimizerReport(ok=False, optimizer=subject.name, verdict=verdict, unchecked=[why])


def _report(subject: Subject, found: list[Violation], compared: Compared | None) -> OptimizerReport:
    name = repr(subject.optimizer) if subject.is_ours else subject.name
    rule, error, rows = (compared.rule, compared.error, compared.rows) if compared else ("", math.nan, [])
    verdict = "\n  ".join([f"{name} is WRONG:", *(f"{v}." for v in found)])
    if not found and compared:
        how = f" {compared.variant}" if compared.variant else ""
        verdict = (
            f"{name} is correct: {len(rows)} steps on a quadratic follow {rule}{how}, with a largest difference of "
            f"{error:.1e}, and a small step reduces L."
        )
    return OptimizerReport(
        ok=not found, optimizer=name, rule=rule, verdict=verdict, error=error, steps=rows, violations=found
    )
