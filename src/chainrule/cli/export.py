"""``chainrule export``: a trained network as a file for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from chainrule.cli.errors import in_one_sentence
from chainrule.cli.folder import MODEL
from chainrule.cli.kinds import is_table_run
from chainrule.cli.output import tell

if TYPE_CHECKING:
    from chainrule.network import Network
else:
    Network = Any

ROWS = 256  # that are compared


@in_one_sentence
def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="What chainrule train wrote, such as runs/digits, or a file of a save method."
        ),
    ],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="Write the network there, in ONNX's format.")],
    opset: Annotated[int | None, typer.Option(help="The version of ONNX's operators, 13 or later; 21.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the network in FOLDER to an ONNX file, which onnxruntime and others run without Python or chainrule.

    Of a table's run it is the whole pipeline, from the columns to the predictions.

    Its predictions are compared with those of onnxruntime, where that is installed.
    """
    from chainrule._internal.extras import require  # noqa: PLC0415  (not needed for --help)
    from chainrule.onnx import model as onnx_model  # noqa: PLC0415

    onnx_model.check_free(onnx, "replace it with --overwrite", overwrite=overwrite)
    if onnx.exists() and any(file.is_file() and onnx.samefile(file) for file in (source, source / MODEL)):
        raise ValueError(f"--onnx: {onnx} is the model itself: choose another name for the ONNX file.")
    if is_table_run(source):
        if opset is not None:
            raise ValueError("--opset: is for networks; the pipeline of a table has its own: leave it out.")
        from chainrule.cli import table_runs  # noqa: PLC0415  (an extra)

        table_runs.to_onnx(source, onnx)
        return
    exported, metadata, (low, high) = _read(source)
    onnx_model.save(exported, onnx, metadata, opset=opset, overwrite=overwrite)
    networks = getattr(exported, "networks_", [exported])  # those inside an estimator
    network = networks[0]
    content = onnx.read_bytes()
    model = require("onnx", "onnx").load_from_string(content)
    X = np.random.default_rng(0).uniform(low, high, (ROWS, *network.input_shape)).astype(network.dtype)
    inputs, outputs = (" x ".join(map(str, shape)) for shape in (network.input_shape, network.output_shape))
    tell(
        f"{onnx}: {inputs} inputs, {outputs} {model.graph.output[-1].name}, {network.dtype}, "
        f"opset {model.opset_import[0].version}, {len(content):,} bytes; {_compare(content, networks, X)}"
    )


def _read(source: Path) -> tuple[Any, dict[str, str], tuple[float, float]]:
    """Return the network or estimator, what is known of it, and the range of its inputs."""
    from chainrule.cli import config as config_module  # noqa: PLC0415
    from chainrule.estimators import MLPClassifier, MLPRegressor  # noqa: PLC0415
    from chainrule.files import networks, serving  # noqa: PLC0415

    if source.is_file():
        model = serving.load(source)
        again: dict[Any, Any] = {serving.Classifier: MLPClassifier.load, serving.Regressor: MLPRegressor.load}
        exported = again[type(model)](source) if type(model) in again else model
        return exported, networks.read_metadata(source), (-1.0, 1.0)
    config, network = config_module.read(source)
    metadata = {"dataset": config.dataset, "classes": json.dumps(config.classes, ensure_ascii=False)}
    return network, metadata, config.input_range


def _compare(content: bytes, networks: list[Network], X: Any) -> str:
    """Return a clause on how far onnxruntime's predictions are from ours."""
    from chainrule.files.fitted import mean_prediction  # noqa: PLC0415

    try:
        import onnxruntime  # noqa: PLC0415
    except ModuleNotFoundError:
        return "not compared, as onnxruntime is not installed."
    name = f"onnxruntime {onnxruntime.__version__}"
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        theirs = session.run(None, {"X": X})[-1]  # of a classifier's outputs, the labels come first
    except Exception as error:  # noqa: BLE001  (its errors have no common base; an older one may not know the opset)
        return f"not compared, as {name} does not run it: {' '.join(str(error).split())}"
    try:
        ours = mean_prediction(networks, X)
    except ValueError as error:  # an Embedding takes categories only
        return f"not compared, as the network does not take random rows: {error}"
    if theirs.shape[1:] == (2,) and ours.shape[1:] == (1,):
        theirs = theirs[:, 1:]  # a classifier's one output is the probability of the second class
    difference = float(np.abs(theirs.reshape(ours.shape) - ours).max())
    return f"largest difference from {name} on {len(X)} random rows: {difference:.1e}."
