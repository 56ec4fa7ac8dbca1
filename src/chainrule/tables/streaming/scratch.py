"""Temporary files that nothing leaves behind, of a size that is known before they are written."""

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
BUCKET = 2**27  # bytes of a matrix that are put in order at once, in memory

__all__ = ["Matrix", "amount", "closed", "room", "writing"]


def room(size: int, what: str) -> Any:
    """Return a temporary file for at most ``size`` bytes; a ValueError where the disk has less.

    The file has no name: however the process ends, by kill -9 too, nothing of it is left. It goes into the folder for
    temporary files of the system, which the variable TMPDIR changes.

    >>> with room(10, "ten bytes") as file:
    ...     file.write(b"0123456789")
    10
    """
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ValueError(
            f"{what} take at most {amount(size)} of disk while training goes on, but {folder} has {amount(free)} free: "
            "free some, or set TMPDIR to a folder on another disk."
        )
    with writing():
        return tempfile.TemporaryFile()


@contextmanager
def writing() -> Iterator[None]:
    """Turn the error of a full disk into a sentence."""
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
    """Close a temporary file, whose content nobody wants any more, also where the rest of it cannot be written."""
    with suppress(OSError):
        file.close()


class Matrix:
    """Rows of float32 that are put on disk in any order and end in their own.

    A row goes to the part of the file that its place is in, after those that came before; when all are there, each
    part is put in order in memory. So the file is written twice and read once, each time from its beginning to its end.

    Parameters
    ----------
    rows, width : int

    Examples
    --------
    >>> matrix = Matrix(4, 2)
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
        """How many bytes it takes."""
        return 4 * self.shape[0] * self.shape[1]

    def put(self, places: Array, values: Array) -> None:
        """Put rows at these places, each of which is given once."""
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
        """Return all rows in their order, read-only; the file is gone when nothing refers to the array any more."""
        width = self.shape[1]
        for part, places in enumerate(self._places):
            place = np.concatenate(places)
            start = 4 * width * part * self._length
            self._file.seek(start)
            found = np.frombuffer(self._file.read(4 * width * len(place)), np.float32).reshape(len(place), width)
            ordered = np.empty_like(found)
            ordered[place] = found
            with writing():
                self._file.seek(start)
                self._file.write(ordered)
                self._file.flush()
        return np.asarray(np.memmap(self._file, np.float32, "r", shape=self.shape))


def amount(count: int) -> str:
    """Return bytes with a unit.

    >>> amount(4_200_000), amount(12)
    ('4.2 MB', '0.012 kB')
    """
    unit = next((unit for unit in (10**9, 10**6) if count >= unit), 10**3)
    return f"{count / unit:,.3g} {({10**9: 'GB', 10**6: 'MB', 10**3: 'kB'})[unit]}"
