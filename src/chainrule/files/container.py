"""Files that cannot harm: what all of chainrule's files share, whatever they hold.

A file is one safetensors file. Its arrays are the tensors; all else is a description, JSON under the key ``chainrule``
of the header's metadata. Reading executes nothing and imports nothing, looks at everything before it allocates, and
ends in a :class:`ModelFileError` wherever a file is not what it should be. Writing leaves a whole file, the old or the
new.

The reading is written out here instead of left to the safetensors package because that maps the file into memory: a
file that another process cuts short meanwhile would end this one. Here header and arrays come from one open file.

Source of the format: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule._version import __version__
from chainrule.files.values import ModelFileError, check_fields, check_texts, check_whole, parse, shown
from chainrule.files.writing import write_atomically

FORMAT = 2
KEY = "chainrule"
LARGEST_HEADER = 2**21  # bytes, and
MOST_BRACKETS = 50_000  # that open: JSON with no more of either takes 50 MB as Python objects, and half a second
DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}
FOREIGN = {
    b"\x80": "a pickle, which could run any code",
    b"PK": "a zip archive (perhaps .npz, .pt or .keras)",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"\x89HDF": "an HDF5 file (perhaps .h5)",
    b"\x1f\x8b": "a gzip file",
    b"x\x9c": "compressed by zlib (perhaps a pickle by joblib)",
    b"\x08": "perhaps an ONNX model",
}


class Tensor(NamedTuple):
    """One array of a file: where its bytes lie, counted from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class Header(NamedTuple):
    """All of a file but the numbers of its arrays.

    ``kind`` says what it holds (``network``, ``MLPClassifier``, ...), ``description`` has the fields of that kind, not
    checked yet, ``metadata`` the user's texts.
    """

    format: int
    kind: str
    version: str
    metadata: dict[str, str]
    description: dict[str, Any]
    tensors: dict[str, Tensor]


# ---------------------------------------------------------------- reading


