"""The memory that the sheets of an Excel workbook take: a few bytes may stand for many rows, or for one long text."""

from __future__ import annotations

import io
import re
import sys
import zipfile
import zlib
from collections import Counter
from typing import Any
from xml.parsers import expat

CELL, VALUE = 32, 24  # bytes of a cell in the list that a sheet is read to, and in the table made of it
PART = 2**20  # bytes
MOST_PARTS = 100_000
PLACE = re.compile(r"([A-Z]{1,3})(\d{1,10})")


def unpacked_size(content: bytes, most: int) -> int:
    """Return the true size of all files in a zip archive, or the first size above ``most``.

    The sizes in its directory may be wrong, and not every reader stops there.
    """
    total = 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_PARTS:
            raise ValueError(f"it has {len(entries):,} parts")
        for entry in entries:
            start = entry.header_offset
            name, extra = (int.from_bytes(content[start + at : start + at + 2], "little") for at in (26, 28))
            packed = memoryview(content)[start + 30 + name + extra :][: entry.compress_size]
            if entry.compress_type == zipfile.ZIP_STORED:
                total += len(packed)
            elif entry.compress_type == zipfile.ZIP_DEFLATED:
                stream, given = zlib.decompressobj(-15), bytes(packed)
                while given and not stream.eof and total <= most:
                    total += len(stream.decompress(given, PART))
                    given = stream.unconsumed_tail
            else:
                raise ValueError("it is packed in an unknown way")
            if total > most:
                return total
    return total


def sheet_sizes(content: bytes, most: int = 0) -> int:
    """Return the bytes of memory that the largest sheet of a workbook takes once it is read.

    If a bound of it that is found quickly is no more than ``most``, that bound is returned.

    Raises
    ------
    ValueError
        If its XML is not well-formed.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [archive.read(entry) for entry in archive.infolist()]
    texts = [part for part in parts if b"sst" in part[:2000]]
    sheets = [part for part in parts if b"sheetData" in part]
    longest = max((len(text) for part in texts for text in re.split(rb"<(?:\w+:)?si\b", part)), default=0)
    bounds = [_bound(part, longest) for part in sheets]
    if all(bound <= most for bound in bounds):
        return max(bounds, default=0)
    lengths = [length for part in texts for length in _lengths(part)]
    return max(_Sheet(part).bytes(lengths) for part in sheets)


def _bound(xml: bytes, longest: int) -> int:
    """Return a bound on the memory of a sheet; the largest integer unless each cell begins with its place."""
    cells = re.findall(rb'<(?:\w+:)?c\s+r="([A-Z]{1,3})(\d{1,10})"', xml)
    if b"<!" in xml or len(cells) != len(re.findall(rb"<(?:\w+:)?c\b", xml)):
        return sys.maxsize
    columns = max((_column(name.decode()) for name in {name for name, _ in cells}), default=0)
    rows = max((int(row) for row in {row for _, row in cells}), default=0)
    return (CELL + longest) * len(cells) + VALUE * rows * columns


def _column(letters: str) -> int:
    """Return the number of a column.

    >>> _column("A"), _column("XFD")
    (1, 16384)
    """
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number


class _Sheet:
    """The cells of a sheet: their number, the rectangle that they span, and the shared texts that they refer to."""

    def __init__(self, xml: bytes) -> None:
        self.cells, self.rows, self.columns = 0, 0, 0
        self.texts: Counter[str] = Counter()
        self._shared, self._value = False, ""
        _parse(xml, self._start, self._end, self._text)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if local == "c":
            self.cells += 1
            self._shared = attributes.get("t") == "s"
            if found := PLACE.fullmatch(attributes.get("r", "")):
                self.columns, self.rows = max(self.columns, _column(found[1])), max(self.rows, int(found[2]))
        elif local == "v":
            self._value = ""

    def _text(self, text: str) -> None:
        if self._shared:
            self._value += text[:20]

    def _end(self, name: str) -> None:
        if self._shared and name.rpartition(":")[2] == "v":
            self.texts[self._value] += 1

    def bytes(self, lengths: list[int]) -> int:
        texts = sum(
            count * lengths[int(text)]
            for text, count in self.texts.items()
            if text.isascii() and text.isdigit() and int(text) < len(lengths)
        )
        return CELL * self.cells + VALUE * self.rows * self.columns + texts


def _lengths(xml: bytes) -> list[int]:
    """Return the length of each shared text."""
    found: list[int] = []

    def start(name: str, _: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "si":
            found.append(0)

    def text(part: str) -> None:
        if found:
            found[-1] += len(part)

    _parse(xml, start, lambda _: None, text)
    return found


def _parse(xml: bytes, start: Any, end: Any, text: Any) -> None:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = _refused
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from None


def _refused(*_: Any) -> None:
    raise ValueError("it declares a type of document")
