"""A fit epoch by epoch: one call of :func:`chainrule.train`, by scikit-learn's rules. ``e`` is the estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from chainrule._internal.names import reword
from chainrule._internal.typing import Array
from chainrule.advice import left_to_the_caller, sample
from chainrule.estimators._contract import Continued, Contract, LegacyShuffle, Rate, SolverState, TrainingScore
from chainrule.estimators._settings import NAMES, build_optimizer, build_penalties
from chainrule.estimators.advice import warn_unconverged
from chainrule.schedules import Schedule
from chainrule.training.callbacks import Progress
from chainrule.training.clipping import ClipNorm
from chainrule.training.loop import DivergenceError, train

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


def fit_stochastic(
    e: Any,
    X: Any,
    y: Array,
    weight: Array | None,
    held_out: tuple[Any, ...] | None,
    random_state: np.random.RandomState,
    *,
    incremental: bool,
) -> bool:
    """Train ``e.network_`` by mini-batches, and leave what happened in the estimator's attributes.

    Return whether Ctrl-C ended it.
    ``held_out`` are validation rows of the user's own; ``incremental`` is one epoch of ``partial_fit``.
    """
    weight_val = None
    if e.early_stopping and held_out is None:
        if incremental:
            raise ValueError("partial_fit does not support early_stopping=True without X_val and y_val")
        X, X_val, y, y_val, weight, weight_val = _split(e, X, y, weight, random_state)
        held_out = (X_val, y_val) if weight_val is None or not weight_val.any() else (X_val, y_val, weight_val)
    rows = X.shape[0]
    batch_size = min(200 if e.batch_size == "auto" else e.batch_size, rows)
    if e.batch_size != "auto" and e.batch_size > rows:
        message = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        warnings.warn(message, stacklevel=5)
    if not incremental or e._progression is None:
        optimizer = build_optimizer(e)
        memory = optimizer.start(e.network_.theta, e.network_.weights)
        waited = e._progression.without_improvement if e._progression else 0
        e._progression = SolverState(optimizer, memory, Rate(), e._loss_divisor(), waited)
    progression = e._progression
    _take_settings(e, progression)
    progression.memory.weights = e.network_.weights  # those of a copy or of an unpickled model are its own
    e.n_iter_ = 0
    contract = Contract(e, progression, progression.rate, batch_size)
    on_train = TrainingScore(sample(X), sample(y), _scorer(e, None)) if held_out is not None else None
    random = e.layers is not None or e.input_dropout or np.any(e.dropout)
    try:
        with left_to_the_caller():
            e.history_ = train(
                e.network_,
                X,
                y,
                optimizer=progression.optimizer,
                state=progression.memory,
                schedule=_schedule(e, progression, incremental=incremental),
                penalties=build_penalties(e),
                clip=None if e.gradient_clip is None else ClipNorm(e.gradient_clip),
                sample_weight=weight,
                validation=held_out,
                metrics={"score": _scorer(e, weight_val)},
                epochs=1 if incremental else e.max_iter,
                batch_size=batch_size,
                shuffle=LegacyShuffle(random_state) if e.shuffle else False,
                callbacks=[
                    contract,
                    *([on_train] if on_train else []),
                    *([Progress()] if e.progress else []),
                    *(e.callbacks or []),
                ],
                resume=e.resume,
                seed=int(random_state.randint(2**31 - 1)) + e.t_ if random else 0,  # another in each partial_fit
            )
        if on_train:
            e.history_.add("score", on_train.scores)
    except DivergenceError as error:
        _diverged(e, error, progression)
    if e.early_stopping and not incremental and progression.best_theta is not None:
        e.network_.values[:] = progression.best_theta
    interrupted = e.history_.stopped.startswith("interrupted")
    if interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    elif not incremental and e.n_iter_ == e.max_iter:
        warn_unconverged(e.loss_curve_, e.max_iter, e.tol)
    return bool(interrupted)


def _take_settings(e: Any, progression: SolverState) -> None:
    """Obey what ``set_params`` has changed since the last ``partial_fit``; another optimizer begins its memory anew."""
    optimizer = build_optimizer(e)
    if type(optimizer) is not type(progression.optimizer):
        progression.memory = optimizer.start(e.network_.theta, e.network_.weights)
    progression.optimizer, progression.loss_divisor = optimizer, e._loss_divisor()


def _schedule(e: Any, progression: SolverState, *, incremental: bool) -> Schedule:
    """Return the schedule; that of ``partial_fit`` counts all epochs, of the ``max_iter`` that there shall be."""
    if not isinstance(e.learning_rate, Schedule):
        return progression.rate
    return Continued(e.learning_rate, len(e.loss_curve_), e.max_iter) if incremental else e.learning_rate


def _diverged(e: Any, error: DivergenceError, progression: SolverState) -> None:
    """End with the best parameters so far if early stopping kept some, else with an error."""
    if not e.early_stopping or progression.best_theta is None:
        raise ValueError(f"{NOT_FINITE} {error}") from error
    e.history_ = error.history
    e.loss_curve_.append(np.nan)
    e.validation_scores_.append(np.nan)
    warnings.warn(f"{reword(str(error), NAMES)} Its best parameters so far are kept.", ConvergenceWarning, stacklevel=6)


def _scorer(e: Any, weight: Array | None) -> Callable[[Array, Array], float]:
    def score(t: Array, p: Array) -> float:
        return e._score_of(t, p, weight) if np.isfinite(p).all() else float("nan")

    return score


def _split(e: Any, X: Any, y: Array, weight: Array | None, random_state: np.random.RandomState) -> tuple[Any, ...]:
    arrays = [X, y] if weight is None else [X, y, weight]
    parts = train_test_split(
        *arrays, random_state=random_state, test_size=e.validation_fraction, stratify=e._stratify(y)
    )
    if parts[1].shape[0] < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    return tuple(parts) if weight is not None else (*parts, None, None)
