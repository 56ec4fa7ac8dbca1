"""The results of training a table and of loading a saved run, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl
from chainrule.tables.intervals import Widths
from chainrule.tables.schema import Schema
from chainrule.tables.serving.reference import Reference
from chainrule.training.history import History


def scale_of(y: Array) -> Array:
    """Return the standard deviation of each of several numbers, or 1 if it is constant."""
    spread = y.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


@dataclass(frozen=True)
class HeldOut:
    """The held-out rows, and the network's predictions for them.

    Parameters
    ----------
    frame : polars.DataFrame (rows, columns)
        The rows as read, target included.
    y : array (rows,), or (rows, targets)
        The targets: labels as in ``schema.classes``, numbers in the target's units, or 0 and 1 for each label.
    predictions : array like y
    probabilities : array (rows, classes), or (rows, labels), or None
        In the order of ``schema.classes``; None for a regression.
    rows : array (rows,), optional
        Their row numbers in ``source``, from 1.
    source : str
        The file that contains them.
    inputs : array (rows, inputs), optional
        The rows as prepared for the network; after cross-validation, those of the first fold.
    pipeline : Pipeline, optional
        The pipeline of the first fold after cross-validation, whose predictions are not those of the trained one.

    Examples
    --------
    >>> held_out = HeldOut(pl.DataFrame({"y": [1.0, 2.0]}), np.array([1.0, 2.0]), predictions=np.array([1.5, 2.0]))
    >>> (held_out.predictions - held_out.y).tolist()
    [0.5, 0.0]
    """

    frame: pl.DataFrame
    y: Array
    predictions: Array
    probabilities: Array | None = None
    rows: Array | None = None
    source: str = ""
    inputs: Array | None = None
    pipeline: Any = None

    def standardized(self) -> HeldOut:
        """Return the same rows with each of several numbers divided by its standard deviation in them."""
        scale = scale_of(self.y)
        return replace(self, y=self.y / scale, predictions=self.predictions / scale)


@dataclass(frozen=True)
class Split:
    """The number of rows in each part of a split, and how they were chosen.

    Examples
    --------
    >>> Split(70, 10, 20, "rows at random").test
    20
    """

    train: int
    validation: int
    test: int
    how: str  # in words: "rows at random, with the same share of each class"


@dataclass(repr=False)
class Trained:
    """A pipeline trained on a table, with its scores, its held-out rows and its settings.

    It is plain data: :func:`chainrule.tables.predict`, :func:`chainrule.tables.save` and
    :func:`chainrule.tables.report.build` are functions of it.

    Attributes
    ----------
    pipeline : sklearn.pipeline.Pipeline
        Steps "prepare" (a ColumnTransformer) and "network" (an MLPClassifier, or a TransformedTargetRegressor around an
        MLPRegressor). It takes frames of the types that :func:`chainrule.tables.casting.cast` returns.
    schema : Schema
    scores : dict of float
        On the held-out rows, by name: "accuracy", "log loss", ... or "RMSE", "MAE", "R²"; for several numbers, the mean
        "R²", and "RMSE of price" and so on.
    baselines : dict of dict of float
        The same scores for models without a network, by their names: "majority class" or "mean", "linear model" and
        "boosted trees".
    verdict : str
        Whether the network beats the baselines, in a sentence, with the uncertainty of the difference.
    held_out : HeldOut
    history : History
        The loss and score of every epoch.
    split : Split
    notes, warnings : tuple of str
        The decisions on the table, and possible problems.
    source, sha256 : str
        The file, or "a data frame", and the digest of its content.
    command : str
        The call or command that repeats the run.
    settings : dict
        Every option with its value, the seed included; JSON.
    seconds : float
        How long fitting the pipeline took.
    intervals : dict of (float, float)
        The 95% confidence interval of each score.
    target_rows : dict
        The training rows of each class, or with each label; for a number, its mean and quartiles in them, by name if
        there are several.
    reference : chainrule.tables.serving.reference.Reference, optional
        The distributions of the columns and of the predictions, to compare new rows with.

    Examples
    --------
    >>> import chainrule as cr
    >>> frame = pl.DataFrame({"age": [*range(20, 40)] * 2, "plan": ["pro", "free"] * 20, "left": ["no", "yes"] * 20})
    >>> trained = cr.tables.train(frame, "left", fast=True)
    >>> trained.schema.classes, trained.split.train + trained.split.validation + trained.split.test
    (('no', 'yes'), 40)
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
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    target_rows: dict[str, Any] = field(default_factory=dict)
    reference: Reference | None = None

    @property
    def widths(self) -> Widths:
        """The widths of prediction intervals; none for a classification."""
        held_out = self.held_out
        return Widths.of(held_out.y, held_out.predictions) if self.schema.task == "regression" else Widths()

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in self.scores.items())
        return f"Trained on {self.source}: {self.schema.task}, {self.split.train:,} rows; {scores}\n{self.verdict}"


class SavedRun(NamedTuple):
    """A run as :func:`chainrule.tables.load` returns it.

    Attributes
    ----------
    pipeline : sklearn.pipeline.Pipeline
    schema : Schema
    config : dict
        Everything needed to repeat the run: command, settings, seed, versions, digest of the data, scores.
    widths : Widths
        The widths of prediction intervals of a regression.
    """

    pipeline: Any
    schema: Schema
    config: dict[str, Any]
    widths: Widths
