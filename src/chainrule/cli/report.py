"""What a network does on rows that training never saw, in numbers: the table of classes and the accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule._internal.extras import require
from chainrule.datasets import Dataset
from chainrule.network import Network


@dataclass(frozen=True)
class Outcome:
    """The predictions on a data set, with their loss and accuracy."""

    p: np.ndarray
    labels: np.ndarray
    loss: float
    accuracy: float
    right: int


def measure(network: Network, data: Dataset) -> Outcome:
    """Predict the rows of ``data`` once, and return what came out."""
    logits = network.logits(data.X)
    p = network.loss.inverse_link(logits)
    labels = p.argmax(axis=1)
    right = int((labels == data.t).sum())
    return Outcome(p, labels, float(network.loss.value(logits, data.t)), right / len(data), right)


def table(t: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> str:
    """Return precision, recall, F1 and support of each class, and their means, as lines of text.

    >>> print(table(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ["cat", "dog"]))
    class  precision  recall     F1  support
    cat        1.000   0.500  0.667        2
    dog        0.667   1.000  0.800        2
    mean       0.833   0.750  0.733        4
    """
    scores = require("sklearn.metrics", "sklearn").precision_recall_fscore_support
    precision, recall, f1, support = scores(t, labels, labels=range(len(classes)), zero_division=0.0)
    rows = [*zip(classes, precision, recall, f1, support, strict=True)]
    rows.append(("mean", precision.mean(), recall.mean(), f1.mean(), support.sum()))
    width = max(5, *(len(name) for name, *_ in rows))
    lines = [f"{'class':{width}}  precision  recall     F1  support"]
    lines += [f"{name:{width}}  {p:9.3f}  {r:6.3f}  {f:5.3f}  {n:7,}" for name, p, r, f, n in rows]
    return "\n".join(lines)


def sentence(outcome: Outcome) -> str:
    """Return the accuracy as one line."""
    rows = len(outcome.labels)
    return f"accuracy {outcome.accuracy:.4f}: {outcome.right:,} of {rows:,} rows that training never saw"
