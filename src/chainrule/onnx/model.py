"""Complete ONNX models: the graph, its inputs and outputs, and metadata."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule._version import __version__
from chainrule.files.writing import write_atomically
from chainrule.network import Network
from chainrule.onnx.estimators import add_classifier, class_table, is_classifier, is_multilabel, outputs_of
from chainrule.onnx.graph import CODES, ML, Graph, Node, Value
from chainrule.onnx.registry import INPUT, add_networks, output_name, prepared, rows_to_samples
from chainrule.onnx.tabular import add_ensemble, inputs_of

OPSET = 21  # from 2024: it has every operator that the layers need, and onnxruntime reads it since version 1.18
OLDEST = 13  # the first in which Softmax works on one axis
LARGEST = 2**31 - 2**20  # bytes: protobuf's limit, minus room for everything but parameters
ML_OPSETS = 2, 4  # LabelEncoder takes lists since 2, tensors since 4


def convert(
    model: Any, metadata: Mapping[str, str] | None = None, *, opset: int | None = None, dtype: str | None = None
) -> Any:
    """Return a network or a fitted estimator as an ``onnx.ModelProto``.

    .. code-block:: text

        input    X (batch, inputs); of an ensemble fitted to a table with text, one per column, (batch, 1)
        output   of a network:      probabilities for SoftmaxCrossEntropy and SigmoidCrossEntropy, else predictions:
                                    the result of predict, (batch, outputs)
                 of a classifier:   label (batch,), int64 or strings, and probabilities (batch, classes);
                                    for multilabel targets, label (batch, classes) of 0 and 1
                 of a regressor:    variable (batch, outputs)

    The model is ``chainrule.fold(network)``: dropout is removed, and each BatchNorm after a Dense or Conv2D layer is
    folded into its weights. The number of rows is not fixed.

    An ensemble for tables includes the encoding of the columns, all networks and the linear model. Inputs are float64
    with NaN for missing, or strings, with the empty string for missing ("(missing)" if training had empty strings).
    Everything but the networks is computed in float64: the columns may be far from 0, and so may the target.

    Parameters
    ----------
    model : Network, MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
    metadata : mapping of str to str, optional
        Strings for the file's ``metadata_props``, in addition to ``loss`` and, for estimators, ``classes`` and
        ``feature_names`` (JSON lists).
    opset : int, optional
        The version of ONNX's operators, 13 or later; 21 by default.
    dtype : {"float32", "float64"}, optional
        Floating-point type of the model; that of the network by default. For an ensemble for tables it is the type of
        inputs and outputs only, float64 by default.

    Raises
    ------
    ImportError
        If ``onnx`` is not installed.
    ValueError
        If a layer or a loss has no converter, or needs an operator that onnxruntime lacks in float64; if class labels
        are neither integers nor strings; or if a category has a text and a number that are written alike.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [cr.layers.Dense(3), cr.layers.Tanh()], "squared_error", seed=0)
    >>> model = convert(network)
    >>> [node.op_type for node in model.graph.node], [array.name for array in model.graph.initializer]
    (['Gemm', 'Tanh'], ['layer0.W', 'layer0.b'])
    """
    onnx = require("onnx", "onnx")
    networks, estimator = _parts(model)
    opset = OPSET if opset is None else _checked_opset(opset, onnx)
    networks = prepared(networks, networks[0].dtype if dtype is None else dtype)
    network, size = networks[0], sum(network.theta.nbytes for network in networks)
    if size > LARGEST:
        raise ValueError(f"onnx: the parameters take {size:,} bytes; ONNX files are limited to 2 GiB.")
    props = {**describe(network, estimator), **_texts(metadata)}
    if hasattr(estimator, "ensemble_"):
        kind = "float64" if dtype is None else str(network.dtype)
        return _table(onnx, estimator, opset, kind, props)
    graph = Graph(network.dtype, opset)
    shape = network.input_shape if estimator is None else (math.prod(network.input_shape),)
    x = INPUT if estimator is None else rows_to_samples(graph, network, INPUT)
    outputs = add_outputs(graph, network, estimator, *add_networks(graph, networks, x))
    return assemble(onnx, graph, [(INPUT, str(network.dtype), shape)], outputs, props, repr(network))


def _table(onnx: Any, estimator: Any, opset: int, kind: str, props: dict[str, str]) -> Any:
    """Return an ensemble for tables; ``kind`` is the type of its inputs of numbers, and of its outputs."""
    ensemble = estimator.ensemble_
    graph = Graph(np.dtype("float64"), opset)
    inputs, notes = inputs_of(graph, estimator, kind)
    p = add_ensemble(graph, ensemble, inputs)
    if kind != str(graph.dtype):
        p, graph.dtype = graph.node("Cast", p, to=kind), np.dtype(kind)
    outputs = add_outputs(graph, ensemble.networks[0], estimator, None, p)
    about = f"{type(estimator).__name__}, {len(ensemble.networks)} networks, by chainrule"
    return assemble(onnx, graph, inputs, outputs, props, about, notes)


def save(
    model: Any,
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    *,
    opset: int | None = None,
    dtype: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a network or a fitted estimator to an ONNX file, atomically; see :func:`convert`.

    Parameters
    ----------
    model, metadata, opset, dtype
        As for :func:`convert`.
    path : path
        Usually ending in ``.onnx``.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    FileExistsError, IsADirectoryError, FileNotFoundError
        If the file exists and ``overwrite`` is false, the path is a folder, or its parent folder does not exist.

    Examples
    --------
    >>> import chainrule as cr, os, tempfile
    >>> network = cr.Network(2, [cr.layers.Dense(3)], "softmax_cross_entropy", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cr.onnx.save(network, folder + "/small.onnx")
    ...     os.listdir(folder)
    ['small.onnx']
    """
    path = Path(path)
    check_free(path, "pass overwrite=True to replace it", overwrite=overwrite)
    write_atomically(path, convert(model, metadata, opset=opset, dtype=dtype).SerializeToString())


