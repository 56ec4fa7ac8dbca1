"""Plots of probabilities: ROC, precision and recall, calibration, and accuracy by confidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.pages.blocks import Cell, Figure, Table
from chainrule.pages.drawing import Axis, Plot, thin
from chainrule.pages.formatting import apart, fixed, percent, rows
from chainrule.tables.report.uncertainty import wilson

BINS = 10  # of probabilities
RATES = (0.01, 0.05, 0.1, 0.2, 0.5)  # false positive rates in the table of the ROC curve
RECALLS = (0.25, 0.5, 0.75, 0.9, 1.0)
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)  # of the rows, most confident first
DIAGONAL = np.array([0, 1])

Curves = Sequence[tuple[str, Array, Array]]
"""For each curve, its name, which rows are positive, and their scores."""


def roc(curves: Curves) -> Figure:
    """Draw the true positive rate against the false positive rate, over all thresholds."""
    metrics = require("sklearn.metrics", "sklearn")
    plot = _share_plot("false positive rate", "true positive rate")
    plot.line(DIAGONAL, DIAGONAL, "chance")
    lines, areas = [], []
    for i, (_, truth, score) in enumerate(curves):
        false, true, _ = metrics.roc_curve(truth, score)
        areas.append(float(metrics.roc_auc_score(truth, score)))
        lines.append([percent(float(true[np.searchsorted(false, rate, "right") - 1])) for rate in RATES])
        plot.line(*thin(false, true), f"s{i + 1}")
    caption = (
        f"Given a random row of '{_names(curves)[0]}' and a random other row, the network ranks the first higher "
        f"{percent(areas[0])} of the time: this is the AUC. Chance is 50%."
    )
    look = "The AUC is the area under the curve; the dotted diagonal is chance."
    head = [f"TPR at {percent(rate)} FPR" for rate in RATES]
    return _figure(plot, "ROC curve", curves, ("AUC", areas), head, lines, caption, look, "chance")


def precision_recall(curves: Curves) -> Figure:
    """Draw precision against recall, over all thresholds."""
    metrics = require("sklearn.metrics", "sklearn")
    plot = _share_plot("recall", "precision")
    lines, averages = [], []
    for i, (_, truth, score) in enumerate(curves):
        precision, recall, _ = metrics.precision_recall_curve(truth, score)
        averages.append(float(metrics.average_precision_score(truth, score)))
        at = [float(precision[recall >= r].max()) for r in RECALLS]
        lines.append([percent(float(truth.mean())), *map(percent, at)])
        if i == 0:
            plot.line(DIAGONAL, np.full(2, truth.mean()), "chance")
        plot.line(*thin(recall[::-1], precision[::-1]), f"s{i + 1}")
    name = f"'{_names(curves)[0]}'"
    caption = (
        f"At the threshold that detects half of {name}, precision is {lines[0][1 + RECALLS.index(0.5)]}. Random "
        f"guessing would score {lines[0][0]}, the share of rows that are {name}."
    )
    head = ["baseline", *(f"precision at {percent(r)} recall" for r in RECALLS)]
    look = "The dotted line is random guessing."
    title = "Precision and recall"
    return _figure(plot, title, curves, ("average precision", averages), head, lines, caption, look, "random guessing")


def _names(curves: Curves) -> list[str]:
    return apart([name for name, _, _ in curves])


def _figure(
    plot: Plot, title: str, curves: Curves, summary: tuple[str, list[float]], head: list[str], lines: list[list[str]],
    caption: str, look: str, dotted: str,
) -> Figure:  # fmt: skip
    """Return a plot of several curves with a key and a table; ``summary`` is a name, and a number for each curve."""
    names, what = _names(curves), summary[0]
    values = [fixed(value, 3) for value in summary[1]]
    key = [(f"s{i + 1}", f"{name}: {what} {value}") for i, (name, value) in enumerate(zip(names, values, strict=True))]
    body = tuple((name, value, *line) for name, value, line in zip(names, values, lines, strict=True))
    table = Table(("class", what, *head), body, "lr" + "r" * len(head))
    return plot.figure(title, caption, table, (*key, ("chance", dotted)), look)


def calibration(truth: Array, score: Array, what: str, happened: str) -> Figure:
    """Draw the observed frequency against the predicted probability, in ten bins with their counts."""
    which = np.clip((score * BINS).astype(int), 0, BINS - 1)
    counts = np.bincount(which, minlength=BINS)
    filled = np.flatnonzero(counts)
    mean = np.bincount(which, weights=score, minlength=BINS)[filled] / counts[filled]
    observed = np.bincount(which, weights=truth, minlength=BINS)[filled] / counts[filled]
    low, high = wilson(observed, counts[filled])
    plot = _share_plot(what, happened)
    edges = np.linspace(0, 1, BINS + 1)
    plot.bars(edges, 0.3 * counts / max(counts.max(), 1), "count", [rows(int(c)) for c in counts])
    plot.line(DIAGONAL, DIAGONAL, "chance")
    plot.intervals(mean, low, high, "s1")
    plot.line(mean, observed, "s1")
    plot.points(mean, observed, "s1", 3.5)
    gap = float((np.abs(mean - observed) * counts[filled]).sum() / counts.sum())
    most = int(np.argmax(counts[filled]))
    caption = (
        f"Where the mean predicted probability is {percent(mean[most])} ({rows(int(counts[filled][most]))}), the "
        f"observed frequency is {percent(observed[most])}. Over all rows, the mean gap is {percent(gap)}."
    )
    look = (
        "The dotted diagonal is perfect calibration; vertical lines are 95% confidence intervals, gray bars are row "
        "counts."
    )
    lines = tuple(
        (f"{percent(edges[b])} to {percent(edges[b + 1])}", f"{counts[b]:,}", percent(p), percent(o))
        for b, p, o in zip(filled, mean, observed, strict=True)
    )
    table = Table(("probability", "rows", "mean predicted probability", "observed frequency"), lines, "lrrr")
    return plot.figure("Calibration", caption, table, look=look)


def risk_coverage(correct: Array, confidence: Array) -> Figure:
    """Draw the accuracy on the most confident rows against their share."""
    order = np.argsort(-confidence, kind="stable")
    n = len(order)
    coverage, accuracy = np.arange(1, n + 1) / n, np.cumsum(correct[order]) / np.arange(1, n + 1)
    start = min(n - 1, max(0, n // 100 - 1))  # fewer rows give no reliable accuracy
    half, every = float(accuracy[max(0, n // 2 - 1)]), float(accuracy[-1])
    low = min(float(accuracy[start:].min()), every)
    axis = Axis(max(0.0, np.floor(10 * low) / 10 if low < 1 else 0.9), 1.0, "accuracy on those rows", share=True)
    plot = Plot(Axis(0.0, 1.0, "coverage: share of rows predicted, most confident first", share=True), axis)
    plot.line(DIAGONAL, np.full(2, every), "chance")
    plot.line(*thin(coverage[start:], accuracy[start:]), "s1")
    caption = (
        f"Accuracy is {percent(every)} on all rows and {percent(half)} on the most confident half. The larger the gap, "
        "the better the network knows when it is unsure."
    )
    at = [max(1, round(share * n)) for share in SHARES]
    body = tuple(
        (percent(share), f"{i:,}", Cell(percent(float(accuracy[i - 1])), bar=float(accuracy[i - 1])))
        for share, i in zip(SHARES, at, strict=True)
    )
    table = Table(("coverage", "rows", "accuracy"), body, "rrr")
    look = "Dotted line: accuracy on all rows."
    return plot.figure("Accuracy by confidence", caption, table, look=look)


def _share_plot(x: str, y: str) -> Plot:
    return Plot(Axis(0.0, 1.0, x, share=True), Axis(0.0, 1.0, y, share=True))
