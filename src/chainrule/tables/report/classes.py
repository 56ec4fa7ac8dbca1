"""The part of a report about classes or labels: the confusion matrix, scores by class, and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.pages.blocks import Block, Cell, Figure, Figures, Heading, Row, Table, Text
from chainrule.pages.drawing import SERIES
from chainrule.pages.formatting import apart, fixed, percent, rows
from chainrule.tables.loading import UNBALANCED
from chainrule.tables.report import curves
from chainrule.tables.report.data import ReportData

MATRIX = 12  # classes in a confusion matrix; with more, only the most frequent confusions are listed
LISTED = {"class": 20, "label": 30}  # in the table of scores
CONFUSIONS = 20  # pairs of classes in the list
DRAWN = SERIES - 1  # curves in one plot, with more than two classes


def sections(data: ReportData) -> list[Block]:
    """Return the blocks."""
    known = data.finite()
    truth, predicted = data.truth[known].astype(int), data.predicted[known].astype(int)
    if not len(truth):
        return []
    what = "label" if truth.ndim == 2 else "class"
    scores = require("sklearn.metrics", "sklearn").precision_recall_fscore_support(
        truth, predicted, labels=range(len(data.classes)), average=None, zero_division=np.nan
    )
    blocks: list[Block] = [Heading(f"Results by {what}", "on held-out rows", "classes")]
    if what == "label":
        share = truth.mean(axis=0)
        exact, none = (truth == predicted).all(axis=1).mean(), (truth == (share >= 0.5)).all(axis=1).mean()
        caption = (
            f"Every label is correct in {percent(exact)} of rows; always predicting the majority value of each label "
            f"scores {percent(none)}."
        )
        more = {"correct": (truth == predicted).mean(axis=0), "majority baseline": np.maximum(share, 1 - share)}
        blocks.append(_scores(what, data.classes, scores, len(truth), caption, more))
    else:
        caption = (
            "Precision: share of rows predicted as the class that belong to it; random guessing scores the class's "
            "share. Recall: share of the class that is detected. F1: harmonic mean of the two."
        )
        blocks += _confusion(data, truth, predicted, _scores(what, data.classes, scores, len(truth), caption))
    if data.probabilities is not None:
        show = _label_curves if what == "label" else _class_curves
        blocks += show(data, data.probabilities[known], truth, scores[2])
    return blocks


def _scores(
    what: str, names: Sequence[str], scores: Any, count: int, caption: str, more: Mapping[str, Array] | None = None
) -> Table:
    """Return the scores of each class or label; of many, those with the lowest F1."""
    precision, recall, f1, support = scores
    most, order, shown, more = LISTED[what], np.arange(len(names)), apart(names, 24), more or {}
    if len(names) > most:
        order = np.argsort(np.where(support > 0, np.nan_to_num(f1), np.inf), kind="stable")[:most]
        caption += f" Shown: the {most} of {rows(len(names), what)} with the lowest F1."
    lines: list[Row] = [
        (
            shown[k], f"{support[k]:,}", percent(support[k] / count), *(percent(shares[k]) for shares in more.values()),
            *(Cell(percent(share), bar=float(np.nan_to_num(share))) for share in (precision[k], recall[k])),
            fixed(f1[k], 3),
        )
        for k in order.tolist()
    ]  # fmt: skip
    head = (what, "rows", "share", *more, "precision", "recall", "F1")
    return Table(head, tuple(lines), "l" + "r" * (len(head) - 1), f"Scores by {what}", caption)


def _confusion(data: ReportData, truth: Array, predicted: Array, scores: Table) -> list[Block]:
    """Return the confusions beside the scores, with a warning about classes without held-out rows."""
    k, names = len(data.classes), apart(data.classes, 24)
    counts = np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k)
    total = counts.sum(axis=1)
    absent = [name for name, n in zip(apart(data.classes), total, strict=True) if not n]
    blocks: list[Block] = []
    if absent:
        what = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        blocks.append(Text(f"No held-out rows belong to {what}, so performance there is unknown.", "warning"))
    caption = _summary(names, counts)
    if k <= MATRIX:
        lines: list[Row] = [
            (names[i], *(_square(int(counts[i, j]), int(total[i]), wrong=i != j) for j in range(k))) for i in range(k)
        ]
        matrix = Table(
            ("actual", *names), tuple(lines), "l" + "r" * k, "Confusion matrix",
            f"{caption} Rows are actual classes, columns predicted classes.", corner="predicted",
            look="A deeper color means a larger share of the row; blue is correct, orange is wrong.",
        )  # fmt: skip
        return [*blocks, Figures((matrix, scores))]
    wrong = counts * (1 - np.eye(k, dtype=int))
    worst = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [(i, j) for i, j in zip(*np.unravel_index(worst, wrong.shape), strict=True) if wrong[i, j]]
    lines = [
        (names[i], names[j], f"{wrong[i, j]:,}", Cell(percent(wrong[i, j] / total[i]), bar=wrong[i, j] / total[i]))
        for i, j in pairs
    ]
    confusions = Table(
        ("actual", "predicted", "rows", "share of class"), tuple(lines), "llrr", "Most frequent confusions",
        f"{caption} The {len(pairs)} most frequent errors among {k} classes.",
    )  # fmt: skip
    return [*blocks, confusions, scores]


def _positive(support: Array) -> int:
    """Return which of two classes is the positive one: the second, unless nearly all rows belong to it."""
    return 0 if 0 < UNBALANCED * support[0] <= support[1] else 1


def _square(count: int, total: int, *, wrong: bool) -> Cell:
    """Return a cell of the matrix; the root makes a few errors visible."""
    tint = (count / total) ** (0.5 if wrong else 1.0) if total else 0.0
    return Cell(f"{count:,}", tint=tint, wrong=wrong, strong=not wrong and count > 0)


def _summary(names: Sequence[str], counts: Array) -> str:
    """Return the matrix in a sentence."""
    if len(names) == 2:
        k = _positive(counts.sum(axis=1))
        called, found, there, name = int(counts[:, k].sum()), int(counts[k, k]), int(counts[k].sum()), f"'{names[k]}'"
        first = f"No row is predicted as {name}"
        if called:
            first = f"{found:,} of the {rows(called)} predicted as {name} are correct"
        return f"{first}; {found:,} of the {rows(there)} that are {name} are detected." if there else f"{first}."
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    if not wrong.sum():
        return "No errors on these rows."
    i, j = divmod(int(np.argmax(wrong)), len(names))
    share = percent(wrong[i, j] / counts[i].sum())
    return (
        f"Most frequent error: '{names[i]}' predicted as '{names[j]}', {rows(int(wrong[i, j]), 'time')} ({share} of "
        f"'{names[i]}')."
    )


def _class_curves(data: ReportData, p: Array, truth: Array, f1: Array) -> list[Block]:
    k = len(data.classes)
    positive = _positive(np.bincount(truth, minlength=k))
    both = [i for i in ([positive] if k == 2 else range(k)) if 0 < (truth == i).sum() < len(truth)]
    about = "one curve per class, one-vs-rest" if k > 2 else ""
    if len(both) > DRAWN:
        both = sorted(both, key=lambda i: np.nan_to_num(f1[i]))[:DRAWN]
        about = f"the {DRAWN} classes with the lowest F1, one-vs-rest"
    figures = _curves([(data.classes[i], truth == i, p[:, i]) for i in both])
    correct, confidence = p.argmax(axis=1) == truth, p.max(axis=1)
    if k == 2:
        name = apart(data.classes, 24)[positive]
        axes = f"predicted probability of {name}", f"observed frequency of {name}"
        figures.append(curves.calibration(truth == positive, p[:, positive], *axes))
    else:
        figures.append(curves.calibration(correct, confidence, "probability of the predicted class", "share correct"))
    figures.append(curves.risk_coverage(correct, confidence))
    return [Heading("Probabilities", about, "probabilities"), Figures(tuple(figures))]


def _label_curves(data: ReportData, p: Array, truth: Array, f1: Array) -> list[Block]:
    both = [k for k in np.argsort(np.nan_to_num(f1), kind="stable").tolist() if 0 < truth[:, k].sum() < len(truth)]
    about = f"the {DRAWN} labels with the lowest F1" if len(both) > DRAWN else "one curve per label"
    figures = _curves([(data.classes[k], truth[:, k], p[:, k]) for k in sorted(both[:DRAWN])])
    axes = "predicted probability of a label", "observed frequency of the label"
    every = curves.calibration(truth.ravel(), p.ravel(), *axes)
    return [Heading("Probabilities", about, "probabilities"), Figures((*figures, every))]


def _curves(lines: curves.Curves) -> list[Figure]:
    return [curves.roc(lines), curves.precision_recall(lines)] if lines else []
