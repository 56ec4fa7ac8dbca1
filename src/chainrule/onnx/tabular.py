"""Ensembles for tables: the encoding of the columns, all networks and the linear model in one graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.encoding import FAR, Level, TableEncoding
from chainrule.ensemble import Ensemble, Unit
from chainrule.onnx.graph import ML, Graph, Value
from chainrule.onnx.registry import INPUT, add_link, add_networks, prepared

WHOLE = 2**53  # float64 has every integer up to here
HOLES = ("", "(missing)", "((missing))")  # a missing text: the first that is not a level

Levels = tuple[Level, ...] | None


def inputs_of(graph: Graph, model: Any, kind: str) -> tuple[list[Value], dict[str, str]]:
    """Return the inputs of a fitted estimator, and the descriptions of those that are columns.

    If no column has text, there is one input of numbers, X; otherwise one for each column, under its name.
    """
    levels, names = model.ensemble_.encoding.levels, getattr(model, "feature_names_in_", None)
    texts = [_has_text(of) for of in levels]
    if not any(texts) and (names is None or not any(map(_is_blank, levels))):
        return [(graph.reserve(INPUT), kind, (len(levels),))], {}
    known = [f"x{i}" for i in range(len(levels))] if names is None else names
    inputs: list[Value] = [
        (graph.reserve(name or f"x{i}"), "str" if texts[i] or _is_blank(levels[i]) else kind, (1,))
        for i, name in enumerate(known)
    ]
    return inputs, {name: _note(of, kind) for (name, kind, _), of in zip(inputs, levels, strict=True)}


def add_ensemble(graph: Graph, ensemble: Ensemble, columns: Sequence[Value]) -> str:
    """Add an ensemble to a graph of float64, and return the name of its predictions, (batch, outputs).

    Parameters
    ----------
    graph : Graph
    ensemble : Ensemble
    columns : sequence of (name, type, shape of a row)
        One value of numbers, with all columns, or one for each column, of numbers or of strings.

    Raises
    ------
    ValueError
        If a column of text is given as numbers, or two levels of a category have the same text.
    """
    graph.scope = "encoding"
    z = scaled(graph, ensemble.encoding, columns)
    inputs, dtype = encoded(graph, ensemble.encoding, z), str(ensemble.networks[0].dtype)
    with graph.computing_in(dtype):
        _, mean = add_networks(graph, prepared(ensemble.networks, dtype), graph.node("Cast", inputs, to=dtype))
        graph.scope = "ensemble"
        p = graph.node("Cast", mean, to="float64")
    if ensemble.linear is not None:
        W, b, share = ensemble.linear
        graph.scope = "linear"
        y = graph.node("Gemm", z, graph.parameter("W", W), graph.parameter("b", b))
        q = add_link(graph, ensemble.networks[0].loss, y, "linear.")
        p = graph.node("Add", graph.node("Mul", p, 1 - share), graph.node("Mul", q, share))
    return p if ensemble.unit is None else _in_unit(graph, ensemble.unit, p)


def scaled(graph: Graph, encoding: TableEncoding, columns: Sequence[Value]) -> str:
    """Add the scaled values, cut at ±100, and 0 for what is missing."""
    values = joined(graph, list(_values(graph, encoding, columns)))
    if len(encoding.missing):
        known = graph.node("Gather", values, encoding.missing, axis=1)
        values = joined(graph, [values, graph.node("Cast", graph.node("IsNaN", known), to="float64")])
    spread = encoding.spread
    inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    z = graph.node("Mul", graph.node("Sub", values, row(encoding.median)), row(inverse))
    z = graph.node("Where", graph.node("IsNaN", z), 0.0, z)  # also infinity times 0, of a constant
    return graph.node("Clip", z, -FAR, FAR)


def encoded(graph: Graph, encoding: TableEncoding, z: str) -> str:
    """Add the smooth clip, u = z / √(1 + (z / 3)²), and its piecewise-linear encodings."""
    third = graph.node("Div", z, 3.0)
    u = graph.node("Div", z, graph.node("Sqrt", graph.node("Add", graph.node("Mul", third, third), 1.0)))
    if not encoding.quantiles:
        return u
    low = np.concatenate([q[:-1] for q in encoding.quantiles])
    width = np.concatenate([np.diff(q) for q in encoding.quantiles])
    repeated = np.repeat(encoding.encoded, [len(q) - 1 for q in encoding.quantiles])
    above = graph.node("Sub", graph.node("Gather", u, repeated, axis=1), row(low))
    ramps = graph.node("Clip", graph.node("Div", above, row(width)), 0.0, 1.0)
    return joined(graph, [u, graph.node("Sub", ramps, 0.5)])


def _in_unit(graph: Graph, unit: Unit, p: str) -> str:
    """Add the unit and the range of the target."""
    graph.scope = "target"
    y = graph.node("Add", graph.node("Mul", p, row(unit.scale)), row(unit.center))
    if unit.shift is not None:
        e = graph.node("Exp", graph.node("Min", y, row(np.log(unit.high + unit.shift))))
        y = graph.node("Sub", e, row(unit.shift))
    return graph.node("Min", graph.node("Max", y, row(unit.low)), row(unit.high))


# ------------------------------------------------------------ columns


def _values(graph: Graph, encoding: TableEncoding, columns: Sequence[Value]) -> Iterator[str]:
    """Add the numbers, with NaN for missing ones, and the levels of categories, in the order of the columns."""
    given = [x if kind in ("float64", "str") else graph.node("Cast", x, to="float64") for x, kind, _ in columns]
    texts = [kind == "str" for _, kind, _ in columns]
    table = len(columns) == 1 and not texts[0]  # all columns in one
    if table:
        _check_numbers(encoding)
        texts = [False] * len(encoding.levels)
    for numbers, run in groupby(enumerate(encoding.levels), lambda column: column[1] is None):
        which = [i for i, _ in run]
        if numbers and table:
            every = len(which) == len(encoding.levels)
            yield given[0] if every else graph.node("Gather", given[0], np.array(which), axis=1)
        elif numbers:
            yield from (given[i] for i in which)
        else:
            for i in which:
                x = graph.node("Gather", given[0], np.array([i]), axis=1) if table else given[i]
                yield _category(graph, x, encoding.levels[i] or (), text=texts[i])


def _category(graph: Graph, x: str, levels: tuple[Level, ...], *, text: bool) -> str:
    """Add an input of 0 and 1 for each level, or one for two levels with NaN for unseen ones."""
    if text:
        keys = _keys(levels) or [""]  # a table without keys is not valid
        index = graph.node(
            "LabelEncoder", x, domain=ML, keys_strings=keys, values_int64s=range(len(keys)), default_int64=-1
        )
        x, levels = graph.node("Cast", index, to="float64"), tuple(range(len(levels)))
    if len(levels) < 2:
        return x  # a constant: it does not matter
    if len(levels) == 2:
        zero, one = (_missing(graph, x) if of is None else graph.node("Equal", x, float(of)) for of in levels)
        return graph.node("Where", one, 1.0, graph.node("Where", zero, 0.0, np.array(np.nan)))
    found = graph.node("Equal", x, row([of for of in levels if of is not None]))
    if None in levels:
        found = joined(graph, [found, _missing(graph, x)])
    return graph.node("Cast", found, to="float64")


def _missing(graph: Graph, x: str) -> str:
    """Add whether a category is NaN or infinite, whose difference from itself is NaN."""
    return graph.node("IsNaN", graph.node("Sub", x, x))


def _keys(levels: tuple[Level, ...]) -> list[str]:
    hole = _hole(levels)
    keys = [hole if level is None else str(level) for level in levels]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(
            f"onnx: a category has two levels that are both the text {twice!r} in ONNX: convert the column to texts, "
            "and fit again."
        )
    return keys


def _hole(levels: Levels) -> str:
    return next((text for text in HOLES if text not in (levels or ())), HOLES[0])


def _has_text(levels: Levels) -> bool:
    """Return whether a column has levels that float64 cannot hold."""
    return any(isinstance(level, str) or (isinstance(level, int) and abs(level) > WHOLE) for level in levels or ())


def _is_blank(levels: Levels) -> bool:
    """Return whether a category has no levels but missing; what it is given does not matter."""
    return levels is not None and set(levels) <= {None}


def _check_numbers(encoding: TableEncoding) -> None:
    for i, levels in enumerate(encoding.levels):
        if _has_text(levels):
            raise ValueError(
                f"onnx: column {i} has text, such as {levels[0]!r}, but the input has numbers only: "  # type: ignore[index]
                "save the estimator alone, with chainrule.onnx.save."
            )


def _note(levels: Levels, kind: str) -> str:
    if kind != "str":
        return "a number; missing: NaN"
    return f"a string; missing: {_hole(levels) or 'the empty string'}"


def joined(graph: Graph, names: Sequence[str]) -> str:
    """Add the values side by side."""
    return names[0] if len(names) == 1 else graph.node("Concat", *names, axis=1)


def row(values: Any) -> Array:
    """Return numbers as one row of float64."""
    return np.atleast_1d(np.asarray(values, np.float64))[np.newaxis]
