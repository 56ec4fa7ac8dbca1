"""The notation of a file and of its columns, detected in training; prediction reads new rows by it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from encodings.aliases import aliases
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chainrule._internal.extras import require
from chainrule._internal.names import did_you_mean
from chainrule.files.values import ModelFileError, shown

NOTHING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "?")
"""Missing values in any column of a text file."""
MISSING = {
    *map(str.lower, NOTHING), "none", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "n.a.", "#n/a!", "<na>",
    "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!", "nil", "missing", "unknown", "not available",
}  # fmt: skip
"""Missing values among numbers, in lower case."""
HOLE = "(missing)"  # the category of missing values
INFINITE = 1e100  # larger numbers are treated as infinite
ENDINGS = {
    ".csv": "text", ".tsv": "text", ".tab": "text", ".txt": "text", ".data": "text",
    ".parquet": "Parquet", ".pq": "Parquet",
    ".arrow": "Arrow", ".feather": "Arrow", ".ipc": "Arrow", ".arrows": "Arrow",
    ".jsonl": "JSON lines", ".ndjson": "JSON lines", ".json": "JSON",
    ".npz": "NumPy", ".npy": "NumPy",
    ".xlsx": "Excel", ".xlsm": "Excel",
}  # fmt: skip
"""File formats by the ending of the name."""
PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip"}
GROUPS = {",": ",", ".": ".", "'": "'\u2019", " ": " \u00a0\u2007\u2009\u202f"}
"""Separators of groups of digits, each with its variants; a space may be plain, no-break, figure, thin or narrow."""
LONGEST = 40  # characters of a unit
ENCODINGS = {*aliases.values(), "utf_8_sig", "cp720", "cp737", "cp874", "koi8_t"} - {
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "mbcs",
}  # fmt: skip
"""The encodings of text that Python has."""
COMMON = ("utf_8", "utf_16", "cp1252", "latin_1", "mac_roman", "shift_jis", "gb18030", "big5", "euc_kr", "cp1251")
MARK = re.compile(r"[^\w\s\\^\]\[-]?")  # harmless in a character class of a regular expression


def is_table(source: str) -> bool:
    """Return whether ``source`` names a table, judging by the name alone.

    >>> is_table("customers.csv.gz"), is_table("-"), is_table("sqlite:///shop.db"), is_table("digits")
    (True, True, True, False)
    """
    name, packed = ending(Path(source))
    return source == "-" or "://" in source or name in ENDINGS or packed == ".zip"


def ending(path: Path) -> tuple[str, str]:
    """Return the ending for the format, and the one for the compression."""
    packed = path.suffix.lower() if path.suffix.lower() in PACKED else ""
    return (path.with_suffix("") if packed else path).suffix.lower(), packed


def encoding_name(text: str) -> str:
    """Return the name of an encoding of text as Python spells it.

    >>> encoding_name("Latin-1"), encoding_name("Windows-1252")
    ('latin_1', 'cp1252')
    >>> encoding_name("utf8-bom")
    Traceback (most recent call last):
    ...
    ValueError: --encoding: unknown encoding 'utf8-bom'. Did you mean 'utf_8'? ...
    """
    key = re.sub(r"[\s-]+", "_", text.strip().lower())
    name = aliases.get(key, key)
    if name not in ENCODINGS:
        raise ValueError(f"--encoding: unknown encoding {text[:50]!r}. {did_you_mean(key, COMMON)}")
    return name


@dataclass(frozen=True)
class Notation:
    """The notation of the values in one column; the defaults stand for plain numbers without a decimal mark.

    Parameters
    ----------
    decimal : str
        Decimal mark, "." or ","; "" if no value has one.
    group : str
        Separator between groups of three digits, one of :data:`GROUPS`, or "".
    mark : str
        Currency sign or % beside every number, or "".
    negative : str
        "accounting" if negative numbers are in parentheses, have a trailing minus, or a typographic minus.
    zone : str
        Time zone of the times, such as "Asia/Tokyo"; "" if they have none.
    unit : str
        Unit of amounts, such as "kg" or "EUR", or form of times and durations, such as "h:m"; see
        :mod:`~chainrule.tables.quantities`. "" for plain numbers.
    """

    decimal: str = ""
    group: str = ""
    mark: str = ""
    negative: str = ""
    zone: str = ""
    unit: str = ""

    @classmethod
    def from_json(cls, what: str, entry: Any) -> Notation:
        """Return the notation in a dictionary, or raise a ModelFileError that names ``what``."""
        return cls(**checked(what, entry, NOTATION))


@dataclass(frozen=True)
class Format:
    """The format of the file that training read; a data frame has the defaults.

    Parameters
    ----------
    delimiter : str
        CSV delimiter; "" for other formats.
    header : bool
        Whether the first row has the column names.
    decimal : str
        Decimal mark, "." or ",", given by the user or by an unambiguous column; else "".
    missing : tuple of str
        Words for a missing value in any column.
    unnamed : tuple of str
        Columns without a name in the header, under the names assigned to them.
    skip : int
        Number of lines before the header, if the user gave it.
    encoding : str
        Encoding, if the user gave it; else "".
    sheet : str
        Sheet of a workbook, by its name or number, if the user gave it; else "".
    """

    delimiter: str = ""
    header: bool = True
    decimal: str = ""
    missing: tuple[str, ...] = NOTHING
    unnamed: tuple[str, ...] = ()
    skip: int = 0
    encoding: str = ""
    sheet: str = ""

    @classmethod
    def from_json(cls, what: str, entry: Any) -> Format:
        """Return the format in a dictionary, or raise a ModelFileError that names ``what``."""
        found = checked(what, entry, FORMAT)
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
        return cls(**plain)


def checked(
    what: str, entry: Any, checks: dict[str, Callable[[Any], bool]], needed: Iterable[str] = ()
) -> dict[str, Any]:
    """Return a dictionary whose values pass the checks of their fields, or raise a ModelFileError."""
    if not isinstance(entry, dict) or not set(needed) <= entry.keys() <= checks.keys():
        raise ModelFileError(f"the schema is corrupt: {what}: expected the fields {', '.join(checks)}.")
    for name, value in entry.items():
        if not checks[name](value):
            raise ModelFileError(f"the schema is corrupt: {what}: {name} is {shown(value)}.")
    return entry


def _is_zone(value: Any) -> bool:
    """Return whether there is a time zone of this name."""
    if not isinstance(value, str) or re.fullmatch(r"(?!localtime|posix|right)[A-Za-z0-9_+/-]{1,64}", value) is None:
        return False
    with contextlib.suppress(ValueError, OSError, ZoneInfoNotFoundError):
        return bool(ZoneInfo(value).key)
    pl = require("polars", "tables")  # which brings its own time zones
    try:
        return bool(pl.Series([], dtype=pl.Datetime("us", value)).is_empty())
    except pl.exceptions.PolarsError:
        return False


def _decimal(value: Any) -> bool:
    return isinstance(value, str) and value in ("", ".", ",")


def is_texts(value: Any) -> bool:
    """Return whether a value is a list of strings."""
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
    "missing": lambda value: is_texts(value) and len(value) <= 1000,
    "unnamed": is_texts,
    "skip": lambda value: type(value) is int and 0 <= value < 2**31,
    "encoding": lambda value: isinstance(value, str) and (value == "" or value in ENCODINGS),
    "sheet": lambda value: isinstance(value, str) and len(value) <= 100,
}
