"""The schema of a table: its columns, each with its kind, and its targets. Reading it from JSON checks every field."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from chainrule.files.values import ModelFileError, shown
from chainrule.tables.formats import Format, Notation, checked, is_texts
from chainrule.tables.unpacking import check_values

FORMAT = 1
CODES = re.compile(r"(?:[^%]|%(?:[-_0]?[a-zA-Z%+]|\.[369]?f|[369]f|[:#]z))*")
LARGEST = 2**24  # bytes: 10,000 columns of 30 categories each take 9 MB
KINDS = ("number", "yes/no", "category", "many", "text", "date", "identifier", "constant")
TASKS = ("binary", "multiclass", "regression", "multilabel")
READ_AS = ("number", "whole", "boolean", "text", "date", "time", "null")


@dataclass(frozen=True)
class Column:
    """One column of a table, as seen in training.

    Parameters
    ----------
    name : str
    kind : str
        One of :data:`KINDS`.
    read_as : str
        Type of the values in the file: "number", "whole" (integers), "boolean", "text", "date", "time" (a date with
        time of day), or "null" (all values missing).
    missing, distinct : int
        Number of missing values, and of distinct ones.
    low, high : float or str, optional
        Smallest and largest value: numbers, or dates in ISO format.
    categories : tuple of str
        All values as strings: sorted for "category"; for "yes/no" the value encoded as 0, then the one encoded as 1.
    date_format : str, optional
        Date format of a text, in the codes of ``strftime``.
    holes : tuple of str
        Words among numbers or dates that training treated as missing values.
    dropped : str
        Reason why the column is not an input of the network; empty if it is one.
    optional : bool
        Whether new data may lack the column; all its values are then missing.
    notation : Notation
        Notation by which new values are read.
    typical : float or str, optional
        Median of numbers or dates, or the most frequent category, as in the table.

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
    typical: float | str | None = field(default=None, compare=False)

    @property
    def used(self) -> bool:
        """Whether the column is an input of the network."""
        return not self.dropped


@dataclass(frozen=True)
class Schema:
    """The columns of a table, and its targets.

    Parameters
    ----------
    columns : tuple of Column
        All columns but the targets, in the order of the file, dropped ones included.
    targets : tuple of Column
        One target, or several for the task "multilabel" and for "regression".
    task : str
        One of :data:`TASKS`.
    classes : tuple
        Sorted labels of "binary" and "multiclass", integers or strings; of two labels, the second is the positive one.
    rows : int
        Number of rows of the table.
    format : Format
        Format of the file.

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
        """The name of the target; of several targets, the names separated by commas."""
        return ", ".join(column.name for column in self.targets)

    @property
    def used(self) -> tuple[Column, ...]:
        """The columns that are inputs of the network."""
        return tuple(column for column in self.columns if column.used)

    def alone(self, i: int) -> Schema:
        """Return the schema with one of several targets."""
        return replace(self, targets=(self.targets[i],))

    @property
    def is_classification(self) -> bool:
        """Whether the task is binary or multiclass classification."""
        return self.task in ("binary", "multiclass")

    def to_json(self) -> str:
        """Return the schema as JSON."""
        return json.dumps(_as_json(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Schema:
        """Return the schema in a text that :meth:`to_json` wrote, decoded or not.

        Raises
        ------
        ModelFileError
            If the text is anything else, or would take more memory than twice its size and 50 MB.
        """
        try:
            content = text.encode() if isinstance(text, str) else text
            data = json.loads(check_values(content, "the schema").decode())
        except ModelFileError:
            raise
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"the schema is corrupt: invalid JSON ({shown(error)}).") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ModelFileError(f"expected a schema of format {FORMAT}, as chainrule train writes it.")
        columns = _columns("columns", data.get("columns"))
        targets = _columns("targets", data.get("targets"))
        names = [column.name for column in (*columns, *targets)]
        task: Any = data.get("task")
        classes: Any = data.get("classes")
        if len(set(names)) != len(names) or not targets:
            raise ModelFileError("the schema is corrupt: it has no target, or duplicate column names.")
        counts = {"multilabel": len(targets) > 1, "regression": True}
        if task not in TASKS or not counts.get(task, len(targets) == 1):
            raise ModelFileError(f"the schema is corrupt: the task is {shown(task)}, for {len(targets)} targets.")
        alike = isinstance(classes, list) and any(all(type(c) is kind for c in classes) for kind in (int, str))
        if not alike or len(set(classes)) != len(classes) or (len(classes) < 2) == (task in ("binary", "multiclass")):
            raise ModelFileError(f"the schema is corrupt: the classes are {shown(classes)}.")
        checked("the schema", {name: data.get(name) for name in ("rows", "notes")}, {"rows": _count, "notes": is_texts})
        written = Format.from_json("written", data.get("written", {}))
        return cls(columns, targets, task, tuple(classes), data["rows"], tuple(data["notes"]), written)


def _as_json(schema: Schema) -> dict[str, Any]:
    """Return a schema as plain values, with its file format as "written"; "format" is the version of the schema."""
    plain = asdict(schema)
    written = plain.pop("format")
    return {"format": FORMAT, **plain, "written": written}


def _columns(what: str, value: Any) -> tuple[Column, ...]:
    if not isinstance(value, list):
        raise ModelFileError(f"the schema is corrupt: {what}: expected a list, got {shown(value)}.")
    return tuple(_column(f"{what}[{i}]", entry) for i, entry in enumerate(value))


def _column(what: str, entry: Any) -> Column:
    if isinstance(entry, dict):
        entry = {"holes": [], "notation": {}, "typical": None, **entry}  # not in older schemas
    checked(what, entry, CHECKS, CHECKS)
    if entry["kind"] == "yes/no" and not entry["dropped"] and len(entry["categories"]) != 2:
        raise ModelFileError(f"the schema is corrupt: {what}: yes/no has {len(entry['categories'])} categories.")
    dated = entry["kind"] == "date" and not entry["dropped"]
    if dated and (entry["date_format"] is None) != (entry["read_as"] in ("date", "time")):
        raise ModelFileError(f"the schema is corrupt: {what}: its date format does not fit {entry['read_as']} values.")
    notation = Notation.from_json(f"{what}: notation", entry["notation"])
    tuples = {name: tuple(entry[name]) for name in ("categories", "holes")}
    return Column(**{**entry, **tuples, "notation": notation})


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _format(value: Any) -> bool:
    """Return whether a format consists of the codes of strftime; others can make polars end the process."""
    return value is None or (_text(value) and len(value) <= 1000 and CODES.fullmatch(value) is not None)


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
    "categories": is_texts,
    "date_format": _format,
    "dropped": _text,
    "optional": lambda value: type(value) is bool,
    "holes": is_texts,
    "notation": lambda value: isinstance(value, dict),  # Notation.from_json checks the fields
    "typical": _bound,
}
