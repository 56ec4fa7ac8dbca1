"""An optimizer against the closed form of its rule, step by step on a quadratic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from chainrule._checks import check_count
from chainrule._names import did_you_mean
from chainrule._typing import Array
from chainrule.gradient_check.contract import Violation
from chainrule.gradient_check.failing import UnfinishedError, raised
from chainrule.gradient_check.report import aligned
from chainrule.gradient_check.same import copied, equal
from chainrule.gradient_check.subjects import Move, Subject
from chainrule.gradient_check.update_rules import MISTAKES, RULES, VARIANTS, Rule, Settings, decayed

START, CENTER, CURVATURE = (
    np.array([1.0, -2.0, 0.5, 3.0]),
    np.array([0.2, 0.1, -0.3, 1.0]),
    np.array([1.0, 0.3, 2.0, 0.7]),
)
CLOSE = 1e-9  # of the largest step: the same sums in another order
LARGE, SMALL = 2.0, 1e-3  # factors on the learning rate


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
        return aligned(rows, width)


def check_optimizer(optimizer: Any, rule: str | None = None, *, steps: int = 20) -> OptimizerReport:
    """Check an optimizer against the closed form of its rule on a quadratic, and say in words what is wrong.

    .. code-block:: text

        L(θ) = ½ Σ aᵢ (θᵢ − cᵢ)²        g = a (θ − c)        θ after 1, 2, … steps: closed form against optimizer

    The closed forms are SGD, Momentum, Nesterov, Adagrad, RMSProp and Adam, with weight decay beside them where the optimizer
    has some, and their usual variants: ε inside the root, an average as velocity. Besides, by name: *descent*: a small step
    lowers L; *learning rate*: the step is in proportion to it; *gradient* is not written to; *state* belongs to one training
    and one array; *parameters*: none moves because of another's gradient.

    Parameters
    ----------
    optimizer : Optimizer, or an object or a function of your own
        A function of the parameters and the gradients, or an object with ``update`` or ``step`` for these. It gets arrays,
        lists or dicts, whichever it takes, and changes them in place or returns new ones. The settings are read from
        the usual names: ``learning_rate`` or ``lr``, ``momentum``, ``beta_1``, ``epsilon``, ... It is copied, and not changed.
    rule : str, optional
        Which rule it shall follow, such as ``"adam"``; by default its name and its settings tell.
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
    wanted = _wanted(subject, rule)
    found: list[Violation] = []
    with np.errstate(all="ignore"):
        try:
            found = list(_behavior(subject))
            compared = _Compared(subject, wanted, steps) if not {"runs", "state"} & {v.rule for v in found} else None
        except UnfinishedError as unfinished:
            return _not_checked(subject, str(unfinished))
    if compared is None:
        return _report(subject, found, None)
    found += compared.violations
    if not compared.rule and not found:
        return _not_checked(
            subject,
            f"it follows none of the rules that are known here ({', '.join(RULES)}), and its name tells none: give the one "
            'that it shall follow, as rule="adam". It lowers L, in proportion to the learning rate',
        )
    return _report(subject, found, compared)


def _gradient(theta: Array) -> Array:
    return CURVATURE * (theta - CENTER)


def _value(theta: Array) -> float:
    return float(0.5 * (CURVATURE * (theta - CENTER) ** 2).sum())


def _walk(move: Move, steps: int, start: Array = START) -> Array:
    theta, path = start.copy(), []
    for _ in range(steps):
        theta = move(theta, _gradient(theta))
        path.append(theta)
    return np.array(path)


def _behavior(subject: Subject) -> Iterator[Violation]:
    """Yield what is wrong whatever the rule is."""
    g = _gradient(START)
    try:
        given = g.copy()
        first = subject.moves()(START.copy(), given)
        _walk(subject.moves(), 3)
    except NotImplementedError as error:
        raise UnfinishedError(raised("the step", error)) from error
    except Exception as error:  # noqa: BLE001  (the optimizer is somebody else's code)
        frozen = subject.is_ours and isinstance(error, AttributeError)
        where = ": what is remembered belongs in state, under the names in slots" if frozen else ""
        yield Violation("runs", f"{raised('the step', error)}{where}")
        return
    if not np.array_equal(given, g):
        yield Violation("gradient", "the step writes to the gradient: work on a copy, or on state.scratch")
    step = first - START
    if not np.isfinite(first).all():
        why = ": does t count from 0? 1 − β⁰ is 0, so count the step first" if subject.given("beta_1") else ""
        yield Violation("runs", f"the first step is not finite{why}")
        return
    if not step.any():
        other = "" if subject.is_ours else ", or return the new one"
        yield Violation(
            "runs", f"θ does not change: write into it in place, theta -= ..., not theta = theta - ...{other}"
        )
        return
    if shared := list(_state(subject)):
        yield from shared
        return
    yield from _rate(subject, step)
    if step @ g > 0:
        yield Violation("descent", "the first step goes uphill, along the gradient: θ ← θ − η g, not +")
    elif _value(_small(subject)) >= _value(START):
        yield Violation("descent", "a small step does not lower L")
    yield from _apart(subject)


