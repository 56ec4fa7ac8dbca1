"""The rows of a data set: those to train on, and those held out. Everything follows from the seed."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.names import lookup, with_article
from chainrule.datasets import DATASETS, Dataset, images
from chainrule.files.values import shown

MOST_ROWS = 10**6  # that a file may ask for
TEST = 0.2  # fraction held out, unless the data set has its own test set
VALIDATION = 0.125  # of the rest
VALIDATION_MNIST = 1 / 12  # 5,000 of 60,000 images
IMAGES = "images"
SHAPE = ("height", "width", "channels")


def find(name: str) -> str:
    """Return the name of the data set as it is written, "images" for a folder of them, or list the known ones.

    >>> find("MNIST")
    'mnist'
    """
    if name.lower() not in DATASETS and (name == IMAGES or images.has_images(name)):
        return IMAGES
    return lookup("data set", name, {known: known for known in DATASETS})


def arguments(name: str, seed: int, folder: Path | None = None, size: int | None = None) -> dict[str, Any]:
    """Return every argument with which the data set is loaded, to be kept in the run's folder.

    >>> arguments("moons", seed=3)
    {'rows': 1000, 'noise': 0.2, 'seed': 3}
    """
    if name == IMAGES:
        if folder is None:
            raise ValueError("images are read from a folder: give it in place of the word images.")
        found = [path for paths in images.files(folder).values() for path in paths]
        place = {"folder": str(folder.expanduser().absolute())}
        return place | dict(zip(SHAPE, images.shape_of(found, size), strict=True))
    if size is not None:
        raise ValueError(f"--image-size applies only to a folder of images: omit it for {name}.")
    if name == "mnist":
        return {} if folder is None else {"folder": str(folder.expanduser().absolute())}
    if folder is not None:
        raise ValueError(f"--data: only mnist is read from a folder; omit it for {name}.")
    parameters = inspect.signature(DATASETS[name]).parameters
    defaults = {key: parameter.default for key, parameter in parameters.items()}
    return defaults | {"seed": seed} if "seed" in defaults else defaults


def check_arguments(name: str, found: Any) -> dict[str, Any]:
    """Return the arguments that a file has for a data set, or reject them.

    >>> check_arguments("moons", {"rows": 10, "noise": 0, "seed": 3})
    {'rows': 10, 'noise': 0, 'seed': 3}
    """
    of_images = {"folder": "", **dict.fromkeys(SHAPE, 1)}
    known = of_images if name == IMAGES else {"folder": ""} if name == "mnist" else arguments(name, 0)
    if not isinstance(found, dict) or found.keys() - known.keys() or (name == IMAGES and found.keys() != known.keys()):
        raise ValueError(f"arguments: expected some of {', '.join(known) or 'none'}, got {shown(found)}")
    for key, value in found.items():
        wanted = (int, float) if isinstance(known[key], float) else (type(known[key]),)
        if type(value) not in wanted or value != value:  # noqa: PLR0124  (NaN)
            raise ValueError(f"arguments: {key}: expected {with_article(wanted[-1].__name__)}, got {shown(value)}")
        if not isinstance(value, str) and abs(value) > (MOST_ROWS if key == "rows" else 2**64):
            raise ValueError(f"arguments: {key}: expected a smaller number, got {shown(value)}")
    return found


def load(name: str, arguments: dict[str, Any], seed: int, test: float = TEST) -> tuple[Dataset, Dataset]:
    """Return the rows for training and validation, and the held-out rows."""
    if name == "mnist":
        return DATASETS[name]("train", **arguments), DATASETS[name]("test", **arguments)
    whole = read_folder(arguments) if name == IMAGES else DATASETS[name](**arguments)
    parts = require("sklearn.model_selection", "sklearn").train_test_split(
        np.arange(len(whole)), test_size=test, random_state=seed, stratify=whole.t
    )
    rest, held = (dataclasses.replace(whole, X=whole.X[rows], t=whole.t[rows]) for rows in parts)
    return rest, held


def held_out(name: str, arguments: dict[str, Any], seed: int, test: float = TEST) -> Dataset:
    """Return only the held-out rows."""
    return DATASETS[name]("test", **arguments) if name == "mnist" else load(name, arguments, seed, test)[1]


def image_shape(arguments: dict[str, Any]) -> tuple[int, int, int]:
    """Return the height, width and channels of the images of a run."""
    height, width, channels = (int(arguments[name]) for name in SHAPE)
    if channels not in (1, 3) or min(height, width) < 1:
        raise ValueError(f"arguments: expected the shape of an image, got {height} x {width} x {channels}")
    return height, width, channels


def count(arguments: dict[str, Any]) -> int:
    """Return the number of images of a run."""
    return sum(map(len, images.files(arguments["folder"]).values()))


def read_folder(arguments: dict[str, Any], folder: str | None = None, classes: Sequence[str] | None = None) -> Dataset:
    """Return the images of a run, or those in another folder with some of its classes, in the shape of the run."""
    found = images.files(folder or arguments["folder"], classes)
    names, shape = tuple(classes or found), image_shape(arguments)
    t = [names.index(name) for name, paths in found.items() for _ in paths]
    X = images.pixels([path for paths in found.values() for path in paths], shape)
    return Dataset(IMAGES, X, np.array(t, dtype="int64"), names, shape[:2] if shape[2] == 1 else None)


def digest(data: Dataset) -> str:
    """Return the SHA-256 of the rows and labels, to detect whether data have changed."""
    hashed = hashlib.sha256(np.ascontiguousarray(data.X).data)
    hashed.update(np.ascontiguousarray(data.t).data)
    return hashed.hexdigest()
