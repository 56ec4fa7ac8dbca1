"""Data to learn on: handwritten digits and three drawings of points in the plane, each as one `Dataset`.

NumPy aside, packages are imported on first use: scikit-learn for its data, pooch and tqdm for a download.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import sys
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DATASETS", "Dataset", "load_circles", "load_digits", "load_mnist", "load_moons", "load_spirals"]

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# split -> the files of its images and labels, each with the SHA-256 of its uncompressed bytes
_MNIST = {
    "train": (
        ("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
}
_DIGITS = tuple("0123456789")
_FILES = ", ".join(f"{name}.gz" for files in _MNIST.values() for name, _ in files)
_REMEDY = f"put the four files ({_FILES}) in a folder and set CHAINRULE_DATA to its path"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs, their labels, and what the labels are called.

    Parameters
    ----------
    name : what the data are called
    X : (rows, inputs), float32 unless asked otherwise
    t : (rows,) int64, labels from 0
    classes : the name of each label
    image_shape : (height, width) where a row of X is an image, row by row

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


def load_moons(rows: int = 1000, noise: float | int = 0.2, seed: int = 0) -> Dataset:
    """Draw two half circles that reach into each other, by scikit-learn's `make_moons`.

    Parameters
    ----------
    rows : number of points, shared equally among the classes
    noise : standard deviation of the normal noise added to both coordinates
    seed : the same seed gives the same points

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
    """Draw a circle of radius 1/2 inside one of radius 1, by `make_circles`; arguments as for `load_moons`.

    >>> load_circles().classes
    ('outer', 'inner')
    """
    rows, noise, seed = _checked(rows, noise, seed)
    make_circles = require("sklearn.datasets", "data").make_circles
    X, t = make_circles(n_samples=rows, noise=noise, random_state=seed, factor=0.5)
    return Dataset("circles", X.astype("float32"), t.astype("int64"), ("outer", "inner"))


def load_spirals(rows: int = 1000, noise: float | int = 0.1, seed: int = 0, arms: int = 3) -> Dataset:
    """Draw spiral arms around the origin, one a class; the other arguments as for `load_moons`.

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
    """Load MNIST: handwritten digits of 28 x 28 pixels, 60,000 to train on and 10,000 to test with.

    Each file is looked for in ``folder``, and nowhere else if that is given; else in the folder that the
    environment variable ``CHAINRULE_DATA`` names, then in the user's cache, then at two public mirrors. It
    may be as it comes (``train-images-idx3-ubyte.gz``) or unpacked, and is used only if the SHA-256 of its
    content is the known one.

    Parameters
    ----------
    split : "train" or "test"
    folder : where the files are
    dtype : of X: a float type gives pixels / 255, in [0, 1]; "uint8" the bytes as they are

    Raises
    ------
    FileNotFoundError
        ``folder`` lacks a file.
    ValueError
        A file in ``folder`` or ``CHAINRULE_DATA`` is damaged, or an argument is none of the above.
    ConnectionError
        Neither mirror gave the file.

    Examples
    --------
    >>> load_mnist("test")  # doctest: +SKIP
    Dataset('mnist': 10000 rows of 784 inputs (28 x 28 images), 10 classes)
    >>> load_mnist("validation")
    Traceback (most recent call last):
    ...
    ValueError: split must be 'train' or 'test', got 'validation': to validate, hold back a part of 'train'
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}: to validate, hold back a part of 'train'")
    if not isinstance(folder, str | os.PathLike | None):
        raise TypeError(f"folder must be a path, got {folder!r}: give the folder that holds the files of MNIST")
    kind = _pixel_type(dtype)
    pixels, t = (
        _idx(_mnist_file(name, sha256, folder), name, dimensions)
        for (name, sha256), dimensions in zip(_MNIST[split], (3, 1), strict=True)
    )
    rows, height, width = pixels.shape
    if len(t) != rows:
        raise ValueError(f"the {split} files hold {rows} images but {len(t)} labels: {_REMEDY}")
    X = np.empty((rows, height * width), kind)
    if kind == np.uint8:
        X[...] = pixels.reshape(X.shape)
    else:  # in small pieces: X is the only float array
        np.divide(pixels.reshape(X.shape), 255, out=X, dtype=kind)
    return Dataset("mnist", X, t.astype("int64"), _DIGITS, (height, width))


DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": load_digits,
    "mnist": load_mnist,
    "moons": load_moons,
    "circles": load_circles,
    "spirals": load_spirals,
}


