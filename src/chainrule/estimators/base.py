"""What classifier and regressor share: parameters, fit, partial_fit, and the way to the engine."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
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

from chainrule._typing import Array
from chainrule.estimators._contract import Contract, LegacyShuffle, Rate, glorot
from chainrule.layers import Dense, Identity, Layer, ReLU, Sigmoid, Tanh
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Adam, Momentum, Nesterov, Optimizer
from chainrule.penalties import L2, BoundPenalties
from chainrule.training import DivergenceError, train

ACTIVATIONS: dict[str, type[Layer]] = {"identity": Identity, "logistic": Sigmoid, "tanh": Tanh, "relu": ReLU}


class BaseMLP(BaseEstimator, ABC):
    """Parameters, attributes and methods of scikit-learn's multi-layer perceptron."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
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
    }

    # ------------------------------------------------------------ what the subclasses say

    @abstractmethod
    def _validate(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Return X and y, checked; y as the engine's loss wants it, two-dimensional or labels."""

    @abstractmethod
    def _loss(self) -> Loss: ...

    @abstractmethod
    def _outputs(self, y: Array) -> int: ...

    @abstractmethod
    def _out_activation(self) -> str: ...

    @abstractmethod
    def _validation_score(self, X: Any, y: Array, sample_weight: Array | None) -> float: ...

    def _stratify(self, y: Array) -> Array | None:
        return None

    def _loss_is_mean_over_outputs(self) -> bool:
        return False

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
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the model to X (rows, features) and y.

        Parameters
        ----------
        X : array, data frame or sparse matrix (rows, features)
        y : labels or numbers, (rows,) or (rows, outputs)
        sample_weight : (rows,), optional

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _has_partial_fit(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return True

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Any:
        sizes = list(np.atleast_1d(self.hidden_layer_sizes)) if np.size(self.hidden_layer_sizes) else []
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        fresh = "network_" not in vars(self) or not (self.warm_start or incremental)
        X, y = self._validate(X, y, incremental=incremental, reset=fresh)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        self.n_outputs_ = self._outputs(y)
        random_state = check_random_state(self.random_state)
        if fresh:
            self._start(X, [X.shape[1], *map(int, sizes), self.n_outputs_], random_state)
        if self.solver == "lbfgs":
            self._fit_lbfgs(X, y, sample_weight)
        else:
            self._fit_stochastic(X, y, sample_weight, random_state, incremental=incremental)
        if not np.isfinite(self.network_.theta).all():
            raise ValueError(NOT_FINITE)
        return self

    def _start(self, X: Any, units: list[int], random_state: np.random.RandomState) -> None:
        """Draw the parameters and clear the attributes."""
        layers: list[Layer] = []
        for size in units[1:-1]:
            layers += [Dense(size), ACTIVATIONS[self.activation]()]
        self.network_ = Network.blank(units[0], [*layers, Dense(units[-1])], self._loss(), X.dtype)
        self.network_.allocate()
        factor = 2.0 if self.activation == "logistic" else 6.0
        for layer in self._dense():
            fans = layer.W.shape
            layer.W[...] = glorot(random_state, *fans, factor, fans)
            layer.b[...] = glorot(random_state, *fans, factor, fans[1])  # type: ignore[index]
        self.n_layers_ = len(units)
        self.n_iter_ = self.t_ = 0
        self.out_activation_ = self._out_activation()
        self._no_improvement = 0
        self._memory: Memo | None = None
        if self.solver != "lbfgs":
            self.loss_curve_: list[float] = []
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _optimizer(self) -> Optimizer:
        if self.solver == "adam":
            return Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon, epsilon_hat=True)
        kind = Nesterov if self.nesterovs_momentum else Momentum
        return kind(self.learning_rate_init, self.momentum)

    def _penalties(self) -> list[L2]:
        return [L2(self.alpha, per_row=True)]

    def _fit_stochastic(
        self, X: Any, y: Array, weight: Array | None, random_state: np.random.RandomState, *, incremental: bool
    ) -> None:
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        score = None
        if self.early_stopping:
            X, X_val, y, y_val, weight, weight_val = self._hold_out(X, y, weight, random_state)

            def score() -> float:
                return self._validation_score(X_val, y_val, weight_val)

        rows = X.shape[0]
        if self.batch_size == "auto":
            batch_size = min(200, rows)
        else:
            if self.batch_size > rows:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=4
                )
            batch_size = min(self.batch_size, rows)
        optimizer, rate = self._optimizer(), Rate()
        if not incremental or self._memory is None:
            self._memory = optimizer.start(self.network_.theta, self.network_.weights)
            self._rate = rate
        self.n_iter_ = 0
        epochs = 1 if incremental else self.max_iter
        try:
            history = train(
                self.network_,
                X,
                y,
                optimizer=optimizer,
                state=self._memory,
                schedule=self._rate,
                penalties=self._penalties(),
                sample_weight=weight,
                epochs=epochs,
                batch_size=batch_size,
                shuffle=LegacyShuffle(random_state) if self.shuffle else False,
                callbacks=[Contract(self, self._rate, batch_size, score)],
                seed=0,
            )
        except DivergenceError as error:
            raise ValueError(f"{NOT_FINITE} {error}") from error
        if history.stopped.startswith("interrupted"):
            warnings.warn("Training interrupted by user.", stacklevel=4)
        elif not incremental and self.n_iter_ == self.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _hold_out(self, X: Any, y: Array, weight: Array | None, random_state: np.random.RandomState) -> tuple[Any, ...]:
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
        bound = BoundPenalties(self._penalties(), network.layout, len(network.layers), network.theta, workspace.grad)
        rows = float(x.shape[0] if weight is None else weight.sum())
        # scikit-learn's squared error is a mean over the outputs, while its gradient is that of their sum.
        outputs = self.n_outputs_ if self._loss_is_mean_over_outputs() else 1

        def objective(theta: Array) -> tuple[float, Array]:
            network.theta = theta
            value, grad = network.loss_and_grad(x, targets, workspace, weight)
            value = value / outputs + bound.value(rows)
            bound.add_gradient(rows)
            return value, grad.astype(np.float64)

        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        result = minimize(objective, network.theta.astype(np.float64), method="L-BFGS-B", jac=True, options=options)
        self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        self.loss_ = result.fun
        network.theta = result.x

    # ------------------------------------------------------------ prediction

    def _forward(self, X: Any) -> Array:
        """Return the network's predictions for checked X."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self.network_.predict(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)


NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)

partial_fit_available = available_if(lambda estimator: estimator._has_partial_fit())
