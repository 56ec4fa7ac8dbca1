"""The part of a report about classes or labels: what is taken for what, each by itself, and the probabilities."""

from __future__ import annotations

from collections.abc import Sequence
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

MATRIX = 12  # classes: with more, only the most confused are listed
LABELS = 30  # in the table of labels
LISTED = 20  # classes in the table of classes, pairs that are confused
DRAWN = SERIES - 1  # curves in one picture, with more than two classes


def sections(data: ReportData) -> list[Block]:
    """Return the blocks."""
    known = data.finite()
    truth, predicted = data.truth[known].astype(int), data.predicted[known].astype(int)
    if not len(truth):
        return []
    labels = truth.ndim == 2
    precision, recall, f1, support = require("sklearn.metrics", "sklearn").precision_recall_fscore_support(
        truth, predicted, labels=range(len(data.classes)), average=None, zero_division=np.nan
    )
    blocks: list[Block] = [Heading("Right and wrong", "on rows that training never saw", "classes")]
    if labels:
        blocks.append(_of_label(data.classes, truth, predicted, (precision, recall, f1, support)))
    else:
        blocks += _taken(data, truth, predicted, _of_class(data.classes, precision, recall, f1, support))
    if data.probabilities is not None:
        show = _label_curves if labels else _probabilities
        blocks += show(data, data.probabilities[known], truth, f1)
    return blocks


def _taken(data: ReportData, truth: Array, predicted: Array, of_class: Table) -> list[Block]:
    """Return what is taken for what, with a warning of classes of which there is no row."""
    k = len(data.classes)
    counts = np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k)
    missing = [name for name, n in zip(apart(data.classes), counts.sum(axis=1), strict=True) if not n]
    blocks: list[Block] = []
    if missing:
        what = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        blocks.append(Text(f"No held-out row is of {what}: nothing is known about how well that is found.", "warning"))
    confusion = _confusion(data, counts)
    return [*blocks, Figures((confusion, of_class))] if k <= MATRIX else [*blocks, confusion, of_class]


def _confusion(data: ReportData, counts: Array) -> Table:
    k, names = len(data.classes), apart(data.classes, 24)
    total = counts.sum(axis=1)
    wrong = counts * (1 - np.eye(k, dtype=int))
    reading = _said(names, counts)
    if k <= MATRIX:
        lines: list[Row] = [
            (names[i], *(_square(int(counts[i, j]), int(total[i]), wrong=i != j) for j in range(k))) for i in range(k)
        ]
        return Table(
            ("is", *names), tuple(lines), "l" + "r" * k, "Confusion matrix",
            f"{reading} Rows are what is so, columns what the network says.",
            corner="the network says",
            look="The deeper the color, the larger the part of the row; blue is right, orange wrong.",
        )  # fmt: skip
    worst = np.argsort(-wrong, axis=None, kind="stable")[:LISTED]
    pairs = [(i, j) for i, j in zip(*np.unravel_index(worst, wrong.shape), strict=True) if wrong[i, j]]
    lines = [
        (names[i], names[j], f"{wrong[i, j]:,}", Cell(percent(wrong[i, j] / total[i]), bar=wrong[i, j] / total[i]))
        for i, j in pairs
    ]
    return Table(
        ("is", "the network says", "rows", "of the class"), tuple(lines), "llrr", "The most confused classes",
        f"{reading} Of {k} classes these are the {len(pairs)} most frequent mistakes.",
    )  # fmt: skip


def _asked(support: Array) -> int:
    """Return which of two classes is looked for: the second, unless that is nearly all there is."""
    return 0 if 0 < UNBALANCED * support[0] <= support[1] else 1


def _square(count: int, total: int, *, wrong: bool) -> Cell:
    return Cell(f"{count:,}", tint=_depth(count, total, wrong=wrong), wrong=wrong, strong=not wrong and count > 0)


def _depth(count: int, total: int, *, wrong: bool) -> float:
    """Return how deep a square is: of mistakes by the root, so that a few can be seen too."""
    return (count / total) ** (0.5 if wrong else 1.0) if total else 0.0


def _said(names: Sequence[str], counts: Array) -> str:
    """Return what the matrix says, in a sentence."""
    if len(names) == 2:
        k = _asked(counts.sum(axis=1))
        called, found, there, name = int(counts[:, k].sum()), int(counts[k, k]), int(counts[k].sum()), f"'{names[k]}'"
        first = f"Of {rows(called)} that it calls {name}, {found:,} are" if called else f"It calls no row {name}"
        return f"{first}; of {there:,} that are, it finds {found:,}." if there else f"{first}."
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    if not wrong.sum():
        return "It makes no mistake on these rows."
    i, j = divmod(int(np.argmax(wrong)), len(names))
    share = percent(wrong[i, j] / counts[i].sum())
    return (
        f"Its most frequent mistake: it takes '{names[i]}' for '{names[j]}', {wrong[i, j]:,} times, {share} of "
        f"'{names[i]}'."
    )


