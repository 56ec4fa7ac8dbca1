"""The pipeline as a file of skops, of which nothing loads but the types that are named here.

skops itself trusts every estimator of scikit-learn. Here the list is that of the pipelines that are made by
:func:`chainrule.tables.preparation.preparation`, and a file that names anything else, or another way to build it, is
refused before skops constructs any of it.

Source of the format: https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np

from chainrule._internal.extras import require
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
PROTOCOL = 2  # of skops; the nodes of older ones are not those that are known here
DESCRIPTION = "schema.json"
LARGEST = 2**28  # bytes of the description: 10,000 columns of categories take 140 MB
MOST_NODES = 2**22  # lists, objects and what is in them: those take 2.4 million
DENSEST, FEW_NODES = 8, 2**16  # bytes for each of them, on average, and how many may have fewer: skops takes 18
LARGEST_ITEM = 2**12  # bytes of one text of an array that has none
MOST_FILES, DEEPEST = 100_000, 200  # those take 2,000, and 40


def dumps(pipeline: Any) -> bytes:
    """Return a pipeline as the content of a file.

    Raises
    ------
    ValueError
        When :func:`loads` would refuse it.
    """
    try:
        return checked(require("skops.io", "tables").dumps(pipeline))
    except ModelFileError as error:
        raise ValueError(f"save: this pipeline could not be loaded again: {error}") from None


def loads(content: bytes) -> Any:
    """Return the object in a file's content; its types are trusted, its values are not.

    Raises
    ------
    ModelFileError
        When it is no file of skops, is damaged, or names a type that is not in :data:`TRUSTED`.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> loads(dumps(StandardScaler()))
    StandardScaler()
    >>> loads(b"import os")
    Traceback (most recent call last):
    ...
    chainrule.files.values.ModelFileError: the pipeline is no file of skops, or damaged (File is not a zip file).
    """
    content = checked(content)
    try:
        return require("skops.io", "tables").loads(content, trusted=list(TRUSTED))
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever skops and NumPy say of what is damaged)
        raise ModelFileError(f"the pipeline is damaged, or of another version of skops ({shown(error)}).") from None


def checked(content: bytes) -> bytes:
    """Return a file with just what was checked, without constructing anything; refuse all that is not in the lists.

    The numbers of objects (``__id__``) are left out: skops would look through what has the number of something else
    once more each time, which takes for ever where lists name the list before twice.
    """
    try:
        if content.count(b"PK\x01\x02") > MOST_FILES:  # before the list of them is made
            raise ModelFileError("the pipeline has more files in it than any that chainrule writes.")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = _sizes(archive, len(content))
            tree = json.loads(_bounded(archive.read(DESCRIPTION)))
            files = sizes.keys() - {DESCRIPTION}
            _check_protocol(tree)
            read, numbers = 0, set()
            for node in nodes(tree):
                _check_node(node)
                if "file" in node:
                    read += sizes[_check_file(node["file"], files)]
                    numbers |= set() if node["__class__"] == "ndarray" else {node["file"]}
            if read > 2 * len(content):  # a file that is named a thousand times is read a thousand times
                raise ModelFileError("the pipeline names its files more often than any that chainrule writes.")
            for name in files:
                if _check_array(archive, name, sizes[name]) and name in numbers:
                    raise ModelFileError("the pipeline is damaged: an array where a number was expected.")
            return _written(tree, {name: archive.read(name) for name in sorted(files)})
    except ModelFileError:
        raise
    except Exception as error:  # noqa: BLE001  (of zip files, JSON and NumPy's headers: BadZipFile, TokenError, and more)
        raise ModelFileError(f"the pipeline is no file of skops, or damaged ({shown(error)}).") from None


def _bounded(text: bytes) -> bytes:
    """Return a description that takes no more memory than those of its length that skops writes."""
    marks = sum(map(text.count, (b"{", b"[", b",")))
    if marks > len(text) // DENSEST + FEW_NODES:
        marks = sum(map(re.sub(rb'"[^"\\]*(?:\\.[^"\\]*)*"', b"", text).count, (b"{", b"[", b",")))
    if marks > min(MOST_NODES, len(text) // DENSEST + FEW_NODES):  # an empty list of 2 bytes takes 64 in memory
        raise ModelFileError("the pipeline has a larger description than any that chainrule writes.")
    return text


def _written(tree: Any, files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {**files, DESCRIPTION: json.dumps(tree).encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def _check_protocol(tree: Any) -> None:
    protocol = tree.get("protocol") if isinstance(tree, dict) else None
    if isinstance(protocol, bool) or not isinstance(protocol, int) or protocol < PROTOCOL:
        raise ModelFileError(f"the pipeline is damaged, or of another version of skops (protocol {shown(protocol)}).")


def _check_node(node: dict[str, Any]) -> None:
    """Refuse an object that is built in a way in which chainrule's pipelines have none, and forget its number."""
    loader, name = node.get("__loader__"), f"{node.get('__module__')}.{node.get('__class__')}"
    if not isinstance(loader, str) or name not in PAIRS.get(loader, ()):
        raise ModelFileError(
            f"the pipeline names the type {shown(name)}, to be built by {shown(loader)}, which chainrule never writes: "
            "it was not loaded, and nothing of it was run."
        )
    node.pop("__id__", None)
    if loader == "JsonNode" and (not isinstance(node.get("content"), str) or node["content"].lstrip()[:1] in "[{"):
        raise ModelFileError(f"the pipeline is damaged: expected a text or a number, got {shown(node.get('content'))}.")
    if loader == "NdArrayNode" and node.get("type") != "numpy":  # of objects: one by one, in lists
        for inside in nodes(node.get("content")):
            if inside.get("__loader__") not in ("JsonNode", "ListNode"):
                raise ModelFileError("the pipeline is damaged: an array of objects has arrays in it.")


