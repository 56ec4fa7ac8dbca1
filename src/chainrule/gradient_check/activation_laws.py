"""Recognizing a wrong derivative of an activation in plain NumPy, where only L and the gradients are known.

With the weights W of a layer at 0, its units compute f(b) for every row. The analytic gradient of b is then the numeric
one times a function of b, and each mistake has a function of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.function_objective import FunctionObjective, RefusedError
from chainrule.gradient_check.hints import CLOSE
from chainrule.gradient_check.objective import slope
from chainrule.gradient_check.report import NO_LAW, ParameterCheck
from chainrule.parameters import Entry

INPUTS = np.array([-1.9, 0.9, -0.5, 1.6, -1.2, 0.4, 2.1, -2.3])
COARSE_CLOSE = 2e-2  # in float32


class _Activation(NamedTuple):
    function: Callable[[Array], Array]
    of_output: Callable[[Array], Array]
    """The derivative as a function of the output h."""
    code: str


SATURATING = {
    "sigmoid": _Activation(lambda z: 1 / (1 + np.exp(-z)), lambda h: h * (1 - h), "h * (1 - h)"),
    "tanh": _Activation(np.tanh, lambda h: 1 - h**2, "1 - h**2"),
}


def explained(objective: FunctionObjective, parameters: list[ParameterCheck]) -> list[ParameterCheck]:
    """Return the parameters, those with an unexplained error with the activation at fault, if it is recognized."""
    found = dict.fromkeys((p.name for p in parameters), "")
    entries = {e.name: e for e in objective.entries}
    order, wrong = list(entries), [p.name for p in parameters if _is_unexplained(p)]
    if not objective.has_gradient_elsewhere:
        return parameters
    for b in (entries[name] for name in wrong):
        place = order.index(b.name)
        for _, w in sorted((abs(i - place), i) for i in range(len(order)) if _can_feed(entries[order[i]], b)):
            weights = entries[order[w]]
            with contextlib.suppress(RefusedError):  # the loss may not accept these parameters
                if not found[b.name] and (law := _law(objective, b, weights)):
                    for name in (b.name, weights.name, *_before(objective, entries, wrong, weights)):
                        found[name] = found[name] or law
    return [dataclasses.replace(p, hint=found[p.name] or p.hint) if p.name in wrong else p for p in parameters]


def _is_unexplained(p: ParameterCheck) -> bool:
    return p.hint == NO_LAW or p.hint.endswith(" times the numeric one")


def _can_feed(w: Entry, b: Entry) -> bool:
    """Return whether w and b have the shapes of one layer's weights and biases."""
    units = b.size
    is_vector = units == max(b.shape, default=1)
    return is_vector and w.name != b.name and ((len(w.shape) > 1 and units in w.shape) or units == 1 == len(w.shape))


def _before(objective: FunctionObjective, entries: dict[str, Entry], wrong: list[str], w: Entry) -> Iterator[str]:
    """Yield the wrong parameters on which L depends only through w."""
    theta = objective.theta.copy()
    theta[w.where] = 0
    here = objective.value(theta)
    for name in wrong:
        moved = theta.copy()
        moved[entries[name].where] += 0.1
        if name != w.name and objective.value(moved) == here:
            yield name


def _law(objective: FunctionObjective, b: Entry, w: Entry) -> str:
    z, analytic, numeric, total = _measured(objective, b, w)
    limit = (COARSE_CLOSE if objective.is_coarse else CLOSE) * np.abs(analytic)
    if not np.isfinite(analytic).all() or not analytic.all():
        return ""
    off = z < 0
    if (np.abs(numeric) <= limit)[off].all() and (np.abs(analytic - numeric) <= limit)[~off].all():
        return (
            f"the ReLU after {b.name} passes gradients where its input is negative: its mask is missing, or computed "
            "from an array that was overwritten. Multiply by h > 0, where h is its output"
        )
    for words, ratio in _mistakes(b.name, z, is_softmax=total <= CLOSE):
        if (np.abs(analytic - ratio * numeric) <= limit).all():
            return words
    return ""


def _measured(objective: FunctionObjective, b: Entry, w: Entry) -> tuple[Array, Array, Array, float]:
    """Return z, the gradients of b at z, and the sum of the analytic one over the units, relative to its size."""
    theta, units = objective.theta.copy(), b.size
    theta[w.where] = 0
    rows, sums = [], []
    for turn in range(-(-len(INPUTS) // units)):
        z = np.resize(np.roll(INPUTS, -turn * units), units)
        theta[b.where] = z
        grad = objective.value_and_grad(theta)[1][b.where].copy()
        sums.append(abs(grad.sum()) / max(float(np.abs(grad).sum()), 1e-300))
        for j in range(min(units, len(INPUTS))):
            axis = np.zeros_like(theta)
            axis[b.where.start + j] = 1
            rows.append((z[j], grad[j], slope(objective.value, theta, axis, grad[j], 0.0, objective.steps[:1])))
    measured = np.array(rows).T
    return measured[0], measured[1], measured[2], float(max(sums))


def _mistakes(b: str, z: Array, *, is_softmax: bool) -> Iterator[tuple[str, Array]]:
    """Yield the known mistakes in words, each with analytic / numeric at every z."""
    for name, (function, of_output, code) in SATURATING.items():
        h = function(z)
        right, its = of_output(h), f"the derivative of the {name}"
        if is_softmax:
            either = f"Remove the {name}, because softmax accepts any numbers, or multiply by {code}"
            yield f"{its} between {b} and the softmax is missing. {either}, where h is its output", 1 / right
        after, use = f"{its} after {b}", f"{code}, where h is its output"
        yield f"{after} is missing: multiply by {use}", 1 / right
        yield f"{after} is evaluated at its output instead of its input: use {use}", of_output(function(h)) / right
        yield f"{after} is applied twice: multiply once by {use}", right
        yield f"{after} is computed from its input as if that were its output: use {use}", of_output(z) / right
        for other, (_, of_other, _) in SATURATING.items():
            if other != name:
                yield f"{after} is that of {other}: use {use}", of_other(h) / right
