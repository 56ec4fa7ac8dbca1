"""How large a file becomes in memory, found before anything of it is unpacked: a few bytes may stand for gigabytes.

The limit is 1 GiB, or 20 times the file's size where that is more. ``--max-unpacked`` of the commands, or the variable
``CHAINRULE_MAX_UNPACKED`` of the environment (which Python's functions look at, too), sets another one.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import os
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.files.values import shown
from chainrule.tables.arrow_size import arrow_size
from chainrule.tables.parquet_size import parquet_size

VARIABLE = "CHAINRULE_MAX_UNPACKED"
LEAST, TIMES = 2**30, 20  # the limit: bytes, and how many times the file's size
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZES = {"Parquet": parquet_size, "Arrow": arrow_size}
MOST_PACKED = 1032  # bytes that one byte of deflate may become
ZSTD_BLOCK = 2**17  # bytes that a block of zstd may become
LONGEST_LINE = 2**25  # bytes; of a line that is twice as long this much has no end in it
MOST_COLUMNS, CELL = 2**20, 8  # bytes of a number
BROKEN = (
    ValueError, TypeError, LookupError, EOFError, OSError, ArithmeticError, MemoryError, NotImplementedError,
    RuntimeError, SyntaxError, tokenize.TokenError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise for what is not as it should be: a header is read as Python's literals."""

__all__ = [
    "BROKEN", "VARIABLE", "TooLargeError", "check_cells", "check_content", "check_gzip", "check_numpy", "check_packed",
    "load_numpy", "size_of",
]  # fmt: skip


class TooLargeError(ValueError):
    """A file would become larger in memory than the limit."""


def limit(size: int) -> int:
    """Return how many bytes a file of so many may become.

    >>> limit(10**9)
    20000000000

    Raises
    ------
    ValueError
        When the environment has another thing than a size.
    """
    given = os.environ.get(VARIABLE)
    return max(LEAST, TIMES * size) if not given else size_of(given, VARIABLE)


