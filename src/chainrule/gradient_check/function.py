"""The gradient check for a loss and its gradient in plain NumPy, without layers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._internal.checks import check_count, check_real
from chainrule.gradient_check import activation_laws, array_laws
from chainrule.gradient_check.failing import raised
from chainrule.gradient_check.function_objective import FunctionObjective, Guarded, RefusedError
from chainrule.gradient_check.questions import ask
from chainrule.gradient_check.report import NO_LAW, GradientReport, ParameterCheck, decided, reasons

SMALL = 400  # the most entries for which the whole gradient is computed, at two calls each
COARSE_TOLERANCE = 1e-2
COARSE = (
    "Note: L is computed in float32, where differences are coarse: only errors above 1% are detected. With float64, as "
    "in W.astype(np.float64), they are a million times finer."
)


def check_function(
    loss: Callable[..., Any],
    parameters: Any,
    gradients: Any = None,
    *,
    directions: int = 5,
    entries: int | None = 10,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> GradientReport:
    """Check the gradient of a loss written in plain NumPy, and explain any errors.

    For code that does not use chainrule, such as the network of a from-scratch tutorial with its weights in a dict.

    .. formula::

        numeric = (L(θ + hv) − L(θ − hv)) / 2h        against        analytic = gradients · v

    Parameters
    ----------
    loss : callable
        Returns L, one number. It is called according to its signature: ``loss(parameters)``; ``loss(W1, b1)``, with one
        argument per array, by name if ``parameters`` is a dict; or ``loss()``, which reads the original arrays in
        ``parameters``. Arguments with a default keep it. If it returns a tuple, L is the first element.
    parameters : dict, list or array
        The float arrays that L depends on: ``{"W1": W1, "b1": b1}``, ``[W1, b1]``, one array, or lists of dicts.
    gradients : dict, list, array or callable, optional
        dL/dW for every array: a dict with the same keys or with ``dW1`` for ``W1`` (other keys are ignored), a list in
        the same order, or one vector for all. Or a function that returns these: it is called right after ``loss`` by
        the same rules. Kinks are then recognized more reliably, and wrong derivatives of activations are named. If
        omitted, ``loss`` must return ``(L, gradients)``.
    directions : int
        Number of random directions.
    entries : int or None
        Number of entries of each array, drawn at random; None for all.
    tolerance : float
        Largest relative error that passes.
    seed : int
        Random seed for directions and entries.

    Returns
    -------
    GradientReport

    Raises
    ------
    TypeError, ValueError
        If the arguments are inconsistent: integers as parameters, a gradient of a wrong shape, a loss that returns an
        array or requires unknown arguments.

    Notes
    -----
    The arrays are always restored exactly: a loss with arguments receives copies in float64, and one without reads the
    arrays themselves. ``np.random`` and ``random`` draw the same numbers in every call, so dropout that uses them
    works; a loss that draws from its own generator is detected and cannot be checked.

    In float32, differences are coarse: only errors above 1% are detected, and the verdict says so.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    >>> parameters = {"W": rng.normal(size=(3, 1)), "b": np.zeros(1)}
    >>> def loss(p):
    ...     return np.mean((X @ p["W"] + p["b"] - y) ** 2)
    >>> error = X @ parameters["W"] + parameters["b"] - y
    >>> gradients = {"dW": 2 * X.T @ error / 20, "db": 2 * error.sum(axis=0)}        # a mistake: db is not averaged
    >>> print(check_function(loss, parameters, gradients).verdict.splitlines()[1].strip())
    db: the analytic gradient is 20 times the numeric one: if the batch has 20 rows, summed over them, but L is a mean.
    """
    directions = check_count("check_function", "directions", directions)
    entries = None if entries is None else check_count("check_function", "entries", entries)
    tolerance = check_real("check_function", "tolerance", tolerance, 0, open_low=True)
    with Guarded(parameters, loss) as arrays, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        objective = FunctionObjective(loss, parameters, gradients, arrays)
        try:
            unchecked = objective.begin()
            if unchecked:
                return _not_checked(unchecked)
            if objective.is_coarse:
                tolerance = max(tolerance, COARSE_TOLERANCE)
            report = ask(objective, directions, entries, tolerance, seed)
            parameters = activation_laws.explained(objective, report.parameters)
            report = dataclasses.replace(report, parameters=[_explained(objective, p) for p in parameters])
        except (RefusedError, NotImplementedError) as error:
            if isinstance(error, NotImplementedError):
                return _not_checked(raised("the loss or its gradient", error))
            raise error.reason from error.__cause__
        report = decided(report, _wrong(objective, report))
        return dataclasses.replace(report, verdict=f"{report.verdict}\n  {COARSE}") if objective.is_coarse else report


def _explained(objective: FunctionObjective, p: ParameterCheck) -> ParameterCheck:
    """Check the whole array if the sampled entries match no known pattern."""
    (entry,) = (e for e in objective.entries if e.name == p.name)
    axis = np.zeros_like(objective.theta)
    if not (p.numeric_norm or p.analytic_norm or objective.has_gradient_elsewhere):  # both are 0 at the kink of |w|
        axis[entry.where] = 1
        return dataclasses.replace(p, unchecked=objective.kink(axis, 0.0, np.random.default_rng(0)))
    if p.hint != NO_LAW or math.prod(p.shape) > SMALL:
        return p
    analytic, numeric = objective.grad[entry.where], np.empty(math.prod(p.shape))
    for i in range(len(numeric)):
        axis[entry.where.start + i] = 1
        numeric[i] = objective.slope(objective.theta, axis, analytic[i], 0.0)
        axis[entry.where.start + i] = 0
    law = array_laws.law(p.name, analytic.reshape(p.shape), numeric.reshape(p.shape))
    return dataclasses.replace(p, hint=law or NO_LAW)


def _not_checked(why: str) -> GradientReport:
    return GradientReport(ok=False, verdict=f"The gradient cannot be checked:\n  {why}.", unchecked=[why])


def _wrong(objective: FunctionObjective, found: GradientReport) -> list[str]:
    if not any(p.numeric_norm for p in found.parameters):
        arrays = "the original arrays in parameters, not copies" if objective.in_place else "the arrays passed to it"
        return [f"L does not change with any parameter: the loss must compute with {arrays}."]
    return [f"{what}." for what in reasons(found.parameters, known=False)]
