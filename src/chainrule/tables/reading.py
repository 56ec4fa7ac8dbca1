"""Read tables from files; the format follows from the ending of the name and is checked against the first bytes."""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chainrule._internal.names import did_you_mean
from chainrule.tables import delimited, frames, json_tables, number_texts, numpy_files, unpacking
from chainrule.tables._polars import first_line, pl
from chainrule.tables.formats import ENDINGS, INFINITE, NOTHING, PACKED, Format, Notation, ending, is_table
from chainrule.tables.schema import Schema
from chainrule.tables.sources import archives, databases, excel, names, remote, several

STREAM = b"\xff\xff\xff\xff"  # start of the streaming format of Arrow
MAGIC = {b"PAR1": "Parquet", b"ARROW1": "Arrow", STREAM: "Arrow", b"\x93NUMPY": "NumPy"}
FOREIGN = {
    b"FEA1": "a Feather file of version 1: write it again with a newer version",
    b"\x80": "a pickle, which could run arbitrary code: write the table as Parquet",
    b"%PDF": "a PDF document: export the table as CSV",
    b"SQLite format 3": "an SQLite database: give it as sqlite:///FILE, with --query TABLE",
    b"\xd0\xcf\x11\xe0": "an old or encrypted Excel workbook: save it as .xlsx without a password",
    b"\x89HDF": "an HDF5 file: export the table as Parquet",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"Obj\x01": "an Avro file: export the table as Parquet",
    b"ORC": "an ORC file: export the table as Parquet",
}


MOST_WORDS = 900  # of the user, for missing values
FUNCTIONS = {"Parquet": "read_parquet", "Arrow": "read_ipc"}


@dataclass(frozen=True)
class Table:
    """A table and the properties detected in its file.

    ``format`` is the format of the file, ``notations`` has the notation of each column of numbers.

    Examples
    --------
    >>> Table(pl.DataFrame({"x": [1, 2]}), notes=(), path="points.csv", sha256="").frame.shape
    (2, 1)
    """

    frame: Any  # polars.DataFrame, or an OnDisk
    notes: tuple[str, ...]
    path: str
    sha256: str
    reads: str = ""  # the Python expression that reads it, for a script
    format: Format = field(default_factory=Format)
    notations: Mapping[str, Notation] = field(default_factory=dict)