def check_free(path: Path, remedy: str, *, overwrite: bool) -> None:
    """Raise an error if the path cannot be written or holds a file that must not be replaced."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a file was expected, such as {path / 'model.onnx'}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} already exists: choose another name, or {remedy}.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist. Create it, or choose another.")


def protos(onnx: Any, graph: Graph) -> tuple[list[Any], list[Any]]:
    """Return a graph's nodes and initializers as ONNX objects."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper

    def node(n: Node) -> Any:
        return helper.make_node(n.op, n.inputs, [n.output], name=n.output, **n.attributes)

    def tensor(name: str, array: Array) -> Any:
        return numpy_helper.from_array(array.astype(object) if array.dtype.kind == "U" else array, name)

    return [node(n) for n in graph.nodes], [tensor(name, array) for name, array in graph.initializers.items()]


def _parts(model: Any) -> tuple[list[Network], Any]:
    """Return the network, or those of an ensemble, and the estimator, if any."""
    if isinstance(model, Network):
        return [model.on_cpu], None
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415

    from chainrule.estimators._tabular import BaseTabular  # noqa: PLC0415
    from chainrule.estimators.base import BaseMLP  # noqa: PLC0415

    if not isinstance(model, BaseMLP | BaseTabular):
        raise TypeError(
            f"onnx: expected a Network, or an estimator of chainrule such as MLPClassifier, got "
            f"{type(model).__name__}. For a pipeline, call chainrule.onnx.register_skl2onnx() and use skl2onnx.to_onnx."
        )
    check_is_fitted(model)
    return list(model.members_) if isinstance(model, BaseTabular) else [model.network_], model


def _checked_opset(opset: Any, onnx: Any) -> int:
    newest = onnx.defs.onnx_opset_version()
    opset = check_count("onnx", "opset", opset)
    if not OLDEST <= opset <= newest:
        raise ValueError(
            f"onnx: opset: expected {OLDEST} to {newest}, the range of onnx {onnx.__version__}, got {opset}."
        )
    return opset


def add_outputs(graph: Graph, network: Network, estimator: Any, y: str | None, p: str) -> list[Value]:
    """Add the operators after logits and predictions, and return the outputs."""
    kind, outputs = str(graph.dtype), network.output_shape[0]
    if estimator is None or not is_classifier(estimator):
        name = graph.reserve(output_name(network.loss) if estimator is None else "variable")
        graph.rename(p, name)
        return [(name, kind, (outputs,))]
    names = graph.reserve("label"), graph.reserve("probabilities")
    for value, name in zip(add_classifier(graph, estimator, y, p), names, strict=True):
        graph.rename(value, name)
    label, p = names
    if is_multilabel(estimator):
        return [(label, "int64", (outputs,)), (p, kind, (outputs,))]
    labels = "str" if class_table(estimator).dtype.kind == "U" else "int64"
    return [(label, labels, ()), (p, kind, (outputs_of(estimator),))]


def describe(network: Network, estimator: Any) -> dict[str, str]:
    """Return the metadata: the loss, and the names known to an estimator."""
    about = {"loss": repr(network.loss)}
    if estimator is not None and is_classifier(estimator):
        about["classes"] = json.dumps(class_table(estimator).tolist(), ensure_ascii=False)
    if hasattr(estimator, "feature_names_in_"):
        about["feature_names"] = json.dumps(estimator.feature_names_in_.tolist(), ensure_ascii=False)
    return about


def _texts(metadata: Mapping[str, str] | None) -> dict[str, str]:
    texts = dict(metadata or {})
    for key, value in texts.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise TypeError(f"onnx: metadata: expected strings, got {key!r}: {value!r}. Convert it with json.dumps.")
    return texts


def assemble(
    onnx: Any,
    graph: Graph,
    inputs: list[Value],
    outputs: list[Value],
    props: dict[str, str],
    about: str,
    notes: Mapping[str, str] | None = None,
) -> Any:
    """Return a graph as a validated model; ``notes`` maps names of inputs to descriptions."""
    helper = onnx.helper

    def value(name: str, kind: str, shape: tuple[int, ...]) -> Any:
        note = (notes or {}).get(name, "")
        return helper.make_tensor_value_info(name, CODES[kind], ["batch", *shape], doc_string=note)

    nodes, initializers = protos(onnx, graph)
    opsets = [helper.make_opsetid("", graph.opset)]
    encoders = [node.attributes for node in graph.nodes if node.attributes.get("domain") == ML]
    if encoders:
        opsets.append(helper.make_opsetid(ML, ML_OPSETS[any("keys_tensor" in given for given in encoders)]))
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "chainrule",
            [value(*given) for given in inputs],
            [value(*output) for output in outputs],
            initializers,
            doc_string=about,
        ),
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="chainrule",
        producer_version=__version__,
    )
    helper.set_model_props(model, props)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"onnx: the converters' result is not a valid model of opset {graph.opset}: {why}") from error
    return model
