"""The folds of cross-validation: training and validation rows, the same for every trial."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn import model_selection as of

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl
from chainrule.tables.splitting import SplitRule, groups

SMALL = 2000  # rows up to which five folds are used


def default_count(rows: int) -> int:
    """Return the default number of folds: five for a small table, three for a larger one.

    >>> default_count(891), default_count(20_000)
    (5, 3)
    """
    return 5 if rows <= SMALL else 3


def folds(rule: SplitRule, count: int, frame: pl.DataFrame, y: Array) -> list[tuple[Array, Array]]:
    """Split training rows into folds by the same rule as the whole table.

    Random folds keep the class shares; groups stay together; by time, each fold is validated on later rows than those
    that it trains on. The rows of a class with fewer rows than folds are trained on in every fold.

    >>> import polars as pl
    >>> y = np.repeat([0, 1], [8, 4])
    >>> [y[b].tolist() for a, b in folds(SplitRule(0.2, 0.1, 0, stratify=True), 4, pl.DataFrame({"y": y}), y)]
    [[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]]
    """
    rows = np.arange(len(y))
    if len(y) < 2 * count:
        raise ValueError(f"{len(y):,} training rows are too few for {count} folds: give more rows, or fewer --folds.")
    if rule.time is not None:
        order = frame[rule.time].arg_sort().to_numpy()
        return [(np.sort(order[a]), np.sort(order[b])) for a, b in of.TimeSeriesSplit(count).split(order)]
    if rule.group is not None:
        group = np.unique(groups(rule.group, frame), return_inverse=True)[1]
        if group.max() + 1 < count:
            raise ValueError(
                f"--group: {rule.group!r} has {group.max() + 1} groups to train on, too few for {count} folds: "
                "give fewer --folds."
            )
        return list(of.GroupKFold(count, shuffle=True, random_state=rule.seed).split(rows, groups=group))
    alone = rows[:0]
    if rule.stratify:
        _, which, counts = np.unique(y, return_inverse=True, return_counts=True)
        rows, alone = rows[counts[which] >= count], rows[counts[which] < count]
        if len(np.unique(y[rows])) < 2:
            raise ValueError(
                f"fewer than two classes have the {count} training rows that {count} folds need: "
                "give more rows, or fewer --folds."
            )
    kind = of.StratifiedKFold if rule.stratify else of.KFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = list(kind(count, shuffle=True, random_state=rule.seed).split(rows, y[rows] if rule.stratify else None))
    return [(np.sort(np.concatenate([rows[a], alone])), rows[b]) for a, b in parts]
