"""Transfer of a graph to ``skl2onnx``: types, names, nodes and arrays."""

from __future__ import annotations

from typing import Any

from chainrule.onnx.graph import CODES, Graph
from chainrule.onnx.model import protos


def check_zipmap(scope: Any, probabilities: Any) -> None:
    """Raise an error for float64 dictionaries, which onnxruntime could not load."""
    mapped = any(o.type == "SklearnZipMap" and probabilities in o.inputs for o in scope.operators.values())
    if mapped and element_code(probabilities) == CODES["float64"]:
        raise ValueError(
            "chainrule: the option zipmap returns dictionaries, which onnxruntime supports for float32 only, but the "
            "input is float64: pass options={'zipmap': False}, or convert with a float32 input."
        )


def cast(graph: Graph, value: str, output: Any) -> str:
    """Cast the value to the output's type."""
    return (
        value if element_code(output) == CODES[str(graph.dtype)] else graph.node("Cast", value, to=element_code(output))
    )


def element_code(variable: Any) -> int:
    """Return the ONNX code of a variable's element type."""
    return int(variable.type.to_onnx_type().tensor_type.elem_type)


def finish(graph: Graph, operator: Any, container: Any, values: list[str]) -> None:
    """Rename the values to the operator's outputs, and add everything to skl2onnx's container."""
    import onnx  # noqa: PLC0415

    for value, output in zip(values, operator.outputs, strict=True):
        graph.rename(value, output.full_name)
    _, tensors = protos(onnx, graph)
    for name, tensor in zip(graph.initializers, tensors, strict=True):
        texts = tensor.data_type == CODES["str"]
        container.add_initializer(
            name, tensor.data_type, list(tensor.dims), list(tensor.string_data) if texts else tensor
        )
    for node in graph.nodes:
        attributes = {**node.attributes, "op_domain": node.attributes.get("domain", "")}
        attributes.pop("domain", None)
        container.add_node(node.op, node.inputs, [node.output], name=node.output, **attributes)