def _mnist_file(name: str, sha256: str, folder: str | os.PathLike[str] | None) -> bytes:
    """Give the verified content of a file of MNIST, from the first place that has it."""
    if folder is not None:
        path = Path(folder).expanduser()
        raw = _find(name, sha256, path)
        if raw is None:
            where = str(path) if path.is_dir() else f"{path}, which is no folder"
            remedy = "put it there, or leave folder= out to download it"
            raise FileNotFoundError(f"neither {name}.gz nor {name} is in {where}: {remedy}")
        return raw
    given = os.environ.get("CHAINRULE_DATA")
    if given and (raw := _find(name, sha256, Path(given).expanduser())) is not None:
        return raw
    so_far = f"CHAINRULE_DATA={given} has no {name}.gz" if given else "CHAINRULE_DATA is not set"
    try:
        cache = Path(require("pooch", "data").os_cache("chainrule"))
        raw = _find(name, sha256, cache)
    except ImportError as error:
        raise ImportError(f"{so_far}, and to download {name}.gz, {error}") from error
    except ValueError as error:
        warnings.warn(f"downloading again: {error}", stacklevel=4)
        raw = None
    return _download(name, sha256, cache, so_far) if raw is None else raw


def _find(name: str, sha256: str, folder: Path) -> bytes | None:
    """Give the first good copy in ``folder``, or None if there is no copy; refuse if each is damaged."""
    damage = []
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            try:
                return _content(path, sha256)
            except ValueError as error:
                damage.append(f"{path.name} {error}")
    if damage:
        raise ValueError(f"{' and '.join(damage)}, in the folder {folder}: delete it, or replace it by a good copy")
    return None


def _content(path: Path, sha256: str) -> bytes:
    """Read a file, unpack it if it is gzip (whatever its name), and check the hash of what comes out."""
    try:
        raw = path.read_bytes()
        if raw.startswith(b"\x1f\x8b"):
            raw = gzip.decompress(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError("is damaged (its gzip data are cut short or broken)") from error
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise ValueError("is damaged or another file (its SHA-256 is not the known one)")
    return raw


def _download(name: str, sha256: str, cache: Path, so_far: str) -> bytes:
    """Fetch a file from the first mirror that gives it whole, and keep it in ``cache``."""
    pooch, tqdm = require("pooch", "data"), require("tqdm", "data").tqdm
    quiet = sys.stderr is None or not sys.stderr.isatty()
    tried = []
    for mirror in _MIRRORS:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            # Written in a folder beside its place, and moved there when it is known to be good.
            with (
                tempfile.TemporaryDirectory(prefix="part-", dir=cache) as scratch,
                # total=1 until the length is known: pooch asks for the bar's truth, and that is its total's
                tqdm(desc=name, total=1, unit="B", unit_scale=True, ncols=79, disable=quiet) as bar,
            ):
                part = Path(scratch) / f"{name}.gz"
                get = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=30)
                get(f"{mirror}{name}.gz", str(part), None)
                raw = _content(part, sha256)
                part.replace(cache / part.name)
                return raw
        except (OSError, ValueError) as error:  # every error of requests is an OSError
            why = str(error)
            tried.append(f"{mirror} ({why if len(why) < 120 else '...' + why[-100:]})")  # the cause is last
    raise ConnectionError(
        f"could not download {name}.gz to {cache}, tried {' and '.join(tried)}; {so_far}: "
        f"check the connection, or {_REMEDY}"
    )


def _idx(raw: bytes, name: str, dimensions: int) -> np.ndarray:
    """Read the IDX format: 0, 0, 8, the number of dimensions; each size in 4 bytes; then the bytes."""
    start = 4 + 4 * dimensions
    if len(raw) < start or raw[:4] != bytes([0, 0, 8, dimensions]):
        raise ValueError(f"{name} is not an IDX file of bytes in {dimensions} dimensions: {_REMEDY}")
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", dimensions, offset=4))
    if math.prod(shape) != len(raw) - start:
        raise ValueError(f"{name} says its shape is {shape}, but {len(raw) - start} bytes follow: {_REMEDY}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _pixel_type(dtype: Any) -> np.dtype[Any]:
    try:
        kind: np.dtype[Any] = np.dtype("O" if dtype is None else dtype)  # NumPy takes None for float64
    except (TypeError, ValueError):
        kind = np.dtype("O")
    if kind.kind != "f" and kind != np.uint8:
        raise ValueError(f"dtype must be a float type or 'uint8', got {dtype!r}: leave it out for 'float32'")
    return kind


def _checked(rows: Any, noise: Any, seed: Any, classes: int = 2) -> tuple[int, float, int]:
    """Check the arguments that every drawing takes."""
    if not isinstance(noise, Real) or isinstance(noise, bool):
        raise TypeError(f"noise must be a number, got {noise!r}: give a float, 0.0 for none")
    if not 0 <= float(noise) < math.inf:
        raise ValueError(f"noise must be 0 or more and finite, got {noise!r}: give 0.0 for none")
    return _whole("rows", rows, classes), float(noise), _whole("seed", seed, 0, 2**32 - 1)


def _whole(name: str, value: Any, least: int, most: float | int = math.inf) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}: give an int, {least} or more")
    if not least <= int(value) <= most:
        limits = f"{least} or more" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be {limits}, got {value!r}: give a number in that range")
    return int(value)
