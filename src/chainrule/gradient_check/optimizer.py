"""An optimizer against the closed form of its rule, step by step on a quadratic."""

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
from chainrule.gradient_check.subjects import Subject
from chainrule.gradient_check.update_rules import RULES
from chainrule.pages.text import columns


@dataclass(frozen=True)
class OptimizerReport:
    """What :func:`check_optimizer` found; true when the optimizer is right, and a table with a verdict when printed.

    Attributes
    ----------
    ok : bool
    optimizer : str
    rule : str
        The rule that it follows, or should; empty where it is none that is known here.
    error : float
        The largest difference from the closed form, compared with the largest step; NaN where there is none.
    steps : list of (step, expected, got)
        θ₀ after each step.
    violations : list of Violation
        Each with the name of its ``rule`` and ``what`` was found.
    verdict : str
    unchecked : list of str
        Why nothing can be said, where nothing can: ``ok`` is then false, and nothing is known to be wrong.

    Examples
    --------
    >>> report = check_optimizer(lambda w, dw: w - 0.1 * dw, "sgd")
    >>> report.ok, report.rule, [step for step, expected, got in report.steps[:3]]
    (True, 'SGD', [1, 2, 3])
    """

    ok: bool
    optimizer: str
    rule: str
    verdict: str
    error: float = math.nan
    steps: list[tuple[int, float, float]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n".join([*([self.table()] if self.steps else []), self.verdict])

    def table(self, width: int | None = None) -> str:
        """Return the first steps and the last one: θ₀ by the closed form, and what it became."""
        rows = [("step", "closed form", "optimizer", "")]
        shown = [*self.steps[:3], *self.steps[3:][-1:]]
        for step, expected, got in shown:
            ok = abs(expected - got) <= 1e-9 * max(1.0, abs(expected))
            rows.append((str(step), f"{expected:.8f}", f"{got:.8f}", "ok" if ok else "WRONG"))
        return columns(rows, width)


def check_optimizer(optimizer: Any, rule: str | None = None, *, steps: int = 20) -> OptimizerReport:
    """Check an optimizer against the closed form of its rule on a quadratic, and say in words what is wrong.

    .. code-block:: text

        L(θ) = ½ Σ aᵢ (θᵢ − cᵢ)²        g = a (θ − c)        θ after 1, 2, … steps: closed form against optimizer

    The rules are SGD, Momentum, Nesterov, Adagrad, RMSProp and Adam, with weight decay beside them where the optimizer
    has some, and their usual variants, such as ε inside the root. Whatever the rule: *descent*: a small step lowers L;
    *learning rate*: the step is in proportion to it; the *gradient* is not written to; the *state* belongs to one
    training and one array; *parameters*: none moves because of another's gradient.

    Parameters
    ----------
    optimizer : Optimizer, or an object or a function of your own
        A function of the parameters and the gradients, or an object with ``update`` or ``step`` for these. It gets
        arrays, lists or dicts, whichever it takes, and changes them in place or returns new ones. The settings are read
        from the usual names: ``learning_rate`` or ``lr``, ``momentum``, ``beta_1``, ``epsilon``, ... A copy is checked.
    rule : str, optional
        Which rule it should follow, such as ``"adam"``; by default its name and its settings tell.
    steps : int
        How many steps are compared.

    Returns
    -------
    OptimizerReport

    Raises
    ------
    TypeError
        When ``optimizer`` is nothing that moves parameters.
    ValueError
        When ``rule`` is none that is known.

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
            f"it follows none of the rules that are known here ({', '.join(RULES)}), and its name tells none: give "
            'the one that it should follow, as rule="adam". It does lower L, in proportion to the learning rate',
        )
    return _report(subject, found, compared)


def _not_checked(subject: Subject, why: str) -> OptimizerReport:
    verdict = f"{subject.name} cannot be checked:\n  {why}."
    return OptimizerReport(False, subject.name, "", verdict, unchecked=[why])


def _report(subject: Subject, found: list[Violation], compared: Compared | None) -> OptimizerReport:
    name = repr(subject.optimizer) if subject.is_ours else subject.name
    rule, error, rows = (compared.rule, compared.error, compared.rows) if compared else ("", math.nan, [])
    verdict = "\n  ".join([f"{name} is WRONG:", *(f"{v}." for v in found)])
    if not found and compared:
        how = f" {compared.variant}" if compared.variant else ""
        verdict = (
            f"{name} is right: {len(rows)} steps on a quadratic follow {rule}{how}, with a largest difference of "
            f"{error:.1e}, and a small step lowers L."
        )
    return OptimizerReport(not found, name, rule, verdict, error, rows, found)
