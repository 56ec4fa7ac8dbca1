"""The part of a report about several labels that may all be true of a row: each label by itself."""

from __future__ import annotations

import numpy as np

from chainrule._internal.extras import require
from chainrule.pages.blocks import Block, Cell, Figures, Heading, Table
from chainrule.pages.drawing import SERIES
from chainrule.pages.formatting import apart, fixed, percent
from chainrule.tables.report import curves
from chainrule.tables.report.data import ReportData

LISTED = 30
DRAWN = SERIES - 1


def sections(data: ReportData) -> list[Block]:
    """Return the blocks."""
    known = data.finite()
    truth, predicted = data.truth[known].astype(int), data.predicted[known].astype(int)
    if not len(truth):
        return []
    precision, recall, f1, support = require("sklearn.metrics", "sklearn").precision_recall_fscore_support(
        truth, predicted, average=None, zero_division=np.nan
    )
    right, share = (truth == predicted).mean(axis=0), truth.mean(axis=0)
    worst = np.argsort(np.nan_to_num(f1), kind="stable")
    order = worst[:LISTED].tolist() if len(worst) > LISTED else range(len(worst))
    names = apart(data.classes, 24)
    lines = [
        (
            names[k], f"{support[k]:,}", percent(share[k]), percent(right[k]),
            percent(max(share[k], 1 - share[k])), Cell(percent(precision[k]), bar=float(np.nan_to_num(precision[k]))),
            Cell(percent(recall[k]), bar=float(np.nan_to_num(recall[k]))), fixed(f1[k], 3),
        )
        for k in order
    ]  # fmt: skip
    exact, none = (truth == predicted).all(axis=1).mean(), (truth == (share >= 0.5)).all(axis=1).mean()
    cut = f" The {LISTED} labels of {len(worst)} with the lowest F1." if len(worst) > LISTED else ""
    reading = (
        f"All labels of a row are right for {percent(exact)} of the rows; always saying the same, the more frequent "
        f"answer for each label, reaches {percent(none)}.{cut}"
    )
    head = ("label", "rows", "share", "right", "same answer always", "precision", "recall", "F1")
    table = Table(head, tuple(lines), "lrrrrrrr", "Label by label", reading)
    blocks: list[Block] = [Heading("Right and wrong", "on rows that training never saw", "classes"), table]
    if data.probabilities is None:
        return blocks
    p = data.probabilities[known]
    both = [int(k) for k in worst if 0 < support[k] < len(truth)]
    drawn = sorted(both[:DRAWN])
    about = f"the {DRAWN} labels with the lowest F1" if len(both) > DRAWN else "each label"
    figures = []
    if drawn:
        scores = [(data.classes[k], truth[:, k], p[:, k]) for k in drawn]
        figures += [curves.roc(scores), curves.precision_recall(scores)]
    figures.append(
        curves.calibration(truth.ravel(), p.ravel(), "probability of a label", "share of labels that are true")
    )
    return [*blocks, Heading("Probabilities", about, "probabilities"), Figures(tuple(figures))]
