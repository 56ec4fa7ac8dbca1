"""The search for the nearest change of a row: of one group of inputs, of two, or of three, to the values of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables.serving.shapley import blocks

MOST_COLUMNS = 3  # that change
TRIED = 2**16  # combinations of so many columns
VALUES = {1: 64, 2: 8, 3: 5}  # of a column that are combined, if all are too many
FOUND = 5  # changes of different columns
ROUNDS = 3  # in which each value of a change is replaced by a nearer one

Judge = Callable[[Array], tuple[Array, Array]]
"""For prepared rows (rows, inputs): whether each is as wanted, and how near it is."""


class Candidates(NamedTuple):
    """Values to change to, (candidates,): the column of each, the background row that has it, and its distance."""

    column: Array
    source: Array
    distance: Array


class _Search:
    """The candidates, with the row and the background that they refer to."""

    def __init__(self, candidates: Candidates, x: Array, X: Array, of: Array, judge: Judge) -> None:
        self.column, self.source, self.distance = candidates
        self._x, self._X, self._of, self._judge = x, X, of, judge

    def judged(self, ids: Array) -> tuple[Array, Array]:
        """Return the judgment of rows in which the candidates (rows, size) replace the values of their columns."""
        reached, nearness = np.zeros(len(ids), bool), np.full(len(ids), -np.inf)
        for block in blocks(len(ids), len(self._x)):
            rows = np.tile(self._x, (block.stop - block.start, 1))
            for one in ids[block].T:
                rows = np.where(self._of == self.column[one][:, None], self._X[self.source[one]], rows)
            reached[block], nearness[block] = self._judge(rows)
        return reached, np.nan_to_num(nearness, nan=-np.inf)

    def nearest(self, ids: Array, nearness: Array) -> list[Array]:
        """Return the nearest of the candidates for each set of columns, for the few nearest sets."""
        order = np.lexsort((-nearness, self.distance[ids].sum(axis=1)))
        best: dict[tuple[int, ...], Array] = {}
        for one in ids[order]:
            best.setdefault(tuple(self.column[one].tolist()), one)
            if len(best) == FOUND:
                break
        found = [self._refined(one.copy()) for one in best.values()]
        return sorted(found, key=lambda one: float(self.distance[one].sum()))

    def _refined(self, one: Array) -> Array:
        """Replace each candidate by a nearer one of its column, as long as the row is still as wanted."""
        for _ in range(ROUNDS):
            before = one.copy()
            for i in range(len(one)):
                nearer = np.flatnonzero(
                    (self.column == self.column[one[i]]) & (self.distance < self.distance[one[i]] * (1 - 1e-9))
                )
                tried = np.tile(one, (len(nearer), 1))
                tried[:, i] = nearer
                kept = nearer[self.judged(tried)[0]] if len(nearer) else nearer
                if len(kept):
                    one[i] = kept[self.distance[kept].argmin()]
            if (one == before).all():
                break
        return one

    def few(self, size: int, nearness: Array) -> list[Array]:
        """Return so few candidates of the most promising columns that their combinations can be tried."""
        found = []
        for column in np.unique(self.column):
            ids = np.flatnonzero(self.column == column)
            ids = ids[np.lexsort((-nearness[ids], self.distance[ids]))]
            better = nearness[ids] > np.concatenate([[-np.inf], np.maximum.accumulate(nearness[ids])[:-1]])
            found.append(_thinned(ids[better], VALUES[size]))
        found = [ids for ids in found if len(ids)]
        found.sort(key=lambda ids: -nearness[ids].max())
        while _count(found, size) > TRIED:
            found.pop()
        return found


def search(candidates: Candidates, x: Array, X: Array, of: Array, judge: Judge) -> tuple[list[Array], bool]:
    """Return the nearest combinations of candidates that are as wanted, and whether all were tried.

    Parameters
    ----------
    candidates : Candidates
    x : array (inputs,)
        The prepared row.
    X : array (background, inputs)
    of : int array (inputs,)
        The column of each input.
    judge : Judge

    Returns
    -------
    found : list of int arrays (size,)
        Combinations of as few candidates as possible, of different columns, the nearest first.
    """
    at = _Search(candidates, x, X, of, judge)
    groups = [np.flatnonzero(at.column == column) for column in np.unique(at.column)]
    exhaustive = sum(map(len, groups)) <= TRIED
    if not exhaustive:
        most = max(VALUES[1], TRIED // len(groups))
        groups = [_thinned(ids[np.argsort(at.distance[ids], kind="stable")], most) for ids in groups]
    alone = np.full(len(at.column), -np.inf)
    for size in range(1, min(MOST_COLUMNS, len(groups)) + 1):
        whole = size == 1 or _count(groups, size) <= TRIED
        exhaustive = exhaustive and whole
        ids = _combined(groups if whole else at.few(size, alone), size)
        reached, nearness = at.judged(ids)
        if size == 1:
            alone[ids[:, 0]] = nearness
        if reached.any():
            return at.nearest(ids[reached], nearness[reached]), exhaustive
    return [], exhaustive


def _thinned(ids: Array, most: int) -> Array:
    """Return at most so many, evenly spaced, with the first and the last."""
    return ids if len(ids) <= most else ids[np.linspace(0, len(ids) - 1, most).round().astype(int)]


def _count(groups: Sequence[Array], size: int) -> int:
    """Return the number of combinations of elements of so many different groups."""
    counts = [1] + [0] * size
    for group in groups:
        for i in range(size, 0, -1):
            counts[i] += counts[i - 1] * len(group)
    return counts[size]


def _combined(groups: Sequence[Array], size: int) -> Array:
    """Return all combinations of elements of so many different groups, (combinations, size)."""

    def products() -> Iterator[Array]:
        for some in combinations(groups, size):
            yield np.stack(np.meshgrid(*some, indexing="ij"), axis=-1).reshape(-1, size)

    return np.concatenate([np.zeros((0, size), np.int64), *products()])
