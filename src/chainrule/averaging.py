"""Averages of the weights: callbacks that end with the mean of the parameters on the way, not with the last of them.

Steps of stochastic gradient descent wander around a minimum; the mean of where they were lies nearer to it. θ̄ is
measured after every epoch and stays in the network at the end; training itself never sees it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from chainrule._checks import check_count, check_real
from chainrule._typing import Array
from chainrule.callbacks import Callback, Run

__all__ = ["EMA", "SWA", "WeightAverage"]


class WeightAverage(Callback):
    """A mean of the parameters as training goes on. One of your own says when to ``add``, and with what share.

    After an epoch the validation set, the other callbacks and their ``run.network`` see the average, if ``validate``;
    a :class:`~chainrule.Checkpoint` keeps both. ``EarlyStopping(restore_best=True)`` has the last word at the end.

    Attributes
    ----------
    average : (parameters,) array or None
        θ̄; None before anything was averaged.
    count : int
        How many θ are in it.
    """

    validate: bool = True

    def on_start(self, run: Run) -> None:
        self.average: Array | None = None
        self.count = 0
        self._scratch = np.empty_like(run.network.theta)

    def finish(self, run: Run) -> None:
        """Do what an epoch's last step is followed by, before anything is measured."""

    @abstractmethod
    def share(self) -> float:
        """Return what part of the new average θ is, when ``count`` counts it already."""

    def add(self, theta: Array) -> None:
        """Let θ̄ ← θ̄ + share (θ − θ̄)."""
        self.count += 1
        if self.average is None:
            self.average = theta.copy()
            return
        np.subtract(theta, self.average, out=self._scratch)
        self._scratch *= self.share()
        self.average += self._scratch

    def on_end(self, run: Run) -> None:
        if self.average is not None:
            run.network.theta[:] = self.average

    def state(self) -> dict[str, Any]:
        return {"average": self.average, "count": self.count}

    def restore(self, state: dict[str, Any]) -> None:
        self.average, self.count = state["average"], state["count"]


@contextmanager
def averaged(run: Run, callbacks: Sequence[Callback]) -> Iterator[None]:
    """Put the average into the network for as long as an epoch is measured; nothing is done where there is none."""
    theta, trained = run.network.theta, None
    for average in (callback for callback in callbacks if isinstance(callback, WeightAverage)):
        average.finish(run)
        if average.validate and average.average is not None:
            trained = theta.copy()
            theta[:] = average.average
    try:
        yield
    finally:
        if trained is not None:
            theta[:] = trained


@final
@dataclass(eq=False, repr=False)
class EMA(WeightAverage):
    """The exponential moving average of the parameters over the steps.

    .. code-block:: text

        m ← d m + (1 − d) θ           after every step, from m = 0
        θ̄ = m / (1 − dᵗ)              t = 1, 2, … steps

    computed as θ̄ ← θ̄ + (1 − d) / (1 − dᵗ) (θ − θ̄), which is the same: all θ so far, the one of s steps ago with a
    weight in proportion to dˢ. It looks back about 1 / (1 − d) steps: choose d so that these are one to ten epochs.

    Parameters
    ----------
    decay : float
        d, in (0, 1).
    every : int
        Average after every so many steps only, with d to that power: as far back, at less cost.
    validate : bool
        Whether the validation set is measured with θ̄ (the parameters that the network will have at the end).

    Notes
    -----
    The start is corrected as in Adam, so that the random parameters of the beginning have no weight. PyTorch's
    ``AveragedModel`` with ``get_ema_multi_avg_fn(d)`` begins with θ after the first step and gives it the weight
    dᵗ⁻¹ for ever; other libraries warm d up, min(d, (1 + t) / (10 + t)).

    Only ``network.theta`` is averaged. Where a layer keeps running statistics beside it (batch normalisation), these
    are of the last θ, not of θ̄, and have to be measured once more with θ̄ on rows of the training set.

    Training goes back to Python after every step (or every so many): see docs/better-training.md for what that costs.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992); the correction: Kingma
    and Ba, "Adam: a method for stochastic optimization" (2015), section 7.2.

    Examples
    --------
    >>> import chainrule as cr
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> network = cr.Network(2, [cr.layers.Dense(1)], "squared_error", seed=0)
    >>> history = cr.train(network, X, X[:, 0], optimizer="sgd", epochs=5, callbacks=[cr.EMA(0.9)], seed=0)
    >>> network.layers[0].W.ravel().round(2)
    array([ 0.95, -0.05], dtype=float32)
    """

    decay: float = 0.999
    every: int = 1
    validate: bool = True

    def __post_init__(self) -> None:
        check_real("EMA", "decay", self.decay, 0, 1, open_low=True, open_high=True)
        self.every = check_count("EMA", "every", self.every)

    def on_start(self, run: Run) -> None:
        super().on_start(run)
        self._steps = 0

    def share(self) -> float:
        d = self.decay**self.every
        return (1 - d) / (1 - d**self.count)

    def on_batch(self, run: Run) -> None:
        self._steps += 1
        if self._steps % self.every == 0:
            self.add(run.network.theta)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._steps = state["steps"]


@final
@dataclass(eq=False, repr=False)
class SWA(WeightAverage):
    """Stochastic weight averaging: the plain mean of the parameters at the ends of the last epochs.

    .. code-block:: text

        θ̄ ← θ̄ + (θ − θ̄) / n           after epochs start, start + every, …;  n = 1, 2, …

    It wants a learning rate that stays, or goes round in cycles of ``every`` epochs: with one that falls to nothing
    the last θ are all alike, and so is their mean.

    Parameters
    ----------
    start : int or float
        The first epoch that is averaged, counted from 1; or, below 1, after what part of the epochs: 0.75 of 20
        begins with epoch 16.
    every : int
        Average after every so many epochs.
    validate : bool
        Whether the validation set is measured with θ̄ as soon as there is one.

    Raises
    ------
    ValueError
        Before training, when it would end before ``start``.

    Notes
    -----
    The same as PyTorch's ``AveragedModel`` with ``update_parameters`` at the end of an epoch. Only ``network.theta`` is
    averaged. Where a layer keeps running statistics beside it (batch normalisation), these are of the last θ, not of
    θ̄, and have to be measured once more with θ̄ on rows of the training set.

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization" (2018), algorithm 1.

    Examples
    --------
    >>> import chainrule as cr
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> network = cr.Network(2, [cr.layers.Dense(1)], "squared_error", seed=0)
    >>> average = cr.SWA(start=5)
    >>> history = cr.train(network, X, X[:, 0], optimizer="sgd", epochs=8, callbacks=[average], seed=0)
    >>> average.count, bool((network.theta == average.average).all())
    (4, True)
    """

    start: int | float = 0.75
    every: int = 1
    validate: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.start, float) and self.start < 1:
            check_real("SWA", "start", self.start, 0, 1, open_high=True)
        else:
            self.start = check_count("SWA", "start", self.start)
        self.every = check_count("SWA", "every", self.every)

    def on_start(self, run: Run) -> None:
        super().on_start(run)
        self._first = self.start if isinstance(self.start, int) else int(self.start * run.epochs) + 1
        if self._first > run.epochs:
            raise ValueError(f"SWA: start: expected at most the {run.epochs} epochs of training, got {self.start}.")

    def share(self) -> float:
        return 1 / self.count

    def finish(self, run: Run) -> None:
        if run.epoch >= self._first and (run.epoch - self._first) % self.every == 0:
            self.add(run.network.theta)
