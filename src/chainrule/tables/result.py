"""What training on a table gives: the pipeline, its scores beside those of baselines, and the rows it never saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chainrule._internal.typing import Array
from chainrule.tables.schema import Schema
from chainrule.training.history import History

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

__all__ = ["HeldOut", "Split", "Trained"]


@dataclass(frozen=True)
class HeldOut:
    """The rows that training never saw, and what the network says of them.

    Parameters
    ----------
    frame : polars.DataFrame (rows, columns)
        The rows as they were read, target included.
    y : array (rows,), or (rows, labels)
        The targets: labels as in ``schema.classes``, numbers in their own unit, or 0 and 1 for each label.
    predictions : array like y
    probabilities : array (rows, classes), or (rows, labels), or None
        In the order of ``schema.classes``; None for a regression.
    rows : array (rows,), optional
        Which rows of ``source`` they are, counted from 1; None of a table that was streamed.
    source : str
        The file that they are from.
    """

    frame: pl.DataFrame
    y: Array
    predictions: Array
    probabilities: Array | None = None
    rows: Array | None = None
    source: str = ""


@dataclass(frozen=True)
class Split:
    """How many rows went where, and how they were chosen."""

    train: int
    validation: int
    test: int
    how: str  # a sentence for people: "20 % of the rows at random, with the same share of each class"


@dataclass(repr=False)
class Trained:
    """A pipeline that was trained on a table, and all that is known about it.

    It is plain data: :func:`chainrule.tables.predict`, :func:`chainrule.tables.save` and
    :func:`chainrule.tables.report.build` are functions of it.

    Attributes
    ----------
    pipeline : sklearn.pipeline.Pipeline
        Steps "prepare" (a ColumnTransformer) and "network" (an MLPClassifier, or a TransformedTargetRegressor around an
        MLPRegressor). It takes frames of the types that ``prepare(frame)`` gives.
    schema : Schema
    scores : dict of float
        On the held-out rows, by name: "accuracy", "log loss", ... or "RMSE", "MAE", "R²".
    baselines : dict of dict of float
        The same scores of models without a network, by their names: "majority class" or "mean", and "linear model".
    verdict : str
        Whether the network beats the linear model, in a sentence, with the uncertainty of the difference.
    held_out : HeldOut
    history : History
        Loss and score of every epoch.
    split : Split
    notes, warnings : tuple of str
        What was found out and decided; what the user should look at.
    source, sha256 : str
        The file, or "a data frame"; the digest of its content.
    command : str
        What repeats the run.
    settings : dict
        Every option with its value, the seed among them; JSON.
    seconds : float
        How long fitting the pipeline took.
    """

    pipeline: Any
    schema: Schema
    scores: dict[str, float]
    baselines: dict[str, dict[str, float]]
    verdict: str
    held_out: HeldOut
    history: History
    split: Split
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    source: str = "a data frame"
    sha256: str = ""
    command: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in self.scores.items())
        return f"Trained on {self.source}: {self.schema.task}, {self.split.train:,} rows; {scores}\n{self.verdict}"
