"""CSV and its relatives: delimiter, encoding, decimal comma and header are found out from the text itself."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from chainrule._extras import require

DELIMITERS = (",", ";", "\t", "|")
NOTHING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "?")
"""What stands for a missing value."""
SAMPLE = 200  # rows that are looked at
CSV_FIELD = 2**24  # characters
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE)
_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_POINT = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?")


def parse(
    content: bytes,
    name: str,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    expected: Iterable[str] | None = None,
) -> tuple[Any, list[str], str]:
    """Return the table in a text, what was found out, and the expression of polars that reads it, if one does."""
    pl = require("polars", "tables")
    text, encoding, warning = decode(content, name)
    rows = _sample(text, delimiter)
    chosen = delimiter or _delimiter(text)
    rows = _sample(text, chosen)
    if header is None:
        header = _has_header(rows, expected)
    _check_names(rows[0] if header else [], name)
    comma = chosen != "," and _decimal_comma(rows[1:] if header else rows)
    options = {
        "separator": chosen,
        "has_header": header,
        "decimal_comma": comma,
        "infer_schema_length": None,
        "null_values": list(NOTHING),
    }
    try:
        frame = pl.read_csv(text.encode(), **options)
    except pl.exceptions.NoDataError:
        raise ValueError(f"{name} is empty: expected a table with a header and rows.") from None
    except pl.exceptions.PolarsError as error:
        raise ValueError(_what_is_wrong(text, chosen, name) or f"{name} cannot be read: {_first(error)}") from None
    raw, frame = frame, _tidy(frame)
    plain = raw.schema == frame.schema and not warning and raw.equals(frame)
    shown = {"\t": "tabulator"}.get(chosen, f'"{chosen}"')
    parts = [f"CSV with the delimiter {shown}" if len(rows[0]) > 1 else "CSV of one column"]
    parts += ["decimal commas"] if comma else []
    parts += ["a header" if header else "no header (the columns are column_1, column_2, ...)"]
    notes = [f"{', '.join(parts)}, in {encoding}", *([warning] if warning else [])]
    return frame, notes, _code(options, encoding) if plain else ""


def decode(content: bytes, name: str) -> tuple[str, str, str]:
    r"""Return the text, its encoding, and a warning if there are two of them.

    >>> decode("é".encode("cp1252"), "x.csv")[:2]
    ('é', 'Windows-1252')
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "UTF-8"),
        (codecs.BOM_UTF16_LE, "UTF-16"),
        (codecs.BOM_UTF16_BE, "UTF-16"),
    ):
        if content.startswith(mark):
            try:
                return content.decode("utf-8-sig" if encoding == "UTF-8" else "utf-16"), encoding, ""
            except UnicodeDecodeError:
                if encoding == "UTF-16":
                    raise ValueError(f"{name} is damaged: it begins as UTF-16 but goes on as something else.") from None
                content = content.removeprefix(mark)
    zeros = content[:4096].count(0)
    if zeros > len(content[:4096]) // 4:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        try:
            return content.decode(encoding), "UTF-16", ""
        except UnicodeDecodeError:
            pass
    if zeros:
        raise ValueError(f"{name} is not a text: expected a table, such as CSV, got binary data.")
    try:
        return content.decode(), "UTF-8", ""
    except UnicodeDecodeError:
        return _line_by_line(content)


def _line_by_line(content: bytes) -> tuple[str, str, str]:
    """Decode what is not UTF-8 throughout: every line as what it is."""
    lines, others, unicode = [], [], 0
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            lines.append(line.decode())
            unicode += not line.isascii()
        except UnicodeDecodeError:
            others.append(number)
            try:
                lines.append(line.decode("cp1252"))
            except UnicodeDecodeError:
                lines.append(line.decode("latin-1"))
    text = "\n".join(lines)
    if not unicode:
        return text, "Windows-1252", ""
    which = ", ".join(map(str, others[:3])) + (", ..." if len(others) > 3 else "")
    return text, "UTF-8", (
        f"Warning: mixed encodings: {len(others):,} line(s) are not UTF-8 (line {which}), read as Windows-1252, "
        f"{unicode:,} others are UTF-8."
    )  # fmt: skip


