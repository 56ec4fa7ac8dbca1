"""What scikit-learn's MLP does between two epochs, as callback, schedule and batch source of :func:`chainrule.train`.

Source of the rules: the documentation of ``sklearn.neural_network.MLPClassifier`` (1.9) and what it computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._typing import Array
from chainrule.callbacks import Callback, Run
from chainrule.schedules import Schedule


class LegacyShuffle:
    """The order of the rows as ``sklearn.utils.shuffle`` draws it from a ``RandomState``."""

    def __init__(self, random_state: np.random.RandomState) -> None:
        self._random_state = random_state

    def shuffle(self, x: Array) -> None:
        """Permute x in place."""
        drawn = np.arange(len(x))
        self._random_state.shuffle(drawn)
        x[:] = x[drawn]


class Rate(Schedule):
    """A factor that somebody else sets between the epochs."""

    def __init__(self) -> None:
        self.current = {"factor": 1.0}  # a value does not change, but this may

    def factor(self, epoch: float, epochs: float) -> float:
        return self.current["factor"]


class Contract(Callback):
    """The stopping rule, the learning rate and the attributes of a fit, epoch by epoch.

    Without early stopping the loss is watched: the mean over the rows of each batch's L, penalties included. With it,
    the score on the validation rows, and the best parameters come back at the end. When the watched value has not
    improved by more than ``tol`` for more than ``n_iter_no_change`` epochs, training ends; with the adaptive rate it is
    divided by 5 instead, until it is 1e-6 or less.
    """

    def __init__(self, estimator: Any, rate: Rate, batch_size: int, score: Callable[[], float] | None) -> None:
        self.estimator, self.rate, self.batch_size, self.score = estimator, rate, batch_size, score

    def on_start(self, run: Run) -> None:
        self._sum = 0.0
        self._best: Array | None = None

    def on_batch(self, run: Run) -> None:
        rows = min(self.batch_size, run.rows - (run.batch - 1) * self.batch_size)
        outputs = run.network.output_shape[0] if self.estimator._loss_is_mean_over_outputs() else 1
        self._sum += (run.loss / outputs + run.penalty) * rows

    def on_epoch(self, run: Run) -> None:
        e = self.estimator
        e.n_iter_ += 1
        e.t_ += run.rows
        e.loss_ = self._sum / run.rows
        self._sum = 0.0
        e.loss_curve_.append(e.loss_)
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")  # noqa: T201  (verbose prints)
        self._watch(run)
        if e.solver == "sgd" and e.learning_rate == "invscaling":
            self.rate.current["factor"] = 1 / (e.t_ + 1) ** e.power_t
        if e._no_improvement > e.n_iter_no_change:
            e._no_improvement = 0
            what = "Validation score" if self.score else "Training loss"
            message = f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive epochs."
            self._give_up(run, message)

    def _watch(self, run: Run) -> None:
        e = self.estimator
        if self.score is None:
            e._no_improvement = e._no_improvement + 1 if e.loss_ > e.best_loss_ - e.tol else 0
            e.best_loss_ = min(e.best_loss_, e.loss_)
            return
        score = self.score()
        e.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")  # noqa: T201
        e._no_improvement = e._no_improvement + 1 if score < e.best_validation_score_ + e.tol else 0
        if score > e.best_validation_score_:
            e.best_validation_score_ = score
            self._best = run.network.theta.copy()

    def _give_up(self, run: Run, message: str) -> None:
        e = self.estimator
        rate = e.learning_rate_init * self.rate.current["factor"]
        if e.solver == "sgd" and e.learning_rate == "adaptive" and rate > 1e-6:
            self.rate.current["factor"] /= 5
            if e.verbose:
                print(f"{message} Setting learning rate to {rate / 5:f}")  # noqa: T201
            return
        if e.verbose:
            print(f"{message} Stopping.")  # noqa: T201
        run.stop(message)

    def on_end(self, run: Run) -> None:
        if self._best is not None:
            run.network.theta = self._best


def glorot(random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float, shape: Any) -> Array:
    """Return uniform numbers on ±√(factor / (fan_in + fan_out)), drawn as scikit-learn draws them."""
    bound = math.sqrt(factor / (fan_in + fan_out))
    return random_state.uniform(-bound, bound, shape)
