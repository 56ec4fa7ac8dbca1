"""What a table is: its columns, each with its kind, and its target. Written as JSON, read with every field checked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from chainrule.files.values import ModelFileError, shown
from chainrule.tables.formats import Format, Notation

__all__ = ["KINDS", "TASKS", "Column", "Schema"]

FORMAT = 1
CODES = re.compile(r"(?:[^%]|%(?:[-_0]?[a-zA-Z%+]|\.[369]?f|[369]f|[:#]z))*")
LARGEST = 2**26  # bytes: 10,000 columns of 100 categories are 20 MB
MOST_NODES = 2**22  # lists, objects and what is in them
KINDS = ("number", "yes/no", "category", "many", "text", "date", "identifier", "constant")
TASKS = ("binary", "multiclass", "regression", "multilabel")
READ_AS = ("number", "whole", "boolean", "text", "date", "time", "null")


@dataclass(frozen=True)
class Column:
    """One column of a table, as training saw it.

    Parameters
    ----------
    name : str
    kind : str
        One of :data:`KINDS`.
    read_as : str
        What its values were in the file: "number", "whole" (numbers), "boolean", "text", "date", "time" (a date with
        its time of day), or "null" (nothing but holes).
    missing, distinct : int
        How many rows have no value, and how many values differ.
    low, high : float or str, optional
        The smallest and the largest value: of numbers, or of dates as ISO texts.
    categories : tuple of str
        All values as texts: of "category" by their order, of "yes/no" first what becomes 0 and then what becomes 1.
    date_format : str, optional
        How a text is read as a date, in the codes of ``strftime``.
    holes : tuple of str
        Of numbers and dates: words among them, which training took as missing.
    dropped : str
        Why the network never sees it; empty if it does.
    optional : bool
        Whether new data may come without it: all its values are then missing.
    notation : Notation
        How its values are written, which new rows are read by.

    Examples
    --------
    >>> Column("age", "number", low=0.0, high=99.0).used
    True
    """

    name: str
    kind: str
    read_as: str = "number"
    missing: int = 0
    distinct: int = 0
    low: float | str | None = None
    high: float | str | None = None
    categories: tuple[str, ...] = ()
    date_format: str | None = None
    dropped: str = ""
    optional: bool = False
    holes: tuple[str, ...] = ()
    notation: Notation = field(default_factory=Notation)

    @property
    def used(self) -> bool:
        """Whether it is an input of the network."""
        return not self.dropped


@dataclass(frozen=True)
class Schema:
    """The columns of a table, and what is to be predicted.

    Parameters
    ----------
    columns : tuple of Column
        The inputs in the order of the file, those that are dropped among them.
    targets : tuple of Column
        One, or with the task "multilabel" several.
    task : str
        One of :data:`TASKS`.
    classes : tuple
        Of "binary" and "multiclass": the labels in their order, whole numbers or texts; of two the second is "yes".
    rows : int
        How many rows the table had.
    format : Format
        How the file was written.

    Examples
    --------
    >>> schema = Schema((Column("age", "number"),), (Column("died", "yes/no", categories=("no", "yes")),), "binary",
    ...                 classes=("no", "yes"), rows=10)
    >>> Schema.from_json(schema.to_json()) == schema
    True
    >>> schema.target
    'died'
    """

    columns: tuple[Column, ...]
    targets: tuple[Column, ...]
    task: str
    classes: tuple[int | str, ...] = ()
    rows: int = 0
    notes: tuple[str, ...] = field(default=(), compare=False)
    format: Format = field(default_factory=Format)

    @property
    def target(self) -> str:
        """The name of the target, or of several with commas between them."""
        return ", ".join(column.name for column in self.targets)

    @property
    def used(self) -> tuple[Column, ...]:
        """The columns that the network sees."""
        return tuple(column for column in self.columns if column.used)

    @property
    def is_classification(self) -> bool:
        """Whether a class is predicted (not a number, nor several labels)."""
        return self.task in ("binary", "multiclass")

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(_as_json(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Return the schema of a text that :meth:`to_json` wrote.

        Raises
        ------
        ModelFileError
            When it is anything else.
        """
        if len(text) > LARGEST or sum(map(text.count, "{[,")) > MOST_NODES:  # "[]" takes 64 bytes in memory
            raise ModelFileError("the schema is larger than any that chainrule writes.")
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"the schema is damaged, it is not JSON ({shown(error)}).") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ModelFileError(f"expected a schema of format {FORMAT}, as chainrule train writes it.")
        columns = _columns("columns", data.get("columns"))
        targets = _columns("targets", data.get("targets"))
        names = [column.name for column in (*columns, *targets)]
        task: Any = data.get("task")
        classes: Any = data.get("classes")
        if len(set(names)) != len(names) or not targets:
            raise ModelFileError("the schema is damaged: it has no target, or a column twice.")
        if task not in TASKS or (len(targets) > 1) != (task == "multilabel"):
            raise ModelFileError(f"the schema is damaged: the task is {shown(task)}, for {len(targets)} targets.")
        alike = isinstance(classes, list) and any(all(type(c) is kind for c in classes) for kind in (int, str))
        if not alike or len(set(classes)) != len(classes) or (len(classes) < 2) == (task in ("binary", "multiclass")):
            raise ModelFileError(f"the schema is damaged: the classes are {shown(classes)}.")
        _field("the schema", "rows", data.get("rows"), _count)
        _field("the schema", "notes", data.get("notes"), _texts)
        written = Format.from_json("written", data.get("written", {}))
        return cls(columns, targets, task, tuple(classes), data["rows"], tuple(data["notes"]), written)


