"""The target of a table: the task detected from it, and its values as the estimators take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.names import did_you_mean
from chainrule._internal.typing import Array
from chainrule.pages.formatting import rows as counted
from chainrule.tables import quantities, remarks
from chainrule.tables._polars import pl
from chainrule.tables.formats import MISSING, Notation
from chainrule.tables.kinds import NESTED, infer, normal
from chainrule.tables.schema import TASKS, Column, Schema
from chainrule.tables.units import CLOCKS, MAGNITUDES, SECONDS, base, factors, one

FEW = 10  # distinct integers: up to this many are classes
MOST = 100  # classes


class Target(NamedTuple):
    """The columns of the target, the task, the sorted classes, and y."""

    columns: tuple[Column, ...]
    task: str
    classes: tuple[int | str, ...]
    y: Array
    notes: tuple[str, ...]


def split_names(given: str | Sequence[str], known: Iterable[str]) -> list[str]:
    """Return the names of the targets, of which each must be a column; several are separated by commas.

    >>> split_names("a,b", ["a", "b", "c"]), split_names("a,b", ["a,b", "c"])
    (['a', 'b'], ['a,b'])
    """
    known = list(known)
    alone = " The table has a single column: is the --delimiter another one?" if len(known) == 1 else ""
    if isinstance(given, str):
        given = [given] if given in known or "," not in given else [part.strip() for part in given.split(",")]
    for name in given:
        if name not in known:
            raise ValueError(f"the target {name!r} is not in the table. {did_you_mean(name, known)}{alone}")
    if not given or len(set(given)) != len(given):
        raise ValueError(f"expected one target, or several, each of them once, got {', '.join(given) or 'none'}.")
    return list(given)


class Measured(NamedTuple):
    """A frame with a numeric target in its unit, the notation, the Python code that reads it, and notes."""

    frame: Any  # polars.DataFrame, or an OnDisk
    notations: dict[str, Notation]
    reads: str
    notes: tuple[str, ...]


def measured(frame: Any, names: list[str], task: str | None = None, decimal: str = "") -> Measured:
    """Return a frame with amounts or durations in the target converted to numbers: 12.5 kg, EUR 12.50, 1:02:45.

    Raises
    ------
    ValueError
        If the values have several units, or are ambiguous.

    Examples
    --------
    >>> import polars as pl
    >>> found = measured(pl.DataFrame({"w": ["1,5 kg", "2,0 kg", None]}), ["w"], "regression")
    >>> found.frame["w"].to_list(), found.notations["w"].unit, found.notes[0]
    ([1.5, 2.0, None], 'kg', "'w': values such as '1,5 kg', read as an amount in kg.")
    """
    made = Measured(frame, {}, "", ())
    for name in names:
        made = _measured(made, name, task, decimal)
    return made


def _measured(made: Measured, name: str, task: str | None, decimal: str) -> Measured:
    """Return the frame with one target converted."""
    frame, values = made.frame, made.frame[name]
    present = values.drop_nulls()
    classes = task is None and present.n_unique() <= FEW
    if values.dtype != pl.String or classes or task not in (None, "regression"):
        return made
    found = quantities.find(present, decimal=decimal)
    if (several := _units(present, found)) or (found and quantities.unclear(present, found.unit)):
        what, remedy = (
            (f"amounts in {', '.join(several)}", "convert them to one unit, or put the unit into a separate column")
            if several else ("values with one colon and with two", "write all as hours:minutes:seconds")
        )  # fmt: skip
        raise ValueError(f"the target {name!r} has {what}: {remedy}. If these are classes, use --task classification.")
    if found is None:
        return made
    numbers = quantities.read(values, found)
    words = values.filter(numbers.is_null() & values.is_not_null() & ~values.str.to_lowercase().is_in(MISSING))
    if len(words):
        raise ValueError(
            f"the target {name!r}: {len(words):,} of its values, such as {words[0]!r}, are not "
            f"{one(found.unit)}: correct them, or leave them empty."
        )
    said = remarks.of(values, Column(name, "number", "text", notation=found), decimal)
    notations, reads = {**made.notations, name: found}, made.reads + measured_code(name, found)
    return Measured(frame.with_columns(numbers), notations, reads, (*made.notes, *said))


def _units(present: pl.Series, found: Notation | None) -> list[str]:
    """Return the units of amounts that have no common unit; durations, or EURk beside EUR, do have one."""
    units = [unit for unit in quantities.units(present) if unit and unit not in MAGNITUDES]
    if found is not None and (found.unit in SECONDS or found.unit in CLOCKS):
        return []
    alike = factors(base(units[0])) if units else {}
    return units if any(alike.get(base(unit)) != 1 for unit in units) else []


def measured_code(name: str, how: Notation) -> str:
    """Return the Python code that converts the target of a frame."""
    return f".with_columns({quantities.code(name, how)})"


def units(schema: Schema) -> dict[str, str]:
    """Return the units of predicted numbers that have one, such as "kg" or "seconds", by the target's name."""
    known = schema.targets if schema.task == "regression" else ()
    said = {column.name: quantities.number_of(column.notation.unit) or column.notation.mark for column in known}
    return {name: unit for name, unit in said.items() if unit not in ("", "1")}


