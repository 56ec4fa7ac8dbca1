"""A table on disk, with some of its columns or a block of its rows in memory at a time."""

from __future__ import annotations

import copy
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import notation
from chainrule.tables._polars import pl
from chainrule.tables.delimited import bad_line
from chainrule.tables.formats import Format, Notation
from chainrule.tables.frames import check_names, plain

AT_ONCE = 2**25  # bytes of adjacent columns to read together, and of a block of rows, at 8 bytes per value
SMALLEST_BLOCK, LARGEST_BLOCK = 256, 65_536  # rows


class ChangedFileError(RuntimeError):
    """The file has changed since it was opened."""


class UnreadableError(ValueError):
    """The file cannot be read as its format."""

    def __init__(self, path: Path, kind: str, error: Exception) -> None:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        super().__init__(
            f"{path} cannot be read as {kind}: {first}. Is it complete? A download or a copy may have been cut short."
        )


@final
class OnDisk:
    """A table in a file, with the interface of a polars DataFrame; each column is read when it is needed.

    ``table[name]`` is a column as ``tables.read`` returns it, ``table[rows]`` is a table of these rows, still on disk,
    and ``table.select(names)`` is a DataFrame.

    Parameters
    ----------
    path : Path
        The file, which must not change.
    scan : polars.LazyFrame
        A scan of the file or of a copy.
    form : Format
        The words for missing values and the decimal mark of its text columns.

    Attributes
    ----------
    columns : list of str
    height, total : int
        The numbers of rows in the table and in the file.
    notations : dict of Notation
        The number formats of text columns that contain numbers.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "t.parquet")
    >>> pl.DataFrame({"x": [1, 2, 3], "c": ["a", " b", None]}).write_parquet(path)
    >>> table = OnDisk(path, pl.scan_parquet(path), Format())
    >>> table.height, table["c"].to_list(), table[np.array([2, 0])].select(["x"])["x"].to_list()
    (3, ['a', ' b', None], [3, 1])
    """

    def __init__(self, path: Path, scan: pl.LazyFrame, form: Format) -> None:
        self.path, self.format = path, form
        self._stamp = stamp_of(path)
        self._source, self._scan = scan, scan.with_columns(pl.selectors.decimal().cast(pl.Float64))
        with self.reading() as table:
            self.types: Mapping[str, Any] = table.collect_schema()
            self.height = self.total = int(table.select(pl.len()).collect().item())
        self.columns = list(self.types)
        check_names(self.columns, str(path))
        self._rows: Array | None = None
        self._held: dict[str, pl.Series] = {}
        self._made: dict[str, pl.Series] = {}
        self.notations: dict[str, Notation] = {}

    def detect(self, may_be_numbers: Iterable[str]) -> None:
        """Detect the number format of text columns that contain only numbers."""
        guess = "," if self.format.delimiter not in ("", ",") else ""
        for name in may_be_numbers:
            values = self[name].drop_nulls()
            pointed = guess and values.head(1000).str.contains(".", literal=True).any()
            if how := notation.find(values, self.format.decimal or ("." if pointed else guess)):
                self.notations[name] = how
        self._held.clear()

    def with_columns(self, *columns: pl.Series) -> OnDisk:
        """Return the table with these columns, kept in memory, in place of those in the file."""
        table = copy.copy(self)
        table._made = {**self._made, **{values.name: values for values in columns}}  # noqa: SLF001
        return table

    @property
    def block_rows(self) -> int:
        """The approximate number of rows in a block."""
        return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, AT_ONCE // (8 * max(1, len(self.columns)))))

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.columns)

    @property
    def schema(self) -> Mapping[str, Any]:
        """The types of the columns."""
        read = dict.fromkeys(self.notations, pl.Float64)
        return {**self.types, **read}

    def __contains__(self, name: object) -> bool:
        return name in self.types

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            values = self._column(key)
            return values if self._rows is None else values[self._rows]
        rows = copy.copy(self)
        vars(rows).update(_rows=self.numbers(np.asarray(key)), height=len(key))
        return rows

    def select(self, names: Sequence[str]) -> pl.DataFrame:
        """Return columns of all rows as a DataFrame."""
        return pl.DataFrame([self[name] for name in names])

    def gather_every(self, step: int) -> OnDisk:
        """Return every ``step``-th row."""
        rows: OnDisk = self[np.arange(0, self.height, step)]
        return rows

    def blocks(self, names: Sequence[str], start: int = 0) -> Iterator[pl.DataFrame]:
        """Yield the rows of the file from ``start`` on in blocks, in order."""
        self._held.clear()
        with self.reading() as scan:
            for frame in (
                scan.select(names).slice(start).collect_batches(chunk_size=self.block_rows, maintain_order=True)
            ):
                yield plain(self._tidied(frame))

    def numbers(self, rows: Array) -> Array:
        """Return the row numbers in the file, from 0, of rows of this table."""
        return rows if self._rows is None else self._rows[rows]

    def check(self) -> None:
        """Raise ChangedFileError if the file has changed since it was opened."""
        check_unchanged(self.path, self._stamp)

    def _column(self, name: str) -> pl.Series:
        """Return a column, and keep the next ones in the file, which are read with it."""
        if name in self._made:
            return self._made[name]
        if name not in self._held:
            self._held.clear()  # shared with the table that these rows are from
            first = self.columns.index(name)
            names = self.columns[first : first + max(1, AT_ONCE // (8 * max(1, self.total)))]
            with self.reading() as scan:
                frame = self._tidied(scan.select(names).collect())
            self._held.update({values.name: values for values in plain(frame)})
        return self._held[name]

    def _tidied(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return rows of a CSV file with text stripped, missing values recognized and numbers converted."""
        if not self.format.delimiter:
            return frame
        texts = pl.selectors.string().str.strip_chars()
        frame = frame.with_columns(pl.when(texts.is_in(self.format.missing)).then(None).otherwise(texts).name.keep())
        return frame.with_columns(notation.read(frame[n], how) for n, how in self.notations.items() if n in frame)

    @contextmanager
    def reading(self) -> Iterator[pl.LazyFrame]:
        """Yield the scan of the file; errors become one sentence, and a changed file is an error."""
        self.check()
        try:
            yield self._scan
        except (pl.exceptions.PolarsError, OSError) as error:
            self.check()
            what = "CSV" if self.format.delimiter else "Parquet"
            raise (_bad_line(self) or UnreadableError(self.path, what, error)) from None
        self.check()


def _bad_line(table: OnDisk) -> ValueError | None:
    """Return the error for the first line of a CSV file with too many fields or invalid text."""
    if not table.format.delimiter:
        return None
    with io.TextIOWrapper(opened(table.path), "utf-8", newline="") as file:
        wrong = bad_line(file, table.format.delimiter, str(table.path))
    return ValueError(wrong) if wrong else None


def opened(path: Path) -> Any:
    """Open the file, decompressing it if it ends in .gz."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def stamp_of(path: Path) -> tuple[int, int]:
    """Return the size of a file and the time of its last change."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def check_unchanged(path: Path, stamp: tuple[int, int]) -> None:
    """Raise ChangedFileError if a file has changed since it had this size and time."""
    now = stamp_of(path)
    if now != stamp:
        raise ChangedFileError(
            f"{path} changed while it was being read ({stamp[0]:,} bytes before, {now[0]:,} now), so "
            "statistics and training would use different rows. Start again when nothing writes to it."
        )
