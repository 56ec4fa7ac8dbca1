"""The report from its first line to its last, as blocks: one content for HTML and Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.tables.report import amounts, classes, labels
from chainrule.tables.report.blocks import Block, Cell, Code, Figure, Figures, Heading, Table, Text, Tiles
from chainrule.tables.report.data import ColumnSummary, ReportData, Score
from chainrule.tables.report.drawing import Axis, Plot, thin
from chainrule.tables.report.words import NONE, clean, fixed, listed, percent, quoted, rows, short

COLUMNS = 60  # in the table of columns
BARS = 20  # columns whose importance is shown
NOTES = 30  # notes and warnings
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
LOG = 20  # times: a loss that falls by more is drawn by powers of ten


def title(data: ReportData) -> str:
    """Return the title of the report."""
    return f"Predicting {clean(data.target, 80)}"


def about(data: ReportData) -> str:
    """Return the line under the title."""
    seen = sum(not column.dropped for column in data.columns)
    parts = [clean(data.source, 80)] if data.source else []
    parts += [rows(data.rows or len(data.truth)), rows(seen, "column")]
    what = rows(len(data.classes), "class" if data.task != "multilabel" else "label") if data.classes else "a number"
    return " · ".join([*parts, what, f"{rows(len(data.truth))} held out"])


def report(data: ReportData) -> list[Block]:
    """Return all blocks."""
    parts = {"regression": amounts.sections, "multilabel": labels.sections}.get(data.task, classes.sections)
    return [
        *_scores(data),
        *parts(data),
        *_wrong(data),
        *_importance(data),
        *_curves(data),
        *_table(data),
        *_reproduction(data),
    ]


def score_text(name: str, value: float) -> str:
    """Return a score as it is read: a share as a percentage, an error in the unit of the target.

    >>> score_text("accuracy", 0.9583), score_text("RMSE", 1234.5678), score_text("ROC AUC", 0.9), score_text("R²", -3e6)
    ('95.8 %', '1,235', '0.900', '−3,000,000')
    """
    if not math.isfinite(value):
        return NONE
    if name in SHARES:
        return f"{100 * value:.1f} %"
    return short(value) if name in ("RMSE", "MAE") or abs(value) >= 1e5 else fixed(value, 3)


def _scores(data: ReportData) -> list[Block]:
    blocks: list[Block] = [Heading("How good it is", WAYS.get(data.task, ""), "scores")]
    tiles = tuple(
        (score_text(s.name, s.value), s.name, ", ".join(f"{n} {score_text(s.name, v)}" for n, v in s.baselines.items()))
        for s in data.scores[:4]
    )
    blocks += [Tiles(tiles)] if tiles else []
    blocks += [Text(data.verdict, "result")] if data.verdict else []
    blocks += [Text(clean(text, 400), "warning") for text in data.warnings[:NOTES]]
    bad = int((~data.finite()).sum())
    if bad:
        of = f"{rows(bad)} of the held-out {len(data.truth):,} got no number as prediction"
        blocks.append(Text(f"{of}: they are left out of the pictures.", "warning"))
    if len(data.truth) < 30:
        blocks.append(Text(f"{rows(len(data.truth))} held out: too few to say how good it is.", "warning"))
    if data.scores:
        blocks.append(_score_table(data))
    return blocks


def _score_table(data: ReportData) -> Table:
    models = list(dict.fromkeys(name for score in data.scores for name in score.baselines))
    lines, lost = [], []
    for score in data.scores:
        values = [score.value, *(score.baselines.get(name, math.nan) for name in models)]
        best = _best(score, values)
        cells = [Cell(score_text(score.name, v), strong=v == best) for v in values]
        low, high = (score_text(score.name, v) for v in (score.low, score.high))
        interval = f"{low} to {high}" if NONE not in (low, high) else NONE
        lines.append((Cell(score.name), cells[0], interval, *cells[1:], MEANING.get(score.name, "")))
        lost += [score.name] if math.isfinite(best) and values[0] != best else []
    reading = (
        "On the held-out rows. The 95 % interval: where the network's score would lie on all rows there could be, judged by "
        "these. Bold: the best of the line."
    )
    if lost:
        reading += f" By {listed(lost)} a model without a network is better."
    head = ("score", "network", "95 % interval", *models, "what it is")
    return Table(head, tuple(lines), "lrr" + "r" * len(models) + "l", reading=reading)


def _best(score: Score, values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return (min if score.lower_is_better else max)(known, default=math.nan)


def _wrong(data: ReportData) -> list[Block]:
    if not data.wrong:
        return []
    names = [name for name, _ in data.wrong[0].values]
    lines = tuple(
        (f"{w.row:,}", w.truth, w.predicted, w.how_wrong, *(value for _, value in w.values)) for w in data.wrong
    )
    how = {"regression": "error", "multilabel": "log loss"}.get(data.task, "its probability of the truth")
    head = ("held-out row", "is", "the network says", how, *(clean(name, 24) for name in names))
    reading = (
        "Look at these first: they may be mistakes in the data, or kinds of rows of which there are few. "
        + ("Right of them: the columns that matter most." if names else "")
    ).strip()
    return [
        Heading("The most wrong rows", "where the network is farthest from the truth", "wrong"),
        Table(head, lines, "r" + "l" * 2 + "r" + "l" * len(names), reading=reading),
    ]


def _importance(data: ReportData) -> list[Block]:
    found = data.importance
    if found is None or not found.columns:
        return []
    shown = found.columns[:BARS]
    largest = max((i.mean for i in shown if math.isfinite(i.mean)), default=0.0)
    lines = tuple(
        (
            clean(i.name), f"{'+' if i.mean > 0 else ''}{short(i.mean, 3)}",
            Cell(f"± {short(i.spread, 2)}", bar=max(i.mean, 0) / largest if largest > 0 and math.isfinite(i.mean) else 0),
        )
        for i in shown
    )  # fmt: skip
    first = shown[0]
    reading = f"Without any shuffling the {found.measure} is {short(found.base)}, on {rows(found.rows)}. "
    if largest > 0:
        reading += (
            f"With the values of {quoted(first.name)} shuffled among the rows it is {short(found.base + first.mean)}. "
        )
    else:
        reading += "No column makes it larger when it is shuffled: the network uses none of them. "
    nothing = sum(i.mean <= 2 * i.spread for i in found.columns)
    times = "once" if found.repeats == 1 else f"{found.repeats} times"
    reading += f"Each column was shuffled {times}; ± is the standard deviation between them. "
    if found.repeats > 1 and nothing:
        those = "the one column" if len(found.columns) == 1 else f"{nothing} of {rows(len(found.columns), 'column')}"
        reading += f"For {those} it is hardly more than chance. "
    reading += "Columns that say the same as another seem less important than they are."
    more = len(found.columns) - len(shown)
    cut = f"the {len(shown)} first of {len(found.columns)}" if more > 0 else ""
    blocks: list[Block] = [Heading("Which columns matter", cut, "importance")]
    if found.untried:
        blocks.append(Text(f"There was no time for {rows(found.untried, 'column')}.", "warning"))
    head = ("column", f"{found.measure} grows by", "± between shuffles")
    return [*blocks, Table(head, lines, "lrl", reading=reading)]


def _curves(data: ReportData) -> list[Block]:
    epochs = data.history.get("epoch", [])
    if not epochs:
        return []
    figures = []
    losses = [("loss", "training"), ("val_loss", "validation")]
    figures.append(_curve(data, "Loss", [(column, name) for column, name in losses if column in data.history]))
    others = [c for c in data.history if c.startswith("val_") and c != "val_loss"]
    figures += [_curve(data, c[4:].replace("_", " ").capitalize(), [(c, "validation")]) for c in others[:3]]
    if len(figures) == 1 and "learning_rate" in data.history and len(set(data.history["learning_rate"])) > 1:
        figures.append(_curve(data, "Learning rate", [("learning_rate", "learning rate")]))
    how = f"{rows(len(epochs), 'epoch')}" + (f"; {data.stopped}" if data.stopped else "")
    return [Heading("How it learned", clean(how, 200), "curves"), Figures(tuple(f for f in figures if f is not None))]


def _curve(data: ReportData, name: str, lines: list[tuple[str, str]]) -> Figure | None:
    epochs = np.array(data.history["epoch"], dtype=float)
    values = [np.array(data.history[column], dtype=float) for column, _ in lines]
    known = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.zeros(0)
    if not len(known):
        return None
    low, high = float(known.min()), float(known.max())
    log = low > 0 and high > LOG * low
    if low == high:
        low, high = low - (abs(low) or 1) * 0.05, high + (abs(high) or 1) * 0.05
    margin = 0.0 if log else 0.04 * (high - low)
    last = max(float(epochs[-1]), float(epochs[0]) + 1)
    plot = Plot(Axis(float(epochs[0]), last, "epoch"), Axis(low - margin, high + margin, name.lower(), log))
    for i, v in enumerate(values):
        plot.line(*(thin(epochs, v) if np.isfinite(v).all() else (epochs, v)), f"s{i + 1}")
        if len(v) == 1:
            plot.points(epochs, v, f"s{i + 1}", 3)
    reading = _curve_reading(name, epochs, values)
    at = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), 12)).round().astype(int))
    body = tuple((f"{epochs[i]:,.0f}", *(short(v[i]) for v in values)) for i in at)
    key = tuple((f"s{i + 1}", text) for i, (_, text) in enumerate(lines))
    table = Table(("epoch", *(text for _, text in lines)), body, "r" + "r" * len(lines))
    return Figure(name, plot.svg(name, reading), reading, table, key if len(key) > 1 else ())


def _curve_reading(name: str, epochs: Any, values: list[Any]) -> str:
    last = values[-1]
    if name == "Learning rate":
        return f"How large the steps were: from {short(last[0], 2)} to {short(last[-1], 2)}, at most {short(last.max(), 2)}."
    if not np.isfinite(last).any():
        return "It is not a number: training went wrong."
    best = int(np.nanargmin(last) if name == "Loss" else np.nanargmax(last))
    where = "the validation rows" if name != "Loss" or len(values) > 1 else "the training rows"
    text = f"On {where} it is best after epoch {epochs[best]:,.0f}: {short(last[best])}."
    if name == "Loss" and len(values) > 1:
        gap = float(last[-1] - last[best])
        grew = gap > 0.1 * abs(float(last[best])) and best < len(last) - 1
        text += (
            f" After that it grows to {short(last[-1])} while the other falls: the network learns the training rows by heart."
            if grew and values[0][-1] < values[0][best]
            else " Training and validation are measured differently (dropout is on in training only): look at their shapes."
        )
    return text


def _table(data: ReportData) -> list[Block]:
    blocks: list[Block] = [Heading("The table", f"{rows(data.rows)} before splitting" if data.rows else "", "data")]
    if data.parts:
        parts = ", ".join(f"{name} {n:,}" for name, n in data.parts)
        blocks.append(Text(f"Rows for {parts}." + (f" Held out: {data.split}." if data.split else "")))
    every = (*data.targets, *data.columns)
    holes = [c for c in every if c.missing]
    if data.columns:
        text = f"{rows(len(holes), 'column')} with holes" if holes else "No column has holes"
        if holes and data.rows:
            worst = max(holes, key=lambda c: c.missing)
            text += f", most in {quoted(worst.name)}: {percent(min(worst.missing / data.rows, 1.0))} of the rows"
        dropped = [c for c in data.columns if c.dropped]
        text += f". {rows(len(dropped), 'column')} not used." if dropped else "."
        blocks.append(Text(text))
    if every:
        marks = [f"{c.name} (target)" if i < len(data.targets) else c.name for i, c in enumerate(every[:COLUMNS])]
        lines = tuple(_column(c, mark, data.rows) for c, mark in zip(every, marks, strict=False))
        reading = "Shown beside the values: how the held-out rows are spread over them."
        reading += f" {rows(len(every) - COLUMNS, 'column')} more are not listed." if len(every) > COLUMNS else ""
        head = ("column", "kind", "holes", "different", "values")
        blocks.append(Table(head, lines, "llrrl", reading=reading))
    blocks += [Text(clean(text, 400), "soft") for text in data.notes[:NOTES]]
    return blocks


def _column(column: ColumnSummary, name: str, count: int) -> tuple[Cell | str, ...]:
    holes = "0" if not column.missing else f"{column.missing:,}"
    if column.missing and count:
        holes += f" ({percent(min(column.missing / count, 1.0))})"
    kind = f"{column.kind}, not used: {clean(column.dropped, 80)}" if column.dropped else column.kind
    distinct = f"{column.distinct:,}" if column.distinct else NONE
    return clean(name), kind, holes, distinct, Cell(column.spread, shares=column.shares)


def _reproduction(data: ReportData) -> list[Block]:
    blocks: list[Block] = [Heading("How to repeat it", "", "repeat")]
    blocks += [Code(data.command)] if data.command else []
    facts = tuple((what, clean(value, 200)) for what, value in data.facts)
    return [*blocks, *([Table(("", ""), facts, "ll")] if facts else [])]
