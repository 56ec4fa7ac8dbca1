"""CSV and related formats: delimiter, encoding, decimal mark and header are detected in the text."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from chainrule.pages.formatting import rows as counted
from chainrule.tables import layout, notation, number_texts, quantities
from chainrule.tables._polars import first_line, pl
from chainrule.tables.formats import NOTHING, Format, Notation, encoding_name
from chainrule.tables.frames import check_names
from chainrule.tables.number_patterns import example, is_plain
from chainrule.tables.schema import Schema
from chainrule.tables.unpacking import check_cells

WIDE = 1000  # columns
LOOKED_AT = 500  # columns examined for the decimal mark
_BINARY = re.compile(rb"[\x02-\x08\x0e-\x19\x1b]")  # bytes that no text has (\x01 and \x1c to \x1f may be delimiters)


class Parsed(NamedTuple):
    """A table in a text, and its format; ``reads`` is the polars expression that reads it, or ""."""

    frame: Any
    notes: list[str]
    reads: str
    format: Format
    notations: dict[str, Notation]  # of columns of numbers
    layout: layout.Layout | None = None  # for CSV
    comma: bool = False  # whether polars reads decimal commas
    class_na: bool = False  # whether a target has the class NA
    about_targets: bool = False  # whether targets needed another reading than other columns


class Options(NamedTuple):
    """The arguments of :func:`chainrule.tables.read`."""

    delimiter: str | None = None
    header: bool | None = None
    decimal: str | None = None
    targets: Sequence[str] = ()
    schema: Schema | None = None
    texts: bool = False
    expected: Iterable[str] | None = None
    na: Sequence[str] = ()
    skip: int | None = None
    encoding: str | None = None
    sheet: str | int | None = None  # of a workbook

    @property
    def missing(self) -> tuple[str, ...]:
        """The words for a missing value in any column."""
        words = NOTHING if self.schema is None else self.schema.format.missing
        return tuple(dict.fromkeys((*words, *self.na)))

    @property
    def lines(self) -> int:
        """The number of lines before the header."""
        if self.skip is None:
            return 0 if self.schema is None else self.schema.format.skip
        if isinstance(self.skip, bool) or not 0 <= self.skip < 2**31:
            raise ValueError(f"--skip: expected a number of lines, 0 or more, got {self.skip}.")
        return int(self.skip)

    @property
    def codec(self) -> str:
        """The encoding, or "" to detect it."""
        if self.encoding:
            return encoding_name(self.encoding)
        return "" if self.schema is None else self.schema.format.encoding


def parse(content: bytes, name: str, given: Options) -> Parsed:
    """Return the table in a text.

    With a schema, all columns are strings: the schema, not this file, decides how they are read.
    """
    decimal, targets, schema = given.decimal, given.targets, given.schema
    if decimal not in (None, ".", ","):
        raise ValueError(f"--decimal: expected '.' or ',', got {decimal!r}.")
    raw = given.texts or (schema is not None and decimal is None)
    found, encoding, warning, old = laid_out(content, name, given)
    missing = given.missing
    text = found.delimiter + found.text.lstrip() if found.short else found.text
    first = found.rows[0] if found.header else [""] * len(found.rows[0])
    names = [field or f"column_{i}" for i, field in enumerate(first, 1)]
    _check_names(names, name)
    check_cells(text.count("\n") + 1, len(names), len(content), name)
    columns = [*zip_longest(*(found.rows[1:] if found.header else found.rows), fillvalue="")]
    if own := {*missing} - {*NOTHING}:  # words that the user gave
        columns = [tuple("" if field in own else field for field in column) for column in columns]
    marks = {decimal} if decimal else set() if raw else notation.evidence(columns, found.delimiter, LOOKED_AT)
    guess = "," if not marks and found.delimiter != "," else ""  # for a comma before three digits
    comma = not raw and (marks == {","} or (guess == "," and _any_ambiguous(columns, ",")))
    options = {
        "separator": found.delimiter,
        "has_header": found.header,
        "decimal_comma": comma,
        "infer_schema_length": 0 if raw else None,
        "null_values": list(missing),
        "skip_rows_after_header": found.below,
    }
    before = "\n" * (given.lines + found.skipped)
    made = _read(text, options, before, name)
    tight = len(names) > WIDE and _is_tight(text, found.delimiter)
    frame, notations = _tidy(made, names, columns, _one(marks), guess, missing, comma=comma, raw=raw, tight=tight)
    both = zip(made, frame, strict=True)  # the columns as texts and as numbers
    late = {notations[c.name].decimal for t, c in both if c.name in notations and _is_late(t, c, notations[c.name])}
    if late == {","} and not marks and not comma:  # not seen in the first rows
        return parse(content, name, given._replace(decimal=","))
    careful = [t for t in targets if schema is None or "NA" in schema.classes]
    read, on_targets = (frame, []) if raw else number_texts.known_in(frame, careful, _one(marks))
    frame, on_na = _class_na(read, text, options, careful)
    unmoved = not (warning or old or given.lines or found.short or found.skipped or on_na or on_targets)
    as_given = unmoved and made.schema == frame.schema and made.equals(frame)
    sure = decimal is not None or len(marks | late) == 1
    written, unsure = _on_notations(made, frame, notations, columns, sure=sure, quoted=found.delimiter == ",")
    notes = [f"{_form(found, comma=comma)}, in {encoding}", *found.notes, *([warning] if warning else [])]
    notes += [f"skipped the first {counted(given.lines, 'line')}"] if given.lines else []
    notes += [*written, *_on_names(names, columns, frame, found), *on_targets, *on_na, *unsure]
    if short := _short(before + text, found.delimiter, frame):
        notes.append(f"Warning: {short}")
    unnamed = tuple(name for name, field in zip(names, first, strict=True) if not field) if found.header else ()
    mark = _one(marks) or ("," if comma else "")
    form = Format(found.delimiter, found.header, mark, missing, unnamed, given.lines, given.codec)
    reads = _code(options, encoding) if as_given else ""
    return Parsed(frame, notes, reads, form, notations, found, comma, bool(on_na), bool(on_na or on_targets))


def _one(marks: set[str]) -> str:
    return next(iter(marks)) if len(marks) == 1 else ""


def _read(text: str, options: dict[str, Any], before: str, name: str) -> Any:
    """Return the frame in a text; ``before`` has an empty line for each line of the file above it."""
    try:
        return pl.read_csv(text.encode(), **options)
    except pl.exceptions.NoDataError:
        raise ValueError(f"{name} is empty: expected a table with a header and rows.") from None
    except pl.exceptions.PolarsError as error:
        if wrong := bad_line(io.StringIO(before + text, newline=""), options["separator"], name):
            raise ValueError(wrong) from None
        try:
            return pl.read_csv(text.encode(), **{**options, "infer_schema_length": 0})  # such as numbers of 40 digits
        except pl.exceptions.PolarsError:
            raise ValueError(f"{name} cannot be read: {first_line(error)}") from None


def laid_out(content: bytes, name: str, given: Options) -> tuple[layout.Layout, str, str, bool]:
    """Return the layout of a text, its encoding, a warning or "", and whether line ends had to be changed."""
    delimiter, schema = given.delimiter, given.schema
    if delimiter is not None and len(delimiter.encode()) != 1:
        raise ValueError(
            f"--delimiter: expected a single character (tabs are detected automatically), got {delimiter!r}."
        )
    text, encoding, warning = decode(content, name, given.codec)
    if old := "\r" in text and "\n" not in text:  # line ends of classic Mac OS
        text = text.replace("\r", "\n")
    expected = given.expected if schema is None else [c.name for c in (*schema.columns, *schema.targets)]
    known = None if schema is None else schema.format
    text = _below(text, given.lines, name)
    found = layout.find(text, name, delimiter=delimiter, header=given.header, expected=expected, known=known)
    return found, encoding, warning, old


def _below(text: str, skip: int, name: str) -> str:
    """Return the text below its first ``skip`` lines."""
    if not skip:
        return text
    *lines, rest = text.split("\n", skip)
    if len(lines) < skip or not rest.strip():
        raise ValueError(f"--skip {skip}: {name} has no rows below its first {skip:,} lines.")
    return rest


def decode(content: bytes, name: str, told: str = "") -> tuple[str, str, str]:
    r"""Return the text, its encoding (``told``, or detected), and a warning if the encodings are mixed.

    >>> decode("é".encode("cp1252"), "x.csv")[:2]
    ('é', 'Windows-1252')
    """
    if told:
        return _decoded(content, name, told), "UTF-8" if told == "utf_8" else told, ""
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
                    why = "it starts as UTF-16 but does not continue as UTF-16"
                    raise ValueError(f"{name} is corrupt: {why}.") from None
                content = content.removeprefix(mark)
    zeros = content[:4096].count(0)
    if zeros > len(content[:4096]) // 4:
        encoding = "UTF-16LE" if content[1:2] == b"\0" else "UTF-16BE"
        try:
            return content.decode(encoding), encoding, ""
        except UnicodeDecodeError:
            pass
    if zeros or len(_BINARY.findall(content[:4096])) > len(content[:4096]) // 100:
        raise ValueError(f"{name} is not a text file: expected a table, such as CSV, got binary data.")
    try:
        return content.decode(), "UTF-8", ""
    except UnicodeDecodeError:
        return _line_by_line(content)


def _decoded(content: bytes, name: str, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        at = f" at byte {error.start + 1:,}" if isinstance(error, UnicodeDecodeError) else ""
        raise ValueError(f"{name} is not in the encoding {encoding}{at}: give another --encoding, or none.") from None


def _line_by_line(content: bytes) -> tuple[str, str, str]:
    """Decode a text that is not all UTF-8, each line by its own encoding."""
    try:
        content.decode("cp1252")
        encoding, codec = "Windows-1252", "cp1252"
    except UnicodeDecodeError:  # five bytes are undefined in it
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
        f"Warning: mixed encodings: {counted(unicode, 'line')} of UTF-8, {counted(len(others), 'line')} of other bytes "
        f"(line {which}), read as {encoding}."
    )  # fmt: skip


def _check_names(names: list[str], source: str) -> None:
    check_names(names, source)
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        places = " and ".join(str(i + 1) for i, name in enumerate(names) if name == twice[0])
        raise ValueError(f"{source}: duplicate column name {twice[0]!r} (columns {places}): rename one.")


def _tidy(
    frame: Any,
    names: list[str],
    columns: Sequence[Sequence[str]],
    decimal: str,
    guess: str,
    missing: Sequence[str],
    *,
    comma: bool,
    raw: bool,
    tight: bool,
) -> tuple[Any, dict[str, Notation]]:
    """Name the columns, strip spaces, and convert columns of numbers in texts; return the notations, too."""
    if len(names) == frame.width:
        frame = frame.rename(dict(zip(frame.columns, names, strict=True)))
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    spaced = [] if tight else [name for name in texts if frame[name].str.contains(r"^\s|\s$").any()]
    if spaced:
        stripped = pl.col(spaced).str.strip_chars()
        frame = frame.with_columns(pl.when(stripped.is_in(missing)).then(None).otherwise(stripped).name.keep())
    found = {name: Notation("," if comma else ".") for name, kind in frame.schema.items() if kind == pl.Float64}
    changed: list[Any] = []
    likely = {name for name, column in zip(frame.columns, columns, strict=False) if _may_be_numbers(column)}
    for name in [] if raw else [name for name in texts if name in likely]:
        values = frame[name].drop_nulls()
        pointed = guess and values.head(layout.SAMPLE).str.contains(".", literal=True).any()
        if how := notation.find(values, decimal or ("." if pointed else guess)):
            found[name] = how
            changed.append(notation.read(frame[name], how))
    return frame.with_columns(changed) if changed else frame, found


def _is_tight(text: str, delimiter: str) -> bool:
    """Return whether no field starts or ends with a space: one search, not one query per column."""
    space, edge = rf"[^\S\r\n{delimiter}]", rf'[{delimiter}"\r\n]'
    return re.search(rf"(?:^|{edge}){space}|{space}(?:{edge}|$)", text) is None


def _may_be_numbers(column: Sequence[str]) -> bool:
    return all(any(map(str.isdigit, field)) or "inf" in field.lower() for field in column if field not in NOTHING)


def _any_ambiguous(columns: Sequence[Sequence[str]], mark: str) -> bool:
    near = [column for column in columns if any(mark in field for field in column)]
    return any(notation.is_ambiguous(pl.Series([f for f in column if f not in NOTHING])) for column in near)


def _is_late(texts: Any, column: Any, how: Notation) -> bool:
    """Return whether a column that polars left as texts determines the decimal mark."""
    return texts.dtype != column.dtype and bool(how.decimal) and not notation.is_ambiguous(texts.drop_nulls())


def _on_notations(
    given: Any,
    frame: Any,
    notations: dict[str, Notation],
    columns: Sequence[Sequence[str]],
    *,
    sure: bool,
    quoted: bool,
) -> tuple[list[str], list[str]]:
    """Return notes on the notations of numbers, and on ambiguous numbers.

    ``quoted``: decimal commas are in quotes, because the delimiter is a comma.
    """
    written: dict[Notation, list[str]] = {}
    unsure: dict[tuple[str, str], list[str]] = {}
    for i, (name, dtype) in enumerate(zip(frame.columns, given.dtypes, strict=True)):
        if (how := notations.get(name)) is None:
            continue
        was_text = dtype == pl.String
        if (was_text and not is_plain(how)) or (quoted and how.decimal == ","):
            written.setdefault(how, []).append(name)
        if sure or (quoted and not was_text):
            continue
        texts = given[:, i].drop_nulls() if was_text else pl.Series([f for f in columns[i] if f not in NOTHING])
        if notation.is_ambiguous(texts):
            text = texts.filter(texts.str.contains(notation.AMBIGUOUS))[0]
            unsure.setdefault((text, how.decimal), []).append(name)
    said = [f"numbers written so that {example(how)}: {_listed(found)}" for how, found in written.items()]
    return said, [notation.unsure(text, mark, _listed(found)) for (text, mark), found in unsure.items()]


def _class_na(frame: Any, text: str, options: dict[str, Any], targets: Sequence[str]) -> tuple[Any, list[str]]:
    """Return a frame in which NA is a class in targets of words, and a note on each."""
    notes = []
    for name in targets:
        if name not in frame.columns or frame[name].dtype != pl.String or not frame[name].null_count():
            continue
        if quantities.find(frame[name]) is not None:  # among amounts NA is a missing value
            continue
        place = [frame.columns.index(name)]
        words = pl.read_csv(text.encode(), **{**options, "null_values": [""], "infer_schema_length": 0}, columns=place)
        is_na = frame[name].is_null() & (words.to_series().str.strip_chars() == "NA").fill_null(value=False)
        if count := int(is_na.sum()):
            frame = frame.with_columns(frame[name].set(is_na, "NA"))
            notes.append(f"{name!r}: 'NA' in {counted(count)} is read as a class; leave missing values empty")
    return frame, notes


def _form(found: layout.Layout, *, comma: bool) -> str:
    shown = {"\t": "tab"}.get(found.delimiter, f'"{found.delimiter}"')
    parts = [f"CSV with the delimiter {shown}" if len(found.rows[0]) > 1 else "CSV of one column"]
    parts += ["decimal commas"] if comma and found.delimiter != "," else []
    return ", ".join([*parts, "a header" if found.header else "no header (columns named column_1, column_2, ...)"])


def _on_names(names: list[str], columns: Sequence[Sequence[str]], frame: Any, found: layout.Layout) -> Iterator[str]:
    """Yield notes on columns without a name, and on numbers that may be codes."""
    if found.header and (unnamed := [name for name, field in zip(names, found.rows[0], strict=True) if not field]):
        yield f"columns without a name in the header: {_listed(unnamed)}"
    if codes := _codes(columns, frame):
        yield f"numbers with leading zeros: {_listed(codes)}; if these are codes, use --categorical"


def _codes(columns: Sequence[Sequence[str]], frame: Any) -> list[str]:
    """Return the integer columns with leading zeros, such as 01234."""
    return [
        values.name
        for values, column in zip(frame, columns, strict=False)
        if values.dtype.is_integer() and any(re.fullmatch(r"0\d+", field) for field in column)
    ]


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (" ..." if len(names) > 5 else "")


def _short(text: str, delimiter: str, frame: Any) -> str:
    """Return a warning about rows with fewer fields than columns, or ""."""
    if frame.width < 2 or not frame[:, -1].null_count():
        return ""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines: list[int] = []
    with contextlib.suppress(csv.Error):  # a field of megabytes; polars has read it
        lines.extend(reader.line_num for row in reader if 0 < len(row) < frame.width and any(row))
    if not lines:
        return ""
    which = ", ".join(map(str, lines[:3])) + (", ..." if len(lines) > 3 else "")
    return f"{counted(len(lines))} with fewer than {frame.width} fields (line {which}); the rest are missing."


def bad_line(file: Iterable[str], delimiter: str, name: str) -> str | None:
    """Return an error for the first line of CSV with too many fields, an unclosed quote, or bytes that are not text."""
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    fields = began = 0
    try:
        for row in reader:
            began = reader.line_num
            fields = fields or len(row)
            if len(row) > fields == 1:
                return (
                    f"{name}, line {began}: {len(row)} fields under a first line of one: is that a title? Remove it, "
                    f"or pass --skip {began - 1}."
                )
            if len(row) > fields:
                return (
                    f"{name}, line {began}: expected {fields} fields as in the first line, got {len(row)}: put texts "
                    'that contain the delimiter in quotes ("...").'
                )
    except csv.Error as error:
        if "end of data" in str(error):
            return f'{name}, line {began + 1}: unclosed quote ("): close it, or double it.'
        return f"{name}, line {reader.line_num}: {error}."
    except (UnicodeDecodeError, OSError, EOFError) as error:
        return f"{name}, after line {reader.line_num}: {error}"
    return None


def _code(options: dict[str, Any], encoding: str) -> str:
    defaults = {"separator": ",", "has_header": True, "decimal_comma": False, "skip_rows_after_header": 0}
    arguments = [f"{key}={value!r}" for key, value in options.items() if defaults.get(key, ...) != value]
    codecs_of = {"Windows-1252": "cp1252", "Latin-1": "latin-1"}
    arguments += [] if encoding == "UTF-8" else [f"encoding={codecs_of.get(encoding, encoding.lower())!r}"]
    return f"pl.read_csv({{source}}, {', '.join(arguments)})"
