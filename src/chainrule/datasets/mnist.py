"""The four files of MNIST: found, verified, or downloaded."""

from __future__ import annotations

import hashlib
import math
import os
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# split -> the files of its images and labels, each with the SHA-256 of its uncompressed bytes
FILES = {
    "train": (
        ("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
}
LARGEST = 2**26  # the most bytes read or unpacked from a file: more than any of the four has
_NAMES = ", ".join(f"{name}.gz" for files in FILES.values() for name, _ in files)
_REMEDY = f"put the four files ({_NAMES}) in a folder and set CHAINRULE_DATA to its path"


def read(split: str, folder: str | os.PathLike[str] | None) -> tuple[Array, Array]:
    """Return the images (rows, height, width) and the labels (rows,) of a split, as bytes."""
    (images, images_hash), (labels, labels_hash) = FILES[split]
    pixels = _idx(_file(images, images_hash, folder), images, 3)
    t = _idx(_file(labels, labels_hash, folder), labels, 1)
    if len(t) != len(pixels):
        raise ValueError(f"the {split} files hold {len(pixels)} images but {len(t)} labels: {_REMEDY}")
    return pixels, t


def _file(name: str, sha256: str, folder: str | os.PathLike[str] | None) -> bytes:
    """Return the verified content of one file from the first source that has it: a folder, the cache, a mirror."""
    given = os.environ.get("CHAINRULE_DATA") if folder is None else folder
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise FileNotFoundError(f"folder: {folder} is not a folder: {_REMEDY}, or give that folder here")
    if given and (raw := _find(name, sha256, Path(given).expanduser())) is not None:
        return raw
    so_far = f"the folder {given} has no {name}.gz" if given else "CHAINRULE_DATA is not set"
    try:
        cache = Path(require("pooch", "data").os_cache("chainrule"))
        raw = _find(name, sha256, cache)
    except ImportError as error:
        raise ImportError(f"{so_far}, and to download {name}.gz, {error}") from error
    except ValueError as error:
        warnings.warn(f"downloading again: {error}", stacklevel=5)
        raw = None
    return _download(name, sha256, cache, so_far) if raw is None else raw


def _find(name: str, sha256: str, folder: Path) -> bytes | None:
    """Return the first intact copy in ``folder``, or None without a copy; raise an error if all are corrupt."""
    damage = []
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            try:
                return _content(path, sha256)
            except ValueError as error:
                damage.append(f"{path.name} {error}")
    if damage:
        raise ValueError(
            f"{' and '.join(damage)}, in the folder {folder}: delete it, or replace it with an intact copy"
        )
    return None


def _cause(error: Exception) -> str:
    """Return the cause of a failed download without urllib3's objects."""
    return str(getattr(next(iter(error.args), None), "reason", error)).rpartition("): ")[2]


def _content(path: Path, sha256: str) -> bytes:
    """Read a file, unpack it if it is gzip (whatever its name), and check the hash of the content."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("is corrupt or a different file (it is too large)")
        raw = path.read_bytes()
        if raw.startswith(b"\x1f\x8b"):
            unpacking = zlib.decompressobj(wbits=31)  # gzip
            raw = unpacking.decompress(raw, LARGEST)
            if not unpacking.eof or unpacking.unused_data:
                raise EOFError
    except (EOFError, zlib.error) as error:
        raise ValueError("is corrupt (its gzip data are truncated or invalid)") from error
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise ValueError("is corrupt or a different file (its SHA-256 is not the known one)")
    return raw


def _download(name: str, sha256: str, cache: Path, so_far: str) -> bytes:
    """Download a file from the first mirror that delivers it intact, and keep it in ``cache``."""
    pooch, tqdm = require("pooch", "data"), require("tqdm", "data").tqdm
    quiet = sys.stderr is None or not sys.stderr.isatty()
    tried = []
    for mirror in MIRRORS:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            # Written to a folder next to its place, and moved there once it is verified.
            with (
                tempfile.TemporaryDirectory(prefix="part-", dir=cache) as scratch,
                # total=1 until the length is known: pooch tests the truth of the bar, which is that of its total
                tqdm(desc=name, total=1, unit="B", unit_scale=True, ncols=79, disable=quiet) as bar,
            ):
                part = Path(scratch) / f"{name}.gz"
                get = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=30)
                get(f"{mirror}{name}.gz", str(part), None)
                raw = _content(part, sha256)
                part.replace(cache / part.name)
                return raw
        except (OSError, ValueError) as error:  # every error of requests is an OSError
            why = _cause(error)
            tried.append(f"{mirror} ({why if len(why) < 120 else '...' + why[-100:]})")  # the cause is last
    raise ConnectionError(
        f"could not download {name}.gz to {cache}, tried {' and '.join(tried)}; {so_far}. "
        f"Check the connection, or {_REMEDY}."
    )


def _idx(raw: bytes, name: str, dimensions: int) -> Array:
    """Read the IDX format: 0, 0, 8, the number of dimensions; each size in 4 bytes; then the bytes."""
    start = 4 + 4 * dimensions
    if len(raw) < start or raw[:4] != bytes([0, 0, 8, dimensions]):
        raise ValueError(f"{name} is not an IDX file of bytes in {dimensions} dimensions: {_REMEDY}")
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", dimensions, offset=4))
    if math.prod(shape) != len(raw) - start:
        raise ValueError(f"{name} says its shape is {shape}, but {len(raw) - start} bytes follow: {_REMEDY}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)
