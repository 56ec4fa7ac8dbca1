"""The part of a report about a regression: the errors, their size, and their direction."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.blocks import Block, Cell, Figure, Figures, Heading, Table, Text
from chainrule.pages.drawing import Axis, Plot
from chainrule.pages.formatting import aligned, clean, percent, rows, short
from chainrule.tables.report.data import ReportData
from chainrule.tables.report.uncertainty import half_width

POINTS = 1500  # rows drawn as dots; more are drawn as a histogram
SQUARES = (44, 32)
BINS, PARTS = 30, 5
WIDE = 100  # times the median: a larger target has logarithmic axes
FAR = 4  # times the distance between the 1st and 99th percentiles; farther values are drawn at the edge


def sections(data: ReportData) -> list[Block]:
    """Return the blocks; for several numbers, those of each."""
    if data.truth.ndim == 1:
        return _of_one(data, "Predictions and errors", "regression")
    each = [
        replace(data, target=name, truth=data.truth[:, i], predicted=data.predicted[:, i])
        for i, name in enumerate(data.target_names)
    ]
    return [
        block
        for i, of in enumerate(each)
        for block in _of_one(of, f"Predictions and errors: {clean(of.target, 60)}", f"regression-{i + 1}")
    ]


def _of_one(data: ReportData, title: str, anchor: str) -> list[Block]:
    known = data.finite()
    truth, predicted = data.truth[known].astype(float), data.predicted[known].astype(float)
    if not len(truth):
        return []
    pictures = Figures((_against(data, truth, predicted), _residuals(data, predicted - truth)))
    blocks: list[Block] = [Heading(title, "on held-out rows", anchor), pictures]
    if np.ptp(predicted) == 0 and len(predicted) > 1:
        blocks.append(
            Text(f"The network predicts {short(predicted[0])} for every row: it has learned nothing.", "warning")
        )
    blocks.append(_parts(data, truth, predicted))
    return blocks


def limits(values: Array) -> tuple[float, float]:
    """Return the range to draw, without a few values far from the others.

    >>> limits(np.arange(11.0)), limits(np.append(np.arange(200.0), 1e9))
    ((0.0, 10.0), (0.0, 982.0))
    """
    low, near, beyond, high = np.quantile(values, [0, 0.01, 0.99, 1])
    margin = FAR * (beyond - near)
    if len(values) >= 100 and margin > 0:
        low, high = max(low, near - margin), min(high, beyond + margin)
    if low == high:
        low, high = low - (abs(low) or 1.0) * 0.05, high + (abs(high) or 1.0) * 0.05
    return float(low), float(high)


def _against(data: ReportData, truth: Array, predicted: Array) -> Figure:
    both = np.concatenate([truth, predicted])
    log = bool(both.min() > 0 and truth.max() > WIDE * np.median(truth))
    low, high = (float(both.min()), float(both.max())) if log else limits(both)
    name = clean(data.target, 28)
    plot = Plot(Axis(low, high, f"actual {name}", log), Axis(low, high, f"predicted {name}", log))
    if len(truth) <= POINTS:
        plot.points(truth, predicted, "s1 many" if len(truth) > 60 else "s1")
        what = "One dot per row"
    else:
        x, y = (np.linspace(0, 1, n + 1) for n in SQUARES)
        counts, *_ = np.histogram2d(plot.x.place(truth), plot.y.place(predicted), bins=(x, y))
        edges = [low * (high / low) ** v if log else low + (high - low) * v for v in (x, y)]
        plot.squares(edges[0], edges[1], counts, "s1")
        what = "A deeper color means more rows"
    plot.line(np.array([low, high]), np.array([low, high]), "chance")
    outside = int(((both < low) | (both > high)).reshape(2, -1).any(axis=0).sum())
    within = float((np.abs(predicted - truth) <= 0.1 * np.abs(truth)).mean())
    caption = f"{percent(within)} of predictions are within 10% of the actual value."
    caption += f" Outside the plot and drawn at its edge: {rows(outside)}." if outside else ""
    order = np.argsort(predicted, kind="stable")
    lines = tuple(
        (_range(predicted[part]), f"{len(part):,}", short(predicted[part].mean()), short(truth[part].mean()))
        for part in np.array_split(order, min(PARTS, len(order)))
    )
    table = Table(("predicted", "rows", "mean predicted", "mean actual"), lines, "lrrr")
    look = f"{what}. Predictions on the dotted line are exact; above it, they are too high."
    return plot.figure("Predicted vs. actual", caption, table, look=look)


def _residuals(data: ReportData, error: Array) -> Figure:
    low, high = limits(error)
    edges = np.linspace(low, high, min(BINS, max(4, int(np.sqrt(len(error))))) + 1)
    counts, _ = np.histogram(np.clip(error, low, high), edges)
    plot = Plot(Axis(low, high, f"predicted − actual {clean(data.target, 24)}"), Axis(0, float(counts.max()), "rows"))
    bins = [f"{short(a, 3)} to {short(b, 3)}" for a, b in itertools.pairwise(edges)]
    plot.bars(edges, counts, "s1", [f"{bin_}: {rows(int(n))}" for bin_, n in zip(bins, counts, strict=True)])
    if low < 0 < high:
        plot.line(np.zeros(2), np.array([0.0, float(counts.max())]), "chance")
    mean, chance = float(error.mean()), half_width(error)
    middle = float(np.median(np.abs(error)))
    bias = f"Predictions are {short(abs(mean), 3)} too {'high' if mean > 0 else 'low'} on average"
    bias += ", which is within chance" if abs(mean) <= chance < math.inf else ""
    far = int(((error < low) | (error > high)).sum())
    caption = f"Half of the predictions are within {short(middle, 3)} of the actual value. {bias}." + (
        f" Outside the plot and counted in its end bars: {rows(far)}." if far else ""
    )
    lines = tuple((b, Cell(f"{n:,}", bar=n / max(counts.max(), 1))) for b, n in zip(bins, counts, strict=True))
    table = Table(("predicted − actual", "rows"), lines, "lr")
    return plot.figure("Residuals", caption, table)


def _parts(data: ReportData, truth: Array, predicted: Array) -> Table:
    error, mean = predicted - truth, float(truth.mean())
    order = np.argsort(truth, kind="stable")
    parts = [part for part in np.array_split(order, min(PARTS, len(order))) if len(part)]
    off = [float(np.abs(error[part]).mean()) for part in parts]
    largest = max(off) or 1.0
    constant = [float(np.abs(mean - truth[part]).mean()) for part in parts]
    bias = [float(error[part].mean()) for part in parts]
    texts = aligned([*off, *constant]) + aligned(bias, signed=True)
    n, better = len(parts), [o <= c for o, c in zip(off, constant, strict=True)]
    lines = [
        (
            _range(truth[part]), f"{len(part):,}", Cell(texts[i], bar=off[i] / largest, strong=better[i]),
            Cell(texts[n + i], strong=not better[i]), texts[2 * n + i],
        )
        for i, part in enumerate(parts)
    ]  # fmt: skip
    who = f"In every group, the network is more accurate than always predicting the mean ({short(mean)})."
    if not all(better):
        who = f"In {n - sum(better)} of {n} groups, always predicting the mean ({short(mean)}) is more accurate."
    caption = (
        f"Each line covers a {'fifth' if n == PARTS else 'part'} of the rows, sorted by actual value. MAE: mean "
        f"absolute error. Bias: mean of predicted − actual; positive means too high. {who}"
    )
    head = (f"actual {clean(data.target, 28)}", "rows", "MAE", "MAE, mean baseline", "bias")
    return Table(head, tuple(lines), "lrrrr", "Error by target value", caption)


def _range(values: Array) -> str:
    low, high = short(values.min()), short(values.max())
    return low if low == high else f"{low} to {high}"