def size_of(text: str, option: str) -> int:
    """Return a number of bytes.

    >>> size_of("8GB", "--max-unpacked"), size_of("1.5 MB", "--max-unpacked")
    (8000000000, 1500000)
    >>> size_of("many", "--max-unpacked")
    Traceback (most recent call last):
    ...
    ValueError: --max-unpacked: expected a size such as 8GB or 500MB, got 'many'.
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?B?)\s*", text.upper(), re.ASCII)
    unit = match and (match[2] if match[2] in UNITS else f"{match[2]}B")
    if not match or not float(match[1]):
        raise ValueError(f"{option}: expected a size such as 8GB or 500MB, got {text[:50]!r}.")
    return math.ceil(float(match[1]) * UNITS[str(unit)])


def check(size: int, packed: int, name: str) -> None:
    """Refuse a file that becomes larger than the limit.

    Raises
    ------
    TooLargeError
    """
    most = limit(packed)
    if size > most:
        raise TooLargeError(
            f"{name} has {_shown(packed)}, but would take {_shown(size)} or more in memory; the limit is "
            f"{_shown(most)}. If you know where it comes from, allow more with --max-unpacked {_next(size)}, or in "
            f"Python with {VARIABLE}={_next(size)} in the environment."
        )


def _shown(size: int) -> str:
    unit = next((unit for unit in ("TB", "GB", "MB", "KB") if size >= UNITS[unit]), "bytes")
    return f"{size / UNITS.get(unit, 1):,.3g} {'kB' if unit == 'KB' else unit}"


def _next(size: int) -> str:
    return f"{max(1, math.ceil(1.25 * size / 10**9))}GB"


# ---------------------------------------------------------------- gzip and zstd


def check_packed(content: bytes, packed: str, name: str) -> None:
    """Refuse what gzip or zstd unpacks to more than the limit; gzip is unpacked for that, and nothing kept."""
    if packed == "zstd":
        _check_zstd(content, name)
    elif MOST_PACKED * len(content) > limit(len(content)):
        size = 0
        with contextlib.suppress(zlib.error):  # damaged: who unpacks it says so
            for part in _inflated(content):
                size += part
                check(size, len(content), name)


def check_gzip(path: Path) -> None:
    """Refuse a gzip file that is read part by part, such as a table that is streamed, by the same limit."""
    packed, size = path.stat().st_size, 0
    if MOST_PACKED * packed > limit(packed):
        with gzip.open(path) as file:
            while part := file.read(2**20):
                size += len(part)
                check(size, packed, str(path))


def _inflated(content: bytes) -> Iterator[int]:
    """Yield the sizes of the parts that a gzip file unpacks to; nothing is kept."""
    rest: bytes = content
    while rest:
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            part = unpacker.decompress(rest, 2**20)
            rest = unpacker.unconsumed_tail
            if not part and not rest and not unpacker.eof:
                return  # cut short
            yield len(part)
        rest = unpacker.unused_data.lstrip(b"\0")


def _check_zstd(content: bytes, name: str) -> None:
    """Refuse what zstd unpacks to more than the limit: blocks say what they are, and become 128 KiB at most each."""
    size = at = 0
    while at + 4 < len(content):
        magic = int.from_bytes(content[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == 0x184D2A50:  # skippable
            at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
            continue
        if magic != 0xFD2FB528:
            return  # damaged: who unpacks it says so
        descriptor, single = content[at + 4], content[at + 4] >> 5 & 1
        known = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
        at += 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3] + known
        last = 0
        while not last and at + 3 <= len(content):
            block = int.from_bytes(content[at : at + 3], "little")
            last, kind, length = block & 1, block >> 1 & 3, block >> 3
            size += ZSTD_BLOCK if kind == 2 else length
            check(size, len(content), name)
            at += 3 + (1 if kind == 1 else length)
        at += 4 if descriptor & 4 else 0


# ---------------------------------------------------------------- formats


def check_content(content: bytes, kind: str, name: str) -> None:
    """Refuse the content of a file, unpacked, that becomes a table of more than the limit."""
    if kind == "text":
        check_text(content, name)
    elif kind in ("JSON", "JSON lines"):
        check_json(content, name)
    elif kind in SIZES:
        with contextlib.suppress(LookupError, TypeError, struct.error):  # damaged: who reads it says so
            check(SIZES[kind](content), len(content), name)


def check_text(content: bytes, name: str) -> None:
    """Refuse a text with a line that no table has, before it is read as one."""
    for at in range(0, len(content) - LONGEST_LINE, LONGEST_LINE):
        if content.find(b"\n", at, at + LONGEST_LINE) < 0 and content.find(b"\r", at, at + LONGEST_LINE) < 0:
            raise ValueError(
                f"{name} has a line of more than {_shown(LONGEST_LINE)} (at byte {at + 1:,}): expected a table, with a "
                "line for each row."
            )


def check_cells(rows: int, columns: int, size: int, name: str) -> None:
    """Refuse a table of which most is empty, and larger than the limit: rows of one field under many names."""
    if columns > MOST_COLUMNS:
        raise ValueError(f"{name} has {columns:,} columns: expected at most {MOST_COLUMNS:,}.")
    if rows * columns * CELL > limit(size):
        check(rows * columns * CELL, size, f"{name}, of {rows:,} rows and {columns:,} columns,")


def check_json(content: bytes, name: str) -> None:
    """Refuse objects that have names of their own each: a table has a column for all of them."""
    if content.count(b"{") * content.count(b":") * CELL <= limit(len(content)):
        return
    rows, names = 0, set[str]()
    try:
        lines = content.splitlines() if content.lstrip()[:1] != b"[" else ()
        for row in (json.loads(line) for line in lines if line.strip()) if lines else json.loads(content):
            rows += 1
            names |= row.keys() if isinstance(row, dict) else set()
    except (ValueError, RecursionError):
        return  # damaged: who reads it says so
    check_cells(rows, len(names), len(content), name)


# ---------------------------------------------------------------- NumPy


def load_numpy(content: bytes, name: str) -> dict[str, Any]:
    """Return the arrays in the content of a ``.npz`` or ``.npy`` file by their names; the one of ``.npy`` is "column".

    Raises
    ------
    ValueError
        When the content is damaged, not as large as its headers say, or holds Python objects.
    """
    try:
        check_numpy(content, name)
        found = np.load(io.BytesIO(content), allow_pickle=False)  # a pickle could run any code
        return {"column": found} if isinstance(found, np.ndarray) else {key: found[key] for key in found.files}
    except TooLargeError:
        raise
    except BROKEN as error:
        why = "it holds Python objects" if "allow_pickle" in str(error) else shown(error).rstrip(".")
        raise ValueError(f"{name} cannot be read as a NumPy file: {why}.") from None


def check_numpy(content: bytes, name: str) -> None:
    """Refuse arrays that are not as large as their headers say, are packed beyond the limit, or have items of no bytes.

    Memory for all that a header speaks of would be taken before anything is read.
    """
    if content.startswith(b"\x93NUMPY"):
        _check_header(io.BytesIO(content), len(content))
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        check(sum(entry.file_size for entry in entries), len(content), name)
        for entry in entries:
            with archive.open(entry) as file:
                _check_header(file, entry.file_size)


def _check_header(file: Any, size: int) -> None:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"its header has the version {version}, which is not known")
    shape, _, dtype = read[version](file)
    if dtype.hasobject:
        return  # np.load refuses it
    if not dtype.itemsize or any(not dtype[i].itemsize for i in range(len(dtype.names or ()))):
        raise ValueError("its items have no bytes")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"its header speaks of the shape {shape}, which its size does not fit")
