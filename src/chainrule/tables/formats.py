"""How a file and its columns are written, as training found it: part of the schema, and binding for prediction."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule._internal.extras import require
from chainrule.files.values import ModelFileError, shown

__all__ = ["ENDINGS", "MISSING", "NOTHING", "PACKED", "Format", "Notation", "ending", "is_table"]

NOTHING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "?")
"""What stands for a missing value in any column of a text file."""
MISSING = {
    *map(str.lower, NOTHING), "none", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "n.a.", "#n/a!", "<na>",
    "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!", "nil", "missing", "unknown", "not available",
}  # fmt: skip
"""Words, in lower case, that stand for a missing value among numbers."""
ENDINGS = {
    ".csv": "text", ".tsv": "text", ".tab": "text", ".txt": "text", ".data": "text",
    ".parquet": "Parquet", ".pq": "Parquet",
    ".arrow": "Arrow", ".feather": "Arrow", ".ipc": "Arrow", ".arrows": "Arrow",
    ".jsonl": "JSON lines", ".ndjson": "JSON lines", ".json": "JSON",
    ".npz": "NumPy", ".npy": "NumPy",
}  # fmt: skip
PACKED = {".gz": "gzip", ".zst": "zstd"}
"""How names of files that are tables end, and what those are."""
GROUPS = {",": ",", ".": ".", "'": "'\u2019", " ": " \u00a0\u2007\u2009\u202f"}
"""What may part groups of digits, and all its forms: spaces are plain, no-break, figure, thin, narrow no-break."""
LONGEST = 40  # characters of a unit


MARK = re.compile(r"[^\w\s\\^\]\[-]?")  # what is harmless in a class of a regular expression


def is_table(source: str) -> bool:
    """Return whether ``source`` is the name of a table's file, by its name alone.

    >>> is_table("customers.csv.gz"), is_table("-"), is_table("digits")
    (True, True, False)
    """
    return source == "-" or ending(Path(source))[0] in ENDINGS


def ending(path: Path) -> tuple[str, str]:
    """Return the ending that tells the format, and the one that tells how it is packed."""
    packed = path.suffix.lower() if path.suffix.lower() in PACKED else ""
    return (path.with_suffix("") if packed else path).suffix.lower(), packed


@dataclass(frozen=True)
class Notation:
    """How the values of one column are written; the defaults say that nothing but the plain form was seen.

    Parameters
    ----------
    decimal : str
        The decimal mark of its numbers, "." or ","; "" where no value showed one.
    group : str
        What parts groups of three digits, one of :data:`GROUPS`; "" where nothing does.
    mark : str
        The currency sign or % beside every number, or "".
    negative : str
        "accounting" where a number is negative in brackets, before its minus, or by a typographer's minus.
    zone : str
        The time zone in which its times are taken, such as "Asia/Tokyo"; "" where they had none.
    unit : str
        Of amounts, what one of them is, such as "kg" or "EUR"; of times and durations, how they are written, such as
        "h:m"; see :mod:`~chainrule.tables.quantities`. "" of plain numbers.
    """

    decimal: str = ""
    group: str = ""
    mark: str = ""
    negative: str = ""
    zone: str = ""
    unit: str = ""

    @classmethod
    def from_json(cls, what: str, entry: Any) -> Notation:
        """Return the notation of a dictionary; a ModelFileError that names ``what`` where it is not one."""
        return cls(**_checked(what, entry, NOTATION))


@dataclass(frozen=True)
class Format:
    """How the file that training read was written; of a data frame nothing is known.

    Parameters
    ----------
    delimiter : str
        Of CSV; "" of anything else.
    header : bool
        Whether its first row has the names of the columns.
    decimal : str
        The decimal mark of the file, "." or ",", where one of its columns, or the user, told it; else "".
    missing : tuple of str
        Words that stand for a missing value in any column.
    unnamed : tuple of str
        Columns that had no name in the header, under the names that they got.
    """

    delimiter: str = ""
    header: bool = True
    decimal: str = ""
    missing: tuple[str, ...] = NOTHING
    unnamed: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, what: str, entry: Any) -> Format:
        """Return the format of a dictionary; a ModelFileError that names ``what`` where it is not one."""
        found = _checked(what, entry, FORMAT)
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
        return cls(**plain)


def _checked(what: str, entry: Any, checks: dict[str, Callable[[Any], bool]]) -> dict[str, Any]:
    if not isinstance(entry, dict) or not entry.keys() <= checks.keys():
        raise ModelFileError(f"the schema is damaged: {what}: expected the fields {', '.join(checks)}.")
    for name, value in entry.items():
        if not checks[name](value):
            raise ModelFileError(f"the schema is damaged: {what}: {name} is {shown(value)}.")
    return entry


def _is_zone(value: Any) -> bool:
    """Say whether polars knows it as a time zone."""
    if not isinstance(value, str) or re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", value) is None:
        return False
    polars = require("polars", "tables")
    try:
        return (
            polars.Datetime("us", value) is not None
            and polars.Series([], dtype=polars.Datetime("us", value)).is_empty()
        )
    except polars.exceptions.PolarsError:
        return False


def _decimal(value: Any) -> bool:
    return isinstance(value, str) and value in ("", ".", ",")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


NOTATION: dict[str, Callable[[Any], bool]] = {
    "decimal": _decimal,
    "group": lambda value: isinstance(value, str) and (value == "" or value in GROUPS),
    "negative": lambda value: isinstance(value, str) and value in ("", "accounting"),
    "mark": lambda value: isinstance(value, str) and MARK.fullmatch(value) is not None,
    "zone": lambda value: value == "" or _is_zone(value),
    "unit": lambda value: isinstance(value, str) and len(value) <= LONGEST and value.isprintable(),
}
FORMAT: dict[str, Callable[[Any], bool]] = {
    "delimiter": lambda value: isinstance(value, str) and re.fullmatch(r"[\x01-\x7f]?", value) is not None,
    "header": lambda value: type(value) is bool,
    "decimal": _decimal,
    "missing": lambda value: _texts(value) and len(value) <= 1000,
    "unnamed": _texts,
}
