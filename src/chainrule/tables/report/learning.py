"""The parts of a report about the importance of columns and the training history."""

from __future__ import annotations

import math

from chainrule.pages.blocks import Block, Cell, Figures, Heading, Table, Text
from chainrule.pages.curves import curve
from chainrule.pages.formatting import aligned, apart, clean, rows, short
from chainrule.tables.report.data import ReportData

BARS = 20  # columns in the table of importance


def columns(data: ReportData) -> list[Block]:
    """Return the blocks about the importance of columns."""
    found = data.importance
    if found is None or not found.columns:
        return []
    shown = found.columns[:BARS]
    largest = max((i.mean for i in shown if math.isfinite(i.mean)), default=0.0)
    names, bars = apart([i.name for i in shown]), [Cell("", bar=_length(i.mean, largest), wide=True) for i in shown]
    spreads = [f"± {text}" for text in aligned([i.spread for i in shown], 3)]
    lines = tuple(zip(names, aligned([i.mean for i in shown], 3, signed=True), bars, spreads, strict=True))
    caption = f"Without shuffling, {found.measure} is {short(found.base)} on {rows(found.rows)}. "
    if largest > 0:
        caption += f"Shuffling '{names[0]}' raises it to {short(found.base + shown[0].mean)}. "
    else:
        caption += "Shuffling any column does not raise it: the network uses none of them. "
    nothing = sum(i.mean <= 2 * i.spread for i in found.columns)
    times = "once" if found.repeats == 1 else f"{found.repeats} times"
    caption += f"Each column was shuffled {times}; ± is the standard deviation over the shuffles. "
    if found.repeats > 1 and nothing:
        those = "the one column" if len(found.columns) == 1 else f"{nothing} of {rows(len(found.columns), 'column')}"
        caption += f"For {those}, the increase is within chance. "
    caption += "Correlated columns appear less important than they are."
    more = len(found.columns) - len(shown)
    cut = f"the first {len(shown)} of {len(found.columns)}" if more > 0 else ""
    blocks: list[Block] = [Heading("Column importance", cut, "importance")]
    if found.untried:
        blocks.append(Text(f"Not computed for lack of time: {rows(found.untried, 'column')}.", "warning"))
    head = ("column", f"increase in {found.measure}", "", "± SD over shuffles")
    return [*blocks, Table(head, lines, "lrlr", caption=caption)]


def _length(mean: float, largest: float) -> float:
    return max(mean, 0) / largest if largest > 0 and math.isfinite(mean) else 0.0


def epochs(data: ReportData) -> list[Block]:
    """Return the blocks about the training history."""
    count = len(data.history.get("epoch", []))
    if not count:
        return []
    figures = []
    losses = [("loss", "training"), ("val_loss", data.judged)]
    figures.append(curve(data.history, "loss", [(column, name) for column, name in losses if column in data.history]))
    others = [c for c in data.history if c.startswith("val_") and c != "val_loss"]
    score = data.score or {"regression": "R²", "multilabel": "subset accuracy"}.get(data.task, "accuracy")
    names = [score if c == "val_score" else c[4:].replace("_", " ") for c in others[:3]]
    figures += [curve(data.history, name, [(c, data.judged)]) for c, name in zip(others, names, strict=False)]
    if len(figures) == 1 and "learning_rate" in data.history and len(set(data.history["learning_rate"])) > 1:
        figures.append(curve(data.history, "learning rate", [("learning_rate", "learning rate")]))
    how = f"{rows(count, 'epoch')}" + (f"; {data.stopped}" if data.stopped else "")
    return [Heading("Training history", clean(how, 200), "curves"), Figures(tuple(f for f in figures if f is not None))]