def _as_json(schema: Schema) -> dict[str, Any]:
    """Return a schema as plain values; how the file was written is "written": "format" is the version of the schema."""
    plain = asdict(schema)
    written = plain.pop("format")
    return {"format": FORMAT, **plain, "written": written}


def _columns(what: str, value: Any) -> tuple[Column, ...]:
    if not isinstance(value, list):
        raise ModelFileError(f"the schema is damaged: {what}: expected a list, got {shown(value)}.")
    return tuple(_column(f"{what}[{i}]", entry) for i, entry in enumerate(value))


def _column(what: str, entry: Any) -> Column:
    entry = {"holes": [], "notation": {}, **entry} if isinstance(entry, dict) else entry  # not in older schemas
    if not isinstance(entry, dict) or entry.keys() != CHECKS.keys():
        raise ModelFileError(f"the schema is damaged: {what}: expected the fields {', '.join(CHECKS)}.")
    for name, fits in CHECKS.items():
        _field(what, name, entry[name], fits)
    if entry["kind"] == "yes/no" and not entry["dropped"] and len(entry["categories"]) != 2:
        raise ModelFileError(f"the schema is damaged: {what}: yes/no has {len(entry['categories'])} categories.")
    dated = entry["kind"] == "date" and not entry["dropped"]
    if dated and (entry["date_format"] is None) != (entry["read_as"] in ("date", "time")):
        raise ModelFileError(f"the schema is damaged: {what}: the dates are {entry['read_as']}, of no such format.")
    notation = Notation.from_json(f"{what}: notation", entry["notation"])
    tuples = {name: tuple(entry[name]) for name in ("categories", "holes")}
    return Column(**{**entry, **tuples, "notation": notation})


def _field(what: str, name: str, value: Any, fits: Callable[[Any], bool]) -> None:
    if not fits(value):
        raise ModelFileError(f"the schema is damaged: {what}: {name} is {shown(value)}.")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _format(value: Any) -> bool:
    """Say whether it is made of the codes of strftime: polars ends the process at some of what is not."""
    return value is None or (_text(value) and len(value) <= 1000 and CODES.fullmatch(value) is not None)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _bound(value: Any) -> bool:
    if type(value) is int:
        return -(2**64) < value < 2**64
    return value is None or _text(value) or (type(value) is float and math.isfinite(value))


CHECKS: dict[str, Callable[[Any], bool]] = {
    "name": _text,
    "kind": lambda value: value in KINDS,
    "read_as": lambda value: value in READ_AS,
    "missing": _count,
    "distinct": _count,
    "low": _bound,
    "high": _bound,
    "categories": _texts,
    "date_format": _format,
    "dropped": _text,
    "optional": lambda value: type(value) is bool,
    "holes": _texts,
    "notation": lambda value: isinstance(value, dict),  # whose fields Notation.from_json checks
}
