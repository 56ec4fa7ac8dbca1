"""Example data: handwritten digits and three sets of points in the plane, each as one `Dataset`.

Packages other than NumPy are imported on first use: scikit-learn for its data, pooch and tqdm for downloads.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.showing import Shown
from chainrule.datasets import images as _images
from chainrule.datasets import mnist as _mnist

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DATASETS", "Dataset", "load_circles", "load_digits", "load_mnist", "load_moons", "load_spirals", "read_images",
]  # fmt: skip

_DIGITS = tuple("0123456789")


@dataclass(frozen=True, eq=False)
class Dataset(Shown):
    """Inputs, labels and class names.

    Parameters
    ----------
    name : name of the data set
    X : (rows, inputs), float32 by default
    t : (rows,) int64, labels from 0
    classes : names of the labels
    image_shape : (height, width) if a row of X is an image, stored row by row

    Examples
    --------
    >>> Dataset("corners", np.eye(2, dtype="float32"), np.arange(2), ("right", "top"))
    Dataset('corners': 2 rows of 2 inputs, 2 classes)
    """

    name: str
    X: np.ndarray
    t: np.ndarray
    classes: tuple[str, ...]
    image_shape: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        rows, inputs = self.X.shape
        image = "" if self.image_shape is None else " ({} x {} images)".format(*self.image_shape)
        return f"Dataset({self.name!r}: {rows} rows of {inputs} inputs{image}, {len(self.classes)} classes)"


def load_digits() -> Dataset:
    """Load scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, scaled from 0..16 to [0, 1].

    >>> load_digits()
    Dataset('digits': 1797 rows of 64 inputs (8 x 8 images), 10 classes)
    """
    X, t = require("sklearn.datasets", "data").load_digits(return_X_y=True)
    return Dataset("digits", (X / 16).astype("float32"), t.astype("int64"), _DIGITS, (8, 8))


MOST_NOISE = 1e30  # larger points are infinite in float32


def load_moons(rows: int = 1000, noise: float | int = 0.2, seed: int = 0) -> Dataset:
    """Draw two interleaving half circles with scikit-learn's `make_moons`.

    Parameters
    ----------
    rows : number of points, divided equally among the classes
    noise : standard deviation of the normal noise added to both coordinates
    seed : random seed; the same seed gives the same points

    Examples
    --------
    >>> load_moons(rows=200)
    Dataset('moons': 200 rows of 2 inputs, 2 classes)
    """
    rows, noise, seed = _checked(rows, noise, seed)
    make_moons = require("sklearn.datasets", "data").make_moons
    X, t = make_moons(n_samples=rows, noise=noise, random_state=seed)
    return Dataset("moons", X.astype("float32"), t.astype("int64"), ("upper", "lower"))


def load_circles(rows: int = 1000, noise: float | int = 0.1, seed: int = 0) -> Dataset:
    """Draw a circle of radius 1/2 inside one of radius 1 with `make_circles`. Arguments as for `load_moons`.

    >>> load_circles().classes
    ('outer', 'inner')
    """
    rows, noise, seed = _checked(rows, noise, seed)
    make_circles = require("sklearn.datasets", "data").make_circles
    X, t = make_circles(n_samples=rows, noise=noise, random_state=seed, factor=0.5)
    return Dataset("circles", X.astype("float32"), t.astype("int64"), ("outer", "inner"))


def load_spirals(rows: int = 1000, noise: float | int = 0.1, seed: int = 0, arms: int = 3) -> Dataset:
    """Draw spiral arms around the origin, one per class. Other arguments as for `load_moons`.

    ::

        radius ~ Uniform(0.2, 2)
        angle  = 2 π t / arms + 2 radius
        x      = radius (cos angle, sin angle) + Normal(0, noise²)

    >>> load_spirals(arms=4)
    Dataset('spirals': 1000 rows of 2 inputs, 4 classes)
    """
    arms = _whole("arms", arms, least=2)
    rows, noise, seed = _checked(rows, noise, seed, classes=arms)
    rng = np.random.default_rng(seed)
    t = rng.permutation(np.arange(rows, dtype="int64") % arms)
    radius = rng.uniform(0.2, 2.0, rows)
    angle = 2 * np.pi * t / arms + 2 * radius
    X = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    X += rng.normal(0.0, noise, X.shape)
    return Dataset("spirals", X.astype("float32"), t, tuple(f"arm {arm}" for arm in range(arms)))


def load_mnist(
    split: str = "train", folder: str | os.PathLike[str] | None = None, *, dtype: Any = "float32"
) -> Dataset:
    """Load MNIST: handwritten digits of 28 x 28 pixels, 60,000 for training and 10,000 for testing.

    Each file is searched for in ``folder`` or, if none is given, in the folder named by the environment variable
    ``CHAINRULE_DATA``, then in the user's cache, then at two public mirrors. It may be compressed, as distributed
    (``train-images-idx3-ubyte.gz``), or unpacked, and is used only if its content has the known SHA-256.

    Parameters
    ----------
    split : "train" or "test"
    folder : folder with the files
    dtype : dtype of X: a float type gives pixels / 255, in [0, 1]; "uint8" gives the raw bytes

    Raises
    ------
    FileNotFoundError
        If ``folder`` is not a folder.
    ValueError
        If a file in ``folder`` or ``CHAINRULE_DATA`` is corrupt, or an argument is invalid.
    ConnectionError
        If no mirror delivered the file.

    Examples
    --------
    >>> load_mnist("test")  # doctest: +SKIP
    Dataset('mnist': 10000 rows of 784 inputs (28 x 28 images), 10 classes)
    >>> load_mnist("validation")
    Traceback (most recent call last):
    ...
    ValueError: split must be 'train' or 'test', got 'validation': to validate, hold out a part of 'train'
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}: to validate, hold out a part of 'train'")
    if not isinstance(folder, str | os.PathLike | None):
        raise TypeError(f"folder must be a path, got {folder!r}: give the folder with the MNIST files")
    kind = _pixel_type(dtype)
    pixels, t = _mnist.read(split, folder)
    rows, height, width = pixels.shape
    X = np.empty((rows, height * width), kind)
    if kind == np.uint8:
        X[...] = pixels.reshape(X.shape)
    else:  # in small chunks: X is the only float array
        np.divide(pixels.reshape(X.shape), 255, out=X, dtype=kind)
    return Dataset("mnist", X, t.astype("int64"), _DIGITS, (height, width))


