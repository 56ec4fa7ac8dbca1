"""The estimator of a stream: made as ``fit`` would make it, trained piece by piece, and afterwards like any other."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from chainrule._internal.typing import Array
from chainrule.estimators._settings import build_optimizer, build_penalties, is_lbfgs
from chainrule.schedules import Constant, Schedule
from chainrule.tables.streaming.fitting import Plan
from chainrule.training.clipping import ClipNorm
from chainrule.training.history import History

__all__ = ["finish", "plan", "start"]


def start(model: Any, inputs: int, labels: Array | None, outputs: int) -> Any:
    """Draw the parameters of an MLPClassifier (with ``labels``) or MLPRegressor, from its own ``random_state``.

    They are those that ``fit`` would draw.
    """
    model._validate_params()
    if labels is not None:
        model._learn_labels(labels)
    model.n_features_in_, model.n_outputs_ = inputs, outputs
    model._start(inputs, model.dtype or np.float32, check_random_state(model.random_state))
    return model


def plan(model: Any, epochs: int, patience: int, seed: int) -> Plan:
    """Return how the estimator's arguments say that it is trained."""
    if is_lbfgs(model) or model.learning_rate in ("invscaling", "adaptive"):
        raise ValueError(
            "a streamed table cannot be trained with solver='lbfgs' or learning_rate='invscaling' or 'adaptive': leave "
            "them out, or give a solver such as 'adam' and a schedule."
        )
    schedule = model.learning_rate if isinstance(model.learning_rate, Schedule) else Constant()
    clip = None if model.gradient_clip is None else ClipNorm(model.gradient_clip)
    batch = 200 if model.batch_size == "auto" else model.batch_size
    return Plan(build_optimizer(model), schedule, epochs, batch, build_penalties(model), clip, patience, seed)


def finish(model: Any, history: History, rows: int) -> None:
    """Set the attributes that ``fit`` leaves behind."""
    model.history_ = history
    model.loss_curve_ = list(history["loss"])
    model.loss_ = model.loss_curve_[-1] if model.loss_curve_ else float("nan")
    model.best_loss_ = min(model.loss_curve_, default=float("nan"))
    model.n_iter_, model.t_ = len(history), rows
