"""MLPClassifier."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import validate_data

from chainrule._internal.checks import check_real
from chainrule._internal.typing import Array
from chainrule.estimators._architecture import architecture, outputs_of_layers
from chainrule.estimators.base import KEPT, BaseMLP, partial_fit_available
from chainrule.files.fitted import thresholds
from chainrule.losses import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.network import Network


def check_labels(y: Any) -> None:
    """Reject labels of several types, missing labels, and numbers that are not classes."""
    try:
        known = type_of_target(y) != "unknown"
    except TypeError:  # labels that cannot be compared, or bytes
        known = False
    if known:
        check_classification_targets(y)
        return
    kinds = {type(label) for label in np.ravel(y).tolist()}
    if len(kinds) == 1 and kinds <= {bool, int, float}:
        raise ValueError(
            f"y: got an object array of numbers (Unknown label type). Give y.astype({kinds.pop().__name__})."
        )
    types = " and ".join(sorted(kind.__name__ for kind in kinds))
    raise ValueError(
        f"y: expected numbers or strings, of one type and none missing, got {types} (Unknown label type). Drop rows "
        "without a label, or give y.astype(str)."
    )


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier, a drop-in replacement for scikit-learn's.

    It has the same parameters, attributes and warnings, and the same ``random_state`` gives the same model. See
    ``sklearn.neural_network.MLPClassifier`` for their meaning, and docs/migration.md for the new ones.

    Parameters
    ----------
    layers : list of Layer, optional
        All layers of the network, instead of ``hidden_layer_sizes``, ``activation``, ``dropout``, ``input_dropout``,
        ``batch_norm`` and ``layer_norm``. The last one needs one output per class (for two classes: one or two). Each
        ``fit`` initializes them with their own initializers and ``random_state``.
    input_shape : tuple of int, optional
        The shape of one row for the first layer, such as ``(8, 8, 1)`` for images. X then has 64 columns, or is an
        array of images ``(rows, 8, 8, 1)``. By default, rows are one-dimensional.
    device : str, optional
        Where to train, as for :func:`chainrule.train`: ``"cuda"`` for an NVIDIA GPU. Afterwards, ``network_`` is
        in main memory, so predictions and files do not need the GPU.
    precision : {"float32", "tf32"}
        Precision of matrix products on a GPU, as for :func:`chainrule.train`.
    threshold : float or sequence of float, optional
        The probability above which ``predict`` chooses the second of two classes, or a label; 1/2 by default. For more
        classes, a number for each: the one with the largest probability / threshold is chosen. If missing a case costs
        c times as much as a false alarm, 1 / (1 + c) is best.

    Attributes
    ----------
    network_ : chainrule.Network
        The trained network.
    coefs_, intercepts_ : list of arrays
        Views of its parameters.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from chainrule import MLPClassifier
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> model = MLPClassifier((16,), learning_rate_init=0.05, max_iter=500, random_state=0).fit(X, y)
    >>> model.score(X, y)
    1.0

    Any layers, here for images, given as rows of 64 columns or as a 4-D array:

    >>> import chainrule as cr
    >>> digits = cr.datasets.load_digits()
    >>> layers = [cr.layers.Conv2D(8, 3), cr.layers.ReLU(), cr.layers.Flatten(), cr.layers.Dense(10)]
    >>> model = MLPClassifier(layers=layers, input_shape=(8, 8, 1), learning_rate_init=0.01, n_iter_no_change=1,
    ...                       tol=0.2, random_state=0).fit(digits.X, digits.t)
    >>> model.score(digits.X.reshape(-1, 8, 8, 1), digits.t) > 0.9
    True
    """

    _kind: ClassVar[str] = "MLPClassifier"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "threshold": [Interval(Real, 0, 1, closed="neither"), "array-like", None],
    }

    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    class_weight: Any = None
    label_smoothing: Any = 0.0
    threshold: Any = None

    def _validate(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=KEPT,
            reset=reset,
        )
        check_labels(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if "_labels" not in vars(self) or not (self.warm_start or incremental):
            self._learn_labels(y)
        else:
            self._check_classes(unique_labels(y))
        self._thresholds()
        if reset:
            self.n_outputs_ = self._wanted_outputs(X.shape[1])
        targets = self._targets(y)
        if self.label_smoothing and not self._is_multiclass():  # for several classes, the loss applies it
            targets = (1 - self.label_smoothing) * targets + self.label_smoothing / 2
        return X, targets

    def _thresholds(self) -> Array | None:
        """Return the thresholds of the classes or labels, if there are any; an error if they do not fit."""
        return thresholds(self.threshold, len(self.classes_), multilabel=self._labels.y_type_ == "multilabel-indicator")

    def _learn_labels(self, y: Any) -> None:
        self._labels = LabelBinarizer().fit(y)
        self.classes_ = self._labels.classes_

    def _targets(self, y: Any) -> Array:
        """Return the labels for the engine's loss: integers (rows,) for several classes, else 0 and 1."""
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if len(unknown):
            raise ValueError(f"y_val has the labels {unknown}, which are not among the classes {self.classes_}.")
        if self._is_multiclass():
            return np.searchsorted(self.classes_, y)
        return self._labels.transform(y)

    def _is_multiclass(self) -> bool:
        """Return whether softmax is used: for more than two classes, or for two if the layers have two outputs."""
        return bool(self._labels.y_type_ == "multiclass" or (self._labels.y_type_ == "binary" and self.n_outputs_ == 2))

    def _wanted_outputs(self, columns: int) -> int:
        classes = len(self.classes_)
        if self._labels.y_type_ == "binary":
            return 2 if classes == 2 and outputs_of_layers(self, columns) == 2 else 1
        return classes

    def _loss(self) -> Loss:
        if self._is_multiclass():
            return SoftmaxCrossEntropy(self.label_smoothing)
        return SigmoidCrossEntropy()

    def _weights(self, y: Array, sample_weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        if y.ndim == 2 and y.shape[1] > 1:
            if self.class_weight != "balanced":
                raise ValueError("class_weight: expected 'balanced' or None for multilabel targets, got a dict.")
            weights = compute_sample_weight("balanced", (y > 0.5).astype(int))
        else:
            index = y if self._is_multiclass() else (y.ravel() > 0.5).astype(int)
            if isinstance(self.class_weight, dict):
                weights = self._dict_weights()[index]
            else:
                weights = compute_sample_weight(self.class_weight, self.classes_[index])
        return weights if sample_weight is None else weights * sample_weight

    def _dict_weights(self) -> Array:
        """Return the weight of each class; a fold may lack classes of the dict, but misspelled ones are an error."""
        given, classes = self.class_weight, self.classes_.tolist()
        unknown, without = [c for c in given if c not in classes], [c for c in classes if c not in given]
        if unknown and without:
            raise ValueError(
                f"class_weight: {unknown} are not among the classes {classes}, and {without} have no weight. Are they "
                "the same? If a fold may lack some classes, give every class a weight, such as 1.0."
            )
        weights = [check_real("class_weight", repr(c), given.get(c, 1.0), 0) for c in classes]
        if not any(weights):
            raise ValueError(f"class_weight: expected a weight above 0 for one of the classes {classes}, got {given}.")
        return np.array(weights)

    def _outputs(self, y: Array) -> int:
        return int(self.n_outputs_)

    def _out_activation(self) -> str:
        return "softmax" if self._is_multiclass() else "logistic"

    def _stratify(self, y: Array) -> Array | None:
        return y > 0.5 if self.n_outputs_ == 1 else None

    def _score_of(self, t: Array, p: Array, sample_weight: Array | None) -> float:
        if self._is_multiclass():
            return float(accuracy_score(t, p.argmax(axis=1), sample_weight=sample_weight))
        return float(accuracy_score(t > 0.5, p > 0.5, sample_weight=sample_weight))

    def _take_over(self, fitted: Any) -> None:
        self._labels, self.classes_ = fitted._label_binarizer, fitted.classes_

    @classmethod
    def from_network(cls, network: Network, classes: Any, **parameters: Any) -> Any:
        """Create a fitted classifier from a network whose loss is softmax or sigmoid cross-entropy.

        The network's layers become the parameter ``layers``, so ``fit``, ``clone`` and searches rebuild the same
        architecture. Its values are kept, so the classifier can predict, and ``partial_fit`` and warm starts continue
        from them. The estimator trains the network itself, not a copy; pass ``copy.copy(network)`` to keep the
        original.

        Parameters
        ----------
        network : Network
        classes : sequence
            The labels in sorted order, which is the order of the outputs; two labels for one output. A network with
            SigmoidCrossEntropy and one output per class can predict but cannot be trained further.
        **parameters
            Other parameters of the estimator, such as ``warm_start=True``.

        Raises
        ------
        ValueError
            If the loss is a different one, or the classes do not match the outputs.

        Examples
        --------
        >>> import chainrule as cr
        >>> network = cr.Network(2, [cr.layers.Dense(3)], cr.losses.SoftmaxCrossEntropy(), seed=0)
        >>> cr.MLPClassifier.from_network(network, ["a", "b", "c"]).predict([[0.0, 1.0]]).shape
        (1,)
        """
        built = architecture(network)
        if not isinstance(network.loss, SigmoidCrossEntropy | SoftmaxCrossEntropy):
            raise ValueError(  # noqa: TRY004
                f"from_network: expected the loss SoftmaxCrossEntropy or SigmoidCrossEntropy, got {network.loss!r}."
            )
        outputs, softmax = network.output_shape[0], isinstance(network.loss, SoftmaxCrossEntropy)
        smoothing = getattr(network.loss, "label_smoothing", 0.0)
        if softmax and outputs == 1:
            raise ValueError("from_network: softmax of one output is always 1: use SigmoidCrossEntropy.")
        wanted, classes = 2 if outputs == 1 else outputs, [] if classes is None else list(classes)
        if len(classes) != wanted or len(set(classes)) != wanted:
            raise ValueError(
                f"from_network: expected {wanted} different classes for {outputs} output(s), got {classes}."
            )
        given = np.asarray(classes)
        if not (np.sort(given) == given).all():
            raise ValueError("from_network: expected the classes in sorted order, the order of the outputs.")
        model = cls(**built | {"label_smoothing": smoothing} | parameters)
        model._learn_labels(given)
        return model._take_network(network)

    def _check_classes(self, classes: Array) -> None:
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    @partial_fit_available
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Any:
        """Train for one more epoch on X and y.

        Parameters
        ----------
        X : array, data frame or sparse matrix (rows, features)
        y : labels (rows,)
        sample_weight : (rows,), optional
        classes : array, optional
            All class labels that may occur. Required on the first call.
        X_val, y_val : optional
            A validation set, recorded in ``history_`` and used for early stopping.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, (X_val, y_val), incremental=True, classes=classes)

    def _first_labels(self, y: Any, classes: Any) -> None:
        if _check_partial_fit_first_call(self, classes):
            self._learn_labels(y if type_of_target(y).startswith("multilabel") else classes)

    def predict(self, X: Any) -> Any:
        """Return the predicted label for each row of X; for multilabel targets, a row of 0 and 1, sparse if y was."""
        p, limits = self._forward(X), self._thresholds()
        if self._is_multiclass():
            return self.classes_[(p if limits is None else p / limits).argmax(axis=1)]
        if limits is not None:
            p = (p > limits[-p.shape[1] :]).astype(p.dtype)
        return self._labels.inverse_transform(p.ravel() if self.n_outputs_ == 1 else p)

    def predict_proba(self, X: Any) -> Array:
        """Return class probabilities (rows, classes), in the order of ``classes_``."""
        p = self._forward(X)
        return np.hstack([1 - p, p]) if self.n_outputs_ == 1 else p

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of ``predict_proba``."""
        p = self.predict_proba(X)
        return np.log(p, out=p)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
