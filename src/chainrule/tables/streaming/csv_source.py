"""CSV, packed or not, row after row: what was found out about it, and which line is bad."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

from chainrule._internal.extras import require
from chainrule.tables import delimited, notation, reading, unpacking
from chainrule.tables.formats import Notation
from chainrule.tables.schema import Schema
from chainrule.tables.streaming.source import Source, unreadable

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

HEAD = 4 * 2**20  # bytes from which the format and the types are found out
T = TypeVar("T")
WIDER = {"Int64": "Float64", "Float64": "String", "Boolean": "String"}

__all__ = ["BadLineError", "CsvSource", "widened"]


@final
class CsvSource(Source):
    """A CSV file, plain or packed by gzip, read from its beginning by polars' streaming reader.

    Delimiter, header, decimal comma and types are found out from the first 4 MiB. Where a later line does not fit its
    column's type, the column is read as a wider one, from the beginning: whole numbers, numbers, texts.

    Attributes
    ----------
    notes : list of str
        What was found out.
    format : Format
    notations : dict of Notation
        How the file and its columns of numbers are written.
    """

    def __init__(
        self,
        path: Path,
        chunk: int | None = None,
        *,
        delimiter: str | None = None,
        header: bool | None = None,
        decimal: str | None = None,
        targets: Sequence[str] = (),
        schema: Schema | None = None,
    ) -> None:
        polars = require("polars", "tables")
        head = _head(path)
        parsed = delimited.parse(
            head, str(path), delimiter=delimiter, header=header, decimal=decimal, targets=targets, schema=schema
        )
        self.notes, self.format, self.notations = parsed.notes, parsed.format, parsed.notations
        frame = reading.named_by(schema, parsed.frame, self.format, str(path))
        self._comma, self._all_texts = parsed.comma, schema is not None and decimal is None
        text = head.decode("utf-8-sig")
        _check_layout(parsed, text, str(path))
        raw = self._as_polars_reads(text)
        self._read_by = {
            name: self.notations.get(name)
            for name, values, before in zip(frame.columns, frame, raw, strict=True)
            if before.dtype == polars.String and not before.equals(values)
        }
        types = {name: polars.String if kind == polars.Null else kind for name, kind in frame.schema.items()}
        try:
            count = int(self._scan(path, dict.fromkeys(types, polars.String)).select(polars.len()).collect().item())
        except (polars.exceptions.PolarsError, OSError) as error:
            raise unreadable(path, "CSV", error) from None
        super().__init__(path, types, count, chunk)

    def _scan(self, path: Path, types: dict[str, Any]) -> pl.LazyFrame:
        polars = require("polars", "tables")
        return polars.scan_csv(
            path,
            separator=self.format.delimiter,
            has_header=self.format.header and not self.format.unnamed,
            skip_rows=int(bool(self.format.unnamed)),  # whose names polars would not find in the header
            decimal_comma=self._comma,
            null_values=list(self.format.missing),
            schema={name: polars.String if name in self._read_by else kind for name, kind in types.items()},
        )

    def _as_polars_reads(self, text: str) -> pl.DataFrame:
        polars = require("polars", "tables")
        options = {
            "separator": self.format.delimiter, "has_header": self.format.header, "decimal_comma": self._comma,
            "null_values": list(self.format.missing),
        }  # fmt: skip
        try:
            return polars.read_csv(text.encode(), **options, infer_schema_length=0 if self._all_texts else None)
        except polars.exceptions.PolarsError:  # such as numbers of 40 digits
            return polars.read_csv(text.encode(), **options, infer_schema_length=0)

    def _read(self, start: int, stop: int, columns: list[str]) -> Iterator[pl.DataFrame]:
        polars = require("polars", "tables")
        scan = self._scan(self.path, self.columns).select(columns)
        try:
            for frame in scan.collect_batches(chunk_size=self.chunk_rows, maintain_order=True):
                yield self._converted(frame) if self._read_by else frame
        except (polars.exceptions.PolarsError, OSError) as error:
            self.check()
            raise BadLineError(*self._bad_line(error)) from None

    def _converted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return rows with texts as :mod:`~chainrule.tables.delimited` reads them: without spaces, or as numbers."""
        polars = require("polars", "tables")
        made = []
        for name in self._read_by.keys() & frame.columns:
            texts = frame[name].str.strip_chars()
            texts = texts.set(texts.is_in(self.format.missing), None)
            how = self._read_by[name] or Notation()
            values = texts if self.columns[name] == polars.String else notation.read(texts, how, strict=False)
            if values.null_count() > texts.null_count():
                bad = texts.filter(values.is_null() & texts.is_not_null())[0]
                raise BadLineError(f"{self.path}: the column {name!r} has {bad[:40]!r}, not a number", name)
            made.append(values)
        return frame.with_columns(made)

    def widen(self, column: str) -> bool:
        """Read a column as the next wider type from now on; return whether there is one."""
        polars = require("polars", "tables")
        wider = WIDER.get(str(self.columns[column]))
        if wider:
            self.columns[column] = getattr(polars, wider)
        return bool(wider)

    def read_as(self, column: str) -> str:
        """Return what a column is read as, in words."""
        return {"Float64": "numbers", "String": "text"}.get(str(self.columns[column]), str(self.columns[column]))

    def _bad_line(self, error: Exception) -> tuple[str, str | None]:
        """Return a sentence that names the first bad line, and the column whose type it does not fit, if that is it."""
        with _opened(self.path) as file:
            reader = csv.reader(
                io.TextIOWrapper(file, "utf-8", errors="strict", newline=""), delimiter=self.format.delimiter
            )
            names = list(self.columns)
            try:
                for number, row in enumerate(reader):
                    if not row or (number == 0 and self.format.header):
                        continue
                    where = f"{self.path}, line {reader.line_num}"
                    if len(row) > len(names):
                        return (
                            f"{where}: expected {len(names)} fields as in the first line, got {len(row)}: "
                            'put texts that hold the delimiter between quotes ("...").'
                        ), None
                    for name, field in zip(names, row, strict=False):
                        if name not in self._read_by and not self._fits(self.columns[name], field):
                            return (
                                f"{where}: the column {name!r} has {field[:40]!r}, not {_A[str(self.columns[name])]}",
                                name,
                            )
            except (csv.Error, UnicodeDecodeError, OSError, EOFError) as bad:
                return f"{self.path}, after line {reader.line_num}: {bad}", None
        return str(unreadable(self.path, "CSV", error)), None

    def _fits(self, kind: Any, field: str) -> bool:
        if field in self.format.missing or str(kind) not in _A:
            return True
        if str(kind) == "Boolean":
            return field in ("true", "false")
        try:
            (int if str(kind) == "Int64" else float)(field.replace(",", ".") if self._comma else field)
        except ValueError:
            return False
        return "_" not in field and (str(kind) != "Int64" or abs(int(field)) < 2**63)


