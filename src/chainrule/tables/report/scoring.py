"""The part of a report about scores: how good the network is, and whether a simpler model is as good."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from chainrule.pages.blocks import Block, Cell, Heading, Row, Table, Text, Tiles
from chainrule.pages.formatting import NONE, aligned, clean, fixed, listed, rows, short
from chainrule.tables.report.data import ReportData, Score

WARNINGS = 30
SHARES = ("accuracy", "balanced accuracy", "all labels right")
MEANING = {
    "accuracy": "share of rows, or of labels, that are right",
    "balanced accuracy": "the mean of the recall of all classes: each counts the same, however rare",
    "log loss": "how surprised the probabilities are by what is so; 0 is best",
    "ROC AUC": "how often it puts a row of a class before one that is not; 0.5 is chance",
    "all labels right": "share of rows with no label wrong",
    "macro F1": "the mean of the F1 of all labels",
    "RMSE": "root of the mean squared error, in the unit of the target; large errors count most",
    "MAE": "mean error, up or down, in the unit of the target",
    "R²": "share of the variance that is explained; 0 is always saying the mean, 1 is best",
}
WAYS = {"binary": "one of two classes", "multiclass": "a class", "multilabel": "labels", "regression": "a number"}


def score_texts(name: str, values: Sequence[float]) -> list[str]:
    """Return values of one score as they are read: shares as percentages, errors in the unit of the target.

    >>> score_texts("accuracy", [0.9583, math.nan]), score_texts("RMSE", [1234.5678, 90.0]), score_texts("R²", [0.9])
    (['95.8 %', '–'], ['1,235', '90'], ['0.900'])
    """
    if name in SHARES:
        return [f"{100 * v:.1f} %" if math.isfinite(v) else NONE for v in values]
    if name in ("RMSE", "MAE"):
        return aligned(values)
    return [short(v) if abs(v) >= 1e5 else fixed(v, 3) for v in values]


def apart(low: float, high: float, texts: Sequence[str]) -> str:
    """Return an interval by the texts of its ends, or with so many digits that they differ.

    >>> apart(0.85, 0.934, ["85.0 %", "93.4 %"]), apart(0.99991, 1.0, ["1.000", "1.000"])
    ('85.0 % to 93.4 %', '0.9999 to 1.0000')
    """
    start, end = texts
    if NONE in texts:
        return NONE
    digits = 4
    while start == end and low < high and digits < 9:
        start, end, digits = f"{low:.{digits}f}", f"{high:.{digits}f}", digits + 1
    return f"{start} to {end}"


def sections(data: ReportData) -> list[Block]:
    """Return the blocks: the network beside the models without a network."""
    blocks: list[Block] = [Heading("How good it is", WAYS.get(data.task, ""), "scores")]
    blocks += [Tiles(tuple(map(_tile, data.scores[:4])))] if data.scores else []
    blocks += [Text(re.sub(r"(?<!\w)-(?=\d)", "−", clean(data.verdict, 1000)), "result")] if data.verdict else []
    blocks += [Text(clean(text, 400), "warning") for text in data.warnings[:WARNINGS]]
    bad = int((~data.finite()).sum())
    if bad:
        of = f"{rows(bad)} of the held-out {len(data.truth):,} got no number as prediction"
        blocks.append(Text(f"{of}: they are left out of the pictures.", "warning"))
    if len(data.truth) < 30:
        blocks.append(Text(f"{rows(len(data.truth))} held out: too few to say how good it is.", "warning"))
    if data.scores:
        blocks.append(_score_table(data))
    return blocks


def _tile(score: Score) -> tuple[str, str, tuple[str, ...]]:
    value, *others = score_texts(score.name, [score.value, *score.baselines.values()])
    return (
        value,
        clean(score.name),
        tuple(f"{clean(name)} {text}" for name, text in zip(score.baselines, others, strict=True)),
    )


def _score_table(data: ReportData) -> Table:
    models = list(dict.fromkeys(name for score in data.scores for name in score.baselines))
    lines: list[Row] = []
    lost = []
    for score in data.scores:
        values = [score.value, *(score.baselines.get(name, math.nan) for name in models)]
        best = _best(score, values)
        texts = score_texts(score.name, [score.low, score.high, *values])
        cells = [Cell(text, strong=v == best) for v, text in zip(values, texts[2:], strict=True)]
        interval = apart(score.low, score.high, texts[:2])
        lines.append((Cell(clean(score.name), note=MEANING.get(score.name, "")), *cells, interval))
        lost += [clean(score.name)] if math.isfinite(best) and values[0] != best else []
    reading = (
        "On the held-out rows. The 95 % interval: where the network's score would lie on all rows there could be, "
        "judged by these. Bold: the best of the line."
    )
    if lost:
        reading += f" By {listed(lost)} a model without a network is better."
    head = ("score", "network", *map(clean, models), "95 % interval of the network")
    return Table(head, tuple(lines), "lrr" + "r" * len(models), reading=reading)


def _best(score: Score, values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return (min if score.lower_is_better else max)(known, default=math.nan)
