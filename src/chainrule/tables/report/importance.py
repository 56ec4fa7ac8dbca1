"""Which columns a model needs: how much its error grows when one of them is shuffled among rows it never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables.report.data import Importance, Influence
from chainrule.tables.report.uncertainty import row_losses

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

MOST_ROWS, FEWEST_ROWS = 2000, 200
REPEATS = 5
WORK = 10**8  # values: columns times columns times rows times repeats

Predict = Callable[["pl.DataFrame"], Array]


def measure(
    predict: Predict, frame: pl.DataFrame, y: Array, task: str, names: Sequence[str], *, seed: int, seconds: float
) -> Importance:
    """Shuffle one column after the other, several times each, and return how much the error grew.

    The error is the log loss of a classifier, the root of the mean squared error of a regression. Columns that say
    the same can stand in for each other: each of them then seems to matter less than they do together.

    Parameters
    ----------
    predict : function of a frame
        Returns probabilities (rows, classes) or (rows, labels), or values (rows,).
    frame : polars.DataFrame (rows, columns)
    y : array (rows,) or (rows, labels)
        Numbers of classes, values, or 0 and 1 for each label.
    names : sequence of str
        The columns to shuffle.
    seed : int
        Of the rows that are taken, at most 2000, and of the shuffling.
    seconds : float
        After so long no further shuffle begins.

    Source: Breiman, "Random forests" (2001), section 10; Fisher, Rudin and Dominici, "All models are wrong, but many
    are useful" (2019).
    """
    generator = np.random.default_rng(seed)
    end = time.perf_counter() + seconds
    count = int(np.clip(WORK / max(1, len(names)) ** 2 / REPEATS, FEWEST_ROWS, MOST_ROWS))
    rows = np.sort(generator.permutation(frame.height)[:count])
    frame, y = frame[rows], y[rows]
    base = _error(task, y, predict(frame))
    grown: dict[str, list[float]] = {name: [] for name in names}
    repeats = 0
    for repeat in range(REPEATS):
        for name in names:
            if time.perf_counter() > end:
                break
            order = generator.permutation(len(rows))
            shuffled = frame.with_columns(frame[name].gather(order))
            grown[name].append(_error(task, y, predict(shuffled)) - base)
        else:
            repeats = repeat + 1
            continue
        break
    tried = [Influence(n, float(np.mean(g)), float(np.std(g))) for n, g in grown.items() if g]
    tried.sort(key=lambda influence: -influence.mean if np.isfinite(influence.mean) else np.inf)
    what = "RMSE" if task == "regression" else "log loss"
    return Importance(tuple(tried), what, base, len(rows), max(repeats, 1), len(names) - len(tried))


def _error(task: str, y: Array, predicted: Array) -> float:
    predicted = np.asarray(predicted, dtype=float)
    if task == "regression":
        return float(np.sqrt(np.square(predicted - y).mean()))
    return float(row_losses(task, y, predicted).mean())