_A = {"Int64": "a whole number", "Float64": "a number", "Boolean": "true or false"}


class BadLineError(ValueError):
    """A line that cannot be read; ``column`` is the one whose type it does not fit, None where it is something else."""

    def __init__(self, message: str, column: str | None) -> None:
        super().__init__(message)
        self.column = column


def widened(source: Source, notes: list[str], do: Callable[[], T]) -> T:
    """Return what ``do`` returns; from its beginning again where a line of CSV does not fit its column's type."""
    while True:
        try:
            return do()
        except BadLineError as error:
            if error.column is None or not isinstance(source, CsvSource) or not source.widen(error.column):
                raise
            notes.append(f"{error}: the column is read as {source.read_as(error.column)}.")


def _check_layout(parsed: delimited.Parsed, text: str, path: str) -> None:
    """Refuse what the reader of a whole file can do, and polars' streaming reader cannot."""
    found = parsed.layout
    assert found is not None  # noqa: S101
    if found.skipped:
        raise ValueError(f"{path}: streaming needs the header in the first line: remove the {found.skipped} above it.")
    if found.below:
        raise ValueError(
            f"{path}: streaming needs data under the header: remove the {found.below} row(s) that are not."
        )
    names = next((row for row in csv.reader(io.StringIO(text, newline=""), delimiter=found.delimiter) if row), [])
    if found.header and (spaced := [name for name in names if name != name.strip()]):
        raise ValueError(f"{path}: the header has spaces around the name {spaced[0]!r}, which streaming needs without.")
    if found.short:
        raise ValueError(f"{path}: the header is one name short, and streaming needs a name for each column.")
    if parsed.class_na:
        raise ValueError(f"{path}: the target has the class 'NA', which streaming reads as missing: call it otherwise.")


def _opened(path: Path) -> Any:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    return path.open("rb")


def _head(path: Path) -> bytes:
    """Return the first whole lines of the file, unpacked."""
    try:
        with _opened(path) as file:
            head = file.read(HEAD + 1)
        if path.suffix.lower() == ".gz":
            unpacking.check_gzip(path)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, "CSV", error) from None
    if (kind := reading.kind(head, str(path))) != "text":
        what = reading.A.get(kind, f"packed by {kind}, which streaming cannot look into: unpack it")
        raise ValueError(f"{path} cannot be streamed as CSV: it is {what}.")
    if len(head) > HEAD:
        head = head[: head.rfind(b"\n") + 1] or head
    if not head.strip():
        raise ValueError(f"{path} is empty: expected a table with a header and rows.")
    if b"\r" in head and b"\n" not in head:
        raise ValueError(f"{path} has lines that end in a carriage return alone, which streaming cannot read.")
    try:
        head.decode()
    except UnicodeDecodeError:
        raise ValueError(
            f"{path} is not UTF-8, which streaming needs: convert it, for example by iconv -f WINDOWS-1252 -t UTF-8."
        ) from None
    return head
