"""A bound on the memory that a file takes, checked before it is unpacked: a few bytes may stand for gigabytes.

The limit is 1 GiB, or 20 times the file's size if that is more. To set another one, use the option ``--max-unpacked``
or the environment variable ``CHAINRULE_MAX_UNPACKED``, which the Python functions read, too.
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
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from chainrule.files.values import ModelFileError, shown
from chainrule.tables.arrow_size import arrow_size
from chainrule.tables.parquet_size import parquet_size

VARIABLE = "CHAINRULE_MAX_UNPACKED"
LEAST, TIMES = 2**30, 20  # the limit: bytes, and multiples of the file's size
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZES = {"Parquet": parquet_size, "Arrow": arrow_size}
ZSTD_BLOCK = 2**17  # bytes of an unpacked block, at most
LONGEST_LINE = 2**25  # bytes; a line of twice the length spans one whole stretch of this many
MOST_COLUMNS, CELL = 2**20, 8  # bytes of a number
ROOM = 50 * 10**6  # bytes that a file of a saved run may take beyond twice its size
JSON_PARTS = {b"{": 240, b"[": 96, b":": 32}
"""Bytes that parsed JSON takes at most for each of these; equal names of fields are one object."""
MOST_NAMES = 4096  # distinct names of fields
NAME = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(\s*:)?', re.DOTALL)
BROKEN = (
    ValueError, TypeError, LookupError, EOFError, OSError, ArithmeticError, MemoryError, NotImplementedError,
    RuntimeError, SyntaxError, tokenize.TokenError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""Errors of NumPy and zipfile for corrupt files, whose headers are parsed as Python literals."""
OBJECTS = "it holds Python objects"


class TooLargeError(ValueError):
    """Raised when a file would take more memory than the limit."""


def limit(size: int) -> int:
    """Return the limit in bytes for a file of a given size.

    >>> limit(10**9)
    20000000000

    Raises
    ------
    ValueError
        If the environment variable is not a size.
    """
    given = os.environ.get(VARIABLE)
    return max(LEAST, TIMES * size) if not given else size_of(given, VARIABLE)


