"""``config.json``, the record of a run on a data set: written as data and read as data, every field checked."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._version import __version__
from chainrule.cli import data as data_module
from chainrule.cli.folder import CONFIG, MODEL
from chainrule.cli.recipes import Recipe
from chainrule.files import networks
from chainrule.files.values import ModelFileError, parse_any, shown
from chainrule.network import Network

FORMAT = 1
LARGEST = 2**20  # bytes
TWO, SEVERAL = range(2, 3), range(2, sys.maxsize)  # lengths


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _size(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**32


def _list(value: Any, fits: Callable[[Any], bool], lengths: range) -> bool:
    return isinstance(value, list) and len(value) in lengths and all(map(fits, value))


def _is(expected: str, fits: Callable[[Any], bool]) -> dict[str, Any]:
    """Return the description of a field's values, and a function that tests one."""
    return {"expected": expected, "fits": fits}


@dataclass(frozen=True)
class Config:
    """Everything needed to evaluate a run and to predict with it.

    Attributes
    ----------
    dataset, arguments : the name of the data set, and the arguments with which it was loaded
    seed, test : the seed of the split, and the fraction held out
    classes, image_shape : as in :class:`chainrule.datasets.Dataset`
    input_range : the smallest and the largest training input
    test_sha256 : the digest of the held-out rows
    """

    dataset: str = field(metadata=_is("a name", _text))
    arguments: dict[str, Any] = field(metadata=_is("names and values", lambda v: isinstance(v, dict)))
    seed: int = field(metadata=_is("a non-negative integer", lambda v: type(v) is int and 0 <= v < 2**32))
    test: float = field(metadata=_is("a number between 0 and 1", lambda v: _number(v) and 0 < v < 1))
    classes: tuple[str, ...] = field(metadata=_is("two or more names", lambda v: _list(v, _text, SEVERAL)))
    image_shape: tuple[int, int] | None = field(
        metadata=_is("[height, width] or null", lambda v: v is None or _list(v, _size, TWO))
    )
    input_range: tuple[float, float] = field(metadata=_is("two numbers", lambda v: _list(v, _number, TWO)))
    test_sha256: str = field(metadata=_is("text", _text))


def to_json(config: Config, recipe: Recipe, rows: dict[str, int], results: dict[str, Any]) -> str:
    """Return the text of the file: the configuration, and everything that helps to reproduce the run."""
    versions = {
        "chainrule": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": require("sklearn", "sklearn").__version__,  # which made the split
    }
    content = {"format": FORMAT, **asdict(config), "options": asdict(recipe), "rows": rows, "results": results}
    return json.dumps(content | {"versions": versions}, indent=2, ensure_ascii=False) + "\n"


def read(folder: Path) -> tuple[Config, Network]:
    """Return the configuration and the network of a run, or raise an error that says what is wrong with its folder."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise NotADirectoryError(
            f"the folder {folder} {what}: give a folder written by chainrule train, such as runs/digits."
        )
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"no {CONFIG} in {folder}: expected a folder from a completed chainrule train run.")
    config = _parse(path)
    network = networks.load(folder / MODEL)
    if network.output_shape != (len(config.classes),):
        raise ValueError(
            f"{folder}: {MODEL} has {network.output_shape[0]} outputs, but {CONFIG} lists {len(config.classes)} "
            "classes, so the files come from different runs. Retrain, or restore the folder."
        )
    return config, network


def _parse(path: Path) -> Config:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is too large for a configuration written by chainrule train.")
    try:
        data = parse_any(path.read_bytes(), CONFIG)
    except ModelFileError as error:
        raise ValueError(f"{path} is corrupt: invalid JSON ({error}). Retrain, or restore the file.") from error
    if not isinstance(data, dict) or "format" not in data:
        raise ValueError(f"{path} was not written by chainrule train.")
    if data["format"] != FORMAT:
        raise ValueError(
            f"{path} has format {shown(data['format'])}, this version reads {FORMAT}. Install a newer chainrule."
        )
    found: dict[str, Any] = {}
    try:
        for f in fields(Config):
            if not f.metadata["fits"](value := data.get(f.name)):
                raise ValueError(f"{f.name}: expected {f.metadata['expected']}, got {shown(value)}")
            found[f.name] = tuple(value) if isinstance(value, list) else value
        found["dataset"] = data_module.find(found["dataset"])
        data_module.check_arguments(found["dataset"], found["arguments"])
    except ValueError as error:
        raise ValueError(f"{path} is corrupt: {str(error).rstrip('.')}. Retrain, or restore the file.") from None
    return Config(**found)
