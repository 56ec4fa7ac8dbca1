"""The search: Optuna's loop over the trials, which are trained in this process or in several workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna

from chainrule.tables.tuning.objective import Outcome, Problem, Report
from chainrule.tables.tuning.on_dask import Cluster
from chainrule.tables.tuning.result import TrialRecord
from chainrule.tables.tuning.shared import Silent, beating
from chainrule.tables.tuning.study import FINISHED, finished, point_of, records, reseed
from chainrule.tables.tuning.workers import workers

POLL = 1.0  # seconds between two looks at trials of other processes
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
    shared : bool
        Whether other processes search the same study.
    cluster : Cluster, optional
        Cluster that trains ``jobs`` trials at a time; by default, worker processes of this machine do.
    """

    study: optuna.Study
    problem: Problem
    seed: int
    trials: int | None
    seconds: float | None = None
    jobs: int = 1
    on_trial: OnTrial | None = None
    start: float = field(default_factory=time.monotonic)
    shared: bool = False
    cluster: Cluster | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _ending: threading.Event = field(default_factory=threading.Event, init=False)
    _silent: Silent = field(default_factory=Silent, init=False)

    def run(self) -> None:
        """Try points until there are enough trials, or the time is up.

        Raises
        ------
        KeyboardInterrupt
            At Ctrl-C; the trials that it ends are tried again when the study is resumed.
        """
        search = self._share if self.shared else self._optimize
        threads = self.jobs if self.shared else 1  # Optuna starts its own
        if self.jobs == 1 and self.cluster is None:
            search(self.problem.evaluate)
            return
        trained = workers(self.problem, self.jobs) if self.cluster is None else self.cluster.workers(self.problem)
        with ThreadPoolExecutor(threads) as pool, trained as evaluate:
            running = [pool.submit(search, evaluate) for _ in range(threads)]
            try:
                while (found := wait(running, timeout=0.2, return_when=FIRST_EXCEPTION)).not_done:
                    for ended in found.done:
                        ended.result()  # its error, or Ctrl-C, noticed here, ends the workers and the threads
            finally:
                self._ending.set()
            for ended in running:
                ended.result()

    def _optimize(self, evaluate: Callable[[dict[str, Any], Report], Outcome]) -> None:
        self._deadline = self._time_for_trials()
        done = finished(self.study)
        default_left = self.problem.default not in [trial.params for trial in done]
        timeout = None if self._deadline == np.inf else max(0.0, self._deadline - time.monotonic())
        try:
            self.study.optimize(
                lambda trial: self._objective(trial, evaluate),
                n_trials=None if self.trials is None else max(self.trials - len(done), default_left),
                timeout=None if default_left else timeout,
                n_jobs=self.jobs,
                catch=(OutOfTime,),
                callbacks=[self._ended],
            )
        except AssertionError as error:  # of Optuna, where the log of the study cannot be written
            raise error.__context__ or error from None

    def _share(self, evaluate: Callable[[dict[str, Any], Report], Outcome]) -> None:
        """Try points until the study, in which other processes do the same, has enough trials, or the time is up."""
        while not self._ending.is_set() and (room := self.room()) is not None:
            if room:
                self.one(evaluate)
            else:
                self._ending.wait(POLL)
            self._silent.give_up(self.study, self.problem)

    def room(self) -> int | None:
        """Return how many more trials may be started now; None when there are enough, or the time is up."""
        self._deadline = self._time_for_trials()
        late = time.monotonic() > self._deadline
        done, running, queued = (finished(self.study, *states) for states in (FINISHED, ("RUNNING",), ("WAITING",)))
        free = self.jobs if self.trials is None else max(0, self.trials - len(done) - len(running))
        if self.problem.default in [trial.params for trial in done]:
            over = late or (self.trials is not None and len(done) >= self.trials)
            return None if over else free
        if self.problem.default in map(point_of, running):
            return 0 if late else free
        if self.problem.default not in map(point_of, queued):  # its process has ended with an error
            self.study.enqueue_trial(self.problem.default)
        return max(1, free)

    def one(self, evaluate: Callable[[dict[str, Any], Report], Outcome]) -> None:
        """Try one point."""
        trial, value, state = self.study.ask(), None, optuna.trial.TrialState.FAIL
        try:
            with beating(trial):
                value = self._objective(trial, evaluate)
            state = optuna.trial.TrialState.COMPLETE
        except optuna.TrialPruned:
            state = optuna.trial.TrialState.PRUNED
        except (OutOfTime, optuna.exceptions.UpdateFinishedTrialError):
            pass  # the time is up, or this process was stopped for so long that others have given the trial up
        finally:
            self.study.tell(trial, value, state, skip_if_finished=True)
        self._ended(self.study, trial)

    def _surplus(self, trial: optuna.Trial) -> bool:
        """Return whether other processes have begun enough trials before this one."""
        earlier = [other for other in finished(self.study, *FINISHED, "RUNNING") if other.number < trial.number]
        return self.shared and self.trials is not None and len(earlier) >= self.trials

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

        if point != self.problem.default and self._surplus(trial):
            raise OutOfTime
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

    def _ended(self, study: optuna.Study, trial: optuna.Trial | optuna.trial.FrozenTrial) -> None:
        with self._lock:
            if not self.shared:
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
