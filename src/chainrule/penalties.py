"""Penalties (regularization terms of L), and constraints that project the parameters after each step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from chainrule._internal.backend import empty, number
from chainrule._internal.checks import check_real
from chainrule._internal.config import FrozenConfig
from chainrule._internal.typing import Array, Float, Number
from chainrule.parameters import Entry, Layout

__all__ = ["L1", "L2", "Constraint", "MaxNorm", "Penalty"]

Layers = int | Sequence[int] | None


class Penalty(FrozenConfig, ABC):
    """Base class for penalties, terms of L that depend only on the parameters.

    Subclasses implement ``value`` and ``add_gradient``. ``layers`` are layer indices (None for all), ``biases``
    includes the biases, and with ``per_row`` the penalty is divided by the number of rows in the batch (or the sum of
    their weights).
    """

    layers: Layers = None
    biases: bool = False
    per_row: bool = False

    @abstractmethod
    def value(self, w: Float[Array, "*shape"], scratch: Array | None = None) -> Number:
        """Return the term of L for the parameter array ``w``; ``scratch`` is a buffer of its shape, or None."""

    @abstractmethod
    def add_gradient(self, w: Float[Array, "*shape"], dw: Float[Array, "*shape"], scratch: Array) -> None:
        """Add dL/dw to ``dw``; ``scratch`` is a buffer of its shape."""


class Constraint(FrozenConfig, ABC):
    """Base class for constraints. ``project`` maps the parameters to the nearest point of the feasible set."""

    layers: Layers = None

    @abstractmethod
    def project(self, w: Float[Array, "*shape"]) -> None:
        """Project ``w`` in place."""


@final
@dataclass(eq=False, repr=False)
class L2(Penalty):
    """L2 (ridge) penalty, the squared Euclidean norm.

    .. formula::

        ½ λ ‖W‖²           dW += λ W

    Parameters
    ----------
    strength : float
        λ, at least 0.
    layers : int or sequence of int, optional
        Indices of the layers; all by default.
    biases : bool
        Whether to penalize biases as well.
    per_row : bool
        Whether to divide λ by the number of rows of the batch, like scikit-learn's ``alpha``.

    Notes
    -----
    L is a mean over the batch, so by default λ does not depend on the number of rows. Keras's ``L2`` has no ½;
    ``weight_decay`` of PyTorch's SGD is this λ, but applies to biases as well.

    Source: Hoerl and Kennard, "Ridge regression" (1970).

    >>> L2(0.1).value(np.array([3.0, 4.0]))
    1.25
    """

    strength: float
    layers: Layers = None
    biases: bool = False
    per_row: bool = False

    def __post_init__(self) -> None:
        check_real("L2", "strength", self.strength, 0)

    def value(self, w: Float[Array, "*shape"], scratch: Array | None = None) -> Number:
        return 0.5 * self.strength * number(np.vdot(w, w))

    def add_gradient(self, w: Float[Array, "*shape"], dw: Float[Array, "*shape"], scratch: Array) -> None:
        dw += np.multiply(w, self.strength, out=scratch)  # d(½ λ w²)/dw = λ w


@final
@dataclass(eq=False, repr=False)
class L1(Penalty):
    """L1 (lasso) penalty, the sum of absolute values. It drives weights to (almost) zero.

    .. formula::

        λ Σ |W|           dW += λ sign(W),  sign(0) = 0

    The parameters are those of :class:`L2`.

    Source: Tibshirani, "Regression shrinkage and selection via the lasso" (1996).

    >>> L1(0.1).value(np.array([3.0, -4.0]))
    0.7000000000000001
    """

    strength: float
    layers: Layers = None
    biases: bool = False
    per_row: bool = False

    def __post_init__(self) -> None:
        check_real("L1", "strength", self.strength, 0)

    def value(self, w: Float[Array, "*shape"], scratch: Array | None = None) -> Number:
        return self.strength * number(np.abs(w, out=scratch).sum())

    def add_gradient(self, w: Float[Array, "*shape"], dw: Float[Array, "*shape"], scratch: Array) -> None:
        np.sign(w, out=scratch)  # d|w|/dw = sign(w)
        scratch *= self.strength
        dw += scratch


@final
@dataclass(eq=False, repr=False)
class MaxNorm(Constraint):
    """Max-norm constraint: after each step, every unit's incoming weight vector is projected onto a ball.

    .. formula::

        w ← w · min(1, limit / ‖w‖)           w: one unit's incoming weights, a column of W

    Parameters
    ----------
    limit : float
        Radius of the ball, positive; 3 or 4 is usual with dropout.
    layers : int or sequence of int, optional
        Indices of the layers; all by default.

    Source: Srivastava et al., "Dropout" (2014), section 5.1.

    >>> W = np.array([[3.0, 0.3], [4.0, 0.4]])
    >>> MaxNorm(1.0).project(W)
    >>> W
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    limit: float
    layers: Layers = None

    def __post_init__(self) -> None:
        check_real("MaxNorm", "limit", self.limit, 0, open_low=True)

    def project(self, w: Float[Array, "*shape"]) -> None:
        columns = w.reshape(-1, w.shape[-1])
        norm = np.sqrt(np.einsum("ij,ij->j", columns, columns))
        if norm.max() > self.limit:
            columns *= self.limit / np.maximum(norm, self.limit)


