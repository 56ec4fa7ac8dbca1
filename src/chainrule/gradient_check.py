"""The gradient check: whether what ``backward`` says is the derivative of what ``forward`` computes.

Three questions, each asked in float64, whatever the network's own dtype:

1. *Along random directions* v over all parameters at once: (L(θ + hv) − L(θ − hv)) / 2h against g·v.
2. *By order*: |L(θ + hu) − L(θ) − h g·u| must shrink as h² when h is halved. A wrong gradient leaves h¹. No tolerance
   has to be tuned for this one.
3. *Entry by entry*, for a sample of each parameter's entries, to say where.

Where L has a kink (ReLU at 0) the derivative jumps and finite differences mean nothing. A disagreement is therefore
asked again at points a little beside θ: a kink is gone there, a mistake is not.

When something is wrong, every layer, the loss and every penalty are checked alone, to name the one that is.

Sources: Chainer's ``check_backward`` (by direction); Griewank and Walther, "Evaluating derivatives" (2008) and dolfin-
adjoint's Taylor test (by order).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule._blame import blame
from chainrule._checks import check_count, check_real
from chainrule._objective import Objective, slope
from chainrule._typing import Array, ArrayLike
from chainrule.layers import Dropout
from chainrule.network import Network
from chainrule.parameters import Entry
from chainrule.penalties import Constraint, Penalty

__all__ = ["GradientReport", "ParameterCheck", "check_gradient"]

HALVINGS = 11
LOWEST_ORDER = 1.5  # between the 2 of a right gradient and the 1 of a wrong one


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter array: the sampled entries of its gradient against central differences."""

    layer: int
    layer_name: str
    name: str
    shape: tuple[int, ...]
    checked: int
    numeric_norm: float
    analytic_norm: float
    error: float
    """‖analytic − numeric‖ / max(‖analytic‖, ‖numeric‖), kinks left out."""
    worst: tuple[int, ...]
    """Index of the entry that differs most."""
    kinks: int
    hint: str = ""


@dataclass(frozen=True)
class GradientReport:
    """What :func:`check_gradient` found; true when the gradient is right, and a table with a verdict when printed.

    Attributes
    ----------
    ok : bool
    error : float
        The largest relative error, over directions and parameters.
    order : float
        The order at which the remainder shrinks: 2 when the gradient is right, 1 when it is wrong; NaN when L is
        linear along every direction, so that there is no remainder.
    parameters : list of ParameterCheck
    direction_errors : list of float
    kinks : int
        Directions and entries at which L has no derivative; they are not counted as errors.
    suspects : list of str
        The layers, the loss or the penalties that are wrong when checked alone.
    verdict : str
    """

    ok: bool
    error: float
    order: float
    parameters: list[ParameterCheck]
    direction_errors: list[float]
    kinks: int
    suspects: list[str] = field(default_factory=list)
    verdict: str = ""

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        rows = [("layer", "parameter", "shape", "numeric", "analytic", "error", "")]
        for p in self.parameters:
            label = f"{p.layer}  {p.layer_name}"
            numbers = (f"{p.numeric_norm:.4e}", f"{p.analytic_norm:.4e}", f"{p.error:.1e}")
            state = f"WRONG at {p.worst}" if p.hint else f"ok, {p.kinks} kink(s)" if p.kinks else "ok"
            rows.append((label, f"d{p.name}", str(p.shape), *numbers, state))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, self.verdict])


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
    objective = Objective(network, X, t, penalties, sample_weight, seed)
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        along = [_check_direction(objective, rng, tolerance) for _ in range(directions)]
        parameters = [
            _check_parameter(objective, entry, entries, rng, tolerance) for entry in objective.network.layout.entries
        ]
        errors = [error for error, _, _ in along]
        worst = max([*errors, *(p.error for p in parameters)], key=lambda e: math.inf if math.isnan(e) else e)
        orders = [order for _, order, _ in along if not math.isnan(order)]
        order = float(np.median(orders)) if orders else math.nan
        ok = worst <= tolerance and not order < LOWEST_ORDER
        suspects = [] if ok else blame(objective, rng)
    kinks = sum(kink for _, _, kink in along) + sum(p.kinks for p in parameters)
    verdict = _verdict(ok, worst, order, kinks, parameters, suspects)
    return GradientReport(ok, worst, order, parameters, errors, kinks, suspects, verdict)


