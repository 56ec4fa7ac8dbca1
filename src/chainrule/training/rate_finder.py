"""The learning-rate range test: one short training run that finds usable learning rates."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import optimizers
from chainrule._internal.checks import check_count, check_real
from chainrule._internal.names import named
from chainrule._internal.showing import Shown
from chainrule._internal.typing import Array, ArrayLike, Float, MatrixLike
from chainrule.advice import left_to_the_caller
from chainrule.network import Network
from chainrule.optimizers import Adam, Optimizer
from chainrule.schedules import Rate
from chainrule.training.callbacks import Callback, Run
from chainrule.training.evaluation import check_network
from chainrule.training.loop import DivergenceError, train

__all__ = ["RangeTest", "lr_range_test"]

LATELY = 5  # steps whose mean loss shows whether it has risen


@dataclass(frozen=True)
class RangeTest(Shown):
    """The result of :func:`lr_range_test`. Plot it with :func:`chainrule.plotting.plot_range_test`.

    Attributes
    ----------
    rates, losses : (steps,) float64 arrays
        The learning rate of every step, and the loss of its batch before the step.
    smoothed : (steps,) float64 array
        The losses, each averaged with its neighbors.
    suggestion : float or None
        A tenth of the rate with the lowest smoothed loss; None if the loss never fell.
    diverged : bool
        Whether the test ended because the loss rose. If not, try a larger ``high``.

    Examples
    --------
    >>> loss = np.array([2.0, 1.0, 3.0])
    >>> RangeTest(np.array([0.01, 0.1, 1.0]), loss, loss, suggestion=0.01, diverged=False)
    RangeTest(3 steps, 0.01 to 1, suggestion 0.01)
    """

    rates: Float[Array, "steps"]
    losses: Float[Array, "steps"]
    smoothed: Float[Array, "steps"]
    suggestion: float | None
    diverged: bool

    def __repr__(self) -> str:
        found = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"RangeTest({len(self.rates)} steps, {self.rates[0]:.2g} to {self.rates[-1]:.2g}, suggestion {found})"


def lr_range_test(
    network: Network,
    X: MatrixLike,
    t: ArrayLike,
    *,
    optimizer: Optimizer | str = Adam(),  # noqa: B008  (frozen)
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 200,
    **settings: Any,
) -> RangeTest:
    """Train a copy of ``network`` with a learning rate that grows at each step, and return the losses by rate.

    .. formula::

        ηᵢ = low · (high / low)^(i / (steps − 1))           i = 0, 1, …, steps − 1

    If the rate is too small, nothing is learned; if it is too large, the loss rises. The test ends when the loss is
    twice that of the first steps. The network is not modified.

    Parameters
    ----------
    network : Network
    X, t
        As for :func:`~chainrule.train`. Each step is one batch; the test runs as many epochs as it needs.
    optimizer : Optimizer or str
        Its own learning rate is ignored.
    low, high : float
        The first and the last rate, 0 < low < high.
    steps : int
        Number of steps, at least 10.
    **settings
        ``batch_size``, ``accumulate``, ``layer_rates``, ``penalties``, ``clip``, ``sample_weight``, ``augment``,
        ``shuffle``, ``threads`` and ``seed`` of :func:`~chainrule.train`: use those of the planned training run.

    Returns
    -------
    RangeTest

    Raises
    ------
    ValueError, TypeError
        For arguments that ``train`` rejects, and for arguments of ``train`` that do not apply here.

    Notes
    -----
    The suggestion, a tenth of the rate with the lowest smoothed loss, is a rule of thumb. Smith reads the plot: the
    largest rate at which the loss still falls is the upper bound of a cycle, or the peak of ``OneCycle``.

    Source: Smith, "Cyclical learning rates for training neural networks" (2017), section 3.3.

    Examples
    --------
    >>> import chainrule as cr
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> network = cr.Network(3, [cr.layers.Dense(1)], "squared_error", seed=0)
    >>> result = cr.lr_range_test(network, X, X[:, 0] + 0.1 * X[:, 1] * X[:, 2], optimizer="sgd", seed=0)
    >>> result.diverged, 0.01 < result.suggestion < 0.1         # plot_range_test(result).savefig("range.png")
    (True, True)
    """
    check_network("lr_range_test", network)
    chosen: Optimizer = named("optimizer", optimizer, Optimizer, optimizers)
    low = check_real("lr_range_test", "low", low, 0, open_low=True)
    high = check_real("lr_range_test", "high", high, low, open_low=True)
    steps = check_count("lr_range_test", "steps", steps, least=10)
    if refused := sorted(settings.keys() - SETTINGS):
        raise TypeError(f"lr_range_test: {', '.join(refused)}: expected settings among {', '.join(sorted(SETTINGS))}.")
    chosen = copy.copy(chosen)
    vars(chosen)["learning_rate"] = 1.0  # the schedule sets the rates
    growth = Rate()
    watch = _Watch(low * (high / low) ** np.linspace(0, 1, steps), growth)
    try:
        with left_to_the_caller():  # the test tries unusable rates on purpose
            train(
                copy.copy(network), X, t, optimizer=chosen, schedule=growth, callbacks=[watch], epochs=steps, **settings
            )
    except DivergenceError:
        watch.diverged = True
    return _result(watch)


SETTINGS = {
    "accumulate", "augment", "batch_size", "clip", "layer_rates", "penalties", "sample_weight", "seed", "shuffle",
    "threads",
}  # fmt: skip


class _Watch(Callback):
    """Records the loss of every step, sets the next rate, and ends training when the rates end or the loss rises."""

    def __init__(self, rates: Array, growth: Rate) -> None:
        self.rates, self.growth = rates, growth
        self.losses: list[float] = []
        self.diverged = False
        self.first = max(5, len(rates) // 10)
        """Number of steps that determine the initial loss."""
        growth.now["factor"] = rates[0]

    def on_start(self, run: Run) -> None:
        self._done = 0

    def on_batch(self, run: Run) -> None:
        self._done = 0 if run.batch <= self._done else self._done
        self.losses.append(float(run.losses[self._done : run.batch].mean()))
        self._done = run.batch
        if len(self.losses) > self.first and not float(np.mean(self.losses[-LATELY:])) <= self.bound:
            self.diverged = True
        if self.diverged or len(self.losses) == len(self.rates):
            run.stop("the test is over")
        else:
            self.growth.now["factor"] = self.rates[len(self.losses)]

    @property
    def bound(self) -> float:
        """The loss at which the test ends: twice the initial loss."""
        start = float(np.mean(self.losses[: self.first]))
        return start + abs(start)


def _result(watch: _Watch) -> RangeTest:
    losses = np.array(watch.losses)
    if len(losses) <= watch.first:
        rate = watch.rates[len(losses)]
        raise ValueError(
            f"lr_range_test: the loss was not finite after {len(losses)} steps, at rate {rate:.2g}: give a smaller "
            "low, or scale the inputs to roughly [−1, 1]."
        )
    reach = max(2, len(watch.rates) // 20)
    kernel = np.hanning(2 * reach + 3)[1:-1]
    bounded = np.minimum(losses, watch.bound)  # so that a jump at the end does not affect the smoothed values before it
    smoothed = np.convolve(bounded, kernel, "full")[reach : reach + len(losses)]
    smoothed /= np.convolve(np.ones(len(losses)), kernel, "full")[reach : reach + len(losses)]
    least, start = int(smoothed.argmin()), losses[: watch.first]
    fell = smoothed[least] < start.mean() - max(start.std(), 0.01 * abs(start.mean()))  # more than chance
    return RangeTest(
        watch.rates[: len(losses)], losses, smoothed, float(watch.rates[least]) / 10 if fell else None, watch.diverged
    )
