"""Prediction from model files with NumPy alone: neither scikit-learn nor SciPy is needed, or loaded."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from chainrule._internal.typing import Array, is_sparse
from chainrule.files.container import opened, read_header
from chainrule.files.fitted import KINDS, Labels, mean_prediction, read_fitted
from chainrule.files.networks import check_kind, read_network
from chainrule.files.values import check_fields
from chainrule.network import Network

__all__ = ["Classifier", "Regressor", "load"]


def load(path: str | os.PathLike[str]) -> Network | Classifier | Regressor:
    """Read a model file of any kind, to predict with NumPy alone.

    Parameters
    ----------
    path : path
        A file written by :func:`chainrule.save`.

    Returns
    -------
    Network, Classifier or Regressor
        To fit an estimator further, read it with ``MLPClassifier.load`` or ``MLPRegressor.load`` instead.
        It predicts what was saved, to the bit on the same machine. Any number of threads may use it at once.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ModelFileError
        When the file is damaged, of another tool, or of a newer version.

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
        header = read_header(file, expected)
        if header.kind not in KINDS:
            check_kind(header, "network", expected)
            check_fields("the description", header.description, {"network"})
            return read_network(file, header)
        fitted = read_fitted(file, header)
    if fitted.labels is None:
        return Regressor(fitted.networks, fitted.feature_names)
    return Classifier(fitted.networks, fitted.labels, fitted.feature_names)


class _Model(ABC):
    """What both have: a network, and what is known of the columns of X."""

    def __init__(self, networks: Sequence[Network], feature_names: list[str] | None = None) -> None:
        self.networks, self.network = networks, networks[0]
        self.n_features_in_ = math.prod(self.network.input_shape)
        if feature_names is not None:
            self.feature_names_in_ = np.array(feature_names, dtype=object)

    @abstractmethod
    def predict(self, X: Any) -> Array:
        """Return one prediction for each row of X."""

    def _outputs(self, X: Any) -> Array:
        """Return the network's predictions for checked X, an array, a list, a data frame or a sparse matrix."""
        columns = getattr(X, "columns", None)
        if columns is not None and "feature_names_in_" in vars(self):
            _check_columns(list(columns), self.feature_names_in_.tolist())
        if not is_sparse(X):
            X = np.asarray(X)
            if X.dtype == object:  # a data frame of columns of several types
                X = _numbers(X)
        return mean_prediction(self.networks, X)


@final
class Classifier(_Model):
    """What is left of an MLPClassifier when it only predicts: a network, the classes, the names of the columns.

    Made by :func:`load`.

    Attributes
    ----------
    networks : list of chainrule.Network
        Those of an ensemble, whose mean is predicted; ``network`` is the first.
    classes_ : (classes,) array
    n_features_in_ : int
    feature_names_in_ : (columns,) array of str
        There if the estimator was fitted with a data frame: another one must have the same columns.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [cr.layers.Dense(1)], cr.losses.SigmoidCrossEntropy(), seed=0)
    >>> model = Classifier([network], Labels(np.array(["no", "yes"]), "binary"))
    >>> model.predict([[0.0, 1.0]]).shape, model.predict_proba([[0.0, 1.0]]).shape
    ((1,), (1, 2))
    """

    def __init__(self, networks: Sequence[Network], labels: Labels, feature_names: list[str] | None = None) -> None:
        super().__init__(networks, feature_names)
        self._labels = labels
        self.classes_ = labels.classes

    def predict(self, X: Any) -> Array:
        """Return the predicted label of each row of X, or for multi-label a row of 0 and 1."""
        return self._labels.from_outputs(self._outputs(X))

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class (rows, classes), in the order of ``classes_``."""
        p = self._outputs(X)
        return np.hstack([1 - p, p]) if p.shape[1] == 1 else p

    def __repr__(self) -> str:
        first = ", ".join(repr(label) for label in self.classes_[:5].tolist())
        more = ", ..." if len(self.classes_) > 5 else ""
        return f"Classifier({self.n_features_in_} columns, {len(self.classes_)} classes: {first}{more})"


@final
class Regressor(_Model):
    """What is left of an MLPRegressor when it only predicts: a network and the names of the columns.

    Made by :func:`load`.

    Attributes
    ----------
    networks : list of chainrule.Network
        Those of an ensemble, whose mean is predicted; ``network`` is the first.
    n_features_in_ : int
    feature_names_in_ : (columns,) array of str
        There if the estimator was fitted with a data frame: another one must have the same columns.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [cr.layers.Dense(1)], cr.losses.SquaredError(), seed=0)
    >>> Regressor([network]).predict([[0.0, 1.0]]).shape
    (1,)
    """

    def predict(self, X: Any) -> Array:
        """Return the predicted number of each row of X, (rows,) or (rows, outputs)."""
        y = self._outputs(X)
        return y.ravel() if y.shape[1] == 1 else y

    def __repr__(self) -> str:
        return f"Regressor({self.n_features_in_} columns, {self.network.output_shape[0]} outputs)"


def _numbers(X: Array) -> Array:
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X: expected numbers, got an array of objects ({error}). Encode texts before.") from None


def _check_columns(columns: list[Any], names: list[Any]) -> None:
    if columns == names:
        return
    missing, unknown = [n for n in names if n not in columns], [c for c in columns if c not in names]
    odd = [f"missing: {missing[:5]}"] * bool(missing) + [f"not known: {unknown[:5]}"] * bool(unknown)
    what = "; ".join(odd) or "they come in another order"
    raise ValueError(f"X: expected the {len(names)} columns of the fit; {what}. Give X[model.feature_names_in_].")