def _of_class(names: tuple[str, ...], precision: Any, recall: Any, f1: Any, support: Any) -> Table:
    order = list(range(len(names)))
    title, cut = "Class by class", ""
    if len(order) > LISTED:
        order = np.argsort(np.where(support > 0, np.nan_to_num(f1), np.inf), kind="stable")[:LISTED].tolist()
        cut = f" The {LISTED} classes of {len(names)} with the lowest F1."
    shown = apart(names, 24)
    lines = [
        (
            shown[k], f"{support[k]:,}", percent(support[k] / support.sum()),
            Cell(percent(precision[k]), bar=_bar(precision[k])), Cell(percent(recall[k]), bar=_bar(recall[k])),
            fixed(f1[k], 3),
        )
        for k in order
    ]  # fmt: skip
    reading = (
        "Precision: how many of those that are called so are so; guessing reaches the share. Recall: how many of the "
        f"class are found. F1 is the harmonic mean of the two.{cut}"
    )
    return Table(("class", "rows", "share", "precision", "recall", "F1"), tuple(lines), "lrrrrr", title, reading)


def _of_label(names: tuple[str, ...], truth: Array, predicted: Array, scores: tuple[Any, ...]) -> Table:
    precision, recall, f1, support = scores
    right, share = (truth == predicted).mean(axis=0), truth.mean(axis=0)
    order = np.argsort(np.nan_to_num(f1), kind="stable")[:LABELS] if len(names) > LABELS else np.arange(len(names))
    shown = apart(names, 24)
    lines = [
        (
            shown[k], f"{support[k]:,}", percent(share[k]), percent(right[k]), percent(max(share[k], 1 - share[k])),
            Cell(percent(precision[k]), bar=_bar(precision[k])), Cell(percent(recall[k]), bar=_bar(recall[k])),
            fixed(f1[k], 3),
        )
        for k in order.tolist()
    ]  # fmt: skip
    exact, none = (truth == predicted).all(axis=1).mean(), (truth == (share >= 0.5)).all(axis=1).mean()
    cut = f" The {LABELS} labels of {len(names)} with the lowest F1." if len(names) > LABELS else ""
    reading = (
        f"All labels of a row are right for {percent(exact)} of the rows; always saying the same, the more frequent "
        f"answer for each label, reaches {percent(none)}.{cut}"
    )
    head = ("label", "rows", "share", "right", "same answer always", "precision", "recall", "F1")
    return Table(head, tuple(lines), "lrrrrrrr", "Label by label", reading)


def _bar(share: float) -> float:
    return 0.0 if np.isnan(share) else float(share)


def _probabilities(data: ReportData, p: Array, truth: Array, f1: Array) -> list[Block]:
    both = [k for k in range(len(data.classes)) if 0 < (truth == k).sum() < len(truth)]
    asked = _asked(np.bincount(truth, minlength=len(data.classes)))
    if len(data.classes) == 2:
        both = [k for k in both if k == asked]
    drawn, about = both, ""
    if len(both) > DRAWN:
        drawn = sorted(both, key=lambda k: np.nan_to_num(f1[k]))[:DRAWN]
        about = f"the {DRAWN} classes with the lowest F1, each against all others"
    elif len(data.classes) > 2:
        about = "each class against all others"
    blocks: list[Block] = [Heading("Probabilities", about, "probabilities")]
    figures = _curves([(data.classes[k], truth == k, p[:, k]) for k in drawn])
    right, top = p.argmax(axis=1) == truth, p.max(axis=1)
    if len(data.classes) == 2:
        name = apart(data.classes, 24)[asked]
        figures.append(
            curves.calibration(truth == asked, p[:, asked], f"probability of {name}", f"share that are {name}")
        )
    else:
        figures.append(curves.calibration(right, top, "probability of the class it names", "share that are right"))
    figures.append(curves.risk_coverage(right, top))
    return [*blocks, Figures(tuple(figures))]


def _label_curves(data: ReportData, p: Array, truth: Array, f1: Array) -> list[Block]:
    both = [k for k in np.argsort(np.nan_to_num(f1), kind="stable").tolist() if 0 < truth[:, k].sum() < len(truth)]
    about = f"the {DRAWN} labels with the lowest F1" if len(both) > DRAWN else "each label"
    figures = _curves([(data.classes[k], truth[:, k], p[:, k]) for k in sorted(both[:DRAWN])])
    every = curves.calibration(truth.ravel(), p.ravel(), "probability of a label", "share of labels that are true")
    return [Heading("Probabilities", about, "probabilities"), Figures((*figures, every))]


def _curves(lines: curves.Curves) -> list[Figure]:
    return [curves.roc(lines), curves.precision_recall(lines)] if lines else []
