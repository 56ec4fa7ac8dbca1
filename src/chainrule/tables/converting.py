"""Conversion of a whole pipeline to ONNX: from columns as in the table to predictions."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from typing import Any

import numpy as np

from chainrule._internal.extras import install, require
from chainrule._internal.typing import Array
from chainrule.onnx.graph import Graph, Value
from chainrule.onnx.model import OPSET, add_outputs, assemble, describe
from chainrule.onnx.registry import add_networks
from chainrule.onnx.tabular import add_ensemble, joined
from chainrule.tables import models, onnx_parts, quantities
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.checking import check
from chainrule.tables.evaluation import predicted
from chainrule.tables.fitted_steps import steps_of
from chainrule.tables.formats import HOLE
from chainrule.tables.positive import PositiveTarget
from chainrule.tables.result import HeldOut, Trained
from chainrule.tables.schema import Column, Schema

NONE = "pipeline.onnx was not written: "
COMPARED = 256  # held-out rows
CLOSE = 1e-4  # to chainrule's predictions, relative to the largest, or the file is not written


def to_onnx(trained: Trained) -> tuple[bytes | None, str]:
    """Return a pipeline as the content of an ONNX file, and a sentence on it; None if it cannot be converted.

    .. code-block:: text

        inputs   one per column, under its name, (batch, 1):
                 numbers, booleans    float64; missing: NaN
                 dates                float64: seconds since 1970-01-01; missing: NaN
                 texts                string; missing: "", or "(missing)" if training had empty strings
        outputs  label (batch,) and probabilities (batch, classes); or variable (batch, targets)

    Preprocessing is computed in float64, the network in its dtype. Unseen values are treated as in ``predict``. If
    onnxruntime is installed, the file is compared with chainrule on held-out rows.

    Parameters
    ----------
    trained : Trained
    """
    held_out = trained.held_out
    if held_out.pipeline is not None:  # the predictions are those of other pipelines
        held_out = predicted(trained.pipeline, trained.schema, held_out.frame, held_out.y)
    return convert(trained.pipeline, trained.schema, held_out)[:2]


def convert(pipeline: Any, schema: Schema, held_out: HeldOut) -> tuple[bytes | None, str, float | None]:
    """Return the result of :func:`to_onnx`, and the largest difference from the predictions in ``held_out``."""
    if find_spec("onnx") is None:
        return None, f"{NONE}the package onnx is not installed. Type: {install('onnx')}", None
    if texts := [column.name for column in schema.used if column.kind == "text"]:
        return None, f"{NONE}ONNX has no operator to hash words, as needed for the column {texts[0]!r}.", None
    try:
        content = _convert(pipeline, schema)
    except ValueError as error:  # a custom layer or link
        return None, f"{NONE}{error}", None
    inputs = len(schema.used)
    made = f"pipeline.onnx, {inputs} column{'s' if inputs > 1 else ''} to predictions"
    if find_spec("onnxruntime") is None or not held_out.frame.height:
        return content, f"{made}; not compared: no {'onnxruntime' if held_out.frame.height else 'held-out rows'}.", None
    rows, off = _compare(content, held_out, schema)
    if not off <= CLOSE:
        return None, f"{NONE}its predictions in onnxruntime differ by {off:.1e}.", None
    return content, f"{made}; onnxruntime agrees to {max(off, 1e-9):.0e} on {rows} held-out rows.", off


def feeds(frame: pl.DataFrame, schema: Schema) -> dict[str, Array]:
    """Return rows as the inputs of the file, for ``run`` of onnxruntime.

    Parameters
    ----------
    frame : polars.DataFrame (rows, columns)
        As read; values of another type are treated as missing.
    schema : Schema

    Examples
    --------
    >>> import polars as pl
    >>> schema = Schema((Column("port", "category", "text"), Column("age", "number")), (Column("died", "yes/no"),),
    ...                 "binary", ("no", "yes"))
    >>> feeds(pl.DataFrame({"age": [41, None], "port": [None, "S"]}), schema)
    {'port': array([['(missing)'],
           ['S']], dtype=object), 'age': array([[41.],
           [nan]])}
    """
    checked, _ = check(frame, schema, coerce=True)
    days = cast(checked, [column for column in schema.used if column.kind == "date"])
    found: dict[str, Array] = {}
    for column in schema.used:
        values = checked[column.name]
        if column.kind == "date":
            seconds = days[column.name].dt.timestamp("us").cast(pl.Float64) / 1e6
            array = seconds.to_numpy()
        elif onnx_parts.takes_number(column):
            array = values.cast(pl.Float64).to_numpy()
        else:
            array = np.array(values.cast(pl.String).fill_null(HOLE).to_list(), dtype=object)
        found[column.name] = array.reshape(-1, 1)
    return found


def _convert(pipeline: Any, schema: Schema) -> bytes:
    onnx = require("onnx", "onnx")
    prepare, model = pipeline[0], pipeline[-1]
    inside, ensemble = models.inside(model), models.is_ensemble(model)
    networks = inside.members_ if ensemble else [inside.network_]
    network = networks[0]
    graph = Graph(np.dtype(np.float64) if ensemble else network.dtype, OPSET)
    names = [graph.reserve(column.name) for column in schema.used]
    graph.scope = "prepare"
    columns = {column.name: column for column in schema.used}
    x = joined(graph, [onnx_parts.added(graph, step, columns) for step in steps_of(prepare, schema)])
    y = None
    if ensemble:
        p = add_ensemble(graph, inside.ensemble_, [(x, "float64", (len(inside.ensemble_.encoding.levels),))])
    else:
        y, p = add_networks(graph, networks, graph.node("Cast", x, to=str(network.dtype)))
    props = describe(network, inside)
    if schema.task == "regression" and not ensemble:
        outputs = [_rescaled(graph, model.transformer_, p, str(network.dtype))]
    else:
        outputs = add_outputs(graph, network, inside, y, p)
    inputs: list[Value] = [(name, "float64" if onnx_parts.takes_number(column) else "str", (1,))
                           for name, column in zip(names, schema.used, strict=True)]  # fmt: skip
    notes = {name: _note(column) for name, column in zip(names, schema.used, strict=True)}
    props |= {"target": schema.target, "columns": json.dumps(notes, ensure_ascii=False)}
    about = f"predicts {schema.target}, by chainrule"
    content: bytes = assemble(onnx, graph, inputs, outputs, props, about, notes).SerializeToString()
    return content


def _rescaled(graph: Graph, scaler: Any, y: str, kind: str) -> Value:
    """Add the inverse of the standardized target: y · scale + mean, with exp and bounds for a positive one."""
    name = graph.reserve("variable")
    graph.scope = "target"
    product = graph.node("Mul", graph.node("Cast", y, to="float64"), np.atleast_1d(scaler.scale_))
    value = graph.node("Add", product, np.atleast_1d(scaler.mean_))
    if isinstance(scaler, PositiveTarget):
        if scaler.log:
            most = np.array(math.log(scaler.most_ + scaler.shift_))
            value = graph.node("Sub", graph.node("Exp", graph.node("Min", value, most)), np.array(scaler.shift_))
        value = graph.node("Max", value, np.array(0.0))
    graph.rename(graph.node("Cast", value, to=kind), name)
    return name, kind, (np.size(scaler.mean_),)


def _note(column: Column) -> str:
    """Return a description of an input."""
    if column.kind == "date":
        zone = f" in {column.notation.zone}" if column.notation.zone else ""
        return f"seconds since 1970-01-01T00:00:00, in local time{zone}; missing: NaN"
    if column.notation.unit:
        return f"a number: {quantities.number_of(column.notation.unit)}; missing: NaN"
    if onnx_parts.takes_number(column):
        return f"{'false 0, true 1' if column.read_as == 'boolean' else 'a number'}; missing: NaN"
    return "a string; missing: the empty string"


def _compare(content: bytes, held: HeldOut, schema: Schema) -> tuple[int, float]:
    """Return the number of rows compared, and the largest difference, relative to the largest value."""
    session = require("onnxruntime", "onnx").InferenceSession(content, providers=["CPUExecutionProvider"])
    known = held.predictions if held.probabilities is None else held.probabilities
    expected = np.asarray(known, np.float64)[:COMPARED]
    given = feeds(held.frame.head(COMPARED), schema).values()
    names = (entry.name for entry in session.get_inputs())
    (p,) = session.run([session.get_outputs()[-1].name], dict(zip(names, given, strict=True)))
    off = np.abs(p.reshape(expected.shape) - expected).max() / max(1.0, np.abs(expected).max())
    return len(expected), float(off)
