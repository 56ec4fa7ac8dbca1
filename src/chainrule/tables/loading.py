"""A table to learn from: read, its columns and target found out, its rows shared out: what ``train`` sees."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.checks import check_real, check_split_seed
from chainrule._internal.typing import Array
from chainrule.tables import kinds, leaks, number_texts, overrides, remarks, splitting, targets
from chainrule.tables._polars import pl
from chainrule.tables.checking import check, with_targets
from chainrule.tables.formats import Format, Notation
from chainrule.tables.frames import as_frame
from chainrule.tables.labeled import check_classes
from chainrule.tables.reading import Table, read
from chainrule.tables.result import Split
from chainrule.tables.schema import Column, Schema
from chainrule.tables.streaming.on_disk import OnDisk
from chainrule.tables.streaming.opening import open_table
from chainrule.tables.task import target_values

TEST, VALIDATION = 0.2, 0.125  # of all rows, and of the rest
FEWEST = 10  # rows with a target
NUMBERED = "whole numbers that all differ, without a name: numbers of rows"
UNNAMED = re.compile(r"(Unnamed: \d+)?")  # of pandas
MEASURED = 2**24  # values of the held-out rows that are measured where a table is on disk
UNBALANCED = 10  # how many times the largest class is as large as the smallest, to be spoken of

__all__ = ["TEST", "VALIDATION", "Loaded", "as_in", "load"]


class Loaded(NamedTuple):
    """The rows that have a target, what is known of them, and which of them are for what."""

    frame: Any  # a polars DataFrame, or an OnDisk
    y: Array
    schema: Schema
    rule: splitting.SplitRule
    split: Split
    train: Array  # numbers of rows
    validation: Array
    test: pl.DataFrame
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    source: str
    sha256: str
    reads: str = ""  # the expression that reads the table, and that of a test file, for a script
    reads_test: str = ""
    left_out: int = 0  # rows without a target
    given: pl.DataFrame | None = None  # the rows of a test file, before their columns were made those of the schema
    test_rows: Array | None = None  # the numbers of the rows of test in their file, from 1, and that file
    test_source: str = ""


def load(
    source: Any,
    target: str | Sequence[str],
    *,
    task: str | None = None,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    drop: Iterable[str] = (),
    dates: Iterable[str] = (),
    test: float | str | os.PathLike[str] = TEST,
    validation: float = VALIDATION,
    time_column: str | None = None,
    group: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    stream: bool = False,
    seed: int = 0,
) -> Loaded:
    """Return the rows of a table and their parts; the arguments are those of :func:`chainrule.tables.train`."""
    check_split_seed("train", seed)
    check_real("train", "validation", validation, 0, 1, open_low=True, open_high=True)
    part, own = (0.0, test) if isinstance(test, str | os.PathLike) else (test, None)
    if own is None:
        check_real("train", "test", part, 0, 1, open_low=True, open_high=True)
    numeric = [*numeric]
    table = _table(source, target, delimiter, header, decimal, stream=stream)
    goals = targets.split_names(target, table.frame.columns)
    table, measured = _measured_target(table, goals, task)
    frame, numbers, notes = _with_targets(table, goals)
    schema, y, said, warned = _schema(table, frame, goals, task, categorical, numeric, drop, dates)
    schema = without_row_numbers(schema, table.format.unnamed, numeric)
    if frame.height < table.frame.height:
        schema = _without_numbering(schema, table.frame, numeric)
    for option, name in (("time-column", time_column), ("group", group)):
        if name is not None:
            overrides.known(option, [name], frame.columns)
    schema = _without_group(schema, group)
    if not schema.used:
        why = "; ".join(f"{c.name!r}: {c.dropped}" for c in schema.columns[:5]) or "there is no other column"
        raise ValueError(f"the table has nothing to learn from besides the target ({why}).")
    date_format = _order(schema, frame, time_column)
    rule = splitting.SplitRule(part, validation, seed, time_column, group, schema.is_classification, date_format)
    rule = splitting.sized(asked := rule, y)
    for name in ("test", "validation"):
        if (rows := getattr(rule, name)) != (share := getattr(asked, name)):
            notes = (*notes, f"{rows} rows for {name}, one for each class: {100 * share:g} % would be fewer.")
    rows, rows_val, rows_test, how = splitting.split(rule, frame, y)
    if own is None:
        held, some = _held_out(frame, rows_test, numbers, table.path, seed)
        notes = (*notes, *some)
    else:
        how = f"those of {own}"
        table_test = _table(own, target, delimiter, header, None, schema, stream=stream)
        held = _of_file(table_test, schema, goals, seed)
        if measured.reads:
            (name, written), *_ = measured.notations.items()
            read = targets.measured_code(name, table_test.frame.schema.get(name), written)
            held = held._replace(reads=held.reads + read)
    split = Split(len(rows), len(rows_val), held.frame.height, how)
    warned = (*warned, *leaks.find(frame, schema, y))
    said = (*notes, *said, *remarks.find(frame, schema))
    return Loaded(
        frame, y, schema, rule, split, rows, rows_val, held.frame, said, warned, table.path, table.sha256, table.reads,
        held.reads, table.frame.height - frame.height, held.given, held.numbers, held.file,
    )  # fmt: skip


def _measured_target(table: Table, goals: list[str], task: str | None) -> tuple[Table, targets.Measured]:
    """Return the table with a number for its target where that has amounts or durations, and how it was read."""
    found = targets.measured(table.frame, goals, task, table.format.decimal)
    notations, notes = {**table.notations, **found.notations}, (*table.notes, *found.notes)
    reads = table.reads + found.reads if table.reads else ""
    return replace(table, frame=found.frame, notations=notations, notes=notes, reads=reads), found


class _Held(NamedTuple):
    """The rows for the test, their numbers in the file they are from, what reads it, and what they were there."""

    frame: pl.DataFrame
    numbers: Array
    file: str
    reads: str = ""
    given: pl.DataFrame | None = None


def _held_out(frame: Any, rows: Array, numbers: Array, file: str, seed: int) -> tuple[_Held, tuple[str, ...]]:
    """Return rows of the table for the test; of many on disk, some, which is noted."""
    if not isinstance(frame, OnDisk):
        return _Held(frame[rows], numbers[rows], file), ()
    some = rows[_measured(frame[rows], seed)]
    said = f"{len(some):,} of the {len(rows):,} rows held out are measured, drawn at random."
    return _Held(frame[some].select(frame.columns), numbers[some], file), (said,) if len(some) < len(rows) else ()


def _of_file(table: Table, schema: Schema, goals: list[str], seed: int) -> _Held:
    """Return the rows of a test file that have all targets."""
    some = _measured(table.frame, seed)
    if isinstance(table.frame, OnDisk):
        table = replace(table, frame=table.frame[some].select(table.frame.columns))
    known = replace(table, frame=with_targets(table.frame, schema, f"--test: {table.path}"))
    frame, numbers, _ = _with_targets(known, goals)
    made = as_in(schema, frame, table.path)
    return _Held(made, some[numbers - 1] + 1, table.path, table.reads, table.frame[numbers - 1])


def _table(
    source: Any,
    target: str | Sequence[str],
    delimiter: str | None,
    header: bool | None,
    decimal: str | None,
    schema: Schema | None = None,
    *,
    stream: bool = False,
) -> Table:
    """Return the table of a file or a frame; with ``stream``, of a file that stays on disk."""
    names = [target, *target.split(",")] if isinstance(target, str) else [*target]
    if stream and not isinstance(source, str | os.PathLike):
        raise TypeError(f"stream: expected a file, got {type(source).__name__}.")
    if stream:
        return open_table(source, delimiter=delimiter, header=header, decimal=decimal, targets=names, schema=schema)
    if isinstance(source, str | os.PathLike):
        return read(
            source, delimiter=delimiter, header=header, expected=names, targets=names, decimal=decimal, schema=schema
        )
    frame, file = as_frame(source), io.BytesIO()
    frame.write_ipc(file)
    numbers, notes = number_texts.known_in(frame, names, decimal or "")
    form = Format(decimal=decimal or "")
    return Table(numbers, tuple(notes), "a data frame", hashlib.sha256(file.getbuffer()).hexdigest(), format=form)


def _measured(held_out: Any, seed: int) -> Array:
    """Return which of the held-out rows are measured: all of them, unless there are many on disk."""
    most = max(FEWEST, MEASURED // max(1, held_out.width)) if isinstance(held_out, OnDisk) else held_out.height
    some = splitting.drawn(held_out.height, most, seed)
    return np.arange(held_out.height) if some is None else some


def _with_targets(table: Table, goals: list[str]) -> tuple[Any, Array, tuple[str, ...]]:
    """Return the rows that have all targets, their numbers in the file from 1, and what was found out."""
    frame = table.frame
    for name in goals:
        if name not in frame.columns:
            overrides.known("target", [name], frame.columns)
    kept = frame.select(goals).select(pl.all_horizontal(pl.all().is_not_null())).to_series().arg_true().to_numpy()
    usable = frame[kept] if len(kept) < frame.height else frame
    left_out = frame.height - usable.height
    if usable.height < FEWEST:
        raise ValueError(
            f"{table.path} has {usable.height} row(s) with a target, of {frame.height}: expected {FEWEST} or more with "
            f"a value of {', '.join(goals)}."
        )
    notes = (f"{left_out:,} row(s) without a target are left out.",) if left_out else ()
    return usable, kept.astype(int) + 1, (*table.notes, *notes)


def _schema(
    table: Table,
    frame: Any,
    goals: list[str],
    task: str | None,
    categorical: Iterable[str],
    numeric: Iterable[str],
    drop: Iterable[str],
    dates: Iterable[str],
) -> tuple[Schema, Array, tuple[str, ...], tuple[str, ...]]:
    """Return the schema, y, what was decided, and what to look at."""
    found = targets.find(frame.select(goals), goals, task)
    names = [name for name in frame.columns if name not in goals]
    told = overrides.told(names, list(categorical), list(numeric), list(dates), dropped := list(drop))
    columns: list[Column] = []
    for name in names:
        kind, date_format = told.get(name, (None, None))
        how = table.notations.get(name)
        column = kinds.infer(frame[name], kind, date_format, how=how, decimal=table.format.decimal)
        columns.append(replace(column, dropped="--drop") if name in dropped else column)
    targeted = tuple(replace(c, notation=table.notations.get(c.name, Notation())) for c in found.columns)
    schema = Schema(tuple(columns), targeted, found.task, found.classes, frame.height, found.notes, table.format)
    labels, counts = np.unique(found.y, return_counts=True)
    warned = unbalanced(found.task, dict(zip(labels.tolist(), counts.tolist(), strict=True)))
    return schema, found.y, found.notes, warned


def _without_numbering(schema: Schema, frame: Any, numeric: list[str]) -> Schema:
    """Return the schema without columns that number the rows, those without a target among them."""
    numbers = [c.name for c in schema.used if c.kind == "number" and c.read_as == "whole" and c.name not in numeric]
    found = {name: kinds.infer(frame[name]) for name in numbers}
    why = {name: column.dropped for name, column in found.items() if column.kind == "identifier"}
    columns = [replace(c, kind="identifier", dropped=why[c.name]) if c.name in why else c for c in schema.columns]
    return replace(schema, columns=tuple(columns))


def without_row_numbers(schema: Schema, unnamed: Sequence[str], numeric: Sequence[str]) -> Schema:
    """Return the schema without whole numbers that all differ in a column without a name, such as pandas' index."""
    columns = [
        replace(c, kind="identifier", dropped=NUMBERED)
        if c.kind == "number" and c.used and c.read_as == "whole" and c.name not in numeric
        and (c.name in unnamed or UNNAMED.fullmatch(c.name)) and not c.missing and c.distinct == schema.rows
        else c
        for c in schema.columns
    ]  # fmt: skip
    return replace(schema, columns=tuple(columns))


