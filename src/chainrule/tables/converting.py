"""The whole pipeline as ONNX, where every step of it converts."""

from __future__ import annotations

from typing import Any

from chainrule.tables.schema import Schema

NONE = "There is no pipeline.onnx: "


def to_onnx(pipeline: Any, schema: Schema) -> tuple[bytes | None, str]:
    """Return a fitted pipeline as an ONNX model with an input for each column, or None and the sentence why not."""
    try:
        import skl2onnx  # noqa: PLC0415
    except ModuleNotFoundError:
        return None, NONE + "it needs the package skl2onnx. Type: pip install skl2onnx"

    return None, NONE + "not yet"
