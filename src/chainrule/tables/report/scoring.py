"""The part of a report about scores: the network beside the baselines."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from chainrule.pages.blocks import Block, Cell, Heading, Row, Table, Text, Tiles
from chainrule.pages.formatting import NONE, aligned, clean, fixed, listed, rows, short
from chainrule.tables.report.data import ReportData, Score
from chainrule.tables.score_names import plain

WARNINGS = 30
SHARES = ("accuracy", "balanced accuracy", "subset accuracy")
MEANING = {
    "accuracy": "share of rows (or labels) predicted correctly",
    "balanced accuracy": "mean recall over the classes, so rare classes count as much as common ones",
    "log loss": "penalizes low probability for the true class; 0 is perfect",
    "ROC AUC": "chance that a row of the class is ranked above a row of another class; 0.5 is random",
    "subset accuracy": "share of rows with every label correct",
    "macro F1": "mean F1 over the labels",
    "RMSE": "root mean squared error, in the target's units; large errors weigh most",
    "MAE": "mean absolute error, in the target's units",
    "R²": "share of variance explained; 0 means no better than predicting the mean, 1 is perfect",
}
TASKS = {name: f"{name} classification" for name in ("binary", "multiclass", "multilabel")}


def score_texts(name: str, values: Sequence[float]) -> list[str]:
    """Return the values of one score as text: shares as percentages, errors in the target's units.

    >>> score_texts("accuracy", [0.9583, math.nan]), score_texts("RMSE", [1234.5678, 90.0]), score_texts("R²", [0.9])
    (['95.8%', '–'], ['1,235', '90'], ['0.900'])
    """
    name = plain(name)
    if name in SHARES:
        return [f"{100 * v:.1f}%" if math.isfinite(v) else NONE for v in values]
    if name in ("RMSE", "MAE"):
        return aligned(values)
    return [short(v) if abs(v) >= 1e5 else fixed(v, 3) for v in values]


def apart(low: float, high: float, texts: Sequence[str]) -> str:
    """Return an interval from the texts of its ends, with more digits if they are equal.

    >>> apart(0.85, 0.934, ["85.0%", "93.4%"]), apart(0.99991, 1.0, ["1.000", "1.000"])
    ('85.0% to 93.4%', '0.9999 to 1.0000')
    """
    start, end = texts
    if NONE in texts:
        return NONE
    digits = 4
    while start == end and low < high and digits < 9:
        start, end, digits = f"{low:.{digits}f}", f"{high:.{digits}f}", digits + 1
    return f"{start} to {end}"


def sections(data: ReportData) -> list[Block]:
    """Return the blocks."""
    blocks: list[Block] = [Heading("Performance", TASKS.get(data.task, data.task), "scores")]
    blocks += [Tiles(tuple(map(_tile, data.scores[:4])))] if data.scores else []
    blocks += [Text(re.sub(r"(?<!\w)-(?=\d)", "−", clean(data.verdict, 1000)), "result")] if data.verdict else []
    blocks += [Text(clean(text, 400), "warning") for text in data.warnings[:WARNINGS]]
    bad = int((~data.finite()).sum())
    if bad:
        text = f"Predictions that are not finite: {rows(bad)} of {len(data.truth):,} held out; omitted from the plots."
        blocks.append(Text(text, "warning"))
    if len(data.truth) < 30:
        blocks.append(Text(f"Only {rows(len(data.truth))} held out: too few for reliable scores.", "warning"))
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
        lines.append((Cell(clean(score.name), note=MEANING.get(plain(score.name), "")), *cells, interval))
        lost += [clean(score.name)] if math.isfinite(best) and values[0] != best else []
    caption = (
        "On the held-out rows. The 95% confidence interval is for the network's score on new rows like these. Bold: "
        "best in the row."
    )
    if lost:
        caption += f" A baseline is better on {listed(lost)}."
    head = ("score", "network", *map(clean, models), "95% confidence interval (network)")
    return Table(head, tuple(lines), "lrr" + "r" * len(models), caption=caption)


def _best(score: Score, values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return (min if score.lower_is_better else max)(known, default=math.nan)
