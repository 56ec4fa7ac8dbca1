"""What an estimator gives: labels and probabilities as ``skl2onnx`` names and shapes them, or numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.onnx.graph import Graph


def is_classifier(estimator: Any) -> bool:
    """Say whether the estimator has classes."""
    return hasattr(estimator, "classes_")


def is_multilabel(classifier: Any) -> bool:
    """Say whether every row has a 0 or 1 for every class."""
    return bool(classifier._labels.y_type_ == "multilabel-indicator")


def class_table(classifier: Any) -> Array:
    """Return the class labels as ONNX has them: int64, or texts.

    Raises
    ------
    ValueError
        When they are neither whole numbers nor texts.
    """
    classes = np.asarray(classifier.classes_)
    if all(isinstance(c, str) for c in classes):
        return classes.astype(str)
    if classes.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):  # too large a number does not come back equal
            whole = classes.astype(np.int64)
        if (whole == classes).all():
            return whole
    raise ValueError(
        f"to_onnx: expected class labels that are whole numbers or texts, got {classes.tolist()[:5]}: ONNX has no "
        "others. Fit the model to labels of one of these kinds."
    )


def add_classifier(
    graph: Graph, classifier: Any, y: str | None, p: str, *, table: Array | None = None, logits: bool = False
) -> tuple[str, str]:
    """Add labels and scores of logits y, probabilities p: what ``predict``, ``predict_proba`` give; return the names.

    ``logits`` asks for the logits instead of probabilities: for two classes that share one unit, (−y, y).
    """
    graph.scope = "classes"
    if logits and y is None:
        raise ValueError("logits: an ensemble has the mean of probabilities, and no logits: leave the option out.")
    scores = y if logits and y is not None else p
    if is_multilabel(classifier):
        return graph.node("Cast", graph.node("Greater", p, 0.5), to="int64"), scores
    if classifier._is_multiclass():
        index = graph.node("ArgMax", p, axis=1, keepdims=0)
    else:
        yes = p if classifier.n_outputs_ == 1 else graph.node("Gather", p, np.array([1]), axis=1)
        index = graph.node("Squeeze", graph.node("Cast", graph.node("Greater", yes, 0.5), to="int64"), np.array([1]))
        if classifier.n_outputs_ == 1:
            no = graph.node("Neg", scores) if logits else graph.node("Sub", 1.0, p)
            scores = graph.node("Concat", no, scores, axis=1)
    table = class_table(classifier) if table is None else table
    if len(table) == 1:  # fitted to one class only: whatever the network says
        table = np.repeat(table, 2)
    return graph.node("Gather", table, index, axis=0), scores


def outputs_of(classifier: Any) -> int:
    """Return the number of columns of ``predict_proba``."""
    return max(2, int(classifier.n_outputs_))
