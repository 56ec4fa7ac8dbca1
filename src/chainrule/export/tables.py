"""The columns of a table as operations: the steps of a preparation, and the encoding and the mean of an ensemble."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.encoding import Level, TableEncoding
from chainrule.ensemble import Ensemble, Unit
from chainrule.export.networks import add_dense, add_link, add_network, single
from chainrule.export.program import Builder, Field, Input, Value
from chainrule.network import Network
from chainrule.tables.date_words import SEPARATOR
from chainrule.tables.formats import HOLE
from chainrule.tables.schema import Column
from chainrule.tables.serving.files import Table
from chainrule.tables.serving.steps import (
    PARTS,
    PERIODS,
    Dates,
    Filled,
    Lookup,
    Missing,
    Numbers,
    Squashed,
    Step,
    Words,
)  # fmt: skip
from chainrule.tables.units import CLOCKS, MAGNITUDES, base

SIMPLE = re.compile("(?:[^%]|%[dmYHMS])+")  # formats of dates that every language reads
HOLES = (HOLE, f"({HOLE})", f"(({HOLE}))")  # a missing text of an ensemble: the first that is not a level


def inputs_of(table: Table) -> tuple[Input, ...]:
    """Return the columns of a table that its network takes."""
    known = {step.columns[0]: step.keys for step in table.steps if isinstance(step, Lookup)}
    return tuple(_input(column, known.get(column.name, ())) for column in table.schema.used)


def _input(column: Column, keys: Sequence[str]) -> Input:
    kinds = {"many": "category", "number": "number", "date": "date", "yes/no": "yes/no", "text": "text"}
    kind = kinds.get(column.kind, "category")
    values = column.categories if kind == "yes/no" else tuple(key for key in keys if key != HOLE)
    ends = (column.low, column.high) if kind in ("number", "date") else (None, None)
    read_as = column.read_as if column.read_as in ("whole", "number", "boolean") else "text"
    formats = tuple(of for of in (column.date_format or "").split(SEPARATOR) if SIMPLE.fullmatch(of))
    of = column.notation.unit or column.notation.mark
    unit = "seconds" if of in CLOCKS else "" if of in MAGNITUDES else base(of)
    return Input(column.name, kind, values, *ends, "" if kind == "text" else HOLE, read_as, unit, column.notation.zone,
                 formats, column.optional, column.holes)  # fmt: skip


def add_steps(builder: Builder, steps: Sequence[Step], columns: Sequence[Input]) -> Value:
    """Add the steps of a preparation, and return the inputs of the network, in float64."""
    by_name = {column.name: Field(column) for column in columns}
    found = []
    for step in steps:
        builder.note = f"{', '.join(step.columns)}: {type(step).__name__.lower()}"
        found.append(_step(builder, step, tuple(by_name[name] for name in step.columns)))
    return builder.joined(found)


def _step(builder: Builder, step: Step, columns: tuple[Field, ...]) -> Value:
    width = step.width
    if isinstance(step, Lookup):
        return builder.add("lookup", size=width, dtype="float64", text=columns[0], keys=step.keys,
                           table=single(step.table), count=len(step.keys), width=width)  # fmt: skip
    if isinstance(step, Words):
        arrays = {name: single(getattr(step, name)) for name in step.arrays}
        kept, buckets = step.components.shape
        return builder.add("words", size=kept, dtype="float64", text=columns[0], kept=kept, buckets=buckets,
                           products=kept * buckets, **arrays)  # fmt: skip
    if isinstance(step, Dates):
        parts = [_dates(builder, column, of) for column, of in zip(columns, step.parts, strict=True)]
        x = builder.joined(parts)
        return _squashed(builder, x, step) if len(step.center) else x
    x = builder.add("numbers", size=len(columns), dtype="float64", fields=columns)
    if isinstance(step, Squashed):
        return _squashed(builder, x, step)
    if isinstance(step, Missing | Filled):
        values = {"values": step.values} if isinstance(step, Filled) else {}
        return builder.add("filled" if values else "missing", x, size=width, dtype="float64", **values)
    if not isinstance(step, Numbers):
        raise TypeError(f"export: the step {type(step).__name__} cannot be written in another language.")
    return x


def _dates(builder: Builder, column: Field, parts: Sequence[str]) -> Value:
    """Add the parts of a date: plain ones as −1 − k, those on circles as k, in the order of the results."""
    plain = [-1 - PARTS.index(part) for part in parts if part not in PERIODS]
    circles = [PARTS.index(part) for part in parts if part in PERIODS]
    codes = np.array([*plain, *circles], np.int32)
    return builder.add("dates", size=len(plain) + 2 * len(circles), dtype="float64", seconds=column, parts=codes,
                       count=len(codes))  # fmt: skip


def _squashed(builder: Builder, x: Value, step: Squashed | Dates) -> Value:
    numbers = {"center": step.center, "factor": step.factor, "most": step.most}
    return builder.add("squash", x, size=x.size, dtype="float64", **numbers)


# ------------------------------------------------------------ ensembles


def columns_of(ensemble: Ensemble, names: Sequence[str]) -> tuple[Input, ...]:
    """Return the columns of an ensemble that was fitted to a table with text; none if all are numbers."""
    levels = ensemble.encoding.levels
    if not any(isinstance(level, str) for of in levels for level in of or ()):
        return ()
    names = names or [f"x{i}" for i in range(len(levels))]
    return tuple(_column(name, of) for name, of in zip(names, levels, strict=True))


def _column(name: str, levels: tuple[Level, ...] | None) -> Input:
    if levels is None:
        return Input(name, "number")
    keys = [str(level) for level in levels if level is not None]
    if len({*keys}) < len(keys) or any(isinstance(level, bool) for level in levels):
        raise ValueError(
            f"export: the categories of column {name!r} are of several types, {levels!r}: convert the column to texts, "
            "and fit again."
        )
    types = {type(level) for level in levels if level is not None}
    read_as = "text" if str in types else "number" if float in types else "whole"
    hole = next(text for text in HOLES if text not in keys)
    return Input(name, "category", tuple(keys), missing=hole, read_as=read_as)


def add_ensemble(builder: Builder, ensemble: Ensemble, x: Value | None, columns: Sequence[Input] = ()) -> Value:
    """Add an ensemble to numbers x, or to columns, and return its predictions; in float64 if they have a unit."""
    encoding = ensemble.encoding
    if x is not None and all(of is None for of in encoding.levels):
        index = np.arange(x.size, dtype=np.int32)  # a copy: other values are put beside these
        values = (
            x if builder.ops else builder.add("pick_all", x, size=x.size, dtype="float64", index=index, count=x.size)
        )
    else:
        values = builder.joined([_values(builder, i, of, x, columns) for i, of in enumerate(encoding.levels)])
    z = add_scaled(builder, encoding, values)
    low = np.concatenate([np.zeros(0), *(q[:-1] for q in encoding.quantiles)])
    width = np.concatenate([np.zeros(0), *(np.diff(q) for q in encoding.quantiles)])
    index = np.repeat(encoding.encoded, [len(q) - 1 for q in encoding.quantiles]).astype(np.int32)
    builder.note = "smooth clip, and piecewise-linear encoding"
    if len(index):
        u = builder.add("encode", z, size=z.size + len(index), index=index, low=low, width=width, count=len(index))
    else:
        u = builder.add("clip", z, size=z.size)
    p = add_mean(builder, ensemble.networks, u)
    if ensemble.linear is not None:
        W, b, share = ensemble.linear
        builder.note = "linear model"
        q = add_dense(builder, builder.add("single", z, size=z.size), W, b)
        p = builder.add("mix", p, add_link(builder, ensemble.networks[0].loss, q), size=p.size, share=float(share))
    return p if ensemble.unit is None else add_unit(builder, ensemble.unit, p)


def _values(builder: Builder, i: int, levels: Any, x: Value | None, columns: Sequence[Input]) -> Value:
    """Add a number or the levels of a category, as :meth:`TableEncoding._values` makes them."""
    if levels is None:
        if x is None:
            return builder.add("numbers", size=1, dtype="float64", fields=(Field(columns[i]),))
        return builder.add("pick", x, size=1, dtype="float64", index=i)
    count, hole = len(levels), len(levels)
    table = np.vstack([np.eye(count), np.zeros(count)]) if count > 2 else np.full((count + 1, 1), np.nan)
    if count <= 2:  # one input, and unseen ones are missing
        table[:count, 0] = np.arange(count) == count - 1
    if None in levels:
        hole = count - 1
    known = [level for level in levels if level is not None]
    arguments = {"table": single(table), "count": len(known), "width": table.shape[1]}
    if x is not None:
        return builder.add("level", x, size=table.shape[1], dtype="float64", index=i, hole=hole, last=count,
                           levels=np.array(known, np.float64), **arguments)  # fmt: skip
    keys = tuple(columns[i].missing if level is None else str(level) for level in levels)
    return builder.add("lookup", size=table.shape[1], dtype="float64", text=Field(columns[i]), keys=keys,
                       **{**arguments, "count": len(keys)})  # fmt: skip


def add_scaled(builder: Builder, encoding: TableEncoding, values: Value) -> Value:
    """Add the inputs for missing values, and the robust scale."""
    if len(encoding.missing):
        which = encoding.missing.astype(np.int32)
        some = builder.add("pick_all", values, size=len(which), dtype="float64", index=which, count=len(which))
        values = builder.joined([values, builder.add("missing", some, size=len(which), dtype="float64")])
    spread = encoding.spread
    factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    return builder.add("scaled", values, size=values.size, dtype="float64", center=encoding.median, factor=factor)


def add_mean(builder: Builder, networks: Sequence[Network], x: Value) -> Value:
    """Add networks and the mean of their predictions."""
    total: Any = None
    for i, network in enumerate(networks):
        builder.note = f"network {i + 1} of {len(networks)}" if len(networks) > 1 else ""
        p = add_network(builder, network, x)
        total = p if total is None else builder.add("add", total, p, size=p.size)
    count = len(networks)
    return builder.add("times", total, size=total.size, factor=1 / count) if count > 1 else total


def add_unit(builder: Builder, unit: Unit, p: Value) -> Value:
    """Add the unit and the range of numbers."""
    arrays = {"center": unit.center, "scale": unit.scale, "low": unit.low, "high": unit.high}
    builder.note = "the unit of the target"
    if unit.shift is None:
        return builder.add("unit", p, size=p.size, dtype="float64", **arrays)
    most = np.log(unit.high + unit.shift)
    return builder.add("exp_unit", p, size=p.size, dtype="float64", **arrays, shift=unit.shift, most=most)
