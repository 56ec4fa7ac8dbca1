"""Taylor test: the order at which the first-order remainder of L shrinks, 2 if the gradient is correct, else 1.

Along a unit vector u, r(h) = |L(θ + hu) − L(θ) − h g·u| is ½ h² |u·Hu| + O(h³) when g is the gradient, and about
h |e·u| when g is wrong by e.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.objective import Objective

HALVINGS = 11
LOWEST_ORDER = 1.5  # between 2 (correct gradient) and 1 (wrong gradient)
SYMMETRIC = 1e-6  # the relative error of a central difference across a symmetric kink
TRIES = 3  # directions within a parameter, if the first one does not give 2


def order_at(objective: Objective, theta: Array, u: Array, size: float | None = None) -> float:
    """Return log₂ of the remainder's decrease when h is halved: the median of the last steps above rounding error.

    NaN if there is no remainder: L is linear along u. h is relative to ``size``, ‖θ‖ by default.
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
        return math.nan  # it vanished instead of shrinking: L is linear near θ, and the larger steps crossed a kink
    return float(np.median(np.log2(np.divide(usable[:-1], usable[1:]))[-3:]))


def order_along(
    objective: Objective, u: Array, rng: np.random.Generator, size: float | None = None
) -> tuple[float, bool]:
    """Return the order along u, and whether θ lies on a kink. At a kink, it is the order at a point near θ.

    Central differences cancel at a symmetric kink, but the one-sided remainder shows it; near θ it disappears.
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
    """Return the order along a random direction within one parameter; the median of three if the first is not 2.

    L may happen to be almost linear along one direction, so that the third derivative dominates.
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
