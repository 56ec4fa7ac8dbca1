"""A pipeline as a skops file, which :func:`chainrule.tables.trusted.load` reads.

The skops package would write the same, but its import can take seconds: it imports all modules of scikit-learn, and
with them Dask and PyTorch where they are installed.

Source of the format: https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.files.values import ModelFileError
from chainrule.tables.trusted import DESCRIPTION, PROTOCOL, load


def dumps(pipeline: Any) -> bytes:
    """Return a pipeline as the content of a skops file, the same for equal pipelines.

    Raises
    ------
    ValueError
        If :func:`~chainrule.tables.trusted.load` would reject it.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> load(io.BytesIO(dumps(StandardScaler())))
    StandardScaler()
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        described = _Writer(archive).part(pipeline) | {"protocol": PROTOCOL}
        archive.writestr(zipfile.ZipInfo(DESCRIPTION), json.dumps(described))
    try:
        load(file)
    except ModelFileError as error:
        raise ValueError(f"save: the saved pipeline could not be loaded: {error}") from None
    return file.getvalue()


class _Writer:
    """Describes objects as JSON, and writes each of their arrays to a file of the archive, once."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.written: dict[int, tuple[str, Any]] = {}  # with the array, whose id is free again once it is gone

    def part(self, value: Any) -> dict[str, Any]:
        """Return the description of an object and all that is in it."""
        match value:
            case np.ndarray() | np.generic():
                found = self._array(value)
            case None | bool() | int() | float() | str():
                found = _named("JsonNode", str, content=json.dumps(value), is_json=True)
            case dict():
                kinds = self.part([type(name) for name in value])
                content = {
                    name.item() if isinstance(name, np.generic) else name: self.part(value[name]) for name in value
                }
                found = _named("DictNode", type(value), content=content, key_types=kinds)
            case list():
                found = _named("ListNode", type(value), content=[self.part(item) for item in value])
            case tuple():
                found = _named("TupleNode", type(value), content=[self.part(item) for item in value])
            case slice():
                ends = {"start": value.start, "stop": value.stop, "step": value.step}
                found = _named("SliceNode", slice, content=ends)
            case np.dtype():
                found = _named("DTypeNode", np.dtype, content=self.part(np.empty(0, value)))
            case type():
                found = _named("TypeNode", value)
            case _:
                found = _named("ObjectNode", type(value), content=self.part(value.__getstate__()))
        return found

    def _array(self, value: Array | np.generic) -> dict[str, Any]:
        if value.dtype == object:
            items, shape = self.part(value.tolist())["content"], self.part(value.shape)
            return _named("NdArrayNode", np.ndarray, content=items, type="json", shape=shape)
        if id(value) not in self.written:
            name, content = f"{len(self.written)}.npy", io.BytesIO()
            np.save(content, value, allow_pickle=False)
            self.archive.writestr(zipfile.ZipInfo(name), content.getbuffer())
            self.written[id(value)] = name, value
        return _named("NdArrayNode", type(value), type="numpy", file=self.written[id(value)][0])


def _named(loader: str, kind: type, **parts: Any) -> dict[str, Any]:
    return {"__class__": kind.__name__, "__module__": kind.__module__, "__loader__": loader, **parts}