def find(frame: pl.DataFrame, names: list[str], task: str | None = None) -> Target:
    """Return the target of a table in which it has no missing values."""
    if task is not None and task not in (*TASKS, "classification"):
        raise ValueError(f"unknown task {task!r}. {did_you_mean(task, (*TASKS, 'classification'))}")
    columns = tuple(_inferred(frame[name]) for name in names)
    if nested := [column.name for column in columns if column.dropped == NESTED]:
        raise ValueError(f"the target {nested[0]!r} has lists, structs or bytes: expected one value per row.")
    columns = tuple(replace(column, dropped="") for column in columns)
    for column in columns:
        if frame[column.name].dtype.is_float() and (count := int(frame[column.name].is_infinite().sum())):
            raise ValueError(
                f"the target {column.name!r} is infinite or beyond 1e100 in {counted(count)}: remove such rows."
            )
        if column.distinct < 2:
            value = _texts(frame[column.name])[0]
            raise ValueError(f"the target {column.name!r} is constant ({value!r}): there is nothing to predict.")
    if len(columns) > 1:
        flags = all(column.kind == "yes/no" for column in columns)
        numbers = task == "regression" or (task is None and not flags)
        return _several_numbers(frame, columns) if numbers else _multilabel(frame, columns, task)
    (column,) = columns
    if task == "multilabel":
        raise ValueError("multilabel requires several targets, separated by commas.")
    numeric = column.read_as in ("number", "whole")
    few = column.read_as == "whole" and column.distinct <= FEW
    if task == "regression" or (task is None and numeric and not few and column.distinct > 2):
        return _regression(frame, column, task)
    if column.kind == "date" and task is None:
        raise ValueError(
            f"the target {column.name!r} is a date: expected a number or a class. To treat its values as classes, use "
            "--task classification."
        )
    return _classes(frame, column, task)


def _inferred(values: pl.Series) -> Column:
    """Return the column of a target; texts are classes, even numbers with words among them."""
    column = infer(values)
    return infer(values, "category") if column.read_as == "text" and column.kind == "number" else column


def as_labels(values: pl.Series, column: Column) -> Array:
    """Return a target of classes: integers, or strings."""
    if column.read_as == "whole":
        return values.cast(pl.Int64, strict=False).to_numpy()
    return np.array(_texts(values), dtype=str)


def code(schema: Schema, frame: str, types: Mapping[str, Any]) -> str:
    """Return the Python code for y of a frame with these types; code for an unknown type fits any file."""
    if schema.task == "multilabel":
        labels = [_label_code(c, frame, types.get(c.name)) for c in schema.targets]
        return f"np.column_stack([{', '.join(labels)}]).astype(int)"
    each = []
    for column in schema.targets:
        values, dtype = f"{frame}[{column.name!r}]", types.get(column.name)
        want = "Float64" if schema.task == "regression" else "Int64" if column.read_as == "whole" else "String"
        each.append(f"{values}.to_numpy()" if dtype == getattr(pl, want) else f"{values}.cast(pl.{want}).to_numpy()")
    return each[0] if len(each) == 1 else f"np.column_stack([{', '.join(each)}])"


def _label_code(column: Column, frame: str, dtype: Any) -> str:
    values, yes = f"{frame}[{column.name!r}]", column.categories[1]
    if column.read_as in ("whole", "number"):
        return f"{values} == {yes}"
    return f"{values} == {yes!r}" if dtype == pl.String else f"{values}.cast(pl.String) == {yes!r}"


