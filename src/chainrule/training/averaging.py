"""Weight averaging: callbacks that replace the final parameters with an average over training.

Stochastic gradient descent wanders around a minimum; the average of the iterates lies closer to it. θ̄ is evaluated
after every epoch and left in the network at the end; training itself never uses it. The statistics of batch
normalization are averaged as well, or recomputed with θ̄, because they are not a linear function of the parameters.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from chainrule._internal.backend import like
from chainrule._internal.checks import check_count, check_real, check_rows
from chainrule._internal.threads import blas_threads
from chainrule._internal.typing import Array, Int, MatrixLike
from chainrule.files.states import check_state, form
from chainrule.network import Network
from chainrule.training.callbacks import Callback, Run

__all__ = ["EMA", "SWA", "WeightAverage", "measure_statistics"]


class WeightAverage(Callback):
    """Base class for weight averaging. Subclasses decide when to call ``add``, and implement ``share``.

    If ``validate`` is true, the average is used after each epoch for validation and for the other callbacks'
    ``run.network``. A :class:`~chainrule.Checkpoint` saves both the average and the parameters. At the end,
    ``EarlyStopping(restore_best=True)`` takes precedence.

    Attributes
    ----------
    average : (parameters + statistics,) array or None
        The average of ``network.values``: θ̄ followed by the statistics; None before the first average.
    count : int
        Number of values averaged.
    """

    validate: bool = True
    measures: ClassVar[bool] = False
    """Whether the statistics are recomputed with θ̄, which takes a pass over the rows, instead of averaged."""

    def on_start(self, run: Run) -> None:
        self.average: Array | None = None
        self.count = 0
        self._measured = False
        self._scratch = np.empty_like(run.network.values)

    def finish(self, run: Run) -> None:
        """Update the average after the last step of an epoch, before anything is evaluated."""

    @abstractmethod
    def share(self) -> float:
        """Return the weight of θ in the new average; ``count`` already includes it."""

    def add(self, values: Array) -> None:
        """Update θ̄ ← θ̄ + share (θ − θ̄); ``values`` are those of the network."""
        self.count += 1
        self._measured = False
        if self.average is None:
            self.average = values.copy()
            return
        np.subtract(values, self.average, out=self._scratch)
        self._scratch *= self.share()
        self.average += self._scratch

    def put(self, run: Run) -> None:
        """Copy the average into the network."""
        network = run.network
        network.values[:] = self.average
        if self.measures and not self._measured and network.statistics.size:
            run.measure()
            self.average = network.values.copy()
            self._measured = True

    def on_end(self, run: Run) -> None:
        if self.average is not None:
            self.put(run)

    def state(self) -> dict[str, Any]:
        return {"average": self.average, "count": self.count, "measured": self._measured}

    def restore(self, state: dict[str, Any]) -> None:
        kinds = {"average": form(self._scratch), "count": "count", "measured": "flag"}
        average, self.count, self._measured = check_state(state, kinds)
        self.average = None if average is None else like(average, self._scratch)


@contextmanager
def averaged(run: Run, callbacks: Sequence[Callback]) -> Iterator[None]:
    """Use the average in the network while an epoch is evaluated; do nothing if there is none."""
    values, trained = run.network.values, None
    for average in (callback for callback in callbacks if isinstance(callback, WeightAverage)):
        average.finish(run)
        if average.validate and average.average is not None:
            trained = values.copy()
            average.put(run)
    try:
        yield
    finally:
        if trained is not None:
            values[:] = trained


@final
@dataclass(eq=False, repr=False)
class EMA(WeightAverage):
    """Exponential moving average of the parameters over the steps.

    .. formula::

        m ← d m + (1 − d) θ           after every step, from m = 0
        θ̄ = m / (1 − dᵗ)              t = 1, 2, … steps

    computed in the equivalent form θ̄ ← θ̄ + (1 − d) / (1 − dᵗ) (θ − θ̄). The θ of s steps ago has a weight
    proportional to dˢ. The averaging window is about 1 / (1 − d) steps; choose d so that it spans one to ten epochs.

    Parameters
    ----------
    decay : float
        d, in (0, 1).
    every : int
        Update the average only every this many steps, with d raised to that power. The window is the same and the cost
        lower.
    validate : bool
        Whether to validate with θ̄, the network's final parameters.

    Notes
    -----
    The initial bias is corrected as in Adam, so the random initial parameters have no weight. PyTorch's
    ``AveragedModel`` with ``get_ema_multi_avg_fn(d)`` starts with θ after the first step, which keeps the weight dᵗ⁻¹;
    other libraries warm up d as min(d, (1 + t) / (10 + t)).

    The statistics of batch normalization are averaged like the parameters, as in PyTorch with ``use_buffers=True``. To
    recompute them instead, call :func:`measure_statistics`.

    Training returns to Python after each step (or every ``every`` steps); docs/better-training.md gives the cost.

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
        self.decay = check_real("EMA", "decay", self.decay, 0, 1, open_low=True, open_high=True)
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
            self.add(run.network.values)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        self._steps = check_state({"steps": state["steps"]}, {"steps": "count"})[0]
        super().restore({name: value for name, value in state.items() if name != "steps"})


