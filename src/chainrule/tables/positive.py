"""Skewed, non-negative targets such as prices, incomes and waiting times, with non-negative predictions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from chainrule._internal.typing import Array
from chainrule.estimators import MLPRegressor
from chainrule.estimators.tabular_regressor import is_skewed
from chainrule.tables.splitting import drawn
from chainrule.training.loop import DivergenceError
from chainrule.training.ranks import Ranks

BEYOND = 10.0  # times the largest target: the largest prediction with a logarithm
TRIED, EPOCHS = 10_000, 20  # rows and epochs to try both ways


class PositiveTarget(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Standardize a non-negative target, or its logarithm, so that no prediction is negative.

    z = (y − mean) / scale, and back y = max(0, z · scale + mean). With ``log``, the same applies to log(y + shift),
    where shift is 1 if a target is 0, as in ``log1p``, and otherwise 0; no prediction is then more than ten times the
    largest target. For use in :class:`sklearn.compose.TransformedTargetRegressor`.

    Parameters
    ----------
    log : bool
        Whether to learn the logarithm.

    Attributes
    ----------
    mean_, scale_, shift_, most_ : float
        ``most_`` is the largest target times ten.

    Raises
    ------
    ValueError
        If a target is negative.

    Examples
    --------
    >>> scaler = PositiveTarget(log=True).fit(np.array([[1.0], [10.0], [100.0]]))
    >>> scaler.transform(np.array([[10.0]])).tolist(), scaler.inverse_transform(np.array([[-99.0]])) >= 0
    ([[0.0]], array([[ True]]))
    """

    def __init__(self, *, log: bool = False) -> None:
        self.log = log

    def fit(self, X: Array, y: Any = None) -> PositiveTarget:
        """Find the mean and the standard deviation; X is (rows, 1)."""
        X = np.asarray(X, dtype=np.float64)
        if X.size == 0 or not X.min() >= 0:
            raise ValueError("PositiveTarget: expected non-negative targets: use StandardScaler for others.")
        self.shift_ = 0.0 if X.min() > 0 else 1.0
        self.most_ = BEYOND * float(X.max())
        inside = np.log(X + self.shift_) if self.log else X
        self.mean_, self.scale_ = float(inside.mean()), float(inside.std()) or 1.0
        return self

    def transform(self, X: Array) -> Array:
        """Return the standardized targets."""
        X = np.asarray(X, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.log(np.maximum(X + self.shift_, np.finfo(np.float64).tiny)) if self.log else X
        return (inside - self.mean_) / self.scale_

    def inverse_transform(self, X: Array) -> Array:
        """Return predictions in the units of the target."""
        inside = np.asarray(X, dtype=np.float64) * self.scale_ + self.mean_
        if self.log:
            inside = np.exp(np.minimum(inside, math.log(self.most_ + self.shift_))) - self.shift_
        return np.maximum(inside, 0.0)


def choose(X: Array, y: Array, X_val: Array, y_val: Array, arguments: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """Return the unfitted transformer of a target, and notes on the choice.

    A skewed, non-negative target is bounded at 0. Two short training runs decide, by their errors on the validation
    rows, whether its logarithm is learned. Several targets are standardized.
    """
    if y.ndim == 2 or not is_skewed(y):
        return StandardScaler(), ()
    if (some := drawn(len(y), TRIED, arguments["random_state"])) is not None:
        X, y = X[some], y[some]
    epochs = arguments["max_iter"]
    short = {**arguments, "max_iter": min(EPOCHS, epochs) if isinstance(epochs, int) else epochs}
    plain, log = (_error(X, y, X_val, y_val, PositiveTarget(log=log), short) for log in (False, True))
    better = log < plain
    how = "the network learns its logarithm" if better else "the network learns it unchanged"
    said = (
        f"the target is skewed and never negative, so predictions are bounded at 0; {how} (validation RMSE after a "
        f"short training run: {min(log, plain):.4g}, otherwise {max(log, plain):.4g})."
    )
    return PositiveTarget(log=better), (said,)


def agreed(scaler: Any, ranks: Ranks) -> Any:
    """Return the unfitted transformer that rank 0 has chosen from its rows."""
    kinds = [StandardScaler(), PositiveTarget(), PositiveTarget(log=True)]
    mine = next(i for i, kind in enumerate(kinds) if repr(kind) == repr(scaler))
    return kinds[int(ranks.gather(np.array([mine]))[0])]


def _error(X: Array, y: Array, X_val: Array, y_val: Array, scaler: PositiveTarget, arguments: dict[str, Any]) -> float:
    z = scaler.fit(y.reshape(-1, 1)).transform(y.reshape(-1, 1)).ravel()
    model = MLPRegressor(**arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # short on purpose
            model.fit(X, z)
    except DivergenceError:
        return math.inf
    if model.history_.stopped.startswith("interrupted"):
        raise KeyboardInterrupt
    predicted = scaler.inverse_transform(model.predict(X_val).reshape(-1, 1)).ravel()
    return float(np.sqrt(np.square(predicted - y_val).mean()))
