"""The tuning page: the trials, the best of them, the importance of each dimension, and the measure along it."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.files.writing import write_atomically
from chainrule.pages.blocks import Cell, Figure, Figures, Heading, Table, Text
from chainrule.pages.drawing import Axis, Plot
from chainrule.pages.formatting import rows as counted
from chainrule.pages.page import Page
from chainrule.pages.text import columns
from chainrule.tables.tuning.result import TrialRecord, Tuned
from chainrule.tables.tuning.space import Dimension

TRIALS, PAGE, TEXT = "trials.csv", "tuning.html", "tuning.md"
SHOWN = 10  # trials in a table


def save(tuned: Tuned, folder: str | Path) -> None:
    """Write ``trials.csv``, ``tuning.html`` and ``tuning.md`` to a folder, each whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> import polars as pl
    >>> from chainrule.tables import tune
    >>> frame = pl.DataFrame({"a": range(60), "even": [i % 2 == 0 for i in range(60)]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(tune(frame, "even", trials=1, numeric=["a"], parameters={"max_iter": 2}), folder)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['trials.csv', 'tuning.html', 'tuning.md']
    """
    page = _page(tuned)
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    names = [dimension.name for dimension in tuned.space]
    writer.writerow(["trial", "state", tuned.measure, "seconds", *names])
    for trial in tuned.trials:
        value = "" if trial.value is None else repr(trial.value)
        writer.writerow([trial.number, trial.state, value, f"{trial.seconds:.3f}", *(trial.point[n] for n in names)])
    texts = {PAGE: page.html, TEXT: page.markdown, TRIALS: table.getvalue()}
    for name, text in texts.items():
        write_atomically(Path(folder) / name, text.encode(), follow=False)


def summary(tuned: Tuned) -> str:
    """Return the best trials and the importance of each dimension as text.

    Examples
    --------
    >>> import polars as pl
    >>> from chainrule.tables import tune
    >>> frame = pl.DataFrame({"a": range(60), "even": [i % 2 == 0 for i in range(60)]})
    >>> print(summary(tune(frame, "even", trials=1, numeric=["a"], parameters={"max_iter": 2})))
    trial  log loss  layers  units  activation  dropout  alpha  learning_rate  batch_size   schedule  label_smoothing
        1  ...
    """
    names = [dimension.name for dimension in tuned.space]
    lines = [["trial", tuned.measure, *names]]
    lines += [
        [str(trial.number), f"{trial.value:#.4g}", *(_shown(trial.point[name]) for name in names)]
        for trial in complete(tuned)[:SHOWN]
    ]
    text = [columns(lines, align="r" * len(lines[0]))]
    if tuned.importance:
        text += ["", "importance"]
    for name, share in tuned.importance.items():
        text.append(f"  {name:<15} {100 * share:3.0f}%  {'█' * round(30 * share)}".rstrip())
    return "\n".join(text)


def sentence(tuned: Tuned) -> str:
    """Return the result in a sentence."""
    ends = ", ".join(f"{count} {state}" for state, count in sorted(Counter(t.state for t in tuned.trials).items()))
    said = f"{tuned.measure} {tuned.value:#.4g} over {tuned.folds} folds"
    if tuned.sign * tuned.value < tuned.sign * tuned.default_value:
        change = 100 * abs(1 - tuned.value / tuned.default_value) if tuned.default_value else math.inf
        how = "more" if tuned.larger else "less"
        said += f", {change:.1f}% {how} than the default's {tuned.default_value:#.4g}"
    else:
        said += ": the default, nothing better was found"
    return f"{said} ({counted(len(tuned.trials), 'trial')}: {ends})."


def complete(tuned: Tuned) -> list[TrialRecord]:
    """Return the trials that were trained on all folds, best first."""
    trials = [trial for trial in tuned.trials if trial.state == "complete"]
    return sorted(trials, key=lambda trial: (tuned.sign * (trial.value or 0.0), trial.number))


def _page(tuned: Tuned) -> Page:
    about = (
        f"{len(tuned.trials)} trials on {tuned.trained.source}, each trained on {tuned.folds} folds of the "
        f"training rows, and chosen by the {tuned.measure}. The held-out rows were not used."
    )
    blocks = (
        Text(f"Best: {sentence(tuned)}", "result"),
        Heading("Trials", "in order, and the best of them", "trials"),
        Figures((_history(tuned), *_importance(tuned))),
        _best(tuned),
        Heading("Dimensions", f"the {tuned.measure} along each of them", "dimensions"),
        Figures(tuple(_slice(tuned, dimension) for dimension in tuned.space)),
        Heading("Search space", "the ranges, and the reasons for them", "space"),
        Table(("dimension", "range", "reason"), tuple((d.name, d.shown(), d.why) for d in tuned.space), "lll"),
    )
    return Page(f"Tuning a network for {tuned.trained.schema.target}", about, blocks)


def _axis_of_values(tuned: Tuned, values: Array) -> Axis:
    """Return an axis that shows the good trials well, with the worst at its end."""
    values = tuned.sign * values
    high = max(float(np.quantile(values, 0.75)), tuned.sign * tuned.default_value)
    low = float(values.min())
    room = 0.06 * (high - low) or 0.01 * abs(low) or 1.0
    start, end = sorted((tuned.sign * (low - room), tuned.sign * (high + room)))
    return Axis(start, end, tuned.measure)


def _history(tuned: Tuned) -> Figure:
    def points(state: str) -> Array:
        return np.array([(t.number, t.value) for t in tuned.trials if t.state == state], dtype=float).reshape(-1, 2)

    (x, y), pruned, last = points("complete").T, points("pruned"), len(tuned.trials) + 1.0
    plot = Plot(Axis(0.0, last, "trial"), _axis_of_values(tuned, y))
    plot.line(np.array([0.0, last]), np.full(2, tuned.default_value), "s6 dashed")
    if len(pruned):
        plot.points(pruned[:, 0], pruned[:, 1], "s2", radius=2.0)
    plot.points(x, y, "s1", radius=3.0)
    plot.line(
        np.repeat(np.append(x, last), 2)[1:-1], np.repeat(tuned.sign * np.minimum.accumulate(tuned.sign * y), 2), "s1"
    )
    look = (
        "Blue: complete trials, and the best so far. Orange: pruned trials, with the mean at which they ended. "
        "Dashed: the default. Trials beyond the plot are drawn at its edge."
    )
    rows = tuple((str(t.number), t.state, "" if t.value is None else f"{t.value:#.4g}") for t in tuned.trials)
    table = Table(("trial", "state", tuned.measure), rows, "rlr")
    caption = f"The {tuned.measure} of the default is {tuned.default_value:#.4g}."
    return plot.figure("Trial by trial", caption, table, look=look)


def _best(tuned: Tuned) -> Table:
    names = [dimension.name for dimension in tuned.space]
    rows: list[tuple[Cell | str, ...]] = [
        (
            Cell(str(trial.number), strong=i == 0),
            Cell(f"{trial.value:#.4g}", strong=i == 0),
            f"{min(trial.folds):#.4g} – {max(trial.folds):#.4g}",
            *(Cell(_shown(trial.point[name]), strong=i == 0) for name in names),
        )
        for i, trial in enumerate(complete(tuned)[:SHOWN])
    ]
    caption = (
        "Trial 1 is the default. All trials use the same folds, whose values often differ by more than those of the "
        "trials. The best of many trials is slightly optimistic; the scores on the held-out rows are not."
    )
    head = ("trial", tuned.measure, "range over folds", *(name.replace("_", " ") for name in names))  # which may wrap
    return Table(head, tuple(rows), "r" * len(head), "Best trials", caption)


def _importance(tuned: Tuned) -> list[Table]:
    """Return the importance as a table, or nothing where there are too few trials."""
    if not tuned.importance:
        return []
    largest = max(tuned.importance.values()) or 1.0
    rows = tuple((name, Cell(f"{100 * share:.0f}%", bar=share / largest)) for name, share in tuned.importance.items())
    caption = (
        f"The share of the variance of the {tuned.measure} that each dimension explains alone (functional ANOVA). "
        "Pruned trials count with the mean at which they ended. After a few trials, this is only a hint."
    )
    return [Table(("dimension", "share"), rows, "lr", "Importance", caption)]


def _slice(tuned: Tuned, dimension: Dimension) -> Figure:
    trials = complete(tuned)
    y = np.array([trial.value for trial in trials], dtype=float)
    values = [trial.point[dimension.name] for trial in trials]
    x = np.array([dimension.choices.index(v) for v in values] if dimension.choices else values, dtype=float)
    plot = Plot(_axis(dimension), _axis_of_values(tuned, y))
    plot.points(x, y, "s1", radius=2.5)
    plot.points(x[:1], y[:1], "s1", radius=5.5)
    look = "Each dot is a complete trial, the large one the best."
    return plot.figure(dimension.name, f"Best: {_shown(values[0])}.", None, look=look)


@dataclass(frozen=True)
class _Names(Axis):
    """An axis of names, at 0, 1, 2, ..."""

    names: tuple[str, ...] = ()

    def ticks(self) -> list[tuple[float, str]]:
        return [(float(i), name) for i, name in enumerate(self.names)]


def _axis(dimension: Dimension) -> Axis:
    if dimension.choices:
        return _Names(-0.5, len(dimension.choices) - 0.5, dimension.name, names=tuple(map(str, dimension.choices)))
    low, high = float(dimension.low), float(dimension.high)
    if dimension.log:
        room = (high / low) ** 0.03
        return Axis(low / room, high * room, dimension.name, log=True)
    room = 0.5 if dimension.whole and high - low < 8 else 0.03 * (high - low)
    return Axis(low - room, math.nextafter(high + room, math.inf), dimension.name)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