def _small(subject: Subject) -> Array:
    try:
        return subject.moves(SMALL)(START.copy(), _gradient(START))
    except LookupError:
        step = subject.moves()(START.copy(), _gradient(START)) - START
        return START + SMALL * step


def _rate(subject: Subject, step: Array) -> Iterator[Violation]:
    try:
        larger = subject.moves(LARGE)(START.copy(), _gradient(START)) - START
    except LookupError:  # a function: nobody knows its learning rate
        return
    power = math.log2(float(np.linalg.norm(larger) / np.linalg.norm(step)))
    if abs(power) < 1e-6:
        ours = "multiply by rate, which has the schedule's factor, and not by self.learning_rate"
        where = ours if subject.is_ours else "multiply by it"
        yield Violation("learning rate", f"the step does not depend on the learning rate: {where}")
    elif abs(power - 2) < 1e-6:
        yield Violation("learning rate", "the learning rate is applied twice: the step grows with its square")
    elif abs(power - 1) > 1e-6:
        yield Violation(
            "learning rate", f"twice the learning rate gives {2**power:.3g} times the step: expected 2 times"
        )


def _state(subject: Subject) -> Iterator[Violation]:
    """Two trainings in turn, with one object; alone each goes as it went before."""
    if subject.is_ours:
        before = copied(vars(subject.optimizer))
        other = START[::-1] - 0.5
        alone = [_walk(subject.moves(), 4), _walk(subject.moves(), 4, other)]
        one = subject.twin()
        movers = [subject.moves(shared=one), subject.moves(shared=one)]
        thetas, paths = [START.copy(), other.copy()], [[], []]  # type: ignore[var-annotated]
        for _ in range(4):
            for i in (0, 1):
                thetas[i] = movers[i](thetas[i], _gradient(thetas[i]))
                paths[i].append(thetas[i])
        if not all(np.allclose(p, a) for p, a in zip(paths, alone, strict=True)):
            yield Violation(
                "state",
                "two trainings with one optimizer disturb each other: what it remembers belongs in state, under the names "
                "in slots, not in self or in the class",
            )
        elif not equal(vars(one), before):
            yield Violation(
                "state", "the step writes to self: what it remembers belongs in state, under the names in slots"
            )
        return
    alone_a, alone_b = _walk(subject.moves(), 4), _walk(subject.moves(), 4, START[::-1] - 0.5)
    together = _pair(subject, 4)
    if together is not None and not (np.allclose(together[0], alone_a) and np.allclose(together[1], alone_b)):
        yield Violation(
            "state",
            "the state is shared between parameters: each array needs its own, as in self.v = [np.zeros_like(w) for w in "
            'parameters] or self.v["W1"]',
        )


def _pair(subject: Subject, steps: int) -> tuple[Array, Array] | None:
    """Return the paths of two arrays in one list, or in one dict; None where it takes single arrays."""
    for wrap in (lambda a, b: [a, b], lambda a, b: {"W": a, "b": b}):
        one = subject.twin()
        function = one if subject.method is None else getattr(one, subject.method)
        a, b, paths = START.copy(), START[::-1] - 0.5, []
        try:
            for _ in range(steps):
                given, ga, gb = wrap(a.copy(), b.copy()), _gradient(a), _gradient(b)
                gradients = [ga, gb] if isinstance(given, list) else {"W": ga, "b": gb, "dW": ga, "db": gb}
                result = function(given, gradients)
                after = given if result is None else result
                a, b = (np.array(after[k], np.float64) for k in ((0, 1) if isinstance(given, list) else ("W", "b")))
                if a.shape != START.shape or b.shape != START.shape:
                    raise ValueError(a.shape)
                paths.append((a, b))
        except Exception:  # noqa: BLE001, S112  (it takes something else)
            continue
        return np.array([p[0] for p in paths]), np.array([p[1] for p in paths])
    return None