def read(
    source: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    expected: Iterable[str] | None = None,
    decimal: str | None = None,
    na: str | Iterable[str] = (),
    skip: int | None = None,
    encoding: str | None = None,
    sheet: str | int | None = None,
    query: str | None = None,
    targets: Sequence[str] = (),
    texts: bool = False,
    schema: Schema | None = None,
) -> Table:
    r"""Read a table.

    Parameters
    ----------
    source : path, address, or "-" for standard input
        CSV and related formats, Parquet, Arrow (Feather), JSON lines, JSON, Excel, ``.npz`` or ``.npy``; packed by
        gzip, zstd, bzip2 or xz, or in a zip archive, or not; ``archive.zip/inner.csv`` for one of several in it.
        A folder or a pattern such as ``"sales/*.parquet"``: several files with the same columns.
        ``"sqlite:///shop.db"``, ``"duckdb:///shop.duckdb"`` or ``"postgresql://user@host/database"``: a database.
        ``"https://..."``, ``"s3://..."`` and other addresses that fsspec opens.
    delimiter : str, optional
        CSV delimiter; detected by default.
    header : bool, optional
        Whether the first line of CSV or of a sheet has the column names; detected by default.
    expected : names, optional
        Expected columns: a first line with one of them is a header.
    decimal : str, optional
        Decimal mark of numbers in texts, "." or ",": 4.229 may have either. By default detected from columns that
        are unambiguous.
    na : sequence of str
        Words for a missing value in any column, besides the usual ones.
    skip : int, optional
        Number of lines above the header, besides titles, which are detected.
    encoding : str, optional
        Encoding of text, such as "cp1252"; detected by default.
    sheet : str or int, optional
        Sheet of a workbook, by its name or its number from 1; the first by default.
    query : str, optional
        The SELECT statement, or the name of a table, for a database; by default its only table.
    targets : sequence of str
        Columns in which the word NA is a class, unless they hold numbers; among numbers, words such as - or #DIV/0!
        are missing values.
    texts : bool
        Read every column of CSV as strings.
    schema : Schema, optional
        Schema of the training table. All columns of CSV are then read as strings, which ``predict`` converts by the
        notation detected in training, not by that of this file; to override it, give ``decimal`` as well. The ``na``,
        ``skip``, ``encoding`` and ``sheet`` that were given in training hold here, too, unless others are given.

    Raises
    ------
    FileNotFoundError, ConnectionError
    ImportError
        If the source needs a package that is not installed.
    ValueError
        If the table is empty, cannot be read, or does not match its ending.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "points.csv")
    >>> _ = path.write_text("x;y\n1,5;a\n2,5;b\n")
    >>> table = read(path)
    >>> table.frame.rows(), table.notes[0]
    ([(1.5, 'a'), (2.5, 'b')], 'CSV with the delimiter ";", decimal commas, a header, in UTF-8')
    """
    source = os.fspath(source)
    given = options_of(
        delimiter=delimiter, header=header, expected=expected, decimal=decimal, na=na, skip=skip, encoding=encoding,
        sheet=sheet, targets=targets, texts=texts, schema=schema,
    )  # fmt: skip
    name = names.shown(source)
    if names.is_database(source):
        found = databases.read(source, query)
        digest, notes, plain_file = frames.digest(found.frame), list[str](), False
        parsed = _typed(found.frame, found.note, Format(missing=given.missing), given)
    elif query is not None:
        raise ValueError(f"--query applies to databases such as sqlite:///shop.db, not to {name}: omit it.")
    else:
        parts = [_part(file) for file in several.files(source)]
        one = parts[0]
        if given.sheet is not None and one.kind != "Excel":
            raise ValueError(f"--sheet applies to Excel workbooks, and {name} is not one: omit it.")
        digest, notes, plain_file = one.sha256, one.notes, one.plain
        if names.is_several(source):
            digest = hashlib.sha256("".join(part.sha256 for part in parts).encode()).hexdigest()
            notes, plain_file = [], False
            parsed = several.joined(name, parts, _parsed, given)
        else:
            parsed = _parsed(one, given)
    frame, said_of_it, reads, form, notations, *_, about_targets = parsed
    frame = named_by(schema, frame, form, name)
    if not frame.width:
        raise ValueError(f"{name} has no columns: expected a table with a header and rows.")
    if len(set(frame.columns)) != frame.width:
        raise ValueError(f"{name} has duplicate column names: rename one.")
    frames.check_names(frame.columns, name)
    raw, frame = frame, frames.plain(frame)
    notes = [*notes, *([] if raw is frame else _huge(raw))]
    if not reads or raw is not frame or not plain_file or about_targets:
        reads = _call(
            name, delimiter=delimiter, header=header, decimal=decimal, na=given.na or None, skip=skip,
            encoding=encoding, sheet=sheet, query=query, targets=[*targets] if about_targets else None,
            texts=texts or schema is not None or None,
        )  # fmt: skip
    reads = reads.replace("{source}", "sys.stdin.buffer" if source == "-" else repr(source), 1)
    return Table(frame, (*said_of_it, *notes), name, digest, reads, form, notations)


def options_of(**given: Any) -> delimited.Options:
    """Return the options of reading; a single word for a missing value is a list of one."""
    found = delimited.Options(**given)
    words = [found.na] if isinstance(found.na, str) else [*map(str, found.na)]
    if len(words) > MOST_WORDS:
        raise ValueError(f"--na: expected at most {MOST_WORDS} words, got {len(words):,}.")
    return found._replace(na=words)


