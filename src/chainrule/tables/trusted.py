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
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule._extras import require
from chainrule._values import ModelFileError, shown

TRUSTED = (
    "builtins.dict",
    "builtins.list",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "chainrule.tables.positive.PositiveTarget",
    "numpy.bool",
    "numpy.dtype",
    "numpy.float64",
    "numpy.int64",
    "numpy.ndarray",
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
)
LOADERS = (
    "DTypeNode",
    "DictNode",
    "JsonNode",
    "ListNode",
    "NdArrayNode",
    "ObjectNode",
    "SliceNode",
    "TupleNode",
    "TypeNode",
)
DESCRIPTION = "schema.json"
LARGEST = 2**28  # bytes of the description: 10,000 columns of categories take 140 MB
MOST_NODES = 2**22  # lists, objects and what is in them: those take 2.4 million
MOST_FILES, DEEPEST = 100_000, 200  # those take 2,000, and 40


def dumps(pipeline: Any) -> bytes:
    """Return a pipeline as the content of a file.

    Raises
    ------
    ValueError
        When :func:`loads` would refuse it.
    """
    content: bytes = require("skops.io", "tables").dumps(pipeline)
    try:
        check(content)
    except ModelFileError as error:
        raise ValueError(f"save: this pipeline could not be loaded again: {error}") from None
    return content


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
    chainrule._values.ModelFileError: the pipeline is no file of skops, or damaged (File is not a zip file).
    """
    check(content)
    try:
        return require("skops.io", "tables").loads(content, trusted=list(TRUSTED))
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever skops and NumPy say of what is damaged)
        raise ModelFileError(f"the pipeline is damaged, or of another version of skops ({shown(error)}).") from None


def check(content: bytes) -> None:
    """Look at a file without constructing anything: refuse whatever is packed, too large, or not in the lists."""
    try:
        if content.count(b"PK\x01\x02") > MOST_FILES:  # before the list of them is made
            raise ModelFileError("the pipeline has more files in it than any that chainrule writes.")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = _sizes(archive, len(content))
            text = archive.read(DESCRIPTION)
            if sum(map(text.count, (b"{", b"[", b","))) > MOST_NODES:  # an empty list of 2 bytes takes 64 in memory
                raise ModelFileError("the pipeline has a larger description than any that chainrule writes.")
            read = 0
            for kind, value in names(json.loads(text)):
                if kind == "file":
                    read += _size(sizes, value)
                elif value not in (TRUSTED if kind == "type" else LOADERS):
                    raise ModelFileError(
                        f"the pipeline names the {kind} {shown(value)}, which chainrule never writes: it was not "
                        "loaded, and nothing of it was run."
                    )
            if read > 2 * len(content):  # a file that is named a thousand times is read a thousand times
                raise ModelFileError("the pipeline names its files more often than any that chainrule writes.")
            for name in sizes.keys() - {DESCRIPTION}:
                _check_array(archive, name, sizes[name])
    except ModelFileError:
        raise
    except Exception as error:  # noqa: BLE001  (of zip files, JSON and NumPy's headers: BadZipFile, TokenError, and more)
        raise ModelFileError(f"the pipeline is no file of skops, or damaged ({shown(error)}).") from None


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


def _size(sizes: dict[str, int], name: Any) -> int:
    if not isinstance(name, str) or name not in sizes or name == DESCRIPTION:
        raise ModelFileError(f"the pipeline names the file {shown(name)}, which is not in it.")
    return sizes[name]


def _check_array(archive: zipfile.ZipFile, name: str, size: int) -> None:
    """Refuse an array whose header speaks of more numbers than there are: memory for all would be taken first."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        shape, _, dtype = read(file) if read else ((-1,), False, np.dtype(object))
        if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
            raise ModelFileError("the pipeline is damaged: an array in it is of another size than its file.")


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


def names(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield every type, every way of building one, and every file that a description names."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise ModelFileError("the pipeline has a deeper description than any that chainrule writes.")
        if isinstance(node, list):
            waiting.extend((entry, depth + 1) for entry in node)
        elif isinstance(node, dict):
            if "__class__" in node or "__module__" in node:
                yield "type", f"{node.get('__module__')}.{node.get('__class__')}"
            if "__loader__" in node:
                yield "loader", node["__loader__"]
            if "__loader__" in node and "file" in node:
                yield "file", node["file"]
            waiting.extend((entry, depth + 1) for entry in node.values())