def _apart(subject: Subject) -> Iterator[Violation]:
    """What the first two parameters do does not depend on the gradients of the others."""
    paths = []
    for factor in (1.0, 3.0):
        move, theta = subject.moves(), START.copy()
        for _ in range(4):
            g = _gradient(theta)
            g[2:] *= factor
            theta = move(theta, g)
        paths.append(theta[:2])
    if not np.allclose(*paths, rtol=1e-10):
        yield Violation(
            "parameters",
            "a parameter moves because of another one's gradient: is a sum or a mean taken over all of them, or one number "
            "remembered for all? The state of a rule is an array like θ",
        )


def _wanted(subject: Subject, rule: str | None) -> list[str]:
    """Return the rules that it may be meant to follow, the likeliest first."""
    if rule is not None:
        named = [name for name in RULES if name.lower() == str(rule).lower().replace("adamw", "adam")]
        if not named:
            raise ValueError(
                f"check_optimizer: rule: there is none called {rule!r}. {did_you_mean(str(rule), list(RULES))}"
            )
        return named
    name = subject.name.lower().replace("_", "")
    for other in ("Adam", "RMSProp", "Adagrad", "Nesterov", "Momentum"):
        if other.lower() in name:
            return [other]
    if "sgd" in name or "gradientdescent" in name:
        return ["Momentum", "Nesterov", "SGD"] if subject.given("momentum") else ["SGD"]
    if subject.given("beta_1") is not None and subject.given("beta_2") is not None:
        return ["Adam"]
    if isinstance(getattr(subject.owner, "momentum", None), float):
        return ["Momentum", "Nesterov"]
    return []


class _Compared:
    """The path of an optimizer beside the closed forms."""

    def __init__(self, subject: Subject, wanted: list[str], steps: int) -> None:
        self.got = _walk(subject.moves(), steps)
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
        return np.array(list(islice(rule(settings or self.settings, twist, START.copy(), _gradient), len(self.got))))

    def _same(self, path: Array) -> bool:
        with np.errstate(all="ignore"):
            size = float(np.abs(np.diff(np.concatenate([[START], path]), axis=0)).max())
        return bool(np.allclose(self.got, path, rtol=0, atol=CLOSE * size)) if np.isfinite(size) else False

    def _first(self) -> int:
        differs = ~np.isclose(self.got, self.expected, rtol=1e-9, atol=1e-12).all(axis=1)
        return int(differs.argmax()) + 1

    def _mistake(self, wanted: list[str]) -> str:
        for name in wanted:
            for twist, words in MISTAKES[name].items():
                if any(self._same(self._path(rule, twist)) for rule in _with_decay(RULES[name], self.settings)):
                    return f": {words}"
            for factor, words in (
                (-1.0, "the step has the wrong sign"),
                (2.0, "the step is twice as large"),
                (0.5, "the step is half as large"),
            ):
                changed = self.settings._replace(rate=factor * self.settings.rate)
                if self._same(self._path(RULES[name], "", changed)):
                    return f": {words}"
        if self.settings.weight_decay:
            if self._same(self._path(decayed(RULES[wanted[0]], "plain"), "")):
                return ": the weight decay is not multiplied by the learning rate, W ← W − η λ W"
            if self._same(self._path(RULES["Adam"], "decay in gradient")):
                return ": the weight decay goes through the gradient, as L2 does: here it is beside it, W ← W − η λ W"
            if self._same(self._path(RULES[wanted[0]], "")):
                return ": the weight decay is missing, W ← W − η λ W"
        for name in RULES:
            if name not in wanted and self._same(self._path(RULES[name], "")):
                return f": it is {name}"
        return ", and follows no mistake that is known here"

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


def _not_checked(subject: Subject, why: str) -> OptimizerReport:
    verdict = f"{subject.name} cannot be checked:\n  {why}."
    return OptimizerReport(False, subject.name, "", verdict, unchecked=[why])


def _report(subject: Subject, found: list[Violation], compared: _Compared | None) -> OptimizerReport:
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
