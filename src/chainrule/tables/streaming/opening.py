"""The choice of files to stream, and how they are opened."""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
import zlib
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from chainrule.pages.formatting import rows as counted
from chainrule.tables import delimited, number_texts, reading, unpacking
from chainrule.tables._polars import pl
from chainrule.tables.formats import NOTHING, Format, Notation
from chainrule.tables.frames import without
from chainrule.tables.reading import Table
from chainrule.tables.schema import Schema
from chainrule.tables.sources.names import is_local, is_several, place, shown
from chainrule.tables.streaming import arrays, scratch
from chainrule.tables.streaming.on_disk import AT_ONCE, OnDisk, UnreadableError

TEXT = (".csv", ".tsv", ".tab", ".txt", ".data")
PARQUET = (".parquet", ".pq")
NUMPY = (".npy", ".npz")
PACKED = ".gz"
STREAMED = "only Parquet (.parquet, .pq), NumPy (.npy, .npz) and CSV (.csv, .tsv, .csv.gz)"
HEAD = 4 * 2**20  # bytes from which the layout of a CSV file is detected


def needs_streaming(path: str | os.PathLike[str], available: int) -> str:
    r"""Return the reason why a file must be streamed, or "" if it fits into memory.

    In memory, a table takes about three times the size of its Parquet or NumPy file or twice that of its CSV file, and
    preparing it takes as much again; a compressed CSV file counts as four times as large.

    Parameters
    ----------
    path : path
    available : int
        Bytes of memory that may be used.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "points.csv")
    >>> _ = path.write_text("x,y\n" + "1,2\n" * 1000)
    >>> needs_streaming(path, 10**9), needs_streaming(path, 10_000)
    ('', '...points.csv has 4 kB and would take about 16 kB of memory, with 10 kB available: it is streamed.')
    """
    taken = memory(path)
    if taken <= available:
        return ""
    return (
        f"{path} has {scratch.amount(Path(path).stat().st_size)} and would take about {scratch.amount(taken)} of "
        f"memory, with {scratch.amount(available)} available: it is streamed."
    )


def memory(path: str | os.PathLike[str]) -> int:
    """Return about how many bytes of memory a file takes; 0 if it cannot be streamed, or is not there."""
    path = Path(path)
    kind = _kind(path)
    if not kind or not path.is_file():
        return 0
    return path.stat().st_size * (6 if kind != "CSV" else 16 if path.suffix.lower() == PACKED else 4)


def open_table(
    path: str | os.PathLike[str],
    *,
    targets: Sequence[str] = (),
    schema: Schema | None = None,
    **reads: Any,
) -> Table:
    """Open a Parquet, NumPy or CSV file as ``tables.read`` does, but with an :class:`OnDisk` for its frame.

    ``reads`` are the options of ``tables.read``.

    A CSV file, plain or compressed by gzip, or a NumPy file is copied column by column to a temporary file without a
    name, which is removed when the process ends, even if it is killed.
    """
    path, targets = _file(path), [*dict.fromkeys(targets)]
    given = _options(targets=targets, schema=schema, **reads)
    rows, parsed, source = _opened(path, given, texts=schema is not None)
    notes, notations = [str(source)], dict[str, Notation]()
    digest = _digest(path)
    if parsed is not None:
        notes = parsed.notes
        try:
            scan = _copied(rows, source)
        except UnreadableError:  # such as integers of 40 digits
            scan = _copied(OnDisk(path, _scan(source, parsed, rows.columns, texts=True), rows.format), source)
        rows = OnDisk(path, scan, rows.format)
        if schema is None:
            comma = Notation("," if parsed.comma else ".")
            rows.detect(name for name, kind in rows.types.items() if kind == pl.String)
            notations = {name: comma for name, kind in rows.types.items() if kind == pl.Float64} | rows.notations
    notes = [f"streamed: {rows.total:,} rows stay on disk", *notes]
    if schema is None:
        known, words = number_texts.known_in(
            rows.select([name for name in targets if name in rows]), targets, rows.format.decimal
        )
        rows, notes = rows.with_columns(*known), [*notes, *words]

    return Table(rows, tuple(notes), str(path), digest, format=rows.format, notations=notations)


def open_rows(path: str | os.PathLike[str], schema: Schema, **reads: Any) -> OnDisk:
    """Open a file to predict block by block; columns of a CSV file are text, unless a decimal mark is given.

    ``reads`` are the options of ``tables.read``.

    >>> open_rows("customers.xlsx", Schema((), (), "regression"))
    Traceback (most recent call last):
    ...
    ValueError: customers.xlsx cannot be streamed: only Parquet (.parquet, .pq), NumPy (.npy, .npz)
    and CSV (.csv, .tsv, .csv.gz) can.
    """
    given = _options(schema=schema, **reads)
    rows, parsed, _ = _opened(_file(path), given, texts=given.decimal is None)
    if parsed is not None and given.decimal is not None:
        rows.detect(name for name, kind in rows.types.items() if kind == pl.String)
    return rows


def _file(source: str | os.PathLike[str]) -> Path:
    """Return the path of one file; refuse other sources."""
    text = os.fspath(source)
    if not is_local(text):
        raise ValueError(f"{shown(text)} cannot be streamed: give a Parquet, NumPy or CSV file.")
    if is_several(text):
        raise ValueError(f"{text}: several files cannot be streamed: join them into one Parquet file, which can.")
    return Path(text)


def _options(query: str | None = None, **reads: Any) -> delimited.Options:
    given = reading.options_of(**reads)
    for name, value in (("query", query), ("sheet", given.sheet)):
        if value is not None:
            raise ValueError(
                f"--{name} does not go with streaming, which reads one Parquet, NumPy or CSV file: omit one."
            )
    return given


