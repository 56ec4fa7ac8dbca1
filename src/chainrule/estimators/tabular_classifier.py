"""TabularClassifier."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_array

from chainrule._internal.typing import Array
from chainrule.encoding import TableEncoding
from chainrule.ensemble import Ensemble
from chainrule.estimators._decisions import METRICS, TINY, WITH_THRESHOLDS, best_thresholds, score
from chainrule.estimators._folds import log_loss, log_losses, temperature
from chainrule.estimators._linear import best_share
from chainrule.estimators._recipe import Target, second_is_better
from chainrule.estimators._tabular import BaseTabular
from chainrule.estimators.classifier import check_labels
from chainrule.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy


@dataclass(eq=False, repr=False)
class TabularClassifier(ClassifierMixin, BaseTabular):
    """Classifier for tables: an ensemble of small networks, with calibrated probabilities.

    Give numbers, text, categories and missing values as they are, in a data frame or an array. The defaults are meant
    to be used without tuning.

    .. code-block:: text

        x = encoding(X)                     scaled numbers and one-hot levels: chainrule.encoding.TableEncoding
        a = Dense(SELU(... Scale(x)))       for each member m, trained on four of five folds
        e* = argmin error + 0.01 · log-loss of the out-of-fold predictions, smoothed over three epochs:
                                            one epoch for all members
        p = (1 − λ) · meanₘ softmax(aₘ / T) + λ · softmax(z W + b)

    T, the temperature, and λ, the share of a logistic regression, minimize the out-of-fold log-loss. For several labels
    at once (y of 0 and 1, one column per label) the sigmoid replaces the softmax, and there is no linear model.

    Numbers also have a piecewise-linear encoding if, after a quarter of the epochs, a network with it predicts one fold
    better than one without, by more than 1.5 standard errors of the log-loss.

    Each member has ``[Scale(), (Dense, SELU()) for each hidden layer, Dense(classes)]``. W ~ N(0, 1 / inputs),
    b ~ N(0, 1), and zeros in the last layer. AdamW with β₂ = 0.95 multiplies the learning rate by 6 for Scale and by
    1 / √inputs for Dense.

    Parameters
    ----------
    n_estimators : int or "auto"
        Number of networks: "auto" is 5, or 10 below 1,000 rows. A multiple of 5 holds every row out equally often; with
        fewer than 5 some rows have no out-of-fold prediction.
    hidden_layer_sizes : sequence of int, or int
        Units of the hidden layers.
    activation : str
        Name of the activation between them, such as "selu", "mish" or "relu".
    learning_rate_init : float
        The peak of the learning rate, which follows :class:`chainrule.schedules.CosineLog`.
    weight_decay : float
        Decoupled weight decay of :class:`chainrule.optimizers.AdamW`.
    batch_size : int or "auto"
        Rows per step; "auto" is 64.
    max_iter : int or "auto"
        Epochs at most, of which the best is kept; "auto" is 64. On few rows, an epoch then passes over them several
        times, so that it has about 8 steps. Training ends after a cycle of the learning rate that made the out-of-fold
        predictions worse, as noisy tables do early. With "auto" and up to 5,000 rows, there is another cycle, to epoch
        132 and then 268, if the last one made their error smaller by a quarter.
    max_minutes : float, optional
        Time limit of ``fit`` in minutes. A few steps are timed, and there are fewer epochs, down to 4, or beyond that
        fewer rows. A fit with a limit is not reproducible to the bit.
    eval_metric : str
        What the epoch is chosen by: "accuracy", "balanced_accuracy", "f1", "roc_auc" or "log_loss"; 0.01 · log-loss
        decides between epochs that are nearly equal. For "balanced_accuracy" and "f1", which suit rare classes,
        ``predict`` compares the probabilities with thresholds that are best out of fold. "f1" is that of the second
        class if there are two, and the mean over the classes if there are more.
    threshold : float, optional
        The probability above which ``predict`` gives the second of two classes, or each of several labels; not with
        an ``eval_metric`` that chooses thresholds. If missing a case costs c times as much as a false alarm,
        1 / (1 + c) has the least expected cost.
    label_smoothing : float
        ε in [0, 1) of :class:`chainrule.losses.SoftmaxCrossEntropy`; not used for several labels at once.
    class_weight : dict, "balanced" or None
        Weights of the rows by class, multiplied with ``sample_weight``. A class of weight 0 is left out.
    linear : bool or "auto"
        Whether to add a linear model; "auto" adds it up to 2,000 rows and 500 values.
    categorical_features : sequence of int, str or bool, optional
        Columns of numbers that are categories, by index, by name, or as a mask. Columns of text and of a categorical
        dtype always are.
    checkpoint : path, optional
        A folder for the training state, written every few seconds and at the end. If it has one, ``fit`` with the same
        data and parameters resumes from it and gives the same model to the bit, also with ``random_state=None``.
        A saved estimator does not keep it.
    n_jobs : int, optional
        Number of networks that are trained at the same time, in threads; None or −1 for one per core. It has no
        influence on the model.
    random_state : int, RandomState or None
        Seed of the folds, the parameters and the order of the rows.
    progress : bool or function
        True prints the progress. A function is called after each epoch of each network with an object that has
        ``member``, ``members``, ``epoch``, ``epochs``, ``seconds`` and ``seconds_left``, and that prints as a line.

    Attributes
    ----------
    classes_ : (classes,) array
        For several labels at once 0, 1, ... .
    ensemble_ : chainrule.ensemble.Ensemble
        What predicts; ``ensemble_.encoding`` are the inputs, ``ensemble_.thresholds`` those of the classes, if any.
    members_ : sequence of Network
        The networks, with logits divided by T.
    oof_predictions_ : (rows, classes) array
        The probabilities of each training row, by the members that were not trained on it.
    temperature_, linear_share_ : float
        T and λ; ``linear_share_`` is set if there is a linear model.
    best_iter_ : int
        The common epoch that was kept, from 1; ``n_iter_`` epochs were trained.
    history_ : History
        For each epoch the mean training loss, and the loss and the score of the out-of-fold predictions: the accuracy,
        or another ``eval_metric``.
    n_features_in_ : int
    feature_names_in_ : (columns,) array of str
        Set if X was a data frame.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import TabularClassifier
    >>> rng = np.random.default_rng(0)
    >>> size, kind = rng.normal(size=200), rng.choice(["ant", "bee"], 200)
    >>> X = np.column_stack([size, kind]).astype(object); X[:, 0] = size
    >>> y = np.where((size > 0) == (kind == "ant"), "large", "small")
    >>> model = TabularClassifier(hidden_layer_sizes=(16,), max_iter=16, random_state=0).fit(X, y)
    >>> model.predict([[1.5, "ant"], [1.5, "bee"]]).tolist()
    ['large', 'small']
    >>> model.oof_predictions_.shape
    (200, 2)

    Source: Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on tabular
    data" (2024), for encoding, scaling layer, parametrization, schedule and label smoothing. Temperature:
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (2017), who use one validation set; here
    it is the out-of-fold predictions.
    """

    _kind: ClassVar[str] = "TabularClassifier"
    _senseless: ClassVar[float] = 1000.0  # logits that the largest temperature, 20, does not repair
    _epochs: ClassVar[tuple[int, int]] = (64, 512)
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseTabular._parameter_constraints,
        "eval_metric": [StrOptions(set(METRICS))],
        "threshold": [Interval(Real, 0, 1, closed="neither"), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    _: KW_ONLY
    hidden_layer_sizes: Any = (128, 128, 128)
    activation: Any = "selu"
    eval_metric: Any = "accuracy"
    threshold: Any = None
    label_smoothing: Any = 0.1
    class_weight: Any = None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> TabularClassifier:
        """Fit the networks and choose their common epoch.

        Parameters
        ----------
        X : (rows, columns) array, or data frame of pandas or polars
            Numbers, text and categories, with missing values. Infinite numbers are the largest or smallest.
        y : (rows,) or (rows, labels) array
        sample_weight : (rows,) array, optional
            At least 0. A row of weight 0 is left out; its ``oof_predictions_`` are NaN.
        groups : (rows,) array, optional
            Rows of one group, such as a patient or a day, are in the same fold, so that the out-of-fold predictions are
            of unseen groups. The folds are then not stratified.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For columns or targets of another kind, such as dates, or a y with one class.
        DivergenceError
            If the loss becomes infinite in the first epoch.
        chainrule.training.checkpoints.CheckpointError
            If ``checkpoint`` has the state of a fit with other data or parameters, or is corrupt.

        Notes
        -----
        Ctrl-C ends the training; the best epoch so far is kept, with a warning.
        """
        self._fit(X, y, sample_weight, groups)
        return self

    def _checked(self, y: Any) -> Array:
        check_labels(y)
        self._multilabel = type_of_target(y).startswith("multilabel")
        if not self._multilabel:
            return np.asarray(column_or_1d(y, warn=True))
        t = check_array(y, accept_sparse=True, dtype=np.float32)
        return np.asarray(t.toarray() if hasattr(t, "toarray") else t)

    def _target(self, y: Array) -> Target:
        if self.threshold is not None and self.eval_metric in WITH_THRESHOLDS:
            raise ValueError(f"threshold: eval_metric={self.eval_metric!r} chooses thresholds: omit one of them.")
        if self._multilabel:
            self.classes_ = np.arange(y.shape[1])
            return Target(y, np.unique(y, axis=0, return_inverse=True)[1].ravel(), y.shape[1], SigmoidCrossEntropy())
        self.classes_, t = np.unique(y, return_inverse=True)
        if self.threshold is not None and len(self.classes_) > 2:
            raise ValueError(
                f"threshold: expected two classes, y has {len(self.classes_)}: omit it, or give eval_metric="
                '"balanced_accuracy".'
            )
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__}: y has one class, {self.classes_.tolist()[0]!r}: expected at least two classes "
                "in rows with a weight above 0."
            )
        return Target(t, t, len(self.classes_), SoftmaxCrossEntropy(label_smoothing=self.label_smoothing))

    def _choose(
        self, encoding: TableEncoding, target: Target, y: Array, z: Array, weight: Array | None, groups: Any, seed: int
    ) -> tuple[TableEncoding, Target]:
        def losses(target: Target, rows: Array, out: Array) -> Array:
            return log_losses(target.t[rows], out / temperature(target.t[rows], out))

        plain = encoding.without_piecewise()
        if len(encoding.encoded) and second_is_better(
            self, (plain, target), (encoding, target), losses, z, weight, groups, seed, self._threads()
        ):
            return encoding, target
        return plain, target

    def _weights(self, y: Array, sample_weight: Any) -> Array | None:
        weight = super()._weights(y, sample_weight)
        if self.class_weight is None:
            return weight
        if self._multilabel and isinstance(self.class_weight, dict):
            raise ValueError('class_weight: for several labels at once, expected "balanced"; or give sample_weight.')
        weight = np.ones(len(y)) if weight is None else weight
        some = weight > 0
        by_class = compute_sample_weight(self.class_weight, y[some])
        if not (np.isfinite(by_class) & (by_class >= 0)).all():
            raise ValueError(f"class_weight: expected finite numbers of at least 0, got {self.class_weight}.")
        weight[some] *= by_class
        return weight

    def _measure(self, t: Array, out: Array, weight: Array | None) -> tuple[float, float, float]:
        loss = log_loss(t, out, weight)
        if self.eval_metric in ("accuracy", "log_loss"):
            right = (out > 0) == t if t.ndim == 2 else out.argmax(axis=1) == t
            reached = float(np.average(right.mean(axis=1) if t.ndim == 2 else right, weights=weight))
        else:
            link = (SigmoidCrossEntropy if t.ndim == 2 else SoftmaxCrossEntropy)().inverse_link
            reached = score(self.eval_metric, t, link(out), weight)
        return loss if self.eval_metric == "log_loss" else 1 - reached + 0.01 * loss, loss, reached

    def _complete(self, ensemble: Ensemble, out: Array, linear: Any, target: Target, weight: Array | None) -> Array:
        t, known = target.t, ~np.isnan(out[:, 0])
        some = None if weight is None else weight[known]
        self.temperature_ = temperature(t[known], out[known], some)
        for network in ensemble.networks:
            last: Any = network.layers[-1]
            last.W[...] /= self.temperature_
            last.b[...] /= self.temperature_
        p: Array = target.loss.inverse_link(out / self.temperature_)
        if linear is not None:
            p = self._with_linear(ensemble, p, linear, target, weight)
        if self.threshold is not None:
            yes = float(self.threshold)
            ensemble.thresholds = np.full(p.shape[1], yes) if t.ndim == 2 else np.array([1 - yes, yes])
        elif self.eval_metric in WITH_THRESHOLDS:
            ensemble.thresholds = best_thresholds(self.eval_metric, t[known], p[known], some)
        return p

    def _with_linear(self, ensemble: Ensemble, p: Array, linear: Any, target: Target, weight: Array | None) -> Array:
        """Add the linear model to the ensemble; return the out-of-fold probabilities of both."""
        t, known = target.t, ~np.isnan(p[:, 0])
        some = None if weight is None else weight[known]
        W, b, logits = linear
        q, labels = target.loss.inverse_link(logits), t[known]
        right = np.arange(len(labels)), labels

        def loss(share: float) -> float:
            mixed = (1 - share) * p[known][right] + share * q[known][right]
            return float(-np.average(np.log(np.maximum(mixed, TINY)), weights=some))

        self.linear_share_ = share = best_share(loss)
        ensemble.linear = (W, b, share) if share else None
        return np.asarray((1 - share) * p + share * q)

    def predict(self, X: Any) -> Array:
        """Return the most probable class for each row of X; for several labels at once, a row of 0 and 1.

        With ``ensemble_.thresholds``, it is the class with the largest probability / threshold, and a label is 1 if its
        probability is above its threshold.

        Parameters
        ----------
        X : (rows, columns) array or data frame
            With the columns used in ``fit``, in the same order.
        """
        p = self.predict_proba(X)
        chosen = self.ensemble_.chosen(p)
        return chosen if self._multilabel else self.classes_[chosen]

    def predict_proba(self, X: Any) -> Array:
        """Return calibrated probabilities (rows, classes), in the order of ``classes_``.

        Parameters
        ----------
        X : (rows, columns) array or data frame
            With the columns used in ``fit``, in the same order.
        """
        return self._predict(X)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the probabilities, (rows, classes); −∞ where a probability rounds to 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
