"""Which trials are not worth their last epochs: those above the median of the others at the same step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median

FIRST = 5  # whole trials before any is pruned
PATIENCE = 5  # steps that every trial may take


def hopeless(step: int, value: float, others: Iterable[Mapping[int, float]]) -> bool:
    """Say whether a trial's value is above the median of those that whole trials had at the same step.

    The value is a running mean over folds. Optuna's ``MedianPruner`` compares the best value that a trial has had at
    any step, which would be that of an easy first fold for ever.

    >>> others = [{9: value} for value in (0.3, 0.4, 0.5, 0.6, 0.7)]
    >>> hopeless(9, 0.51, others), hopeless(9, 0.49, others), hopeless(8, 0.9, others)
    (True, False, False)
    """
    values = [known[step] for known in others if step in known]
    return step >= PATIENCE and len(values) >= FIRST and value > median(values)
