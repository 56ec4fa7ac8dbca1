"""The folder of a run: the pipeline, the network, the schema, the report, and everything needed to repeat the run."""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.ensemble import Unit
from chainrule.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from chainrule.estimators.advice import LeftOutWarning
from chainrule.files import ensembles, networks
from chainrule.files.container import opened, read_header, write_file
from chainrule.files.values import ModelFileError, shown
from chainrule.files.writing import replacing
from chainrule.tables import converting, intervals, models, skops_files, trusted
from chainrule.tables.casting import cast
from chainrule.tables.checking import empty_row
from chainrule.tables.fitted_steps import steps_of
from chainrule.tables.positive import PositiveTarget
from chainrule.tables.preparation import hashed_words
from chainrule.tables.report import page
from chainrule.tables.report.card import card
from chainrule.tables.report.collect import collect, versions
from chainrule.tables.result import SavedRun, Trained
from chainrule.tables.run_files import (
    CARD,
    CONFIG,
    FILES,
    FORMAT,
    HISTORY,
    LOADED,
    NETWORK,
    ONNX,
    PAGE,
    PIPELINE,
    SCHEMA,
    TEXT,
    read_config,
    verified,
)
from chainrule.tables.schema import Schema
from chainrule.tables.serving import files as serving


def save(trained: Trained, folder: str | os.PathLike[str], *, overwrite: bool = False) -> tuple[str, ...]:
    """Write a run to a folder, which is created if it does not exist.

    The files are ``pipeline.skops``, ``model.safetensors``, ``schema.json`` and ``config.json``, which :func:`load`
    reads; ``history.csv``, ``report.html``, ``report.md`` and ``card.md``; and ``pipeline.onnx`` if every step
    converts. All are written before the first file of an earlier run is replaced. Other files in the folder are left
    alone.

    Parameters
    ----------
    trained : Trained
    folder : path
    overwrite : bool
        Replace the files of an earlier run.

    Returns
    -------
    tuple of str
        Notes: the contents of ``pipeline.onnx``, or the reason why there is none.

    Raises
    ------
    FileExistsError
        If the folder contains files of a run and ``overwrite`` is false.
    NotADirectoryError
        If ``folder`` is a file.

    Examples
    --------
    >>> import chainrule as cr, polars as pl, tempfile
    >>> frame = pl.DataFrame({"age": [*range(20, 40)] * 2, "plan": ["pro", "free"] * 20, "left": ["no", "yes"] * 20})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     notes = save(cr.tables.train(frame, "left", fast=True), folder + "/customers")
    ...     load(folder + "/customers").schema.target
    'left'
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: expected a folder, or a new name.")
    there = [name for name in FILES if (folder / name).exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"{folder} already contains a run ({', '.join(there)}): choose another folder, or pass overwrite=True."
        )
    onnx, said = converting.to_onnx(trained)
    data = collect(trained)
    report = page(data)
    contents = {
        PIPELINE: skops_files.dumps(_without_network(trained.pipeline)),
        SCHEMA: trained.schema.to_json().encode(),
        PAGE: report.html.encode(),
        TEXT: report.markdown.encode(),
        CARD: card(trained, data).markdown.encode(),
    }
    if onnx is not None:
        contents[ONNX] = onnx
    with replacing(folder, FILES, CONFIG) as new:
        for name, content in contents.items():
            (new / name).write_bytes(content)
        trained.history.to_csv(new / HISTORY)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeftOutWarning)  # the callbacks, which are in config.json
            kind, description, arrays = networks.contents(models.inside(trained.pipeline[-1]), folded=False)
        write_file(new / NETWORK, kind, description, arrays | serving.arrays(_table(trained)))
        digests = {name: hashlib.sha256((new / name).read_bytes()).hexdigest() for name in LOADED}
        config = _config(trained, said, digests)
        text = json.dumps(_plain(config), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (new / CONFIG).write_bytes(text.encode())
    return (said,)


def _table(trained: Trained) -> serving.Table:
    """Return the part of model.safetensors that prepares the rows, to predict with NumPy alone."""
    prepare, model = trained.pipeline[0], trained.pipeline[-1]
    unit = None
    if trained.schema.task == "regression" and not models.is_ensemble(model):
        scaler = model.transformer_
        positive = isinstance(scaler, PositiveTarget)
        log = positive and scaler.log
        ends = (0.0 if positive else -math.inf, scaler.most_ if log else math.inf)
        parts = np.broadcast_arrays(np.ravel(scaler.mean_), np.ravel(scaler.scale_), *ends)
        center, scale, low, high = (part.astype(np.float64) for part in parts)
        unit = Unit(center, scale, low, high, np.array([scaler.shift_]) if log else None)
    return serving.Table(trained.schema, steps_of(prepare, trained.schema), unit, trained.widths, trained.reference)


def load(folder: str | os.PathLike[str]) -> SavedRun:
    """Load a run that :func:`save` wrote, after checking all of it.

    No code in the folder is run: a pipeline is built only from the types in :data:`chainrule.tables.trusted.PAIRS`,
    and the network is read by the rules of :func:`chainrule.load`.

    Raises
    ------
    FileNotFoundError
        If the folder or one of its files does not exist.
    ModelFileError
        If a file is damaged, belongs to another run, or was not written by :func:`save`.
    """
    folder = Path(folder)
    config, digests = read_config(folder)
    with verified(folder / NETWORK, digests):
        pass
    with verified(folder / SCHEMA, digests) as file:
        schema = Schema.from_json(file.read())
    with verified(folder / PIPELINE, digests) as file:
        pipeline = trusted.load(file)
    try:
        widths = intervals.Widths.from_json(config.get("residuals"), len(schema.targets))
        _put_network(pipeline, schema, folder / NETWORK)
        _try(pipeline, schema)
    except ModelFileError as error:
        raise ModelFileError(f"{folder}: {error}") from None
    return SavedRun(pipeline, schema, config, widths)


# ---------------------------------------------------------------- the network, which has its own file
# skops would set any attributes that a file gives, unchecked; the reader of model.safetensors checks each of them.


def _without_network(pipeline: Any) -> Any:
    from sklearn.compose import TransformedTargetRegressor  # noqa: PLC0415
    from sklearn.pipeline import Pipeline  # noqa: PLC0415

    prepare, network = pipeline[0], pipeline[-1]
    left: Any = "passthrough"
    if isinstance(network, TransformedTargetRegressor):
        left = TransformedTargetRegressor(transformer=network.transformer)
        for name, value in vars(network).items():
            if name.endswith("_") and name != "regressor_":
                setattr(left, name, value)
        left._training_dim = network._training_dim  # noqa: SLF001  (which predict reads)
    return Pipeline([("prepare", prepare), ("network", left)])


def _put_network(pipeline: Any, schema: Schema, path: Path) -> None:
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor  # noqa: PLC0415
    from sklearn.pipeline import Pipeline  # noqa: PLC0415

    try:
        steps: Any = pipeline.steps if type(pipeline) is Pipeline else ()
        (first, prepare), (second, left) = steps
        fits = (first, second, type(prepare)) == ("prepare", "network", ColumnTransformer)
        if schema.task == "regression" and left != "passthrough":
            scaled = type(left) is TransformedTargetRegressor and _scales(left.transformer_)
            fits = fits and scaled and left._training_dim == (2 if len(schema.targets) > 1 else 1)  # noqa: SLF001
        else:
            fits = fits and left == "passthrough"
        known = set(prepare.feature_names_in_)
        fits = fits and all(_harmless(found) for found in trusted.objects(pipeline))
    except (AttributeError, TypeError, ValueError):
        fits = False
    if not fits or known != {column.name for column in schema.used}:
        raise ModelFileError("the pipeline is not one that chainrule writes, or does not match the schema.")
    with opened(path, "a file written by chainrule train") as file:
        ensemble = read_header(file, "a file written by chainrule train").kind in ensembles.KINDS
    if schema.task == "regression" and (left == "passthrough") != ensemble:
        raise ModelFileError("the pipeline and the network belong to different kinds of models.")
    if schema.task == "regression" and ensemble:
        pipeline.steps[1] = ("network", TabularRegressor.load(path))
        return
    if schema.task != "regression":
        model = (TabularClassifier if ensemble else MLPClassifier).load(path)
        given = tuple(model.classes_.tolist())
        wanted = schema.classes or tuple(range(len(schema.targets)))
        if given != wanted:
            raise ModelFileError(f"the network has the classes {shown(given)}, but the schema has {shown(wanted)}.")
        pipeline.steps[1] = ("network", model)
        return
    left.regressor = MLPRegressor()
    left.regressor_ = MLPRegressor.load(path)


def _scales(found: Any) -> bool:
    """Return whether an object is a valid transformer of the target."""
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    if type(found) is PositiveTarget:
        known = vars(found)
        numbers = ("mean_", "scale_", "shift_", "most_")
        good = known.keys() == {"log", *numbers} and type(known["log"]) is bool
        good = good and all(type(known[name]) is float and math.isfinite(known[name]) for name in numbers)
        return good and known["most_"] + known["shift_"] > 0
    return type(found) is StandardScaler


def _harmless(found: Any) -> bool:
    """Return whether a part of a pipeline is free of settings that would do more than calculate."""
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    if isinstance(found, HashingVectorizer):  # a pattern that never ends, or texts that name files to read
        return bool(found.get_params() == hashed_words().get_params())
    given = vars(found)
    if "_n_features_outs" in given:  # the columns of an encoder, allocated even without categories
        outs, categories = given["_n_features_outs"], given["categories_"]
        if not all(0 <= out <= len(known) for out, known in zip(outs, categories, strict=True)):
            return False
    if isinstance(found, FunctionTransformer) and not (found.func is found.inverse_func is found.kw_args is None):
        return False
    # those would start processes or write files
    return all(given.get(name) is None for name in ("n_jobs", "memory", "_sklearn_output_config"))


def _try(pipeline: Any, schema: Schema) -> None:
    """Reject a pipeline that cannot predict a row of missing values, because its parts do not match."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pipeline.predict(cast(empty_row(schema), schema.columns))
        one = (1,) if schema.is_classification or len(schema.targets) == 1 else (1, len(schema.targets))
        if np.shape(found) != one:
            raise ValueError(f"predictions of the shape {np.shape(found)} for a row")
    except Exception as error:  # noqa: BLE001  (scikit-learn and skrub raise anything for bad attributes)
        raise ModelFileError(f"the pipeline is damaged: it cannot predict ({shown(error)}).") from None


def _config(trained: Trained, onnx: str, digests: dict[str, str]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "command": trained.command,
        "source": trained.source,
        "sha256": trained.sha256,
        "settings": trained.settings,
        "seed": trained.settings.get("seed"),
        "versions": versions(),
        "task": trained.schema.task,
        "target": trained.schema.target,
        "split": asdict(trained.split),
        "scores": trained.scores,
        "intervals": trained.intervals,
        "baselines": trained.baselines,
        "verdict": trained.verdict,
        "stopped": trained.history.stopped,
        "seconds": trained.seconds,
        "notes": trained.notes,
        "warnings": trained.warnings,
        "onnx": onnx,
        "residuals": trained.widths.to_json(),
        "files": digests,
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON; a type that JSON lacks becomes text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
