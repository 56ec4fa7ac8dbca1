"""A network, its loss and penalties: whether dL/dθ is right, parameter by parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule._blame import blame
from chainrule._checks import check_count, check_real
from chainrule._objective import Objective, slope
from chainrule._typing import Array, ArrayLike
from chainrule.gradient_check.hints import hint
from chainrule.gradient_check.order import LOWEST_ORDER, order_along, order_within
from chainrule.gradient_check.report import GradientReport, ParameterCheck, network_verdict
from chainrule.network import Network
from chainrule.parameters import Entry
from chainrule.penalties import Constraint, Penalty


def check_gradient(
    network: Network,
    X: ArrayLike,
    t: ArrayLike,
    *,
    penalties: Sequence[Penalty | Constraint] = (),
    sample_weight: ArrayLike | None = None,
    directions: int = 5,
    entries: int | None = 10,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> GradientReport:
    """Check dL/dθ of a network, its loss and penalties on a batch, and say in words what is wrong.

    Parameters
    ----------
    network : Network
        It is not changed: a copy in float64 is checked.
    X : (rows, inputs) array
        A few rows are enough, and fast.
    t : targets as the loss wants them
    penalties : sequence of Penalty
        As for :func:`chainrule.train`. Constraints are no part of L and are passed over.
    sample_weight : (rows,) array, optional
    directions : int
        How many random directions.
    entries : int or None
        How many entries of each parameter, drawn at random; None for all.
    tolerance : float
        The relative error that passes.
    seed : int
        For directions, entries and what dropout draws: the same mask at every evaluation.

    Returns
    -------
    GradientReport

    Raises
    ------
    ValueError
        When the network has no parameters, or X and t do not fit it.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.layers import Dense, Tanh
    >>> network = cr.Network(3, [Dense(4), Tanh(), Dense(2)], cr.losses.SoftmaxCrossEntropy(), seed=0)
    >>> X = np.random.default_rng(0).normal(size=(8, 3))
    >>> report = check_gradient(network, X, [0, 1] * 4)
    >>> report.ok, round(report.order, 1), report.error < 1e-8
    (True, 2.0, True)
    """
    directions = check_count("check_gradient", "directions", directions)
    entries = None if entries is None else check_count("check_gradient", "entries", entries)
    tolerance = check_real("check_gradient", "tolerance", tolerance, 0, open_low=True)
    if not network.layout.size:
        raise ValueError("check_gradient: the network has no parameters, so that there is no dL/dθ: add a Dense layer.")
    objective = Objective(network, X, t, penalties, sample_weight, seed)
    rng, draw = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        along = [_check_direction(objective, rng, tolerance) for _ in range(directions)]
        parameters = [
            _check_parameter(objective, entry, _chosen(entry, entries, draw), rng, tolerance)
            for entry in objective.network.layout.entries
        ]
        errors = [error for error, _, _ in along]
        worst = max([*errors, *(p.error for p in parameters)], key=lambda e: math.inf if math.isnan(e) else e)
        orders = [order for _, order, _ in along if not math.isnan(order)]
        order = float(np.median(orders)) if orders else math.nan
        ok = worst <= tolerance and not order < LOWEST_ORDER
        suspects = [] if ok else blame(objective, rng)
    kinks = sum(kink for _, _, kink in along) + sum(p.kinks for p in parameters)
    verdict = network_verdict(ok, worst, order, kinks, parameters, suspects)
    return GradientReport(ok, worst, order, parameters, errors, kinks, suspects, verdict)


def _check_direction(objective: Objective, rng: np.random.Generator, tolerance: float) -> tuple[float, float, int]:
    """Return the relative error along a random direction, the order of the remainder, and 1 if there is a kink."""
    v = rng.normal(size=objective.theta.size)
    u = v / np.linalg.norm(v)
    # g·v is of the size of ‖g‖; by chance it can be near 0, which says nothing about the error.
    analytic, size = float(objective.grad @ v), float(np.linalg.norm(objective.grad))
    numeric = slope(objective.value, objective.theta, v, analytic, 0.1 * tolerance * size)
    error = objective.relative(abs(numeric - analytic), numeric, analytic, size)
    if not error <= tolerance and objective.kink(v, tolerance, rng):
        return 0.0, math.nan, 1
    order, kink = order_along(objective, u, rng)
    return error, order, int(kink)


def _chosen(entry: Entry, entries: int | None, draw: np.random.Generator) -> Array:
    size = entry.where.stop - entry.where.start
    if entries is None or entries >= size:
        return np.arange(size)
    return np.sort(draw.choice(size, entries, replace=False))


def _check_parameter(
    objective: Objective, entry: Entry, chosen: Array, rng: np.random.Generator, tolerance: float
) -> ParameterCheck:
    analytic = objective.grad[entry.where][chosen]
    numeric = np.empty(len(chosen))
    axis = np.zeros_like(objective.theta)
    kinks = 0
    limit = tolerance * max(float(np.linalg.norm(analytic)), 1e-4) / math.sqrt(len(chosen))
    for i, j in enumerate(chosen):
        axis[entry.where.start + j] = 1
        numeric[i] = slope(objective.value, objective.theta, axis, analytic[i], 0.1 * limit)
        axis[entry.where.start + j] = 0
    difference = np.abs(analytic - numeric)
    norms = float(np.linalg.norm(numeric)), float(np.linalg.norm(analytic))
    if not objective.relative(float(np.linalg.norm(difference)), *norms) <= tolerance:
        for i in map(int, np.flatnonzero(~(difference <= limit))):
            axis[entry.where.start + chosen[i]] = 1
            if objective.kink(axis, tolerance, rng):
                difference[i], kinks = 0, kinks + 1
            axis[entry.where.start + chosen[i]] = 0
    error = objective.relative(float(np.linalg.norm(difference)), *norms)
    worst = np.unravel_index(chosen[int(np.argmax(difference))], entry.shape)
    layer = objective.network.layers[entry.layer]
    law = "" if error <= tolerance else hint(objective, numeric, analytic, objective.theta[entry.where][chosen])
    return ParameterCheck(
        entry.layer,
        repr(layer),
        entry.name,
        entry.shape,
        len(chosen),
        *norms,
        error,
        tuple(map(int, worst)),
        kinks,
        law,
        order_within(objective, entry.where, rng),
    )
