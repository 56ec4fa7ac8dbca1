"""Cross-validation: every row is predicted by a pipeline that was not fitted to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.formatting import short
from chainrule.tables import baselines, scores, splitting
from chainrule.tables._polars import pl
from chainrule.tables.baselines import Baseline
from chainrule.tables.evaluation import Evaluation, judged, predicted
from chainrule.tables.fitting import fit
from chainrule.tables.folds import folds
from chainrule.tables.loading import Loaded
from chainrule.tables.options import Options
from chainrule.tables.result import HeldOut


@dataclass(frozen=True)
class _OfFold:
    """The progress of a fit, with the fold in front."""

    fold: str
    state: Any

    @property
    def seconds(self) -> float:
        return float(self.state.seconds)

    @property
    def over(self) -> bool:
        return bool(self.state.over)

    def __str__(self) -> str:
        return f"{self.fold}  {self.state}"


def cross_validated(given: Options, loaded: Loaded, show: Callable[[Any], Any] | None = None) -> Evaluation:
    """Evaluate a table's pipeline by cross-validation, beside the baselines on the same folds.

    The pipeline and the baselines are fitted once for each fold, to the other folds; the scores are those of all
    predictions together. By time, a fold is predicted from earlier rows only, so the first rows are never predicted.

    Source: Stone, "Cross-validatory choice and assessment of statistical predictions" (1974).
    """
    count = given.folds or 0
    schema, frame, y = loaded.schema, loaded.frame, loaded.y
    parts: list[HeldOut] = []
    simple: list[list[Baseline]] = []
    first = None
    for number, (rest, held) in enumerate(folds(loaded.rule, count, frame, y), 1):
        if schema.is_classification and (new := set(y[held].tolist()) - set(y[rest].tolist())):
            raise ValueError(f"--folds: the class {min(new, key=str)!r} is in one fold only: give fewer folds.")
        told = None if show is None else _told(show, f"fold {number} of {count}")
        fitted = fit(given, _part(loaded, rest), show=told)
        if fitted.history.stopped.startswith("interrupted"):
            raise KeyboardInterrupt
        part = predicted(fitted.pipeline, schema, frame[held], y[held])
        first = first or replace(part, pipeline=fitted.pipeline)
        parts.append(replace(part, rows=loaded.numbers[held]))
        simple.append(baselines.fit(schema, frame[rest], y[rest], frame[held], given.seed, loaded.weights(rest)))
    pooled = HeldOut(
        pl.concat([part.frame for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.predictions for part in parts]),
        _stacked([part.probabilities for part in parts]),
        np.concatenate([part.rows for part in parts]),
        loaded.source,
        inputs=first.inputs if first else None,
        pipeline=first.pipeline if first else None,
    )
    others = [
        Baseline(
            of[0].name,
            np.concatenate([b.predictions for b in of]),
            _stacked([b.probabilities for b in of]),
            min(b.rows for b in of),
        )
        for of in zip(*simple, strict=True)
    ]
    found = judged(schema, pooled, others, others[0].rows)
    return found._replace(notes=(_by_fold(loaded, parts),))


def _told(show: Callable[[Any], Any], fold: str) -> Callable[[Any], Any]:
    return lambda state: show(_OfFold(fold, state))


def _part(loaded: Loaded, rows: Array) -> Loaded:
    """Return the table with some of its rows to train on, and to stop early by."""
    train, validation, _, _ = splitting.split(loaded.rule, loaded.frame[rows], loaded.y[rows])
    return loaded._replace(train=rows[train], validation=rows[validation])


def _by_fold(loaded: Loaded, parts: list[HeldOut]) -> str:
    """Return the first score of each fold in a note."""
    schema = loaded.schema
    each = [scores.of_schema(schema, p.y, p.predictions, p.probabilities) for p in parts]
    name = next(iter(each[0]))
    return f"{name} by fold: {', '.join(short(of[name]) for of in each)}."


def _stacked(parts: list[Array | None]) -> Array | None:
    return None if parts[0] is None else np.concatenate(parts)  # type: ignore[arg-type]
