"""The folder of a run: made before training, filled file by file, and never left half-written."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chainrule.files.writing import END, START

MODEL, HISTORY, CONFIG, SCHEMA = "model.safetensors", "history.csv", "config.json", "schema.json"
CHECKPOINTS = "checkpoints"  # of a training that has not ended
PICTURES = ("curves.png", "confusion.png", "mistakes.png", "weights.png", "boundary.png")
OURS = (MODEL, HISTORY, CONFIG, *PICTURES)


@contextlib.contextmanager
def run_folder(dataset: str, out: Path | None, *, overwrite: bool) -> Iterator[Path]:
    """Make the folder of a run; when the block fails before it wrote anything, take away again what was made."""
    made: list[Path] = []
    try:
        yield _prepared(dataset, out, made, overwrite=overwrite)
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if it is empty
        raise


def _prepared(dataset: str, out: Path | None, made: list[Path], *, overwrite: bool) -> Path:
    path = out if out is not None else Path("runs", dataset)
    try:
        if out is None and not overwrite:
            _make(path.parent, made)
            path = _numbered(path, made)
        else:
            _make(path, made)
        for name in OURS if overwrite else ():
            if (path / name).is_dir():
                raise IsADirectoryError(
                    f"{path / name} is a folder, where a file is to be written: choose another folder with --out."
                )
        entries = [] if overwrite else [entry for entry in path.iterdir() if not _worthless(entry)]
        with tempfile.TemporaryFile(dir=path):  # can it be written?
            pass
    except (FileExistsError, NotADirectoryError) as error:
        blocking = next(place for place in (path, *path.parents) if place.exists())
        raise NotADirectoryError(
            f"{blocking} is a file, where a folder is needed for the results: choose another folder with --out."
        ) from error
    except (OSError, ValueError) as error:
        if isinstance(error, IsADirectoryError):
            raise
        why = getattr(error, "strerror", None) or error
        raise OSError(f"the folder {path} cannot be written ({why}): choose another one with --out.") from error
    if [entry.name for entry in entries] == [CHECKPOINTS]:
        raise FileExistsError(
            f"the folder {path} has a training that has not ended: resume it with chainrule train --resume {path}, or "
            "start again with --overwrite."
        )
    if entries:
        raise FileExistsError(
            f"the folder {path} is not empty: choose another one with --out, or replace its results with --overwrite."
        )
    return path


def _worthless(entry: Path) -> bool:
    """Return whether an entry is all that a training leaves which is killed before its first checkpoint."""
    if entry.name == CHECKPOINTS and entry.is_dir():
        return not any(entry.glob("checkpoint-*"))
    return entry.name.startswith(START) and entry.name.endswith(END)


def _numbered(path: Path, made: list[Path]) -> Path:
    """Make ``path``, or the first of ``path-2``, ``path-3``, ... that is not there."""
    for n in itertools.count(1):
        folder = path if n == 1 else path.with_name(f"{path.name}-{n}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            made.append(folder)
            break
    return folder


def _make(path: Path, made: list[Path]) -> None:
    missing = list(itertools.takewhile(lambda folder: not folder.exists(), [path, *path.parents]))
    for folder in reversed(missing):
        folder.mkdir()
        made.append(folder)
    if not path.is_dir():
        raise NotADirectoryError(0, "not a folder", str(path))
