"""The common parts of TabularClassifier and TabularRegressor: columns, members, the linear model and the common epoch."""

from __future__ import annotations

import copy
import math
import os
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from chainrule._internal.names import lookup
from chainrule._internal.threads import choose_threads
from chainrule._internal.typing import Array, is_sparse
from chainrule.encoding import TableEncoding, columns_of
from chainrule.ensemble import Ensemble
from chainrule.estimators import _saving
from chainrule.estimators._folds import FOLDS, folds
from chainrule.estimators._linear import MOST_ROWS, MOST_VALUES, fit_linear
from chainrule.estimators._members import Member, Members
from chainrule.estimators._settings import ACTIVATIONS
from chainrule.files.networks import contents
from chainrule.initializers import LeCunNormal, Normal
from chainrule.layers import Dense, Layer, Scale
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.optimizers import AdamW
from chainrule.schedules import CosineLog
from chainrule.training.history import History

FEW = 1_000  # rows; below, there are twice as many members
SCALE_RATE = 6.0  # the factor of the learning rate for Scale, the first layer
TRIAL = 50  # steps that are timed for ``max_minutes``
FEWEST_EPOCHS = 4  # that are worth training; rows are left out for them
KEPT_FREE = 0.85  # share of ``max_minutes`` that is planned


class Progress(NamedTuple):
    """The progress of a fit: a member and its epoch, counted from 1, the seconds so far and those that are left."""

    member: int
    members: int
    epoch: int
    epochs: int
    seconds: float
    seconds_left: float

    @property
    def over(self) -> bool:
        """Whether training has ended."""
        return self.seconds_left == 0

    def __str__(self) -> str:
        share = 100 * self.seconds / max(self.seconds + self.seconds_left, 1e-9)
        end = f"in {self.seconds:.0f} s" if self.over else f"{self.seconds_left:.0f} s left"
        what = f"epoch {self.epoch} of {self.epochs}, network {self.member} of {self.members}"
        return f"training   {share:3.0f}%  {what}  {end}"


@dataclass
class Target:
    """The targets of the networks, what the folds are stratified by, and the loss."""

    t: Array  # (rows,) labels from 0, or (rows, outputs) numbers
    strata: Array  # (rows,)
    outputs: int
    loss: Loss
    unit: tuple[Array, ...] = ()  # of numbers: low, high, center, scale


