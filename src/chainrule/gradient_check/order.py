"""By order: how fast the remainder of the first-order expansion of L shrinks, 2 for a right gradient, 1 for a wrong.

Along a unit vector u, r(h) = |L(θ + hu) − L(θ) − h g·u| is ½ h² |u·Hu| + O(h³) when g is the gradient, and about
h |e·u| when g is wrong by e.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.objective import Objective

HALVINGS = 11
LOWEST_ORDER = 1.5  # between the 2 of a right gradient and the 1 of a wrong one
SYMMETRIC = 1e-6  # the relative error of a central difference across a symmetric kink
TRIES = 3  # directions inside a parameter, where the first one does not say 2


def order_at(objective: Objective, theta: Array, u: Array, size: float | None = None) -> float:
    """Return log₂ of how the remainder shrinks when h is halved: the median of the last steps above the rounding.

    NaN where there is no remainder: L is linear along u. ``size`` is what h is measured by, ‖θ‖ by default.
    """
    size = max(1.0, float(np.linalg.norm(theta)) if size is None else size)
    here, grad = objective.value_and_grad(theta)
    slope = float(grad @ u)
    remainders = []
    for k in range(HALVINGS + 1):
        h = 1e-2 * size / 2**k
        remainders.append(abs(objective.value(theta + h * u) - here - h * slope))
    rounding = 1e4 * objective.rounding * max(abs(here), abs(slope) * 1e-2 * size, 1e-300)
    usable = [r for r in remainders if r > rounding]
    if len(usable) < 3:
        return math.nan
    if remainders[-1] <= rounding and usable[-1] > 16 * rounding:
        return math.nan  # it did not shrink, it vanished: L is linear near θ, and the larger steps met a kink
    return float(np.median(np.log2(np.divide(usable[:-1], usable[1:]))[-3:]))


def order_along(
    objective: Objective, u: Array, rng: np.random.Generator, size: float | None = None
) -> tuple[float, bool]:
    """Return the order along u, and whether θ lies on a kink, so that it is the order a little beside θ.

    Central differences cancel a symmetric kink, the one-sided remainder shows it; beside θ it is gone.
    """
    order = order_at(objective, objective.theta, u, size)
    if order < LOWEST_ORDER and objective.has_gradient_elsewhere:
        beside = order_at(objective, objective.beside(rng), u, size)
        if not beside < LOWEST_ORDER:
            return beside, True
    elif order < LOWEST_ORDER and objective.kink(u, SYMMETRIC, rng):
        return math.nan, True
    return order, False


def order_within(objective: Objective, where: slice, rng: np.random.Generator) -> float:
    """Return the order along a random direction inside one parameter; the median of three where the first is not 2.

    By chance L may be almost linear along one direction, so that the third derivative shows.
    """
    size = float(np.linalg.norm(objective.theta[where]))
    orders: list[float] = []
    for _ in range(TRIES):
        u = np.zeros_like(objective.theta)
        v = rng.normal(size=where.stop - where.start)
        u[where] = v / np.linalg.norm(v)
        orders.append(order_along(objective, u, rng, size)[0])
        if math.isnan(orders[0]) or abs(orders[0] - 2) < 0.1:
            return orders[0]
    return float(np.nanmedian(orders))
