"""Shapley values of groups of inputs, against rows of a background.

.. code-block:: text

    v(S) = mean_b f(x on the inputs of S, row b elsewhere)                          for a set S of groups
    φᵢ = Σ_S |S|! (k − |S| − 1)! / k! · (v(S ∪ {i}) − v(S))                         over all S without i, of k groups
    v(∅) + Σᵢ φᵢ = f(x)

φᵢ is also the mean of v(S ∪ {i}) − v(S) over all orders of the groups, with S the groups before i: that is what is
sampled where 2ᵏ sets are too many, each order together with its reverse, and as many orders for each row b.

Sources: Shapley, "A value for n-person games" (1953); Štrumbelj and Kononenko, "An efficient explanation of individual
classifications using game theory" (2010); Castro, Gómez and Tejada, "Polynomial calculation of the Shapley value based
on sampling" (2009); antithetic orders: Mitchell, Cooper, Frank and Holmes, "Sampling permutations for Shapley value
estimation" (2022). v is "interventional": Janzing, Minorics and Blöbaum, "Feature relevance quantification in
explainable AI: a causal problem" (2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from chainrule._internal.typing import Array

EVALUATIONS = 2**17  # rows for which f is computed, about
CELLS = 2**22  # numbers of a block of them
PAIRS = 2  # the fewest orders, with their reverses, for each row of the background: they have a spread


class Shapley(NamedTuple):
    """Shapley values (groups,) with their standard errors.

    ``base`` is v(∅), ``rows`` the number of rows of the background, and ``orders`` that of the sampled orders: 0 if the
    values are exact.
    """

    values: Array
    errors: Array
    base: float
    rows: int
    orders: int = 0


def shapley(
    f: Callable[[Array], Array],
    x: Array,
    X: Array,
    of: Array,
    rng: np.random.Generator,
    evaluations: int = EVALUATIONS,
) -> Shapley:
    """Return the Shapley values of groups of inputs.

    Parameters
    ----------
    f : function of rows (rows, inputs)
        Returns a value for each row.
    x : array (inputs,)
    X : array (background, inputs)
        If there are too many groups for so many rows, some of them are drawn.
    of : int array (inputs,)
        The group of each input, from 0.
    rng : numpy.random.Generator
        Draws the orders of the groups.
    evaluations : int
        Number of rows, about, for which f is computed.

    Examples
    --------
    >>> of, X = np.array([0, 1, 1]), np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    >>> found = shapley(lambda rows: rows[:, 0] + rows[:, 1] * rows[:, 2], np.ones(3), X, of, np.random.default_rng(0))
    >>> found.values.tolist(), found.base, found.orders
    ([0.0, 1.0], 1.0, 0)
    """
    groups = int(of.max()) + 1
    differs = ((x != X) & ~(np.isnan(x) & np.isnan(X))).any(axis=0)
    players = np.unique(of[differs])  # the value of any other group is 0
    k = len(players)
    player = np.searchsorted(players, of)
    player[~differs] = k  # in no set: x and the background are equal there
    values, errors = np.zeros(groups), np.zeros(groups)
    if 2**k * len(X) <= max(evaluations, len(X)):
        v = _of_sets(f, x, X, player, k)
        values[players] = _exact(v, k)
        return Shapley(values, errors, float(v[0]), len(X))
    X = X[np.sort(rng.permutation(len(X))[: max(2, evaluations // (2 * PAIRS * k))])]
    pairs = max(PAIRS, evaluations // (2 * k * len(X)))
    values[players], errors[players], base = _sampled(f, x, X, player, k, pairs, rng)
    return Shapley(values, errors, base, len(X), 2 * pairs * len(X))


def blocks(rows: int, inputs: int) -> Iterator[slice]:
    """Yield the blocks in which so many rows are computed."""
    step = max(1, CELLS // inputs)
    yield from (slice(at, min(at + step, rows)) for at in range(0, rows, step))


def _of_sets(f: Callable[[Array], Array], x: Array, X: Array, player: Array, k: int) -> Array:
    """Return v of all sets, (2ᵏ,): player i is in set s if bit i of s is 1."""
    found = np.empty(2**k * len(X))
    for block in blocks(len(found), len(x)):
        sets, b = np.divmod(np.arange(block.start, block.stop), len(X))
        found[block] = f(np.where(sets[:, None] >> player & 1, x, X[b]))
    return found.reshape(2**k, len(X)).mean(axis=1)


def _exact(v: Array, k: int) -> Array:
    """Return the Shapley values from v of all sets."""
    sets = np.arange(2**k)
    size = sum((sets >> i & 1 for i in range(k)), np.zeros(2**k, np.int64))
    weight = np.array([1 / (k * math.comb(k - 1, s)) if s < k else 0.0 for s in range(k + 1)])
    values = np.empty(k)
    for i in range(k):
        without = sets[sets >> i & 1 == 0]
        values[i] = weight[size[without]] @ (v[without | 1 << i] - v[without])
    return values


def _sampled(
    f: Callable[[Array], Array], x: Array, X: Array, player: Array, k: int, pairs: int, rng: np.random.Generator
) -> tuple[Array, Array, float]:
    """Return the estimates, their standard errors, and v(∅), from as many pairs of orders for each background row.

    A pair's two orders share v(∅) and f(x), and the sets in between are each other's complements.
    """
    ends = f(np.concatenate([X, x[None]]))
    first, last = ends[:-1], ends[-1]
    start, total, squares = (np.zeros((len(X), k)) for _ in range(3))
    for pair in range(pairs):
        place = rng.permuted(np.tile(np.arange(k), (len(X), 1)), axis=1)  # of each player in the order of row b
        order = np.argsort(place, axis=1)
        place = np.concatenate([place, np.full((len(X), 1), k)], axis=1)
        path = np.empty((2, len(X), k + 1))
        path[:, :, 0], path[:, :, -1] = first, last
        inner = np.empty(2 * len(X) * (k - 1))
        for block in blocks(len(inner), len(x)):
            way, b, size = np.unravel_index(np.arange(block.start, block.stop), (2, len(X), k - 1))
            at = place[b[:, None], player]
            before = np.where(way[:, None] == 0, at <= size[:, None], (at >= k - 1 - size[:, None]) & (at < k))
            inner[block] = f(np.where(before, x, X[b]))
        path[:, :, 1:-1] = inner.reshape(2, len(X), k - 1)
        steps = np.diff(path, axis=2)
        change = np.empty((len(X), k))
        np.put_along_axis(change, order, (steps[0] + steps[1][:, ::-1]) / 2, axis=1)
        start = start if pair else change
        total += change - start  # so that the squares of large values lose no digits
        squares += np.square(change - start)
    mean = total / pairs
    variance = np.maximum(squares / pairs - np.square(mean), 0.0) * pairs / (pairs - 1)
    return (start + mean).mean(axis=0), np.sqrt(variance.mean(axis=0) / (pairs * len(X))), float(first.mean())
