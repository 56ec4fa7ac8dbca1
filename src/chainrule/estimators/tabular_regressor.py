"""TabularRegressor."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_array, check_is_fitted

from chainrule._internal.typing import Array
from chainrule.encoding import TableEncoding
from chainrule.ensemble import Ensemble, Unit
from chainrule.estimators._linear import best_share
from chainrule.estimators._recipe import Target, second_is_better
from chainrule.estimators._tabular import BaseTabular
from chainrule.estimators.regressor import check_numbers
from chainrule.losses import SquaredError

ERRORS = 1_000  # out-of-fold errors that are kept
TRIED = 2  # members that try a logarithm
SKEWED = 1.0  # the skewness from which the logarithm of a target is tried, and
SPREAD = 0.5  # its standard deviation divided by the mean
WIDER = 0.1  # the range of predictions than that of training, on each side


@dataclass(eq=False, repr=False)
class TabularRegressor(RegressorMixin, BaseTabular):
    """Regressor for tables: an ensemble of small networks, with prediction intervals.

    Give numbers, text, categories and missing values as they are, in a data frame or an array. The defaults are meant
    to be used without tuning.

    .. code-block:: text

        x = encoding(X)                     scaled numbers, their piecewise-linear encoding, one-hot levels:
                                            chainrule.encoding.TableEncoding
        t = (y − mean) / σ                  the target of the networks
        a = Dense(Mish(... Scale(x)))       for each member m, trained on four of five folds
        e* = argmin mean (t − a)² of the out-of-fold predictions, smoothed over three epochs:
                                            one epoch for all members
        y = low ≤ mean + σ · ((1 − λ) · meanₘ aₘ + λ · (z W + b)) ≤ high

    λ, the share of a ridge regression, minimizes the out-of-fold squared error. ``low`` and ``high`` are the range of y
    in training, a tenth of it wider on each side where a single row has the extreme value; 0 is not passed.

    Each member has ``[Scale(), (Dense, Mish()) for each hidden layer, Dense(outputs)]``. W ~ N(0, 1 / inputs),
    b ~ N(0, 1), and zeros in the last layer. AdamW with β₂ = 0.95 multiplies the learning rate by 6 for Scale and by
    1 / √inputs for Dense, where an input of the piecewise-linear encoding counts a quarter.

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
        Epochs at most, of which the best is kept; "auto" is 48. Training ends after a cycle of the learning rate that
        made the out-of-fold predictions worse, as noisy tables do early. With "auto" and up to 5,000 rows, there is
        another cycle, to epoch 99 and then 201, if the last one made their squared error smaller by a quarter.
    max_minutes : float, optional
        Time limit of ``fit`` in minutes. A few steps are timed, and there are fewer epochs, down to 4, or beyond that
        fewer rows. A fit with a limit is not reproducible to the bit.
    log_target : bool or "auto"
        Whether the networks learn the logarithm of y (of y + 1 if a value is 0), for a single output that is never
        negative. "auto" tries both for a skewed target: two networks each, fully trained, predict the folds that they
        were not trained on, and the smaller squared error decides.
    eval_metric : str
        What the epoch and λ are chosen by: "squared_error" or "absolute_error".
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
    ensemble_ : chainrule.ensemble.Ensemble
        What predicts; ``ensemble_.encoding`` are the inputs.
    members_ : sequence of Network
        The networks, which predict t.
    oof_predictions_ : (rows, outputs) array
        The prediction for each training row, by the members that were not trained on it.
    linear_share_ : float
        λ, set if there is a linear model.
    best_iter_ : int
        The common epoch that was kept, from 1; ``n_iter_`` epochs were trained.
    history_ : History
        For each epoch the mean training loss, and the loss and the R² of the out-of-fold predictions.
    n_features_in_ : int
    feature_names_in_ : (columns,) array of str
        Set if X was a data frame.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import TabularRegressor
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(300, 2))
    >>> y = X[:, 0] ** 2 + X[:, 1]
    >>> model = TabularRegressor(hidden_layer_sizes=(16,), max_iter=16, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.98
    True
    >>> low, high = model.predict_interval(X, coverage=0.9)
    >>> bool((low < model.predict(X)).all()), low.shape
    (True, (300,))

    Source: Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on tabular
    data" (2024), for encoding, scaling layer, parametrization, schedule and optimizer. Piecewise-linear
    encoding: Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning" (2022).
    Intervals: Vovk, "Cross-conformal predictors" (2015).
    """

    _kind: ClassVar[str] = "TabularRegressor"
    _epochs: ClassVar[tuple[int, int]] = (48, 0)
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseTabular._parameter_constraints,
        "log_target": [StrOptions({"auto"}), "boolean"],
        "eval_metric": [StrOptions({"squared_error", "absolute_error"})],
    }

    _: KW_ONLY
    hidden_layer_sizes: Any = (128, 128)
    activation: Any = "mish"
    weight_decay: Any = 0.02
    log_target: Any = "auto"
    eval_metric: Any = "squared_error"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> TabularRegressor:
        """Fit the networks and choose their common epoch.

        Parameters
        ----------
        X : (rows, columns) array, or data frame of pandas or polars
            Numbers, text and categories, with missing values. Infinite numbers are the largest or smallest.
        y : (rows,) or (rows, outputs) array
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
            For columns or targets of another kind, such as dates, or a y that is not finite.
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
        check_numbers(np.asarray(y))
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        return column_or_1d(y, warn=True)[:, np.newaxis] if y.ndim == 1 or y.shape[1] == 1 else np.asarray(y)

    def _target(self, y: Array) -> Target:
        with np.errstate(over="ignore", invalid="ignore"):
            center, scale = y.mean(axis=0), y.std(axis=0)
        if not np.isfinite(scale).all():
            raise ValueError(f"y: values up to {np.abs(y).max():.3g} are too large for their variance: give y / 1e200.")
        return self._learned(y, Unit(center, scale, *_range(y)))

    def _learned(self, y: Array, unit: Unit) -> Target:
        unit.scale = np.where(unit.scale > 0, unit.scale, 1.0)
        t = unit.standardized(y).astype(np.float32)
        return Target(t, t[:, 0], t.shape[1], SquaredError(), unit)

    def _choose(
        self, encoding: TableEncoding, target: Target, y: Array, z: Array, weight: Array | None, groups: Any, seed: int
    ) -> tuple[TableEncoding, Target]:
        unit: Any = target.unit
        if self.log_target is True and (y.shape[1] > 1 or y.min() < 0):
            what = f"{y.shape[1]} outputs" if y.shape[1] > 1 else f"{y.min():g}"
            raise ValueError(f"log_target: expected one output that is never negative, got {what}.")
        if self.log_target is False or (self.log_target == "auto" and not (y.shape[1] == 1 and is_skewed(y))):
            return encoding, target
        shift = np.array([0.0 if y.min() > 0 else 1.0])
        log = np.log(y + shift)
        other = self._learned(y, Unit(log.mean(axis=0), log.std(axis=0), unit.low, unit.high, shift))

        def losses(target: Target, rows: Array, out: Array) -> Array:
            return np.square((_unbiased(target.unit, y[rows], out)(out) - y[rows]) / unit.scale)[:, 0]

        if self.log_target is True or second_is_better(
            self, (encoding, target), (encoding, other), losses, z, weight, groups, seed, self._threads(),
            count=TRIED, epochs=1.0, chance=0.0,
        ):  # fmt: skip
            return encoding, other
        return encoding, target

    def _measure(self, t: Array, out: Array, weight: Array | None) -> tuple[float, float, float]:
        loss = float(np.average(np.square(t - out).mean(axis=1), weights=weight))
        return self._error(t - out, weight), loss, 1 - loss

    def _error(self, apart: Array, weight: Array | None) -> float:
        """Return the mean of ``eval_metric`` for differences (rows, outputs)."""
        apart = np.square(apart) if self.eval_metric == "squared_error" else np.abs(apart)
        return float(np.average(apart.mean(axis=1), weights=weight))

    def _complete(self, ensemble: Ensemble, out: Array, linear: Any, target: Target, weight: Array | None) -> Array:
        t, known = target.t, ~np.isnan(out[:, 0])
        some = None if weight is None else weight[known]
        if linear is not None:
            W, b, q = linear

            def loss(share: float) -> float:
                return self._error((1 - share) * out[known] + share * q[known] - t[known], some)

            self.linear_share_ = share = best_share(loss)
            ensemble.linear = (W, b, share) if share else None
            out = (1 - share) * out + share * q
        known_unit: Any = target.unit
        truth: Array = known_unit(t)
        ensemble.unit = unit = _unbiased(known_unit, truth[known], out[known], some)
        y = unit(out)
        errors = np.sort(np.abs(y - truth)[known], axis=0)
        ensemble.errors = errors[np.unique(np.linspace(0, len(errors) - 1, min(len(errors), ERRORS)).astype(int))]
        return np.asarray(y)

    def predict(self, X: Any) -> Array:
        """Return the predictions for the rows of X, (rows,), or (rows, outputs) for several outputs.

        Parameters
        ----------
        X : (rows, columns) array or data frame
            With the columns used in ``fit``, in the same order.
        """
        return self._flat(self._predict(X))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Return the lower and upper ends of intervals that contain a share of new values.

        .. code-block:: text

            predict(X) ± q          q: the ⌈(k + 1) · coverage⌉-th smallest of k out-of-fold errors |y − ŷ|

        The width is the same for all rows. The coverage holds on average over rows like those of training.

        Parameters
        ----------
        X : (rows, columns) array or data frame
        coverage : float
            Share of new values between the ends, between 0 and 1; for each output if there are several.

        Raises
        ------
        ValueError
            If there are too few rows for the coverage: 0.9 needs at least 9.

        Source: Vovk, "Cross-conformal predictors" (2015).
        """
        check_is_fitted(self)
        half, y = self.ensemble_.half_width(coverage), self._predict(X)
        return self._flat(y - half), self._flat(y + half)

    @staticmethod
    def _flat(y: Array) -> Array:
        return y.ravel() if y.shape[1] == 1 else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def is_skewed(y: Array) -> bool:
    """Return whether numbers are never negative, but so skewed that a prediction may be.

    >>> is_skewed(np.exp(np.arange(20.0))), is_skewed(np.arange(20.0) + 100), is_skewed(np.arange(-9.0, 9.0))
    (True, False, False)
    """
    if len(y) < 2 or y.min() < 0 or not y.std() > SPREAD * y.mean():
        return False
    z = (y - y.mean()) / y.std()
    return bool((z**3).mean() > SKEWED)


def _unbiased(unit: Any, y: Array, out: Array, weight: Array | None = None) -> Unit:
    """Return the unit of a logarithm with another center: so that the predictions have the mean of y.

    The exponential of a mean is less than the mean of the exponentials.

    Source: a ratio in place of the mean residual of Duan, "Smearing estimate" (1983).
    """
    if unit.shift is None:
        return unit
    wanted, found = (np.average(values + unit.shift, axis=0, weights=weight) for values in (y, unit(out)))
    return replace(unit, center=unit.center + np.log(wanted / found))


def _range(y: Array) -> tuple[Array, Array]:
    """Return the ends of the range of predictions: see :class:`TabularRegressor`."""
    low, high = y.min(axis=0), y.max(axis=0)
    margin = WIDER * (high - low)
    lower, higher = ((y == end).sum(axis=0) == 1 for end in (low, high))  # otherwise it looks like a limit
    below = np.where(lower, low - margin, low)
    above = np.where(higher, high + margin, high)
    return np.where(low >= 0, np.maximum(below, 0), below), np.where(high <= 0, np.minimum(above, 0), above)
