"""A training history and a learning-rate range test, with their curves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.metrics import direction
from chainrule.pages.blocks import Block, Figures, Row, Table
from chainrule.pages.curves import curve
from chainrule.pages.drawing import Axis, Plot, thin
from chainrule.pages.formatting import apart, clean, rows, short
from chainrule.training.history import History
from chainrule.training.rate_finder import RangeTest

PLOTS = 5  # of a history
COLUMNS = 20  # in its table


def history(thing: History) -> tuple[str, str, list[Block]]:
    """Show the curves of a history, and the first, best and last value of each column."""
    columns = {name: values for name, values in thing.to_dict().items() if _numbers(values)}
    if "epoch" not in columns:
        return "History", "no epochs", []
    seconds = sum(thing["seconds"]) if "seconds" in thing and _numbers(thing["seconds"]) else 0.0
    took = f" in {short(seconds, 2)} s" if seconds >= 0.1 else ""
    summary = [f"{rows(len(thing), 'epoch')}{took}", *([f"stopped: {thing.stopped}"] if thing.stopped else [])]
    summary += [clean(thing.engine, 100)] if thing.engine else []
    if not len(thing):
        return "History", "; ".join(summary), []
    losses = [("loss", "training"), ("val_loss", "validation")]
    figures = [curve(columns, "loss", lines)] if (lines := [line for line in losses if line[0] in columns]) else []
    scores = [name for name in columns if name.startswith("val_") and name != "val_loss"]
    figures += [curve(columns, clean(name[4:].replace("_", " ")), [(name, "validation")]) for name in scores]
    if len(set(columns.get("learning_rate", ()))) > 1:
        figures.append(curve(columns, "learning rate", [("learning_rate", "learning rate")]))
    drawn = tuple(figure for figure in figures if figure is not None)[:PLOTS]
    blocks: list[Block] = [Figures(drawn)] if drawn else []
    return "History", "; ".join(summary), [*blocks, _table(columns)]


def _numbers(values: list[Any]) -> bool:
    return all(isinstance(value, int | float | np.number) for value in values)


def _table(columns: dict[str, list[float]]) -> Table:
    names = [name for name in columns if name not in ("epoch", "seconds")]
    lines: list[Row] = []
    for name, shown in zip(names[:COLUMNS], apart(names[:COLUMNS]), strict=True):
        values = columns[name]
        better = "min" if name in ("loss", "val_loss") else direction(name) if name.startswith("val_") else None
        known = [(value, epoch) for value, epoch in zip(values, columns["epoch"], strict=True) if math.isfinite(value)]
        value, epoch = (min if better == "min" else max)(known, default=(math.nan, 0), key=lambda pair: pair[0])
        best = (short(value), short(epoch)) if better and known else ("", "")
        lines.append((shown, short(values[0]), *best, short(values[-1])))
    more = len(names) - COLUMNS
    caption = f"{rows(more, 'more column')}: history.columns." if more > 0 else ""
    return Table(("", "first", "best", "in epoch", "last"), tuple(lines), "lrrrr", caption=caption, far=(3,))


def range_test(thing: RangeTest) -> tuple[str, str, list[Block]]:
    """Show the losses of a range test by learning rate, and the suggestion."""
    rates, losses, smoothed = (np.asarray(v, dtype=float) for v in (thing.rates, thing.losses, thing.smoothed))
    suggestion = thing.suggestion
    said = "no suggestion: the loss never fell" if suggestion is None else f"suggested learning rate {suggestion:.2g}"
    summary = f"{rows(len(rates), 'step')}; {said}"
    known = smoothed[np.isfinite(smoothed)]
    usable = rates[np.isfinite(rates) & (rates > 0)]
    if not len(known) or not len(usable):
        return "RangeTest", summary, []
    low, high = min(0.0, float(known.min())), float(known.max())
    marked = [float(suggestion)] if suggestion is not None and suggestion > 0 else []
    left, right = min([float(usable.min()), *marked]), max([float(usable.max()), *marked])
    if left == right:
        left, right = left / 2, right * 2
    plot = Plot(
        Axis(left, right, "learning rate", log=True),
        Axis(low, high + 0.1 * (high - low or abs(high) or 1.0), "loss of a batch"),
    )
    plot.line(*thin(rates, losses, 400), "s1 pale")
    plot.line(*thin(rates, smoothed), "s1")
    key = [("s1 pale", "of a step"), ("s1", "smoothed")]
    if marked:
        plot.line(np.array(2 * marked), np.array([plot.y.low, plot.y.high]), "s2")
        key.append(("s2", f"suggested: {suggestion:.2g}"))
    end = "It ended when the loss rose." if thing.diverged else "The loss did not rise: try a larger high=."
    caption = f"Learning rates from {short(rates[0], 2)} to {short(rates[-1], 2)}. {end}"
    return "RangeTest", summary, [Figures((plot.figure("Learning-rate range test", caption, None, key),))]