def _check_file(name: Any, files: Set[str]) -> str:
    if not isinstance(name, str) or name not in files:
        raise ModelFileError(f"the pipeline names the file {shown(name)}, which is not in it.")
    return name


def _sizes(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """Return the files in an archive: stored as they are, each once, and together no larger than the archive."""
    entries = archive.infolist()
    sizes = {entry.filename: entry.file_size for entry in entries}
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    whole = all(entry.file_size == entry.compress_size for entry in entries)
    if not stored or not whole or sum(sizes.values()) > size or archive.getinfo(DESCRIPTION).file_size > LARGEST:
        raise ModelFileError("the pipeline is packed, or larger than any that chainrule writes.")
    for name in sizes:
        if len(sizes) != len(entries) or not (name == DESCRIPTION or re.fullmatch(r"[0-9]+\.npy", name)):
            raise ModelFileError(f"the pipeline has the file {shown(name)} in it, which chainrule never writes.")
    return sizes


def _check_array(archive: zipfile.ZipFile, name: str, size: int) -> tuple[int, ...]:
    """Return the shape of an array; refuse a header that speaks of more numbers than there are, or of none at all.

    Memory for all would be taken first; and numbers of no bytes, of which there may be billions, become objects.
    """
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        shape, _, dtype = read(file) if read else ((-1,), False, np.dtype(object))
        plain = dtype.kind in "biufUmM" and dtype.subdtype is None and 0 < dtype.itemsize <= max(LARGEST_ITEM, size)
        if not plain or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
            raise ModelFileError("the pipeline is damaged: an array in it is of another size than its file.")
        return tuple(shape)


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


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield everything in a description that is to be built, or names a class or a file."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise ModelFileError("the pipeline has a deeper description than any that chainrule writes.")
        if isinstance(node, list):
            waiting.extend((entry, depth + 1) for entry in node)
        elif isinstance(node, dict):
            if node.keys() & {"__class__", "__module__", "__loader__"}:
                yield node
            waiting.extend((entry, depth + 1) for entry in node.values())