def _part(source: str) -> several.Part:
    content, member = _content(source)
    name = "standard input" if source == "-" else names.shown(source).removesuffix(f"/{member}" if member else "")
    packed_by_name = ending(Path(names.place(source)))[1] if source != "-" and not member else ""
    outer, notes, whole = archives.packed_by(content), list[str](), content
    if content:
        content, name, notes = archives.unpacked(content, name, PACKED.get(packed_by_name, ""), member)
    digest = hashlib.sha256(content if member else whole).hexdigest()
    if not content.strip():
        raise ValueError(f"{name} is empty: expected a table with a header and rows.")
    found, suffix = kind(content, name), "" if source == "-" else _suffix(source, name)
    said = ENDINGS.get(suffix)
    if said is None and source != "-":
        notes.append(f"format {found} detected from the content: the ending {suffix or '(none)'} is unknown")
    if said not in (None, found) and {found, said} != {"JSON lines", "JSON"}:
        raise ValueError(f"{name} does not match its ending: it is {A[found]}, not {A[str(said)]}. Rename it.")
    unpacking.check_content(content, said or found, name)
    plain_file = not (names.scheme(source) or member) and (not outer or (outer == "gzip" and found == "text"))
    return several.Part(content, said or found, name, notes, digest, plain_file)


def _suffix(source: str, name: str) -> str:
    """Return the ending for the format: that of the table in an archive, or of the file."""
    return ending(Path(names.place(name)))[0] or ending(Path(names.place(source)))[0]


def _parsed(part: several.Part, given: delimited.Options) -> delimited.Parsed:
    """Return the table in a file."""
    content, kind_of_it, name, *_ = part
    if kind_of_it == "text":
        return delimited.parse(content, name, given)
    if kind_of_it == "Excel":
        frame, (said, *notes), form = excel.parse(content, name, given)
        parsed = _typed(frame, said, form, given)
        return parsed._replace(notes=[*parsed.notes, *notes])
    return _foreign(kind_of_it, content, name, given)


def _call(source: str, **options: Any) -> str:
    """Return the call of :func:`read` that reads the table, for a script."""
    given = "".join(f", {key}={value!r}" for key, value in options.items() if value is not None)
    return f"tables.read({source!r}{given}).frame"


def _typed(frame: Any, said: str, form: Format, given: delimited.Options) -> delimited.Parsed:
    """Return a table whose columns have types, with null for the user's words for missing values."""
    own = [word for word in given.missing if word not in NOTHING]
    targets, decimal = given.targets if given.schema is None else (), given.decimal or ""
    frame, words = number_texts.known_in(frames.without(frame, own), targets, decimal)
    form = replace(form, decimal=decimal)
    return delimited.Parsed(frame, [said, *words], "", form, {}, about_targets=bool(words))


def _foreign(what: str, content: bytes, name: str, given: delimited.Options) -> delimited.Parsed:
    """Return the table in any format but CSV and Excel."""
    said, reads, function, options = what, "", FUNCTIONS.get(what, ""), dict[str, Any]()
    if what.startswith("JSON"):
        content, options = content.removeprefix(b"\xef\xbb\xbf"), {"infer_schema_length": None}
        array = content.lstrip()[:1] == b"["
        function, said = ("read_json", "a JSON array") if array else ("read_ndjson", "JSON lines")
    elif content.startswith(STREAM):
        function = "read_ipc_stream"
    if what == "NumPy":
        frame, said = numpy_files.parse(content, name)
    elif function == "read_ndjson" and (whole := json_tables.parse(content, name)) is not None:
        frame, said = whole[0], f"a JSON object in the orientation {whole[1]!r} of pandas"
    else:
        try:
            frame = getattr(pl, function)(io.BytesIO(content), **options)
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            remedy = (
                " NaN and Infinity are not JSON: write null." if what.startswith("JSON") and _has_nan(content) else ""
            )
            raise ValueError(f"{name} is corrupt: it cannot be read as {said} ({first_line(error)}).{remedy}") from None
        reads = f"pl.{function}({{source}}{''.join(f', {key}={value!r}' for key, value in options.items())})"
    parsed = _typed(frame, said, Format(missing=given.missing), given)
    return parsed._replace(reads="" if given.na else reads)


