"""The default network for a table, by the number of rows; every argument can be overridden."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule._internal.names import lookup
from chainrule._internal.typing import Array
from chainrule.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from chainrule.network import Network
from chainrule.schedules import OneCycle
from chainrule.training.callbacks import Callback, EarlyStopping

ENDLESS = float("inf")
PATIENCE = 30  # epochs: the learning rate rises for the first 18 of 60, and sometimes the loss with it
CLASS_METRICS = {
    "accuracy": "accuracy", "balanced-accuracy": "balanced_accuracy", "f1": "f1", "auc": "roc_auc",
    "log-loss": "log_loss",
}  # fmt: skip
NUMBER_METRICS = {"rmse": "squared_error", "mae": "absolute_error"}
LARGE = 200_000  # rows from which a second layer pays, and fewer epochs are needed


def parameters(rows: int, task: str, seed: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the estimator for a number of training rows; those given replace the defaults.

    The defaults were chosen on 19 tables of 80 to 5,000 rows with three to six splits each.

    >>> parameters(700, "binary", 0, {"max_iter": 5})["max_iter"]
    5
    """
    batch = next((size for most, size in ((500, 16), (2000, 32), (8000, 64), (32000, 128)) if rows < most), 256)
    large = rows >= LARGE
    defaults: dict[str, Any] = {
        "hidden_layer_sizes": (128, 128) if large else (256,),
        "activation": "relu",
        "solver": "adam",
        "alpha": 0.01,
        "batch_size": min(batch, rows),
        "learning_rate": OneCycle(),
        "learning_rate_init": 0.003 if large else 0.002,
        "max_iter": 40 if large else 60,
        "dropout": 0.2 if large else 0.3,
        "n_iter_no_change": ENDLESS,
        "dtype": "float32",
        "random_state": seed,
    }
    return for_task(task, {**defaults, **given})


def for_task(task: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments without those for classes if the target is a number; raise an error if they were given."""
    chosen = dict(arguments)
    for name in ("class_weight", "label_smoothing") if task == "regression" else ():
        if chosen.pop(name, None):
            raise ValueError(f"{name}: applies to classes, but the target is a number: omit it.")
    return chosen


def network(task: str, arguments: Mapping[str, Any], patience: int, callbacks: list[Callback] | None = None) -> Any:
    """Return the unfitted estimator: a classifier, or a regressor with a standardized target."""
    watched = [EarlyStopping(patience=patience)] if patience else []
    arguments = {**arguments, "callbacks": [*watched, *(callbacks or [])] or None}
    if task != "regression":
        return MLPClassifier(**arguments)
    from sklearn.compose import TransformedTargetRegressor  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return TransformedTargetRegressor(MLPRegressor(**arguments), transformer=StandardScaler())


def ensemble(task: str, arguments: Mapping[str, Any], **more: Any) -> Any:
    """Return the unfitted ensemble, with its own defaults for everything that is not given."""
    return (TabularRegressor if task == "regression" else TabularClassifier)(**arguments, **more)


def eval_metric(task: str, metric: str) -> str:
    """Return the ensemble's name of a metric.

    >>> eval_metric("binary", "balanced-accuracy"), eval_metric("regression", "mae")
    ('balanced_accuracy', 'absolute_error')
    """
    known, other = CLASS_METRICS, NUMBER_METRICS
    if task == "regression":
        known, other = other, known
    metric = str(metric).replace("_", "-")
    if metric in other:
        what = "a number" if task == "regression" else "a class"
        raise ValueError(f"metric: the target is {what}: expected one of {', '.join(known)}, got {metric!r}.")
    return lookup("metric", metric, known)


def threshold(task: str, given: float | str | None) -> float | None:
    """Return the threshold of a probability that an option asks for; None for "auto".

    >>> threshold("binary", "cost:10:1"), threshold("binary", 0.3), threshold("binary", "auto")
    (0.09090909090909091, 0.3, None)
    """
    if given is None:
        return None
    if task not in ("binary", "multilabel"):
        what = "a number" if task == "regression" else "one of several classes"
        raise ValueError(f"threshold: applies to yes or no, but the target is {what}: omit it.")
    if given == "auto":
        return None
    try:
        if isinstance(given, str) and given.startswith("cost:"):
            missed, false_alarm = map(float, given.removeprefix("cost:").split(":"))
            found = false_alarm / (false_alarm + missed)
        else:
            found = float(given)
    except (ValueError, ZeroDivisionError):
        found = math.nan
    if not 0 < found < 1:
        raise ValueError(
            'threshold: expected a number between 0 and 1, "auto", or the costs of missing a case and of a false '
            f'alarm, as in "cost:10:1", got {given!r}.'
        )
    return found


def is_ensemble(estimator: Any) -> bool:
    """Return whether an estimator is an ensemble for tables."""
    return isinstance(estimator, TabularClassifier | TabularRegressor)


def thresholds(estimator: Any) -> Array | None:
    """Return the thresholds of a fitted classifier's probabilities, one for each class or label, if it has any."""
    found: Array | None = estimator.ensemble_.thresholds if is_ensemble(estimator) else estimator._thresholds()  # noqa: SLF001
    return found


def networks_at(estimator: Any, X: Array) -> tuple[Sequence[Network], Array]:
    """Return the networks of a fitted estimator, and what they take for the rows X that the estimator takes."""
    if is_ensemble(estimator):
        return estimator.members_, estimator.ensemble_.encoding(np.asarray(X, np.float64))
    return [inside(estimator).network_], X


def inside(estimator: Any) -> Any:
    """Return chainrule's fitted estimator: the one given, or the one inside a TransformedTargetRegressor."""
    return getattr(estimator, "regressor_", estimator)


def put_inside(estimator: Any, regressor: Any, scaler: Any, ndim: int) -> None:
    """Make a fitted regressor and the fitted scaler of its target the parts of a TransformedTargetRegressor."""
    from sklearn.base import clone  # noqa: PLC0415  (start-up time)

    estimator.transformer, estimator.transformer_, estimator.regressor_ = clone(scaler), scaler, regressor
    estimator._training_dim = ndim  # noqa: SLF001  (which its fit would set)


def plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments as JSON; types that JSON lacks become text."""
    kept = (str, int, float, list, type(None))
    return {k: v if isinstance(v, kept) and v != ENDLESS else repr(v) for k, v in arguments.items()}
