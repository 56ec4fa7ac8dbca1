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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from chainrule._checks import check_count, check_real
from chainrule._typing import Array
from chainrule.layers import Dropout, Layer
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.parameters import Entry
from chainrule.penalties import BoundPenalties, Constraint, Penalty

__all__ = ["GradientReport", "ParameterCheck", "check_gradient"]

STEP = 1e-5  # about the cube root of float64's precision: truncation and rounding are in balance
BESIDE = 1e-3  # how far beside θ a kink is asked again
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
    objective = _Objective(network, X, t, penalties, sample_weight, seed)
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
        suspects = [] if ok else _blame(objective, rng)
    kinks = sum(kink for _, _, kink in along) + sum(p.kinks for p in parameters)
    verdict = _verdict(ok, worst, order, kinks, parameters, suspects)
    return GradientReport(ok, worst, order, parameters, errors, kinks, suspects, verdict)


class _Objective:
    """L and its gradient as functions of θ alone: the batch and what dropout draws stay the same."""

    def __init__(
        self,
        network: Network,
        X: ArrayLike,
        t: ArrayLike,
        penalties: Sequence[Penalty | Constraint],
        sample_weight: ArrayLike | None,
        seed: int,
    ) -> None:
        self.network = network.astype("float64")
        self.x, self.t, self.weight = self.network.check(X, t, sample_weight)
        self.theta = self.network.theta.copy()
        self.workspace = self.network.workspace(len(self.x), seed=seed)
        self._draws = self.workspace.rng.bit_generator.state
        self.penalties = [p for p in penalties if isinstance(p, Penalty)]
        layers = len(self.network.layers)
        self._bound = BoundPenalties(
            self.penalties, self.network.layout, layers, self.network.theta, self.workspace.grad
        )
        self.value_here, gradient = self.value_and_grad(self.theta)
        self.grad = gradient.copy()

    def rewind(self) -> np.random.Generator:
        """Let the generator draw the same again."""
        self.workspace.rng.bit_generator.state = self._draws
        return self.workspace.rng

    def value_and_grad(self, theta: Array) -> tuple[float, Array]:
        self.network.theta[:] = theta
        self.rewind()
        value, grad = self.network.loss_and_grad(self.x, self.t, self.workspace, self.weight)
        value += self._bound.value()
        self._bound.add_gradient()
        return value, grad

    def value(self, theta: Array) -> float:
        return self.value_and_grad(theta)[0]

    def slope(self, theta: Array, direction: Array, step: float) -> float:
        """Return the central difference along ``direction``."""
        ahead, behind = self.value(theta + step * direction), self.value(theta - step * direction)
        return (ahead - behind) / (2 * step)

    def beside(self, rng: np.random.Generator) -> Array:
        """Return a random point near θ, where a kink that θ lies on is gone."""
        return self.theta + BESIDE * max(1.0, float(np.abs(self.theta).mean())) * rng.normal(size=self.theta.size)

    def kink(self, direction: Array, step: float, tolerance: float, rng: np.random.Generator) -> bool:
        """Say whether a disagreement at θ is gone beside it, three times out of three."""
        for _ in range(3):
            theta = self.beside(rng)
            grad = self.value_and_grad(theta)[1].copy()
            numeric, analytic = self.slope(theta, direction, step / 10), float(grad @ direction)
            error = _relative(abs(numeric - analytic), numeric, analytic, float(np.linalg.norm(grad)), self)
            if not error <= max(10 * tolerance, 1e-5):  # a tenth of the step, ten times the rounding
                return False
        return True


def _check_direction(objective: _Objective, rng: np.random.Generator, tolerance: float) -> tuple[float, float, int]:
    """Return the relative error along a random direction, the order of the remainder, and 1 if there is a kink."""
    v = rng.normal(size=objective.theta.size)
    u = v / np.linalg.norm(v)
    numeric, analytic = objective.slope(objective.theta, v, STEP), float(objective.grad @ v)
    # g·v is of the size of ‖g‖; by chance it can be near 0, which says nothing about the error.
    error = _relative(abs(numeric - analytic), numeric, analytic, float(np.linalg.norm(objective.grad)), objective)
    order = _order(objective, objective.theta, u)
    if not error <= tolerance and objective.kink(v, STEP, tolerance, rng):
        return 0.0, math.nan, 1
    if order < LOWEST_ORDER and (beside := _order(objective, objective.beside(rng), u)) >= LOWEST_ORDER:
        return error, beside, 1  # central differences cancel a symmetric kink, the one-sided remainder shows it
    return error, order, 0


def _order(objective: _Objective, theta: Array, u: Array) -> float:
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
    return float(np.median(np.log2(np.divide(usable[:-1], usable[1:]))[-3:]))


def _check_parameter(
    objective: _Objective, entry: Entry, entries: int | None, rng: np.random.Generator, tolerance: float
) -> ParameterCheck:
    size = entry.where.stop - entry.where.start
    chosen = (
        np.arange(size) if entries is None or entries >= size else np.sort(rng.choice(size, entries, replace=False))
    )
    analytic = objective.grad[entry.where][chosen]
    numeric = np.empty(len(chosen))
    axis = np.zeros_like(objective.theta)
    steps = STEP * np.maximum(1.0, np.abs(objective.theta[entry.where][chosen]))
    for i, j in enumerate(chosen):
        axis[entry.where.start + j] = 1
        numeric[i] = objective.slope(objective.theta, axis, steps[i])
        axis[entry.where.start + j] = 0
    difference = np.abs(analytic - numeric)
    norms = float(np.linalg.norm(numeric)), float(np.linalg.norm(analytic))
    kinks = 0
    if not _relative(float(np.linalg.norm(difference)), *norms, 0.0, objective) <= tolerance:
        limit = tolerance * max(*norms, 1e-4) / math.sqrt(len(chosen))
        for i, j in enumerate(chosen):
            axis[entry.where.start + j] = 1
            if not difference[i] <= limit and objective.kink(axis, steps[i], tolerance, rng):
                difference[i], kinks = 0, kinks + 1
            axis[entry.where.start + j] = 0
    error = _relative(float(np.linalg.norm(difference)), *norms, 0.0, objective)
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


