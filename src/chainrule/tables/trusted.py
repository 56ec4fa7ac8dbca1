"""Loading a pipeline from a skops file, from which only the types listed here are built.

The skops package does not read it: it trusts every estimator of scikit-learn, and takes more than ten times the size of
a description in memory. Here, each part is checked and built as soon as its end is read, and every byte that it takes
is counted. The types are those of the pipelines from :func:`chainrule.tables.preparation.preparation`. A file that
names any other type, or another way to build one, is rejected.

Source of the format: https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

import io
import json
import math
import re
import sys
import zipfile
from collections.abc import Iterator
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.files.values import ModelFileError, shown

SCALARS = ("numpy.bool", "numpy.float64", "numpy.int64")
PAIRS: dict[str, tuple[str, ...]] = {
    "DTypeNode": ("numpy.dtype",),
    "DictNode": ("builtins.dict",),
    "JsonNode": ("builtins.str",),
    "ListNode": ("builtins.list",),
    "NdArrayNode": ("numpy.ndarray", *SCALARS),
    "ObjectNode": (
        "chainrule.tables.positive.PositiveTarget",
        "sklearn.compose._column_transformer.ColumnTransformer",
        "sklearn.compose._target.TransformedTargetRegressor",
        "sklearn.decomposition._truncated_svd.TruncatedSVD",
        "sklearn.feature_extraction.text.HashingVectorizer",
        "sklearn.feature_extraction.text.TfidfTransformer",
        "sklearn.impute._base.MissingIndicator",
        "sklearn.impute._base.SimpleImputer",
        "sklearn.model_selection._split.KFold",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.RobustScaler",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.preprocessing._function_transformer.FunctionTransformer",
        "sklearn.preprocessing._encoders.OneHotEncoder",
        "sklearn.preprocessing._target_encoder.TargetEncoder",
        "skrub._apply_to_cols.ApplyToCols",
        "skrub._apply_to_each_col.ApplyToEachCol",
        "skrub._datetime_encoder.DatetimeEncoder",
        "skrub._datetime_encoder._CircularEncoder",
        "skrub._squashing_scaler.SquashingScaler",
        "skrub._squashing_scaler._MinMaxScaler",
        "skrub.selectors._base.All",
    ),
    "SliceNode": ("builtins.slice",),
    "TupleNode": ("builtins.tuple",),
    "TypeNode": ("builtins.str", *SCALARS),
}
"""The loaders of skops that a file may name, and the types that each may build."""
PARTS: dict[str, Any] = {
    "DTypeNode": np.ndarray, "DictNode": dict, "JsonNode": str, "ListNode": list, "ObjectNode": dict | None,
    "SliceNode": dict, "TupleNode": list,
}  # fmt: skip
PROTOCOL = 2  # of skops, for the nodes above
DESCRIPTION = "schema.json"
ROOM = 2**25  # bytes beyond twice the file's size; with Python's own overhead, 50 MB
ENTRY, FILE = 100, 1000  # bytes counted for a dictionary entry, and for a file in the archive
MOST_FILES, DEEPEST = 2**15, 100  # 10,000 categorical columns need 2,000 and 40
LARGEST_ITEM = 2**12  # bytes per item of an empty text array
TOKEN = re.compile(rb"""[\s,:]*+("[^"\\]*+(?:\\.[^"\\]*+)*+"|[-+.\w]++|.)""", re.DOTALL)
"""A token of JSON. Commas and colons count as space, since the parts between them are checked."""


def load(file: BinaryIO | io.BytesIO) -> Any:
    """Return the object in a file, whose types are trusted and whose values are not.

    Loading takes at most twice the file's size plus 50 MB of memory.

    Raises
    ------
    ModelFileError
        If the file is damaged or not a skops file, names a type not in :data:`PAIRS`, or would take more memory.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from chainrule.tables.skops_files import dumps
    >>> load(io.BytesIO(dumps(StandardScaler())))
    StandardScaler()
    >>> load(io.BytesIO(b"import os"))
    Traceback (most recent call last):
    ...
    chainrule.files.values.ModelFileError: the pipeline is damaged or not a skops file (File is not a zip file).
    """
    file.seek(0)
    found = size = 0
    for part in iter(lambda: file.read(2**20), b""):
        found, size = found + part.count(b"PK\x01\x02"), size + len(part)
    if found > MOST_FILES:  # before they are listed
        raise ModelFileError("the pipeline contains more files than chainrule writes.")
    try:
        with zipfile.ZipFile(file) as archive:
            return _Reader(archive, size).whole()
    except (ModelFileError, ImportError):
        raise
    except Exception as error:  # noqa: BLE001  (zipfile, json, NumPy and scikit-learn raise anything)
        raise ModelFileError(f"the pipeline is damaged or not a skops file ({shown(error)}).") from None


class _Reader:
    """Builds the described object part by part, and counts the memory that it takes."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.archive, self.sizes = archive, _sizes(archive, size)
        text = archive.read(DESCRIPTION)
        del self.sizes[DESCRIPTION]
        self.room = 2 * size + ROOM - len(text) - FILE * len(self.sizes)
        self.tokens = (match[1] for match in TOKEN.finditer(text))
        self.protocol: Any = None

    def whole(self) -> Any:
        found = self._value(next(self.tokens), 0)
        if self.protocol != PROTOCOL or self.protocol is True:
            raise ModelFileError(
                f"the pipeline is damaged or from another version of skops (protocol {shown(self.protocol)})."
            )
        if next(self.tokens, b"").strip():
            raise ModelFileError("the pipeline is damaged: its description does not end where it should.")
        return found

    def _take(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise ModelFileError(
                "the pipeline would take more memory than twice its file size plus 50 MB, which chainrule never writes."
            )

    def _value(self, token: bytes, depth: int) -> Any:
        """Return the value that begins with a token."""
        if depth > DEEPEST:
            raise ModelFileError("the pipeline is nested more deeply than chainrule writes.")
        if token == b"{":
            return self._object(depth)
        if token == b"[":
            items: list[Any] = []
            self._take(sys.getsizeof(items))
            while (token := next(self.tokens)) != b"]":
                items.append(self._value(token, depth + 1))
                self._take(9)
            return items
        return self._plain(token)

    def _plain(self, text: bytes) -> Any:
        """Return a string, a number, true, false or null, each byte of which may become four."""
        self._take(4 * len(text))
        value = text[1:-1].decode() if text[:1] == b'"' and b"\\" not in text else json.loads(text)
        self.room += 4 * len(text)
        self._take(sys.getsizeof(value))
        return value

    def _object(self, depth: int) -> Any:
        """Return a dictionary, or the object built from it if it names a loader; only the result counts."""
        before, parts = self.room, 0
        found: dict[Any, Any] = {}
        self._take(sys.getsizeof(found))
        while (token := next(self.tokens)) != b"}":
            name, token, room = self._value(token, depth + 1), next(self.tokens), self.room
            found[name] = self._value(token, depth + 1)
            parts += room - self.room if token in (b"{", b"[") else 0
            self._take(ENTRY)
        if not found.keys() & {"__class__", "__module__", "__loader__"}:
            return found
        self.protocol = found.get("protocol")  # the last one is that of the whole
        value = self._built(found)
        self.room = before - parts
        self._take(value.nbytes if isinstance(value, np.ndarray) else sys.getsizeof(value))
        return value

    def _built(self, node: dict[str, Any]) -> Any:
        loader, name = node.get("__loader__"), f"{node.get('__module__')}.{node.get('__class__')}"
        if not isinstance(loader, str) or name not in PAIRS.get(loader, ()):
            raise ModelFileError(
                f"the pipeline names the type {shown(name)} with the loader {shown(loader)}, which chainrule never "
                "writes: nothing was loaded, and no code in it was run."
            )
        module, _, kind = name.rpartition(".")
        if module.startswith("skrub"):
            require("skrub", "tables")
        cls, content = getattr(import_module(module), kind), node.get("content")
        if not isinstance(content, PARTS.get(loader, object)):
            raise ModelFileError(f"the pipeline is damaged: expected the parts of {name}, got {shown(content)}.")
        return self._made(loader, cls, content, node)

    def _made(self, loader: str, cls: Any, content: Any, node: dict[str, Any]) -> Any:
        made = cls
        match loader:
            case "DTypeNode":
                made = content.dtype
            case "DictNode":
                named = zip(node["key_types"], content.items(), strict=False)  # as skops does
                made = {kind(name): value for kind, (name, value) in named}
            case "JsonNode":
                if content.lstrip()[:1] in "[{":
                    raise ModelFileError(
                        f"the pipeline is damaged: expected a string or a number, got {shown(content)}."
                    )
                made = self._plain(content.encode())
            case "ListNode" | "TupleNode":
                made = cls(content)
            case "NdArrayNode":
                made = self._array(node.get("file"), cls) if node.get("type") == "numpy" else _objects(content)
            case "ObjectNode":
                made = cls.__new__(cls)
                if content is not None:
                    getattr(made, "__setstate__", vars(made).update)(content)
            case "SliceNode":
                made = slice(content["start"], content["stop"], content["step"])
        return made

    def _array(self, name: Any, cls: type) -> Any:
        """Return an array, or a number of the class, after comparing its header with the size of its file.

        NumPy would first allocate what the header asks for, and billions of items of zero bytes would become objects.
        """
        if not isinstance(name, str) or name not in self.sizes:
            raise ModelFileError(f"the pipeline names the file {shown(name)}, which it does not contain.")
        size = self.sizes[name]
        self._take(size)
        with self.archive.open(name) as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read[version](file) if version in read else ((-1,), False, np.dtype(object))
            plain = dtype.kind in "biufUmM" and dtype.subdtype is None and 0 < dtype.itemsize <= max(LARGEST_ITEM, size)
            if not plain or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
                raise ModelFileError("the pipeline is damaged: the size of an array differs from that of its file.")
        if cls is not np.ndarray and shape:
            raise ModelFileError("the pipeline is damaged: expected a number, got an array.")
        with self.archive.open(name) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
        return array if cls is np.ndarray else cls(array)


def _objects(values: Any) -> Array:
    if not isinstance(values, list) or not all(isinstance(v, str | int | float | None) for v in values):
        raise ModelFileError("the pipeline is damaged: expected an array of strings and numbers only.")
    made = np.empty(len(values), object)
    made[:] = values
    return made


def _sizes(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """Return the sizes of the files in an archive, uncompressed, unique and no larger than the archive."""
    entries = archive.infolist()
    sizes = {entry.filename: entry.file_size for entry in entries}
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    whole = all(entry.file_size == entry.compress_size for entry in entries)
    if not stored or not whole or sum(sizes.values()) > size:
        raise ModelFileError("the pipeline is compressed, or larger than its file.")
    for name in sizes:
        if len(sizes) != len(entries) or not (name == DESCRIPTION or re.fullmatch(r"[0-9]+\.npy", name)):
            raise ModelFileError(f"the pipeline contains the file {shown(name)}, which chainrule never writes.")
    return sizes


def objects(pipeline: Any) -> Iterator[Any]:
    """Yield each object in a pipeline that has attributes, once.

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> [type(found).__name__ for found in objects(make_pipeline(StandardScaler()))]
    ['Pipeline', 'StandardScaler']
    """
    waiting, seen = [pipeline], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, type | str | np.ndarray) or id(value) in seen:
            continue
        if isinstance(value, list | tuple):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif hasattr(value, "__dict__"):
            yield value
            waiting.extend(vars(value).values())
        else:
            continue
        seen.add(id(value))
