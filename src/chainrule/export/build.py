"""A loaded model as a :class:`~chainrule.export.program.Program`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.export.networks import add_network
from chainrule.export.program import Builder, Program, Value
from chainrule.export.tables import add_ensemble, add_mean, add_steps, add_unit, columns_of, inputs_of
from chainrule.files.serving import Classifier, Regressor
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.network import Network
from chainrule.tables.serving.model import TableModel

Label = int | float | str | bool


def program(model: Any, classes: Sequence[Label] = ()) -> Program:
    """Return a model as operations.

    Parameters
    ----------
    model : Network, Classifier, Regressor or TableModel
        As :func:`chainrule.load` returns it.
    classes : sequence, optional
        Names of the outputs of a network with softmax.

    Raises
    ------
    TypeError
        If ``model`` is something else.
    ValueError
        If a layer, a loss or a category cannot be written in another language.
    """
    builder = Builder()
    if isinstance(model, Network):
        x = Value("x", math.prod(model.input_shape))
        y = add_network(builder, model.on_cpu, x)
        named = classes if isinstance(model.loss, SoftmaxCrossEntropy) and len(classes) == y.size else ()
        return _finished(builder, model, x, (), y, named)
    if isinstance(model, TableModel):
        table, inner = model.table, model.model
        columns = inputs_of(table)
        x = add_steps(builder, table.steps, columns)
        if inner.ensemble is not None:
            y = add_ensemble(builder, inner.ensemble, x)
        else:
            y = add_mean(builder, inner.networks, builder.add("single", x, size=x.size))
        y = y if table.unit is None else add_unit(builder, table.unit, y)
        names = model.classes_.tolist() if isinstance(inner, Classifier) else ()
        made = _finished(builder, inner, None, columns, y, names, about=repr(model))
        halves = tuple(tuple(np.ravel(half).tolist()) for half in table.widths.percents())
        return replace(made, halves=halves, least=tuple(np.ravel(model.least).tolist())) if not names else made
    if not isinstance(model, Classifier | Regressor):
        raise TypeError(
            f"export: expected a model that chainrule.load returned, got {type(model).__name__}: save the model with "
            "chainrule.save(model, path), and load the file."
        )
    names = model.classes_.tolist() if isinstance(model, Classifier) else ()
    if model.ensemble is None:
        flat = Value("x", model.n_features_in_)
        return _finished(builder, model, flat, (), add_mean(builder, model.networks, flat), names)
    columns = columns_of(model.ensemble, [*map(str, getattr(model, "feature_names_in_", ()))])
    given = None if columns else Value("x", model.n_features_in_, "float64")
    y = add_ensemble(builder, model.ensemble, given, columns)
    return _finished(builder, model, given, columns, y, names)


def _finished(
    builder: Builder, model: Any, x: Value | None, columns: Any, y: Value, classes: Sequence[Label], about: str = ""
) -> Program:
    """Return the program, with both probabilities where a network has that of the second class only."""
    labels, ensemble = getattr(model, "_labels", None), getattr(model, "ensemble", None)
    several = labels is not None and labels.target == "multilabel-indicator"
    if classes and y.size == 1 and not several:
        y, classes = builder.add("both", y, size=2), [classes[0], classes[-1]]
    if columns and y.dtype == "float32":
        y = builder.add("widen", y, size=y.size, dtype="float64")
    elif y is x:
        y = builder.add("times", y, size=y.size, factor=1.0)
    thresholds = ensemble.thresholds if ensemble is not None else None if labels is None else labels.thresholds
    named = tuple(map(str, getattr(model, "feature_names_in_", ()))) if x is not None else ()
    about = about or repr(model).partition("\n")[0]
    return Program(about, x, tuple(columns), builder.ops, y, named, tuple(classes), several, thresholds)  # fmt: skip