def _opened(path: Path, given: delimited.Options, *, texts: bool) -> tuple[OnDisk, delimited.Parsed | None, Any]:
    """Return the rows of a file, and of CSV the layout and what polars reads, or else a note."""
    kind = _kind(path)
    if not kind:
        raise ValueError(f"{path} cannot be streamed: {STREAMED} can.")
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}.")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty: expected a table with rows.")
    if kind != "CSV":
        scan, note = (pl.scan_parquet(path, cache=False), kind) if kind == "Parquet" else arrays.scan(path)
        form = Format(decimal=given.decimal or "", missing=given.missing)
        own = [word for word in given.missing if word not in NOTHING]
        return OnDisk(path, without(scan, own), form), None, note
    source: Any = path
    with ExitStack() as stack:
        if path.suffix.lower() == PACKED:
            source = stack.enter_context(_unpacked(path))
        parsed = delimited.parse(_head(path, source), str(path), given)
        _check_layout(parsed, str(path))
        names = reading.named_by(given.schema, parsed.frame, parsed.format, str(path)).columns
        rows = OnDisk(path, _scan(source, parsed, names, texts=texts), parsed.format)
        stack.pop_all()  # the file is closed with its scan
    return rows, parsed, source


def _scan(source: Any, parsed: delimited.Parsed, names: Sequence[str], *, texts: bool) -> pl.LazyFrame:
    """Return the scan of CSV with these names of columns; with ``texts``, all columns are strings."""
    form = parsed.format
    scan = pl.scan_csv(
        source,
        separator=form.delimiter,
        has_header=form.header and not form.unnamed,
        skip_rows=int(bool(form.unnamed)),  # with a name for every column
        new_columns=list(names),
        decimal_comma=parsed.comma,
        null_values=list(form.missing),
        infer_schema_length=0 if texts else None,
    )
    if not isinstance(source, Path):
        weakref.finalize(scan, scratch.closed, source)
    return scan


def _unpacked(path: Path) -> Any:
    """Return a temporary file with the content of a gzip file, which is decompressed once."""
    try:
        with path.open("rb") as packed, ExitStack() as stack, scratch.writing():
            file = stack.enter_context(tempfile.TemporaryFile())
            for part in unpacking.gunzipped(packed, path.stat().st_size, str(path)):
                file.write(part)
            file.flush()
            stack.pop_all()
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(path, "CSV", error) from None
    return file


def _copied(rows: OnDisk, source: Any) -> pl.LazyFrame:
    """Copy a CSV file by columns, and return a scan of the copy."""
    size = source.stat().st_size if isinstance(source, Path) else os.fstat(source.fileno()).st_size
    most = size + 8 * rows.height * rows.width + 2**20
    file = scratch.room(most, f"the columns of {rows.path}")
    try:
        with rows.reading() as scan, scratch.writing():
            group = max(1, AT_ONCE // (8 * rows.width))
            scan.sink_parquet(file, compression="lz4", row_group_size=min(group, 2**18))
            file.seek(0)
    except BaseException:  # Ctrl-C too
        scratch.closed(file)
        raise
    copied = pl.scan_parquet(file, cache=False)
    weakref.finalize(copied, scratch.closed, file)
    return copied


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def streamed_kind(name: str) -> str:
    """Return the format of a file that can be streamed, by its name, or "".

    >>> streamed_kind("sales.parquet"), streamed_kind("s3://shop/sales.csv.gz"), streamed_kind("sales.xlsx")
    ('Parquet', 'CSV', '')
    """
    return _kind(Path(place(name)))


def _kind(path: Path) -> str:
    ending = path.suffix.lower()
    if ending == PACKED:
        return "CSV" if path.with_suffix("").suffix.lower() in TEXT else ""
    return "Parquet" if ending in PARQUET else "NumPy" if ending in NUMPY else "CSV" if ending in TEXT else ""


def _check_layout(parsed: delimited.Parsed, path: str) -> None:
    """Raise an error for a layout that only the reader of whole files supports."""
    found = parsed.layout
    assert found is not None  # noqa: S101
    if parsed.format.skip:
        raise ValueError(f"{path}: streaming needs the header in the first line: remove the lines above it.")
    if found.skipped:
        raise ValueError(f"{path}: streaming needs the header in the first line: remove the {found.skipped} above it.")
    if found.below:
        raise ValueError(
            f"{path}: streaming needs data below the header: remove the {counted(found.below)} in between."
        )
    if found.short:
        raise ValueError(f"{path}: the header is one name short, and streaming needs a name for each column.")
    if parsed.class_na:
        raise ValueError(f"{path}: the target has the class 'NA', which streaming reads as missing: rename it.")


def _head(path: Path, source: Any) -> bytes:
    """Return the first complete lines of the file."""
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        file.seek(0)
        head: bytes = file.read(HEAD + 1)
        file.seek(0)
    if (kind := reading.kind(head, str(path))) != "text":
        what = reading.A.get(kind, f"compressed by {kind}, which streaming does not support: decompress it")
        raise ValueError(f"{path} cannot be streamed as CSV: it is {what}.")
    if len(head) > HEAD:
        head = head[: head.rfind(b"\n") + 1] or head
    if not head.strip():
        raise ValueError(f"{path} is empty: expected a table with a header and rows.")
    if b"\r" in head and b"\n" not in head:
        raise ValueError(f"{path} has lines that end in a carriage return only, which streaming does not support.")
    try:
        head.decode()
    except UnicodeDecodeError:
        raise ValueError(
            f"{path} is not UTF-8, which streaming requires: convert it, such as with iconv -f WINDOWS-1252 -t UTF-8."
        ) from None
    return head