def _sample(text: str, delimiter: str | None) -> list[list[str]]:
    """Return the first rows that are not empty."""
    csv.field_size_limit(CSV_FIELD)
    rows = []
    try:
        for row in csv.reader(
            io.StringIO(text[: 2**22], newline=""), delimiter=delimiter or ",", skipinitialspace=True
        ):
            if any(field.strip() for field in row):
                rows.append([field.strip() for field in row])
            if len(rows) == SAMPLE:
                return rows
    except csv.Error:
        pass
    if len(text) > 2**22 and len(rows) > 1:
        rows.pop()  # cut in the middle
    return rows or [[""]]


def _delimiter(text: str) -> str:
    """Return the delimiter by which most rows have the same number of fields; of equals, that of most fields."""

    def rank(delimiter: str) -> tuple[float, int]:
        counts = Counter(len(row) for row in _sample(text, delimiter))
        fields, rows = max(counts.items(), key=lambda item: (item[0] > 1, item[1]))
        return (rows / counts.total() if fields > 1 else 0.0, fields)

    return max(DELIMITERS, key=rank)


def _has_header(rows: list[list[str]], expected: Iterable[str] | None) -> bool:
    """Say whether the first row has names: no numbers, over columns of numbers or of values that it does not have."""
    first, rest = rows[0], rows[1:]
    if expected is not None and set(expected) & set(first):
        return True
    if any(_NUMBER.fullmatch(field) or _COMMA.fullmatch(field) for field in first) or not any(first):
        return False
    if not rest:
        return True
    columns = list(zip(*(row for row in rest if len(row) == len(first)), strict=True))
    numeric = any(_numeric(column) for column in columns)
    return numeric or not any(name in set(column) for name, column in zip(first, columns, strict=False))


def _numeric(column: Iterable[str]) -> bool:
    values = [field for field in column if field not in NOTHING]
    return bool(values) and all(_NUMBER.fullmatch(field) or _COMMA.fullmatch(field) for field in values)


def _check_names(names: list[str], source: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        places = " and ".join(str(i + 1) for i, name in enumerate(names) if name == twice[0])
        raise ValueError(f"{source}: the header has {twice[0]!r} twice (columns {places}): rename one of them.")


def _decimal_comma(rows: list[list[str]]) -> bool:
    fields = [field for row in rows for field in row]
    return any(map(_COMMA.fullmatch, fields)) and not any(map(_POINT.fullmatch, fields))


def _tidy(frame: Any) -> Any:
    """Strip spaces around names and values; texts that are numbers but for spaces become numbers."""
    pl = require("polars", "tables")
    frame = frame.rename({name: name.strip() or f"column_{i + 1}" for i, name in enumerate(frame.columns)})
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    spaced = [name for name in texts if frame[name].str.contains(r"^\s|\s$").any()]
    if not spaced:
        return frame
    stripped = pl.col(spaced).str.strip_chars()
    frame = frame.with_columns(pl.when(stripped.is_in(NOTHING)).then(None).otherwise(stripped).name.keep())
    numbers = [
        name
        for name in spaced
        if frame[name].cast(pl.Float64, strict=False).null_count() == frame[name].null_count() < frame.height
    ]
    return frame.with_columns(pl.col(numbers).cast(pl.Float64)) if numbers else frame


def _what_is_wrong(text: str, delimiter: str, name: str) -> str | None:
    """Return which line has another number of fields than the first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    fields = 0
    try:
        for row in reader:
            fields = fields or len(row)
            if len(row) > fields:
                return (
                    f"{name}, line {reader.line_num}: expected {fields} fields as in the first line, got {len(row)}: "
                    'put texts that hold the delimiter between quotes ("...").'
                )
    except csv.Error as error:
        return f"{name}, line {reader.line_num}: {error}."
    return None


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _code(options: dict[str, Any], encoding: str) -> str:
    defaults = {"separator": ",", "has_header": True, "decimal_comma": False}
    arguments = [f"{key}={value!r}" for key, value in options.items() if defaults.get(key, ...) != value]
    arguments += [] if encoding == "UTF-8" else [f"encoding={ ({'UTF-16': 'utf-16'}.get(encoding, 'cp1252'))!r}"]
    return f"pl.read_csv({{source}}, {', '.join(arguments)})"
