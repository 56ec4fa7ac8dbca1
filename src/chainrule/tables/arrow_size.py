"""The size of an Arrow file in memory, by the headers of its messages.

Headers are FlatBuffers tables, three of which are read here; a compressed buffer starts with its unpacked size.

Sources: https://arrow.apache.org/docs/format/Columnar.html, "Serialization and interprocess communication";
https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct

MARK = b"\xff\xff\xff\xff"
DICTIONARIES, BATCH = 2, 3  # types of messages with buffers
BLOCK, BUFFER = 24, 16  # bytes of a structure


def arrow_size(content: bytes) -> int:
    """Return the unpacked bytes of the buffers in an Arrow file or stream.

    Raises
    ------
    LookupError, struct.error
        If the file is corrupt.
    """
    return sum(_message(content, at)[1] for at in _messages(content))


def _messages(content: bytes) -> list[int]:
    """Return the offsets of the messages: listed in the footer of a file, consecutive in a stream."""
    if content.startswith(b"ARROW1"):
        length = _number(content, len(content) - 10, "<i")
        footer = _Table(content, len(content) - 10 - length)
        blocks = [*footer.vector(2, BLOCK), *footer.vector(3, BLOCK)]
        return [_number(content, at, "<q") for at in blocks]
    found, at = [], 0
    while content[at : at + 4] == MARK and _number(content, at + 4, "<i") > 0:
        found.append(at)
        at = _message(content, at)[0]
    return found


def _message(content: bytes, at: int) -> tuple[int, int]:
    """Return the end of a message, and the unpacked bytes of its buffers."""
    start = at + (8 if content[at : at + 4] == MARK else 4)
    body = start + _number(content, start - 4, "<i")
    message = _Table(content, start)
    kind, end = message.number(1, "<B"), body + max(0, message.number(3, "<q"))
    if kind not in (DICTIONARIES, BATCH):
        return end, 0
    batch = message.table(2)
    if kind == DICTIONARIES:
        batch = batch.table(1)
    packed, size = bool(batch.place(3)), 0
    for buffer in batch.vector(2, BUFFER):
        offset, length = struct.unpack_from("<qq", content, buffer)
        unpacked = _number(content, body + offset, "<q") if packed and length >= 8 else -1
        size += max(length, unpacked)
    return end, max(size, batch.number(0, "<q"))


def _number(content: bytes, at: int, form: str) -> int:
    if at < 0:
        raise LookupError("beyond the start of the file")
    return int(struct.unpack_from(form, content, at)[0])


class _Table:
    """A FlatBuffers table: values at the offsets in its vtable."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content = content
        self.at = at + _number(content, at, "<I")
        self.places = self.at - _number(content, self.at, "<i")

    def place(self, field: int) -> int:
        """Return the offset of a field, or 0 if it is absent."""
        length = _number(self.content, self.places, "<H")
        offset = _number(self.content, self.places + 4 + 2 * field, "<H") if 4 + 2 * field < length else 0
        return self.at + offset if offset else 0

    def number(self, field: int, form: str) -> int:
        at = self.place(field)
        return _number(self.content, at, form) if at else 0

    def table(self, field: int) -> _Table:
        at = self.place(field)
        if not at:
            raise LookupError("a header without content")
        return _Table(self.content, at)

    def vector(self, field: int, size: int) -> range:
        """Return the offsets of the structures in a list."""
        at = self.place(field)
        if not at:
            return range(0)
        start = at + _number(self.content, at, "<I")
        count = _number(self.content, start, "<I")
        if start + 4 + count * size > len(self.content):
            raise LookupError("a list beyond the end of the file")
        return range(start + 4, start + 4 + count * size, size)