def read_images(folder: str | os.PathLike[str], size: int | None = None) -> Dataset:
    """Read a folder with a folder of images for each class, such as ``pets/cat/1.png`` and ``pets/dog/1.png``.

    PNG and JPEG images are scaled to [0, 1]. All are gray, with one channel, or all are RGB, with three.

    Parameters
    ----------
    folder : path
    size : int, optional
        Resize all images to this height and width; by default, all must have the same size.

    Returns
    -------
    Dataset
        ``image_shape`` is set if the images are gray.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there are fewer than two classes or five images of one, an image is corrupt, or the sizes differ.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for i in range(10):
    ...     (folder / "ab"[i % 2]).mkdir(exist_ok=True)
    ...     Image.new("L", (8, 6), color=20 * i).save(folder / "ab"[i % 2] / f"{i}.png")
    >>> read_images(folder)
    Dataset('images': 10 rows of 48 inputs (6 x 8 images), 2 classes)
    """
    found = _images.files(folder)
    paths = [path for images in found.values() for path in images]
    height, width, channels = shape = _images.shape_of(paths, size)
    t = np.repeat(np.arange(len(found), dtype="int64"), [len(images) for images in found.values()])
    image_shape = (height, width) if channels == 1 else None
    return Dataset("images", _images.pixels(paths, shape), t, tuple(found), image_shape)


DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": load_digits,
    "mnist": load_mnist,
    "moons": load_moons,
    "circles": load_circles,
    "spirals": load_spirals,
}


def _pixel_type(dtype: Any) -> np.dtype[Any]:
    try:
        kind: np.dtype[Any] = np.dtype("O" if dtype is None else dtype)  # NumPy takes None for float64
    except (TypeError, ValueError):
        kind = np.dtype("O")
    if kind.kind != "f" and kind != np.uint8:
        raise ValueError(f"dtype must be a float type or 'uint8', got {dtype!r}: omit it for 'float32'")
    return kind


def _checked(rows: Any, noise: Any, seed: Any, classes: int = 2) -> tuple[int, float, int]:
    """Validate the arguments shared by all drawn data sets."""
    if not isinstance(noise, Real) or isinstance(noise, bool):
        raise TypeError(f"noise must be a number, got {noise!r}: give a float, 0.0 for none")
    if not 0 <= float(noise) <= MOST_NOISE:
        raise ValueError(f"noise must be 0 or more and at most {MOST_NOISE:g}, got {noise!r}: give 0.0 for none")
    return _whole("rows", rows, classes), float(noise), _whole("seed", seed, 0, 2**32 - 1)


def _whole(name: str, value: Any, least: int, most: float | int = math.inf) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}: give an int, {least} or more")
    if not least <= int(value) <= most:
        limits = f"{least} or more" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be {limits}, got {value!r}: give a number in that range")
    return int(value)
