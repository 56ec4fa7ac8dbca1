"""The whole pipeline as ONNX, where every step of it converts."""

from __future__ import annotations

import warnings
from typing import Any

from chainrule.onnx import register_skl2onnx
from chainrule.tables.schema import Schema

NONE = "There is no pipeline.onnx: "


def to_onnx(pipeline: Any, schema: Schema) -> tuple[bytes | None, str]:
    """Return a fitted pipeline as an ONNX model with an input for each column, or None and the sentence why not."""
    try:
        import skl2onnx  # noqa: PLC0415
        from skl2onnx.common.data_types import FloatTensorType, StringTensorType  # noqa: PLC0415
    except ModuleNotFoundError:
        return None, NONE + "it needs the package skl2onnx. Type: pip install skl2onnx"
    if dates := [column.name for column in schema.used if column.kind == "date"]:
        return None, NONE + f"ONNX has no dates, and {dates[0]!r} is one."
    register_skl2onnx()
    numbers = ("number", "yes/no")
    inputs = [(c.name, (FloatTensorType if c.kind in numbers else StringTensorType)([None, 1])) for c in schema.used]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"zipmap": False} if schema.task != "regression" else None
            model = skl2onnx.to_onnx(pipeline, initial_types=inputs, options=options)
    except Exception as error:  # noqa: BLE001  (whatever a converter of some step says)
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return None, NONE + f"skl2onnx does not convert every step ({first[:160]})"
    content: bytes = model.SerializeToString()
    return content, ""
