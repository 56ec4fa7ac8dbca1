"""The search: Optuna's loop over the trials, which are trained in this process or in several workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna

from chainrule.tables.tuning.objective import Outcome, Problem, Report
from chainrule.tables.tuning.result import TrialRecord
from chainrule.tables.tuning.study import finished, records, reseed
from chainrule.tables.tuning.workers import workers

AFTER = 10.0  # seconds of a run after the trials and the last fit: baselines, scores, report, pictures

OnTrial = Callable[[TrialRecord, tuple[TrialRecord, ...]], None]
"""Takes the trial that has just finished, and all that are finished."""


class OutOfTime(Exception):  # noqa: N818  (not an error)
    """The time is up: the trial is tried again when the study is resumed."""


@dataclass
class Search:
    """A search.

    Parameters
    ----------
    study : optuna.Study
    problem : Problem
    seed : int
    trials : int, optional
        The number of finished trials that the study is to have.
    seconds : float, optional
        The time from ``start``, the last fit included.
    jobs : int
    on_trial : function, optional
        Called with the trial that has just finished, and the tuple of all that are finished.
    start : float
        When the run began, by ``time.monotonic``.
    """

    study: optuna.Study
    problem: Problem
    seed: int
    trials: int | None
    seconds: float | None = None
    jobs: int = 1
    on_trial: OnTrial | None = None
    start: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(self) -> None:
        """Try points until there are enough trials, or the time is up.

        Raises
        ------
        KeyboardInterrupt
            At Ctrl-C; the trials that it ends are tried again when the study is resumed.
        """
        if self.jobs == 1:
            self._optimize(self.problem.evaluate)
            return
        with ThreadPoolExecutor(1) as pool, workers(self.problem, self.jobs) as evaluate:
            running = pool.submit(self._optimize, evaluate)
            while not wait([running], timeout=0.2).done:
                pass  # Ctrl-C, noticed between two waits, ends the workers, and with them Optuna's threads
            running.result()

    def _optimize(self, evaluate: Callable[[dict[str, Any], Report], Outcome]) -> None:
        self._deadline = self._time_for_trials()
        done = finished(self.study)
        default_left = self.problem.default not in [trial.params for trial in done]
        timeout = None if self._deadline == np.inf else max(0.0, self._deadline - time.monotonic())
        self.study.optimize(
            lambda trial: self._objective(trial, evaluate),
            n_trials=None if self.trials is None else max(self.trials - len(done), default_left),
            timeout=None if default_left else timeout,
            n_jobs=self.jobs,
            catch=(OutOfTime,),
            callbacks=[self._ended],
        )

    def _objective(self, trial: optuna.Trial, evaluate: Callable[[dict[str, Any], Report], Outcome]) -> float:
        point = {dimension.name: dimension.suggest(trial) for dimension in self.problem.space}

        def report(step: int, values: list[float]) -> None:
            """Report the mean over all folds, with the worst value for those to come.

            This way the value improves from fold to fold, as Optuna's pruner expects, which takes the best of all
            steps; and trials are compared over the same folds.
            """
            measure = self.problem.measure
            values = [measure.bounded(value) for value in values]
            to_come = [measure.worst] * (len(self.problem.folds) - len(values))
            trial.report(float(np.mean([*values, *to_come])), step)
            if point == self.problem.default:
                return
            if time.monotonic() > self._deadline:
                raise OutOfTime
            if trial.should_prune():
                trial.set_user_attr("folds", values)
                raise optuna.TrialPruned

        try:
            outcome = evaluate(point, report)
        except ValueError as error:
            if point == self.problem.default:
                raise  # then something else is wrong
            trial.set_user_attr("failed", str(error)[:300])
            raise optuna.TrialPruned from None
        for name, value in outcome._asdict().items():
            trial.set_user_attr(name, value)
        return float(np.mean(outcome.folds))

    def _ended(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        with self._lock:
            reseed(study, self.seed)
            self._deadline = self._time_for_trials()
            if time.monotonic() > self._deadline:
                study.stop()
            numbers = [other.number for other in finished(study)]
            if self.on_trial is not None and trial.number in numbers:
                every = records(study)
                self.on_trial(every[numbers.index(trial.number)], every)

    def _time_for_trials(self) -> float:
        """Return when trials must end for the best to be fitted in time, which takes a bit more than a fold."""
        if self.seconds is None or not finished(self.study, "COMPLETE"):
            return float("inf")
        seconds = self.study.best_trial.user_attrs["seconds"]
        fit = 1.5 * seconds / len(self.problem.folds) + (seconds if self.problem.thresholds else 0)
        return self.start + self.seconds - fit - min(AFTER, 0.25 * self.seconds)
