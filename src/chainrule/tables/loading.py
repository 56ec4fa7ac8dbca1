"""Loading of a table for training: columns and target are inferred, and the rows are split."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.checks import check_real, check_split_seed
from chainrule._internal.typing import Array
from chainrule.pages.formatting import rows as counted
from chainrule.tables import kinds, leaks, number_texts, overrides, remarks, splitting, targets, weights
from chainrule.tables._polars import pl
from chainrule.tables.checking import check
from chainrule.tables.formats import Format, Notation
from chainrule.tables.frames import as_frame, digest
from chainrule.tables.labeled import labeled
from chainrule.tables.reading import Table, read
from chainrule.tables.result import Split
from chainrule.tables.schema import Column, Schema
from chainrule.tables.sources.names import is_database, shown
from chainrule.tables.streaming.on_disk import OnDisk
from chainrule.tables.streaming.opening import open_table

TEST, VALIDATION = 0.2, 0.125  # share of all rows, and of the rest
FEWEST = 10  # rows with a target
NUMBERED = "distinct integers without a column name (row numbers)"
UNNAMED = re.compile(r"(Unnamed: \d+)?")  # pandas
MEASURED = 2**22  # values of the held-out rows used for evaluation if a table is on disk
UNBALANCED = 10  # least ratio of the largest to the smallest class that is worth a warning

__all__ = ["TEST", "VALIDATION", "Loaded", "load"]


class Loaded(NamedTuple):
    """The rows with a target, their schema, and their split."""

    frame: Any  # a polars DataFrame, or an OnDisk
    y: Array
    schema: Schema
    rule: splitting.SplitRule
    split: Split
    train: Array  # row indices
    validation: Array
    test: pl.DataFrame
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    source: str
    sha256: str
    reads: str = ""  # the Python expressions that read the table and a test file, for a script
    reads_test: str = ""
    left_out: int = 0  # rows without a target
    given: pl.DataFrame | None = None  # the rows of a test file as read
    test_rows: Array | None = None  # the numbers of the test rows in their file, from 1, and that file
    test_source: str = ""
    numbers: Array = np.zeros(0, int)  # of the rows of the frame in the file, from 1
    weight: Array | None = None  # of the rows of the frame
    weight_column: Column | None = None

    def weights(self, rows: Array) -> Array | None:
        """Return the weights of some rows; None if all rows count the same."""
        return None if self.weight is None else self.weight[rows]

    def groups(self) -> Array | None:
        """Return the groups of the training rows, which must not be separated; None if rows are independent."""
        if self.rule.group is None:
            return None
        return splitting.groups(self.rule.group, self.frame)[self.train]


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
    folds: int | None = None,
    validation: float = VALIDATION,
    time_column: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    by: Sequence[str] = (),
    stream: bool = False,
    seed: int = 0,
    **reads: Any,
) -> Loaded:
    """Return the rows of a table and their split; the arguments are those of :func:`chainrule.tables.train`.

    ``reads`` are the options of :func:`chainrule.tables.read`.
    """
    check_split_seed("train", seed)
    check_real("train", "validation", validation, 0, 1, open_high=True)  # 0: an ensemble needs none
    part, own = _held_out_part(test, folds)
    numeric, categorical = [*numeric], [*categorical]
    table = _table(source, target, reads, stream=stream)
    goals = targets.split_names(target, table.frame.columns)
    table, measured = _measured_target(table, goals, task)
    frame, numbers, notes = _with_targets(table, goals)
    schema, y, said, warned = _schema(table, frame, goals, task, categorical, numeric, drop, dates)
    schema = _without_row_numbers(schema, table, frame, numeric)
    overrides.known("by", by, table.frame.columns, "there is no column")
    schema, weighted = _with_roles(schema, frame.columns, time_column, group, weight)
    weight_of = None if weighted is None else weights.weights(frame, weighted, numbers)
    if not schema.used:
        why = "; ".join(f"{c.name!r}: {c.dropped}" for c in schema.columns[:5]) or "it has no other column"
        raise ValueError(f"the table has no usable columns besides the target ({why}).")
    date_format = _order(schema, frame, time_column)
    rule = splitting.SplitRule(part, validation, seed, time_column, group, schema.is_classification, date_format)
    rule = splitting.sized(asked := rule, y)
    for name in ("test", "validation"):
        if (rows := getattr(rule, name)) != (share := getattr(asked, name)):
            notes = (*notes, f"{rows} rows for {name}, one per class, instead of {100 * share:g}%.")
    rows, rows_val, rows_test, how = splitting.split(rule, frame, y)
    if folds is not None:
        how = f"in {folds} folds, each predicted by networks trained on the others; {how}"
    if own is None:
        held, some = _held_out(frame, rows_test, numbers, table.path, seed)
        notes = (*notes, *some)
    else:
        how = f"the rows of {shown(os.fspath(own))}"
        kept = ("delimiter", "header", *(["query"] if is_database(os.fspath(own)) else []))  # the schema has the rest
        reads = {name: value for name, value in reads.items() if name in kept}
        table_test = _table(own, target, reads, schema, stream=stream)
        held = _of_file(table_test, schema, seed, by)
        if measured.reads:
            code = (targets.measured_code(name, written) for name, written in measured.notations.items())
            held = held._replace(reads=held.reads + "".join(code))
    split = Split(len(rows), len(rows_val), held.frame.height if folds is None else frame.height, how)
    warned = (*warned, *leaks.find(frame, schema, y))
    said = (*notes, *said, *remarks.find(frame, schema, told=(*numeric, *categorical)))
    return Loaded(
        frame, y, schema, rule, split, rows, rows_val, held.frame, said, warned, table.path, table.sha256, table.reads,
        held.reads, table.frame.height - frame.height, held.given, held.numbers, held.file,
        numbers, weight_of, weighted,
    )  # fmt: skip


def _held_out_part(test: float | str | os.PathLike[str], folds: int | None) -> tuple[float, Any]:
    """Return the share of the rows to hold out, and the file with the held-out rows."""
    if folds is not None:
        if test != TEST:
            raise ValueError("--folds: every row is held out once, so there is no test set: omit --test.")
        return 0.0, None
    if isinstance(test, str | os.PathLike):
        return 0.0, test
    check_real("train", "test", test, 0, 1, open_low=True, open_high=True)
    return test, None


def _with_roles(
    schema: Schema, names: Sequence[str], time_column: str | None, group: str | None, weight: str | None
) -> tuple[Schema, Column | None]:
    """Return the schema without the columns that are not inputs because of their role, and the one with weights."""
    for option, name in (("time-column", time_column), ("group", group), ("weight", weight)):
        if name is not None:
            overrides.known(option, [name], names)
    why = {group: "--group: new rows belong to other groups", weight: weights.WHY}
    columns = tuple(replace(c, dropped=why.get(c.name, c.dropped)) for c in schema.columns)
    weighted = next((c for c in columns if c.name == weight), None)
    if weight is not None and (weighted is None or weight in (group, time_column)):
        raise ValueError(f"--weight: {weight!r} is the target, the group or the time of a row: name another column.")
    return replace(schema, columns=columns), weighted


def _measured_target(table: Table, goals: list[str], task: str | None) -> tuple[Table, targets.Measured]:
    """Return the table with amounts or durations in the target converted to numbers, and the conversion."""
    found = targets.measured(table.frame, goals, task, table.format.decimal)
    notations, notes = {**table.notations, **found.notations}, (*table.notes, *found.notes)
    reads = table.reads + found.reads if table.reads else ""
    return replace(table, frame=found.frame, notations=notations, notes=notes, reads=reads), found


class _Held(NamedTuple):
    """The test rows, their numbers in their file, the expression that reads it, and the rows as read."""

    frame: pl.DataFrame
    numbers: Array
    file: str
    reads: str = ""
    given: pl.DataFrame | None = None


def _held_out(frame: Any, rows: Array, numbers: Array, file: str, seed: int) -> tuple[_Held, tuple[str, ...]]:
    """Return the held-out rows of the table, and a note if only a sample of many on disk is used."""
    if not isinstance(frame, OnDisk):
        return _Held(frame[rows], numbers[rows], file), ()
    some = rows[_measured(frame[rows], seed)]
    said = f"evaluated on a random sample of {len(some):,} of the {len(rows):,} held-out rows."
    return _Held(frame[some].select(frame.columns), numbers[some], file), (said,) if len(some) < len(rows) else ()


def _of_file(table: Table, schema: Schema, seed: int, by: Sequence[str]) -> _Held:
    """Return the rows of a test file with all targets, with the columns of training."""
    name, frame, some = f"--test: {table.path}", table.frame, _measured(table.frame, seed)
    if isinstance(frame, OnDisk):
        frame = frame[some].select(frame.columns)
    for column in schema.used:
        if column.name not in frame.columns:
            raise ValueError(f"{name} has no column {column.name!r}, an input of the network.")
    if lacking := [column for column in by if column not in frame.columns]:
        raise ValueError(f"{name} has no column {lacking[0]!r}, whose groups --by asks for.")
    known, numbers, _ = labeled(frame, schema, name)
    _check_enough(table.path, len(known), frame.height, schema.target)
    try:
        made = known.with_columns(check(known, schema)[0])
    except ValueError as error:
        raise ValueError(f"{name}: {str(error).replace(', or pass --coerce', '')}") from None
    return _Held(made, some[numbers - 1] + 1, table.path, table.reads, frame[numbers - 1])


def _table(
    source: Any,
    target: str | Sequence[str],
    reads: Mapping[str, Any],
    schema: Schema | None = None,
    *,
    stream: bool = False,
) -> Table:
    """Return the table in a file or a frame; with ``stream``, it stays on disk."""
    names = [target, *target.split(",")] if isinstance(target, str) else [*target]
    if stream and not isinstance(source, str | os.PathLike):
        raise TypeError(f"stream: expected a file, got {type(source).__name__}.")
    if stream:
        return open_table(source, targets=names, schema=schema, **reads)
    if isinstance(source, str | os.PathLike):
        return read(source, targets=names, expected=names, schema=schema, **reads)
    frame, decimal = as_frame(source), reads.get("decimal") or ""
    numbers, notes = number_texts.known_in(frame, names, decimal)
    return Table(numbers, tuple(notes), "a data frame", digest(frame), format=Format(decimal=decimal))


def _measured(held_out: Any, seed: int) -> Array:
    """Return the indices of the held-out rows used for evaluation: all of them, or a sample of many on disk."""
    most = max(FEWEST, MEASURED // max(1, held_out.width)) if isinstance(held_out, OnDisk) else held_out.height
    some = splitting.drawn(held_out.height, most, seed)
    return np.arange(held_out.height) if some is None else some


def _with_targets(table: Table, goals: list[str]) -> tuple[Any, Array, tuple[str, ...]]:
    """Return the rows with all targets, their numbers in the file from 1, and notes."""
    frame = table.frame
    kept = frame.select(goals).select(pl.all_horizontal(pl.all().is_not_null())).to_series().arg_true().to_numpy()
    usable = frame[kept] if len(kept) < frame.height else frame
    left_out = frame.height - usable.height
    _check_enough(table.path, usable.height, frame.height, ", ".join(goals))
    notes = (f"dropped {counted(left_out)} with a missing target.",) if left_out else ()
    return usable, kept.astype(int) + 1, (*table.notes, *notes)


def _check_enough(path: str, rows: int, total: int, target: str) -> None:
    if rows < FEWEST:
        raise ValueError(
            f"{path} has {counted(rows)} with a value for {target}, out of {total:,}: expected at least {FEWEST}."
        )


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
    """Return the schema, y, notes and warnings."""
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


def _without_row_numbers(schema: Schema, table: Table, frame: Any, numeric: Sequence[str]) -> Schema:
    """Return the schema with row numbers dropped: integers that rise by one, or are distinct and have no name."""
    whole = [c for c in schema.used if c.kind == "number" and c.read_as == "whole" and c.name not in numeric]
    unnamed = [c for c in whole if c.name in table.format.unnamed or UNNAMED.fullmatch(c.name)]
    why = {c.name: NUMBERED for c in unnamed if not c.missing and c.distinct == schema.rows}
    if frame.height < table.frame.height:  # they number the rows without a target, too
        found = [kinds.infer(table.frame[c.name]) for c in whole if c.name not in why]
        why |= {column.name: column.dropped for column in found if column.kind == "identifier"}
    columns = [replace(c, kind="identifier", dropped=why[c.name]) if c.name in why else c for c in schema.columns]
    return replace(schema, columns=tuple(columns))


def _order(schema: Schema, frame: Any, name: str | None) -> str | None:
    """Return the date format of the column that orders the rows, or None if its values need no parsing."""
    if name is None:
        return None
    column = next((c for c in (*schema.columns, *schema.targets) if c.name == name), None) or kinds.infer(frame[name])
    if column.read_as == "text" and column.date_format is None:
        raise ValueError(
            f"--time-column: {name!r} is neither a date nor a number. If it is a date, use --date {name}:FORMAT."
        )
    return column.date_format


def unbalanced(task: str, counts: Mapping[Any, int] | None) -> tuple[str, ...]:
    """Return a warning if one class has many times the rows of another.

    >>> unbalanced("binary", {"no": 50, "yes": 1})[0]
    'imbalanced classes: 50 rows of no, 1 of yes. To weight classes equally, use --class-weight balanced.'
    """
    if task not in ("binary", "multiclass") or not counts:
        return ()
    rare, often = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[often] < UNBALANCED * counts[rare]:
        return ()
    said = f"imbalanced classes: {counts[often]:,} rows of {often}, {counts[rare]:,} of {rare}."
    return (f"{said} To weight classes equally, use --class-weight balanced.",)
