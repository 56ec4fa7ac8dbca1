"""Warnings that help: what is likely wrong with a fit, and what to do. Each comes at most once a fit."""

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
    """More than half of the units of a ReLU layer give 0 for every row."""


class StillImprovingWarning(ConvergenceWarning):
    """Training ended at ``max_iter`` while the loss was still falling."""


class LeftOutWarning(UserWarning):
    """A file cannot hold some of an estimator's parameters, such as callbacks of one's own."""


def warn_dead_or_constant(network: Network, X: Any, targets: Array) -> None:
    """Warn where most of a ReLU layer is dead, and where all predictions are alike although the targets are not."""
    rows = sample(X).astype(network.dtype, copy=False)
    workspace = network.workspace(rows.shape[0], training=False)
    y = network.forward(rows, workspace)
    for i, (layer, memo) in enumerate(zip(network.layers, workspace.memos, strict=True)):
        if isinstance(layer, ReLU):
            dead = 1 - float((memo.y > 0).any(axis=0).mean())
            if dead > 0.5:
                warnings.warn(
                    f"{100 * dead:.0f} % of the ReLU units of layer {i} give 0 for every row, so they learn nothing "
                    "any more. Try a smaller learning rate, scaled inputs, or activation='leakyrelu'.",
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
    """Warn that ``max_iter`` was reached; say how fast the loss still fell, and how many epochs that pace asks for."""
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
    shrink = (pace / before) ** (1 / half) if before > pace else 1.0  # of the drop from one epoch to the next
    more = math.log(max(tol, 1e-12) / pace) / math.log(shrink) if shrink < 0.999 else curve[-1] / pace
    warnings.warn(
        f"{message} The loss, {curve[-1]:.4g}, still falls by {pace:.2g} an epoch: at this pace about "
        f"{max(1, math.ceil(more))} more epochs are needed (max_iter={max_iter + max(1, math.ceil(more))}).",
        StillImprovingWarning,
        stacklevel=7,
    )
