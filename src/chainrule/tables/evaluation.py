"""The evaluation of a network on the held-out rows, beside models without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import baselines, leaks, scores, splitting
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.fitted_model import outputs
from chainrule.tables.fitted_steps import prepared
from chainrule.tables.report import uncertainty
from chainrule.tables.result import HeldOut
from chainrule.tables.schema import Schema
from chainrule.tables.streaming.on_disk import OnDisk
from chainrule.tables.task import target_values


class Evaluation(NamedTuple):
    """The scores of the network and of the baselines on the held-out rows."""

    held_out: HeldOut
    scores: dict[str, float]
    baselines: dict[str, dict[str, float]]
    verdict: str
    warnings: tuple[str, ...] = ()
    intervals: dict[str, tuple[float, float]] = {}  # noqa: RUF012  (never changed)
    notes: tuple[str, ...] = ()


def evaluate(
    pipeline: Any, schema: Schema, test: pl.DataFrame, frame: Any, y: Array, seed: int, weight: Array | None = None
) -> Evaluation:
    """Evaluate a fitted pipeline on held-out rows, and the baselines, which are fitted to all other rows.

    From a ``frame`` on disk, only as many rows are read as a baseline is fitted to.
    """
    rest = frame.height
    if isinstance(frame, OnDisk):
        drawn = splitting.drawn(rest, baselines.most_rows(len(schema.used)), seed)
        if drawn is not None:
            frame, y, weight = frame[drawn], y[drawn], None if weight is None else weight[drawn]
        frame = frame.select([column.name for column in schema.used])
    truth = target_values(test, schema)
    if not len(truth):
        return Evaluation(
            HeldOut(test, truth, truth), {}, {}, "No rows were held out, so the network was not evaluated."
        )
    held_out = predicted(pipeline, schema, test, truth)
    return judged(schema, held_out, baselines.fit(schema, frame, y, test, seed, weight), rest)


def predicted(pipeline: Any, schema: Schema, frame: pl.DataFrame, y: Array) -> HeldOut:
    """Return the predictions of a fitted pipeline for rows with their targets."""
    X = prepared(pipeline[0], schema)(cast(frame, schema.columns))
    found, p = outputs(pipeline[-1], schema, X)
    predictions = found if p is None or found.ndim == 2 else np.array(schema.classes)[found]
    return HeldOut(frame, y, predictions, p, inputs=X)


def judged(schema: Schema, held_out: HeldOut, simple: Sequence[baselines.Baseline], rest: int) -> Evaluation:
    """Return the scores of predictions beside those of baselines, which could be fitted to ``rest`` rows."""
    truth, predictions, p = held_out.y, held_out.predictions, held_out.probabilities
    ours = scores.of_schema(schema, truth, predictions, p)
    measured = {b.name: scores.of_schema(schema, truth, b.predictions, b.probabilities) for b in simple}
    verdict = scores.verdict(schema.task, truth, predictions, {b.name: b.predictions for b in simple[1:]})
    if some := [f"the {b.name} to {b.rows:,}" for b in simple[1:] if b.rows < rest]:
        verdict += f" To save time, the baselines were fitted to some of the {rest:,} rows: {', '.join(some)}."
    warnings = leaks.too_good(schema, {"network": ours, **measured}, len(truth))
    around = uncertainty.intervals(schema, held_out, ours)
    return Evaluation(held_out, ours, measured, verdict, warnings, around)
