"""Diagnostic warnings about a fit, each with a remedy and issued at most once per fit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from chainrule._internal.typing import Array
from chainrule.advice import ConstantOutputWarning, UnscaledInputWarning, sample
from chainrule.layers import ReLU
from chainrule.network import Network

__all__ = [
    "ConstantOutputWarning",
    "DeadUnitsWarning",
    "LeftOutWarning",
    "StillImprovingWarning",
    "UnscaledInputWarning",
]


class DeadUnitsWarning(UserWarning):
    """Issued when more than half of the units of a ReLU layer output 0 for every row."""


class StillImprovingWarning(ConvergenceWarning):
    """Issued when training stopped at ``max_iter`` while the loss was still falling."""


class LeftOutWarning(UserWarning):
    """Issued when some parameters of an estimator, such as custom callbacks, cannot be saved."""


def warn_dead_or_constant(network: Network, X: Any, targets: Array) -> None:
    """Warn if most units of a ReLU layer are dead, or if all predictions are equal although the targets are not."""
    rows = sample(X).astype(network.dtype, copy=False)
    workspace = network.workspace(rows.shape[0], training=False)
    y = network.forward(rows, workspace)
    for i, (layer, memo) in enumerate(zip(network.layers, workspace.memos, strict=True)):
        if isinstance(layer, ReLU):
            dead = 1 - float((memo.y > 0).any(axis=0).mean())
            if dead > 0.5:
                warnings.warn(
                    f"{100 * dead:.0f}% of the ReLU units in layer {i} are dead: they output 0 for every row and "
                    "no longer learn. Try a smaller learning rate, scaled inputs, or activation='leakyrelu'.",
                    DeadUnitsWarning,
                    stacklevel=6,
                )
                break
    if rows.shape[0] > 1 and np.ptp(targets, axis=0).any() and not np.ptp(y, axis=0).any():
        warnings.warn(
            "the fitted network predicts the same for every row. Try another learning rate, scaled inputs, less alpha "
            "or more epochs.",
            ConstantOutputWarning,
            stacklevel=6,
        )


def warn_unconverged(curve: Sequence[float], max_iter: int, tol: float) -> None:
    """Warn that ``max_iter`` was reached, with the current fall of the loss and the number of epochs still needed."""
    message = (
        f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet."
    )
    drops = -np.diff(curve[-11:])
    half = len(drops) // 2
    pace = float(drops[half:].mean()) if len(drops) > 1 else 0.0
    if not pace > max(tol, 0.0):
        warnings.warn(message, ConvergenceWarning, stacklevel=7)
        return
    before = float(drops[:half].mean())
    shrink = (pace / before) ** (1 / half) if before > pace else 1.0  # shrinkage of the drop from one epoch to the next
    more = math.log(max(tol, 1e-12) / pace) / math.log(shrink) if shrink < 0.999 else curve[-1] / pace
    warnings.warn(
        f"{message} The loss, {curve[-1]:.4g}, is still falling by {pace:.2g} per epoch; at this rate it needs about "
        f"{max(1, math.ceil(more))} more epochs (max_iter={max_iter + max(1, math.ceil(more))}).",
        StillImprovingWarning,
        stacklevel=7,
    )
