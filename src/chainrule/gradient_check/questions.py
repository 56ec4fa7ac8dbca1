"""The three tests of a gradient: along random directions, by order, and entry by entry."""

from __future__ import annotations

import math

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.hints import hint
from chainrule.gradient_check.objective import Objective
from chainrule.gradient_check.order import LOWEST_ORDER, order_along, order_within
from chainrule.gradient_check.report import GradientReport, ParameterCheck
from chainrule.parameters import Entry


def ask(objective: Objective, directions: int, entries: int | None, tolerance: float, seed: int) -> GradientReport:
    """Run all tests of a gradient; the report has no verdict yet."""
    rng, draw = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    along = [_check_direction(objective, rng, tolerance) for _ in range(directions)]
    parameters = [
        _check_parameter(objective, entry, _chosen(entry, entries, draw), rng, tolerance) for entry in objective.entries
    ]
    errors = [error for error, _, _ in along]
    worst = max([*errors, *(p.error for p in parameters)], key=lambda e: math.inf if math.isnan(e) else e)
    orders = [order for _, order, _ in along if not math.isnan(order)]
    order = float(np.median(orders)) if orders else math.nan
    ok = worst <= tolerance and not order < LOWEST_ORDER
    kinks = sum(kink for _, _, kink in along) + sum(p.kinks for p in parameters)
    return GradientReport(ok=ok, error=worst, order=order, parameters=parameters, direction_errors=errors, kinks=kinks)


def _check_direction(objective: Objective, rng: np.random.Generator, tolerance: float) -> tuple[float, float, int]:
    """Return the relative error along a random direction, the order of the remainder, and 1 at a kink, else 0."""
    v = rng.normal(size=objective.theta.size)
    u = v / np.linalg.norm(v)
    # g·v is about as large as ‖g‖, but can happen to be near 0, which says nothing about the error.
    analytic, size = float(objective.grad @ v), float(np.linalg.norm(objective.grad))
    numeric = objective.slope(objective.theta, v, analytic, 0.1 * tolerance * size)
    error = objective.relative(abs(numeric - analytic), numeric, analytic, size)
    if not error <= tolerance and objective.kink(v, tolerance, rng):
        return 0.0, math.nan, 1
    order, kink = order_along(objective, u, rng)
    return error, order, int(kink)


def _chosen(entry: Entry, entries: int | None, draw: np.random.Generator) -> Array:
    if entries is None or entries >= entry.size:
        return np.arange(entry.size)
    return np.sort(draw.choice(entry.size, entries, replace=False))


def _check_parameter(
    objective: Objective, entry: Entry, chosen: Array, rng: np.random.Generator, tolerance: float
) -> ParameterCheck:
    analytic = objective.grad[entry.where][chosen]
    numeric = np.empty(len(chosen))
    axis = np.zeros_like(objective.theta)
    limit = tolerance * max(float(np.linalg.norm(analytic)), objective.coarse) / math.sqrt(len(chosen))
    for i, j in enumerate(chosen):
        axis[entry.where.start + j] = 1
        numeric[i] = objective.slope(objective.theta, axis, analytic[i], 0.1 * limit)
        axis[entry.where.start + j] = 0
    kink = np.zeros(len(chosen), bool)
    if not _error(objective, numeric, analytic) <= tolerance:
        for i in map(int, np.flatnonzero(~(np.abs(analytic - numeric) <= limit))):
            axis[entry.where.start + chosen[i]] = 1
            kink[i] = objective.kink(axis, tolerance, rng)
            axis[entry.where.start + chosen[i]] = 0
    there, right = analytic[~kink], numeric[~kink]
    error = _error(objective, right, there) if there.size else 0.0
    worst = np.unravel_index(chosen[int(np.argmax(np.where(kink, 0, np.abs(analytic - numeric))))], entry.shape)
    law = "" if error <= tolerance else hint(objective, entry, chosen, numeric, analytic)
    return ParameterCheck(
        layer=entry.layer, layer_name=objective.owner(entry), name=entry.name, shape=entry.shape, checked=len(chosen),
        numeric_norm=float(np.linalg.norm(right)), analytic_norm=float(np.linalg.norm(there)), error=error,
        worst=tuple(map(int, worst)), kinks=int(kink.sum()), hint=law, order=order_within(objective, entry.where, rng),
        unchecked=bool(kink.any() and not there.any() and not (np.abs(right) > limit).any()),
    )  # fmt: skip


def _error(objective: Objective, numeric: Array, analytic: Array) -> float:
    norms = float(np.linalg.norm(numeric)), float(np.linalg.norm(analytic))
    return objective.relative(float(np.linalg.norm(analytic - numeric)), *norms)