def check_penalties(penalties: Any) -> list[Penalty | Constraint]:
    """Return the penalties as a list; raise an error for objects that are not penalties."""
    given = list(penalties) if isinstance(penalties, Iterable) else [penalties]
    if given == [penalties] or not all(isinstance(p, Penalty | Constraint) for p in given):
        raise TypeError(f"penalties: expected a list of penalties such as [L2(1e-4), MaxNorm(3.0)], got {penalties!r}.")
    return given


class BoundPenalties:
    """Penalties and constraints with the views of theta and grad to which they apply."""

    def __init__(
        self,
        penalties: Iterable[Penalty | Constraint],
        layout: Layout,
        layers: int,
        theta: Array,
        grad: Array,
    ) -> None:
        self._terms: list[tuple[Penalty, Array, Array, Array]] = []
        self._constraints: list[tuple[Constraint, Array]] = []
        given = check_penalties(penalties)
        scratch = empty((layout.largest if any(isinstance(p, Penalty) for p in given) else 0,), theta)
        for penalty in given:
            for entry in self.entries(penalty, layout, layers):
                w = layout.view(theta, entry)
                if isinstance(penalty, Penalty):
                    self._terms.append((penalty, w, layout.view(grad, entry), scratch[: w.size].reshape(w.shape)))
                else:
                    self._constraints.append((penalty, w))

    @staticmethod
    def entries(penalty: Penalty | Constraint, layout: Layout, layers: int) -> list[Entry]:
        """Return the parameters to which a penalty or constraint applies in a network with this number of layers."""
        biases = isinstance(penalty, Penalty) and penalty.biases
        entries = layout.select(_indices(penalty, layers), biases=biases)
        if not entries:
            raise ValueError(
                f"penalties: {penalty} applies to layers without weights: give the index of a Dense layer."
            )
        return entries

    def __bool__(self) -> bool:
        return bool(self._terms)

    def value(self, rows: float = 1.0) -> Number:
        """Return the sum of all penalties for a batch with this number of rows (or sum of weights)."""
        return sum(p.value(w, scratch) / (rows if p.per_row else 1) for p, w, _, scratch in self._terms)

    def add_gradient(self, rows: float = 1.0) -> None:
        """Add the gradients of all penalties to grad."""
        for penalty, w, dw, scratch in self._terms:
            if penalty.per_row:  # (rows · dw + gradient) / rows
                np.multiply(dw, rows, out=dw)
                penalty.add_gradient(w, dw, scratch)
                np.divide(dw, rows, out=dw)
            else:
                penalty.add_gradient(w, dw, scratch)

    def project(self) -> None:
        """Apply all constraints to theta."""
        for constraint, w in self._constraints:
            constraint.project(w)


def _indices(penalty: Penalty | Constraint, layers: int) -> list[int] | None:
    if penalty.layers is None:
        return None
    given = [penalty.layers] if isinstance(penalty.layers, int) else list(penalty.layers)
    for i in given:
        if not -layers <= i < layers:
            raise ValueError(
                f"penalties: {penalty}: layer {i} is out of range: the network has layers 0 to {layers - 1}."
            )
    return [i % layers for i in given]