def _check_direction(objective: Objective, rng: np.random.Generator, tolerance: float) -> tuple[float, float, int]:
    """Return the relative error along a random direction, the order of the remainder, and 1 if there is a kink."""
    v = rng.normal(size=objective.theta.size)
    u = v / np.linalg.norm(v)
    # g·v is of the size of ‖g‖; by chance it can be near 0, which says nothing about the error.
    analytic, size = float(objective.grad @ v), float(np.linalg.norm(objective.grad))
    numeric = slope(objective.value, objective.theta, v, analytic, 0.1 * tolerance * size)
    error = objective.relative(abs(numeric - analytic), numeric, analytic, size)
    order = _order(objective, objective.theta, u)
    if not error <= tolerance and objective.kink(v, tolerance, rng):
        return 0.0, math.nan, 1
    if order < LOWEST_ORDER:
        # Central differences cancel a symmetric kink, the one-sided remainder shows it; beside θ it is gone.
        beside = _order(objective, objective.beside(rng), u)
        if not beside < LOWEST_ORDER:
            return error, beside, 1
    return error, order, 0


def _order(objective: Objective, theta: Array, u: Array) -> float:
    """Return log₂ of how the remainder shrinks when h is halved: the median of the last steps above the rounding."""
    size = max(1.0, float(np.linalg.norm(theta)))
    here, grad = objective.value_and_grad(theta)
    slope = float(grad @ u)
    remainders = []
    for k in range(HALVINGS + 1):
        h = 1e-2 * size / 2**k
        remainders.append(abs(objective.value(theta + h * u) - here - h * slope))
    rounding = 1e4 * np.finfo(np.float64).eps * max(abs(here), abs(slope) * 1e-2 * size, 1e-300)
    usable = [r for r in remainders if r > rounding]
    if len(usable) < 3:
        return math.nan
    if remainders[-1] <= rounding and usable[-1] > 16 * rounding:
        return math.nan  # it did not shrink, it vanished: L is linear near θ, and the larger steps met a kink
    return float(np.median(np.log2(np.divide(usable[:-1], usable[1:]))[-3:]))


def _check_parameter(
    objective: Objective, entry: Entry, entries: int | None, rng: np.random.Generator, tolerance: float
) -> ParameterCheck:
    size = entry.where.stop - entry.where.start
    chosen = (
        np.arange(size) if entries is None or entries >= size else np.sort(rng.choice(size, entries, replace=False))
    )
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
    hint = "" if error <= tolerance else _hint(objective, numeric, analytic, objective.theta[entry.where][chosen])
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
        hint,
    )


def _hint(objective: Objective, numeric: Array, analytic: Array, w: Array) -> str:
    """Say how the analytic gradient differs, where there is a simple law."""
    if not np.isfinite(analytic).all():
        return "the analytic gradient is not finite"
    if not analytic.any():
        return "the analytic gradient is zero: was it ever written to the memo?"
    ratio = float(numeric @ analytic) / max(float(numeric @ numeric), 1e-300)
    if np.linalg.norm(analytic - ratio * numeric) <= 1e-3 * np.linalg.norm(analytic):
        rows = len(objective.x)
        keeps = [1 - layer.rate for layer in objective.network.layers if isinstance(layer, Dropout)]
        why = ""
        if math.isclose(ratio, rows, rel_tol=1e-3):
            why = f": a sum over the {rows} rows where L has a mean"
        elif math.isclose(ratio, 1 / rows, rel_tol=1e-3):
            why = f": divided by the {rows} rows once too often"
        elif any(math.isclose(ratio, k, rel_tol=1e-3) or math.isclose(ratio, 1 / k, rel_tol=1e-3) for k in keeps):
            why = ": dropout's scale, 1 / keep, is missing or applied twice"
        return f"the analytic gradient is {ratio:.4g} times the numeric one{why}"
    for law, shape in (("W", w), ("sign(W)", np.sign(w))):
        factor = float((analytic - numeric) @ shape) / max(float(shape @ shape), 1e-300)
        rest = np.linalg.norm(analytic - numeric - factor * shape)
        if rest <= 1e-3 * np.linalg.norm(analytic - numeric):
            what = "forgotten" if factor < 0 else "added where it should not be"
            return f"analytic − numeric is {factor:.4g} · {law}: a penalty's gradient is {what}"
    return "the difference follows no simple law"


def _verdict(
    ok: bool, worst: float, order: float, kinks: int, parameters: Sequence[ParameterCheck], suspects: Sequence[str]
) -> str:
    at_kinks = f" {kinks} check(s) fell on a kink, where L has no derivative, and were passed over." if kinks else ""
    shrinks = "there is no remainder" if math.isnan(order) else f"the remainder shrinks as h^{order:.2f}"
    if ok:
        return f"The gradient is right: largest relative error {worst:.1e}, and {shrinks}.{at_kinks}"
    lines = [f"The gradient is WRONG: largest relative error {worst:.1e}, and {shrinks}, not as h^2.{at_kinks}"]
    lines += [
        f"layer {p.layer}, {p.layer_name}: d{p.name} is off by {p.error:.1e}: {p.hint}." for p in parameters if p.hint
    ]
    lines += [f"Checked alone, {suspect}." for suspect in suspects]
    if not suspects:
        lines.append("Every layer, the loss and the penalties are right alone: look at how they are put together.")
    return "\n  ".join(lines)
