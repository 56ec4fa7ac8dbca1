"""Prediction from model files with NumPy alone: scikit-learn and SciPy are neither needed nor imported."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, BinaryIO, final

import numpy as np

from chainrule._internal.typing import Array, is_sparse
from chainrule.ensemble import Ensemble
from chainrule.files import ensembles
from chainrule.files.container import Header, opened, read_header
from chainrule.files.fitted import KINDS, Labels, predict_samples, read_fitted
from chainrule.files.networks import check_kind, read_network
from chainrule.files.values import check_fields
from chainrule.network import Network

__all__ = ["Classifier", "Regressor", "load"]


def load(path: str | os.PathLike[str]) -> Network | Classifier | Regressor:
    """Load a model file of any kind, to predict with NumPy alone.

    Parameters
    ----------
    path : path
        A file written by :func:`chainrule.save`.

    Returns
    -------
    Network, Classifier or Regressor
        To fit an estimator further, use ``MLPClassifier.load`` or ``MLPRegressor.load`` instead. On the same machine,
        the predictions are bit-identical to those of the saved model. The result is thread-safe.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ModelFileError
        If the file is corrupt, or from another tool or a newer version.

    Examples
    --------
    >>> import chainrule as cr, tempfile
    >>> network = cr.Network(2, [cr.layers.Dense(3)], cr.losses.SoftmaxCrossEntropy(), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cr.save(cr.MLPClassifier.from_network(network, ["a", "b", "c"]), folder + "/model.safetensors")
    ...     model = cr.load(folder + "/model.safetensors")
    >>> model
    Classifier(2 columns, 3 classes: 'a', 'b', 'c')
    >>> model.predict_proba([[0.0, 1.0]]).shape
    (1, 3)
    """
    expected = "a model saved by chainrule"
    with opened(path, expected) as file:
        return read_model(file, read_header(file, expected), expected)


def read_model(file: BinaryIO, header: Header, expected: str) -> Network | Classifier | Regressor:
    """Read a model of any kind from an open file."""
    if header.kind in ensembles.KINDS:
        found = ensembles.read_ensemble(file, header)
        networks, names = found.ensemble.networks, found.feature_names
        if found.labels is None:
            return Regressor(networks, names, found.ensemble)
        return Classifier(networks, found.labels, names, found.ensemble)
    if header.kind not in KINDS:
        check_kind(header, "network", expected)
        check_fields("the description", header.description, {"network"})
        return read_network(file, header)
    fitted = read_fitted(file, header)
    if fitted.labels is None:
        return Regressor(fitted.networks, fitted.feature_names)
    return Classifier(fitted.networks, fitted.labels, fitted.feature_names)


class _Model(ABC):
    """Base of both: a network and the column names of X."""

    def __init__(
        self, networks: Sequence[Network], feature_names: list[str] | None = None, ensemble: Ensemble | None = None
    ) -> None:
        self.networks, self.network, self.ensemble = networks, networks[0], ensemble
        self.n_features_in_ = len(ensemble.encoding.levels) if ensemble else math.prod(self.network.input_shape)
        if feature_names is not None:
            self.feature_names_in_ = np.array(feature_names, dtype=object)

    @abstractmethod
    def predict(self, X: Any) -> Array:
        """Return one prediction for each row of X."""

    def _outputs(self, X: Any) -> Array:
        """Validate X (an array, a list, a data frame or a sparse matrix) and return the network's predictions."""
        columns = getattr(X, "columns", None)
        if columns is not None and "feature_names_in_" in vars(self):
            _check_columns(list(columns), self.feature_names_in_.tolist())
        if self.ensemble is not None:
            given = hasattr(X, "columns") or isinstance(X, np.ndarray)
            return self.ensemble.predict(X if given else np.array(X, dtype=object))
        if not is_sparse(X):
            X = np.asarray(X)
            if X.dtype == object:  # a data frame with columns of several types
                X = _numbers(X)
        p = predict_samples(self.networks[0], X)
        for network in self.networks[1:]:
            p += predict_samples(network, X)
        return p / len(self.networks) if len(self.networks) > 1 else p


@final
class Classifier(_Model):
    """A prediction-only MLPClassifier or TabularClassifier: networks, the classes and the column names.

    Returned by :func:`load`.

    Attributes
    ----------
    networks : list of chainrule.Network
        The networks of the ensemble, whose mean is predicted; ``network`` is the first.
    classes_ : (classes,) array
    n_features_in_ : int
    feature_names_in_ : (columns,) array of str
        Set if the estimator was fitted with a data frame. Data frames must then have the same columns.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [cr.layers.Dense(1)], cr.losses.SigmoidCrossEntropy(), seed=0)
    >>> model = Classifier([network], Labels(np.array(["no", "yes"]), "binary"))
    >>> model.predict([[0.0, 1.0]]).shape, model.predict_proba([[0.0, 1.0]]).shape
    ((1,), (1, 2))
    """

    def __init__(
        self,
        networks: Sequence[Network],
        labels: Labels,
        feature_names: list[str] | None = None,
        ensemble: Ensemble | None = None,
    ) -> None:
        super().__init__(networks, feature_names, ensemble)
        self._labels = labels
        self.classes_ = labels.classes

    def predict(self, X: Any) -> Array:
        """Return the predicted label for each row of X; for multilabel targets, a row of 0 and 1."""
        return self.predict_both(X)[0]

    def predict_proba(self, X: Any) -> Array:
        """Return class probabilities (rows, classes), in the order of ``classes_``."""
        return self.predict_both(X)[1]

    def predict_both(self, X: Any) -> tuple[Array, Array]:
        """Return the labels and the probabilities of the rows of X, from one pass."""
        chosen, shares = self.choices(X)
        return self._labels.of(chosen), shares

    def choices(self, X: Any) -> tuple[Array, Array]:
        """Return the index of the class, or a row of 0 and 1, for each row of X, and the probabilities."""
        p = self._outputs(X)
        chosen = self._labels.chosen(p) if self.ensemble is None else self.ensemble.chosen(p)
        return chosen, np.hstack([1 - p, p]) if p.shape[1] == 1 else p

    def __repr__(self) -> str:
        first = ", ".join(repr(label) for label in self.classes_[:5].tolist())
        more = ", ..." if len(self.classes_) > 5 else ""
        return f"Classifier({self.n_features_in_} columns, {len(self.classes_)} classes: {first}{more})"


@final
class Regressor(_Model):
    """A prediction-only MLPRegressor or TabularRegressor: networks and the column names.

    Returned by :func:`load`.

    Attributes
    ----------
    networks : list of chainrule.Network
        The networks of the ensemble, whose mean is predicted; ``network`` is the first.
    n_features_in_ : int
    feature_names_in_ : (columns,) array of str
        Set if the estimator was fitted with a data frame. Data frames must then have the same columns.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [cr.layers.Dense(1)], cr.losses.SquaredError(), seed=0)
    >>> Regressor([network]).predict([[0.0, 1.0]]).shape
    (1,)
    """

    def predict(self, X: Any) -> Array:
        """Return the predictions for the rows of X, (rows,) or (rows, outputs)."""
        return _flat(self._outputs(X))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Return the ends of intervals that contain a share of new values; for a saved TabularRegressor."""
        if self.ensemble is None:
            raise ValueError("predict_interval: expected a saved TabularRegressor, which has out-of-fold errors.")
        half, y = self.ensemble.half_width(coverage), self._outputs(X)
        return _flat(y - half), _flat(y + half)

    def __repr__(self) -> str:
        outputs = self.network.output_shape[0]
        return f"Regressor({self.n_features_in_} columns, {outputs} output{'s' * (outputs > 1)})"


def _flat(y: Array) -> Array:
    """Return a single output as (rows,)."""
    return y.ravel() if y.shape[1] == 1 else y


def _numbers(X: Array) -> Array:
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X: expected numbers, got an array of objects ({error}). Encode text first.") from None


def _check_columns(columns: list[Any], names: list[Any]) -> None:
    if columns == names:
        return
    missing, unknown = [n for n in names if n not in columns], [c for c in columns if c not in names]
    odd = [f"missing: {missing[:5]}"] * bool(missing) + [f"unknown: {unknown[:5]}"] * bool(unknown)
    what = "; ".join(odd) or "they are in a different order"
    raise ValueError(f"X: expected the {len(names)} columns used in fit; {what}. Give X[model.feature_names_in_].")
