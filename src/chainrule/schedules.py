"""Learning-rate schedules: multipliers of the learning rate as functions of training progress.

A schedule does not contain the learning rate: η at any step is ``optimizer.learning_rate × factor``, so the rate is
written in one place. Progress is ``epoch``, a real number: 0 at the first step, 1.5 halfway through the second epoch;
``epochs`` is the total. The classic schedules change between epochs, the smooth ones at every step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, final

from chainrule._internal.checks import check_count, check_real
from chainrule._internal.config import FrozenConfig

__all__ = [
    "Constant",
    "Cosine",
    "CosineLog",
    "Exponential",
    "InverseScaling",
    "InverseTime",
    "OneCycle",
    "Schedule",
    "Step",
    "WarmUp",
]


class Schedule(FrozenConfig, ABC):
    """Base class for schedules. Subclasses implement ``factor``.

    >>> class Halfway(Schedule):
    ...     def factor(self, epoch, epochs):
    ...         return 1.0 if epoch < epochs / 2 else 0.1
    >>> Halfway().factor(7, 10)
    0.1
    """

    within_epoch: ClassVar[bool] = True
    """Whether the factor changes from step to step; if not, it is evaluated once per block of steps."""

    @abstractmethod
    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor at ``epoch`` (from 0, with fractions) of ``epochs``."""


@final
class Constant(Schedule):
    """A constant learning rate: factor 1.

    >>> Constant().factor(3, 10)
    1.0
    """

    within_epoch: ClassVar[bool] = False

    def factor(self, epoch: float, epochs: float) -> float:
        return 1.0


@final
@dataclass(eq=False, repr=False)
class InverseTime(Schedule):
    """Inverse time decay: 1 / (1 + decay · ⌊epoch⌋).

    >>> [round(InverseTime(decay=0.5).factor(epoch, 10), 3) for epoch in (0, 1, 2.9)]
    [1.0, 0.667, 0.5]

    Source: Robbins and Monro (1951): rates whose sum diverges while that of their squares converges.
    """

    decay: float
    within_epoch: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_real("InverseTime", "decay", self.decay, 0)

    def factor(self, epoch: float, epochs: float) -> float:
        return 1 / (1 + self.decay * math.floor(epoch))


@final
@dataclass(eq=False, repr=False)
class InverseScaling(Schedule):
    """Inverse scaling: 1 / (⌊epoch⌋ + 1)^power.

    scikit-learn's ``invscaling`` uses the number of samples seen instead of the epoch.

    >>> [round(InverseScaling(0.5).factor(epoch, 10), 3) for epoch in (0, 3, 8)]
    [1.0, 0.5, 0.333]
    """

    power: float = 0.5
    within_epoch: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_real("InverseScaling", "power", self.power, 0)

    def factor(self, epoch: float, epochs: float) -> float:
        return 1 / (math.floor(epoch) + 1) ** self.power


@final
@dataclass(eq=False, repr=False)
class Exponential(Schedule):
    """Exponential decay: gamma^⌊epoch⌋.

    >>> [round(Exponential(0.9).factor(epoch, 10), 3) for epoch in (0, 1, 2)]
    [1.0, 0.9, 0.81]
    """

    gamma: float
    within_epoch: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_real("Exponential", "gamma", self.gamma, 0, 1, open_low=True)

    def factor(self, epoch: float, epochs: float) -> float:
        return self.gamma ** math.floor(epoch)


@final
@dataclass(eq=False, repr=False)
class Step(Schedule):
    """Step decay: gamma^⌊epoch / every⌋, a drop every ``every`` epochs.

    >>> [Step(every=3, gamma=0.5).factor(epoch, 10) for epoch in (0, 2, 3, 6)]
    [1.0, 1.0, 0.5, 0.25]
    """

    every: int
    gamma: float = 0.1
    within_epoch: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_count("Step", "every", self.every)
        check_real("Step", "gamma", self.gamma, 0, 1, open_low=True)

    def factor(self, epoch: float, epochs: float) -> float:
        return self.gamma ** math.floor(epoch / self.every)


