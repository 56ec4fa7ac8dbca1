"""What classifier and regressor share: parameters, fit, partial_fit, and the way to the engine."""

from __future__ import annotations

import copy
import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from chainrule import layers as layers_module
from chainrule import optimizers
from chainrule._names import lookup, public_classes
from chainrule._threads import blas_threads, choose_threads
from chainrule._typing import Array
from chainrule.callbacks import Progress
from chainrule.clipping import ClipNorm
from chainrule.estimators import _saving
from chainrule.estimators._contract import Contract, LegacyShuffle, Progression, Rate, TrainingScore
from chainrule.estimators.advice import sample, warn_dead_or_constant, warn_unconverged, warn_unscaled
from chainrule.layers import Dense, Dropout, Layer
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.penalties import L1, L2, BoundPenalties, Constraint, MaxNorm, Penalty
from chainrule.schedules import Schedule
from chainrule.training import DivergenceError, train

ACTIVATIONS = {
    name: cls for name, cls in public_classes(layers_module, Layer).items() if name not in {"Dense", "Dropout"}
} | {"logistic": layers_module.Sigmoid}
SOLVERS = {"lbfgs", "sgd", "adam", "momentum", "rmsprop", "adagrad", "adamw"}
KEPT = (np.float64, np.float32, np.uint8)  # the dtypes in which X stays; others become float64, as in scikit-learn
NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)

partial_fit_available = available_if(lambda estimator: estimator._has_partial_fit())


