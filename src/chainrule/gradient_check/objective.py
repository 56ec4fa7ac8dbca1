"""The objective of the gradient check: L as a function of θ alone, with slopes by central differences."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence

import numpy as np

from chainrule._internal.typing import Array, ArrayLike
from chainrule.network import Network
from chainrule.parameters import Entry
from chainrule.penalties import BoundPenalties, Constraint, Penalty

# Near the cube root of float64's precision, truncation and rounding errors balance; the smaller steps are for kinks
# within the first step, of which a wide ReLU network has many.
STEPS = (1e-5, 1e-6, 1e-7)
BESIDE = 1e-3  # distance from θ at which a kink is checked again


class Objective(ABC):
    """L and its gradient as functions of θ alone.

    ``entries`` gives the positions of the parameters in θ. ``rows``, the number of samples averaged in L, and
    ``keeps``, the fractions of units that dropout keeps, help to explain factors; both may be unknown.
    """

    theta: Array
    grad: Array
    value_here: float
    entries: Sequence[Entry]
    rows: int | None = None
    keeps: Sequence[float] = ()
    steps: tuple[float, ...] = STEPS
    coarse: float = 1e-4
    """Values below this fraction of L are too small to divide by."""
    has_gradient_elsewhere: bool = True
    """Whether dL/dθ is also known near θ, where a kink disappears."""
    rounding: float = float(np.finfo(np.float64).eps)
    written_to: str = " to the memo"
    or_half: str = ""
    """Alternative explanation of a missing penalty's gradient, if the penalties are unknown."""

    @abstractmethod
    def value_and_grad(self, theta: Array) -> tuple[float, Array]:
        """Return L and dL/dθ at any θ."""

    def value(self, theta: Array) -> float:
        """Return L at any θ."""
        return self.value_and_grad(theta)[0]

    def owner(self, entry: Entry) -> str:
        """Return the name of the parameter's owner."""
        return ""

    def added(self, entry: Entry) -> Array:
        """Return the penalties' contribution to the gradient of a parameter."""
        return np.zeros(entry.size)

    def slope(self, theta: Array, direction: Array, analytic: float, enough: float) -> float:
        """Return dL along ``direction``, by central differences."""
        return slope(self.value, theta, direction, analytic, enough, self.steps)

    def beside(self, rng: np.random.Generator) -> Array:
        """Return a random point near θ, away from a kink at θ."""
        return self.theta + BESIDE * max(1.0, float(np.abs(self.theta).mean())) * rng.normal(size=self.theta.size)

    def kink(self, direction: Array, tolerance: float, rng: np.random.Generator) -> bool:
        """Return whether a disagreement at θ disappears at three out of three points near it."""
        return all(self._agrees(self.beside(rng), direction, tolerance) for _ in range(3))

    def _agrees(self, theta: Array, direction: Array, tolerance: float) -> bool:
        grad = self.value_and_grad(theta)[1]
        analytic, size = float(grad @ direction), float(np.linalg.norm(grad))
        numeric = self.slope(theta, direction, analytic, 0.1 * tolerance * size)
        return self.relative(abs(numeric - analytic), numeric, analytic, size) <= tolerance

    def relative(self, difference: float, numeric: float, analytic: float, scale: float = 0.0) -> float:
        """Return the relative error; below 1e-4 of L, central differences in float64 are too coarse to divide by."""
        return difference / max(abs(numeric), abs(analytic), scale, self.coarse * max(1.0, abs(self.value_here)))


class NetworkObjective(Objective):
    """L of a network, with a fixed batch and fixed dropout masks."""

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
        self.entries = self.network.layout.entries
        self.rows = len(self.x)
        rates = [getattr(layer, "rate", None) for layer in self.network.layers]
        self.keeps = [1 - rate for rate in rates if isinstance(rate, float) and 0 < rate < 1]
        self.workspace = self.network.workspace(self.rows, seed=seed)
        self._draws = self.workspace.rng.bit_generator.state
        self.penalties = [p for p in penalties if isinstance(p, Penalty)]
        layers = len(self.network.layers)
        self._bound = BoundPenalties(
            self.penalties, self.network.layout, layers, self.network.theta, self.workspace.grad
        )

    def begin(self) -> None:
        """Run the passes once; their errors come from a user's layer, loss or penalty."""
        self.value_here, gradient = self.value_and_grad(self.theta)
        self.grad = gradient.copy()

    def owner(self, entry: Entry) -> str:
        return repr(self.network.layers[entry.layer])

    def added(self, entry: Entry) -> Array:
        self.network.theta[:] = self.theta
        self.workspace.grad[:] = 0
        self._bound.add_gradient(self._total())
        return self.workspace.grad[entry.where].copy()

    def _total(self) -> float:
        return float(len(self.x) if self.weight is None else self.weight.sum())

    def rewind(self) -> np.random.Generator:
        """Reset the generator so that it draws the same again."""
        self.workspace.rng.bit_generator.state = self._draws
        return self.workspace.rng

    def value_and_grad(self, theta: Array) -> tuple[float, Array]:
        self.network.theta[:] = theta
        self.rewind()
        value, grad = self.network.loss_and_grad(self.x, self.t, self.workspace, self.weight)
        value += self._bound.value(self._total())
        self._bound.add_gradient(self._total())
        return value, grad


def slope(
    f: Callable[[Array], float],
    x: Array,
    direction: Array,
    analytic: float,
    enough: float,
    steps: Sequence[float] = STEPS,
) -> float:
    """Return the central difference of f along ``direction`` that is nearest to ``analytic``, over three ``steps``.

    A correct gradient is approached in the limit, despite nearby kinks; a wrong one never is.
    """
    nearest = math.nan
    for h in steps:
        numeric = (f(x + h * direction) - f(x - h * direction)) / (2 * h)
        if not abs(nearest - analytic) <= abs(numeric - analytic):
            nearest = numeric
        if abs(nearest - analytic) <= enough:
            break
    return nearest


def direction(rng: np.random.Generator, shape: tuple[int, ...], fixed: Collection[int] = ()) -> Array:
    """Return a random direction that is zero in the ``fixed`` columns, which must stay integers."""
    v = rng.normal(size=shape)
    if fixed:
        v[:, list(fixed)] = 0
    return v


def differs(
    f: Callable[[Array], float], x: Array, gradient: Array, rng: np.random.Generator, fixed: Collection[int] = ()
) -> bool:
    """Return whether ``gradient`` disagrees with f at x along any of three random directions."""
    scale = max(float(np.linalg.norm(gradient)), 1e-4)
    for _ in range(3):
        v = direction(rng, x.shape, fixed)
        analytic = float(np.vdot(gradient, v))
        numeric = slope(f, x, v, analytic, 1e-7 * scale)
        if not abs(numeric - analytic) <= 1e-5 * max(scale, abs(numeric)):
            return True
    return False
