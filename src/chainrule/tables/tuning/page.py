"""The page of a tuning: the trials one after another, the best, what mattered, and the loss along each dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.blocks import Block, Cell, Figure, Figures, Heading, Table, Text
from chainrule.pages.drawing import Axis, Plot
from chainrule.tables.tuning.result import SHOWN, shown
from chainrule.tables.tuning.space import Dimension

if TYPE_CHECKING:
    from chainrule.tables.tuning.result import Tuned
else:
    Tuned = object


@dataclass(frozen=True)
class Names(Axis):
    """An axis of names, at 0, 1, 2, ..."""

    names: tuple[str, ...] = ()

    def ticks(self) -> list[tuple[float, str]]:
        return [(float(i), name) for i, name in enumerate(self.names)]


def title(tuned: Tuned) -> str:
    """Return the heading."""
    return f"Tuning a network for {tuned.trained.schema.target}"


def about(tuned: Tuned) -> str:
    """Return the line below it."""
    count = len(tuned.trials)
    return (
        f"{count} trials on {tuned.trained.source}, each trained on {tuned.folds} folds of the rows to train on. "
        "The rows that are held out for the test had no part in this."
    )


def blocks(tuned: Tuned) -> list[Block]:
    """Return what the page says."""
    found: list[Block] = [
        Text(f"Best: {tuned.sentence()}", "result"),
        Heading("The trials", "one after another, and the best of them", "trials"),
        Figures((_history(tuned), *_importance(tuned))),
        _best(tuned),
        Heading("The dimensions", "and the loss along each of them", "dimensions"),
        Figures(tuple(_slice(tuned, dimension) for dimension in tuned.space)),
        Heading("The space", "what could be chosen, and why no more", "space"),
        _space(tuned),
    ]
    return found


def _loss_axis(tuned: Tuned, values: Array) -> Axis:
    """Return an axis that shows the good trials well: the worst are drawn at its upper end."""
    high = max(float(np.quantile(values, 0.75)), tuned.default_value)
    low = float(values.min())
    room = 0.06 * (high - low) or 0.01 * abs(low) or 1.0
    return Axis(low - room, high + room, tuned.measure)


def _history(tuned: Tuned) -> Figure:
    whole = sorted(tuned.whole, key=lambda trial: trial.number)
    pruned = [trial for trial in tuned.trials if trial.state == "pruned" and trial.value is not None]
    x, y = (np.array([float(getattr(t, name)) for t in whole]) for name in ("number", "value"))
    last = float(len(tuned.trials))
    plot = Plot(Axis(0.0, last + 1, "trial"), _loss_axis(tuned, y))
    plot.line(np.array([0.0, last + 1]), np.full(2, tuned.default_value), "s6 dashed")
    if pruned:
        plot.points(
            np.array([float(t.number) for t in pruned]), np.array([t.value or 0.0 for t in pruned]), "s2", radius=2.0
        )
    plot.points(x, y, "s1", radius=3.0)
    edges, best = np.repeat(np.append(x, last + 1), 2)[1:-1], np.repeat(np.minimum.accumulate(y), 2)
    plot.line(edges, best, "s1")
    reading = (
        "Blue: trials that were trained on all folds, and the best so far; orange: trials that were pruned, where they "
        "ended; dashed: the default. What is above the picture is drawn at its upper edge."
    )
    rows = tuple((str(t.number), t.state, "" if t.value is None else f"{t.value:#.4g}") for t in tuned.trials)
    table = Table(("trial", "how it ended", tuned.measure), rows, "rlr")
    return Figure("Trial by trial", plot.svg("Trial by trial", reading), reading, table)


def _best(tuned: Tuned) -> Table:
    names = [dimension.name for dimension in tuned.space]
    rows: list[tuple[Cell | str, ...]] = [
        (
            Cell(str(trial.number), strong=i == 0),
            Cell(f"{trial.value:#.4g}", strong=i == 0),
            f"{min(trial.folds):#.4g} – {max(trial.folds):#.4g}",
            *(Cell(shown(trial.point[name]), strong=i == 0) for name in names),
        )
        for i, trial in enumerate(tuned.whole[:SHOWN])
    ]
    reading = (
        "Trial 1 is the default. That the folds of a trial differ by more than the trials do is usual: all trials are "
        "measured on the same folds. The best of many is a little too good: the held-out rows say how good it is."
    )
    align = "rrr" + "r" * len(names)
    heads = [name.replace("_", " ") for name in names]  # which may be on two lines
    return Table(("trial", tuned.measure, "its folds", *heads), tuple(rows), align, "The best trials", reading)


def _importance(tuned: Tuned) -> list[Table]:
    """Return what mattered as a table, or nothing where there are too few trials to say."""
    if not tuned.importance:
        return []
    largest = max(tuned.importance.values()) or 1.0
    rows = tuple((name, Cell(f"{100 * share:.0f} %", bar=share / largest)) for name, share in tuned.importance.items())
    reading = (
        "Of the variance of the loss, the part that each explains alone (functional ANOVA); a pruned trial is in it "
        "with the loss at which it ended. With few trials this is a hint and no more."
    )
    return [Table(("dimension", "share"), rows, "lr", "What mattered", reading)]


def _slice(tuned: Tuned, dimension: Dimension) -> Figure:
    whole = tuned.whole
    y = np.array([trial.value or 0.0 for trial in whole])
    values = [trial.point[dimension.name] for trial in whole]
    x = np.array([float(dimension.choices.index(v)) for v in values] if dimension.choices else values, dtype=float)
    plot = Plot(_axis(dimension), _loss_axis(tuned, y))
    plot.points(x, y, "s1", radius=2.5)
    plot.points(x[:1], y[:1], "s1", radius=5.5)
    reading = f"Each dot is a whole trial, the large one the best: {shown(values[0])}."
    rows = tuple((shown(v), f"{loss:#.4g}") for v, loss in zip(values[:SHOWN], y, strict=False))
    table = Table((dimension.name, tuned.measure), rows, "rr")
    return Figure(dimension.name, plot.svg(dimension.name, reading), reading, table)


def _axis(dimension: Dimension) -> Axis:
    if dimension.choices:
        count = len(dimension.choices)
        return Names(-0.5, count - 0.5, dimension.name, names=tuple(map(str, dimension.choices)))
    low, high = float(dimension.low), float(dimension.high)
    if dimension.log:
        room = (high / low) ** 0.03
        return Axis(low / room, high * room, dimension.name, log=True)
    if dimension.whole and high - low < 8:
        return Axis(low - 0.5, high + 0.5, dimension.name)
    room = 0.03 * (high - low)
    return Axis(low - room, math.nextafter(high + room, math.inf), dimension.name)


def _space(tuned: Tuned) -> Table:
    rows = tuple((d.name, d.shown(), d.why) for d in tuned.space)
    return Table(("dimension", "from what", "why"), rows, "lll")
