"""The preparation of a table in a model file: the schema and the steps, beside the network that takes their inputs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.ensemble import Unit
from chainrule.files.container import TABLE, Header, read_array
from chainrule.files.values import ModelFileError, check_fields, check_texts, parse, shown
from chainrule.tables.intervals import Widths
from chainrule.tables.schema import LARGEST, Column, Schema
from chainrule.tables.serving.reference import Reference
from chainrule.tables.serving.steps import PARTS, STEPS, Dates, Lookup, Step, Words
from chainrule.tables.unpacking import check_values

ARRAY = TABLE + "{}.{}"
UNIT = ("center", "scale", "low", "high", "shift")
KINDS: dict[str, tuple[str, ...]] = {
    "Numbers": ("number", "yes/no"), "Missing": ("number",), "Filled": ("yes/no",), "Squashed": ("number",),
    "Lookup": ("category", "many"), "Dates": ("date",), "Words": ("text",),
}  # fmt: skip
"""The kinds of columns that a step takes."""


class Table(NamedTuple):
    """The part of a model file that prepares the rows of a table for the network.

    ``unit`` is that of a single network's target; an ensemble has its own. ``widths`` are those of the intervals.
    ``reference`` has the distributions of training; older files have none.
    """

    schema: Schema
    steps: Sequence[Step]
    unit: Unit | None
    widths: Widths
    reference: Reference | None = None


def arrays(table: Table) -> dict[str, Array]:
    """Return the arrays of a table, by their names in a file: one of them is a description in JSON."""
    steps: list[dict[str, Any]] = []
    found: dict[str, Array] = {}
    for i, step in enumerate(table.steps):
        fields = {field.name: getattr(step, field.name) for field in dataclasses.fields(step)}
        found |= {ARRAY.format(i, name): np.ascontiguousarray(fields.pop(name), np.float64) for name in step.arrays}
        steps.append({"step": type(step).__name__, **fields})
    unit = None if table.unit is None else {name: _numbers(getattr(table.unit, name)) for name in UNIT}
    about = {"schema": table.schema.to_json(), "steps": steps, "unit": unit, "widths": table.widths.to_json()}
    if table.reference is not None:
        about["reference"] = table.reference.to_json()
    text = json.dumps(about, ensure_ascii=False, allow_nan=False).encode()
    return {TABLE: np.frombuffer(text, np.uint8), **found}


def read_table(file: BinaryIO, header: Header, inputs: int) -> Table:
    """Read and validate the table of a model file, for a network with this number of inputs."""
    tensor = header.tensors[TABLE]
    if tensor.dtype != "U8" or tensor.end - tensor.start > LARGEST:
        raise ModelFileError("the description of the table is larger than chainrule writes, or has another type.")
    text = check_values(read_array(file, tensor).tobytes(), "the description of the table")
    given = {"reference": None} | parse(text, "the description of the table")
    d = check_fields("the table", given, {"schema", "steps", "unit", "widths", "reference"})
    if not isinstance(d["schema"], str) or not isinstance(d["steps"], list):
        raise ModelFileError("the schema or the steps of the table cannot be read.")
    schema = Schema.from_json(d["schema"])
    columns = {column.name: column for column in schema.used}
    steps = [_step(file, header, i, entry, columns) for i, entry in enumerate(d["steps"])]
    if not steps or sum(step.width for step in steps) != inputs:
        raise ModelFileError(f"the steps of the table do not give the {inputs} inputs of the network.")
    known = {ARRAY.format(i, name) for i, step in enumerate(steps) for name in step.arrays} | {TABLE}
    if odd := [name for name in header.tensors if name.startswith(TABLE) and name not in known]:
        raise ModelFileError(f"the array {shown(odd[0])} is not expected. Is the file from a newer version?")
    unit = None if d["unit"] is None else _unit(d["unit"], len(schema.targets))
    if schema.task != "regression" and unit is not None:
        raise ModelFileError("classes have no unit. The file is corrupt.")
    reference = None if d["reference"] is None else Reference.from_json(d["reference"], schema)
    return Table(schema, steps, unit, Widths.from_json(d["widths"], len(schema.targets)), reference)


def _step(file: BinaryIO, header: Header, i: int, entry: Any, columns: Mapping[str, Column]) -> Step:
    what = f"step {i}"
    kind = entry.get("step") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in STEPS:
        raise ModelFileError(f"{what} of the table cannot be read: got {shown(entry)}. Is it from a newer version?")
    cls = STEPS[kind]
    fields = {field.name for field in dataclasses.fields(cls)} - set(cls.arrays)
    given: dict[str, Any] = dict(check_fields(what, entry, {"step", *fields}))
    del given["step"]
    names = given["columns"] = tuple(check_texts(what, given["columns"]))
    if not names or not all(name in columns and columns[name].kind in KINDS[kind] for name in names):
        raise ModelFileError(f"{what}, {kind}, does not fit the columns {shown(names)}.")
    if "keys" in given:
        given["keys"] = tuple(check_texts(what, given["keys"]))
    if "parts" in given:
        parts = given["parts"]
        good = isinstance(parts, list) and len(parts) == len(names) and all(isinstance(of, list) and of for of in parts)
        if not good or not all(part in PARTS for of in parts for part in of):
            raise ModelFileError(f"{what}: the parts of dates cannot be read: got {shown(parts)}.")
        given["parts"] = tuple(map(tuple, parts))
    if "most" in given and not (isinstance(given["most"], float) and given["most"] > 0):
        raise ModelFileError(f"{what}: the bound cannot be read: got {shown(given['most'])}.")
    given |= {name: _array(file, header, i, name) for name in cls.arrays}
    step = cls(**given)
    if not _fits(step):
        raise ModelFileError(f"{what}, {kind}: its arrays do not fit its columns. The file is corrupt.")
    return step


def _array(file: BinaryIO, header: Header, i: int, name: str) -> Array:
    tensor = header.tensors.get(ARRAY.format(i, name))
    if tensor is None or tensor.dtype != "F64":
        raise ModelFileError(f"the array {name} of step {i} is absent, or has another type. The file is corrupt.")
    array = read_array(file, tensor)
    if not np.isfinite(array).all():
        raise ModelFileError(f"the array {name} of step {i} is not finite. The file is corrupt.")
    return array


def _fits(step: Step) -> bool:
    """Return whether the arrays of a step have the right shapes."""
    shapes = [getattr(step, name).shape for name in step.arrays]
    if isinstance(step, Lookup):
        table = step.table
        return len(step.columns) == 1 and table.ndim == 2 and len(table) == len(step.keys) + 1 and table.shape[1] > 0
    if isinstance(step, Dates):
        return shapes in ([(step.width,)] * 2, [(0,)] * 2)
    if isinstance(step, Words):
        kept, buckets = len(step.mean), len(step.idf)
        right = shapes == [(buckets,), (kept, buckets), (kept,), (kept,)] and kept > 0 and buckets > 0
        return right and len(step.columns) == 1 and bool((step.scale > 0).all())
    return shapes == [(len(step.columns),)] * len(shapes)


def _numbers(value: Array | None) -> Any:
    """Return the number of one output, or a list of those of several; None for none, and for infinite ones."""
    if value is None or np.isinf(value).all():
        return None
    numbers = [float(number) for number in value]
    return numbers[0] if len(numbers) == 1 else numbers


def _unit(entry: Any, targets: int) -> Unit:
    d = check_fields("the unit", entry, set(UNIT))
    given = {name: value if isinstance(value, list) else [value] for name, value in d.items() if value is not None}
    numbers = all(type(number) is float and math.isfinite(number) for of in given.values() for number in of)
    if not numbers or any(len(of) != targets for of in given.values()) or not {"center", "scale"} <= given.keys():
        raise ModelFileError(f"the unit cannot be read: got {shown(d)}.")
    ends = {"low": [-math.inf] * targets, "high": [math.inf] * targets}
    center, scale, low, high = (np.array((ends | given)[name]) for name in UNIT[:4])
    shift = np.array(given["shift"]) if "shift" in given else None
    shiftable = shift is None or ("high" in given and ((high + shift) > 0).all())
    if not (scale > 0).all() or (low > high).any() or not shiftable:
        raise ModelFileError(f"the unit cannot be read: got {shown(d)}.")
    return Unit(center, scale, low, high, shift)
