"""How good the network is on the rows that were held out, beside models without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from chainrule._internal.typing import Array
from chainrule.tables import baselines, leaks, scores, splitting
from chainrule.tables.casting import cast
from chainrule.tables.result import HeldOut
from chainrule.tables.schema import Schema
from chainrule.tables.streaming.on_disk import OnDisk
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
    warnings: tuple[str, ...] = ()


def judge(pipeline: Any, schema: Schema, test: pl.DataFrame, frame: Any, y: Array, seed: int) -> Judgement:
    """Measure a fitted pipeline, and simple models that are fitted on the rows that are not held out, and their y.

    Of a ``frame`` on disk, no more rows are read than a simple model is fitted to.
    """
    rest = frame.height
    if isinstance(frame, OnDisk):
        drawn = splitting.drawn(rest, baselines.most_rows(len(schema.used)), seed)
        frame, y = (frame, y) if drawn is None else (frame[drawn], y[drawn])
        frame = frame.select([column.name for column in schema.used])
    truth = target_values(test, schema)
    if not len(truth):
        return Judgement(HeldOut(test, truth, truth), {}, {}, "No rows were held out: nothing can be said.")
    rows = cast(test, schema.columns)
    predictions = pipeline.predict(rows)
    p = None if schema.task == "regression" else pipeline.predict_proba(rows)
    simple = baselines.fit(schema, frame, y, test, seed)
    ours = scores.measure(schema.task, truth, predictions, p, schema.classes)
    measured = {
        b.name: scores.measure(schema.task, truth, b.predictions, b.probabilities, schema.classes) for b in simple
    }
    verdict = scores.verdict(schema.task, truth, predictions, {b.name: b.predictions for b in simple[1:]})
    if some := [f"the {b.name} to {b.rows:,}" for b in simple[1:] if b.rows < rest]:
        verdict += f" To save time, not all of the {rest:,} rows were fitted: {', '.join(some)}."
    warnings = leaks.too_good(schema, {"network": ours, **measured}, len(truth))
    return Judgement(HeldOut(test, truth, predictions, p), ours, measured, verdict, warnings)
