"""Averages of the weights: callbacks that end with the mean of the parameters on the way, not with the last of them.

Steps of stochastic gradient descent wander around a minimum; the mean of where they were lies nearer to it. θ̄ is
measured after every epoch and stays in the network at the end; training itself never sees it. The statistics of batch
normalisation are averaged too, or, as they are no linear function of the parameters, measured once more with θ̄.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from chainrule._internal.checks import check_count, check_real, check_rows
from chainrule._internal.parts import part_threads
from chainrule._internal.threads import blas_threads, choose_threads
from chainrule._internal.typing import Array, Int, MatrixLike
from chainrule.files.states import check_state, form
from chainrule.network import Network
from chainrule.training.callbacks import Callback, Run

__all__ = ["EMA", "SWA", "WeightAverage", "measure_statistics"]


class WeightAverage(Callback):
    """A mean of the parameters as training goes on. One of your own says when to ``add``, and with what share.

    After an epoch the validation set, the other callbacks and their ``run.network`` see the average, if ``validate``;
    a :class:`~chainrule.Checkpoint` keeps both. ``EarlyStopping(restore_best=True)`` has the last word at the end.

    Attributes
    ----------
    average : (parameters + statistics,) array or None
        The average of ``network.values``: θ̄, and after it the statistics; None before anything was averaged.
    count : int
        How many are in it.
    """

    validate: bool = True
    measures: ClassVar[bool] = False
    """Whether the statistics are measured once more with θ̄, which takes a pass over the rows; else averaged."""

    def on_start(self, run: Run) -> None:
        self.average: Array | None = None
        self.count = 0
        self._measured = False
        self._scratch = np.empty_like(run.network.values)

    def finish(self, run: Run) -> None:
        """Do what an epoch's last step is followed by, before anything is measured."""

    @abstractmethod
    def share(self) -> float:
        """Return what part of the new average θ is, when ``count`` counts it already."""

    def add(self, values: Array) -> None:
        """Let θ̄ ← θ̄ + share (θ − θ̄); ``values`` are those of the network."""
        self.count += 1
        self._measured = False
        if self.average is None:
            self.average = values.copy()
            return
        np.subtract(values, self.average, out=self._scratch)
        self._scratch *= self.share()
        self.average += self._scratch

    def put(self, run: Run) -> None:
        """Put the average into the network."""
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
        self.average, self.count, self._measured = check_state(state, kinds)


@contextmanager
def averaged(run: Run, callbacks: Sequence[Callback]) -> Iterator[None]:
    """Put the average into the network for as long as an epoch is measured; nothing is done where there is none."""
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

    The statistics of batch normalisation are averaged as the parameters are, as PyTorch does with ``use_buffers=True``.
    :func:`measure_statistics` measures them once more.

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
    The same as PyTorch's ``AveragedModel`` with ``update_parameters`` at the end of an epoch. The statistics of batch
    normalisation are measured once more with θ̄ on the rows of training, as PyTorch's ``update_bn`` does: at the end,
    and before every validation of θ̄. :func:`measure_statistics` is that pass.

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
    threads: int | None = None,
) -> None:
    """Measure once more what layers such as BatchNorm know of their batches, with the parameters as they are.

    .. code-block:: text

        statistics ← Σ nᵢ (those of batch i) / Σ nᵢ           nᵢ its rows

    For parameters that no training step has seen: averages, or those of a file, on other data.

    Parameters
    ----------
    network : Network
        Its ``statistics`` are changed in place; nothing happens where it has none.
    X : (rows, inputs) array
    rows : (used,) of int, optional
        Which of them, in this order, which should not be that of the classes; by default all, in an order that is
        always the same.
    batch_size : int
        That of the training: statistics of batches differ with it a little. Dropout drops as in training.
    threads : int, optional
        As for :func:`~chainrule.train`.

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
    workspace = network.workspace(size, seed=0)  # dropout draws the same every time
    with blas_threads(1), part_threads(choose_threads(0, threads).allowed):
        for start in range(0, len(order), size):
            x = X[order[start : start + size]].astype(network.dtype, copy=False)
            workspace.resize(x.shape[0])
            network.forward(x, workspace)
            network.update_statistics(workspace, momentum=start / (start + x.shape[0]))
