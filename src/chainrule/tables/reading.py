"""Read tables from files; the format follows from the ending of the name and is checked against the first bytes."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chainrule._internal.names import did_you_mean
from chainrule.tables import delimited, json_tables, number_texts, numpy_files, unpacking
from chainrule.tables._polars import first_line, pl
from chainrule.tables.formats import ENDINGS, INFINITE, PACKED, Format, Notation, ending, is_table
from chainrule.tables.frames import check_names, plain
from chainrule.tables.schema import Schema

__all__ = ["ENDINGS", "Table", "is_table", "read"]

STREAM = b"\xff\xff\xff\xff"  # start of the streaming format of Arrow
MAGIC = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    STREAM: "Arrow",
    b"\x93NUMPY": "NumPy",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # empty
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
}
FOREIGN = {
    b"FEA1": "a Feather file of version 1: write it again with a newer version",
    b"BZh": "packed by bzip2: unpack it",
    b"\xfd7zXZ": "packed by xz: unpack it",
    b"\x80": "a pickle, which could run arbitrary code: write the table as Parquet",
    b"%PDF": "a PDF document: export the table as CSV",
    b"SQLite format 3": "an SQLite database: export the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save it as CSV",
    b"\x89HDF": "an HDF5 file: export the table as Parquet",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"Obj\x01": "an Avro file: export the table as Parquet",
    b"ORC": "an ORC file: export the table as Parquet",
}


FUNCTIONS = {"Parquet": "read_parquet", "Arrow": "read_ipc"}


@dataclass(frozen=True)
class Table:
    """A table and the properties detected in its file.

    ``format`` is the format of the file, ``notations`` has the notation of each column of numbers.
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
    targets: Sequence[str] = (),
    texts: bool = False,
    schema: Schema | None = None,
) -> Table:
    r"""Read a table.

    Parameters
    ----------
    source : path, or "-" for standard input
        CSV and related formats, Parquet, Arrow (Feather), JSON lines, JSON, ``.npz`` or ``.npy``; packed by gzip or
        zstd, or not.
    delimiter : str, optional
        CSV delimiter; detected by default.
    header : bool, optional
        Whether the first line of CSV has the column names; detected by default.
    expected : names, optional
        Expected columns: a first line with one of them is a header.
    decimal : str, optional
        Decimal mark of numbers in texts, "." or ",": 4.229 may have either. By default detected from columns that
        are unambiguous.
    targets : sequence of str
        Columns in which the word NA is a class, unless they hold numbers; among numbers, words such as - or #DIV/0!
        are missing values.
    texts : bool
        Read every column of CSV as strings.
    schema : Schema, optional
        Schema of the training table. All columns of CSV are then read as strings, which ``predict`` converts by the
        notation detected in training, not by that of this file; to override it, give ``decimal`` as well.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is empty, cannot be read, or does not match its ending.

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
    content = _content(source)
    name = "standard input" if source == "-" else source
    digest = hashlib.sha256(content).hexdigest()
    suffix, packed_by_name = ("", "") if source == "-" else ending(Path(source))
    if content:
        content, packed, notes = _contained(content, packed_by_name, name)
    if not content.strip():
        raise ValueError(f"{name} is empty: expected a table with a header and rows.")
    found = kind(content, name)
    said = ENDINGS.get(suffix)
    if said is None and source != "-":
        notes.append(f"format {found} detected from the content: the ending {suffix or '(none)'} is unknown")
    if said not in (None, found) and {found, said} != {"JSON lines", "JSON"}:
        raise ValueError(f"{name} does not match its ending: it is {A[found]}, not {A[str(said)]}. Rename it.")
    unpacking.check_content(content, said or found, name)
    if (said or found) == "text":
        given = delimited.Options(delimiter, header, decimal, targets, schema, texts, expected)
        parsed = delimited.parse(content, name, given)
    else:
        parsed = _foreign(said or found, content, name, targets if schema is None else (), decimal or "")
    frame, said_of_it, reads, form, notations, *_, about_targets = parsed
    frame = named_by(schema, frame, form, name)
    if not frame.width:
        raise ValueError(f"{name} has no columns: expected a table with a header and rows.")
    if len(set(frame.columns)) != frame.width:
        raise ValueError(f"{name} has duplicate column names: rename one.")
    check_names(frame.columns, name)
    raw, frame = frame, plain(frame)
    notes += [] if raw is frame else _huge(raw)
    if not reads or raw is not frame or packed == "zstd" or (packed == "gzip" and found != "text") or about_targets:
        reads = _call(
            source, delimiter=delimiter, header=header, decimal=decimal,
            targets=[*targets] if about_targets else None, texts=texts or schema is not None or None,
        )  # fmt: skip
    reads = reads.replace("{source}", "sys.stdin.buffer" if source == "-" else repr(source), 1)
    return Table(frame, (*said_of_it, *notes), source, digest, reads, form, notations)


def _contained(content: bytes, packed_by_name: str, name: str) -> tuple[bytes, str, list[str]]:
    """Return the unpacked content of a file, its compression, and a note on the compression."""
    packed = _magic(content)
    if packed not in PACKED.values():
        if packed_by_name:
            raise ValueError(f"{name} is not packed by {PACKED[packed_by_name]}, as its ending says: rename it.")
        return content, packed, []
    try:
        if packed == "gzip":
            content = b"".join(unpacking.gunzipped(io.BytesIO(content), len(content), name))
        else:
            unpacking.check_zstd(content, name)
            lines = pl.read_csv(
                content, has_header=False, separator="\x1f", quote_char=None, schema={"line": pl.String}
            )
            content = "\n".join(line or "" for line in lines["line"]).encode()
    except unpacking.TooLargeError:
        raise
    except Exception as error:  # noqa: BLE001  (those of gzip, zlib and polars)
        raise ValueError(f"{name} is corrupt: it cannot be unpacked by {packed} ({error}).") from None
    return content, packed, [f"packed by {packed}"]


def _call(source: str, **options: Any) -> str:
    """Return the call of :func:`read` that reads the table, for a script."""
    given = "".join(f", {key}={value!r}" for key, value in options.items() if value is not None)
    return f"tables.read({source!r}{given}).frame"


def _foreign(what: str, content: bytes, name: str, targets: Sequence[str], decimal: str) -> delimited.Parsed:
    """Return the table in any format but CSV."""
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
            raise ValueError(f"{name} is corrupt: it cannot be read as {said} ({first_line(error)}).") from None
        reads = f"pl.{function}({{source}}{''.join(f', {key}={value!r}' for key, value in options.items())})"
    frame, words = number_texts.known_in(frame, targets, decimal)
    return delimited.Parsed(frame, [said, *words], reads, Format(decimal=decimal), {}, about_targets=bool(words))


def named_by(schema: Schema | None, frame: Any, found: Format, name: str) -> Any:
    """Return a frame with the column names of a schema if the file has no header; refuse one without any of them."""
    if schema is None:
        return frame
    if found.delimiter and not found.header and not schema.format.header and frame.width == len(schema.columns):
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
}


def _content(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    path = Path(source)
    if path.is_dir():
        raise IsADirectoryError(f"{source} is a folder: give a file, such as a .csv or .parquet in it.")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        folder = path.parent
        near = sorted(p.name for p in folder.iterdir() if p.is_file() and is_table(p.name)) if folder.is_dir() else []
        hint = f" {did_you_mean(path.name, near)}" if near else ""
        raise FileNotFoundError(f"no such file: {source}.{hint.replace('Known:', 'The folder has:')}") from None
    except PermissionError:
        raise PermissionError(f"permission denied: {source}.") from None


def _magic(content: bytes) -> str:
    return next((name for magic, name in MAGIC.items() if content.startswith(magic)), "")


def kind(content: bytes, name: str) -> str:
    """Return the format of a file by its first bytes."""
    found = _magic(content)
    if found == "zip":
        if b"xl/" in content[:4096] or b"[Content_Types].xml" in content[:4096]:
            raise ValueError(f"{name} is an Excel workbook: save the sheet as CSV.")
        if b".npy" not in content[:4096]:
            raise ValueError(f"{name} is a zip archive: unpack it, and give the table in it.")
        return "NumPy"
    if found:
        return found
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