def size_of(text: str, option: str) -> int:
    """Return a size in bytes.

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
    """Refuse a file that would exceed the limit.

    Raises
    ------
    TooLargeError
    """
    most = limit(packed)
    if size > most:
        taken = f"has {_shown(packed)}, but could take" if packed else "would take"
        raise TooLargeError(
            f"{name} {taken} {_shown(size)} or more in memory; the limit is {_shown(most)}. If you trust its source, "
            f"allow more with --max-unpacked {_next(size)}, or in Python with {VARIABLE}={_next(size)} in the "
            "environment."
        )


def _shown(size: int) -> str:
    unit = next((unit for unit in ("TB", "GB", "MB", "KB") if size >= UNITS[unit]), "bytes")
    return f"{size / UNITS.get(unit, 1):,.3g} {'kB' if unit == 'KB' else unit}"


def _next(size: int) -> str:
    return f"{max(1, math.ceil(1.25 * size / 10**9))}GB"


# ---------------------------------------------------------------- gzip and zstd


def gunzipped(file: BinaryIO | io.BytesIO, packed: int, name: str) -> Iterator[bytes]:
    """Yield the parts of a gzip file as they are unpacked, up to the limit for a file of ``packed`` bytes."""
    with gzip.GzipFile(fileobj=file) as unpacked:
        yield from parts(unpacked, packed, name)


def parts(file: Any, packed: int, name: str, most: int = 2**16) -> Iterator[bytes]:
    """Yield the parts of a file as they are read, up to the limit for a file of ``packed`` bytes."""
    size = 0
    while part := file.read(most):
        size += len(part)
        check(size, packed, name)
        yield part


def check_zstd(content: bytes, name: str) -> None:
    """Refuse a zstd file that would exceed the limit, by the headers of its blocks: each is at most 128 KiB."""
    size = at = 0
    while at + 4 < len(content):
        magic = int.from_bytes(content[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == 0x184D2A50:  # skippable
            at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
            continue
        if magic != 0xFD2FB528:
            return  # corrupt: unpacking it raises the error
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
    """Refuse the unpacked content of a file if its table would exceed the limit."""
    if kind == "text":
        check_text(content, name)
    elif kind in ("JSON", "JSON lines"):
        check_json(content, name)
    elif kind in SIZES:
        with contextlib.suppress(LookupError, TypeError, struct.error):  # corrupt: reading it raises the error
            check(SIZES[kind](content), len(content), name)


def check_text(content: bytes, name: str) -> None:
    """Refuse a text with a line that is too long for a table."""
    for at in range(0, len(content) - LONGEST_LINE, LONGEST_LINE):
        if content.find(b"\n", at, at + LONGEST_LINE) < 0 and content.find(b"\r", at, at + LONGEST_LINE) < 0:
            raise ValueError(
                f"{name} has a line of more than {_shown(LONGEST_LINE)} (at byte {at + 1:,}): expected a table with "
                "one line per row."
            )


def check_cells(rows: int, columns: int, size: int, name: str) -> None:
    """Refuse a table that exceeds the limit, such as mostly empty rows under many names."""
    if columns > MOST_COLUMNS:
        raise ValueError(f"{name} has {columns:,} columns: expected at most {MOST_COLUMNS:,}.")
    if rows * columns * CELL > limit(size):
        check(rows * columns * CELL, size, f"{name}, with {rows:,} rows and {columns:,} columns,")


def check_json(content: bytes, name: str) -> None:
    """Refuse objects with so many different names that a table with a column for each exceeds the limit."""
    if content.count(b"{") * content.count(b":") * CELL <= limit(len(content)):
        return
    rows, names = 0, set[str]()
    try:
        lines = content.splitlines() if content.lstrip()[:1] != b"[" else ()
        for row in (json.loads(line) for line in lines if line.strip()) if lines else json.loads(content):
            rows += 1
            names |= row.keys() if isinstance(row, dict) else set()
    except (ValueError, RecursionError):
        return  # corrupt: reading it raises the error
    check_cells(rows, len(names), len(content), name)


def check_values(content: bytes, what: str) -> bytes:
    """Return the JSON of a saved run, unless reading it could take more memory than twice its size and 50 MB.

    >>> check_values(b"[" + b"{}," * 10**6 + b"0]", "config.json")
    Traceback (most recent call last):
    ...
    chainrule.files.values.ModelFileError: config.json is larger than any file that chainrule writes.
    """
    wide = 1 if content.isascii() else 4 if re.search(b"[\xf0-\xff]", content) else 2  # bytes per character
    parts = JSON_PARTS | {b",": 72 if wide == 1 else 96}
    values = sum(content.count(mark) * size for mark, size in parts.items())
    fits = max((2 * wide + 1) * len(content), (wide + 1) * len(content) + values) <= 2 * len(content) + ROOM
    names = set[bytes]()
    for match in NAME.finditer(content) if fits else ():
        if match[2] and len(names) <= MOST_NAMES:
            names.add(match[1])
    if not fits or len(names) > MOST_NAMES:
        raise ModelFileError(f"{what} is larger than any file that chainrule writes.")
    return content


# ---------------------------------------------------------------- NumPy


def load_numpy(content: bytes, name: str) -> dict[str, Any]:
    """Return the arrays in the content of a ``.npz`` or ``.npy`` file by name; that of ``.npy`` is called "column".

    Raises
    ------
    ValueError
        If the content is corrupt, differs in size from its headers, or holds Python objects.
    """
    try:
        check_numpy(content, name)
        found = np.load(io.BytesIO(content), allow_pickle=False)  # a pickle could run any code
        return {"column": found} if isinstance(found, np.ndarray) else {key: found[key] for key in found.files}
    except TooLargeError:
        raise
    except BROKEN as error:
        raise numpy_error(name, error) from None


def numpy_error(name: str, error: Exception) -> ValueError:
    """Return the error for a corrupt NumPy file."""
    why = OBJECTS if "allow_pickle" in str(error) else shown(error).rstrip(".")
    return ValueError(f"{name} cannot be read as a NumPy file: {why}.")


def check_numpy(content: bytes, name: str) -> None:
    """Refuse arrays that differ in size from their headers, exceed the limit, or have items of zero bytes.

    NumPy allocates the memory that a header declares before it reads any data.
    """
    if content.startswith(b"\x93NUMPY"):
        numpy_header(io.BytesIO(content), len(content))
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        check(sum(entry.file_size for entry in entries), len(content), name)
        for entry in entries:
            with archive.open(entry) as file:
                numpy_header(file, entry.file_size)


class NumpyHeader(NamedTuple):
    """The shape of an array in a file, whether it is stored in the order of columns, and the type of its items."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]


def numpy_header(file: Any, size: int) -> NumpyHeader:
    """Return the header of an array, and leave the file at its first item; refuse one that differs from its size."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"unknown header version {version}")
    head = NumpyHeader(*read[version](file))
    shape, _, dtype = head
    if dtype.hasobject:
        return head  # which is refused by its reader
    if not dtype.itemsize or any(not dtype[i].itemsize for i in range(len(dtype.names or ()))):
        raise ValueError("its items have zero bytes")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"its header declares the shape {shape}, which does not match its size")
    return head
