"""TabularClassifier and TabularRegressor: ensembles of small networks for tables."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array
from numbers import Real

from chainrule._internal.typing import Array
from chainrule.ensemble import Ensemble
from chainrule.estimators._folds import log_loss, temperature
from chainrule.estimators._linear import best_share
from chainrule.estimators._tabular import BaseTabular, Target
from chainrule.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError


ERRORS = 1_000  # out-of-fold errors that are kept
TINY = 1e-12  # the smallest probability whose logarithm counts


class TabularClassifier(ClassifierMixin, BaseTabular):
    _kind = "TabularClassifier"
    _bins = False
    _epochs = (64, 512)
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseTabular._parameter_constraints,
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        n_estimators: Any = "auto",
        *,
        hidden_layer_sizes: Any = (128, 128, 128),
        activation: Any = "selu",
        learning_rate_init: Any = 0.02,
        weight_decay: Any = 0.0,
        batch_size: Any = "auto",
        max_iter: Any = "auto",
        max_minutes: Any = None,
        label_smoothing: Any = 0.1,
        class_weight: Any = None,
        linear: Any = "auto",
        categorical_features: Any = None,
        checkpoint: Any = None,
        n_jobs: Any = None,
        random_state: Any = None,
        progress: Any = False,
    ) -> None:
        self.n_estimators = n_estimators
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_minutes = max_minutes
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.linear = linear
        self.categorical_features = categorical_features
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progress = progress

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        self._fit(X, y, sample_weight, groups)
        return self

    def _target(self, y: Any) -> Target:
        check_classification_targets(y)
        if type_of_target(y).startswith("multilabel"):
            t = check_array(y, accept_sparse=True, dtype=np.float32)
            t = t.toarray() if hasattr(t, "toarray") else t
            self.classes_, self._multilabel = np.arange(t.shape[1]), True
            return Target(t, np.unique(t, axis=0, return_inverse=True)[1].ravel(), t.shape[1], SigmoidCrossEntropy())
        y = column_or_1d(y, warn=True)
        self.classes_, t = np.unique(y, return_inverse=True)
        self._multilabel = False
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__}: y has one class, {self.classes_[0]!r}: expected at least two.")
        return Target(t, t, len(self.classes_), SoftmaxCrossEntropy(label_smoothing=self.label_smoothing))

    def _weights(self, y: Any, target: Target, sample_weight: Any) -> Array | None:
        weight = super()._weights(y, target, sample_weight)
        if self.class_weight is None:
            return weight
        by_class = compute_sample_weight(self.class_weight, y)
        return by_class if weight is None else weight * by_class

    def _measure(self, t: Array, out: Array, weight: Array | None) -> tuple[float, float, float]:
        right = (out > 0) == t if t.ndim == 2 else out.argmax(axis=1) == t
        accuracy = float(np.average(right.mean(axis=1) if t.ndim == 2 else right, weights=weight))
        loss = log_loss(t, out, weight)
        return 1 - accuracy + 0.01 * loss, loss, accuracy

    def _complete(
        self, ensemble: Ensemble, out: Array, linear: Any, target: Target, weight: Array | None
    ) -> Array:
        t, known = target.t, ~np.isnan(out[:, 0])
        some = None if weight is None else weight[known]
        self.temperature_ = temperature(t[known], out[known], some)
        for network in ensemble.networks:
            last = network.layers[-1]
            last.W[...] /= self.temperature_
            last.b[...] /= self.temperature_
        p: Array = target.loss.inverse_link(out / self.temperature_)
        if linear is None or t.ndim == 2:
            return p
        W, b, logits = linear
        q, labels = target.loss.inverse_link(logits), t[known]
        right = np.arange(len(labels)), labels

        def loss(share: float) -> float:
            mixed = (1 - share) * p[known][right] + share * q[known][right]
            return float(-np.average(np.log(np.maximum(mixed, TINY)), weights=some))

        self.linear_share_ = share = best_share(loss)
        ensemble.linear = (W, b, share) if share else None
        return (1 - share) * p + share * q

    def predict_proba(self, X: Any) -> Array:
        return self._predict(X)

    def predict_log_proba(self, X: Any) -> Array:
        return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> Array:
        p = self.predict_proba(X)
        return (p > 0.5).astype(int) if self._multilabel else self.classes_[p.argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class TabularRegressor(RegressorMixin, BaseTabular):
    _kind = "TabularRegressor"
    _bins = True
    _epochs = (48, 0)

    def __init__(
        self,
        n_estimators: Any = "auto",
        *,
        hidden_layer_sizes: Any = (128, 128),
        activation: Any = "mish",
        learning_rate_init: Any = 0.02,
        weight_decay: Any = 0.02,
        batch_size: Any = "auto",
        max_iter: Any = "auto",
        max_minutes: Any = None,
        linear: Any = "auto",
        categorical_features: Any = None,
        checkpoint: Any = None,
        n_jobs: Any = None,
        random_state: Any = None,
        progress: Any = False,
    ) -> None:
        self.n_estimators = n_estimators
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_minutes = max_minutes
        self.linear = linear
        self.categorical_features = categorical_features
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progress = progress

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        self._fit(X, y, sample_weight, groups)
        return self

    def _target(self, y: Any) -> Target:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        y = column_or_1d(y, warn=True)[:, np.newaxis] if y.ndim == 1 or y.shape[1] == 1 else y
        center, scale = y.mean(axis=0), y.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        t = ((y - center) / scale).astype(np.float32)
        return Target(t, t[:, 0], t.shape[1], SquaredError(), (y.min(axis=0), y.max(axis=0), center, scale))

    def _measure(self, t: Array, out: Array, weight: Array | None) -> tuple[float, float, float]:
        loss = float(np.average(np.square(t - out).mean(axis=1), weights=weight))
        return loss, loss, 1 - loss

    def _complete(
        self, ensemble: Ensemble, out: Array, linear: Any, target: Target, weight: Array | None
    ) -> Array:
        t, known = target.t, ~np.isnan(out[:, 0])
        some = None if weight is None else weight[known]
        if linear is not None:
            W, b, q = linear

            def loss(share: float) -> float:
                apart = (1 - share) * out[known] + share * q[known] - t[known]
                return float(np.average(np.square(apart).mean(axis=1), weights=some))

            self.linear_share_ = share = best_share(loss)
            ensemble.linear = (W, b, share) if share else None
            out = (1 - share) * out + share * q
        low, high, center, scale = target.unit
        ensemble.low, ensemble.high, ensemble.center, ensemble.scale = target.unit
        y = np.clip(center + scale * out, low, high)
        errors = np.sort(np.abs(y - (center + scale * t))[known], axis=0)
        ensemble.errors = errors[np.unique(np.linspace(0, len(errors) - 1, min(len(errors), ERRORS)).astype(int))]
        return y

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Return the ends of intervals that contain a share of new values."""
        half, y = self.ensemble_.half_width(coverage), self._predict(X)
        return self._flat(y - half), self._flat(y + half)

    @staticmethod
    def _flat(y: Array) -> Array:
        return y.ravel() if y.shape[1] == 1 else y

    def predict(self, X: Any) -> Array:
        return self._flat(self._predict(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
