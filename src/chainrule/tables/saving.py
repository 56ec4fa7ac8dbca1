"""The folder of a run: the pipeline, the network, the schema, the report, and what repeats the run."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.estimators.advice import LeftOutWarning
from chainrule.files import networks
from chainrule.files.container import opened
from chainrule.files.values import ModelFileError, parse, shown
from chainrule.files.writing import replacing
from chainrule.tables import converting, intervals, models, trusted, unpacking
from chainrule.tables.casting import cast
from chainrule.tables.checking import empty_row
from chainrule.tables.positive import PositiveTarget
from chainrule.tables.preparation import hashed_words
from chainrule.tables.report import build, uncertainty
from chainrule.tables.result import Trained
from chainrule.tables.schema import LARGEST, Schema

__all__ = ["FILES", "Saved", "load", "save"]

FORMAT = 1
PIPELINE, NETWORK, SCHEMA, CONFIG = "pipeline.skops", "model.safetensors", "schema.json", "config.json"
HISTORY, PAGE, TEXT, ONNX = "history.csv", "report.html", "report.md", "pipeline.onnx"
FILES = (PIPELINE, NETWORK, SCHEMA, HISTORY, PAGE, TEXT, ONNX, CONFIG)
PACKAGES = ("chainrule", "numpy", "scikit-learn", "skrub", "skops", "polars")
LARGEST_CONFIG, LARGEST_PIPELINE = 2**24, 2**30  # bytes
LOADED = {PIPELINE: LARGEST_PIPELINE, SCHEMA: LARGEST, NETWORK: 2**32}
"""The files whose digests are in config.json, and how many bytes each has at most."""


class Saved(NamedTuple):
    """What :func:`load` found in a folder.

    Attributes
    ----------
    pipeline : sklearn.pipeline.Pipeline
    schema : Schema
    config : dict
        How the run is repeated: command, settings, seed, versions, digest of the data, scores.
    widths : Widths
        Of the intervals of a regression.
    """

    pipeline: Any
    schema: Schema
    config: dict[str, Any]
    widths: intervals.Widths


def save(trained: Trained, folder: str | os.PathLike[str], *, overwrite: bool = False) -> tuple[str, ...]:
    """Write a run to a folder, which is made if it is not there.

    ``pipeline.skops`` (with ``model.safetensors``: what :func:`load` reads), ``schema.json``, ``history.csv``,
    ``report.html``, ``report.md``, ``pipeline.onnx`` if every step converts, and ``config.json``. All are
    written before the first of an earlier run is replaced; other files in the folder are left alone.

    Parameters
    ----------
    trained : Trained
    folder : path
    overwrite : bool
        Replace the files of a run that is there.

    Returns
    -------
    tuple of str
        Notes: what ``pipeline.onnx`` is, or why there is none.

    Raises
    ------
    FileExistsError
        When there are files of a run in the folder and ``overwrite`` is false.
    NotADirectoryError
        When ``folder`` is a file.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; a folder was expected, or a name that is free.")
    there = [name for name in FILES if (folder / name).exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"{folder} has a run already ({', '.join(there)}): choose another folder, or overwrite it on purpose."
        )
    onnx, said = converting.to_onnx(trained)
    report = build(trained)
    contents = {
        PIPELINE: trusted.dumps(_without_network(trained.pipeline)),
        SCHEMA: trained.schema.to_json().encode(),
        PAGE: report.html.encode(),
        TEXT: report.markdown.encode(),
    }
    if onnx is not None:
        contents[ONNX] = onnx
    with replacing(folder, FILES, CONFIG) as new:
        for name, content in contents.items():
            (new / name).write_bytes(content)
        trained.history.to_csv(new / HISTORY)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeftOutWarning)  # the callbacks, which config.json has
            networks.save(models.inside(trained.pipeline[-1]), new / NETWORK)
        config = _config(trained, said, {name: _digest((new / name).read_bytes()) for name in LOADED})
        text = json.dumps(_plain(config), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (new / CONFIG).write_bytes(text.encode())
    return (said,)


def load(folder: str | os.PathLike[str]) -> Saved:
    """Return what :func:`save` wrote, after checks of all of it.

    No code in the folder is run: a pipeline is built of the types in :data:`chainrule.tables.trusted.TRUSTED` only, and
    the network is read by :func:`chainrule.load`'s rules.

    Raises
    ------
    FileNotFoundError
        When the folder, or one of its files, is not there.
    ModelFileError
        When a file is damaged, of another run, or none that :func:`save` writes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        hint = f" Give the folder it is in: {folder.parent}." if folder.name in FILES and folder.exists() else ""
        raise FileNotFoundError(f"{folder} is not the folder of a run, as chainrule train makes it.{hint}")
    if not (folder / CONFIG).exists():
        raise FileNotFoundError(
            f"{folder} has no {CONFIG}: it is not the folder of a run, or saving it did not end: type chainrule train "
            f"--resume {folder}, or train again with --overwrite."
        )
    with _opened(folder / CONFIG, LARGEST_CONFIG) as file:
        config = parse(unpacking.check_values(file.read(), CONFIG), CONFIG)
    digests = config.get("files")
    if config.get("format") != FORMAT or not isinstance(digests, dict):
        raise ModelFileError(f"{folder / CONFIG}: expected a run of format {FORMAT}. Is it from a newer version?")
    with _verified(folder / NETWORK, digests):
        pass
    with _verified(folder / SCHEMA, digests) as file:
        schema = Schema.from_json(file.read())
    with _verified(folder / PIPELINE, digests) as file:
        pipeline = trusted.load(file)
    try:
        widths = intervals.Widths.from_json(config.get("residuals"))
        _put_network(pipeline, schema, folder / NETWORK)
        _try(pipeline, schema)
    except ModelFileError as error:
        raise ModelFileError(f"{folder}: {error}") from None
    return Saved(pipeline, schema, config, widths)


# ---------------------------------------------------------------- the network: in a file of its own
# skops would set any attributes of a network that a file gives, unchecked; the reader of model.safetensors checks each.


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
        left._training_dim = network._training_dim  # noqa: SLF001  (what predict looks at)
    return Pipeline([("prepare", prepare), ("network", left)])


def _put_network(pipeline: Any, schema: Schema, path: Path) -> None:
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor  # noqa: PLC0415
    from sklearn.pipeline import Pipeline  # noqa: PLC0415

    try:
        steps: Any = pipeline.steps if type(pipeline) is Pipeline else ()
        (first, prepare), (second, left) = steps
        fits = (first, second, type(prepare)) == ("prepare", "network", ColumnTransformer)
        if schema.task == "regression":
            scaled = type(left) is TransformedTargetRegressor and _scales(left.transformer_)
            fits = fits and scaled and left._training_dim == 1  # noqa: SLF001
        else:
            fits = fits and left == "passthrough"
        known = set(prepare.feature_names_in_)
        fits = fits and all(_harmless(found) for found in trusted.objects(pipeline))
    except (AttributeError, TypeError, ValueError):
        fits = False
    if not fits or known != {column.name for column in schema.used}:
        raise ModelFileError("the pipeline is none that chainrule writes, or does not fit the schema.")
    if schema.task != "regression":
        model = MLPClassifier.load(path)
        given = tuple(model.classes_.tolist())
        wanted = schema.classes or tuple(range(len(schema.targets)))
        if given != wanted:
            raise ModelFileError(f"the network has the classes {shown(given)}, the schema {shown(wanted)}.")
        pipeline.steps[1] = ("network", model)
        return
    left.regressor = MLPRegressor()
    left.regressor_ = MLPRegressor.load(path)


def _scales(found: Any) -> bool:
    """Say whether it is what standardizes a target, with numbers where numbers belong."""
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    if type(found) is PositiveTarget:
        known = vars(found)
        numbers = ("mean_", "scale_", "shift_", "most_")
        good = known.keys() == {"log", *numbers} and type(known["log"]) is bool
        good = good and all(type(known[name]) is float and math.isfinite(known[name]) for name in numbers)
        return good and known["most_"] + known["shift_"] > 0
    return type(found) is StandardScaler


def _harmless(found: Any) -> bool:
    """Say whether a part of a pipeline has what chainrule writes where another value would do more than calculate."""
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415

    if isinstance(found, HashingVectorizer):  # a pattern that never ends, or texts that are names of files to be read
        return bool(found.get_params() == hashed_words().get_params())
    given = vars(found)
    if "_n_features_outs" in given:  # columns of an encoder, for which room is made whether there are categories or not
        outs, categories = given["_n_features_outs"], given["categories_"]
        if not all(0 <= out <= len(known) for out, known in zip(outs, categories, strict=True)):
            return False
    return all(given.get(name) is None for name in ("n_jobs", "memory", "_sklearn_output_config"))  # processes, files


def _try(pipeline: Any, schema: Schema) -> None:
    """Refuse a pipeline that cannot predict a row without any value: what its parts have learned does not fit."""
    import numpy as np  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(pipeline.predict(cast(empty_row(schema), schema.columns)))
        fits = len(found) == 1
    except Exception as error:  # noqa: BLE001  (whatever scikit-learn and skrub say of attributes that are not theirs)
        raise ModelFileError(f"the pipeline is damaged, it cannot predict ({shown(error)}).") from None
    if not fits:
        raise ModelFileError("the pipeline is damaged, it predicts no row for one.")


# ---------------------------------------------------------------- files


@contextmanager
def _opened(path: Path, most: int) -> Iterator[BinaryIO]:
    with opened(path, "a file written by chainrule train") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ModelFileError(f"its {size:,} bytes are more than chainrule ever writes.")
        yield file


@contextmanager
def _verified(path: Path, digests: dict[str, Any]) -> Iterator[BinaryIO]:
    """Open a file whose digest is that of config.json; it is read twice, and never whole in memory."""
    with _opened(path, LOADED[path.name]) as file:
        if digests.get(path.name) != hashlib.file_digest(file, "sha256").hexdigest():  # type: ignore[arg-type]
            raise ModelFileError(
                f"it was changed since it was saved, or is of another run than {CONFIG}: train again, or use another "
                "copy of the folder."
            )
        file.seek(0)
        yield file


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _config(trained: Trained, onnx: str, digests: dict[str, str]) -> dict[str, Any]:
    widths = intervals.Widths.of(trained.held_out, trained.schema.task)
    return {
        "format": FORMAT,
        "command": trained.command,
        "source": trained.source,
        "sha256": trained.sha256,
        "settings": trained.settings,
        "seed": trained.settings.get("seed"),
        "versions": {"python": platform.python_version(), **_versions()},
        "task": trained.schema.task,
        "target": trained.schema.target,
        "split": asdict(trained.split),
        "scores": trained.scores,
        "intervals": uncertainty.intervals(trained.schema, trained.held_out, trained.scores),
        "baselines": trained.baselines,
        "verdict": trained.verdict,
        "stopped": trained.history.stopped,
        "seconds": trained.seconds,
        "notes": trained.notes,
        "warnings": trained.warnings,
        "onnx": onnx,
        "residuals": widths.to_json(),
        "files": digests,
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from its source
            found[package] = "unknown"
    return found


def _plain(value: Any) -> Any:
    """Return a value as JSON: what JSON has not, as a text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