class BaseTabular(BaseEstimator, ABC):
    """An ensemble of small networks on the columns of a table."""

    _kind: ClassVar[str]  # in its files
    ensemble_: Ensemble

    _bins: ClassVar[bool]  # piecewise-linear encodings
    _epochs: ClassVar[tuple[int, int]]  # the number of epochs, and the fewest steps in all of them
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_estimators": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [str],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_minutes": [Interval(Real, 0, None, closed="neither"), None],
        "linear": [StrOptions({"auto"}), "boolean"],
        "categorical_features": ["array-like", None],
        "checkpoint": [str, os.PathLike, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "progress": ["boolean", callable],
    }

    # ------------------------------------------------------------ implemented by subclasses

    @abstractmethod
    def _target(self, y: Any) -> Target:
        """Validate y, set the attributes that describe it, and return it as the networks learn it."""

    @abstractmethod
    def _measure(self, t: Array, out: Array, weight: Array | None) -> tuple[float, float, float]:
        """Return what the epoch is chosen by (smaller is better), the loss, and the score, of outputs."""

    @abstractmethod
    def _complete(
        self, ensemble: Ensemble, out: Array, linear: Any, target: Target, weight: Array | None
    ) -> Array:
        """Calibrate the ensemble and add the linear model; return the out-of-fold predictions.

        ``out`` are the out-of-fold outputs of the networks; ``linear`` is the linear model and its outputs, or None.
        """

    # ------------------------------------------------------------ fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> None:
        began = time.perf_counter()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        columns = self._columns(X, reset=True)
        rows = len(columns[0]) if len(columns) else 0
        target = self._target(y)
        if len(target.t) != rows:
            raise ValueError(f"X and y: expected the same number of rows, got {rows} and {len(target.t)}.")
        weight = self._weights(y, target, sample_weight)
        kept = np.arange(rows) if weight is None else np.flatnonzero(weight > 0)
        if len(kept) < rows:
            if len(kept) < 2:
                raise ValueError("sample_weight: expected at least 2 rows with a positive weight.")
            columns = [column[kept] for column in columns]
            target.t, target.strata = target.t[kept], target.strata[kept]
            groups = None if groups is None else np.asarray(groups)[kept]
        if weight is not None:
            weight = weight[kept] / weight[kept].mean()
            weight = None if (weight == 1).all() else weight.astype(np.float32)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        encoding = self._encoding(columns)
        z = encoding.scaled(columns)
        made = self._members(encoding, z, target, weight, groups, rng, began)
        self._run(made)
        rows_out, out = made.out_of_fold()
        mean = _mean_by_row(rows_out, out, len(z))
        linear = None
        if self.linear is True or (self.linear == "auto" and len(z) <= MOST_ROWS and z.shape[1] <= MOST_VALUES):
            linear = fit_linear(z, target.t, made.fold, weight)
        self.ensemble_ = Ensemble(encoding, [member.network for member in made.members])
        oof = self._complete(self.ensemble_, mean, linear, target, weight)
        self.oof_predictions_ = np.full((rows, oof.shape[1]), np.nan)
        self.oof_predictions_[kept] = oof
        self.n_iter_, self.best_iter_, self.history_ = len(made.scores), made.best, made.history()

    def _columns(self, X: Any, *, reset: bool) -> Sequence[Array]:
        """Validate X and return its columns, as arrays of numbers or of objects."""
        if is_sparse(X):
            raise TypeError(f"{type(self).__name__}: sparse X is not supported: give X.toarray().")
        least = 2 if reset else 1
        if getattr(X, "columns", None) is None:
            X = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False, ensure_min_samples=least)
        else:
            validate_data(self, X, reset=reset, skip_check_array=True)
            if len(X) < least or not len(X.columns):
                raise ValueError(
                    f"Found array with {len(X)} sample(s) and {len(X.columns)} feature(s) while a minimum of {least} "
                    "and 1 is required."
                )
        return columns_of(X)

    def _encoding(self, columns: Sequence[Array]) -> TableEncoding:
        names = list(getattr(self, "feature_names_in_", ()))
        given = [] if self.categorical_features is None else np.asarray(self.categorical_features).tolist()
        if given and all(isinstance(one, bool) for one in given):
            given = [i for i, one in enumerate(given) if one]
        unknown = [one for one in given if one not in (names if isinstance(one, str) else range(len(columns)))]
        if unknown:
            raise ValueError(f"categorical_features: X has no column {unknown[0]!r}.")
        kinds = [names.index(one) if isinstance(one, str) else int(one) for one in given]
        numbers = sum(column.dtype.kind in "fiub" for column in columns) - len(kinds)
        bins = int(np.clip(160 // max(1, numbers), 3, 16)) if self._bins else 0
        return TableEncoding.fit(columns, categorical=kinds, bins=bins)

    def _weights(self, y: Any, target: Target, sample_weight: Any) -> Array | None:  # noqa: ARG002  (of classes)
        if sample_weight is None:
            return None
        return np.asarray(_check_sample_weight(sample_weight, target.t, dtype=np.float64, ensure_non_negative=True))

    def _members(
        self,
        encoding: TableEncoding,
        z: Array,
        target: Target,
        weight: Array | None,
        groups: Any,
        rng: np.random.Generator,
        began: float,
    ) -> Members:
        inputs = encoding.encode(z)
        count = int(self.n_estimators) if self.n_estimators != "auto" else FOLDS * (2 if len(z) < FEW else 1)
        batch = 64 if self.batch_size == "auto" else int(self.batch_size)
        steps = math.ceil(len(z) * (FOLDS - 1) / FOLDS / batch)
        epochs, least_steps = self._epochs
        passes = max(1, round(least_steps / epochs / steps)) if self.max_iter == "auto" else 1
        epochs = epochs if self.max_iter == "auto" else int(self.max_iter)
        optimizer = AdamW(self.learning_rate_init, beta_2=0.95, weight_decay=self.weight_decay)
        layers = self._layers(target.outputs)
        members, first = [], np.zeros(0)
        for i in range(count):
            if i % FOLDS == 0:
                fold = folds(target.strata, groups, rng)
                first = first if i else fold
            seed = np.random.SeedSequence(int(rng.integers(2**63)))
            network = Network(inputs.shape[1], layers, target.loss, seed=seed)
            state = optimizer.start(network.theta, network.weights)
            rows = np.flatnonzero(fold != i % FOLDS)
            members.append(Member(network, rows, np.flatnonzero(fold == i % FOLDS), seed, state))
            if not len(rows):
                raise ValueError("groups: all rows are in one group: there is nothing to hold out.")
        plain = encoding.plain
        fans = [plain + (inputs.shape[1] - plain) / 4, *_sizes(self.hidden_layer_sizes)]
        dense = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
        rates = {0: SCALE_RATE} | {i: 1 / math.sqrt(max(fan, 1)) for i, fan in zip(dense, fans, strict=True)}
        made = Members(
            members, first, inputs, target.t, weight, self._measure, optimizer, CosineLog(), epochs, batch, rates, passes
        )
        if self.max_minutes is not None:
            self._fit_to_time(made, rng, began)
        return made

    def _fit_to_time(self, made: Members, rng: np.random.Generator, began: float) -> None:
        """Reduce the epochs, and if necessary the rows, to what ``max_minutes`` allow, by the time of a few steps."""
        member = made.members[0]
        for steps in (2, TRIAL):  # the first compiles
            some = member.rows[: steps * made.batch_size]
            start = time.perf_counter()
            trial = replace(member, network=copy.copy(member.network), state=copy.deepcopy(member.state), rows=some)
            replace(made, members=[trial], scores=[]).run(1, 1, lambda member, epoch: None)
        step = (time.perf_counter() - start) / math.ceil(len(some) / made.batch_size)
        left = 60 * self.max_minutes - (time.perf_counter() - began)
        steps = math.ceil(len(member.rows) / made.batch_size) * len(made.members)
        affordable = KEPT_FREE * left / (step * steps / min(self._threads(), len(made.members)))
        if affordable < FEWEST_EPOCHS:
            for one in made.members:
                count = max(2, int(len(one.rows) * affordable / FEWEST_EPOCHS))
                one.rows = np.sort(rng.choice(one.rows, min(count, len(one.rows)), replace=False))
        made.epochs = min(made.epochs, max(FEWEST_EPOCHS, int(affordable)))
        made.deadline = time.monotonic() + left

    def _threads(self) -> int:
        return choose_threads(0).allowed if self.n_jobs in (None, -1) else max(1, int(self.n_jobs))

    def _layers(self, outputs: int) -> list[Layer]:
        activation = lookup("activation", self.activation, ACTIVATIONS)
        stack: list[Layer] = [Scale()]
        for size in _sizes(self.hidden_layer_sizes):
            stack += [Dense(size, weights=LeCunNormal(), biases=Normal(1.0)), activation()]
        return [*stack, Dense(outputs, weights="zeros")]

    def _run(self, made: Members) -> None:
        threads = self._threads()
        shown = _printed if self.progress is True else self.progress or None
        started, total = time.perf_counter(), len(made.members) * made.epochs

        def on_epoch(member: int, epoch: int) -> None:
            if shown:
                done = sum(m.epoch for m in made.members)
                seconds = time.perf_counter() - started
                left = seconds * (total - done) / done
                shown(Progress(member + 1, len(made.members), epoch, made.epochs, seconds, left))

        made.run(made.epochs, min(threads, len(made.members)), on_epoch)
        if shown is _printed:
            print(file=sys.stderr)  # noqa: T201
        if not made.scores:
            if made.stopped.startswith("interrupted"):
                raise KeyboardInterrupt
            raise ValueError(made.stopped)
        if made.stopped:
            warnings.warn(f"Training {made.stopped}: the best epoch so far is kept.", stacklevel=4)
        made.finish()

    # ------------------------------------------------------------ prediction, saving and loading

    @property
    def members_(self) -> Sequence[Network]:
        """The networks of the ensemble, which take the encoded columns, ``ensemble_.encoding(X)``."""
        check_is_fitted(self)
        return self.ensemble_.networks

    def _predict(self, X: Any) -> Array:
        check_is_fitted(self)
        return self.ensemble_.predict(self._columns(X, reset=False))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Any:
        """Load a fitted estimator saved by :func:`chainrule.save`, to score it, clone it or fit it again.

        To predict with NumPy alone, use :func:`chainrule.load`.

        Raises
        ------
        FileNotFoundError, IsADirectoryError, PermissionError
        chainrule.ModelFileError
            If the file is corrupt, from another tool or a newer version, or holds something else.
        """
        return _saving.load_ensemble(cls, cls._kind, path)

    def __sklearn_is_fitted__(self) -> bool:
        return "ensemble_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags


contents.register(BaseTabular, _saving.ensemble_contents)  # how chainrule.save saves an ensemble


def _sizes(given: Any) -> list[int]:
    return [int(given)] if isinstance(given, Integral) else [int(size) for size in given]


def _mean_by_row(rows: Array, out: Array, count: int) -> Array:
    """Return the mean output for each row, NaN for rows without one."""
    total, times = np.zeros((count, out.shape[1])), np.zeros(count)
    np.add.at(total, rows, out)
    np.add.at(times, rows, 1)
    with np.errstate(invalid="ignore"):
        return total / times[:, np.newaxis]


def _printed(progress: Progress) -> None:
    print(f"\r{progress}    ", end="", file=sys.stderr, flush=True)  # noqa: T201
