"""The options that ``train``, ``tune`` and ``script`` share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from chainrule._internal.checks import check_count, check_real
from chainrule._internal.names import did_you_mean
from chainrule.tables import models
from chainrule.tables.loading import TEST, VALIDATION, Loaded, load
from chainrule.tables.sources.names import shown

BOTH = {"class_weight"}  # parameters that an ensemble has as well
MOST_FOLDS = 100
LISTS = ("categorical", "numeric", "drop", "dates", "by", "na")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a table is read and split, and how its network is trained.

    :func:`~chainrule.tables.train`, :func:`~chainrule.tables.tune` and :func:`~chainrule.tables.script` take each of
    these as a keyword argument.

    Parameters
    ----------
    task : str, optional
        "binary", "multiclass", "classification", "regression" or "multilabel"; inferred from the target by default.
    categorical, numeric, drop, dates : names
        Columns whose inferred type is wrong. A date may have its format after a colon: ``"born:%d/%m/%Y"``.
    test : float or path
        The share of rows to hold out, or a file with the held-out rows.
    folds : int, optional
        Evaluate by cross-validation with this number of folds instead of on held-out rows; the network itself is then
        trained on all rows.
    validation : float
        The share of the other rows for early stopping.
    time_column : str, optional
        Hold out the last rows by this column, instead of random rows.
    group : str, optional
        Keep rows with the same value in this column in the same part.
    weight : str, optional
        A column with the weight of each row in training, a number of at least 0. It is not an input, and the scores
        give each held-out row the same weight.
    by : names
        Columns whose groups get scores of their own on the held-out rows; numbers and dates are cut in quarters. They
        stay inputs unless they are dropped as well.
    parameters : mapping, optional
        Arguments of :class:`~chainrule.MLPClassifier` or :class:`~chainrule.MLPRegressor` that replace the defaults.
    patience : int
        The number of epochs without a better validation loss before training stops; 0 to train for all epochs.
    fast : bool
        Train a single network (:class:`~chainrule.MLPClassifier` or :class:`~chainrule.MLPRegressor`) instead of an
        ensemble (:class:`~chainrule.TabularClassifier` or :class:`~chainrule.TabularRegressor`). So do ``parameters``
        other than "class_weight", ``patience``, ``validation`` and ``stream``, which only a single network has.
    metric : str, optional
        What an ensemble is chosen by: "accuracy", "balanced-accuracy", "f1", "auc" or "log-loss" for classes, "rmse" or
        "mae" for numbers. "f1" and "balanced-accuracy" also set the thresholds of the classes, as for rare ones.
    threshold : float or str, optional
        The probability above which the second of two classes, or a label, is predicted: a number, "cost:10:1" if
        missing a case costs ten times as much as a false alarm, or "auto" for the best F1 score, as ``metric="f1"``.
    minutes : float, optional
        Time limit for training an ensemble; it gets fewer epochs, or fewer rows, if the time is short.
    delimiter, header : optional
        The delimiter of a CSV file, and whether it has a header; detected by default.
    decimal : str, optional
        The decimal mark of numbers in text, "." or ",", for columns where it is ambiguous, as in 4.229.
    na : sequence of str
        Words for a missing value in any column of a file, besides the usual ones.
    skip : int, optional
        The number of lines above the header of a file.
    encoding : str, optional
        The encoding of a CSV file, such as "cp1252"; detected by default.
    sheet : str or int, optional
        The sheet of an Excel workbook, by its name or its number from 1; the first by default.
    query : str, optional
        The SELECT statement, or the name of a table, for a database; by default its only table.
    stream : bool
        Leave a Parquet, NumPy or CSV file that does not fit into memory on disk, and read it column by column and block
        by block. The network is that of ``fast=True``, bit for bit. The folder for temporary files (``TMPDIR``) must
        have room for the network's inputs, 4 bytes each; see "Tables larger than memory" in the documentation.
    seed : int
        Seed for the split and the network.

    Examples
    --------
    >>> Options(drop=["id"], seed=3).call("train", "t.csv", "y")
    "train('t.csv', 'y', drop=['id'], seed=3)"
    """

    task: str | None = None
    categorical: Iterable[str] = ()
    numeric: Iterable[str] = ()
    drop: Iterable[str] = ()
    dates: Iterable[str] = ()
    test: float | str | os.PathLike[str] = TEST
    folds: int | None = None
    validation: float = VALIDATION
    time_column: str | None = None
    group: str | None = None
    weight: str | None = None
    by: Iterable[str] = ()
    parameters: Mapping[str, Any] | None = None
    patience: int = models.PATIENCE
    fast: bool = False
    metric: str | None = None
    threshold: float | str | None = None
    minutes: float | None = None
    delimiter: str | None = None
    header: bool | None = None
    decimal: str | None = None
    na: Iterable[str] = ()
    skip: int | None = None
    encoding: str | None = None
    sheet: str | int | None = None
    query: str | None = None
    stream: bool = False
    seed: int = 0
    given: dict[str, Any] = field(init=False, repr=False)
    """The options that are not the defaults."""

    def __post_init__(self) -> None:
        if not isinstance(self.parameters, Mapping | None):
            raise TypeError(f"parameters: expected a dict, such as {{'max_iter': 20}}, got {self.parameters!r}.")
        found: dict[str, Any] = {}
        for option in fields(self)[:-1]:
            value = getattr(self, option.name)
            if option.name in LISTS:
                if not isinstance(value, Iterable):
                    raise TypeError(f"{option.name}: expected the names of columns, got {value!r}.")
                value = [value] if isinstance(value, str) else [*value]
            value = os.fspath(value) if isinstance(value, os.PathLike) else value
            object.__setattr__(self, option.name, value)
            if value != option.default and value not in ([], {}):
                found[option.name] = value
        object.__setattr__(self, "given", found)

    @classmethod
    def of(cls, function: str, options: Mapping[str, Any]) -> Options:
        """Return the options given to a function by their names."""
        known = [option.name for option in fields(cls)[:-1]]
        for name in options:
            if name not in known:
                raise TypeError(
                    f"{function}: unexpected keyword argument {name!r}. {did_you_mean(name, known)} Parameters of the "
                    "network go into parameters, such as parameters={'max_iter': 20}."
                )
        return cls(**options)

    @property
    def single(self) -> bool:
        """Whether a single network is trained."""
        if self.minutes is not None:
            check_real("train", "minutes", self.minutes, 0, open_low=True)
        check_real("train", "validation", self.validation, 0, 1, open_low=True, open_high=True)
        chosen = {"fast", "stream", "patience", "validation"} & self.given.keys()
        chosen |= dict(self.parameters or {}).keys() - BOTH
        for name in ("minutes", "metric", "threshold") if chosen else ():
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name}: applies to an ensemble, but {min(chosen)} asks for a single network: omit one."
                )
        return bool(chosen)

    def load(self, source: Any, target: Any) -> Loaded:
        """Read a table and split its rows."""
        if self.folds is not None:
            check_count("train", "folds", self.folds, least=2)
            if self.stream:
                raise ValueError("folds: needs the table in memory: omit stream=True.")
            if self.folds > MOST_FOLDS:
                raise ValueError(f"folds: expected at most {MOST_FOLDS}, got {self.folds}.")
        training = ("parameters", "patience", "fast", "metric", "threshold", "minutes")
        reading = {name: value for name, value in self.given.items() if name not in training}
        return load(source, target, **(reading if self.single else reading | {"validation": 0.0}))

    def arguments(self, rows: int, task: str) -> dict[str, Any]:
        """Return the arguments of the estimator for a number of training rows."""
        if not self.single:
            given = dict(self.parameters or {})
            if self.minutes is not None:
                given["max_minutes"] = self.minutes / (1 + (self.folds or 0))  # for all fits
            threshold, metric = models.threshold(task, self.threshold), self.metric
            if self.threshold == "auto" and metric is None:
                metric = "f1"
            if metric is not None:
                given["eval_metric"] = models.eval_metric(task, metric)
            if threshold is not None:
                given["threshold"] = threshold
            return models.for_task(task, {"random_state": self.seed, **given})
        return models.parameters(rows, task, self.seed, dict(self.parameters or {}))

    def call(self, function: str, source: Any, target: Any) -> str:
        """Return the call of a function with these options; a source that is not a file is called ``frame``."""
        first = repr(shown(os.fspath(source))) if isinstance(source, str | os.PathLike) else "frame"
        given = [f"{name}={_shown(name, value)!r}" for name, value in self.given.items()]
        return f"{function}({', '.join([first, repr(target), *given])})"

    def settings(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return every option as JSON, with the arguments of the estimator as its parameters."""
        left_out = (
            "given",
            "fast",
            *(() if self.stream else ("stream",)),
            *(("metric", "threshold", "minutes") if self.single else ("patience", "validation")),
        )
        found = {f.name: _shown(f.name, getattr(self, f.name)) for f in fields(self) if f.name not in left_out}
        return {**found, "parameters": models.plain(arguments)}


def _shown(name: str, value: Any) -> Any:
    """Return an option as it is stored: without the password of a source."""
    return shown(value) if name == "test" and isinstance(value, str) else value
