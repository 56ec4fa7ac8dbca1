"""The SHA-256 of a file, computed beside a pass over it: the pages that it reads are in memory then."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

PIECE = 2**20  # bytes that are read at once

__all__ = ["Digest"]


class Digest:
    """Hashes a file in a thread of its own, as far as somebody else has read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "abc")
    >>> _ = path.write_bytes(b"abc" * 1000)
    >>> with Digest(path) as digest:
    ...     digest.up_to(0.5)
    ...     digest.result() == hashlib.sha256(b"abc" * 1000).hexdigest()
    True
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._size = path.stat().st_size
        self._hash = hashlib.sha256()
        self._buffer = bytearray(PIECE)
        self._thread = ThreadPoolExecutor(1)
        self._task: Future[None] | None = None

    def up_to(self, share: float) -> None:
        """Go on to this share of the file, unless it is still busy with an earlier one."""
        if self._task is None or self._task.done():
            if self._task is not None:
                self._task.result()  # raises what went wrong
            self._task = self._thread.submit(self._hash_to, int(share * self._size))

    def result(self) -> str:
        """Return the digest of the whole file, in hexadecimal digits, when the rest is done, too."""
        self._thread.submit(self._hash_to, None).result()
        return self._hash.hexdigest()

    def __enter__(self) -> Digest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._file.close()

    def _hash_to(self, end: int | None) -> None:
        view = memoryview(self._buffer)
        while end is None or self._file.tell() < end:
            count = self._file.readinto(self._buffer)
            if not count:
                return
            self._hash.update(view[:count])
