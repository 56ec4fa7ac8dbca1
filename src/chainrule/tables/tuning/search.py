"""The search: trials one after another, or several at once in processes of their own, until there are enough."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from chainrule._internal.extras import require
from chainrule.tables.tuning import study as studies
from chainrule.tables.tuning.objective import Cut, Outcome, Problem
from chainrule.tables.tuning.pruning import hopeless
from chainrule.tables.tuning.space import Dimension

if TYPE_CHECKING:
    import optuna
else:
    optuna = Any

AFTER = 10.0  # seconds of a run beside its trials and the fit at the end: baselines, scores, report, pictures


class Step(NamedTuple):
    """What there is to say after a trial."""

    number: int  # of finished trials, this one among them
    trials: int | None  # how many there will be
    state: str  # "whole", "pruned" or "diverged"
    value: float | None
    best: float | None
    seconds: float
    left: float  # seconds
    point: dict[str, Any]


@dataclass
class Search:
    """A search that goes on: what was asked for, and the trials in flight.

    Parameters
    ----------
    study : optuna.Study
    problem : Problem
    dimensions : tuple of Dimension
    default : dict
        The point that is never pruned, and for which a limit of time waits.
    trials : int, optional
        How many finished trials the study shall have.
    seconds : float, optional
        How long the run may take, the fit of the best at the end among it.
    jobs : int
    heard : function, optional
        Called with a :class:`Step` after each trial.
    start : float
        When the run began, by ``time.monotonic``.
    """

    study: optuna.Study
    problem: Problem
    dimensions: tuple[Dimension, ...]
    default: dict[str, Any]
    trials: int | None
    seconds: float | None
    jobs: int = 1
    heard: Callable[[Step], None] = lambda _: None
    start: float = field(default_factory=time.monotonic)
    _live: dict[int, optuna.Trial] = field(default_factory=dict, init=False)
    _begun: dict[int, float] = field(default_factory=dict, init=False)
    _lasted: list[float] = field(default_factory=list, init=False)
    _others: list[dict[int, float]] = field(default_factory=list, init=False)
    _ended: int = field(default=0, init=False)
    _fit: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Try points until there are enough trials, or there is no time for another one.

        Raises
        ------
        KeyboardInterrupt
            After trials in flight have been put in the queue again.
        """
        for trial in studies.finished(self.study):
            studies.check_finished(trial, self.dimensions)
        for trial in reversed(studies.whole(self.study)):
            self._remember(trial)
        try:
            if self.jobs == 1:
                self._one_by_one()
            else:
                from chainrule.tables.tuning.workers import side_by_side  # noqa: PLC0415

                side_by_side(self)
        finally:
            for number in [*self._live]:
                with contextlib.suppress(Exception):  # what is left is found when the study is opened again
                    self.put_back(number)

    def _one_by_one(self) -> None:
        while self.wanted():
            number, values = self.ask()
            try:
                outcome = self.problem.evaluate(values, partial(self.report, number))
            except Cut as cut:
                self.cut(number, str(cut))
            except ValueError as error:
                self.diverged(number, error)
            else:
                self.done(number, outcome)

    # ------------------------------------------------------------ what happens to a trial

    def wanted(self) -> bool:
        """Say whether to begin another trial."""
        begun = len(studies.finished(self.study)) + len(self._live)
        if self.trials is not None:
            return begun < self.trials
        return not begun or time.monotonic() + min(self._lasted, default=0.0) < self._deadline()

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Begin a trial, and return its number and its point."""
        begun = len(studies.finished(self.study)) + len(self._live)
        trial = studies.ask(self.study, self.study.user_attrs[studies.ABOUT]["seed"], self.dimensions, begun)
        studies.check_point(trial, self.dimensions)
        self._live[trial.number], self._begun[trial.number] = trial, time.monotonic()
        return trial.number, {dimension.name: trial.params[dimension.name] for dimension in self.dimensions}

    def report(self, number: int, step: int, value: float) -> str:
        """Keep the value of a step, and return why the trial should end, or nothing."""
        trial = self._live[number]
        trial.report(value, step)
        if trial.params == self.default:
            return ""
        if self.seconds is not None and self._others and time.monotonic() > self._deadline():
            return "time"
        return "pruned" if hopeless(step, value, self._others) else ""

    def done(self, number: int, outcome: Outcome) -> None:
        """End a trial that was trained on all folds."""
        trial = self._live[number]
        trial.set_user_attr("folds", outcome.values)
        trial.set_user_attr("epochs", outcome.epochs)
        trial.set_user_attr("seconds", outcome.seconds)
        self._tell(number, "COMPLETE", outcome.value)
        self._remember(self.study.get_trials(deepcopy=False)[number])
        self._say(number, "whole", outcome.value)

    def _remember(self, trial: optuna.trial.FrozenTrial) -> None:
        self._others.append(trial.intermediate_values)
        self._lasted.append(trial.user_attrs["seconds"])
        if trial.value == studies.whole(self.study)[0].value:
            self._fit = 1.5 * trial.user_attrs["seconds"] / len(self.problem.folds)

    def cut(self, number: int, why: str) -> None:
        """End a trial that was not."""
        if why == "pruned":
            self._tell(number, "PRUNED")
            self._say(number, "pruned", self.study.get_trials(deepcopy=False)[number].value)
        else:
            self.put_back(number)

    def diverged(self, number: int, error: ValueError) -> None:
        """End a trial whose numbers became infinite: it counts as one that was pruned at once."""
        trial = self._live[number]
        if trial.params == self.default:
            raise error  # then something else is wrong
        trial.set_user_attr("failed", str(error)[:300])
        self._tell(number, "PRUNED")
        self._say(number, "diverged", None)

    def put_back(self, number: int) -> None:
        """Put the point of a trial in flight in the queue again."""
        del self._live[number]
        studies.give_up(self.study, number, len(self.dimensions))

    def _tell(self, number: int, state: str, value: float | None = None) -> None:
        self.study.tell(number, value, state=require("optuna.trial", "tune").TrialState[state])
        del self._live[number]

    def _say(self, number: int, state: str, value: float | None) -> None:
        self._ended += 1
        ended, best = len(studies.finished(self.study)), studies.whole(self.study)
        seconds = time.monotonic() - self._begun.pop(number)
        point = dict(self.study.get_trials(deepcopy=False)[number].params)
        best_value = best[0].value if best else None
        self.heard(Step(ended, self.trials, state, value, best_value, seconds, self._left(), point))

    # ------------------------------------------------------------ time

    def _deadline(self) -> float:
        """Return when trials must end for the best to be fitted in time: it takes a bit more than a fold."""
        assert self.seconds is not None  # noqa: S101
        return self.start + self.seconds - self._fit - min(AFTER, 0.25 * self.seconds)

    def _left(self) -> float:
        if self.trials is None:
            return max(0.0, self._deadline() - time.monotonic())
        per_trial = (time.monotonic() - self.start) / max(1, self._ended)
        return per_trial * max(0, self.trials - len(studies.finished(self.study)))
