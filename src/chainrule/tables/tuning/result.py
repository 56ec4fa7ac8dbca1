"""What tuning gives: the trials, the best of them, what mattered, and the model that was fitted with it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule._internal.extras import require
from chainrule.pages.formatting import rows
from chainrule.tables.result import Trained
from chainrule.tables.tuning import study as studies
from chainrule.tables.tuning.space import Dimension

if TYPE_CHECKING:
    import optuna
else:
    optuna = Any

FEWEST = 8  # trials from which on it is worth saying what mattered
SHOWN = 10  # trials in the table


@dataclass(frozen=True)
class TrialRecord:
    """A finished trial.

    Parameters
    ----------
    number : int
        From 1, in the order in which trials began.
    state : str
        "whole", "pruned" or "diverged".
    value : float or None
        The mean loss over the folds; of a pruned trial the running mean where it ended.
    folds : tuple of float
        The loss of each fold, of a whole trial.
    epochs : tuple of int
        The best epoch of each fold.
    seconds : float
    point : dict
        What was tried, by the names of the space.

    Examples
    --------
    >>> TrialRecord(1, "whole", 0.4, (0.3, 0.5), (12, 20), 1.5, {"layers": 2}).state
    'whole'
    """

    number: int
    state: str
    value: float | None
    folds: tuple[float, ...]
    epochs: tuple[int, ...]
    seconds: float
    point: dict[str, Any]


@dataclass(frozen=True)
class Tuned:
    """The outcome of tuning.

    Attributes
    ----------
    best : dict
        The best point, by the names of the space.
    value, default_value : float
        Its mean loss over the folds, and that of the default of ``train``, which is the first trial.
    measure : str
        What the loss is: "log loss", or "RMSE".
    trials : tuple of TrialRecord
    importance : dict of float
        What mattered: the share of the variance of the loss that each dimension explains, the largest first; empty
        where there are too few trials to say.
    space : tuple of Dimension
    folds : int
    trained : Trained
        The model that was fitted with the best point, as ``train`` does it.

    Examples
    --------
    >>> from chainrule.tables import tune
    >>> import numpy as np
    >>> import polars as pl
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "same": x[:, 0] * x[:, 1] > 0})
    >>> tuned = tune(frame, "same", trials=2, folds=2, parameters={"max_iter": 5, "activation": "tanh"})
    >>> "activation" in tuned.best, len(tuned.trials)
    (False, 2)
    """

    best: dict[str, Any]
    value: float
    default_value: float
    measure: str
    trials: tuple[TrialRecord, ...]
    importance: dict[str, float]
    space: tuple[Dimension, ...]
    folds: int
    trained: Trained

    @property
    def whole(self) -> list[TrialRecord]:
        """The trials that were trained on all folds, the best first."""
        trials = [trial for trial in self.trials if trial.state == "whole"]
        return sorted(trials, key=lambda trial: (trial.value or 0.0, trial.number))

    def sentence(self) -> str:
        """Return what came out, in a sentence."""
        counts = {state: sum(t.state == state for t in self.trials) for state in ("whole", "pruned", "diverged")}
        ends = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        said = f"{self.measure} {self.value:#.4g} over {self.folds} folds"
        if self.value < self.default_value:
            less = 100 * (1 - self.value / self.default_value)
            said += f", {less:.1f} % less than the default's {self.default_value:#.4g}"
        else:
            said += ": the default, nothing better was found"
        return f"{said} ({rows(len(self.trials), 'trial')}: {ends})."

    def table(self) -> str:
        """Return the best trials and what mattered, as text."""
        names = [dimension.name for dimension in self.space]
        rows = [["trial", self.measure, *names]]
        rows += [
            [str(trial.number), f"{trial.value:#.4g}", *(shown(trial.point[name]) for name in names)]
            for trial in self.whole[:SHOWN]
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        if self.importance:
            lines += ["", "what mattered"]
            lines += [
                f"  {name:<15} {100 * share:3.0f} %  {'█' * round(30 * share)}".rstrip()
                for name, share in self.importance.items()
            ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from chainrule.pages import html  # noqa: PLC0415
        from chainrule.tables.tuning import page  # noqa: PLC0415

        return html.fragment(page.title(self), page.about(self), page.blocks(self))

    def __repr__(self) -> str:
        return f"<Tuned: {self.sentence()}>"


def shown(value: Any) -> str:
    """Return a value for people.

    >>> shown(0.00123456), shown(128), shown("relu")
    ('0.00123', '128', 'relu')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def records(study: optuna.Study) -> tuple[TrialRecord, ...]:
    """Return the finished trials of a study, in the order in which they began."""
    found = []
    for number, trial in enumerate(studies.finished(study), 1):
        known = trial.user_attrs
        state = "whole" if trial.state.name == "COMPLETE" else "diverged" if "failed" in known else "pruned"
        value = None if state == "diverged" else trial.value
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        folds, epochs = tuple(known.get("folds", ())), tuple(known.get("epochs", ()))
        found.append(TrialRecord(number, state, value, folds, epochs, seconds, dict(trial.params)))
    return tuple(found)


def importance(study: optuna.Study, seed: int) -> dict[str, float]:
    """Return what mattered, by functional ANOVA with a random forest, the largest first.

    Pruned trials are in it with the running mean where they ended: without them, what is never good would seem not to
    matter.

    Source: Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance" (2014).
    """
    library = require("optuna", "tune")
    trials = [trial for trial in studies.finished(study) if trial.value is not None]
    if len(trials) < FEWEST or len({trial.value for trial in trials}) < 2:
        return {}
    every = library.create_study()
    for trial in trials:
        every.add_trial(library.create_trial(params=trial.params, distributions=trial.distributions, value=trial.value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = library.importance.FanovaImportanceEvaluator(seed=seed)
        found = library.importance.get_param_importances(every, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}
