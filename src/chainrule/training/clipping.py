"""Gradient clipping, applied to the vector of all gradients."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

from chainrule._internal.checks import check_real
from chainrule._internal.config import FrozenConfig
from chainrule._internal.typing import Array, Float

__all__ = ["Clip", "ClipNorm", "ClipValue"]


class Clip(FrozenConfig, ABC):
    """A bound on the gradient, applied before the optimizer's step."""

    @abstractmethod
    def apply(self, grad: Float[Array, "size"]) -> None:
        """Change ``grad`` in place."""


@final
@dataclass(eq=False, repr=False)
class ClipValue(Clip):
    """Clip every entry: g ← min(max(g, −limit), limit). This can change the direction.

    >>> g = np.array([3.0, -0.5])
    >>> ClipValue(1.0).apply(g)
    >>> g
    array([ 1. , -0.5])
    """

    limit: float

    def __post_init__(self) -> None:
        check_real("ClipValue", "limit", self.limit, 0, open_low=True)

    def apply(self, grad: Float[Array, "size"]) -> None:
        np.clip(grad, -self.limit, self.limit, out=grad)


@final
@dataclass(eq=False, repr=False)
class ClipNorm(Clip):
    """Clip the norm of the whole gradient: g ← g · min(1, limit / ‖g‖). The direction is unchanged.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013), algorithm 1.

    >>> g = np.array([3.0, -4.0])
    >>> ClipNorm(1.0).apply(g)
    >>> g
    array([ 0.6, -0.8])
    """

    limit: float

    def __post_init__(self) -> None:
        check_real("ClipNorm", "limit", self.limit, 0, open_low=True)

    def apply(self, grad: Float[Array, "size"]) -> None:
        norm = math.sqrt(np.vdot(grad, grad))
        if math.isinf(norm):  # the squares overflow in float32
            norm = float(np.linalg.norm(grad.astype(np.float64)))
        if norm > self.limit:
            grad *= self.limit / norm