def _classes(frame: pl.DataFrame, column: Column, task: str | None) -> Target:
    if column.distinct > MOST or (column.distinct > FEW and column.distinct > frame.height / 2):
        raise ValueError(
            f"the target {column.name!r} has {column.distinct:,} classes among {frame.height:,} rows: too many. "
            + (_words_among(frame[column.name])
               or ("To predict a number, use --task regression." if column.read_as in ("whole", "number") else
                   "Is it the right column?"))
        )  # fmt: skip
    if column.read_as == "number":
        raise ValueError(f"the target {column.name!r} has fractional values, not classes: use --task regression.")
    if column.kind not in ("yes/no", "category"):  # numbers that are classes
        column = replace(column, kind="category")
    y = as_labels(frame[column.name], column)
    classes: list[Any] = np.unique(y).tolist()
    if column.kind == "yes/no" and column.read_as in ("text", "boolean"):
        column = replace(column, categories=tuple(map(str, classes)))
    found = "binary" if len(classes) == 2 else "multiclass"
    if task in ("binary", "multiclass") and task != found:
        raise ValueError(f"the target {column.name!r} has {len(classes)} classes: its task is {found}, not {task}.")
    why = "two values" if found == "binary" else f"{len(classes)} classes"
    unsure = task is None and column.read_as == "whole" and found == "multiclass"
    other = " To predict it as a number, use --task regression." if unsure else ""
    return Target((column,), found, tuple(classes), y, (f"{found} classification: {column.name!r} has {why}.{other}",))


def _regression(frame: pl.DataFrame, column: Column, task: str | None) -> Target:
    column, y = _as_number(frame[column.name], column)
    note = f"regression: {column.name!r} is a number with {column.distinct:,} distinct values."
    few = task is None and column.read_as == "whole" and column.distinct <= 30
    more = " If these are classes, use --task classification." if few else ""
    return Target((column,), "regression", (), y, (note + more,))


def _as_number(values: pl.Series, column: Column) -> tuple[Column, Array]:
    if column.read_as not in ("number", "whole"):
        words = _words_among(values)
        raise ValueError(
            f"the target {column.name!r} is not numeric, so the task cannot be regression. {words}".rstrip()
        )
    y = values.cast(pl.Float64).to_numpy()
    return replace(column, kind="number", categories=(), low=float(y.min()), high=float(y.max())), y


def _several_numbers(frame: pl.DataFrame, columns: tuple[Column, ...]) -> Target:
    if others := [column for column in columns if column.read_as not in ("number", "whole")]:
        column = next((column for column in others if column.kind != "yes/no"), others[0])
        raise ValueError(
            f"several targets must all be numbers, or all be yes/no, but {column.name!r} has the kind "
            f"{column.kind!r}. {_words_among(frame[column.name])}".rstrip()
        )
    found = [_as_number(frame[column.name], column) for column in columns]
    names = ", ".join(repr(column.name) for column in columns)
    note = f"regression: {len(columns)} numbers, {names}, predicted together."
    y = np.column_stack([values for _, values in found])
    return Target(tuple(column for column, _ in found), "regression", (), y, (note,))


def _words_among(values: pl.Series) -> str:
    """Return a sentence on texts of which most are numbers, or ""."""
    if values.dtype != pl.String:
        return ""
    if (how := quantities.find(values)) is not None:
        return f"Each of its values, such as {values[0]!r}, is {one(how.unit)}: store them as numbers."
    words = values.filter(values.cast(pl.Float64, strict=False).is_null())
    if 2 * len(words) > len(values):
        return ""
    if not len(words):
        return "Its numbers are stored as text: store them as numbers."
    return f"{len(words):,} of its values, such as {words[0]!r}, are not numbers: correct them, or leave them empty."


def _multilabel(frame: pl.DataFrame, columns: tuple[Column, ...], task: str | None) -> Target:
    if task not in (None, "multilabel", "classification"):
        raise ValueError(f"several targets require the multilabel task, or regression, not {task}.")
    for column in columns:
        if column.kind != "yes/no":
            raise ValueError(f"multilabel targets must be yes/no, but {column.name!r} has the kind {column.kind!r}.")
    y = np.column_stack([label(frame[column.name], column) for column in columns])
    return Target(columns, "multilabel", (), y, (f"multilabel: {len(columns)} yes/no targets.",))


def label(values: pl.Series, column: Column) -> Array:
    """Return one of several targets as 0 and 1."""
    return np.array(np.array(_texts(values)) == column.categories[1], dtype=np.int64)


def _texts(values: pl.Series) -> list[str]:
    return normal(values).cast(pl.String).to_list()
