"""NumPy files on disk: their arrays are copied by columns to a temporary file, of which any part can be read."""

from __future__ import annotations

import itertools
import math
import threading
import weakref
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
from polars.io.plugins import register_io_source

from chainrule._internal.typing import Array
from chainrule.tables import numpy_files, unpacking
from chainrule.tables._polars import pl
from chainrule.tables.streaming import scratch
from chainrule.tables.streaming.on_disk import check_unchanged, stamp_of

PIECE = 2**24  # bytes of an array to read at once
BLOCK = 2**20  # bytes that polars gets at once: it asks for up to fifty blocks ahead


def scan(path: Path) -> tuple[pl.LazyFrame, str]:
    """Return a scan of a copy of a ``.npy`` or ``.npz`` file, and a note on its arrays.

    The file is read once from its beginning to its end, so that its arrays may be compressed, in either order in
    memory, and larger than memory. Python objects are refused, not loaded.

    Raises
    ------
    ValueError
        If the file is corrupt or its arrays are not columns of one table.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "points.npz")
    >>> np.savez(path, X=np.arange(6.0).reshape(3, 2), y=np.array(["a", "b", "a"]))
    >>> frame, note = scan(path)
    >>> frame.select("X_2", "y").collect().rows(), note
    ([(1.0, 'a'), (3.0, 'b'), (5.0, 'a')], 'NumPy: X (3, 2), y (3,)')
    """
    stamp = stamp_of(path)
    with _readable(path, stamp):
        heads = {}
        for key, source, size in _arrays(path):
            if key in heads:
                raise ValueError(f"it has two arrays called {key!r}")
            heads[key] = unpacking.numpy_header(source, size)
            if heads[key].dtype.hasobject:
                raise ValueError(unpacking.OBJECTS)
    # Arrays of these shapes that take no memory: an error is raised before anything is copied.
    shapes = {key: np.broadcast_to(np.zeros((), head.dtype), head.shape) for key, head in heads.items()}
    whole = numpy_files.columns(shapes, str(path))
    if not whole:
        raise ValueError(f"{path} has no columns: expected a table with rows.")
    firsts, rows = {name: values[:1] for name, values in whole.items()}, len(next(iter(whole.values())))
    dtypes = {name: numpy_files.plain(first).dtype for name, first in firsts.items()}
    copied = _Copy(path, dtypes, rows)
    for name, start, values in _pieces(path, stamp):
        copied.put(name, start, values)
    check_unchanged(path, stamp)
    return copied.scan(numpy_files.frame(firsts, str(path)).schema), numpy_files.note(shapes)


@contextmanager
def _readable(path: Path, stamp: tuple[int, int]) -> Iterator[None]:
    """Turn the errors of a corrupt file into one sentence; a changed file is another error."""
    try:
        yield
    except unpacking.BROKEN as error:
        check_unchanged(path, stamp)
        raise unpacking.numpy_error(str(path), error) from None


def _arrays(path: Path) -> Iterator[tuple[str, Any, int]]:
    """Yield the name of each array, a file at its beginning, and its size in bytes."""
    with path.open("rb") as file:
        if path.suffix.lower() == ".npy":
            yield "column", file, path.stat().st_size
            return
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as member:
                    yield entry.filename.removesuffix(".npy"), member, entry.file_size


def _pieces(path: Path, stamp: tuple[int, int]) -> Iterator[tuple[str, int, Array]]:
    """Yield parts of columns, each with its name and its first row, in the order of the file."""
    with _readable(path, stamp):
        for key, source, size in _arrays(path):
            shape, by_columns, dtype = unpacking.numpy_header(source, size)
            rows, row = shape[0], shape[1:]
            if by_columns and row:
                if dtype.names:
                    raise ValueError("its records are in the order of columns: save np.ascontiguousarray of them")
                names = list(numpy_files.columns({key: np.empty((1, *row), dtype)}, key))
                order = np.arange(len(names)).reshape(row).ravel("F")
                for name, start, count in _parts([names[i] for i in order], rows, dtype.itemsize):
                    yield name, start, _read(source, (count,), dtype)
            else:
                for _, start, count in _parts([key], rows, dtype.itemsize * math.prod(row)):
                    block = numpy_files.columns({key: _read(source, (count, *row), dtype)}, key)
                    yield from ((name, start, values) for name, values in block.items())


def _parts(names: Sequence[str], rows: int, row_bytes: int) -> Iterator[tuple[str, int, int]]:
    """Yield each name with the first row and the number of rows of each of its parts."""
    step = max(1, PIECE // row_bytes)
    for name in names:
        for start in range(0, rows, step):
            yield name, start, min(step, rows - start)


def _read(source: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    size = math.prod(shape) * dtype.itemsize
    content = source.read(size)
    if len(content) < size:
        raise EOFError("it ends too early")
    return np.frombuffer(content, dtype).reshape(shape)


@final
class _Copy:
    """Columns in a temporary file, which is removed with the last scan of it."""

    def __init__(self, path: Path, dtypes: Mapping[str, np.dtype[Any]], rows: int) -> None:
        self._dtypes, self._rows, self._lock = dtypes, rows, threading.Lock()
        ends = [*itertools.accumulate(rows * dtype.itemsize for dtype in dtypes.values())]
        self._starts = dict(zip(dtypes, [0, *ends], strict=False))
        self._file = scratch.room(ends[-1], f"the columns of {path}")
        weakref.finalize(self, scratch.closed, self._file)

    def put(self, name: str, start: int, values: Array) -> None:
        """Write values of a column, of which the first is that of row ``start``."""
        with scratch.writing():
            self._file.seek(self._starts[name] + start * self._dtypes[name].itemsize)
            self._file.write(numpy_files.plain(values).view(np.uint8))

    def scan(self, schema: Mapping[str, Any]) -> pl.LazyFrame:
        """Return the columns as polars reads them: some of them, block by block."""
        with scratch.writing():
            self._file.flush()

        def blocks(
            names: list[str] | None, where: pl.Expr | None, rows: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            rows = self._rows if rows is None else min(rows, self._rows)
            names = names or [*schema]
            step = max(64, BLOCK // (8 * len(names)))
            for start in range(0, rows, step):
                columns = {name: self._get(name, start, min(step, rows - start)) for name in names}
                frame = pl.DataFrame(columns)
                yield frame if where is None else frame.filter(where)

        return register_io_source(blocks, schema=schema)

    def _get(self, name: str, start: int, rows: int) -> Array:
        dtype = self._dtypes[name]
        with self._lock:  # polars may call from several threads
            self._file.seek(self._starts[name] + start * dtype.itemsize)
            return _read(self._file, (rows,), dtype)
