"""What a report needs to know, and nothing of how it came about: plain numbers, names and arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from chainrule._internal.typing import Array

__all__ = ["ColumnSummary", "Importance", "Influence", "ReportData", "Score", "WrongRow"]


@dataclass(frozen=True)
class ColumnSummary:
    """A column of the table: what kind it is, and how its values are spread over the held-out rows."""

    name: str
    kind: str
    missing: int = 0
    distinct: int = 0
    spread: str = ""  # "0 to 99", or "female 62 %, male 38 %"
    shares: tuple[float, ...] = ()  # of the held-out rows in each bin, or of each of the commonest values
    dropped: str = ""


@dataclass(frozen=True)
class Score:
    """A score on the held-out rows: of the network with its 95 % interval, and of each baseline."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    baselines: dict[str, float] = field(default_factory=dict)
    lower_is_better: bool = False


@dataclass(frozen=True)
class Influence:
    """How much the error grows when one column is shuffled among the held-out rows: its mean and standard deviation."""

    name: str
    mean: float
    spread: float


@dataclass(frozen=True)
class Importance:
    """The influence of all columns that were tried, the largest first.

    ``measure`` is the error, ``base`` its value with nothing shuffled, ``rows`` how many rows it was measured on,
    ``repeats`` how often each column was shuffled, ``untried`` how many columns there was no time for.
    """

    columns: tuple[Influence, ...]
    measure: str
    base: float
    rows: int
    repeats: int
    untried: int = 0


@dataclass(frozen=True)
class WrongRow:
    """A held-out row where the network was most wrong: ``row`` counts from 1, in the file where that is known."""

    row: int
    truth: str
    predicted: str
    how_wrong: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReportData:
    """All that a report says, before it is said.

    Parameters
    ----------
    task : str
        "binary", "multiclass", "regression" or "multilabel".
    target : str
        Its name.
    classes : tuple of str
        The names of the classes in order, or of the labels; of two classes the second is what is asked for,
        unless the first is rare.
    truth, predicted : array (rows,) or (rows, labels)
        Of the held-out rows: numbers of classes from 0, values in the unit of the target, or 0 and 1 for each label.
    probabilities : array (rows, classes) or (rows, labels), optional
    history : dict
        The columns of the history, one value for each epoch.
    command : str
        What repeats the run.
    facts : tuple of (str, str)
        What else is needed to repeat it: data, seed, versions, durations.

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
    scores: tuple[Score, ...] = ()
    verdict: str = ""
    importance: Importance | None = None
    wrong: tuple[WrongRow, ...] = ()
    wrong_in: str = ""  # whose rows those are: a file, or with "" the held-out rows themselves
    command: str = ""
    facts: tuple[tuple[str, str], ...] = ()

    def finite(self) -> Array:
        """Return which held-out rows have predictions that are numbers."""
        values = self.predicted if self.probabilities is None else self.probabilities
        known = np.isfinite(np.asarray(values, dtype=float))
        return known if known.ndim == 1 else known.all(axis=1)
