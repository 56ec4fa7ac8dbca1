"""Checking a network with its loss and penalties: dL/dθ, parameter by parameter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule._internal.checks import check_count, check_real
from chainrule._internal.typing import ArrayLike
from chainrule.gradient_check.blame import blame
from chainrule.gradient_check.failing import failure
from chainrule.gradient_check.objective import NetworkObjective
from chainrule.gradient_check.questions import ask
from chainrule.gradient_check.report import GradientReport, decided, reasons
from chainrule.memo import Memo
from chainrule.network import Network
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
    """Check dL/dθ of a network with its loss and penalties on a batch, and explain any errors.

    Parameters
    ----------
    network : Network
        It is not modified: a copy in float64 is checked.
    X : (rows, inputs) array
        A few rows are enough and keep the check fast.
    t : targets, in the form expected by the loss
    penalties : sequence of Penalty
        As for :func:`chainrule.train`. Constraints are not part of L and are ignored.
    sample_weight : (rows,) array, optional
    directions : int
        Number of random directions.
    entries : int or None
        Number of entries of each parameter, drawn at random; None for all.
    tolerance : float
        Largest relative error that passes.
    seed : int
        Random seed for directions, entries and dropout, which uses the same mask at every evaluation.

    Returns
    -------
    GradientReport

    Raises
    ------
    ValueError
        If the network has no parameters, or X and t are incompatible with it.

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
        raise ValueError("check_gradient: the network has no parameters, so there is no dL/dθ: add a Dense layer.")
    objective = NetworkObjective(network.on_cpu, X, t, penalties, sample_weight, seed)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        try:
            objective.begin()
            report = ask(objective, directions, entries, tolerance, seed)
            suspects = [] if report.ok else blame(objective, np.random.default_rng(seed))
        except Exception as error:  # noqa: BLE001  (layers, losses and penalties are user code)
            return _failed(objective, error)
    lines = [f"{what}." for what in reasons(report.parameters, known=bool(suspects))]
    lines += [f"Checked on its own, {suspect}." for suspect in suspects]
    if not suspects:
        lines.append("Each layer, the loss and the penalties pass on their own: check how they are combined.")
    return decided(report, lines, suspects)


def _failed(objective: NetworkObjective, error: Exception) -> GradientReport:
    objective.network.theta[:] = objective.theta
    draw = objective.rewind
    what = failure(objective.network, objective.x, objective.t, error, lambda: Memo(training=True, rng=draw()))
    if isinstance(error, NotImplementedError):
        return GradientReport(ok=False, verdict=f"The gradient cannot be checked:\n  {what}.", unchecked=[what])
    return GradientReport(
        ok=False, verdict=f"The gradient is WRONG, it cannot be computed:\n  {what}.", suspects=[what]
    )
