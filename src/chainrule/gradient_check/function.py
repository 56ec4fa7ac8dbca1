"""A loss and its gradient in plain NumPy, which know nothing of layers: the same questions, table and words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._internal.checks import check_count, check_real
from chainrule.gradient_check import array_laws
from chainrule.gradient_check.failing import raised
from chainrule.gradient_check.function_objective import FunctionObjective, Guarded, RefusedError
from chainrule.gradient_check.questions import Answers, ask
from chainrule.gradient_check.report import NO_LAW, GradientReport, ParameterCheck, reasons, verdict

SMALL = 400  # entries of a parameter whose whole gradient is worth two calls each
COARSE_TOLERANCE = 1e-2


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
    """Check the gradient of a loss written in plain NumPy, and say in words what is wrong.

    For code that does not use chainrule at all: the network of a from-scratch tutorial, with its weights in a dict.

    .. code-block:: text

        numeric = (L(θ + hv) − L(θ − hv)) / 2h        against        analytic = gradients · v

    Parameters
    ----------
    loss : callable
        Returns L, one number. It is called as its arguments ask: ``loss(parameters)``; ``loss(W1, b1)``, with one
        argument for each array, by name where ``parameters`` is a dict; or ``loss()``, which reads the very arrays in
        ``parameters``. Arguments with a default keep it. If it returns a tuple, L is the first element.
    parameters : dict, list or array
        The arrays that L depends on, of floats: ``{"W1": W1, "b1": b1}``, ``[W1, b1]``, one array, or lists of dicts.
    gradients : dict, list, array or callable, optional
        dL/dW for every array: a dict with the same keys or with ``dW1`` for ``W1`` (other keys are ignored), a list in
        the same order, or one vector of everything. Or a function that returns these: it is called right after
        ``loss``, by the same rules, and kinks are then recognized more surely. Without it, ``loss`` returns
        ``(L, gradients)``.
    directions : int
        How many random directions.
    entries : int or None
        How many entries of each array, drawn at random; None for all.
    tolerance : float
        The relative error that passes.
    seed : int
        For directions and entries.

    Returns
    -------
    GradientReport

    Raises
    ------
    TypeError, ValueError
        When the arguments do not fit together: integers as parameters, a gradient of another shape, a loss that returns
        an array or takes arguments that nobody gives.

    Notes
    -----
    The arrays are restored to the bit, whatever happens: a loss with arguments gets copies in float64, and one without
    reads the arrays themselves. ``np.random`` and ``random`` draw the same numbers in every call, so dropout that uses
    them does no harm; a loss that draws from a generator of its own is recognized, and cannot be checked.

    In float32, differences are coarse: only errors of more than 1 % are found, and the verdict says so.

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
    db: the analytic gradient is 20 times the numeric one: if the batch has 20 rows, a sum over them where L has a mean.
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
            answers = ask(objective, directions, entries, tolerance, seed)
            answers = dataclasses.replace(answers, parameters=[_explained(objective, p) for p in answers.parameters])
        except (RefusedError, NotImplementedError) as error:
            if isinstance(error, NotImplementedError):
                return _not_checked(raised("the loss or its gradient", error))
            raise error.reason from error.__cause__
        return answers.report([], _verdict(objective, answers))


def _explained(objective: FunctionObjective, p: ParameterCheck) -> ParameterCheck:
    """Look at the whole array where the sampled entries follow no law."""
    (entry,) = (e for e in objective.entries if e.name == p.name)
    axis = np.zeros_like(objective.theta)
    if not (p.numeric_norm or p.analytic_norm or objective.has_gradient_elsewhere):  # both are 0 in the middle of |w|
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
    return GradientReport(
        False, math.nan, math.nan, [], [], 0, [], f"The gradient cannot be checked:\n  {why}.", unchecked=[why]
    )


def _verdict(objective: FunctionObjective, found: Answers) -> str:
    wrong = [f"{what}." for what in reasons(found.parameters, known=False)]
    if not any(p.numeric_norm for p in found.parameters):
        arrays = "the very arrays in parameters, not copies" if objective.in_place else "the arrays that it is given"
        wrong = [f"L does not change with any parameter: the loss must compute with {arrays}."]
    coarse = (
        "Note: L is computed in float32, where differences are coarse: only errors of more than 1 % are found. With "
        "float64, as in W.astype(np.float64), they are a million times finer."
    )
    return "\n  ".join([verdict(found, wrong), *([coarse] if objective.is_coarse else [])])
