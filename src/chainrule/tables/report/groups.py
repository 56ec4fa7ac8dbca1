"""Scores of groups of held-out rows, such as regions or age groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.blocks import Block, Cell, Heading, Row, Table, Text
from chainrule.pages.formatting import MISSING, aligned, apart, clean, listed, rows
from chainrule.tables import overrides, scores
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.checking import check
from chainrule.tables.report.data import LEVEL, Group, Grouped, ReportData
from chainrule.tables.report.differences import tested
from chainrule.tables.report.scoring import apart as ends
from chainrule.tables.report.scoring import score_texts
from chainrule.tables.report.uncertainty import as_numbers, interval
from chainrule.tables.result import HeldOut
from chainrule.tables.schema import Schema
from chainrule.tables.score_names import STANDARDIZED, plain

SHOWN = 12  # groups of a column: those that differ, and the largest
PARTS = 4  # of a column of numbers or dates, with as many rows each
VALUES = 12  # distinct numbers that are groups by themselves
NAMED = 5  # groups in a sentence


def groups(schema: Schema, frame: pl.DataFrame, name: str) -> dict[str, Array]:
    """Return the rows with each value of a column; numbers and dates are cut in quarters. Missing ones are last."""
    overrides.known("by", [name], frame.columns, "there is no column")
    values = _typed(frame, schema, name)
    missing = values.is_null() | (values.is_nan() if values.dtype.is_float() else False)
    place = np.flatnonzero((~missing).to_numpy())
    present = values.filter(~missing)
    made: dict[str, Array] = {}
    ordered = values.dtype.is_numeric() or values.dtype.is_temporal()
    if ordered and present.n_unique() > VALUES:
        ranks = present.to_physical().to_numpy()
        cuts = np.unique(np.quantile(ranks, np.linspace(0, 1, PARTS + 1)[1:-1], method="inverted_cdf"))
        part = np.searchsorted(cuts, ranks, "left")
        parts = [mine for i in range(len(cuts) + 1) if len(mine := np.flatnonzero(part == i))]
        limits = [(present[mine.tolist()].min(), present[mine.tolist()].max()) for mine in parts]
        names = [f"{_text(low)} to {_text(high)}" for low, high in limits]
        if len({*names}) < len(names):  # digits that differ were rounded away
            names = [" to ".join(map(str, pair)) for pair in limits]
        made = dict(zip(names, (place[mine] for mine in parts), strict=True))
    else:
        texts = pl.Series([_text(value) for value in present.to_list()], dtype=pl.String)
        order = pl.DataFrame({"text": texts, "key": present if ordered else texts, "row": place})
        for text, of in order.group_by("text").agg("row", pl.col("key").min()).sort("key").select("text", "row").rows():
            made[text] = np.array(of)
    if len(place) < len(values):
        name = MISSING if MISSING not in made else f"{MISSING} "  # a text of this name is another group
        made[name] = np.flatnonzero(missing.to_numpy())
    return made


def _typed(frame: pl.DataFrame, schema: Schema, name: str) -> pl.Series:
    """Return a column as the network takes numbers and dates, even if dropped; else as numbers if all texts are."""
    column = next((column for column in schema.columns if column.name == name), None)
    if column is not None and column.kind in ("number", "date"):
        alone = (replace(column, dropped="", optional=True),)
        return cast(check(frame.select(name), replace(schema, columns=alone), coerce=True)[0], alone)[name]
    values = frame[name]
    numbers = values.cast(pl.Float64, strict=False) if values.dtype == pl.String else values
    return numbers if numbers.null_count() == values.null_count() else values


def _text(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    return str(value).removesuffix(" 00:00:00")


def scored(schema: Schema, held: HeldOut, by: Mapping[str, Mapping[str, Array]]) -> tuple[Grouped, ...]:
    """Return the scores of groups of rows, by column; the tests are corrected for the groups of all columns.

    Examples
    --------
    >>> from chainrule.tables.schema import Column
    >>> price, y = Column("price", "number"), np.arange(200.0)
    >>> held = HeldOut(pl.DataFrame({"price": y}), y, y + np.where(y < 50, 5.0, 1.0))
    >>> of = scored(Schema((), (price,), "regression"), held, {"size": {"S": np.arange(50), "L": np.arange(50, 200)}})
    >>> [(group.name, group.score, group.others, group.differs) for group in of[0].shown]
    [('S', 5.0, 1.0, True), ('L', 1.0, 5.0, True)]
    """
    if schema.task == "regression" and held.y.ndim == 2:
        held = held.standardized()
    losses = scores.per_row(schema.task, held.y, held.predictions)
    parts = [part for groups in by.values() for part in groups.values()]
    n, total = np.array([len(part) for part in parts], float), np.array([losses[part].sum() for part in parts])
    p_values, small = tested(losses, parts, n, total, [len(groups) for groups in by.values()])
    with np.errstate(divide="ignore", invalid="ignore"):
        ours, others = (_main(schema.task, loss) for loss in (total / n, (losses.sum() - total) / (len(losses) - n)))
    names = [name for groups in by.values() for name in groups]
    nothing = (math.nan,) * 3
    every = [
        Group(name, len(part), float(ours[i]), *nothing, float(others[i]), float(p_values[i]), bool(small[i]))
        for i, (name, part) in enumerate(zip(names, parts, strict=True))
    ]
    y, predicted = (as_numbers(schema, values) for values in (held.y, held.predictions))
    made, first = [], 0
    for column, groups in by.items():
        mine = range(first, first := first + len(groups))
        differing = sorted((i for i in mine if every[i].differs), key=lambda i: (p_values[i], -n[i]))
        largest = sorted(mine, key=lambda i: -n[i])
        shown = sorted([*dict.fromkeys([*differing, *largest])][:SHOWN])
        measured = tuple(_measured(schema, held, every[i], parts[i], y, predicted) for i in shown)
        told = (tuple(every[i] for i in which) for which in (differing, [i for i in largest if small[i]]))
        made.append(Grouped(column, _measures(schema), measured, len(groups) - len(shown), *told))
    return tuple(made)


def _measures(schema: Schema) -> tuple[str, str]:
    if schema.task != "regression":
        return "accuracy", "log loss"
    return ("RMSE", "MAE") if len(schema.targets) == 1 else (STANDARDIZED, "standardized MAE")


def _main(task: str, loss: Array) -> Array:
    """Return the main score from a mean loss."""
    return np.sqrt(np.maximum(loss, 0.0)) if task == "regression" else 1 - loss


def _measured(schema: Schema, held: HeldOut, group: Group, part: Array, y: Array, predicted: Array) -> Group:
    """Return a group with the interval of its main score, and its second score."""
    main, second = map(plain, _measures(schema))
    p = None if held.probabilities is None else held.probabilities[part]
    low, high = interval(main, group.score, schema.task, y[part], predicted[part], p)
    if schema.task == "regression":
        return group._replace(low=low, high=high, second=float(np.abs(predicted[part] - y[part]).mean()))
    measured = scores.measure(schema.task, held.y[part], held.predictions[part], p, schema.classes)
    return group._replace(low=low, high=high, second=measured[second])


def sentences(grouped: Sequence[Grouped]) -> tuple[str, ...]:
    """Return which groups differ from all other rows by more than chance, and which are too small to tell.

    The first sentence is on the worse groups, if there are any.
    """
    name = grouped[0].measures[0]
    worse: list[str] = []
    better: list[str] = []
    small: list[str] = []
    for of in grouped:
        for group in of.differing:
            ours, theirs = score_texts(name, [group.score, group.others])
            lower = group.score < group.others
            text = f"{_named(of, group)} ({ours} vs. {theirs})"
            (worse if lower == (name == "accuracy") else better).append(text)
        small += [f"{_named(of, group)} ({rows(group.rows)})" for group in of.small if not group.differs]
    if all(math.isnan(group.p_value) for of in grouped for group in of.shown):
        return ("There is nothing to compare: all rows are in one group, or all have the same error.",)
    found = [(how, listed(named, NAMED)) for how, named in (("worse", worse), ("better", better)) if named]
    said = [f"By more than chance, {name} is {how} than for all other rows for {named}." for how, named in found]
    if not found:
        said.append(f"No difference in {name} between a group and all other rows is more than chance.")
    said.append(f"More than chance means at {LEVEL:.0%}, with Holm's correction for the number of groups.")
    if small:
        twice = "twice the squared error" if plain(name) == "RMSE" else "twice as many errors"
        said.append(f"Too few rows to tell {twice} from chance: {listed(small, NAMED)}.")
    return tuple(said)


def _named(of: Grouped, group: Group) -> str:
    return f"{clean(of.column, 30)}: {clean(group.name, 30)}"


def sections(data: ReportData) -> list[Block]:
    """Return the blocks on groups of rows."""
    blocks: list[Block] = [
        Heading("For whom it works worse", "groups of held-out rows" if data.groups else "", "groups")
    ]
    if not data.groups:
        few = "No rows were held out, so groups of rows cannot be compared."
        ask = (
            "Not examined: no groups were given. Train with --by COLUMN to compare regions, age groups or other groups "
            "of rows; the column need not be an input (--drop COLUMN)."
        )
        return [*blocks, Text(ask if len(data.truth) else few)]
    first, *more = sentences(data.groups)
    blocks += [Text(first, "result"), *([Text(" ".join(more))] if more else [])]
    return [*blocks, *map(_table, data.groups)]


def _table(of: Grouped) -> Table:
    names = apart([group.name for group in of.shown], 30)
    measured = [score_texts(of.measures[0], [g.score, g.low, g.high, g.others]) for g in of.shown]
    if plain(of.measures[0]) == "RMSE":  # one number of decimals for the column
        every = aligned([v for g in of.shown for v in (g.score, g.low, g.high, g.others)])
        measured = [every[4 * i : 4 * i + 4] for i in range(len(of.shown))]
    second = score_texts(of.measures[1], [group.second for group in of.shown])
    lines: list[Row] = [
        (name, f"{g.rows:,}", Cell(texts[0], strong=g.differs), ends(g.low, g.high, texts[1:3]), texts[3], other)
        for name, g, texts, other in zip(names, of.shown, measured, second, strict=True)
    ]
    caption = "Bold: different from all other rows by more than chance." if any(g.differs for g in of.shown) else ""
    caption += f" Not listed: {rows(of.more, 'more group')}." if of.more else ""
    main, second_name = of.measures
    head = ("group", "rows", main, "95% confidence interval", f"{main}, all other rows", second_name)
    return Table(head, tuple(lines), "lrrrrr", clean(of.column, 60), caption.strip(), far=(5,))
