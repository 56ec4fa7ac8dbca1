"""``chainrule export``: export a trained network to a file for other programs."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from chainrule._internal.extras import require
from chainrule.cli import config as config_module
from chainrule.cli import json_output
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.folder import MODEL, is_table_run
from chainrule.cli.options import Overwrite, option
from chainrule.cli.output import tell
from chainrule.files import networks as files
from chainrule.files import serving
from chainrule.files.container import has_table
from chainrule.files.fitted import predict_samples
from chainrule.network import Network
from chainrule.pages.formatting import rows as counted

ROWS = 256  # random ones, to compare the predictions
SUFFIXES = {"--c": (".c",), "--js": (".mjs", ".js"), "--numpy": (".py",)}


@in_one_sentence
def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="A folder written by chainrule train, such as runs/digits, or a model file."
        ),
    ],
    onnx: Annotated[Path | None, option(None, "Export to this file in ONNX format.", "--onnx", metavar="FILE")] = None,
    c: Annotated[
        Path | None, option(None, "Export to this file in C, such as model.c, and a header.", "--c", metavar="FILE")
    ] = None,
    js: Annotated[
        Path | None, option(None, "Export to this JavaScript module, such as model.mjs.", "--js", metavar="FILE")
    ] = None,
    numpy: Annotated[
        Path | None, option(None, "Export to this Python script, which needs NumPy alone.", "--numpy", metavar="FILE")
    ] = None,
    opset: Annotated[int | None, option(None, "ONNX opset version, 13 or later. Default: 21. For --onnx only.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Export the network in FOLDER, to run without Python or chainrule: to ONNX, C, JavaScript or NumPy.

    For a run on a table, this is the whole pipeline, from the columns to the predictions.

    The predictions are compared with those of the network, if onnxruntime, a C compiler or Node is installed.
    """
    given = {"--onnx": onnx, "--c": c, "--js": js, "--numpy": numpy}
    chosen = [(name, path) for name, path in given.items() if path is not None]
    if len(chosen) != 1:
        raise ValueError("expected exactly one of --onnx, --c, --js and --numpy, with a file to write.")
    ((name, path),) = chosen
    if path.exists() and any(file.is_file() and path.samefile(file) for file in (source, source / MODEL)):
        raise ValueError(f"{name}: {path} is the model itself: choose another name for the file.")
    if name == "--onnx":
        _to_onnx(source, path, opset, overwrite=overwrite)
        return
    if opset is not None:
        raise ValueError("--opset applies only to --onnx: omit it.")
    if path.suffix not in SUFFIXES[name]:
        raise ValueError(f"{name}: {path}: expected a name that ends in {' or '.join(SUFFIXES[name])}.")
    _to_code(source, path, overwrite=overwrite)


def _to_code(source: Path, path: Path, *, overwrite: bool) -> None:
    """Write C, JavaScript or NumPy, and compare its predictions with those of the model."""
    from chainrule.export import build, comparing, saving  # noqa: PLC0415  (start-up time)
    from chainrule.export.c import size  # noqa: PLC0415  (the same)

    model, classes, (low, high) = _loaded(source)
    program = build.program(model, classes)
    files = saving.texts(program, path)
    saving.write(files, "replace it with --overwrite", overwrite=overwrite)
    count = max(8, min(ROWS, 50_000 // (program.x.size if program.x else 1)))
    taken = counted(program.x.size, "input") if program.x else counted(len(program.columns), "column")
    given = counted(program.y.size, "probability" if program.classes else "prediction")
    bytes_ = sum(len(text.encode()) for text in files.values())
    about = f"it takes {size(program)}" if path.suffix == ".c" else f"{bytes_:,} bytes"
    comparison, difference = comparing.compared(model, program, path, count, low, high)
    tell(f"{' and '.join(map(str, reversed(files)))}: {taken}, {given}; {about}; {comparison}")
    json_output.record(
        kind="table" if program.columns else "network", folder=source, language=path.suffix.lstrip("."),
        files=[*files], inputs=program.x.size if program.x else len(program.columns), outputs=program.y.size,
        bytes=bytes_, comparison=comparison, largest_difference=difference,
    )  # fmt: skip


def _loaded(source: Path) -> tuple[Any, tuple[str, ...], tuple[float, float]]:
    """Return a model that predicts with NumPy alone, the names of its classes, and the range of its inputs."""
    run = is_table_run(source)
    if not source.is_file() and not run:
        config, network = config_module.read(source)
        return network, config.classes, config.input_range
    file = source / MODEL if run else source
    table = has_table(file, "a model saved by chainrule")
    if run and not table:
        raise ValueError(f"{source} is from an earlier version: train again, or export it with --onnx.")
    if not table:
        return serving.load(file), (), (-1.0, 1.0)
    from chainrule.tables.serving.model import load  # noqa: PLC0415  (start-up time)

    return load(file), (), (-1.0, 1.0)


def _to_onnx(source: Path, onnx: Path, opset: int | None, *, overwrite: bool) -> None:
    """Write ONNX, and compare its predictions with those of the network."""
    from chainrule.onnx import model as onnx_model  # noqa: PLC0415  (start-up time)

    onnx_model.check_free(onnx, "replace it with --overwrite", overwrite=overwrite)
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
    many = len(model.graph.input) > 1
    comparison, difference = "not compared: it has columns of text.", None
    if not many:
        comparison, difference = _compare(content, predict, X)
    last = model.graph.output[-1]
    outputs = [dimension.dim_value for dimension in last.type.tensor_type.shape.dim[1:]]
    name = "probability" if last.name == "probabilities" else "prediction"
    taken, given = _sized(shape, "column" if many else "input"), _sized(outputs, name)
    about = f"{dtype}, opset {model.opset_import[0].version}, {len(content):,} bytes"
    tell(f"{onnx}: {taken}, {given}, {about}; {comparison}")
    json_output.record(
        kind="network", folder=source, language="onnx", files=[onnx], inputs=math.prod(shape),
        outputs=math.prod(outputs), bytes=len(content), comparison=comparison,
        largest_difference=difference,
    )  # fmt: skip


def _sized(shape: Sequence[int], what: str) -> str:
    """Return a shape in words.

    >>> _sized((5,), "input"), _sized((1,), "prediction"), _sized((8, 8, 1), "input")
    ('5 inputs', '1 prediction', '8 x 8 x 1 inputs')
    """
    return counted(shape[0], what) if len(shape) == 1 else f"{' x '.join(map(str, shape))} {what}s"


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


def _compare(content: bytes, predict: Callable[[Any], Any], X: Any) -> tuple[str, float | None]:
    """Return a clause on the largest difference between onnxruntime's predictions and the network's, and its size."""
    try:
        import onnxruntime  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError:
        return "not compared: onnxruntime is not installed.", None
    name = f"onnxruntime {onnxruntime.__version__}"
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        theirs = session.run(None, {"X": X})[-1]  # a classifier's labels come first
    except Exception as error:  # noqa: BLE001  (its errors have no common base; an older one may not know the opset)
        return f"not compared: {name} does not run it: {' '.join(str(error).split())}", None
    try:
        ours = predict(X)
    except ValueError as error:  # an Embedding takes categories only
        return f"not compared: the network rejects random rows: {error}", None
    if theirs.shape[1:] == (2,) and ours.shape[1:] == (1,):
        theirs = theirs[:, 1:]  # a classifier's one output is the probability of the second class
    difference = float(np.abs(theirs.reshape(ours.shape) - ours).max())
    return f"largest difference from {name} on {len(X)} random rows: {difference:.1e}.", difference
