"""CSV and its relatives: delimiter, encoding, decimal comma and header are found out from the text itself."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from chainrule._extras import require
from chainrule.tables import notation
from chainrule.tables.frames import check_names
from chainrule.tables.unpacking import check_cells

DELIMITERS = (",", ";", "\t", "|")
NOTHING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "?")
"""What stands for a missing value."""
SAMPLE = 200  # rows that are looked at
CSV_FIELD = 2**24  # characters
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE)
_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_GROUPED = re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+")
_BINARY = re.compile(rb"[\x02-\x08\x0e-\x19\x1b]")  # what no text has (\x01 and \x1c to \x1f may be delimiters)
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
    if delimiter is not None and len(delimiter.encode()) != 1:
        raise ValueError(f"--delimiter: expected one character (a tabulator is found by itself), got {delimiter!r}.")
    text, encoding, warning = decode(content, name)
    if old := "\r" in text and "\n" not in text:  # how lines ended on the first Macintosh
        text = text.replace("\r", "\n")
    rows = _sample(text, delimiter)
    chosen = delimiter or _delimiter(text)
    rows = _sample(text, chosen)
    if header is None:
        header = _has_header(rows, expected)
    if short_header := header and _names_rows(rows):
        text = chosen + text.lstrip()
        rows[0] = ["", *rows[0]]
    comma = chosen != "," and _decimal_comma(rows[1:] if header else rows)
    names = [field or f"column_{i}" for i, field in enumerate(rows[0] if header else [""] * len(rows[0]), 1)]
    _check_names(names, name)
    check_cells(text.count("\n") + 1, len(names), len(content), name)
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
        if wrong := _what_is_wrong(text, chosen, name):
            raise ValueError(wrong) from None
        try:
            frame = pl.read_csv(text.encode(), **{**options, "infer_schema_length": 0})  # such as numbers of 40 digits
        except pl.exceptions.PolarsError:
            raise ValueError(f"{name} cannot be read: {_first(error)}") from None
    raw, (frame, written) = frame, _tidy(frame, names, comma=comma)
    plain = raw.schema == frame.schema and not (warning or old or short_header) and raw.equals(frame)
    notes = [f"{_form(rows[0], chosen, header=header, comma=comma)}, in {encoding}", *([warning] if warning else [])]
    notes += [*written, *_on_names(rows, names, frame, header=header)]
    if short := _short(text, chosen, frame):
        notes.append(f"Warning: {short}")
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
        encoding = "UTF-16LE" if content[1:2] == b"\0" else "UTF-16BE"
        try:
            return content.decode(encoding), encoding, ""
        except UnicodeDecodeError:
            pass
    if zeros or len(_BINARY.findall(content[:4096])) > len(content[:4096]) // 100:
        raise ValueError(f"{name} is not a text: expected a table, such as CSV, got binary data.")
    try:
        return content.decode(), "UTF-8", ""
    except UnicodeDecodeError:
        return _line_by_line(content)


def _line_by_line(content: bytes) -> tuple[str, str, str]:
    """Decode what is not UTF-8 throughout: every line as what it is."""
    try:
        content.decode("cp1252")
        encoding, codec = "Windows-1252", "cp1252"
    except UnicodeDecodeError:  # five bytes mean nothing in it
        encoding, codec = "Latin-1", "latin-1"
    lines, others, unicode = [], [], 0
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            lines.append(line.decode())
            unicode += not line.isascii()
        except UnicodeDecodeError:
            others.append(number)
            lines.append(line.decode(codec, "replace"))
    text = "\n".join(lines)
    if not unicode:
        return text, encoding, ""
    which = ", ".join(map(str, others[:3])) + (", ..." if len(others) > 3 else "")
    return text, "UTF-8", (
        f"Warning: mixed encodings: {len(others):,} line(s) are not UTF-8 (line {which}), read as {encoding}, "
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


def _names_rows(rows: list[list[str]]) -> bool:
    """Say whether the header is one name short, as R writes it: the names of the rows have none themselves."""
    names, *rest = rows
    one_more = len(names) > 1 and all(len(row) == len(names) + 1 and row[0] for row in rest)
    return one_more and any(row[-1] for row in rest)  # else each line ends in a delimiter


def _numeric(column: Iterable[str]) -> bool:
    values = [field for field in column if field not in NOTHING]
    return bool(values) and all(_NUMBER.fullmatch(field) or _COMMA.fullmatch(field) for field in values)


def _check_names(names: list[str], source: str) -> None:
    check_names(names, source)
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        places = " and ".join(str(i + 1) for i, name in enumerate(names) if name == twice[0])
        raise ValueError(f"{source}: the header has {twice[0]!r} twice (columns {places}): rename one of them.")


def _decimal_comma(rows: list[list[str]]) -> bool:
    """Say whether numbers have a comma where others have a point: 1,5, or 1.234,5."""
    fields = [field for row in rows for field in row]
    if any(map(_GROUPED.fullmatch, fields)):
        return True
    return any(map(_COMMA.fullmatch, fields)) and not any(map(_POINT.fullmatch, fields))


def _tidy(frame: Any, names: list[str], *, comma: bool) -> tuple[Any, list[str]]:
    """Name the columns, strip spaces, make numbers of texts that all are; return also notes on these."""
    pl = require("polars", "tables")
    if len(names) == frame.width:
        frame = frame.rename(dict(zip(frame.columns, names, strict=True)))
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    spaced = [name for name in texts if frame[name].str.contains(r"^\s|\s$").any()]
    if spaced:
        stripped = pl.col(spaced).str.strip_chars()
        frame = frame.with_columns(pl.when(stripped.is_in(NOTHING)).then(None).otherwise(stripped).name.keep())
    changed: list[Any] = []
    written: dict[notation.Written, list[str]] = {}
    for name in texts:
        values = frame[name].drop_nulls()
        if not len(values):
            continue
        points = frame[name].str.replace(",", ".", literal=True) if comma else frame[name]
        if points.head(SAMPLE).cast(pl.Float64, strict=False).null_count() == points.head(SAMPLE).null_count():
            numbers = points.cast(pl.Float64, strict=False)
            if numbers.null_count() == points.null_count():
                changed.append(numbers)
                continue
        if how := notation.find(values, comma=comma):
            written.setdefault(how, []).append(name)
            changed.append(notation.read(frame[name], how))
    said = [f"numbers written so that {notation.example(how)}: {_listed(found)}" for how, found in written.items()]
    return frame.with_columns(changed) if changed else frame, said


def _form(first: list[str], delimiter: str, *, header: bool, comma: bool) -> str:
    shown = {"\t": "tabulator"}.get(delimiter, f'"{delimiter}"')
    parts = [f"CSV with the delimiter {shown}" if len(first) > 1 else "CSV of one column"]
    parts += ["decimal commas"] if comma else []
    return ", ".join([*parts, "a header" if header else "no header (the columns are column_1, column_2, ...)"])


def _on_names(rows: list[list[str]], names: list[str], frame: Any, *, header: bool) -> Iterator[str]:
    """Yield notes on columns without a name, and on those whose numbers may be names."""
    if header and (unnamed := [name for name, field in zip(names, rows[0], strict=True) if not field]):
        yield f"the header has no name for {_listed(unnamed)}"
    if codes := _codes(rows[1:] if header else rows, frame):
        yield f"numbers that begin with a zero, like codes: {_listed(codes)}; if they are codes: --categorical"


def _codes(rows: list[list[str]], frame: Any) -> list[str]:
    """Return columns of whole numbers of which some begin with a zero, such as 01234."""
    found = [any(re.fullmatch(r"0\d+", field) for field in column) for column in zip(*rows, strict=False)]
    return [values.name for values, zeros in zip(frame, found, strict=False) if zeros and values.dtype.is_integer()]


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (" ..." if len(names) > 5 else "")


def _short(text: str, delimiter: str, frame: Any) -> str:
    """Return which rows have fewer fields than there are columns, if any."""
    if frame.width < 2 or not frame[:, -1].null_count():
        return ""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines: list[int] = []
    with contextlib.suppress(csv.Error):  # a field of megabytes; polars has read it
        lines.extend(reader.line_num for row in reader if 0 < len(row) < frame.width and any(row))
    if not lines:
        return ""
    which = ", ".join(map(str, lines[:3])) + (", ..." if len(lines) > 3 else "")
    return (
        f"{len(lines):,} row(s) have fewer than {frame.width} fields (line {which}): the others are taken as missing."
    )


def _what_is_wrong(text: str, delimiter: str, name: str) -> str | None:
    """Return which line has another number of fields than the first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    fields = began = 0
    try:
        for row in reader:
            began = reader.line_num
            fields = fields or len(row)
            if len(row) > fields == 1:
                return f"{name}, line {began}: {len(row)} fields under a first line of one: is that a title? Remove it."
            if len(row) > fields:
                return (
                    f"{name}, line {reader.line_num}: expected {fields} fields as in the first line, got {len(row)}: "
                    'put texts that hold the delimiter between quotes ("...").'
                )
    except csv.Error as error:
        if "end of data" in str(error):
            return f'{name}, line {began + 1}: a quote (") opens there that nothing closes: close it, or double it.'
        return f"{name}, line {reader.line_num}: {error}."
    return None


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _code(options: dict[str, Any], encoding: str) -> str:
    defaults = {"separator": ",", "has_header": True, "decimal_comma": False}
    arguments = [f"{key}={value!r}" for key, value in options.items() if defaults.get(key, ...) != value]
    codecs_of = {"Windows-1252": "cp1252", "Latin-1": "latin-1"}
    arguments += [] if encoding == "UTF-8" else [f"encoding={codecs_of.get(encoding, encoding.lower())!r}"]
    return f"pl.read_csv({{source}}, {', '.join(arguments)})"
