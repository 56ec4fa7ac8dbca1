"""The content of a report as plain data: numbers, names and arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from chainrule._internal.typing import Array

LEVEL = 0.05  # chance that one group or more is said to differ if none does


@dataclass(frozen=True)
class ColumnSummary:
    """A column of the table: its type, and the distribution of its values in the held-out rows."""

    name: str
    kind: str
    missing: int = 0
    distinct: int = 0
    spread: str = ""  # "0 to 99", or "female 62%, male 38%"
    shares: tuple[float, ...] = ()  # of held-out rows in each bin, or with each of the most frequent values
    dropped: str = ""


@dataclass(frozen=True)
class Score:
    """A score on the held-out rows: the network's, with its 95% confidence interval, and each baseline's."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    baselines: dict[str, float] = field(default_factory=dict)
    lower_is_better: bool = False


@dataclass(frozen=True)
class Influence:
    """The increase in the error when a column of the held-out rows is shuffled: its mean and standard deviation."""

    name: str
    mean: float
    spread: float


@dataclass(frozen=True)
class Importance:
    """The influence of the columns, largest first.

    ``measure`` is the name of the error and ``base`` its value without shuffling, on ``rows`` rows. Each column was
    shuffled ``repeats`` times; for ``untried`` columns there was no time.
    """

    columns: tuple[Influence, ...]
    measure: str
    base: float
    rows: int
    repeats: int
    untried: int = 0


@dataclass(frozen=True)
class WrongRow:
    """A held-out row with one of the largest errors; ``row`` is its number, from 1, in the file if that is known."""

    row: int
    truth: str
    predicted: str
    how_wrong: str
    values: tuple[tuple[str, str], ...]


class Group(NamedTuple):
    """The scores of a group of rows.

    Parameters
    ----------
    name : str
    rows : int
    score, low, high : float
        The main score (accuracy or RMSE), with its 95% interval.
    second : float
        The log loss or the MAE.
    others : float
        The main score of all other rows.
    p_value : float
        Of the hypothesis that the group is like other rows, times the number of tests left (Holm); NaN if not tested.
    small : bool
        Whether the group has too few rows for twice the mean loss to be more than chance.
    """

    name: str
    rows: int
    score: float
    low: float
    high: float
    second: float
    others: float
    p_value: float = math.nan
    small: bool = False

    @property
    def differs(self) -> bool:
        """Whether the main score differs from that of all other rows by more than chance."""
        return self.p_value <= LEVEL


@dataclass(frozen=True)
class Grouped:
    """The scores of the groups of one column: those of ``shown`` groups, and ``more`` smaller ones.

    ``differing`` and ``small`` are the groups that differ, and those that are too small to tell, shown or not.
    """

    column: str
    measures: tuple[str, str]
    shown: tuple[Group, ...]
    more: int
    differing: tuple[Group, ...]
    small: tuple[Group, ...]


@dataclass(frozen=True)
class ReportData:
    """The content of a report.

    Parameters
    ----------
    task : str
        "binary", "multiclass", "regression" or "multilabel".
    target : str
        The name of the target, or the names of several.
    classes : tuple of str
        The names of the classes in order, or of the labels. Of two classes, the second is the positive one, unless the
        first is rare.
    target_names : tuple of str
        The name of each of several numbers, with its unit.
    truth, predicted : array (rows,) or (rows, targets)
        For the held-out rows: class indices, values in the target's units, or 0 and 1 for each label.
    probabilities : array (rows, classes) or (rows, labels), optional
    history : dict
        The columns of the history, with one value per epoch.
    command : str
        The command or call that repeats the run.
    facts : tuple of (str, str)
        Other facts for reproducing the run: data, seed, versions, durations.

    Examples
    --------
    >>> data = ReportData("regression", "price", np.array([1.0, 2.0]), np.array([1.5, np.nan]))
    >>> data.finite().tolist()
    [True, False]
    """

    task: str
    target: str
    truth: Array
    predicted: Array
    probabilities: Array | None = None
    classes: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    source: str = ""
    rows: int = 0
    columns: tuple[ColumnSummary, ...] = ()
    targets: tuple[ColumnSummary, ...] = ()
    parts: tuple[tuple[str, int], ...] = ()
    split: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    history: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""
    judged: str = "validation"  # the rows that the history evaluates: those, or "out of fold"
    score: str = ""  # the score in the history; by default, that of the estimator
    scores: tuple[Score, ...] = ()
    verdict: str = ""
    importance: Importance | None = None
    wrong: tuple[WrongRow, ...] = ()
    groups: tuple[Grouped, ...] = ()  # of the held-out rows
    limits: tuple[str, ...] = ()
    wrong_in: str = ""  # the file that the row numbers refer to; "" if they count held-out rows
    command: str = ""
    facts: tuple[tuple[str, str], ...] = ()

    def finite(self) -> Array:
        """Return which held-out rows have finite predictions."""
        values = self.predicted if self.probabilities is None else self.probabilities
        known = np.isfinite(np.asarray(values, dtype=float))
        return known if known.ndim == 1 else known.all(axis=1)
