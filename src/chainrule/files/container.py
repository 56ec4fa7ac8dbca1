"""Safe model files: the parts of the format that all of chainrule's files share.

A file is one safetensors file. Its arrays are the tensors; everything else is a JSON description under the key
``chainrule`` of the header's metadata. Reading executes no code, imports nothing, validates everything before it
allocates, and raises :class:`ModelFileError` for any invalid file. Writing is atomic: it leaves either the old file or
the complete new one.

Files are not read with the safetensors package because it maps them into memory: if another process truncated a file
meanwhile, this process would crash. Here header and arrays are read from one open file.

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
MOST_BRACKETS = 50_000  # opening brackets: JSON within both limits takes 50 MB as Python objects, and half a second
DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8"),
                                         "U8": np.dtype("u1")}  # fmt: skip
TABLE = "table."  # how the names of the arrays begin that prepare a table for the network; the rest ignores them
FOREIGN = {
    b"\x80": "a pickle, which could run arbitrary code",
    b"PK": "a zip archive (perhaps .npz, .pt or .keras)",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"\x89HDF": "an HDF5 file (perhaps .h5)",
    b"\x1f\x8b": "a gzip file",
    b"x\x9c": "compressed with zlib (perhaps a pickle written by joblib)",
    b"\x08": "perhaps an ONNX model",
}


class Tensor(NamedTuple):
    """One array of a file, with the offset of its bytes from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class Header(NamedTuple):
    """Everything in a file except the values of its arrays.

    ``kind`` is the type of content (``network``, ``MLPClassifier``, ...), ``description`` has the fields of that kind,
    not yet validated, and ``metadata`` the user's strings.
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
    """Open a file for reading, and prefix every :class:`ModelFileError` of the block with its name.

    ``expected`` describes the expected file in messages: "a network saved by chainrule".
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
        raise FileNotFoundError(f"{path}: no such file; {expected} was expected.") from None
    except PermissionError:
        raise PermissionError(f"{path}: permission denied; {expected} was expected.") from None
    with file:
        try:
            yield file
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error.__cause__
        except (RecursionError, MemoryError) as error:
            raise ModelFileError(f"{path}: too deeply nested or too large to read ({type(error).__name__}).") from None


def read_header(file: BinaryIO, expected: str) -> Header:
    """Return the header of a file, after all checks that do not depend on its kind.

    The arrays fill the rest of the file without gaps or overlaps, so none is larger than the file; names are unique
    strings; numbers are finite.
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
        raise ModelFileError(f"its header has more parts than chainrule ever writes; {expected} was expected.")
    header = parse(raw, "the header")
    metadata = header.pop("__metadata__", None)
    text = metadata.get(KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelFileError(f"a safetensors file, but written by another tool; {expected} was expected.")
    tensors = _tensors(header, 8 + length, size)
    return _described(parse(text, "the description"), tensors)


def read_array(file: BinaryIO, tensor: Tensor) -> Array:
    """Return the values of one array."""
    file.seek(tensor.start)
    content = file.read(tensor.end - tensor.start)
    if len(content) != tensor.end - tensor.start:
        raise ModelFileError("truncated while it was read. Use another copy of the file.")
    return np.frombuffer(content, DTYPES[tensor.dtype]).reshape(tensor.shape)


def has_table(path: str | os.PathLike[str], expected: str) -> bool:
    """Return whether a model file also prepares the rows of a table; ``expected`` is as for :func:`opened`."""
    with opened(path, expected) as file:
        return TABLE in read_header(file, expected).tensors


def without_table(header: Header) -> Header:
    """Return a header without the arrays that prepare a table."""
    return header._replace(tensors={name: t for name, t in header.tensors.items() if not name.startswith(TABLE)})


def _brackets(raw: bytes) -> int:
    return raw.count(b"[") + raw.count(b"{")


def _guess(start: bytes, length: int) -> str:
    if start[8:9] == b"{" and length > LARGEST_HEADER:
        return f"its header of {length} bytes is larger than chainrule ever writes"
    for magic, name in FOREIGN.items():
        if start.startswith(magic):
            return f"it is {name}"
    if start.isascii() and start.decode().replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
        return "it is a text file, or corrupt"
    return "it is corrupt, truncated, or of another kind"


def _tensors(header: Mapping[str, Any], start: int, size: int) -> dict[str, Tensor]:
    """Return the arrays of the header in the order of their bytes. They must fill the file."""
    tensors = {name: _tensor(name, entry, start) for name, entry in header.items()}
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)))
    position = start
    for name, tensor in ordered.items():
        if tensor.start != position:
            raise ModelFileError(f"corrupt: the array {shown(name)} does not begin where the previous one ends.")
        position = tensor.end
    if position != size:
        what = "truncated: some of its arrays are missing" if position > size else "corrupt: data after its last array"
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
    begin, end = (check_whole(f"the offset of {what}", n) for n in offsets)
    if end - begin != math.prod(sizes) * DTYPES[dtype].itemsize:
        raise ModelFileError(f"corrupt: the offsets of {what} do not match its shape {shown(sizes)}.")
    return Tensor(dtype, sizes, start + begin, start + end)


def _described(description: dict[str, Any], tensors: dict[str, Tensor]) -> Header:
    version = description.pop("version", None)
    number = description.pop("format", None)
    metadata = description.pop("metadata", None)
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= FORMAT:
        raise ModelFileError(
            f"it has format {shown(number)}, written by chainrule {shown(version)}; this version reads formats "
            f"up to {FORMAT}. Install a newer chainrule."
        )
    kind = "network" if number == 1 else description.pop("kind", None)
    if number == 1:  # networks only, with their fields next to the others, and no seed
        description = {"network": {"seed": None, **description}}
    if not isinstance(kind, str) or not isinstance(version, str) or not isinstance(metadata, dict):
        raise ModelFileError("the description has missing or unreadable fields: kind, version or metadata.")
    check_texts("the description", [kind, version])
    check_texts("the metadata", [*metadata, *metadata.values()])
    return Header(number, kind, version, metadata, description, tensors)


# ---------------------------------------------------------------- writing


def _check_encodable(value: Any) -> None:
    """Raise an error for strings that have no UTF-8 encoding: they contain half of a surrogate pair."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"save: {shown(value)} contains half of a surrogate pair, which cannot be saved. Was it read with the "
                "wrong encoding?"
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
    """Write a file for :func:`read_header`; ``follow`` a link or replace it.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is false.
    TypeError, ValueError
        If the description is not JSON, the metadata are not strings, or both together are too long.
    """
    from safetensors.numpy import save as to_bytes  # noqa: PLC0415  (start-up time: reading does not need it)

    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a file was expected, such as {path / 'model.safetensors'}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} already exists: choose another name, or pass overwrite=True to replace it.")
    texts = dict(metadata or {})
    try:
        check_texts("the metadata", [*texts, *texts.values()])
    except ModelFileError as error:
        raise TypeError(f"save: {error} Give a dictionary of strings, for example from json.dumps.") from None
    _check_encodable(description)
    about = {"format": FORMAT, "kind": kind, "version": __version__, **description, "metadata": texts}
    content = to_bytes(dict(arrays), {KEY: json.dumps(about, allow_nan=False)})
    length = int.from_bytes(content[:8], "little")
    if length > LARGEST_HEADER or _brackets(content[8 : 8 + length]) > MOST_BRACKETS:
        raise ValueError(
            f"save: the description takes {length} bytes, but a file holds at most {LARGEST_HEADER} (and "
            f"{MOST_BRACKETS} opening brackets): too much metadata, or too many layers, columns or classes."
        )
    write_atomically(path, content, follow=follow)
