"""The quadratic used to compare optimizers: L = ½ Σ aᵢ (θᵢ − cᵢ)²."""

from __future__ import annotations

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.subjects import Move

START = np.array([1.0, -2.0, 0.5, 3.0])
CENTER = np.array([0.2, 0.1, -0.3, 1.0])
CURVATURE = np.array([1.0, 0.3, 2.0, 0.7])


def gradient(theta: Array) -> Array:
    """Return a (θ − c)."""
    return CURVATURE * (theta - CENTER)


def value(theta: Array) -> float:
    """Return L."""
    return float(0.5 * (CURVATURE * (theta - CENTER) ** 2).sum())


def walk(move: Move, steps: int, start: Array = START) -> Array:
    """Return θ after each of the steps."""
    theta, path = start.copy(), []
    for _ in range(steps):
        theta = move(theta, gradient(theta))
        path.append(theta)
    return np.array(path)
