"""Temporary files of a known size that never outlive the process."""

from __future__ import annotations

import errno
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
BUCKET = 2**25  # bytes of a matrix to put in order at once, in memory


def room(size: int, what: str) -> Any:
    """Return a temporary file for at most ``size`` bytes; raise ValueError if the disk has less free space.

    The file has no name, so nothing is left of it even after kill -9. It is created in the system's folder for
    temporary files, which the variable TMPDIR changes.

    >>> with room(10, "ten bytes") as file:
    ...     file.write(b"0123456789")
    10
    """
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ValueError(
            f"{what} take up to {amount(size)} of disk space during training, but {folder} has {amount(free)} free: "
            "free some, or set TMPDIR to a folder on another disk."
        )
    with writing():
        return tempfile.TemporaryFile()


@contextmanager
def writing() -> Iterator[None]:
    """Turn the error about a full disk into one sentence."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        if getattr(error, "errno", None) not in FULL and not any(f"(os error {n})" in str(error) for n in FULL):
            raise
        raise ValueError(
            f"{tempfile.gettempdir()}, the folder for temporary files, is full: {error}. Free some space, or set "
            "TMPDIR to a folder on another disk."
        ) from None


def closed(file: Any) -> None:
    """Close a temporary file, ignoring errors from writing the rest of its content."""
    with suppress(OSError):
        file.close()


class DiskMatrix:
    """A float32 matrix on disk, whose rows can be written in any order.

    A row is first appended to the part of the file that contains its place. At the end, each part is put in order in
    memory. The file is thus written twice and read once, sequentially each time.

    Parameters
    ----------
    rows, width : int

    Examples
    --------
    >>> matrix = DiskMatrix(4, 2)
    >>> matrix.put(np.array([3, 0]), np.array([[6, 7], [0, 1]], "float32"))
    >>> matrix.put(np.array([1, 2]), np.array([[2, 3], [4, 5]], "float32"))
    >>> matrix.array().tolist()
    [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
    """

    def __init__(self, rows: int, width: int) -> None:
        self.shape = rows, width
        self._length = max(1, BUCKET // (4 * max(1, width)))
        self._places: list[list[Array]] = [[] for _ in range(-(-rows // self._length))]
        self._counts = [0] * len(self._places)
        self._file = room(self.size, "the inputs of the network")
        weakref.finalize(self, closed, self._file)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return 4 * self.shape[0] * self.shape[1]

    def put(self, places: Array, values: Array) -> None:
        """Write rows to places, each of which is given once."""
        part = places // self._length
        order = np.argsort(part, kind="stable")
        ends = np.flatnonzero(np.diff(part[order])) + 1
        for index in np.split(order, ends):
            if not len(index):
                continue
            to = int(part[index[0]])
            with writing():
                self._file.seek(4 * self.shape[1] * (to * self._length + self._counts[to]))
                self._file.write(np.ascontiguousarray(values[index], np.float32))
            self._places[to].append(places[index] - to * self._length)
            self._counts[to] += len(index)

    def array(self) -> Array:
        """Return all rows in order, read-only; the file is removed with the last reference to the array."""
        for part, places in enumerate(self._places):
            self._order(part, np.concatenate(places))
        return np.asarray(np.memmap(self._file, np.float32, "r", shape=self.shape))

    def _order(self, part: int, place: Array) -> None:
        """Put a part of the file in order."""
        width = self.shape[1]
        start = 4 * width * part * self._length
        self._file.seek(start)
        found = np.frombuffer(self._file.read(4 * width * len(place)), np.float32).reshape(len(place), width)
        ordered = np.empty_like(found)
        ordered[place] = found
        with writing():
            self._file.seek(start)
            self._file.write(ordered)
            self._file.flush()


def amount(count: int) -> str:
    """Return a number of bytes with a unit.

    >>> amount(4_200_000), amount(12)
    ('4.2 MB', '0.012 kB')
    """
    unit = next((unit for unit in (10**9, 10**6) if count >= unit), 10**3)
    return f"{count / unit:,.3g} {({10**9: 'GB', 10**6: 'MB', 10**3: 'kB'})[unit]}"
