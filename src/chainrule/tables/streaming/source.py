"""The rows of a file, in blocks of a size of our own: neither row groups nor the reader's chunks show in them.

Everything downstream (statistics, sample, shuffling, batches) depends on the blocks alone, so that the size of a
chunk can change how much memory and time reading takes, and not one bit of the result.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

from chainrule._internal.extras import require
from chainrule.tables.frames import check_names

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

BLOCK_BYTES = 16 * 2**20  # of a block, at 8 bytes a value; a segment, which is read at once, has four
LARGEST_BLOCK, SMALLEST_BLOCK = 65_536, 256
AT_ONCE = 4 * 2**20  # of the columns of a chunk that are decoded together: it takes several times as much for a moment
SEGMENT_BLOCKS = 4  # neighbouring blocks that are read one after the other, wherever in the file they are

__all__ = ["Block", "ChangedFileError", "ParquetSource", "Source"]


class ChangedFileError(RuntimeError):
    """The file is not the one that it was when it was looked at first."""


class Block(NamedTuple):
    """Neighbouring rows of a table, and the number of the first of them, from 0."""

    start: int
    frame: pl.DataFrame


class Source(ABC):
    """A file of rows that does not have to fit into memory.

    Attributes
    ----------
    path : Path
    columns : dict
        The polars type of every column that is read, by name.
    rows, size : int
        How many rows and bytes it has.
    block_rows : int
        Rows of a block: chosen by the number of columns, and by nothing else.
    chunk_rows : int
        Rows that are read at once.
    """

    any_order = False
    """Whether segments can be read in any order as fast as one after the other."""

    def __init__(self, path: Path, columns: dict[str, Any], rows: int, chunk: int | None) -> None:
        check_names(columns, str(path))
        self.path, self.columns, self.rows = path, columns, rows
        self.size, self._changed = _stamp(path)
        width = 8 * max(1, len(columns))
        block = 2 ** (max(1, BLOCK_BYTES // width).bit_length() - 1)  # the largest power of two that fits
        self.block_rows = max(SMALLEST_BLOCK, min(LARGEST_BLOCK, block))
        self.chunk_rows = chunk or SEGMENT_BLOCKS * self.block_rows

    @property
    def segments(self) -> int:
        """How many segments there are: :data:`SEGMENT_BLOCKS` blocks each, the last may be short."""
        return -(-self.rows // (SEGMENT_BLOCKS * self.block_rows))

    def blocks(self, segments: Sequence[int] | None = None, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield the rows of these segments (all, in the order of the file, by default), with these columns.

        Raises
        ------
        ChangedFileError
            When the file is not the one that was opened.
        """
        self.check()
        names = list(self.columns) if columns is None else list(columns)
        length = SEGMENT_BLOCKS * self.block_rows
        if segments is None or not self.any_order:
            yield from _recut(self._read(0, self.rows, names), 0, self.block_rows)
        else:
            for segment in segments:
                start = segment * length
                stop = min(start + length, self.rows)
                yield from _recut(self._read(start, stop, names), start, self.block_rows)
        self.check()

    def check(self) -> None:
        """Refuse a file that has changed since it was opened."""
        now = _stamp(self.path)
        if now != (self.size, self._changed):
            raise ChangedFileError(
                f"{self.path} was changed while it was being read ({self.size:,} bytes before, {now[0]:,} now): "
                "statistics and training would be of different rows. Start again when nothing writes to it."
            )

    @abstractmethod
    def _read(self, start: int, stop: int, columns: list[str]) -> Iterable[pl.DataFrame]:
        """Yield the rows from ``start`` to ``stop`` in frames of at most about ``chunk_rows``."""


def _recut(frames: Iterable[pl.DataFrame], start: int, length: int) -> Iterator[Block]:
    """Yield the rows of frames in blocks of ``length``; the last may be short."""
    polars = require("polars", "tables")
    held: list[pl.DataFrame] = []
    count = 0
    for frame in frames:
        at = 0
        while frame.height - at >= length - count:
            held.append(frame.slice(at, length - count))
            at += length - count
            whole = polars.concat(held, rechunk=True) if len(held) > 1 else held[0]
            held, count = [], 0
            yield Block(start, whole)
            del whole
            start += length
        if at < frame.height:
            held.append(frame.slice(at))
            count += frame.height - at
        del frame  # not kept while the next one is read
    if held:
        yield Block(start, polars.concat(held, rechunk=True) if len(held) > 1 else held[0])


@final
class ParquetSource(Source):
    """A Parquet file, read slice by slice: polars reads only the row groups and columns that a slice needs."""

    any_order = True

    def __init__(self, path: Path, chunk: int | None = None) -> None:
        polars = require("polars", "tables")
        try:
            self._scan = polars.scan_parquet(path, cache=False)
            columns = dict(self._scan.collect_schema())
            rows = int(self._scan.select(polars.len()).collect().item())
        except (polars.exceptions.PolarsError, OSError) as error:
            raise unreadable(path, "Parquet", error) from None
        super().__init__(path, columns, rows, chunk)

    def _read(self, start: int, stop: int, columns: list[str]) -> Iterator[pl.DataFrame]:
        polars = require("polars", "tables")
        for at in range(start, stop, self.chunk_rows):
            rows = min(self.chunk_rows, stop - at)
            step = max(1, AT_ONCE // (8 * rows))
            try:
                yield polars.concat(
                    (
                        self._scan.select(columns[first : first + step]).slice(at, rows).collect()
                        for first in range(0, len(columns), step)
                    ),
                    how="horizontal",
                )
            except (polars.exceptions.PolarsError, OSError) as error:
                self.check()
                raise unreadable(self.path, "Parquet", error, f" in the rows from {at:,}") from None


def _stamp(path: Path) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116
    return found.st_size, found.st_mtime_ns


def unreadable(path: Path, kind: str, error: Exception, where: str = "") -> ValueError:
    """Return the error for a file that cannot be read."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ValueError(
        f"{path} cannot be read as {kind}{where}: {first}. Is it whole? A download or a copy that was cut short is not."
    )
