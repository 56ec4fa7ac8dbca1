"""The pipeline as a file of skops, of which nothing is built but the types that are named here.

skops writes the file and does not read it: skops trusts every estimator of scikit-learn, and takes more than ten times
the size of a description in memory. Here each part is checked and built as soon as its end is read, and every byte
that it takes is counted. The types are those of the pipelines that :func:`chainrule.tables.preparation.preparation`
makes; a file that names anything else, or another way to build it, is refused.

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
"""What a file may name: the ways of skops to build an object, and what each may build."""
TRUSTED = tuple(sorted({name for names in PAIRS.values() for name in names}))
PARTS: dict[str, Any] = {
    "DTypeNode": np.ndarray, "DictNode": dict, "JsonNode": str, "ListNode": list, "ObjectNode": dict | None,
    "SliceNode": dict, "TupleNode": list,
}  # fmt: skip
PROTOCOL = 2  # of skops: that of the nodes that are known here
DESCRIPTION = "schema.json"
ROOM = 2**25  # bytes beyond twice the file's size; what Python takes besides makes 50 MB of it
ENTRY, FILE = 100, 1000  # bytes for a name in a dictionary, and for a file in the archive
MOST_FILES, DEEPEST = 2**15, 100  # 10,000 columns of categories take 2,000, and 40
LARGEST_ITEM = 2**12  # bytes of one text of an array that has none
TOKEN = re.compile(rb"""[\s,:]*+("[^"\\]*+(?:\\.[^"\\]*+)*+"|[-+.\w]++|.)""", re.DOTALL)
"""A part of JSON. Commas and colons count as space: what they separate is checked."""


def dumps(pipeline: Any) -> bytes:
    """Return a pipeline as the content of a file, without the numbers of objects (``__id__``) and spaces of skops.

    Raises
    ------
    ValueError
        When :func:`loads` would refuse it.
    """
    with zipfile.ZipFile(io.BytesIO(require("skops.io", "tables").dumps(pipeline))) as archive:
        tree = json.loads(archive.read(DESCRIPTION), object_hook=_unnumbered)
        files = {name: archive.read(name) for name in sorted(archive.namelist()) if name != DESCRIPTION}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {**files, DESCRIPTION: json.dumps(tree).encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    try:
        load(file)
    except ModelFileError as error:
        raise ValueError(f"save: this pipeline could not be loaded again: {error}") from None
    return file.getvalue()


def _unnumbered(node: dict[str, Any]) -> dict[str, Any]:
    node.pop("__id__", None)
    return node


def loads(content: bytes) -> Any:
    """Return the object in a file's content, by :func:`load`.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> loads(dumps(StandardScaler()))
    StandardScaler()
    >>> loads(b"import os")
    Traceback (most recent call last):
    ...
    chainrule.files.values.ModelFileError: the pipeline is not a file of skops, or damaged (File is not a zip file).
    """
    return load(io.BytesIO(content))


def load(file: BinaryIO | io.BytesIO) -> Any:
    """Return the object in a file; its types are trusted, its values are not.

    It takes no more memory than twice the file's size and 50 MB.

    Raises
    ------
    ModelFileError
        When the file is not one of skops, is damaged, names a type that is not in :data:`TRUSTED`, or would take more.
    """
    file.seek(0)
    found = size = 0
    for part in iter(lambda: file.read(2**20), b""):
        found, size = found + part.count(b"PK\x01\x02"), size + len(part)
    if found > MOST_FILES:  # before the list of them is made
        raise ModelFileError("the pipeline has more files in it than any that chainrule writes.")
    try:
        with zipfile.ZipFile(file) as archive:
            return _Reader(archive, size).whole()
    except (ModelFileError, ImportError):
        raise
    except Exception as error:  # noqa: BLE001  (of zip files, JSON, NumPy and scikit-learn: whatever they raise)
        raise ModelFileError(f"the pipeline is not a file of skops, or damaged ({shown(error)}).") from None


class _Reader:
    """Builds what a description says, part by part, and counts the memory that it takes."""

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
                f"the pipeline is damaged, or of another version of skops (protocol {shown(self.protocol)})."
            )
        if next(self.tokens, b"").strip():
            raise ModelFileError("the pipeline is damaged: there is more behind its description.")
        return found

    def _take(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise ModelFileError(
                "the pipeline would take more memory than twice its file's size and 50 MB, which none does that "
                "chainrule writes."
            )

    def _value(self, token: bytes, depth: int) -> Any:
        """Return what begins with a token."""
        if depth > DEEPEST:
            raise ModelFileError("the pipeline has a deeper description than any that chainrule writes.")
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
        """Return a text, a number, true, false or null, of which each byte may become four."""
        self._take(4 * len(text))
        value = text[1:-1].decode() if text[:1] == b'"' and b"\\" not in text else json.loads(text)
        self.room += 4 * len(text)
        self._take(sys.getsizeof(value))
        return value

    def _object(self, depth: int) -> Any:
        """Return a dictionary, or what is built from it if it names a loader: then only its parts take room."""
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
        self.protocol = found.get("protocol")  # the last that is built is the whole
        value = self._built(found)
        self.room = before - parts
        self._take(value.nbytes if isinstance(value, np.ndarray) else sys.getsizeof(value))
        return value

    def _built(self, node: dict[str, Any]) -> Any:
        loader, name = node.get("__loader__"), f"{node.get('__module__')}.{node.get('__class__')}"
        if not isinstance(loader, str) or name not in PAIRS.get(loader, ()):
            raise ModelFileError(
                f"the pipeline names the type {shown(name)}, to be built by {shown(loader)}, which chainrule never "
                "writes: it was not loaded, and nothing of it was run."
            )
        module, _, kind = name.rpartition(".")
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
                    raise ModelFileError(f"the pipeline is damaged: expected a text or a number, got {shown(content)}.")
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
        """Return an array, or a number of the class; its header may not speak of more than there is.

        Memory for all would be taken first; and numbers of no bytes, of which there may be billions, become objects.
        """
        if not isinstance(name, str) or name not in self.sizes:
            raise ModelFileError(f"the pipeline names the file {shown(name)}, which is not in it.")
        size = self.sizes[name]
        self._take(size)
        with self.archive.open(name) as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read[version](file) if version in read else ((-1,), False, np.dtype(object))
            plain = dtype.kind in "biufUmM" and dtype.subdtype is None and 0 < dtype.itemsize <= max(LARGEST_ITEM, size)
            if not plain or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
                raise ModelFileError("the pipeline is damaged: an array in it is of another size than its file.")
        if cls is not np.ndarray and shape:
            raise ModelFileError("the pipeline is damaged: an array where a number was expected.")
        with self.archive.open(name) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
        return array if cls is np.ndarray else cls(array)


def _objects(values: Any) -> Array:
    """Return texts and numbers as an array of objects."""
    if not isinstance(values, list) or not all(isinstance(v, str | int | float | None) for v in values):
        raise ModelFileError("the pipeline is damaged: an array of objects has other things than texts and numbers.")
    made = np.empty(len(values), object)
    made[:] = values
    return made


def _sizes(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """Return the files in an archive: stored as they are, each once, and together no larger than the archive."""
    entries = archive.infolist()
    sizes = {entry.filename: entry.file_size for entry in entries}
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    whole = all(entry.file_size == entry.compress_size for entry in entries)
    if not stored or not whole or sum(sizes.values()) > size:
        raise ModelFileError("the pipeline is packed, or larger than any that chainrule writes.")
    for name in sizes:
        if len(sizes) != len(entries) or not (name == DESCRIPTION or re.fullmatch(r"[0-9]+\.npy", name)):
            raise ModelFileError(f"the pipeline has the file {shown(name)} in it, which chainrule never writes.")
    return sizes


def objects(pipeline: Any) -> Iterator[Any]:
    """Yield everything in a pipeline that has attributes of its own, each once.

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
