"""The result of a network on the held-out rows of a data set: numbers, a table of classes, and plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import plotting
from chainrule._internal.extras import require
from chainrule.datasets import Dataset
from chainrule.layers import Conv2D
from chainrule.network import Network
from chainrule.training.history import History

DPI = 130


@dataclass(frozen=True)
class Outcome:
    """The predictions on a data set, with their loss and accuracy."""

    p: np.ndarray
    labels: np.ndarray
    loss: float
    accuracy: float
    right: int


def measure(network: Network, data: Dataset) -> Outcome:
    """Predict the rows of ``data`` and measure the loss and the accuracy."""
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
    rows = [tuple(row.values()) for row in by_class(t, labels, classes)]
    precision, recall, f1, support = np.array([row[1:] for row in rows]).T
    rows.append(("mean", precision.mean(), recall.mean(), f1.mean(), int(support.sum())))
    width = max(5, *(len(name) for name, *_ in rows))
    lines = [f"{'class':{width}}  precision  recall     F1  support"]
    lines += [f"{name:{width}}  {p:9.3f}  {r:6.3f}  {f:5.3f}  {n:7,}" for name, p, r, f, n in rows]
    return "\n".join(lines)


def by_class(t: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and the number of rows of each class."""
    scores = require("sklearn.metrics", "sklearn").precision_recall_fscore_support
    found = scores(t, labels, labels=range(len(classes)), zero_division=0.0)
    names = ("class", "precision", "recall", "f1", "rows")
    return [
        dict(zip(names, (name, float(p), float(r), float(f), int(n)), strict=True))
        for name, p, r, f, n in zip(classes, *found, strict=True)
    ]


def sentence(outcome: Outcome) -> str:
    """Return the accuracy as one line."""
    return f"accuracy {outcome.accuracy:.4f}: {outcome.right:,} of {len(outcome.labels):,} held-out rows"


def draw(folder: Path, network: Network, history: History, data: Dataset, outcome: Outcome) -> None:
    """Write the plots that the inputs and the outcome allow."""
    plots: dict[str, Any] = {}
    if len(history):  # it is empty if training was interrupted in its first epoch
        plots["curves.png"] = plotting.plot_history(history)
    plots["confusion.png"] = plotting.plot_confusion(data.t, outcome.labels, data.classes)
    if data.image_shape is not None:
        if outcome.right < len(data):
            images = plotting.plot_mistakes(data.X, data.t, outcome.p, data.classes, data.image_shape)
            plots["mistakes.png"] = images
        if not any(isinstance(layer, Conv2D) for layer in network.layers):
            plots["weights.png"] = plotting.plot_weights(network, data.image_shape)
    if network.input_shape == (2,):
        plots["boundary.png"] = plotting.plot_boundary(network, data.X, data.t, data.classes)
    for name, figure in plots.items():
        figure.savefig(folder / name, dpi=DPI, format="png")
