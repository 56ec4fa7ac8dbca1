"""The schema of a table that was read once: kinds from the sample, counts and extremes of all rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chainrule.tables import kinds, targets
from chainrule.tables.formats import Format, Notation
from chainrule.tables.loading import without_row_numbers
from chainrule.tables.schema import Column, Schema
from chainrule.tables.streaming.source import Source
from chainrule.tables.streaming.statistics import ColumnStatistics
from chainrule.tables.streaming.survey import Survey

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

__all__ = ["schema"]


def schema(
    source: Source,
    found: Survey,
    goals: list[str],
    names: Sequence[str],
    task: str | None,
    kinds_told: Mapping[str, tuple[str, str | None]],
    dropped: Sequence[str],
) -> Schema:
    """Return the schema.

    Kinds, date formats and categories are those of the sample, in which every value that a column has few of has a row.
    ``missing``, ``low`` and ``high`` are of all rows, and so is ``distinct``, to about 3 % beyond 1,024 values.
    """
    _check_target(found, goals)
    goal = targets.find(found.sample, goals, task)
    if goal.task == "regression" and (infinite := found.columns[goals[0]].infinite):
        raise ValueError(f"the target {goals[0]!r} has {infinite:,} infinite values (or beyond 1e100): remove them.")
    columns: list[Column] = []
    numeric = [name for name, (kind, _) in kinds_told.items() if kind == "number"]
    written: Format = getattr(source, "format", Format())
    for name in names:
        if name in dropped:
            columns.append(Column(name, "constant", "null", dropped="--drop"))
            continue
        kind, date_format = kinds_told.get(name, (None, None))
        how = getattr(source, "notations", {}).get(name) if found.sample[name].dtype.is_float() else None
        column = kinds.infer(found.sample[name], kind, date_format, how=how, decimal=written.decimal)
        columns.append(exact(column, found.columns[name]))
    if not any(column.used for column in columns):
        raise ValueError(f"{source.path} has no column to learn from besides the target.")
    goals_exact = tuple(exact(column, found.columns[column.name]) for column in goal.columns)
    notes = list(goal.notes)
    missing = found.rows - found.usable
    if missing:
        notes.append(f"{missing:,} row(s) without a target are left out.")
    hows = getattr(source, "notations", {})
    goals_exact = tuple(replace(c, notation=hows.get(c.name, Notation())) for c in goals_exact)
    whole = Schema(tuple(columns), goals_exact, goal.task, goal.classes, found.rows, tuple(notes), written)
    return without_row_numbers(whole, written.unnamed, numeric)


def exact(column: Column, all_rows: ColumnStatistics) -> Column:
    """Return what is known of a column from a sample, with the numbers of all rows."""
    changes: dict[str, Any] = {"missing": all_rows.missing, "distinct": max(all_rows.distinct, column.distinct)}
    if column.read_as == "whole" and not all_rows.whole:
        column = replace(column, read_as="number")
    if column.kind in ("number", "identifier") and column.low is not None and _is_number(all_rows.low):
        changes |= {"low": float(all_rows.low), "high": float(all_rows.high)}
        if column.read_as == "whole":
            changes |= {"low": int(all_rows.low), "high": int(all_rows.high)}
            if column.used and _rises_by_one(all_rows, changes["distinct"]):
                changes |= {"kind": "identifier", "dropped": "its numbers rise by one: an identifier"}
    if column.kind == "date" and isinstance(all_rows.low, dt.date | dt.datetime):
        low, high = (_clock(end) for end in (all_rows.low, all_rows.high))
        changes |= {"low": low, "high": high}
    return replace(column, **changes)


def _clock(end: Any) -> str:
    """Return a date as ISO text; one of a time zone as a clock there shows it."""
    text: str = (end.replace(tzinfo=None) if isinstance(end, dt.datetime) else end).isoformat()
    return text


def _check_target(found: Survey, goals: Sequence[str]) -> None:
    for name in goals:
        column = found.columns[name]
        if column.counts is not None and len(column.counts) == 1:
            value = next(iter(column.counts))
            raise ValueError(f"the target {name!r} has one value only, {value!r}: there is nothing to predict.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rises_by_one(column: ColumnStatistics, distinct: int) -> bool:
    """Say whether whole numbers are those of a row of numbers: as many as rows, from the lowest to the highest."""
    whole = not column.missing and column.high - column.low + 1 == column.rows >= kinds.FEWEST
    return bool(whole and distinct > 0.9 * column.rows)  # distinct is an estimate
