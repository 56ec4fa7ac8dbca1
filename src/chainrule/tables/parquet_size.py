"""The size of a Parquet file in memory, by its footer and the headers of its pages.

Both are structures in the compact protocol of Apache Thrift, for which a short reader is enough.

Sources: https://parquet.apache.org/docs/file-format/, parquet.thrift, Encodings.md;
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

WIDTHS = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8, 6: 16}  # bytes of a value by its physical type; texts are views
PREFIXES = 7  # the encoding DELTA_BYTE_ARRAY, in which a value may repeat any part of the one before it
DEEPEST, LONGEST = 20, 2**24


def parquet_size(content: bytes) -> int:
    """Return the bytes that a file takes: those of its unpacked pages or of its values, whichever is more.

    Raises
    ------
    LookupError, TypeError
        If the file is corrupt.
    """
    length = int.from_bytes(content[-8:-4], "little")
    footer = _Reader(content, len(content) - 8 - length).struct()
    lengths = [element.get(2, 0) for element in footer[2] if 1 in element]  # of types of fixed length, by column
    size = 0
    for group in footer[4]:
        for chunk, length in zip(group[1], lengths, strict=False):
            meta = chunk[3]
            values = max(meta[5], group[3]) * WIDTHS.get(meta[1], length)
            size += max(values, meta[6], _pages(content, meta))
    return size


def _pages(content: bytes, meta: dict[int, Any]) -> int:
    """Return the unpacked bytes of the pages of a column chunk: with shared prefixes, those of the longest values."""
    at = min(meta[9], meta.get(11) or meta[9])
    stop, size = at + meta[7], 0
    while at < stop:
        reader = _Reader(content, at)
        page = reader.struct()
        header, encoding = (page[8], 4) if 8 in page else (page.get(5, {1: 1, 2: 0}), 2)
        size += page[2] * (max(1, header[1]) if header[encoding] == PREFIXES else 1)
        at = reader.at + max(page[3], 0)
    return size


class _Reader:
    """Reads a structure as a dictionary of its fields by number."""

    def __init__(self, content: bytes, at: int) -> None:
        if at < 0:
            raise LookupError("beyond the start of the file")
        self.content, self.at = content, at

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > DEEPEST:
            raise LookupError("too deep")
        fields: dict[int, Any] = {}
        number = 0
        while byte := self._byte():
            number = number + (byte >> 4) if byte >> 4 else _signed(self._varint())
            kind = byte & 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 70:
                raise LookupError("a number that is too long")

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return _signed(self._varint())
        if kind == 7:
            self.at += 8
            return None
        if kind == 8:
            length = self._varint()
            self.at += length
            return None
        if kind in (9, 10):
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            if count > min(LONGEST, len(self.content)):
                raise LookupError("a list that is too long")
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind == 12:
            return self.struct(depth + 1)
        raise LookupError(f"unknown field type {kind}")


def _signed(number: int) -> int:
    return number >> 1 ^ -(number & 1)
