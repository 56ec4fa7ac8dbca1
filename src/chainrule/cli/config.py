"""``config.json``: what a run was, written as data and read as data, every field checked."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.names import lookup
from chainrule._version import __version__
from chainrule.cli.data import check_arguments
from chainrule.cli.folder import CONFIG, MODEL
from chainrule.cli.options import Options
from chainrule.datasets import DATASETS
from chainrule.files import networks
from chainrule.files.values import ModelFileError, parse_any, shown
from chainrule.network import Network

FORMAT = 1
LARGEST = 2**20  # bytes


@dataclass(frozen=True)
class Config:
    """What is needed to evaluate a run, and to predict with it.

    Attributes
    ----------
    dataset, arguments : the name of the data set, and what it was loaded with
    seed, test : the seed of the split, and the fraction held out
    classes, image_shape : as in :class:`chainrule.datasets.Dataset`
    input_range : the smallest and the largest input that training saw
    test_sha256 : the digest of the held-out rows
    """

    dataset: str
    arguments: dict[str, Any]
    seed: int
    test: float
    classes: tuple[str, ...]
    image_shape: tuple[int, int] | None
    input_range: tuple[float, float]
    test_sha256: str


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _list(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(fits, value))


FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "dataset": ("a name", _text),
    "seed": ("a whole number of at least 0", lambda v: type(v) is int and 0 <= v < 2**32),
    "test": ("a number between 0 and 1", lambda v: _number(v) and 0 < v < 1),
    "classes": ("two or more names", lambda v: _list(v, _text) and len(v) > 1),
    "image_shape": (
        "[height, width] or null",
        lambda v: v is None or (_list(v, lambda size: type(size) is int and 0 < size < 2**32) and len(v) == 2),
    ),
    "input_range": ("two numbers", lambda v: _list(v, _number) and len(v) == 2),
    "test_sha256": ("a text", _text),
}
"""The fields of a run's file besides its arguments: what is expected, and whether a value is that."""


def to_json(config: Config, options: Options, rows: dict[str, int], results: dict[str, Any]) -> str:
    """Return the file's text: the configuration, and beside it all that helps to repeat the run."""
    import sklearn  # noqa: PLC0415  (the split was made with it)

    versions = {
        "chainrule": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
    content = {
        "format": FORMAT,
        **asdict(config),
        "options": asdict(options),
        "rows": rows,
        "results": results,
        "versions": versions,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read(folder: Path) -> tuple[Config, Network]:
    """Return the configuration and the network of a run, or say what is wrong with its folder."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise NotADirectoryError(
            f"the folder {folder} {what}: give one that chainrule train wrote, such as runs/digits."
        )
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"the folder {folder} has no {CONFIG}: expected one that chainrule train has finished writing."
        )
    config = _parse(path)
    network = networks.load(folder / MODEL)
    if network.output_shape != (len(config.classes),):
        raise ValueError(
            f"{folder}: {MODEL} has {network.output_shape[0]} outputs, but {CONFIG} names {len(config.classes)} "
            "classes: the two files are not of one run. Train again, or restore the folder."
        )
    return config, network


def _parse(path: Path) -> Config:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is too large for a configuration: expected one that chainrule train wrote.")
    try:
        data = parse_any(path.read_bytes(), CONFIG)
    except ModelFileError as error:
        raise ValueError(f"{path} is damaged, it is not JSON ({error}): train again, or restore the file.") from error
    if not isinstance(data, dict) or "format" not in data:
        raise ValueError(f"{path} is of another program: expected one that chainrule train wrote.")
    if data["format"] != FORMAT:
        raise ValueError(
            f"{path} has format {shown(data['format'])}, this version reads {FORMAT}. Upgrade: pip install -U chainrule"
        )

    for name, (expected, fits) in FIELDS.items():
        if not fits(value := data.get(name)):
            raise ValueError(
                f"{path} is damaged: {name}: expected {expected}, got {shown(value)}. Train again, or restore the file."
            )
    dataset = lookup("data set", data["dataset"], {name: name for name in DATASETS})
    try:
        arguments = check_arguments(dataset, data.get("arguments"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}. Train again, or restore the file.") from None
    found: dict[str, Any] = {name: tuple(data[name]) if isinstance(data[name], list) else data[name] for name in FIELDS}
    return Config(**found | {"dataset": dataset, "arguments": arguments})
