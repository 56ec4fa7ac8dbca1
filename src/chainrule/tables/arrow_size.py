"""How large an Arrow file becomes in memory, by what the headers of its messages say.

Headers are tables of FlatBuffers, of which three are looked at; a compressed buffer begins with the number of its bytes
when it is unpacked.

Sources: https://arrow.apache.org/docs/format/Columnar.html, "Serialization and interprocess communication";
https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct

MARK = b"\xff\xff\xff\xff"
DICTIONARIES, BATCH = 2, 3  # kinds of messages that have buffers
BLOCK, BUFFER = 24, 16  # bytes of a structure

__all__ = ["arrow_size"]


def arrow_size(content: bytes) -> int:
    """Return how many bytes the buffers of an Arrow file or stream become.

    Raises
    ------
    LookupError, struct.error
        When the file is damaged.
    """
    return sum(_message(content, at)[1] for at in _messages(content))


def _messages(content: bytes) -> list[int]:
    """Return where the messages begin: in a file as its footer says, in a stream one after another."""
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
    """Return where a message ends, and what its buffers become."""
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
        raise LookupError("it does not fit into the file")
    return int(struct.unpack_from(form, content, at)[0])


class _Table:
    """A table of FlatBuffers: numbers at the places that its list of places says."""

    def __init__(self, content: bytes, at: int, *, root: bool = True) -> None:
        self.content = content
        self.at = at + _number(content, at, "<I") if root else at
        self.places = self.at - _number(content, self.at, "<i")

    def place(self, field: int) -> int:
        """Return where a field is, 0 where it is left out."""
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
        """Return where the structures of a list begin."""
        at = self.place(field)
        if not at:
            return range(0)
        start = at + _number(self.content, at, "<I")
        count = _number(self.content, start, "<I")
        if start + 4 + count * size > len(self.content):
            raise LookupError("a list that does not fit into the file")
        return range(start + 4, start + 4 + count * size, size)
