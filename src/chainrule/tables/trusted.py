"""The pipeline as a file of skops, of which nothing loads but the types that are named here.

skops itself trusts every estimator of scikit-learn. Here the list is that of the pipelines that are made by
:func:`chainrule.tables.preparation.preparation`, and a file that names anything else, or another way to build it, is
refused before skops constructs any of it.

Source of the format: https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from chainrule._extras import require
from chainrule._values import ModelFileError, shown

TRUSTED = (
    "builtins.dict",
    "builtins.list",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
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
LARGEST = 2**28  # bytes of the description: 10,000 columns take less than 100 MB


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
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
            size = sum(entry.file_size for entry in archive.infolist())
            if packed or size > len(content) or archive.getinfo("schema.json").file_size > LARGEST:
                raise ModelFileError("the pipeline is packed, or larger than any that chainrule writes.")
            tree = json.loads(archive.read("schema.json"))
        for kind, value in names(tree):
            if value not in (TRUSTED if kind == "type" else LOADERS):
                raise ModelFileError(
                    f"the pipeline names the {kind} {shown(value)}, which chainrule never writes: it was not loaded, "
                    "and nothing of it was run."
                )
    except ModelFileError:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError, EOFError, OSError) as error:
        raise ModelFileError(f"the pipeline is no file of skops, or damaged ({shown(error)}).") from None


def names(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield every type, and every way of building one, that a description names."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if "__class__" in node or "__module__" in node:
                yield "type", f"{node.get('__module__')}.{node.get('__class__')}"
            if "__loader__" in node:
                yield "loader", node["__loader__"]
            waiting.extend(node.values())
