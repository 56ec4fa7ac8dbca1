"""Permutation importance: how much the error on held-out rows grows when a column is shuffled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables.report.data import Importance, Influence
from chainrule.tables.report.uncertainty import row_losses
from chainrule.tables.result import scale_of
from chainrule.tables.score_names import STANDARDIZED

MAX_ROWS, MIN_ROWS = 2000, 200
REPEATS = 5
WORK = 10**8  # values: columns times columns times rows times repeats


def measure(
    predict: Callable[[Array], Array],
    X: Array,
    y: Array,
    task: str,
    columns: Mapping[str, Sequence[int]],
    *,
    seed: int,
    seconds: float,
) -> Importance:
    """Shuffle each column several times, and return the increase in the error.

    The error is the log loss of a classifier or the RMSE of a regression. Correlated columns can stand in for each
    other, so each of them seems less important than they are together.

    Parameters
    ----------
    predict : function of X
        Returns probabilities (rows, classes) or (rows, labels), or values (rows,).
    X : array (rows, inputs)
    y : array (rows,) or (rows, targets)
        Class indices, values, or 0 and 1 for each label. Several values are divided by their standard deviations.
    columns : mapping
        The columns to shuffle: the places in X of each one's inputs.
    seed : int
        Seed for the choice of up to 2000 rows, and for the shuffles.
    seconds : float
        The time after which no further shuffle begins.

    Source: Breiman, "Random forests" (2001), section 10; Fisher, Rudin and Dominici, "All models are wrong, but many
    are useful" (2019).
    """
    generator = np.random.default_rng(seed)
    end = time.perf_counter() + seconds
    count = int(np.clip(WORK / max(1, len(columns)) ** 2 / REPEATS, MIN_ROWS, MAX_ROWS))
    rows = np.sort(generator.permutation(len(X))[:count])
    X, y = X[rows], y[rows]
    if task == "regression" and y.ndim == 2:
        scale, given = scale_of(y), predict
        y, predict = y / scale, lambda X: given(X) / scale
    base = _error(task, y, predict(X))
    grown: dict[str, list[float]] = {name: [] for name in columns}
    repeats = 0
    for repeat in range(REPEATS):
        for name, inputs in columns.items():
            if time.perf_counter() > end:
                break
            order = generator.permutation(len(rows))
            shuffled = X.copy()
            shuffled[:, inputs] = X[order][:, inputs]
            grown[name].append(_error(task, y, predict(shuffled)) - base)
        else:
            repeats = repeat + 1
            continue
        break
    tried = [Influence(n, float(np.mean(g)), float(np.std(g))) for n, g in grown.items() if g]
    tried.sort(key=lambda influence: -influence.mean if np.isfinite(influence.mean) else np.inf)
    what = ("RMSE" if y.ndim == 1 else STANDARDIZED) if task == "regression" else "log loss"
    return Importance(tuple(tried), what, base, len(rows), max(repeats, 1), len(columns) - len(tried))


def _error(task: str, y: Array, predicted: Array) -> float:
    predicted = np.asarray(predicted, dtype=float)
    if task == "regression":
        return float(np.sqrt(np.square(predicted - y).mean()))
    return float(row_losses(task, y, predicted).mean())
