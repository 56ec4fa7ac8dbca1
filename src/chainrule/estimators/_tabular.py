"""The common parts of TabularClassifier and TabularRegressor: columns, weights, training, prediction and files."""

from __future__ import annotations

import os
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted, validate_data

from chainrule._internal.checks import check_unmasked
from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.threads import choose_threads
from chainrule._internal.typing import Array, is_sparse
from chainrule.encoding import TableEncoding, columns_of, is_missing
from chainrule.ensemble import Ensemble
from chainrule.estimators import _ensemble_checkpoints as checkpoints
from chainrule.estimators import _saving
from chainrule.estimators._linear import MOST_ROWS, MOST_VALUES, fit_linear
from chainrule.estimators._members import Members
from chainrule.estimators._recipe import IN_TRAINING, Target, fit_to_time, make_members
from chainrule.files.networks import contents
from chainrule.files.values import shown
from chainrule.network import Network
from chainrule.training.lifecycle import DivergenceError

SOME = 1000  # values that tell whether text is numbers
NEGLIGIBLE = 1e-30  # a weight, relative to the largest: as zero
LARGEST_WEIGHT = 1e200


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


@dataclass(eq=False, repr=False)
class BaseTabular(BaseEstimator, ABC):
    """An ensemble of small networks on the columns of a table."""

    n_estimators: Any = "auto"
    _: KW_ONLY
    hidden_layer_sizes: Any = (128, 128)
    activation: Any = "selu"
    learning_rate_init: Any = 0.02
    weight_decay: Any = 0.0
    batch_size: Any = "auto"
    max_iter: Any = "auto"
    max_minutes: Any = None
    eval_metric: Any = None
    linear: Any = "auto"
    categorical_features: Any = None
    checkpoint: Any = None
    n_jobs: Any = None
    random_state: Any = None
    progress: Any = False
    ensemble_: Ensemble = field(init=False)

    _kind: ClassVar[str]  # in its files
    _senseless: ClassVar[float] = np.inf  # a loss of held-out rows that only a divergence has
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
    def _checked(self, y: Any) -> Array:
        """Validate y and return it as an array, (rows,) or (rows, outputs)."""

    @abstractmethod
    def _target(self, y: Array) -> Target:
        """Set the attributes that describe a validated y, and return it as the networks learn it."""

    @abstractmethod
    def _choose(
        self, encoding: TableEncoding, target: Target, y: Array, z: Array, weight: Array | None, groups: Any, seed: int
    ) -> tuple[TableEncoding, Target]:
        """Return the encoding and the target to learn, after a trial where it depends on the data."""

    @abstractmethod
    def _measure(self, t: Array, out: Array, weight: Array | None) -> tuple[float, float, float]:
        """Return the criterion for the epoch (smaller is better), the loss and the score of the outputs."""

    @abstractmethod
    def _complete(self, ensemble: Ensemble, out: Array, linear: Any, target: Target, weight: Array | None) -> Array:
        """Calibrate the ensemble and add the linear model; return the out-of-fold predictions.

        ``out`` are the out-of-fold outputs of the networks; ``linear`` is the linear model and its outputs, or None.
        """

    # ------------------------------------------------------------ fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> None:
        began = time.monotonic()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        check_unmasked("y", y)
        check_unmasked("sample_weight", sample_weight)
        columns, y = self._columns(X, reset=True), self._checked(y)
        rows = len(columns[0])
        groups = None if groups is None else np.asarray(groups)
        if groups is not None and groups.ndim != 1:
            raise ValueError(f"groups: expected one group for each row, ({rows},), got shape {groups.shape}.")
        check_consistent_length(columns[0], y, groups)
        weight = self._weights(y, sample_weight)
        kept = np.arange(rows) if weight is None else np.flatnonzero(weight > NEGLIGIBLE * weight.max())
        if len(kept) < rows:  # a row of weight zero is as if it were not there
            if len(kept) < 2:
                raise ValueError("sample_weight: expected at least 2 rows with a positive weight.")
            columns, y = [column[kept] for column in columns], y[kept]
            groups = None if groups is None else groups[kept]
        if weight is not None:
            weight = weight[kept] / weight[kept].mean()
            weight = None if (weight == 1).all() else weight.astype(np.float32)
        target = self._target(y)
        encoding = self._encoding(columns)
        z = encoding.scaled(columns)
        seed, saved = self._seed()
        encoding, target = self._choose(encoding, target, y, z, weight, groups, seed)
        made = self._train(encoding, z, target, weight, groups, began, seed, saved)
        linear = None
        few = len(z) <= MOST_ROWS and z.shape[1] <= MOST_VALUES
        one_answer = target.unit is not None or target.t.ndim == 1  # not several labels at once
        if one_answer and (self.linear is True or (self.linear == "auto" and few)):
            linear = fit_linear(z, target.t, made.fold, weight)
        self.ensemble_ = Ensemble(encoding, [member.network for member in made.members])
        oof = self._complete(self.ensemble_, _mean_by_row(*made.out_of_fold(), len(z)), linear, target, weight)
        self.oof_predictions_ = np.full((rows, oof.shape[1]), np.nan)
        self.oof_predictions_[kept] = oof
        self.n_iter_, self.best_iter_, self.history_ = len(made.scores), made.best, made.history()

    def _columns(self, X: Any, *, reset: bool) -> Sequence[Array]:
        """Validate X and return its columns, as arrays of numbers or of objects."""
        if is_sparse(X):
            raise TypeError(f"{type(self).__name__}: sparse X is not supported: give X.toarray().")
        least, names = 2 if reset else 1, getattr(X, "columns", None)
        if names is None:
            if isinstance(X, list | tuple):  # of which NumPy would make text if one value is
                X = np.array(X, dtype=object)
            elif isinstance(X, np.ma.MaskedArray):
                X = np.ma.filled(X.astype(object), np.nan)  # None would mean the default
            X = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False, ensure_min_samples=least)
        else:
            if len(set(names)) < len(names):
                twice = next(name for name in names if list(names).count(name) > 1)
                raise ValueError(f"X: the column name {twice!r} occurs more than once. Give every column its own name.")
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
            if len(given) != len(columns):
                raise ValueError(f"categorical_features: expected a mask of {len(columns)} columns, got {len(given)}.")
            given = [i for i, one in enumerate(given) if one]
        unknown = [one for one in given if one not in (names if isinstance(one, str) else range(len(columns)))]
        if unknown:
            known = f"its columns are {shown(names)}" if names else f"it has columns 0 to {len(columns) - 1}"
            raise ValueError(f"categorical_features: X has no column {unknown[0]!r}: {known}.")
        kinds = [names.index(one) if isinstance(one, str) else int(one) for one in given]
        for i, column in enumerate(columns):
            if i not in kinds and _is_text_of_numbers(column):
                warnings.warn(
                    f"X: column {names[i] if names else i!r} has numbers as text, which are encoded as categories. "
                    "Convert it with astype(float), or list it in categorical_features.",
                    stacklevel=5,
                )
        numbers = sum(column.dtype.kind in "fiub" for column in columns) - len(kinds)
        return TableEncoding.fit(columns, categorical=kinds, bins=int(np.clip(160 // max(1, numbers), 3, 16)))

    def _weights(self, y: Array, sample_weight: Any) -> Array | None:
        if sample_weight is None:
            return None
        weight = np.asarray(_check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True))
        if weight.max() > LARGEST_WEIGHT:
            raise ValueError(f"sample_weight: expected numbers up to {LARGEST_WEIGHT:g}, got {weight.max():g}.")
        return weight

    def _seed(self) -> tuple[int, Any]:
        """Return the seed of everything random, and the checkpoint to resume from, which has one if none is given."""
        saved = None if self.checkpoint is None else checkpoints.find(self.checkpoint)
        if saved is not None and self.random_state is None:
            return saved.description["seed"], saved
        return int(check_random_state(self.random_state).randint(2**31 - 1)), saved

    def _train(
        self,
        encoding: TableEncoding,
        z: Array,
        target: Target,
        weight: Array | None,
        groups: Any,
        began: float,
        seed: int,
        saved: Any,
    ) -> Members:
        """Return the members after training, with the parameters of the best epoch."""
        rng = np.random.default_rng(seed)
        made = make_members(self, encoding, z, target, weight, groups, rng)
        limited, threads = self.max_minutes is not None, min(self._threads(), len(made.members))
        same = {}
        if self.checkpoint is not None:
            same = checkpoints.describe(
                made, random_state=seed, max_minutes=self.max_minutes, eval_metric=self.eval_metric
            )
        if saved is not None:
            checkpoints.restore(saved, made, same, limited=limited)
        elif limited:
            fit_to_time(made, rng, threads, 60 * self.max_minutes - (time.monotonic() - began))
        if limited:
            made.deadline = began + 60 * IN_TRAINING * self.max_minutes
        on_epoch = self._reporter(made)
        with deferred_interrupt() as interrupted:
            if self.checkpoint is None:
                while made.unfinished:
                    made.run(made.epochs, threads, on_epoch, interrupted)
            else:
                checkpoints.run(
                    made,
                    lambda: checkpoints.write(self.checkpoint, made, same, seed, limited=limited),
                    lambda until: made.run(until, threads, on_epoch, interrupted),
                )
        if self.progress is True:
            print(file=sys.stderr)  # noqa: T201
        self._end(made)
        return made

    def _end(self, made: Members) -> None:
        """Set the parameters of the best epoch; warn if training ended early, or raise an error without an epoch."""
        if not made.scores and made.stopped.startswith("interrupted"):
            raise KeyboardInterrupt
        senseless = bool(made.scores) and made.scores[made.best - 1][1] > self._senseless
        if senseless or not made.scores:
            how = "diverged" if senseless else made.stopped
            raise DivergenceError(
                f"training {how}. Give a smaller learning_rate_init than {self.learning_rate_init:g}.",
                made.history(),
            )
        if made.stopped:
            warnings.warn(f"Training {made.stopped}: the best epoch so far is kept.", stacklevel=7)
        made.finish()

    def _reporter(self, made: Members) -> Callable[[int, int], None]:
        """Return a function of a member and its epoch that reports the progress."""
        show = _printed if self.progress is True else self.progress or None
        count = len(made.members)
        started, before = time.monotonic(), sum(member.epoch for member in made.members)

        def on_epoch(member: int, epoch: int) -> None:
            if show:
                done, total = sum(one.epoch for one in made.members), count * made.epochs
                seconds = time.monotonic() - started
                left = 0.0 if made.enough else seconds * (total - done) / (done - before)
                show(Progress(member + 1, count, epoch, made.epochs, seconds, left))

        return on_epoch

    def _threads(self) -> int:
        if self.n_jobs == 0:
            raise ValueError("n_jobs: expected a number of threads, -1 or None for one per core, got 0.")
        if self.n_jobs is not None and self.n_jobs > 0:
            return int(self.n_jobs)
        return max(1, choose_threads(0).allowed + 1 + int(self.n_jobs or -1))  # −2: all cores but one

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


def _mean_by_row(rows: Array, out: Array, count: int) -> Array:
    """Return the mean output for each row, NaN for rows without one."""
    total, times = np.zeros((count, out.shape[1])), np.zeros(count)
    np.add.at(total, rows, out)
    np.add.at(times, rows, 1)
    with np.errstate(invalid="ignore"):
        return total / times[:, np.newaxis]


def _is_text_of_numbers(column: Array) -> bool:
    """Return whether a column is text, of numbers most of which differ."""
    some = [] if column.dtype.kind in "fiub" else [value for value in column[:SOME].tolist() if not is_missing(value)]
    if len(set(map(str, some))) <= max(2, len(some) / 2) or not all(isinstance(value, str) for value in some):
        return False
    try:
        return bool([float(value) for value in some])
    except ValueError:
        return False


def _printed(progress: Progress) -> None:
    print(f"\r{progress}    ", end="", file=sys.stderr, flush=True)  # noqa: T201
