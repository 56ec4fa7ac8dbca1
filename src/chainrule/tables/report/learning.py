"""The parts of a report about the importance of columns and the training history."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.pages.blocks import Block, Cell, Figure, Figures, Heading, Table, Text
from chainrule.pages.drawing import Axis, Plot, thin
from chainrule.pages.formatting import aligned, apart, clean, rows, short
from chainrule.tables.report.data import ReportData

BARS = 20  # columns in the table of importance
LOG = 20  # times: a loss that falls by more has a logarithmic axis


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
    figures.append(_curve(data, "loss", [(column, name) for column, name in losses if column in data.history]))
    others = [c for c in data.history if c.startswith("val_") and c != "val_loss"]
    score = {"regression": "R²", "multilabel": "subset accuracy"}.get(data.task, "accuracy")
    names = [score if c == "val_score" else c[4:].replace("_", " ") for c in others[:3]]
    figures += [_curve(data, name, [(c, data.judged)]) for c, name in zip(others, names, strict=False)]
    if len(figures) == 1 and "learning_rate" in data.history and len(set(data.history["learning_rate"])) > 1:
        figures.append(_curve(data, "learning rate", [("learning_rate", "learning rate")]))
    how = f"{rows(count, 'epoch')}" + (f"; {data.stopped}" if data.stopped else "")
    return [Heading("Training history", clean(how, 200), "curves"), Figures(tuple(f for f in figures if f is not None))]


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
    plot = Plot(
        Axis(float(epochs[0]), last, "epoch"),
        Axis(low - margin, high + margin, name, log),
    )
    for i, v in enumerate(values):
        plot.line(*(thin(epochs, v) if np.isfinite(v).all() else (epochs, v)), f"s{i + 1}")
        if len(v) == 1:
            plot.points(epochs, v, f"s{i + 1}", 3)
    caption = _curve_caption(name, epochs, values, lines[-1][1])
    at = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), 12)).round().astype(int))
    body = tuple((f"{epochs[i]:,.0f}", *(short(v[i]) for v in values)) for i in at)
    key = tuple((f"s{i + 1}", text) for i, (_, text) in enumerate(lines))
    table = Table(("epoch", *(text for _, text in lines)), body, "r" + "r" * len(lines))
    return plot.figure(name[0].upper() + name[1:], caption, table, key if len(key) > 1 else ())


def _curve_caption(name: str, epochs: Any, values: list[Any], judged: str) -> str:
    last = values[-1]
    if name == "learning rate":
        first, final, most = (short(v, 2) for v in (last[0], last[-1], last.max()))
        return f"Learning rate from {first} to {final}, peak {most}."
    if not np.isfinite(last).any():
        return "All values are NaN or infinite: training failed."
    best = int(np.nanargmin(last) if name == "loss" else np.nanargmax(last))
    where = {"training": "on the training rows", "validation": "on the validation rows"}.get(judged, judged)
    text = f"Best {where} after epoch {epochs[best]:,.0f}: {short(last[best])}."
    if judged == "out of fold":
        return f"{text} All networks keep the epoch with the best score, smoothed over three epochs."
    if name == "loss" and len(values) > 1:
        gap = float(last[-1] - last[best])
        grew = gap > 0.1 * abs(float(last[best])) and best < len(last) - 1
        text += (
            f" It then rises to {short(last[-1])} while the training loss falls: the network is overfitting."
            if grew and values[0][-1] < values[0][best]
            else " Dropout and penalties affect only the training loss: compare the shapes, not the levels."
        )
    return text
