"""scikit-learn's rules between epochs, as a callback, a schedule and a shuffler for :func:`chainrule.train`.

Source of the rules: the documentation of ``sklearn.neural_network.MLPClassifier`` (1.9) and what it computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._internal.backend import host
from chainrule._internal.typing import Array
from chainrule.estimators._record import FitRecord, SolverState
from chainrule.files.states import check_state, check_stream, form
from chainrule.schedules import Schedule
from chainrule.training.callbacks import Callback, Run

WATCHED = {
    "n_iter_": "count",
    "t_": "count",
    "loss_": "number?",
    "loss_curve_": "numbers",
    "best_loss_": "number?",
    "validation_scores_": "numbers?",
    "best_validation_score_": "number?",
}
"""The attributes of an estimator that change from epoch to epoch, with their types in a checkpoint."""


class LegacyShuffle:
    """Shuffle the rows as ``sklearn.utils.shuffle`` does with a ``RandomState``."""

    def __init__(self, random_state: np.random.RandomState) -> None:
        self._random_state = random_state

    def shuffle(self, x: Array) -> None:
        """Permute x in place."""
        drawn = np.arange(len(x))
        self._random_state.shuffle(drawn)
        x[:] = x[drawn]

    def state(self) -> dict[str, Any]:
        """Return the state of the ``RandomState``, for a checkpoint."""
        return self._random_state.get_state(legacy=False)

    def restore(self, state: dict[str, Any]) -> None:
        """Restore such a state."""
        self._random_state.set_state(check_stream(state, self.state()))


class Continued(Schedule):
    """A schedule for training in several parts: ``done`` of ``epochs`` epochs are complete."""

    def __init__(self, schedule: Schedule, done: int, epochs: int) -> None:
        self.schedule, self.done, self.epochs = schedule, done, max(epochs, done + 1)

    def factor(self, epoch: float, epochs: float) -> float:
        return self.schedule.factor(self.done + epoch, self.epochs)


class Contract(Callback):
    """The stopping rule, the learning rate and the attributes of a fit, epoch by epoch.

    Without early stopping, the monitored value is the loss: the mean over the rows of each batch's L, including
    penalties. With early stopping, it is the score on the validation rows, ``val_score`` of the history. When it has
    not improved by more than ``tol`` for more than ``n_iter_no_change`` epochs, training ends; an adaptive learning
    rate is divided by 5 instead, until it is 1e-6 or less.
    """

    def __init__(self, estimator: Any, record: FitRecord, solver: SolverState, batch_size: int) -> None:
        self.estimator, self.record, self.solver, self.batch_size = estimator, record, solver, batch_size
        self.rate = solver.rate

    def on_epoch(self, run: Run) -> None:
        e, record, solver = self.estimator, self.record, self.solver
        record.n_iter_ += 1
        record.t_ += run.rows
        record.loss_ = self._mean_loss(run)
        record.loss_curve_.append(record.loss_)
        if e.verbose:
            print(f"Iteration {record.n_iter_}, loss = {record.loss_:.8f}")  # noqa: T201  (verbose prints)
        improved = self._watch_score(run) if e.early_stopping else self._watch_loss()
        solver.without_improvement = 0 if improved else solver.without_improvement + 1
        if e.solver == "sgd" and e.learning_rate == "invscaling":
            self.rate.now["factor"] = 1 / (record.t_ + 1) ** e.power_t
        if solver.without_improvement > e.n_iter_no_change:
            what = "Validation score" if e.early_stopping else "Training loss"
            self._give_up(
                run, f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive epochs."
            )
            if not run.stopped:  # a warm start keeps counting
                solver.without_improvement = 0

    def on_start(self, run: Run) -> None:
        self._form = form(run.network.values)

    def state(self) -> dict[str, Any]:
        solver = self.solver
        return {name: getattr(self.record, name, None) for name in WATCHED} | {
            "without_improvement": solver.without_improvement,
            "best_theta": solver.best_theta,
            "factor": self.rate.now["factor"],
        }

    def restore(self, state: dict[str, Any]) -> None:
        kinds = {**WATCHED, "without_improvement": "count", "best_theta": self._form, "factor": "number"}
        *watched, count, theta, factor = check_state(state, kinds)
        for name, value in zip(WATCHED, watched, strict=True):
            setattr(self.record, name, value)
        self.solver.without_improvement, self.solver.best_theta = count, theta
        self.rate.now["factor"] = factor

    def _mean_loss(self, run: Run) -> float:
        """Return the mean over the rows of L with penalties, where each row has the L of its batch."""
        values = run.losses / self.estimator._loss_divisor() + run.penalties
        last = run.rows - (run.batches - 1) * self.batch_size  # the last batch may be smaller
        return float((self.batch_size * values[:-1].sum() + last * values[-1]) / run.rows)

    def _watch_loss(self) -> bool:
        e, record = self.estimator, self.record
        improved = not record.loss_ > record.best_loss_ - e.tol
        record.best_loss_ = min(record.best_loss_, record.loss_)
        return improved

    def _watch_score(self, run: Run) -> bool:
        e, record = self.estimator, self.record
        score = run.history["val_score"][-1]
        record.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")  # noqa: T201
        improved = not score < record.best_validation_score_ + e.tol
        if score > record.best_validation_score_:
            record.best_validation_score_ = score
            self.solver.best_theta = host(run.network.values).copy()
        return improved

    def _give_up(self, run: Run, message: str) -> None:
        e = self.estimator
        rate = e.learning_rate_init * self.rate.now["factor"]
        end = "Stopping."
        if e.solver == "sgd" and e.learning_rate == "adaptive":
            if rate > 1e-6:
                self.rate.now["factor"] /= 5
                end = f"Setting learning rate to {rate / 5:f}"
            else:
                end = "Learning rate too small. Stopping."
        if e.verbose:
            print(f"{message} {end}")  # noqa: T201
        if end.endswith("Stopping."):
            run.stop(message)


class TrainingScore(Callback):
    """Record the score on at most 1,000 training rows after every epoch, to compare with the validation score."""

    def __init__(self, X: Any, t: Array, score: Callable[[Array, Array], float]) -> None:
        self.X, self.t, self.score = X, t, score
        self.scores: list[float] = []

    def on_epoch(self, run: Run) -> None:
        self.scores.append(self.score(self.t, run.network.predict(self.X)))

    def state(self) -> dict[str, Any]:
        return {"scores": self.scores}

    def restore(self, state: dict[str, Any]) -> None:
        [self.scores] = check_state(state, {"scores": "numbers"})
