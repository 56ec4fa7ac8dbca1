"""Which files are streamed, and how they are opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from chainrule.tables.schema import Schema
from chainrule.tables.streaming.csv_source import CsvSource
from chainrule.tables.streaming.source import ParquetSource, Source

TEXT = (".csv", ".tsv", ".tab", ".txt", ".data")
PARQUET = (".parquet", ".pq")
PACKED = ".gz"

__all__ = ["needs_streaming", "open_source"]


def needs_streaming(path: str | os.PathLike[str], available: int) -> str:
    r"""Return why a file has to be streamed, in a sentence, or "" if it fits into memory.

    In memory a table takes about three times the bytes of its Parquet file and twice those of CSV, and preparing it as
    much again; a packed CSV is taken for four times as large.

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
    ('', '...points.csv has 4 kB, which in memory would take about 16 kB of the 10 kB available: it is streamed.')
    """
    path = Path(path)
    kind = _kind(path)
    if not kind or not path.is_file():
        return ""
    size = path.stat().st_size
    times = 6 if kind == "Parquet" else 16 if path.suffix.lower() == PACKED else 4
    if times * size <= available:
        return ""
    return (
        f"{path} has {_bytes(size)}, which in memory would take about {_bytes(times * size)} of the "
        f"{_bytes(available)} available: it is streamed."
    )


def open_source(
    path: str | os.PathLike[str],
    chunk: int | None = None,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    targets: Sequence[str] = (),
    schema: Schema | None = None,
) -> Source:
    """Open a file to be streamed: Parquet, or CSV, plain or packed; the options are those of ``tables.read``.

    >>> open_source("customers.xlsx")
    Traceback (most recent call last):
    ...
    ValueError: customers.xlsx cannot be streamed: only Parquet (.parquet, .pq) and CSV (.csv, .tsv,
    .csv.gz) can.
    """
    path = Path(path)
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected at least one row, got {chunk}.")
    kind = _kind(path)
    if not kind:
        raise ValueError(f"{path} cannot be streamed: only Parquet (.parquet, .pq) and CSV (.csv, .tsv, .csv.gz) can.")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty: expected a table with rows.")
    if kind == "Parquet":
        return ParquetSource(path, chunk)
    return CsvSource(path, chunk, delimiter=delimiter, header=header, decimal=decimal, targets=targets, schema=schema)


def _kind(path: Path) -> str:
    ending = path.suffix.lower()
    if ending == PACKED:
        return "CSV" if path.with_suffix("").suffix.lower() in TEXT else ""
    return "Parquet" if ending in PARQUET else "CSV" if ending in TEXT else ""


def _bytes(count: int) -> str:
    unit = next((unit for unit in (10**9, 10**6) if count >= unit), 10**3)
    return f"{count / unit:,.3g} {({10**9: 'GB', 10**6: 'MB', 10**3: 'kB'})[unit]}"
