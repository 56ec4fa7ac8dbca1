"""How good the network is on the rows that were held out, beside models without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from chainrule._typing import Array
from chainrule.tables import baselines, scores
from chainrule.tables.casting import cast
from chainrule.tables.result import HeldOut
from chainrule.tables.schema import Schema
from chainrule.tables.task import target_values

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

__all__ = ["Judgement", "judge"]


class Judgement(NamedTuple):
    """Scores of the network and of the baselines on the held-out rows."""

    held_out: HeldOut
    scores: dict[str, float]
    baselines: dict[str, dict[str, float]]
    verdict: str


def judge(pipeline: Any, schema: Schema, test: pl.DataFrame, X: Array, y: Array, seed: int) -> Judgement:
    """Measure a fitted pipeline, and simple models that are fitted on the prepared sample X and its targets y."""
    truth = target_values(test, schema)
    if not len(truth):
        return Judgement(HeldOut(test, truth, truth), {}, {}, "No rows were held out: nothing can be said.")
    rows = cast(test, schema.columns)
    predictions = pipeline.predict(rows)
    p = None if schema.task == "regression" else pipeline.predict_proba(rows)
    simple = baselines.fit(schema.task, X, y, pipeline[0].transform(rows).astype(X.dtype), seed)
    measured = {
        b.name: scores.measure(schema.task, truth, b.predictions, b.probabilities, schema.classes) for b in simple
    }
    return Judgement(
        HeldOut(test, truth, predictions, p),
        scores.measure(schema.task, truth, predictions, p, schema.classes),
        measured,
        scores.verdict(schema.task, truth, predictions, simple[-1].predictions),
    )