class BaseMLP(BaseEstimator, ABC):
    """scikit-learn's multi-layer perceptron: parameters, attributes, methods, and what its users have asked for."""

    _kind: ClassVar[str]  # of its files

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
    }

    # ------------------------------------------------------------ what the subclasses say

    @abstractmethod
    def _validate(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Return X and y, checked, y as the engine's loss wants it."""

    @abstractmethod
    def _targets(self, y: Any) -> Array:
        """Return other targets, of a validation set, in the same form."""

    @abstractmethod
    def _loss(self) -> Loss:
        """Return the engine's loss."""

    @abstractmethod
    def _outputs(self, y: Array) -> int:
        """Return the number of units of the last layer."""

    @abstractmethod
    def _out_activation(self) -> str:
        """Return scikit-learn's name of the link."""

    @abstractmethod
    def _score_of(self, t: Array, p: Array, sample_weight: Array | None) -> float:
        """Return accuracy or R² of the network's predictions p."""

    def _weights(self, y: Array, sample_weight: Array | None) -> Array | None:
        """Return the sample weights, with those of the classes."""
        return sample_weight

    def _stratify(self, y: Array) -> Array | None:
        """Return what the validation part is stratified by."""
        return None

    def _loss_divisor(self) -> int:
        """Return by what the engine's loss is divided to give the reported one."""
        return 1

    # ------------------------------------------------------------ attributes

    @property
    def coefs_(self) -> list[Array]:
        """The weights of every layer: views of ``network_.theta``, so that writing into them changes the model."""
        return [layer.W for layer in self._dense()]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of every layer, views too."""
        return [layer.b for layer in self._dense() if layer.b is not None]

    def _dense(self) -> list[Dense]:
        if "network_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet: call fit first.")
        return [layer for layer in self.network_.layers if isinstance(layer, Dense)]

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
            A validation set of one's own: measured every epoch into ``history_``, and watched by early stopping.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, (X_val, y_val), incremental=False)

    def _has_partial_fit(self) -> bool:
        if self._is_lbfgs():
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return True

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any], *, incremental: bool) -> Any:
        with self._unchanged_if_it_fails():
            self._fit_engine(X, y, sample_weight, validation, incremental=incremental)
        return self

    @contextmanager
    def _unchanged_if_it_fails(self) -> Iterator[None]:
        """Put everything back as it was when the block raises: attributes, curves, parameters, optimizer's memory."""
        before = {name: copy.copy(value) if isinstance(value, list) else value for name, value in vars(self).items()}
        progression: Progression | None = copy.deepcopy(getattr(self, "_progression", None))
        theta = self.network_.theta.copy() if "network_" in before else None
        try:
            yield
        except Exception:
            self.__dict__.clear()
            self.__dict__.update(before)
            if theta is not None:
                self.network_.theta = theta
                self._progression = progression
            raise

    def _fit_engine(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any], *, incremental: bool
    ) -> None:
        sizes = [int(size) for size in np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=int))]
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        fresh = "network_" not in vars(self) or not (self.warm_start or incremental)
        X, y = self._validate(X, y, incremental=incremental, reset=fresh)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=self._dtype(X))
        weight = self._weights(y, sample_weight)
        held_out = self._validation_set(*validation)
        self._check_lbfgs(held_out)
        if incremental and self.resume is not None:
            raise ValueError("partial_fit does not support resume: a checkpoint is of a whole fit.")
        self.n_outputs_ = self._outputs(y)
        if fresh and not incremental:
            warn_unscaled(X, getattr(self, "feature_names_in_", None))
        random_state = check_random_state(self.random_state)
        if fresh:
            self._start(X, sizes, random_state)
        if self._is_lbfgs():
            self._fit_lbfgs(X, y, weight)
        else:
            self._fit_stochastic(X, y, weight, held_out, random_state, incremental=incremental)
        if not np.isfinite(self.network_.theta).all():
            raise ValueError(NOT_FINITE)
        if not incremental:
            with blas_threads(1):  # for at most 1,000 rows
                warn_dead_or_constant(self.network_, X, y)

    def _validation_set(self, X_val: Any, y_val: Any) -> tuple[Any, Array] | None:
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("fit: X_val and y_val come together: give both or neither.")
        X_val = validate_data(self, X_val, accept_sparse=["csr", "csc"], dtype=KEPT, reset=False)
        return X_val, self._targets(y_val)

    def _start(self, X: Any, sizes: list[int], random_state: np.random.RandomState) -> None:
        """Draw the parameters and clear the attributes."""
        activations = self._activations(len(sizes))
        stack: list[Layer] = [Dropout(self.input_dropout)] if self.input_dropout else []
        for size, activation, rate in zip(sizes, activations, self._dropouts(len(sizes)), strict=True):
            stack += [Dense(size), activation(), *([Dropout(rate)] if rate else [])]
        network = Network.blank(X.shape[1], [*stack, Dense(self.n_outputs_)], self._loss(), self._dtype(X))
        network.allocate()
        self.network_ = network
        # scikit-learn draws every layer as its one activation asks for; the last layer follows the last hidden one.
        follows = [*activations, activations[-1] if activations else layers_module.Identity]
        for layer, activation in zip(self._dense(), follows, strict=True):
            (inputs, outputs), factor = layer.W.shape, 2.0 if activation is layers_module.Sigmoid else 6.0
            bound = math.sqrt(factor / (inputs + outputs))
            layer.W[...] = random_state.uniform(-bound, bound, (inputs, outputs))
            if layer.b is not None:
                layer.b[...] = random_state.uniform(-bound, bound, outputs)
        self.n_layers_ = len(sizes) + 2
        self.n_iter_ = self.t_ = 0
        self.out_activation_ = self._out_activation()
        self._progression = None
        if not self._is_lbfgs():
            self.loss_curve_: list[float] = []
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _dtype(self, X: Any) -> Any:
        """Return the network's dtype: that of X unless it is told otherwise."""
        return self.dtype or (X.dtype if X.dtype.kind == "f" else np.dtype("float64"))

    def _activations(self, count: int) -> list[type[Layer]]:
        names = [self.activation] * count if isinstance(self.activation, str) else list(self.activation)
        if len(names) != count:
            raise ValueError(f"activation: expected one name or {count}, one for each hidden layer, got {len(names)}.")
        return [lookup("activation", name, ACTIVATIONS) for name in names]

    def _dropouts(self, count: int) -> list[float]:
        rates = list(self.dropout) if isinstance(self.dropout, Iterable) else [self.dropout] * count
        if len(rates) != count:
            raise ValueError(f"dropout: expected one rate or {count}, one for each hidden layer, got {len(rates)}.")
        return rates

    def _is_lbfgs(self) -> bool:
        return isinstance(self.solver, str) and self.solver == "lbfgs"

    def _check_lbfgs(self, held_out: Any) -> None:
        """Refuse what L-BFGS, which sees one smooth function of all rows, cannot do."""
        cannot = {
            "dropout": np.any(self.dropout),
            "input_dropout": self.input_dropout,
            "max_norm": self.max_norm is not None,
            "gradient_clip": self.gradient_clip is not None,
            "callbacks": self.callbacks,
            "progress": self.progress,
            "resume": self.resume is not None,
            "X_val": held_out is not None,
        }
        if self._is_lbfgs() and (given := [name for name, value in cannot.items() if value]):
            raise ValueError(f"solver='lbfgs' cannot use {', '.join(given)}: choose 'adam' or another solver.")

    def _optimizer(self) -> Optimizer:
        if isinstance(self.solver, Optimizer):
            return self.solver
        rate, adam = self.learning_rate_init, (self.beta_1, self.beta_2, self.epsilon)
        makers: dict[str, Callable[[], Optimizer]] = {
            "adam": lambda: optimizers.Adam(rate, *adam, epsilon_hat=True),
            "adamw": lambda: optimizers.AdamW(rate, *adam, weight_decay=self.alpha),
            "rmsprop": lambda: optimizers.RMSProp(rate, epsilon=self.epsilon),
            "adagrad": lambda: optimizers.Adagrad(rate),
            "momentum": lambda: optimizers.Momentum(rate, self.momentum),
            "sgd": lambda: (optimizers.Nesterov if self.nesterovs_momentum else optimizers.Momentum)(
                rate, self.momentum
            ),
        }
        return makers[self.solver]()

    def _penalties(self) -> list[Penalty | Constraint]:
        """Return alpha as L2 over the rows of the batch (beside the gradient for adamw), L1 and the norm's bound."""
        decoupled = isinstance(self.solver, str) and self.solver == "adamw"
        terms: list[Penalty | Constraint] = [] if decoupled else [L2(self.alpha, per_row=True)]
        if self.l1:
            terms.append(L1(self.l1, per_row=True))
        if self.max_norm is not None:
            terms.append(MaxNorm(self.max_norm))
        return terms

    def _fit_stochastic(
        self,
        X: Any,
        y: Array,
        weight: Array | None,
        held_out: tuple[Any, Array] | None,
        random_state: np.random.RandomState,
        *,
        incremental: bool,
    ) -> None:
        weight_val = None
        if self.early_stopping and held_out is None:
            if incremental:
                raise ValueError("partial_fit does not support early_stopping=True without X_val and y_val")
            X, X_val, y, y_val, weight, weight_val = self._split(X, y, weight, random_state)
            held_out = X_val, y_val
        rows = X.shape[0]
        batch_size = min(200 if self.batch_size == "auto" else self.batch_size, rows)
        if self.batch_size != "auto" and self.batch_size > rows:
            message = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            warnings.warn(message, stacklevel=5)
        if not incremental or self._progression is None:
            optimizer = self._optimizer()
            memory = optimizer.start(self.network_.theta, self.network_.weights)
            waited = self._progression.without_improvement if self._progression else 0
            self._progression = Progression(optimizer, memory, Rate(), self._loss_divisor(), waited)
        progression = self._progression
        progression.memory.weights = self.network_.weights  # those of a copy or of an unpickled model are its own
        self.n_iter_ = 0
        contract = Contract(self, progression, progression.rate, batch_size)
        on_train = TrainingScore(sample(X), sample(y), self._scorer(None)) if held_out is not None else None
        random = self.input_dropout or np.any(self.dropout)
        try:
            self.history_ = train(
                self.network_,
                X,
                y,
                optimizer=progression.optimizer,
                state=progression.memory,
                schedule=self.learning_rate if isinstance(self.learning_rate, Schedule) else progression.rate,
                penalties=self._penalties(),
                clip=None if self.gradient_clip is None else ClipNorm(self.gradient_clip),
                sample_weight=weight,
                validation=held_out,
                metrics={"score": self._scorer(weight_val)},
                epochs=1 if incremental else self.max_iter,
                batch_size=batch_size,
                shuffle=LegacyShuffle(random_state) if self.shuffle else False,
                callbacks=[
                    contract,
                    *([on_train] if on_train else []),
                    *([Progress()] if self.progress else []),
                    *(self.callbacks or []),
                ],
                resume=self.resume,
                seed=int(random_state.randint(2**31 - 1)) + self.t_ if random else 0,  # another in each partial_fit
            )
            if on_train:
                self.history_.add("score", on_train.scores)
        except DivergenceError as error:
            self._diverged(error, progression)
        if self.early_stopping and not incremental and progression.best_theta is not None:
            self.network_.theta = progression.best_theta
        if self.history_.stopped.startswith("interrupted"):
            warnings.warn("Training interrupted by user.", stacklevel=5)
        elif not incremental and self.n_iter_ == self.max_iter:
            warn_unconverged(self.loss_curve_, self.max_iter, self.tol)

    def _diverged(self, error: DivergenceError, progression: Progression) -> None:
        """End with the best parameters so far if early stopping kept some, else with an error."""
        if not self.early_stopping or progression.best_theta is None:
            raise ValueError(f"{NOT_FINITE} {error}") from error
        self.history_ = error.history
        self.loss_curve_.append(np.nan)
        self.validation_scores_.append(np.nan)  # type: ignore[union-attr]
        warnings.warn(f"{error} Its best parameters so far are kept.", ConvergenceWarning, stacklevel=6)

    def _scorer(self, weight: Array | None) -> Callable[[Array, Array], float]:
        def score(t: Array, p: Array) -> float:
            return self._score_of(t, p, weight) if np.isfinite(p).all() else float("nan")

        return score

    def _split(self, X: Any, y: Array, weight: Array | None, random_state: np.random.RandomState) -> tuple[Any, ...]:
        arrays = [X, y] if weight is None else [X, y, weight]
        parts = train_test_split(
            *arrays, random_state=random_state, test_size=self.validation_fraction, stratify=self._stratify(y)
        )
        if parts[1].shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return tuple(parts) if weight is not None else (*parts, None, None)

    def _fit_lbfgs(self, X: Any, y: Array, weight: Array | None) -> None:
        """L-BFGS of SciPy on theta: the whole batch in every step."""
        from scipy.optimize import minimize  # noqa: PLC0415
        from sklearn.utils.optimize import _check_optimize_result  # noqa: PLC0415

        network = self.network_
        x, targets, weight = network.check(X, y, weight)
        workspace = network.workspace(x.shape[0], seed=0)
        penalties = [p for p in self._penalties() if isinstance(p, Penalty)]
        bound = BoundPenalties(penalties, network.layout, len(network.layers), network.theta, workspace.grad)
        rows = float(x.shape[0] if weight is None else weight.sum())
        # scikit-learn's squared error is a mean over the outputs, while its gradient is that of their sum.
        divisor = self._loss_divisor()

        def objective(theta: Array) -> tuple[float, Array]:
            network.theta = theta
            value, grad = network.loss_and_grad(x, targets, workspace, weight)
            bound.add_gradient(rows)
            return value / divisor + bound.value(rows), grad.astype(np.float64)

        def report(intermediate_result: Any) -> None:
            self.n_iter_ += 1
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {intermediate_result.fun:.8f}")  # noqa: T201

        self.n_iter_ = 0
        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        start = network.theta.astype(np.float64)
        with blas_threads(choose_threads(x.shape[0] * max(w.size for w in network.weights)).blas):
            result = minimize(objective, start, method="L-BFGS-B", jac=True, options=options, callback=report)
        self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        self.loss_ = result.fun
        network.theta = result.x

    # ------------------------------------------------------------ prediction, and the way out and in

    def _forward(self, X: Any) -> Array:
        """Return the network's predictions for checked X."""
        if self._is_plain(X):  # for a single row scikit-learn's checks take four times as long as the network
            try:
                return self.network_.predict(X)
            except ValueError:
                pass  # what is wrong is said in scikit-learn's words
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self.network_.predict(X)

    def _is_plain(self, X: Any) -> bool:
        """Say whether this is fitted and X an array of which the network's own checks find all that can be wrong."""
        known = vars(self)
        plain = type(X) is np.ndarray and X.dtype.type in KEPT and X.ndim == 2
        return plain and "network_" in known and "feature_names_in_" not in known

    def save(
        self, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None, *, overwrite: bool = False
    ) -> None:
        """Write the fitted estimator to a safetensors file, in which there is no code.

        The file holds the network, the classes, the names of the columns, the parameters, and what ``fit`` left behind
        (``loss_curve_``, ``history_``, ...). It does not hold the memory of the optimizer: ``partial_fit`` of a loaded
        estimator goes on from the same weights, the optimizer starts anew.

        Parameters
        ----------
        path : path
            Usually ending in ``.safetensors``.
        metadata : mapping of str to str, optional
            Anything to keep beside the estimator: :func:`chainrule.persistence.read_metadata` gives it back.
        overwrite : bool
            Whether a file that is there may be replaced.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        FileExistsError
            When there is a file and ``overwrite`` is false.
        ValueError
            When the loss is your own, or a class neither number nor text.

        Warns
        -----
        LeftOutWarning
            Where callbacks, a solver or a learning rate of your own, or a ``RandomState`` are left out.
        """
        _saving.save(self, self._kind, path, metadata, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Any:
        """Read a fitted estimator that ``save`` wrote; it predicts what it predicted.

        To predict where scikit-learn is not installed, use :func:`chainrule.load`.

        Raises
        ------
        FileNotFoundError, IsADirectoryError, PermissionError
        chainrule.ModelFileError
            When the file is damaged, of another tool, of a newer version, or holds something else.
        """
        return _saving.load(cls, cls._kind, path)

    def to_onnx(
        self,
        path: str | os.PathLike[str],
        metadata: Mapping[str, str] | None = None,
        *,
        opset: int | None = None,
        dtype: str | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write the fitted model to an ONNX file, its outputs as skl2onnx has them: see :func:`chainrule.onnx.save`."""
        from chainrule import onnx  # noqa: PLC0415

        onnx.save(self, path, metadata, opset=opset, dtype=dtype, overwrite=overwrite)

    @classmethod
    def from_sklearn(cls, fitted: Any) -> Any:
        """Take over a fitted model of scikit-learn: parameters, labels and curves."""
        if type(fitted).__name__ != cls.__name__:
            raise ValueError(f"from_sklearn: expected a fitted {cls.__name__}, got {type(fitted).__name__}.")
        check_is_fitted(fitted)
        model = cls(**{name: value for name, value in fitted.get_params(deep=False).items() if name != "loss"})
        model._take_over(fitted)
        kept = "n_features_in_ feature_names_in_ loss_ loss_curve_ best_loss_ validation_scores_ best_validation_score_"
        sizes = [coefficients.shape[1] for coefficients in fitted.coefs_[:-1]]
        model.n_outputs_ = fitted.n_outputs_
        model._start(fitted.coefs_[0].T, sizes, np.random.RandomState(0))
        for name in f"{kept} n_iter_ t_".split():
            if hasattr(fitted, name):
                setattr(model, name, copy.copy(getattr(fitted, name)))
        for ours, theirs in zip(model.coefs_ + model.intercepts_, fitted.coefs_ + fitted.intercepts_, strict=True):
            ours[...] = theirs
        return model

    @abstractmethod
    def _take_over(self, fitted: Any) -> None:
        """Take what the subclass needs from a fitted model of scikit-learn."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)
