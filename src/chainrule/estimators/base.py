"""Base class of the classifier and the regressor: parameters, fit, partial_fit, and the calls to the engine."""

from __future__ import annotations

import copy
import math
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from chainrule._internal.checks import check_unmasked
from chainrule._internal.names import reworded
from chainrule._internal.threads import blas_threads
from chainrule._internal.typing import Array, is_sparse
from chainrule.advice import warn_unscaled
from chainrule.estimators import _saving
from chainrule.estimators._architecture import (
    as_rows,
    as_samples,
    carried_over,
    check_architecture,
    draw,
    hidden_sizes,
    planned,
)
from chainrule.estimators._contract import WATCHED
from chainrule.estimators._lbfgs import fit_lbfgs
from chainrule.estimators._record import FitRecord
from chainrule.estimators._settings import NAMES, SOLVERS, check_lbfgs, is_lbfgs, network_dtype
from chainrule.estimators._stochastic import NOT_FINITE, fit_stochastic
from chainrule.estimators.advice import warn_dead_or_constant
from chainrule.files.fitted import predict_samples
from chainrule.files.networks import contents
from chainrule.layers import Dense
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.schedules import Schedule
from chainrule.training.ranks import Reduce

KEPT = (np.float64, np.float32, np.uint8)  # X keeps these dtypes; others become float64, as in scikit-learn
partial_fit_available = available_if(lambda estimator: estimator._has_partial_fit())