def _relative(difference: float, numeric: float, analytic: float, scale: float, objective: _Objective) -> float:
    """Return the relative error; below 1e-4 of L central differences in float64 are too coarse to divide by."""
    return difference / max(abs(numeric), abs(analytic), scale, 1e-4 * max(1.0, abs(objective.value_here)))


def _hint(objective: _Objective, numeric: Array, analytic: Array, w: Array) -> str:
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


def _blame(objective: _Objective, rng: np.random.Generator) -> list[str]:
    """Check the loss, every layer and every penalty alone; return what is wrong with each that is."""
    suspects = []
    network = objective.network
    network.theta[:] = objective.theta
    x, inputs = objective.x, []
    draw = objective.rewind()
    for layer in network.layers:
        inputs.append(x.copy())
        x = layer.forward(x.copy(), Memo(training=True, rng=draw)).copy()
    for i, layer in enumerate(network.layers):
        # Away from kinks: the layer is checked at inputs moved a little.
        moved = inputs[i] + BESIDE * rng.normal(size=inputs[i].shape)
        suspects += [f"layer {i}, {layer!r}: {what}" for what in _check_alone(objective, layer, moved, rng)]
    suspects += [f"{network.loss!r}: {what}" for what in _check_loss(objective, x, rng)]
    for penalty in objective.penalties:
        for e in network.layout.select(None, biases=penalty.biases):
            w = network.layout.view(objective.theta, e) + BESIDE * rng.normal(size=e.shape)
            dw = np.zeros_like(w)
            penalty.add_gradient(w, dw, np.empty_like(w))
            if _differs(penalty.value, w, dw, rng):
                suspects.append(f"{penalty!r}: add_gradient is not the derivative of value, for {e.key}")
    return suspects


def _check_alone(objective: _Objective, layer: Layer, x: Array, rng: np.random.Generator) -> list[str]:
    def forward(x: Array) -> tuple[Array, Memo]:
        memo = Memo(training=True, rng=objective.rewind())
        return layer.forward(x, memo), memo

    wrong = []
    given = x.copy()
    y, memo = forward(given)
    if not np.array_equal(given, x):
        wrong.append("forward changes its input in place, and the layer before it may still need that for its backward")
    dy = rng.normal(size=y.shape)
    given_dy = dy.copy()
    dx = layer.backward(given_dy, memo)
    if not np.array_equal(given_dy, dy):
        wrong.append("backward changes dy in place")
    if dx is None or dx.shape != x.shape:
        got = "None" if dx is None else f"a dx of shape {dx.shape}"
        return [*wrong, f"backward returns {got}, but x has shape {x.shape}"]
    if _differs(lambda x: float(np.vdot(dy, forward(x.copy())[0])), x, dx, rng):
        wrong.append("the dx that backward returns is not the derivative of forward")
    for name in layer.parameters():
        w, dw = getattr(layer, name), getattr(memo, f"d{name}")
        if dw is None or np.shape(dw) != w.shape:
            wrong.append(f"backward leaves no memo.d{name} of shape {w.shape}")
            continue

        def value(new: Array, w: Array = w) -> float:
            old = w.copy()
            w[...] = new
            result = float(np.vdot(dy, forward(x.copy())[0]))
            w[...] = old
            return result

        if _differs(value, w.copy(), dw, rng):
            wrong.append(f"the d{name} that backward leaves is not the derivative of forward")
    return wrong


def _check_loss(objective: _Objective, y: Array, rng: np.random.Generator) -> list[str]:
    loss, t = objective.network.loss, objective.t
    y = y + BESIDE * rng.normal(size=y.shape)
    memo = Memo(training=True)
    given = y.copy()
    loss.forward(given, t, memo)
    dy = loss.backward(t, memo)
    wrong = [] if np.array_equal(given, y) else ["forward changes y in place"]
    if np.shape(dy) != y.shape:
        return [*wrong, f"backward returns a dy of shape {np.shape(dy)}, but y has {y.shape}"]
    if _differs(lambda y: float(np.add.reduce(loss.forward(y.copy(), t, Memo(training=True)))), y, dy, rng):
        wrong.append("backward is not the derivative of forward")
    return wrong


def _differs(f: Callable[[Array], float], x: Array, gradient: Array, rng: np.random.Generator) -> bool:
    """Say whether ``gradient`` fails to be that of f at x, along any of three random directions."""
    scale = max(float(np.linalg.norm(gradient)), 1e-4)
    for _ in range(3):
        v = rng.normal(size=x.shape)
        numeric = (f(x + STEP * v) - f(x - STEP * v)) / (2 * STEP)
        if not abs(numeric - float(np.vdot(gradient, v))) <= 1e-5 * max(scale, abs(numeric)):
            return True
    return False


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