@contextmanager
def opened(path: str | os.PathLike[str], expected: str) -> Iterator[BinaryIO]:
    """Open a file to read from, and put its name before every :class:`ModelFileError` of the block.

    ``expected`` says what the file should be, for messages: "a network saved by chainrule".
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            inside = path / "model.safetensors"
            hint = f" Did you mean {inside}?" if inside.exists() else ""
            raise IsADirectoryError(f"{path} is a folder; {expected} was expected.{hint}")
        if not stat.S_ISREG(mode):
            raise ModelFileError(f"{path} is a pipe or a device; {expected} was expected.")
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path}: there is no such file; {expected} was expected.") from None
    except PermissionError:
        raise PermissionError(f"{path} may not be read by this user; {expected} was expected.") from None
    with file:
        try:
            yield file
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error.__cause__
        except (RecursionError, MemoryError) as error:
            raise ModelFileError(f"{path}: too deep or too large to be read ({type(error).__name__}).") from None


def read_header(file: BinaryIO, expected: str) -> Header:
    """Return the header of a file, after checks of all that does not depend on its kind.

    The arrays fill the rest of the file without gap or overlap, so that none is larger than the file; names are text
    and come once; numbers are finite.
    """
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise ModelFileError(f"the file is empty; {expected} was expected.")
    start = file.read(16)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 10 or not 2 <= length <= min(size - 8, LARGEST_HEADER):
        raise ModelFileError(f"{_guess(start, length)}; {expected} was expected.")
    file.seek(8)
    raw = file.read(length)
    if _brackets(raw) > MOST_BRACKETS:
        raise ModelFileError(f"its header has more parts than any that chainrule writes; {expected} was expected.")
    header = parse(raw, "the header")
    metadata = header.pop("__metadata__", None)
    text = metadata.get(KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelFileError(f"a safetensors file, but of another tool; {expected} was expected.")
    tensors = _tensors(header, 8 + length, size)
    return _described(parse(text, "the description"), tensors)


def read_array(file: BinaryIO, tensor: Tensor) -> Array:
    """Return the numbers of one array."""
    file.seek(tensor.start)
    content = file.read(tensor.end - tensor.start)
    if len(content) != tensor.end - tensor.start:
        raise ModelFileError("cut short while it was read. Use another copy of the file.")
    return np.frombuffer(content, DTYPES[tensor.dtype]).reshape(tensor.shape)


def _brackets(raw: bytes) -> int:
    return raw.count(b"[") + raw.count(b"{")


def _guess(start: bytes, length: int) -> str:
    if start[8:9] == b"{" and length > LARGEST_HEADER:
        return f"its header of {length} bytes is larger than any that chainrule writes"
    for magic, name in FOREIGN.items():
        if start.startswith(magic):
            return f"it is {name}"
    if start.isascii() and start.decode().replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
        return "it is a text, or a damaged file"
    return "it is damaged, cut short, or of another kind"


def _tensors(header: Mapping[str, Any], start: int, size: int) -> dict[str, Tensor]:
    """Return the arrays of the header in the order of their bytes, which must fill the file."""
    tensors = {name: _tensor(name, entry, start) for name, entry in header.items()}
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)))
    position = start
    for name, tensor in ordered.items():
        if tensor.start != position:
            raise ModelFileError(f"damaged: the array {shown(name)} does not begin where the one before it ends.")
        position = tensor.end
    if position != size:
        what = (
            "cut short: its arrays are not all there" if position > size else "damaged: there is more behind its arrays"
        )
        raise ModelFileError(f"{what}. Use another copy of the file.")
    return ordered


def _tensor(name: str, entry: Any, start: int) -> Tensor:
    what = f"the array {shown(name)}"
    check_texts(what, [name])
    entry = check_fields(what, entry, {"dtype", "shape", "data_offsets"})
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelFileError(f"{what} has the type {shown(dtype)}; {', '.join(DTYPES)} were expected.")
    if not isinstance(shape, list) or len(shape) > 32 or not isinstance(offsets, list) or len(offsets) != 2:
        raise ModelFileError(f"{what} cannot be read: shape {shown(shape)}, offsets {shown(offsets)}.")
    sizes = tuple(check_whole(f"the shape of {what}", n) for n in shape)
    begin, end = (check_whole(f"the place of {what}", n) for n in offsets)
    if end - begin != math.prod(sizes) * DTYPES[dtype].itemsize:
        raise ModelFileError(f"damaged: the place of {what} has not the size of its shape {shown(sizes)}.")
    return Tensor(dtype, sizes, start + begin, start + end)


def _described(description: dict[str, Any], tensors: dict[str, Tensor]) -> Header:
    version = description.pop("version", None)
    number = description.pop("format", None)
    metadata = description.pop("metadata", None)
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= FORMAT:
        raise ModelFileError(
            f"it has format {shown(number)}, written by chainrule {shown(version)}; this version reads the formats "
            f"up to {FORMAT}. Upgrade: pip install -U chainrule"
        )
    kind = "network" if number == 1 else description.pop("kind", None)
    if number == 1:  # had networks only, their fields beside the others, and no seed
        description = {"network": {"seed": None, **description}}
    if not isinstance(kind, str) or not isinstance(version, str) or not isinstance(metadata, dict):
        raise ModelFileError("the description has missing or unreadable fields: kind, version or metadata.")
    check_texts("the description", [kind, version])
    check_texts("the metadata", [*metadata, *metadata.values()])
    return Header(number, kind, version, metadata, description, tensors)


# ---------------------------------------------------------------- writing


def _check_encodable(value: Any) -> None:
    """Refuse a text that no reader could take: a half of a surrogate pair has no UTF-8."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"save: {shown(value)} has half of a surrogate pair in it, which no file can hold: was it read with "
                "the wrong encoding?"
            ) from None
    elif isinstance(value, Mapping):
        for part in (*value, *value.values()):
            _check_encodable(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _check_encodable(part)


def write_file(
    path: str | os.PathLike[str],
    kind: str,
    description: Mapping[str, Any],
    arrays: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
    *,
    overwrite: bool = False,
    follow: bool = True,
) -> None:
    """Write a file that :func:`read_header` reads; ``follow`` a link or replace it.

    Raises
    ------
    FileExistsError
        When there is a file and ``overwrite`` is false.
    TypeError, ValueError
        When the description is no JSON, the metadata no texts, or both together too long.
    """
    from safetensors.numpy import save as to_bytes  # noqa: PLC0415  (reading does without)

    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a file was expected, such as {path / 'model.safetensors'}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already: choose another name, or pass overwrite=True to replace it.")
    texts = dict(metadata or {})
    try:
        check_texts("the metadata", [*texts, *texts.values()])
    except ModelFileError as error:
        raise TypeError(f"save: {error} Give a dictionary of texts, for example by json.dumps.") from None
    _check_encodable(description)
    about = {"format": FORMAT, "kind": kind, "version": __version__, **description, "metadata": texts}
    content = to_bytes(dict(arrays), {KEY: json.dumps(about, allow_nan=False)})
    length = int.from_bytes(content[:8], "little")
    if length > LARGEST_HEADER or _brackets(content[8 : 8 + length]) > MOST_BRACKETS:
        raise ValueError(
            f"save: all that is not parameters takes {length} bytes, and a file holds {LARGEST_HEADER} (and "
            f"{MOST_BRACKETS} opening brackets): too much metadata, or too many layers, columns or classes."
        )
    write_atomically(path, content, follow=follow)
