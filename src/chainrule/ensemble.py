"""The mean of several networks on the columns of a table, and of a linear model, with NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, final

import numpy as np

from chainrule._internal.typing import Array, Float
from chainrule.encoding import TableEncoding
from chainrule.losses import SigmoidCrossEntropy
from chainrule.network import Network

__all__ = ["Ensemble", "Unit"]

ROWS = 2**16  # rows predicted at a time
CACHED = 2**13  # rows encoded at a time: their columns stay in the cache


@final
@dataclass(eq=False)
class Unit:
    """The unit of a target of numbers, which the networks learn standardized.

    .. formula::

        y = center + scale · p                 or, with a shift, exp(center + scale · p) − shift
        low ≤ y ≤ high

    Parameters
    ----------
    center, scale, low, high : (outputs,) array
        ``low`` and ``high`` are the range of predictions.
    shift : (outputs,) array, optional
        Given if the networks learn the logarithm of the target: log(y + shift).

    Examples
    --------
    >>> one = np.ones(1)
    >>> Unit(2 * one, one, 0 * one, 9 * one)(np.array([[0.5], [99.0]])).tolist()
    [[2.5], [9.0]]
    """

    center: Array
    scale: Array
    low: Array
    high: Array
    shift: Array | None = None

    def __call__(self, p: Float[Array, "rows outputs"]) -> Float[Array, "rows outputs"]:
        """Return the values for outputs of the networks."""
        y = self.center + self.scale * p
        if self.shift is not None:
            y = np.exp(np.minimum(y, np.log(self.high + self.shift))) - self.shift
        return np.clip(y, self.low, self.high)

    def standardized(self, y: Float[Array, "rows outputs"]) -> Float[Array, "rows outputs"]:
        """Return values as the networks learn them."""
        if self.shift is not None:
            y = np.log(np.maximum(y + self.shift, np.finfo(np.float64).tiny))
        return np.asarray((y - self.center) / self.scale)


@final
@dataclass(eq=False, repr=False)
class Ensemble:
    """Networks that share the encoding of a table and predict their mean.

    .. formula::

        p = (1 − λ) · meanₘ link(networkₘ(encoding(X))) + λ · link(z W + b)         z: scaled values, without the clip
        y = unit(p)                                                              for numbers

    Parameters
    ----------
    encoding : TableEncoding
    networks : sequence of Network
        All with the same loss, whose inverse link is applied.
    linear : (W, b, λ), optional
        A linear model of the scaled values, and its share of the mean.
    unit : Unit, optional
        The unit of the target, if it is numbers.
    thresholds : (outputs,) array, optional
        For classes: the one with the largest p / threshold is chosen. For several labels at once, each is chosen if p
        is above its threshold. By default all are equal, and 1/2 for labels.
    errors : (k, outputs) array, optional
        Sorted absolute errors of numbers on rows that a member was not trained on.

    Examples
    --------
    >>> import chainrule as cr
    >>> X = np.array([[1.0], [2.0], [3.0], [5.0]])
    >>> networks = [cr.Network(1, [cr.layers.Dense(1)], "squared_error", seed=seed) for seed in range(2)]
    >>> Ensemble(TableEncoding.fit(X), networks).predict(X).shape
    (4, 1)
    """

    encoding: TableEncoding
    networks: Sequence[Network]
    linear: tuple[Array, Array, float] | None = None
    unit: Unit | None = None
    thresholds: Array | None = None
    errors: Array | None = None

    def predict(self, X: Any) -> Float[Array, "rows outputs"]:
        """Return the predictions for rows of a table, as float64."""
        columns = self.encoding.columns(X)
        rows = len(columns[0]) if len(columns) else 0
        p = np.empty((rows, self.networks[0].output_shape[0]))
        for at in range(0, rows, ROWS):
            p[at : at + ROWS] = self._mean([column[at : at + ROWS] for column in columns])
        return p if self.unit is None else self.unit(p)

    def _mean(self, columns: Sequence[Array]) -> Array:
        """Return the weighted mean of the networks and the linear model for a block of rows."""
        rows, link, outputs = len(columns[0]), self.networks[0].loss.inverse_link, self.networks[0].output_shape[0]
        inputs, linear = np.empty((rows, self.encoding.inputs), np.float32), np.empty((rows, outputs))
        for at in range(0, rows, CACHED):
            here = slice(at, at + CACHED)
            z = self.encoding.scaled([column[here] for column in columns])
            inputs[here] = self.encoding.encode(z)
            if self.linear is not None:
                linear[here] = link(z @ self.linear[0] + self.linear[1])
        # contiguous columns: operations along short rows are slow
        found = [link(network.logits(inputs).astype(np.float64, order="F")) for network in self.networks]
        mean = np.mean(found, axis=0)
        return mean if self.linear is None else (1 - self.linear[2]) * mean + self.linear[2] * linear

    def chosen(self, p: Float[Array, "rows outputs"]) -> Array:
        """Return the index of the class for each row of probabilities; for several labels, a row of 0 and 1."""
        if isinstance(self.networks[0].loss, SigmoidCrossEntropy):
            return (p > (0.5 if self.thresholds is None else self.thresholds)).astype(int)
        return (p if self.thresholds is None else p / self.thresholds).argmax(axis=1)

    def half_width(self, coverage: float) -> Float[Array, "outputs"]:
        """Return half the width of intervals that contain a share of new values, for each output.

        It is the ⌈(k + 1) · coverage⌉-th smallest of k errors.

        Source: cross-conformal prediction: Vovk, "Cross-conformal predictors" (2015).
        """
        if isinstance(coverage, bool) or not isinstance(coverage, Real) or not 0 < coverage < 1:
            raise ValueError(f"coverage: expected a share between 0 and 1, such as 0.9, got {coverage!r}.")
        if self.errors is None or not len(self.errors):
            raise ValueError("coverage: there are no out-of-fold errors.")
        rank = math.ceil(round((len(self.errors) + 1) * coverage, 9))
        if rank > len(self.errors):
            most = len(self.errors) / (len(self.errors) + 1)
            raise ValueError(
                f"coverage: {len(self.errors)} rows are too few for {coverage:g}: give at most {most:.3g}."
            )
        return np.asarray(self.errors[rank - 1])