def named_by(schema: Schema | None, frame: Any, found: Format, name: str) -> Any:
    """Return a frame with the column names of a schema if the file has no header; refuse one without any of them."""
    if schema is None:
        return frame
    if not found.header and not schema.format.header and frame.width == len(schema.columns):
        frame = frame.rename(dict(zip(frame.columns, (c.name for c in schema.columns), strict=True)))
    wanted = [column.name for column in schema.used]
    if found.delimiter and frame.width > 1 and not set(wanted) & set(frame.columns):
        listed = ", ".join(map(repr, wanted[:5])) + (", ..." if len(wanted) > 5 else "")
        raise ValueError(f"{name} has none of the training columns: expected a first line with {listed}.")
    return frame


A = {
    "text": "text (such as CSV)",
    "JSON lines": "JSON lines",
    "JSON": "a JSON array",
    "Parquet": "a Parquet file",
    "Arrow": "an Arrow (Feather) file",
    "NumPy": "a NumPy file",
    "Excel": "an Excel workbook",
}


def _content(source: str) -> tuple[bytes, str]:
    """Return the content of a file, and the member of it that is wanted, if it is an archive."""
    if source == "-":
        return sys.stdin.buffer.read(), ""
    outer, member = names.split_member(source)
    if names.scheme(source):
        return remote.fetch(outer), member
    if not member or Path(source).is_file() or not Path(outer).is_file():
        outer, member = source, ""
    path = Path(outer)
    if not outer:
        raise FileNotFoundError("no file: the name is empty.")
    try:
        return path.read_bytes(), member
    except FileNotFoundError:
        folder = path.parent
        near = sorted(p.name for p in folder.iterdir() if p.is_file() and is_table(p.name)) if folder.is_dir() else []
        hint = f" {did_you_mean(path.name, near)}" if near else ""
        raise FileNotFoundError(f"no such file: {source}.{hint.replace('Known:', 'The folder has:')}") from None
    except PermissionError:
        raise PermissionError(f"permission denied: {source}.") from None


def kind(content: bytes, name: str) -> str:
    """Return the format of a file by its first bytes."""
    if found := next((what for magic, what in MAGIC.items() if content.startswith(magic)), ""):
        return found
    if packed := archives.packed_by(content):
        if packed == "zip":
            raise ValueError(f"{name} is a zip archive in another file: unpack it, and give the table in it.")
        return packed
    if content.startswith(b"PK\x03\x04"):
        return archives.kind_of_zip(content)
    for magic, what in FOREIGN.items():
        if content.startswith(magic):
            raise ValueError(f"{name} is {what}.")
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] == b"{":
        return "JSON lines"
    if start[:1] == b"[" and start.rstrip()[-1:] == b"]":
        return "JSON"
    if start[:9].lower().startswith((b"<!doctype", b"<!--", b"<html", b"<?xml")):
        raise ValueError(f"{name} is a web page or XML, not a table: was the link to a page, not to the file itself?")
    return "text"


def _huge(frame: Any) -> list[str]:
    """Return a note on columns with finite numbers that are too large to be squared."""
    floats = [values for values in frame if values.dtype.is_float()]
    names = [values.name for values in floats if (values.is_finite() & (values.abs() > INFINITE)).any()]
    return [f"numbers beyond 1e100 are treated as infinite: {', '.join(map(repr, names[:5]))}"] if names else []


def _has_nan(content: bytes) -> bool:
    """Return whether a JSON text has a value that Python's json module writes for a float that is not finite."""
    return re.search(rb"[:,\[]\s*-?(NaN|Infinity)\s*[,}\]]", content) is not None
