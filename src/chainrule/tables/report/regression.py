"""The part of a report about a number that is predicted: how far off it is, where, and in which direction."""

from __future__ import annotations

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.blocks import Block, Cell, Figure, Figures, Heading, Table, Text
from chainrule.pages.drawing import Axis, Plot
from chainrule.pages.formatting import aligned, clean, percent, rows, short
from chainrule.tables.report.data import ReportData

POINTS = 1500  # rows: with more, squares are drawn that are denser where there are more rows
SQUARES = (44, 32)
BINS, PARTS = 30, 5
WIDE = 100  # times the median: drawn by powers of ten
FAR = 4  # times the distance of the 1st and the 99th percentile: farther is left out of a picture


def sections(data: ReportData) -> list[Block]:
    """Return the blocks."""
    known = data.finite()
    truth, predicted = data.truth[known].astype(float), data.predicted[known].astype(float)
    if not len(truth):
        return []
    pictures = Figures((_against(data, truth, predicted), _residuals(data, predicted - truth)))
    blocks: list[Block] = [Heading("Predicted and actual", "on rows that training never saw", "amounts"), pictures]
    if np.ptp(predicted) == 0 and len(predicted) > 1:
        blocks.append(Text(f"The network says {short(predicted[0])} for every row: it has learned nothing.", "warning"))
    blocks.append(_parts(data, truth, predicted))
    return blocks


def limits(values: Array) -> tuple[float, float]:
    """Return from where to where values are drawn: all of them, but for a few that lie far from the others.

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
        what = "Each dot is a row"
    else:
        x, y = (np.linspace(0, 1, n + 1) for n in SQUARES)
        counts, *_ = np.histogram2d(plot.x.place(truth), plot.y.place(predicted), bins=(x, y))
        edges = [low * (high / low) ** v if log else low + (high - low) * v for v in (x, y)]
        plot.squares(edges[0], edges[1], counts, "s1")
        what = "The deeper the color, the more rows"
    plot.line(np.array([low, high]), np.array([low, high]), "chance")
    outside = int(((both < low) | (both > high)).reshape(2, -1).any(axis=0).sum())
    within = float((np.abs(predicted - truth) <= 0.1 * np.abs(truth)).mean())
    reading = f"{percent(within)} of the rows are predicted to within 10 % of what they are."
    reading += f" Farther off than the picture, and drawn at its edge: {rows(outside)}." if outside else ""
    order = np.argsort(predicted, kind="stable")
    lines = tuple(
        (_range(predicted[part]), f"{len(part):,}", short(predicted[part].mean()), short(truth[part].mean()))
        for part in np.array_split(order, min(PARTS, len(order)))
    )
    table = Table(("predicted", "rows", "predicted on average", "actual on average"), lines, "lrrr")
    look = f"{what}; on the dotted line the prediction is right, above it too high."
    return plot.figure("Predicted against actual", reading, table, look=look)


def _residuals(data: ReportData, error: Array) -> Figure:
    low, high = limits(error)
    edges = np.linspace(low, high, min(BINS, max(4, int(np.sqrt(len(error))))) + 1)
    counts, _ = np.histogram(np.clip(error, low, high), edges)
    plot = Plot(Axis(low, high, f"predicted − actual {clean(data.target, 24)}"), Axis(0, float(counts.max()), "rows"))
    tips = [
        f"{short(a, 3)} to {short(b, 3)}: {rows(int(n))}" for a, b, n in zip(edges, edges[1:], counts, strict=False)
    ]
    plot.bars(edges, counts, "s1", tips)
    if low < 0 < high:
        plot.line(np.zeros(2), np.array([0.0, float(counts.max())]), "chance")
    mean, spread = float(error.mean()), _standard_error(error)
    middle = float(np.median(np.abs(error)))
    lean = "high" if mean > 0 else "low"
    bias = f"On average it is {short(abs(mean), 3)} too {lean}"
    bias += ", no more than chance" if np.isfinite(spread) and abs(mean) <= 1.96 * spread else ""
    far = int(((error < low) | (error > high)).sum())
    reading = f"Half of the rows are predicted to within {short(middle, 3)}. {bias}." + (
        f" {rows(far)} beyond the picture are in its outermost bars." if far else ""
    )
    lines = tuple(
        (f"{short(a, 3)} to {short(b, 3)}", Cell(f"{n:,}", bar=n / max(counts.max(), 1)))
        for a, b, n in zip(edges, edges[1:], counts, strict=False)
    )
    table = Table(("predicted − actual", "rows"), lines, "lr")
    return plot.figure("Residuals", reading, table)


def _standard_error(values: Array) -> float:
    scale = float(np.abs(values).max()) or 1.0  # so that no square is too large for a number
    return scale * float((values / scale).std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else np.nan


def _parts(data: ReportData, truth: Array, predicted: Array) -> Table:
    error, mean = predicted - truth, float(truth.mean())
    order = np.argsort(truth, kind="stable")
    parts = [part for part in np.array_split(order, min(PARTS, len(order))) if len(part)]
    off = [float(np.abs(error[part]).mean()) for part in parts]
    largest = max(off) or 1.0
    constant = [float(np.abs(mean - truth[part]).mean()) for part in parts]
    lean = [float(error[part].mean()) for part in parts]
    texts = aligned([*off, *constant])
    lines = [
        (
            _range(truth[part]),
            f"{len(part):,}",
            Cell(ours, bar=o / largest, strong=o <= c),
            Cell(mine, strong=c < o),
            way,
        )
        for part, o, c, ours, mine, way in zip(
            parts, off, constant, texts[: len(parts)], texts[len(parts) :], aligned(lean, signed=True), strict=True
        )
    ]
    beaten = sum(o > c for o, c in zip(off, constant, strict=True))
    reading = (
        f"Each line is a {'fifth' if len(parts) == PARTS else 'part'} of the rows, by what they really are. "
        "Mean error: how far off the prediction is on average, up or down; lean: where positive, too high. "
    )
    reading += (
        f"In {beaten} of {len(parts)} parts, always saying the mean ({short(mean)}) is nearer."
        if beaten
        else f"It is nearer than always saying the mean ({short(mean)}) in every part."
    )
    head = (f"actual {clean(data.target, 28)}", "rows", "mean error", "always the mean", "lean")
    return Table(head, tuple(lines), "lrrrr", "Error by the size of the target", reading)


def _range(values: Array) -> str:
    low, high = short(values.min()), short(values.max())
    return low if low == high else f"{low} to {high}"
