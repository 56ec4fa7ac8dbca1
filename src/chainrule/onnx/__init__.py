"""ONNX export: a trained network as a file that runs in onnxruntime, in a browser, in C++, without Python.

:func:`save` writes a network or an estimator, :func:`convert` returns the model in memory, :func:`register_skl2onnx`
lets ``skl2onnx`` convert a whole pipeline, and :func:`register_layer` and :func:`register_loss` teach the export a
custom layer or loss.
"""

from chainrule.onnx import images as _images  # noqa: F401  (its import fills the table)
from chainrule.onnx import layers as _layers  # noqa: F401
from chainrule.onnx import losses as _losses  # noqa: F401
from chainrule.onnx.graph import Graph
from chainrule.onnx.model import convert, save
from chainrule.onnx.pipelines import register_skl2onnx
from chainrule.onnx.registry import register_layer, register_loss

__all__ = ["Graph", "convert", "register_layer", "register_loss", "register_skl2onnx", "save"]