@final
@dataclass(eq=False, repr=False)
class SWA(WeightAverage):
    """Stochastic weight averaging: the mean of the parameters at the ends of the last epochs.

    .. formula::

        θ̄ ← θ̄ + (θ − θ̄) / n           after epochs start, start + every, …;  n = 1, 2, …

    Use a constant learning rate, or one that cycles every ``every`` epochs. If it decays to zero, the last iterates are
    nearly identical and averaging them has no effect.

    Parameters
    ----------
    start : int or float
        First epoch to include, counted from 1. A value below 1 is the fraction of epochs to skip: 0.75 of 20 starts at
        epoch 16.
    every : int
        Number of epochs between updates of the average.
    validate : bool
        Whether to validate with θ̄ as soon as it exists.

    Raises
    ------
    ValueError
        Before training, if it would end before ``start``.

    Notes
    -----
    Equivalent to PyTorch's ``AveragedModel`` with ``update_parameters`` at the end of each epoch. The statistics of
    batch normalization are recomputed with θ̄ on the training rows, as by PyTorch's ``update_bn``, at the end and
    before each validation with θ̄. :func:`measure_statistics` performs that pass.

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

    measures: ClassVar[bool] = True

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
            self.add(run.network.values)


def measure_statistics(
    network: Network,
    X: MatrixLike,
    *,
    rows: Int[Array, "used"] | None = None,
    batch_size: int = 256,
) -> None:
    """Recompute the running statistics of layers such as BatchNorm with the current parameters.

    .. formula::

        statistics ← Σ nᵢ (those of batch i) / Σ nᵢ           nᵢ rows in batch i

    Use it for parameters that no training step produced, such as averages, or for a loaded network on other data.

    Parameters
    ----------
    network : Network
        Its ``statistics`` are changed in place; without any, nothing happens.
    X : (rows, inputs) array
    rows : (used,) of int, optional
        The rows to use, in this order, which should not be sorted by class. By default all, in a fixed random order.
    batch_size : int
        Use that of training, because batch statistics depend on it slightly. Dropout is active, as in training.

    Source: Izmailov et al. (2018), section 3.2; PyTorch's ``torch.optim.swa_utils.update_bn``.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [cr.layers.BatchNorm()], "squared_error")
    >>> measure_statistics(network, [[0.0, 1.0], [2.0, 5.0]])
    >>> network.layers[0].running_mean, network.layers[0].running_var
    (array([1., 3.], dtype=float32), array([2., 8.], dtype=float32))
    """
    if not network.statistics.size:
        return
    X = check_rows(X, network.input_shape, network.dtype)
    order = np.random.default_rng(0).permutation(X.shape[0]) if rows is None else rows
    size = min(check_count("measure_statistics", "batch_size", batch_size), len(order))
    for i, layer in enumerate(network.layers):
        layer.check_batch(f"layer {i}", size)
    workspace = network.workspace(size, seed=0)  # the same dropout masks every time
    with blas_threads(1):
        for start in range(0, len(order), size):
            x = network.near(X[order[start : start + size]].astype(network.dtype, copy=False))
            workspace.resize(x.shape[0])
            network.forward(x, workspace)
            network.update_statistics(workspace, momentum=start / (start + x.shape[0]))
