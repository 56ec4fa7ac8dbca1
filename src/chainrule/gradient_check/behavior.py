"""Rules for all optimizers: they go downhill, in proportion to the learning rate, and keep their state separate."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.contract import Violation
from chainrule.gradient_check.failing import UnfinishedError, raised
from chainrule.gradient_check.quadratic import START, gradient, value, walk
from chainrule.gradient_check.same import copied, equal
from chainrule.gradient_check.subjects import Subject, in_dict, in_list

LARGE, SMALL = 2.0, 1e-3  # factors on the learning rate
OTHER = START[::-1] - 0.5


def behavior(subject: Subject) -> Iterator[Violation]:
    """Yield violations that do not depend on the update rule."""
    g = gradient(START)
    try:
        given = g.copy()
        first = subject.moves()(START.copy(), given)
        moved = bool((walk(subject.moves(), 3)[-1] != START).any())
    except NotImplementedError as error:
        raise UnfinishedError(raised("the step", error)) from error
    except Exception as error:  # noqa: BLE001  (the optimizer is user code)
        frozen = subject.is_ours and isinstance(error, AttributeError)
        where = ": keep remembered values in state, under the names in slots" if frozen else ""
        yield Violation("runs", f"{raised('the step', error)}{where}")
        return
    if not np.array_equal(given, g):
        yield Violation("gradient", "the step writes to the gradient: work on a copy, or on state.scratch")
    step = first - START
    if not np.isfinite(first).all():
        why = ": does t count from 0? 1 − β⁰ is 0, so count the step first" if subject.given("beta_1") else ""
        yield Violation("runs", f"the first step is not finite{why}")
        return
    if not moved:
        other = "" if subject.is_ours else ", or return the new one"
        yield Violation(
            "runs", f"θ does not change: write into it in place, theta -= ..., not theta = theta - ...{other}"
        )
        return
    if shared := list(_state(subject)):
        yield from shared
        return
    if not step.any():  # it may start with the second step, which is compared below
        return
    yield from _rate(subject, step)
    if step @ g > 0:
        yield Violation("descent", "the first step goes uphill, along the gradient: θ ← θ − η g, not +")
    elif value(_small(subject)) >= value(START):
        yield Violation("descent", "a small step does not reduce L")
    yield from _apart(subject)


def _small(subject: Subject) -> Array:
    try:
        return subject.moves(SMALL)(START.copy(), gradient(START))
    except LookupError:
        step = subject.moves()(START.copy(), gradient(START)) - START
        return START + SMALL * step


def _rate(subject: Subject, step: Array) -> Iterator[Violation]:
    try:
        larger = subject.moves(LARGE)(START.copy(), gradient(START)) - START
    except LookupError:  # a function: its learning rate is unknown
        return
    power = math.log2(float(np.linalg.norm(larger) / np.linalg.norm(step)))
    if abs(power) < 1e-6:
        ours = "multiply by rate, which includes the schedule's factor, not by self.learning_rate"
        where = ours if subject.is_ours else "multiply by it"
        yield Violation("learning rate", f"the step does not depend on the learning rate: {where}")
    elif abs(power - 2) < 1e-6:
        yield Violation("learning rate", "the learning rate is applied twice: the step grows with its square")
    elif abs(power - 1) > 1e-6:
        yield Violation(
            "learning rate", f"twice the learning rate gives {2**power:.3g} times the step: expected 2 times"
        )


def _state(subject: Subject) -> Iterator[Violation]:
    """Alternate two training runs with one object: each must give the same result as alone."""
    alone = walk(subject.moves(), 4), walk(subject.moves(), 4, OTHER)
    if not subject.is_ours:
        together = _pair(subject, 4)
        if together is not None and not _agree(together, alone):
            yield Violation(
                "state",
                "the state is shared between parameters: each array needs its own, as in "
                'self.v = [np.zeros_like(w) for w in parameters] or self.v["W1"]',
            )
        return
    before, one = copied(vars(subject.optimizer)), subject.twin()
    movers = subject.moves(shared=one), subject.moves(shared=one)
    thetas, paths = [START.copy(), OTHER.copy()], ([], [])  # type: ignore[var-annotated]
    for _ in range(4):
        for i, move in enumerate(movers):
            thetas[i] = move(thetas[i], gradient(thetas[i]))
            paths[i].append(thetas[i])
    if not _agree(tuple(map(np.array, paths)), alone):
        yield Violation(
            "state",
            "two training runs with one optimizer affect each other: keep remembered values in state, under the names "
            "in slots, not in self or the class",
        )
    elif not equal(vars(one), before):
        yield Violation("state", "the step writes to self: keep remembered values in state, under the names in slots")


def _agree(together: tuple[Array, ...], alone: tuple[Array, ...]) -> bool:
    return all(np.allclose(a, b) for a, b in zip(together, alone, strict=True))


def _pair(subject: Subject, steps: int) -> tuple[Array, Array] | None:
    """Return the paths of two arrays in one list or dict; None if the optimizer takes single arrays."""
    for form in (in_list, in_dict):
        function, (a, b) = subject.function(subject.twin()), (START.copy(), OTHER.copy())
        paths = []
        try:
            for _ in range(steps):
                after = form(function, [a.copy(), b.copy()], [gradient(a), gradient(b)])
                a, b = (np.array(w, np.float64) for w in after)
                if not a.shape == b.shape == START.shape:
                    raise ValueError(a.shape)
                paths.append((a, b))
        except Exception:  # noqa: BLE001, S112  (it does not accept this form)
            continue
        return np.array([p[0] for p in paths]), np.array([p[1] for p in paths])
    return None


def _apart(subject: Subject) -> Iterator[Violation]:
    """Check whether the gradients of other parameters move the first two."""
    paths = []
    for factor in (1.0, 3.0):
        move, theta = subject.moves(), START.copy()
        for _ in range(4):
            g = gradient(theta)
            g[2:] *= factor
            theta = move(theta, g)
        paths.append(theta[:2])
    if not np.allclose(paths[0], paths[1], rtol=1e-10):
        yield Violation(
            "parameters",
            "a parameter moves because of another one's gradient: is there a sum or mean over all parameters, or one "
            "number stored for all of them? State must be an array like θ",
        )
