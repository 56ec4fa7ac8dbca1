"""A folder of images by class, such as ``pets/cat/1.png``, as one data set of rows of pixels."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.extras import require

ENDINGS = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
FEWEST = 5  # images of a class
LARGEST = 2**26  # pixels of an image
MOST = 2**31  # bytes of all images as float32
GRAY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")  # modes of Pillow


def has_images(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder, or a folder in it, has images."""
    return Path(folder).is_dir() and any(_images(place) for place in (Path(folder), *_folders(Path(folder))))


def files(folder: str | os.PathLike[str], classes: Sequence[str] | None = None) -> dict[str, list[Path]]:
    """Return the images of each class, sorted by name: those in the folder that is called like the class.

    Parameters
    ----------
    folder : path
    classes : sequence of str, optional
        The known classes, of which some may be missing; by default two or more, each with five images or more.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the images are not in folders of classes, a class is unknown, or it has too few images.
    """
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}.")
    found = {path.name: images for path in _folders(place) if (images := _images(path))}
    if classes is not None:
        if odd := [name for name in found if name not in classes]:
            raise ValueError(f"{folder} has the class {odd[0]!r}, which training did not have: {', '.join(classes)}.")
        if not found:
            raise ValueError(f"{folder} has no images by class: expected folders such as {place / classes[0]}.")
        return found
    if len(found) < 2:
        raise ValueError(
            f"{folder}: expected two or more folders of images, one per class, such as {place / 'cat' / '1.png'} and "
            f"{place / 'dog' / '1.png'}; got {', '.join(found) or 'none'}."
        )
    for name, images in found.items():
        if len(images) < FEWEST:
            raise ValueError(f"{place / name} has {len(images)} images: expected at least {FEWEST} of each class.")
    return found


def shape_of(paths: Sequence[Path], size: int | None = None) -> tuple[int, int, int]:
    """Return the height, width and channels for images: one channel if all are gray, else three.

    Parameters
    ----------
    paths : sequence of path
    size : int, optional
        The height and the width; by default those of the first image, which all must have.

    Raises
    ------
    ValueError
        If the images differ in size and no size is given.
    """
    if size is not None and size < 1:
        raise ValueError(f"--image-size: expected a number of pixels of 1 or more, got {size}.")
    gray, first = True, (0, 0)
    for path in paths:
        with _opened(path) as image:
            gray = gray and image.mode in GRAY
            across, down = _upright(image)
        first = first if any(first) else (across, down)
        if size is None and (across, down) != first:
            raise ValueError(
                f"{path} has {across} x {down} pixels, but {paths[0]} has {first[0]} x {first[1]}: give one size for "
                "all, as in --image-size 64."
            )
    width, height = first if size is None else (size, size)
    return height, width, 1 if gray else 3


def pixels(paths: Sequence[Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Return images of a shape as rows of float32 in [0, 1], (images, height · width · channels).

    Raises
    ------
    ValueError
        If an image is corrupt, or all of them take more than 2 GB.
    """
    height, width, channels = shape
    taken = 4 * len(paths) * height * width * channels
    if taken > MOST:
        raise ValueError(
            f"{len(paths):,} images of {width} x {height} pixels take {taken / 1e9:.1f} GB: give a smaller size, as in "
            "--image-size 64."
        )
    rows = np.empty((len(paths), height, width, channels), np.float32)
    transposed = require("PIL.ImageOps", "plot").exif_transpose
    for row, path in zip(rows, paths, strict=True):
        with _opened(path) as image:
            deep = image.mode.startswith("I")  # 16 bits, which Pillow would clip to 8
            made = image.convert("F") if deep else image.convert("L" if channels == 1 else "RGB")
            made = transposed(made) if image.getexif() else made
            values = np.asarray(made.resize((width, height)) if made.size != (width, height) else made, np.float32)
        row[...] = values.reshape(height, width, -1) / (65535 if deep else 255)
    return rows.reshape(len(paths), -1)


class _LargeError(ValueError):
    """An image with more pixels than are decoded."""


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an image; errors of Pillow, also in the block, become one sentence."""
    try:
        with require("PIL.Image", "plot").open(path, formats=FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise _LargeError(f"{path} has {image.width} x {image.height} pixels: expected at most {LARGEST:,}.")
            yield image
    except _LargeError:
        raise
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{path} is corrupt: it cannot be read as a PNG or JPEG image ({error}).") from None


def _upright(image: Any) -> tuple[int, int]:
    """Return the width and the height of an image as it is shown."""
    turned = image.getexif().get(0x0112, 1) >= 5  # on its side
    return (image.height, image.width) if turned else (image.width, image.height)


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and path.name[0] not in "._")


def _images(place: Path) -> list[Path]:
    inside = (path for path in place.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] not in "._")
    return sorted(path for path in inside if path.is_file())
