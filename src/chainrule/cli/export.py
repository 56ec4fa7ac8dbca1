"""``chainrule export``: export a trained network to a file for other programs."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from chainrule._internal.extras import require
from chainrule.cli import config as config_module
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.folder import MODEL, is_table_run
from chainrule.cli.options import Overwrite, option
from chainrule.cli.output import tell
from chainrule.files import networks as files
from chainrule.files import serving
from chainrule.files.fitted import predict_samples
from chainrule.network import Network

ROWS = 256  # random ones, to compare the predictions


@in_one_sentence
def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="A folder written by chainrule train, such as runs/digits, or a model file."
        ),
    ],
    onnx: Annotated[Path, option(None, "Export the network to this file in ONNX format.", "--onnx", metavar="FILE")],
    opset: Annotated[int | None, option(None, "ONNX opset version, 13 or later. Default: 21.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Export the network in FOLDER to ONNX, to run in onnxruntime and other tools without Python or chainrule.

    For a run on a table, this is the whole pipeline, from the columns to the predictions.

    If onnxruntime is installed, its predictions are compared with those of the network.
    """
    from chainrule.onnx import model as onnx_model  # noqa: PLC0415  (start-up time)

    onnx_model.check_free(onnx, "replace it with --overwrite", overwrite=overwrite)
    if onnx.exists() and any(file.is_file() and onnx.samefile(file) for file in (source, source / MODEL)):
        raise ValueError(f"--onnx: {onnx} is the model itself: choose another name for the ONNX file.")
    if is_table_run(source):
        if opset is not None:
            raise ValueError("--opset applies only to networks, not to the pipeline of a table: omit it.")
        from chainrule.cli import table_runs  # noqa: PLC0415  (an extra)

        table_runs.to_onnx(source, onnx)
        return
    exported, metadata, (low, high) = _read(source)
    onnx_model.save(exported, onnx, metadata, opset=opset, overwrite=overwrite)
    content, ensemble = onnx.read_bytes(), getattr(exported, "ensemble_", None)
    model = require("onnx", "onnx").load_from_string(content)
    if ensemble:
        network, shape = ensemble.networks[0], (len(ensemble.encoding.levels),)
        dtype, predict = np.dtype(np.float64), ensemble.predict
    else:
        network = getattr(exported, "network_", exported)  # of an estimator
        shape, dtype, predict = network.input_shape, network.dtype, functools.partial(predict_samples, network)
    X = np.random.default_rng(0).uniform(low, high, (ROWS, *shape)).astype(dtype)
    inputs, outputs = (" x ".join(map(str, sizes)) for sizes in (shape, network.output_shape))
    many = len(model.graph.input) > 1
    tell(
        f"{onnx}: {inputs} {'columns' if many else 'inputs'}, {outputs} {model.graph.output[-1].name}, {dtype}, "
        f"opset {model.opset_import[0].version}, {len(content):,} bytes; "
        f"{'not compared: it has columns of text.' if many else _compare(content, predict, X)}"
    )


def _read(source: Path) -> tuple[Any, dict[str, str], tuple[float, float]]:
    """Return the network or estimator, its metadata, and the range of its inputs."""
    if source.is_file():
        exported: Any = serving.load(source)
        if not isinstance(exported, Network):
            from chainrule import estimators  # noqa: PLC0415  (an extra)

            kind = "Classifier" if isinstance(exported, serving.Classifier) else "Regressor"
            exported = getattr(estimators, f"{'Tabular' if exported.ensemble else 'MLP'}{kind}").load(source)
        return exported, files.read_metadata(source), (-1.0, 1.0)
    config, network = config_module.read(source)
    metadata = {"dataset": config.dataset, "classes": json.dumps(config.classes, ensure_ascii=False)}
    return network, metadata, config.input_range


def _compare(content: bytes, predict: Callable[[Any], Any], X: Any) -> str:
    """Return a clause on the difference between the predictions of onnxruntime and those of the network."""
    try:
        import onnxruntime  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError:
        return "not compared: onnxruntime is not installed."
    name = f"onnxruntime {onnxruntime.__version__}"
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        theirs = session.run(None, {"X": X})[-1]  # a classifier's labels come first
    except Exception as error:  # noqa: BLE001  (its errors have no common base; an older one may not know the opset)
        return f"not compared: {name} does not run it: {' '.join(str(error).split())}"
    try:
        ours = predict(X)
    except ValueError as error:  # an Embedding takes categories only
        return f"not compared: the network rejects random rows: {error}"
    if theirs.shape[1:] == (2,) and ours.shape[1:] == (1,):
        theirs = theirs[:, 1:]  # a classifier's one output is the probability of the second class
    difference = float(np.abs(theirs.reshape(ours.shape) - ours).max())
    return f"largest difference from {name} on {len(X)} random rows: {difference:.1e}."