def _without_group(schema: Schema, group: str | None) -> Schema:
    """Return the schema without the column of the groups."""
    why = "--group: new rows are of other groups"
    return replace(schema, columns=tuple(replace(c, dropped=why) if c.name == group else c for c in schema.columns))


def _order(schema: Schema, frame: Any, name: str | None) -> str | None:
    """Return the format of the dates by which rows are in order, or None where they are in order as they are."""
    if name is None:
        return None
    column = next((c for c in (*schema.columns, *schema.targets) if c.name == name), None) or kinds.infer(frame[name])
    if column.read_as == "text" and column.date_format is None:
        raise ValueError(f"--time-column: {name!r} is neither a date nor a number; if it is one: --date {name}:FORMAT.")
    return column.date_format


def unbalanced(task: str, counts: Mapping[Any, int] | None) -> tuple[str, ...]:
    """Return a warning where one class has many times the rows of another.

    >>> unbalanced("binary", {"no": 50, "yes": 1})[0]
    'the classes are unbalanced: 50 rows are no, 1 are yes. If the rare ones matter as much as the others: ...'
    """
    if task not in ("binary", "multiclass") or not counts:
        return ()
    rare, often = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[often] < UNBALANCED * counts[rare]:
        return ()
    said = f"the classes are unbalanced: {counts[often]:,} rows are {often}, {counts[rare]:,} are {rare}."
    return (f"{said} If the rare ones matter as much as the others: --class-weight balanced.",)


def as_in(schema: Schema, frame: pl.DataFrame, path: str) -> pl.DataFrame:
    """Return the rows of a test file with the columns as training has them, and no class that it never saw."""
    for column in schema.used:
        if column.name not in frame.columns:
            raise ValueError(f"--test: {path} has no column {column.name!r}, which the network learns from.")
    check_classes(target_values(frame, schema), schema, f"--test: {path}")
    try:
        return frame.with_columns(check(frame, schema)[0])
    except ValueError as error:
        raise ValueError(f"--test: {path}: {str(error).replace(', or pass --coerce', '')}") from None