@dataclass(eq=False, repr=False, kw_only=True)
class BaseMLP(BaseEstimator, ABC):
    """scikit-learn's multi-layer perceptron, with its parameters, attributes and methods, and requested features."""

    solver: Any = "adam"
    alpha: Any = 0.0001
    batch_size: Any = "auto"
    learning_rate: Any = "constant"
    learning_rate_init: Any = 0.001
    power_t: Any = 0.5
    max_iter: Any = 200
    shuffle: Any = True
    random_state: Any = None
    tol: Any = 1e-4
    verbose: Any = False
    warm_start: Any = False
    momentum: Any = 0.9
    nesterovs_momentum: Any = True
    early_stopping: Any = False
    validation_fraction: Any = 0.1
    beta_1: Any = 0.9
    beta_2: Any = 0.999
    epsilon: Any = 1e-8
    n_iter_no_change: Any = 10
    max_fun: Any = 15000
    dropout: Any = 0.0
    input_dropout: Any = 0.0
    l1: Any = 0.0
    max_norm: Any = None
    gradient_clip: Any = None
    dtype: Any = None
    callbacks: Any = None
    progress: Any = False
    resume: Any = None
    batch_norm: Any = False
    layer_norm: Any = False
    layers: Any = None
    input_shape: Any = None
    device: Any = None
    precision: Any = "float32"
    network_: Network = field(init=False)
    _record: FitRecord = field(init=False)

    _kind: ClassVar[str]  # in its files

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [str, list, tuple],
        "solver": [StrOptions(SOLVERS), Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), Schedule],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "l1": [Interval(Real, 0, None, closed="left")],
        "max_norm": [Interval(Real, 0, None, closed="neither"), None],
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "callbacks": [list, tuple, None],
        "progress": ["boolean"],
        "resume": [str, os.PathLike, None],
        "batch_norm": ["boolean"],
        "layer_norm": ["boolean"],
        "layers": [list, tuple, None],
        "input_shape": [list, tuple, Interval(Integral, 1, None, closed="left"), None],
        "device": [str, None],
        "precision": [StrOptions({"float32", "tf32"})],
    }

    _reduce: ClassVar[Reduce | None] = None  # while a table is fitted in several processes

    # ------------------------------------------------------------ implemented by subclasses

    @abstractmethod
    def _validate(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Validate X and y; y is returned in the form expected by the engine's loss."""

    @abstractmethod
    def _targets(self, y: Any) -> Array:
        """Return the targets of a validation set in the same form."""

    @abstractmethod
    def _loss(self) -> Loss:
        """Return the engine's loss."""

    @abstractmethod
    def _outputs(self, y: Array) -> int:
        """Return the number of units in the last layer."""

    @abstractmethod
    def _out_activation(self) -> str:
        """Return scikit-learn's name of the inverse link."""

    @abstractmethod
    def _score_of(self, t: Array, p: Array, sample_weight: Array | None) -> float:
        """Return accuracy or R² of the network's predictions p."""

    def _first_labels(self, y: Any, classes: Any) -> None:
        """Set the classes in the first ``partial_fit``."""

    def _weights(self, y: Array, sample_weight: Array | None) -> Array | None:
        """Return the sample weights multiplied by the class weights."""
        return sample_weight

    def _stratify(self, y: Array) -> Array | None:
        """Return the labels used to stratify the validation split."""
        return None

    def _loss_divisor(self) -> int:
        """Return the divisor that turns the engine's loss into the reported one."""
        return 1

    # ------------------------------------------------------------ attributes

    @property
    def coefs_(self) -> list[Array]:
        """The weights of every layer, as views of ``network_.theta``: writing to them changes the model."""
        return [layer.W for layer in self._dense()]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of every layer, also as views."""
        return [layer.b for layer in self._dense() if layer.b is not None]

    def _dense(self) -> list[Dense]:
        self._check_fitted()
        return [layer for layer in self.network_.layers if isinstance(layer, Dense)]

    def _check_fitted(self) -> None:
        if "network_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet: call fit first.")

    # ------------------------------------------------------------ fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> Any:
        """Fit the model to X (rows, features) and y.

        Parameters
        ----------
        X : array, data frame or sparse matrix (rows, features)
        y : labels or numbers, (rows,) or (rows, outputs)
        sample_weight : (rows,), optional
        X_val, y_val : optional
            A validation set. It is evaluated after every epoch, recorded in ``history_`` and used for early stopping.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, (X_val, y_val), incremental=False)

    def _has_partial_fit(self) -> bool:
        if is_lbfgs(self):
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return True

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any], *, incremental: bool, classes: Any = None
    ) -> Any:
        fitted = object.__new__(type(self))  # replaces this one after success
        fitted.__dict__.update(self.__dict__)
        if incremental:
            fitted._first_labels(y, classes)
        fitted._fit_engine(X, y, sample_weight, validation, incremental=incremental)
        self.__dict__ = fitted.__dict__
        return self

    def _fit_engine(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any], *, incremental: bool
    ) -> None:
        check_architecture(self)
        for name, values in (("y", y), ("sample_weight", sample_weight), ("y_val", validation[1])):
            check_unmasked(name, values)
        fresh = "network_" not in vars(self) or not (self.warm_start or incremental)
        X, y = self._validate(as_rows(self, X), y, incremental=incremental, reset=fresh)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=network_dtype(self, X))
        weight = self._weights(y, sample_weight)
        self.n_outputs_ = self._outputs(y)
        held_out = self._validation_set(*validation)
        check_lbfgs(self, held_out)
        if incremental and self.resume is not None:
            raise ValueError("partial_fit does not support resume: checkpoints belong to a complete fit.")
        if fresh and not incremental:
            remedy = "Scale them, for example make_pipeline(StandardScaler(), model)."
            warn_unscaled(X, remedy, getattr(self, "feature_names_in_", None), stacklevel=6)
        random_state = check_random_state(self.random_state)
        record = self._prepared(None if fresh else self._record, X, random_state)
        self._train(record, as_samples(self, X), y, weight, held_out, random_state, incremental=incremental)
        self._put(record)

    def _prepared(self, known: FitRecord | None, X: Any, random_state: np.random.RandomState) -> FitRecord:
        """Return a new record, or a copy of ``known`` for the current parameters."""
        if known is None:
            record = FitRecord(self._drawn(X.shape[1], network_dtype(self, as_samples(self, X)), random_state))
        else:
            record = known.copy()
            record.network_ = carried_over(self, record.network_, X.shape[1])
            if record.network_.dtype != known.network_.dtype:
                record.solver = None  # its state belongs to the other network
        record.watch(self)
        return record

    def _train(
        self,
        record: FitRecord,
        X: Any,
        y: Array,
        weight: Any,
        held_out: Any,
        random_state: np.random.RandomState,
        *,
        incremental: bool,
    ) -> None:
        """Fit the network further."""
        with reworded(NAMES):
            if is_lbfgs(self):
                interrupted = fit_lbfgs(self, record, X, y, weight)
            else:
                interrupted = fit_stochastic(
                    self, record, X, y, weight, held_out, random_state, incremental=incremental
                )
        if not np.isfinite(record.network_.theta).all():
            raise ValueError(NOT_FINITE)
        if not incremental and not interrupted:
            with blas_threads(1):  # for at most 1,000 rows
                warn_dead_or_constant(record.network_, X, y)

    def _put(self, record: FitRecord) -> None:
        """Set the fitted attributes."""
        for name in self._record.published() if "_record" in vars(self) else ():
            self.__dict__.pop(name, None)
        self._record = record
        self.__dict__.update(record.published())
        self.n_layers_ = len(self._dense()) + 1
        self.out_activation_ = self._out_activation()

    def _validation_set(self, X_val: Any, y_val: Any) -> tuple[Any, Array] | None:
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("fit: X_val and y_val belong together: give both or neither.")
        X_val = validate_data(
            self, as_rows(self, X_val, "X_val"), accept_sparse=["csr", "csc"], dtype=KEPT, reset=False
        )
        if not is_sparse(y_val) and np.ndim(y_val) == 2 and np.shape(y_val)[1] == 1:
            y_val = column_or_1d(y_val, warn=True)  # like y
        t = self._targets(y_val)
        if len(t) != X_val.shape[0]:
            raise ValueError(f"X_val and y_val: expected the same number of rows, got {X_val.shape[0]} and {len(t)}.")
        with reworded({r"^t: ": "y_val: ", r"The last layer .*": f"y has {self.n_outputs_} column(s)."}):
            self._loss().targets(t, self.n_outputs_, np.dtype(np.float64))
        return as_samples(self, X_val, "X_val"), t

    def _drawn(
        self, columns: int, dtype: Any, random_state: np.random.RandomState, sizes: list[int] | None = None
    ) -> Network:
        """Return a new network with its initial values."""
        sizes = hidden_sizes(self) if sizes is None and self.layers is None else sizes or []
        network = planned(self, columns, dtype, sizes)
        draw(self, network, len(sizes), random_state)
        return network

    # ------------------------------------------------------------ prediction, saving and loading

    def _forward(self, X: Any) -> Array:
        """Validate X and return the network's predictions."""
        if self._is_plain(X):  # for a single row scikit-learn's checks take four times as long as the network
            try:
                return predict_samples(self.network_, X)
            except ValueError:
                pass  # scikit-learn's own checks report the error below
        X = self._checked(X)
        with reworded(NAMES):
            return predict_samples(self.network_, X)

    def _checked(self, X: Any) -> Any:
        check_is_fitted(self)
        X = validate_data(self, as_rows(self, X), accept_sparse=["csr", "csc"], reset=False)
        return as_samples(self, X)

    def _is_plain(self, X: Any) -> bool:
        """Return whether this is fitted and X is an array for which the network's own checks suffice."""
        known = vars(self)
        plain = type(X) is np.ndarray and X.dtype.type in KEPT and X.ndim == 2 and self.input_shape is None
        return plain and "network_" in known and "feature_names_in_" not in known

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Any:
        """Load a fitted estimator saved by :func:`chainrule.save`, to score it, clone it or fit it further.

        To predict with NumPy alone, use :func:`chainrule.load`.

        Raises
        ------
        FileNotFoundError, IsADirectoryError, PermissionError
        chainrule.ModelFileError
            If the file is corrupt, from another tool or a newer version, or holds something else.
        """
        return _saving.load(cls, cls._kind, path)

    def _take_network(self, network: Network) -> Any:
        """Set all fitted attributes from a trained network."""
        self._validate_params()
        check_architecture(self)
        self.n_outputs_, self.n_features_in_ = network.output_shape[0], math.prod(network.input_shape)
        record = FitRecord(network)
        record.watch(self)
        self._put(record)
        return self

    @classmethod
    def from_sklearn(cls, fitted: Any) -> Any:
        """Convert a fitted scikit-learn model, including its parameters, labels and loss curves."""
        if type(fitted).__name__ != cls.__name__:
            raise ValueError(f"from_sklearn: expected a fitted {cls.__name__}, got {type(fitted).__name__}.")
        check_is_fitted(fitted)
        model = cls(**{name: value for name, value in fitted.get_params(deep=False).items() if name != "loss"})
        model._take_over(fitted)
        sizes = [coefficients.shape[1] for coefficients in fitted.coefs_[:-1]]
        model.n_outputs_ = fitted.n_outputs_
        columns, dtype = len(fitted.coefs_[0]), network_dtype(model, fitted.coefs_[0])
        record = FitRecord(model._drawn(columns, dtype, np.random.RandomState(0), sizes))
        record.watch(model)
        for name in WATCHED:
            if hasattr(fitted, name):
                setattr(record, name, copy.copy(getattr(fitted, name)))
        for name in ["n_features_in_", "feature_names_in_"]:
            if hasattr(fitted, name):
                setattr(model, name, copy.copy(getattr(fitted, name)))
        model._put(record)
        for ours, theirs in zip(model.coefs_ + model.intercepts_, fitted.coefs_ + fitted.intercepts_, strict=True):
            ours[...] = theirs
        return model

    @abstractmethod
    def _take_over(self, fitted: Any) -> None:
        """Copy the attributes that the subclass needs from a fitted scikit-learn model."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)


contents.register(BaseMLP, _saving.contents)  # how chainrule.save saves an estimator
