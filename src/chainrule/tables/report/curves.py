"""Pictures of probabilities: ROC, precision and recall, calibration, and what comes of declining to answer."""

from __future__ import annotations

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.pages.blocks import Cell, Figure, Table
from chainrule.pages.drawing import Axis, Plot, thin
from chainrule.pages.formatting import apart, fixed, percent, rows
from chainrule.tables.report.uncertainty import wilson

BINS = 10  # of probabilities
STEPS = (0.01, 0.05, 0.1, 0.2, 0.5)  # false alarms in the table of the ROC curve
RECALLS = (0.25, 0.5, 0.75, 0.9, 1.0)

Curves = list[tuple[str, Array, Array]]  # name, which rows are of the class, its scores


def roc(curves: Curves) -> Figure:
    """Draw how many of a class are found against how many others are taken for it, over all thresholds."""
    metrics = require("sklearn.metrics", "sklearn")
    plot = _share_plot("false alarms: share of the others", "found: share of the class")
    plot.line(np.array([0, 1]), np.array([0, 1]), "chance")
    key, lines, areas = [], [], []
    names = apart([name for name, _, _ in curves])
    for i, (_, truth, score) in enumerate(curves):
        alarms, found, _ = metrics.roc_curve(truth, score)
        areas.append(float(metrics.roc_auc_score(truth, score)))
        at = [float(found[np.searchsorted(alarms, step, "right") - 1]) for step in STEPS]
        plot.line(*thin(alarms, found), f"s{i + 1}")
        key.append((f"s{i + 1}", f"{names[i]}: area {fixed(areas[-1], 3)}"))
        lines.append((names[i], fixed(areas[-1], 3), *map(percent, at)))
    name, area = f"'{names[0]}'", areas[0]
    reading = (
        f"Of a row of {name} and one that is not, the network gives the first the higher probability in "
        f"{percent(area)} of the cases: that is the area. By chance it would be 50 %."
    )
    head = ("class", "area", *(f"found at {percent(s)} false alarms" for s in STEPS))
    table = Table(head, tuple(lines), "l" + "r" * (1 + len(STEPS)))
    look = "The area is that under the line; the dotted diagonal is chance."
    return plot.figure("ROC curve", reading, table, (*key, ("chance", "chance")), look)


def precision_recall(curves: Curves) -> Figure:
    """Draw how many of the rows that are called a class are of it, against how many of the class are found."""
    metrics = require("sklearn.metrics", "sklearn")
    plot = _share_plot("recall: share of the class that is found", "precision: share that is right")
    key, lines, middle = [], [], 0.0
    names = apart([name for name, _, _ in curves])
    for i, (_, truth, score) in enumerate(curves):
        precision, recall, _ = metrics.precision_recall_curve(truth, score)
        average = float(metrics.average_precision_score(truth, score))
        at = [float(precision[recall >= r].max()) for r in RECALLS]
        middle = middle or at[1]
        if i == 0:
            plot.line(np.array([0, 1]), np.full(2, truth.mean()), "chance")
        plot.line(*thin(recall[::-1], precision[::-1]), f"s{i + 1}")
        key.append((f"s{i + 1}", f"{names[i]}: average precision {fixed(average, 3)}"))
        lines.append((names[i], fixed(average, 3), percent(float(truth.mean())), *map(percent, at)))
    name, share = f"'{names[0]}'", lines[0][2]
    reading = (
        f"Where the threshold is such that half of {name} are found, {percent(middle)} of those that are called so are "
        f"right. Guessing would reach {share}: so many of all rows are {name}."
    )
    head = ("class", "average precision", "guessing", *(f"precision at {percent(r)} recall" for r in RECALLS))
    table = Table(head, tuple(lines), "l" + "r" * (2 + len(RECALLS)))
    key.append(("chance", "guessing"))
    return plot.figure("Precision and recall", reading, table, key, "The dotted line is guessing.")


def calibration(truth: Array, score: Array, what: str, happened: str) -> Figure:
    """Draw how often something happened against how probable the network called it, in ten bins with their counts."""
    which = np.clip((score * BINS).astype(int), 0, BINS - 1)
    counts = np.bincount(which, minlength=BINS)
    filled = np.flatnonzero(counts)
    said = np.bincount(which, weights=score, minlength=BINS)[filled] / counts[filled]
    came = np.bincount(which, weights=truth, minlength=BINS)[filled] / counts[filled]
    low, high = wilson(came, counts[filled])
    plot = _share_plot(what, happened)
    edges = np.linspace(0, 1, BINS + 1)
    tips = [rows(int(c)) for c in counts]
    plot.bars(edges, 0.3 * counts / max(counts.max(), 1), "count", tips)
    plot.line(np.array([0, 1]), np.array([0, 1]), "chance")
    plot.intervals(said, low, high, "s1")
    plot.line(said, came, "s1")
    plot.points(said, came, "s1", 3.5)
    off = float((np.abs(said - came) * counts[filled]).sum() / counts.sum())
    most = int(np.argmax(counts[filled]))
    n = int(counts[filled][most])
    reading = (
        f"Where it says {percent(said[most])} on average ({rows(n)}), it is so for {percent(came[most])}. Over all "
        f"rows the two differ by {percent(off)} on average."
    )
    look = (
        "On the dotted diagonal they are the same; the upright lines are 95 % intervals, the gray bars show how "
        "many rows there are."
    )
    lines = tuple(
        (f"{percent(edges[b])} to {percent(edges[b + 1])}", f"{counts[b]:,}", percent(s), percent(c))
        for b, s, c in zip(filled, said, came, strict=True)
    )
    table = Table(("probability", "rows", "said on average", "came true"), lines, "lrrr")
    return plot.figure("Calibration", reading, table, look=look)


def risk_coverage(right: Array, sure: Array) -> Figure:
    """Draw which share is right, if the network answers for those rows only of which it is surest."""
    order = np.argsort(-sure, kind="stable")
    n = len(order)
    answered, correct = np.arange(1, n + 1) / n, np.cumsum(right[order]) / np.arange(1, n + 1)
    start = min(n - 1, max(0, n // 100 - 1))  # of fewer rows the share says nothing
    half, all_of_them = float(correct[max(0, n // 2 - 1)]), float(correct[-1])
    low = min(float(correct[start:].min()), all_of_them)
    axis = Axis(max(0.0, np.floor(10 * low) / 10 if low < 1 else 0.9), 1.0, "share of them that is right", share=True)
    plot = Plot(Axis(0.0, 1.0, "share of rows that it answers for, the surest first", share=True), axis)
    plot.line(np.array([0, 1]), np.full(2, all_of_them), "chance")
    plot.line(*thin(answered[start:], correct[start:]), "s1")
    reading = (
        f"Of all rows {percent(all_of_them)} are right; of the half that it is surest of, {percent(half)}. The larger "
        "the difference, the better it knows when it does not know."
    )
    shares = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
    at = [max(1, round(share * n)) for share in shares]
    body = tuple(
        (percent(share), f"{i:,}", Cell(percent(float(correct[i - 1])), bar=float(correct[i - 1])))
        for share, i in zip(shares, at, strict=True)
    )
    table = Table(("answered", "rows", "right"), body, "rrr")
    return plot.figure("If it may decline", reading, table, look="Dotted: all rows.")


def _share_plot(x: str, y: str) -> Plot:
    return Plot(Axis(0.0, 1.0, x, share=True), Axis(0.0, 1.0, y, share=True))
