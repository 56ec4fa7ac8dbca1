"""Mini-batch fitting: one call of :func:`chainrule.train`, with scikit-learn's rules.

The estimator ``e`` is read, the record is written.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from chainrule._internal.names import reword
from chainrule._internal.taken import taken
from chainrule._internal.typing import Array
from chainrule.advice import left_to_the_caller, sample
from chainrule.estimators._contract import Continued, Contract, LegacyShuffle, TrainingScore
from chainrule.estimators._record import FitRecord, SolverState
from chainrule.estimators._settings import NAMES, build_optimizer, build_penalties
from chainrule.estimators.advice import warn_unconverged
from chainrule.schedules import Rate, Schedule
from chainrule.training.callbacks import Progress
from chainrule.training.clipping import ClipNorm
from chainrule.training.loop import DivergenceError, train

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


def fit_stochastic(
    e: Any,
    record: FitRecord,
    X: Any,
    y: Array,
    weight: Array | None,
    held_out: tuple[Any, ...] | None,
    random_state: np.random.RandomState,
    *,
    incremental: bool,
) -> bool:
    """Train the record's network on mini-batches; return whether Ctrl-C ended it.

    ``held_out`` is the user's validation set; ``incremental`` means one epoch of ``partial_fit``.
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
    network, solver = record.network_, _solver(e, record, incremental=incremental)
    record.n_iter_ = 0
    contract = Contract(e, record, solver, batch_size)
    on_train = TrainingScore(sample(X), sample(y), _scorer(e, None)) if held_out is not None else None
    random = e.layers is not None or e.input_dropout or np.any(e.dropout)
    try:
        with left_to_the_caller():
            record.history_ = train(
                network,
                X,
                y,
                optimizer=solver.optimizer,
                state=solver.memory,
                schedule=_schedule(e, record, solver, incremental=incremental),
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
                reduce=e._reduce,
                device=e.device,
                precision=e.precision,
                resume=e.resume,
                seed=int(random_state.randint(2**31 - 1)) + record.t_ if random else 0,  # a new one per partial_fit
            )
        if on_train:
            record.history_.add("score", on_train.scores)
    except DivergenceError as error:
        _diverged(e, record, error, solver)
    if e.early_stopping and not incremental and solver.best_theta is not None:
        network.values[:] = solver.best_theta
    interrupted = record.history_.stopped.startswith("interrupted")
    if interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    elif not incremental and record.n_iter_ == e.max_iter:
        warn_unconverged(record.loss_curve_, e.max_iter, e.tol)
    return bool(interrupted)


def _solver(e: Any, record: FitRecord, *, incremental: bool) -> SolverState:
    """Return the solver's initial state: that of the last ``partial_fit``, as far as it is still compatible.

    It respects changes made with ``set_params``; a different optimizer starts with new state.
    """
    optimizer, network, known = build_optimizer(e), record.network_, record.solver
    fresh = SolverState(optimizer, optimizer.start(network.theta, network.weights), Rate())
    if known is None:
        record.solver = fresh
    elif not incremental:
        record.solver = replace(fresh, without_improvement=known.without_improvement)
    else:
        memory = known.memory if type(optimizer) is type(known.optimizer) else fresh.memory
        memory.weights = network.weights  # a copied or unpickled model has its own
        record.solver = replace(known, optimizer=optimizer, memory=memory)
    return record.solver


def _schedule(e: Any, record: FitRecord, solver: SolverState, *, incremental: bool) -> Schedule:
    """Return the schedule; for ``partial_fit`` it counts all epochs so far, out of ``max_iter``."""
    if not isinstance(e.learning_rate, Schedule):
        return solver.rate
    return Continued(e.learning_rate, len(record.loss_curve_), e.max_iter) if incremental else e.learning_rate


def _diverged(e: Any, record: FitRecord, error: DivergenceError, solver: SolverState) -> None:
    """Restore the best parameters if early stopping kept any, else raise an error."""
    if not e.early_stopping or solver.best_theta is None:
        raise ValueError(f"{NOT_FINITE} T{str(error)[1:]}") from error
    record.history_ = error.history
    record.loss_curve_.append(np.nan)
    record.validation_scores_.append(np.nan)
    warnings.warn(f"{reword(str(error), NAMES)} The best parameters so far are kept.", ConvergenceWarning, stacklevel=6)


def _scorer(e: Any, weight: Array | None) -> Callable[[Array, Array], float]:
    def score(t: Array, p: Array) -> float:
        return e._score_of(t, p, weight) if np.isfinite(p).all() else float("nan")

    return score


def _split(e: Any, X: Any, y: Array, weight: Array | None, random_state: np.random.RandomState) -> tuple[Any, ...]:
    rows = train_test_split(
        np.arange(X.shape[0]), random_state=random_state, test_size=e.validation_fraction, stratify=e._stratify(y)
    )
    if len(rows[1]) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    weights = [None, None] if weight is None else [weight[some] for some in rows]
    return (*(taken(X, some) for some in rows), *(y[some] for some in rows), *weights)
