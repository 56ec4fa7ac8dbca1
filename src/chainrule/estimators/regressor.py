"""MLPRegressor."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from chainrule._internal.typing import Array
from chainrule.estimators._architecture import architecture
from chainrule.estimators._settings import network_dtype
from chainrule.estimators.base import KEPT, BaseMLP
from chainrule.losses import (
    AbsoluteError,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    SquaredError,
)
from chainrule.network import Network

LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "poisson": Poisson,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "quantile": Quantile,
}


def check_numbers(y: Array, name: str = "y") -> None:
    """Reject targets that are dates, times or strings."""
    if y.dtype.kind in "mMUS":
        remedy = "days, (y - y.min()) / np.timedelta64(1, 'D')" if y.dtype.kind in "mM" else "y.astype(float)"
        raise TypeError(f"{name}: expected numbers, got {y.dtype}: convert them, for example with {remedy}.")


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor, a drop-in replacement for scikit-learn's.

    It has the same parameters, attributes and warnings, and the same ``random_state`` gives the same model. See
    ``sklearn.neural_network.MLPRegressor`` for their meaning, and docs/migration.md for the new ones.

    Parameters
    ----------
    layers : list of Layer, optional
        All layers of the network, instead of ``hidden_layer_sizes``, ``activation``, ``dropout``, ``input_dropout``,
        ``batch_norm`` and ``layer_norm``. The last one needs one output per column of y. Each ``fit`` initializes them
        with their own initializers and ``random_state``.
    input_shape : tuple of int, optional
        The shape of one row for the first layer, such as ``(8, 8, 1)`` for images. X then has 64 columns, or is an
        array of images ``(rows, 8, 8, 1)``. By default, rows are one-dimensional.
    device : str, optional
        Where to train, as for :func:`chainrule.train`: ``"cuda"`` for an NVIDIA GPU. Afterwards, ``network_`` is
        in main memory, so predictions and files do not need the GPU.
    precision : {"float32", "tf32"}
        Precision of matrix products on a GPU, as for :func:`chainrule.train`.

    Attributes
    ----------
    network_ : chainrule.Network
        The trained network.
    coefs_, intercepts_ : list of arrays
        Views of its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import MLPRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> model = MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", random_state=0).fit(X, X.ravel() ** 2)
    >>> round(model.score(X, X.ravel() ** 2), 2)
    1.0
    """

    _kind: ClassVar[str] = "MLPRegressor"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(LOSSES)), Loss],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    loss: Any = "squared_error"
    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    quantile: Any = 0.5

    def _validate(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=KEPT,
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y, dtype = self._targets(y, "y"), network_dtype(self, X)
        if np.abs(y).max() > np.finfo(dtype).max:
            raise ValueError(
                f"y: values up to {np.abs(y).max():.3g} overflow {dtype}: scale y, or set dtype='float64'."
            )
        return X, y.astype(dtype, copy=False)

    def _targets(self, y: Any, name: str = "y_val") -> Array:
        y = np.asarray(y)
        check_numbers(y, name)
        y = y.astype(np.float64, copy=False) if name == "y_val" else y
        if not np.isfinite(y).all():
            raise ValueError(f"{name}: expected finite numbers, got NaN, None or infinity: drop those rows.")
        return y.reshape(len(y), -1)

    def _loss(self) -> Loss:
        if isinstance(self.loss, Loss):
            return self.loss
        return Quantile(self.quantile) if self.loss == "quantile" else LOSSES[self.loss]()

    def _loss_divisor(self) -> int:
        return self.n_outputs_ if isinstance(self.loss, str) and self.loss == "squared_error" else 1

    def _outputs(self, y: Array) -> int:
        return y.shape[1]

    def _out_activation(self) -> str:
        return "exp" if isinstance(self._loss(), Poisson) else "identity"

    def _score_of(self, t: Array, p: Array, sample_weight: Array | None) -> float:
        return float(r2_score(t, p, sample_weight=sample_weight))

    def _take_over(self, fitted: Any) -> None:
        self.loss = fitted.loss

    @classmethod
    def from_network(cls, network: Network, **parameters: Any) -> Any:
        """Create a fitted regressor from a network with a regression loss.

        The network's layers become the parameter ``layers`` and its loss ``loss``, so ``fit``, ``clone`` and searches
        rebuild the same network. Its values are kept, so the regressor can predict, and ``partial_fit`` and warm starts
        continue from them. The estimator trains the network itself, not a copy; pass ``copy.copy(network)`` to keep the
        original.

        Parameters
        ----------
        network : Network
        **parameters
            Other parameters of the estimator, such as ``warm_start=True``.

        Raises
        ------
        ValueError
            If the loss is a classification loss.

        Examples
        --------
        >>> import chainrule as cr
        >>> network = cr.Network((8, 8, 1), [cr.layers.Flatten(), cr.layers.Dense(1)], "huber", seed=0)
        >>> model = cr.MLPRegressor.from_network(network)
        >>> model.predict(np.zeros((5, 64))).shape, model.predict(np.zeros((5, 8, 8, 1))).shape
        ((5,), (5,))
        """
        built = architecture(network)
        if isinstance(network.loss, SigmoidCrossEntropy | SoftmaxCrossEntropy):
            raise ValueError(  # noqa: TRY004
                f"from_network: {network.loss!r} is a classification loss: use MLPClassifier.from_network."
            )
        model = cls(**built | {"loss": network.loss} | parameters)
        return model._take_network(network)

    def _has_partial_fit(self) -> bool:
        return True

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> Any:
        """Train for one more epoch on X and y, or with ``solver="lbfgs"`` for ``max_iter`` iterations.

        Parameters
        ----------
        X : array, data frame or sparse matrix (rows, features)
        y : numbers (rows,) or (rows, outputs)
        sample_weight : (rows,), optional
        X_val, y_val : optional
            A validation set, recorded in ``history_`` and used for early stopping.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, (X_val, y_val), incremental=True)

    def predict(self, X: Any) -> Array:
        """Return the predictions for the rows of X, (rows,) or (rows, outputs)."""
        y = self._forward(X)
        return y.ravel() if y.shape[1] == 1 else y
