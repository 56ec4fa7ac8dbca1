"""The result of a fit: a network, with its counters and measurements."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.estimators._settings import is_lbfgs
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.schedules import Rate


@dataclass
class SolverState:
    """The solver's state, kept from epoch to epoch and from one ``partial_fit`` to the next."""

    optimizer: Optimizer
    memory: Memo
    rate: Rate
    without_improvement: int = 0
    best_theta: Array | None = None


class FitRecord:
    """A network and the record of its fit.

    ``solver`` is the solver's state, None before the first epoch. All other attributes have the estimator's public
    names: ``network_``, ``n_iter_``, ``t_``, ``loss_``, ``loss_curve_``, ``history_`` and so on. Each is set as soon as
    it is known.
    """

    solver: SolverState | None = None
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: Any
    validation_scores_: Any
    best_validation_score_: Any
    history_: Any

    def __init__(self, network: Network, **attributes: Any) -> None:
        self.network_ = network
        vars(self).update(attributes)

    def copy(self) -> FitRecord:
        """Return a copy that can be fitted further without changing this one."""
        views = self.solver.memory.weights if self.solver else []  # of the parameters: not copied a second time
        return copy.deepcopy(self, {id(view): view for view in views or []})

    def published(self) -> dict[str, Any]:
        """Return the attributes for the estimator."""
        return {name: value for name, value in vars(self).items() if name != "solver"}

    def watch(self, e: Any) -> None:
        """Start counting and monitoring the loss or the score, as ``early_stopping`` requires, unless already done."""
        known = vars(self)
        self.n_iter_ = known.get("n_iter_", 0)
        self.t_ = known.get("t_", 0)
        if is_lbfgs(e):
            return
        self.loss_curve_ = known.get("loss_curve_", [])
        if "best_loss_" not in known or (self.validation_scores_ is None) == e.early_stopping:
            self.best_loss_ = None if e.early_stopping else np.inf
            self.validation_scores_ = [] if e.early_stopping else None
            self.best_validation_score_ = -np.inf if e.early_stopping else None
