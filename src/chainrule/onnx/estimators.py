"""Outputs of estimators: labels and probabilities, named and shaped as in ``skl2onnx``, or predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.losses import SigmoidCrossEntropy
from chainrule.onnx.graph import Graph


def is_classifier(estimator: Any) -> bool:
    """Return whether the estimator is a classifier."""
    return hasattr(estimator, "classes_")


def is_multilabel(classifier: Any) -> bool:
    """Return whether the targets are multilabel: a 0 or 1 for every class."""
    if hasattr(classifier, "ensemble_"):
        return isinstance(classifier.ensemble_.networks[0].loss, SigmoidCrossEntropy)
    return bool(classifier._labels.y_type_ == "multilabel-indicator")


def class_table(classifier: Any) -> Array:
    """Return the class labels in ONNX's types: int64 or strings.

    Raises
    ------
    ValueError
        If they are neither integers nor strings.
    """
    classes = np.asarray(classifier.classes_)
    if all(isinstance(c, str) for c in classes):
        return classes.astype(str)
    if classes.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):  # a number that is too large does not convert back
            whole = classes.astype(np.int64)
        if (whole == classes).all():
            return whole
    raise ValueError(
        f"onnx: expected integers or strings as class labels, got {classes.tolist()[:5]}: ONNX supports "
        "no others. Fit the model to labels of one of these types."
    )


def add_classifier(
    graph: Graph, classifier: Any, y: str | None, p: str, *, table: Array | None = None, logits: bool = False
) -> tuple[str, str]:
    """Add the results of ``predict`` and ``predict_proba`` from logits y and probabilities p; return their names.

    ``logits`` requests logits instead of probabilities: (−y, y) for two classes that share one unit.
    """
    graph.scope = "classes"
    if logits and y is None:
        raise ValueError("logits: an ensemble averages probabilities and has no logits: omit the option.")
    scores = y if logits and y is not None else p
    ensemble = getattr(classifier, "ensemble_", None)
    thresholds = classifier._thresholds() if ensemble is None else ensemble.thresholds
    if is_multilabel(classifier):
        half = 0.5 if thresholds is None else thresholds[np.newaxis]
        return graph.node("Cast", graph.node("Greater", p, half), to="int64"), scores
    one_output = ensemble is None and classifier.n_outputs_ == 1
    if thresholds is not None and not one_output:
        index = graph.node("ArgMax", graph.node("Div", p, thresholds[np.newaxis]), axis=1, keepdims=0)
    elif ensemble is not None or classifier._is_multiclass():
        index = graph.node("ArgMax", p, axis=1, keepdims=0)
    else:
        limit = 0.5 if thresholds is None else float(thresholds[1])
        yes = p if one_output else graph.node("Gather", p, np.array([1]), axis=1)
        index = graph.node("Squeeze", graph.node("Cast", graph.node("Greater", yes, limit), to="int64"), np.array([1]))
        if one_output:
            no = graph.node("Neg", scores) if logits else graph.node("Sub", 1.0, p)
            scores = graph.node("Concat", no, scores, axis=1)
    table = class_table(classifier) if table is None else table
    if len(table) == 1:  # fitted to a single class: the network does not matter
        table = np.repeat(table, 2)
    return graph.node("Gather", table, index, axis=0), scores


def outputs_of(classifier: Any) -> int:
    """Return the number of columns of ``predict_proba``."""
    return max(2, len(classifier.classes_))