@final
@dataclass(eq=False, repr=False)
class Cosine(Schedule):
    """Cosine decay from 1 to ``end``, updated at every step.

    .. formula::

        factor = end + (1 − end) · ½ (1 + cos(π · epoch / epochs))

    >>> [round(Cosine().factor(epoch, 10), 3) for epoch in (0, 5, 10)]
    [1.0, 0.5, 0.0]

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017), equation 5.
    """

    end: float = 0.0

    def __post_init__(self) -> None:
        check_real("Cosine", "end", self.end, 0, 1)

    def factor(self, epoch: float, epochs: float) -> float:
        return _cosine(1.0, self.end, epoch / epochs)


@final
@dataclass(eq=False, repr=False)
class CosineLog(Schedule):
    """Cosine cycles whose lengths double: ½ (1 − cos 2π log₂(1 + (2^cycles − 1) t)), t = epoch / epochs.

    Each cycle rises from 0 to 1 and falls back to 0. The last one takes about half of the training; after it, the
    factor is 0.

    Parameters
    ----------
    cycles : int
        Number of cycles, at least 1.

    Examples
    --------
    >>> [round(CosineLog(4).factor(epoch, 60), 3) for epoch in (0, 1.66, 4, 45, 60)]
    [0.0, 1.0, 0.0, 0.876, 0.0]

    Source: Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on tabular
    data" (2024), where it is called coslog₄.
    """

    cycles: int = 4

    def __post_init__(self) -> None:
        check_count("CosineLog", "cycles", self.cycles)

    def factor(self, epoch: float, epochs: float) -> float:
        grown = 1 + (2**self.cycles - 1) * min(1.0, epoch / epochs)  # by a factor of 2 in each cycle
        return 0.5 * (1 - math.cos(2 * math.pi * math.log2(grown)))


@final
@dataclass(eq=False, repr=False)
class OneCycle(Schedule):
    """One-cycle schedule: up from ``start`` to 1 in the first part of training, then down to ``end``, both as cosines.

    The optimizer's learning rate is the maximum. The defaults are those of PyTorch's ``OneCycleLR``, from 1/25 to
    1/25 · 1e-4 of it. The momentum is constant (PyTorch can cycle it as well).

    >>> [round(OneCycle().factor(epoch, 10), 3) for epoch in (0, 3, 10)]
    [0.04, 1.0, 0.0]

    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates"
    (2018).
    """

    rise: float = 0.3
    start: float = 1 / 25
    end: float = 1 / 25 * 1e-4

    def __post_init__(self) -> None:
        check_real("OneCycle", "rise", self.rise, 0, 1, open_low=True, open_high=True)
        check_real("OneCycle", "start", self.start, 0, 1)
        check_real("OneCycle", "end", self.end, 0, 1)

    def factor(self, epoch: float, epochs: float) -> float:
        progress = epoch / epochs
        if progress < self.rise:
            return _cosine(self.start, 1.0, progress / self.rise)
        return _cosine(1.0, self.end, (progress - self.rise) / (1 - self.rise))


@final
@dataclass(eq=False, repr=False)
class WarmUp(Schedule):
    """Linear warm-up from ``start`` to 1 over the first ``epochs`` epochs (may be a fraction), then another schedule.

    The other schedule starts after the warm-up and runs over the remaining epochs.

    >>> warm = WarmUp(2, then=Cosine())
    >>> [round(warm.factor(epoch, 10), 3) for epoch in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]

    Source: Goyal et al., "Accurate, large minibatch SGD" (2017), section 2.2.
    """

    epochs: float
    then: Schedule = field(default_factory=Constant)
    start: float = 0.0

    def __post_init__(self) -> None:
        check_real("WarmUp", "epochs", self.epochs, 0, open_low=True)
        check_real("WarmUp", "start", self.start, 0, 1)
        if not isinstance(self.then, Schedule):
            raise TypeError(f"WarmUp: then: expected a Schedule such as Cosine(), got {self.then!r}.")

    def factor(self, epoch: float, epochs: float) -> float:
        if epoch < self.epochs:
            return self.start + (1 - self.start) * epoch / self.epochs
        return self.then.factor(epoch - self.epochs, epochs - self.epochs)


@final
class Rate(Schedule):
    """A factor that other code sets: the estimators after each epoch, the learning-rate range test after each step."""

    def __init__(self) -> None:
        self.now = {"factor": 1.0}  # a schedule is immutable, but this dict is not

    def factor(self, epoch: float, epochs: float) -> float:
        return self.now["factor"]


def _cosine(first: float, last: float, progress: float) -> float:
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
