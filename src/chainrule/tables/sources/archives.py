"""Packed files: gzip, zstd, bzip2 and xz, and the one table in a zip archive, all within the limit on memory."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chainrule._internal.names import did_you_mean
from chainrule.tables import unpacking
from chainrule.tables._polars import pl
from chainrule.tables.formats import ENDINGS, ending

MAGIC = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd",
         b"BZh": "bzip2", b"\xfd7zXZ": "xz"}  # fmt: skip
DEEPEST = 3  # such as a .csv.gz in a zip archive
LISTED = 10  # members in an error
PART = 2**16  # bytes
XZ_MEMORY = 2**28  # bytes of a decompressor; xz -9 needs 65 MiB


def packed_by(content: bytes) -> str:
    """Return the compression of a file by its first bytes, or ""; a workbook and a NumPy file are not archives.

    >>> packed_by(b"BZh91AY")
    'bzip2'
    """
    found = next((name for magic, name in MAGIC.items() if content.startswith(magic)), "")
    return "" if found == "zip" and kind_of_zip(content) != "zip" else found


def kind_of_zip(content: bytes) -> str:
    """Return "Excel", "NumPy" or "zip" for the content of a zip file, by the names in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except unpacking.BROKEN:
        head = content[:4096]
        return "Excel" if b"xl/" in head or b"[Content_Types].xml" in head else "NumPy" if b".npy" in head else "zip"
    if any(name.startswith("xl/") for name in names):
        return "Excel"
    return "NumPy" if names and all(name.endswith(".npy") for name in names) else "zip"


def unpacked(content: bytes, name: str, packed: str, member: str = "") -> tuple[bytes, str, list[str]]:
    """Return the content of a file that may be packed, the name of the table in it, and notes.

    Parameters
    ----------
    content : bytes
    name : str
        Of the file, in errors.
    packed : str
        What its ending says, or "".
    member : str
        The wanted member of a zip archive; by default its only table.

    Raises
    ------
    ValueError
        If the file is corrupt, encrypted or too large, or an archive does not have one table.
    """
    size, notes, inner = len(content), list[str](), name
    if member and packed_by(content) != "zip":
        raise ValueError(f"{name} is not a zip archive, so it has no {member}.")
    for _ in range(DEEPEST):
        found = packed_by(content)
        if packed and packed != found:
            raise ValueError(f"{inner} is not packed by {packed}, as its ending says: rename it.")
        packed = ""
        if not found:
            break
        try:
            if found == "zip":
                content, inside = _member(content, size, inner, member)
                notes.append(f"{inside} in a zip archive")
                inner = f"{inner}/{inside}"
            else:
                content = _zstd(content, name) if found == "zstd" else b"".join(_parts(found, content, size, name))
                notes.append(f"packed by {found}")
        except (unpacking.TooLargeError, RefusedError):
            raise
        except Exception as error:  # noqa: BLE001  (those of gzip, zlib, bz2, lzma, zipfile and polars)
            raise ValueError(f"{name} is corrupt: it cannot be unpacked by {found} ({error}).") from None
    return content, inner, notes


class RefusedError(ValueError):
    """Raised when an archive does not have one table that can be read, though it is not corrupt."""


def _parts(packed: str, content: bytes, size: int, name: str) -> Iterator[bytes]:
    """Yield the parts of a file as they are unpacked, up to the limit for a file of ``size`` bytes."""
    if packed == "gzip":
        yield from unpacking.gunzipped(io.BytesIO(content), size, name)
        return
    makers: dict[str, Callable[[], Any]] = {
        "bzip2": bz2.BZ2Decompressor,
        "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY),
    }
    total = 0
    while content:  # several streams may follow each other
        stream = makers[packed]()
        while not stream.eof:
            part = stream.decompress(content, PART)
            content = b""
            total += len(part)
            unpacking.check(total, size, name)
            if not part and stream.needs_input and not stream.eof:
                raise EOFError("it ends too early")
            yield part
        content = stream.unused_data.lstrip(b"\0")


def _zstd(content: bytes, name: str) -> bytes:
    unpacking.check_zstd(content, name)
    lines = pl.read_csv(content, has_header=False, separator="\x1f", quote_char=None, schema={"line": pl.String})
    return "\n".join(line or "" for line in lines["line"]).encode()


def _member(content: bytes, size: int, name: str, member: str) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {entry.filename: entry for entry in archive.infolist() if _may_be_table(entry)}
        tables = [inside for inside in files if ending(Path(inside))[0] in ENDINGS]
        tables = tables or ([*files] if len(files) == 1 else [])
        wanted = member or (tables[0] if len(tables) == 1 else "")
        if wanted not in files:
            raise RefusedError(_which(name, member, tables))
        entry = files[wanted]
        if entry.flag_bits & 1:
            raise RefusedError(
                f"{name}/{wanted} is encrypted: unpack the archive with its password, and give the table."
            )
        unpacking.check(entry.file_size, size, name)
        with archive.open(entry) as file:
            return b"".join(unpacking.parts(file, size, name)), wanted


def _may_be_table(entry: zipfile.ZipInfo) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in entry.filename.split("/"))
    return not entry.is_dir() and not hidden


def _which(name: str, member: str, tables: list[str]) -> str:
    if not tables:
        return f"{name} is a zip archive without a table: expected a .csv, .parquet or the like in it."
    if member:
        return f"{name} has no {member}. {did_you_mean(member, tables).replace('Known:', 'It has:')}"
    listed = ", ".join(tables[:LISTED]) + (f" and {len(tables) - LISTED:,} more" if len(tables) > LISTED else "")
    return f"{name} is a zip archive with {len(tables):,} tables: name one, as in {name}/{tables[0]}. It has: {listed}."
