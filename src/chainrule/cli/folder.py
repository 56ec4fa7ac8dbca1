"""The folder of a run: created before training, filled file by file, and never left half-written."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from chainrule.files.writing import END, START, alone, check_writable

MODEL, HISTORY, CONFIG, SCHEMA = "model.safetensors", "history.csv", "config.json", "schema.json"
CHECKPOINTS = "checkpoints"  # of an unfinished run
PICTURES = ("curves.png", "confusion.png", "mistakes.png", "weights.png", "boundary.png")
OURS = (MODEL, HISTORY, CONFIG, *PICTURES)


def is_table_run(folder: Path) -> bool:
    """Return whether the folder is that of a run on a table."""
    return (folder / SCHEMA).is_file()


@contextlib.contextmanager
def run_folder(source: str, out: Path | None, *, overwrite: bool) -> Iterator[Path]:
    """Create the folder of a run; if the block fails before it writes anything, remove what was created."""
    made: list[Path] = []
    try:
        path = Path("runs", source) if out is None else out
        with claimed(_prepared(path, made, numbered=out is None, overwrite=overwrite)) as path:
            yield path
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if it is empty
        raise


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """Let no other process train in the folder meanwhile: two would mix their files."""
    with alone(folder, f"another process is training in {folder}: choose another folder with --out, or wait for it."):
        yield folder


def _prepared(path: Path, made: list[Path], *, numbered: bool, overwrite: bool) -> Path:
    try:
        if numbered and not overwrite:
            _make(path.parent, made)
            path = _numbered(path, made)
        else:
            _make(path, made)
        wrong = [path / name for name in OURS if overwrite and (path / name).is_dir()]
        entries = [] if overwrite else [entry.name for entry in path.iterdir() if not _worthless(entry)]
        check_writable(path)
    except (FileExistsError, NotADirectoryError) as error:
        blocking = next(place for place in (path, *path.parents) if place.exists())
        raise NotADirectoryError(
            f"{blocking} is a file, but a folder is needed for the results: choose another folder with --out."
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise OSError(f"cannot write to the folder {path} ({why}): choose another one with --out.") from error
    if wrong:
        raise IsADirectoryError(f"cannot write {wrong[0]}: it is a folder. Choose another output folder with --out.")
    if entries == [CHECKPOINTS]:
        raise FileExistsError(
            f"the folder {path} has an unfinished training run: resume it with chainrule train --resume {path}, or "
            "start over with --overwrite."
        )
    if entries:
        raise FileExistsError(f"the folder {path} is not empty: choose another with --out, or use --overwrite.")
    return path


def _worthless(entry: Path) -> bool:
    """Return whether an entry is what remains of a run that was killed before its first checkpoint."""
    if entry.name == CHECKPOINTS and entry.is_dir():
        return not any(entry.rglob("checkpoint-*"))
    return entry.name.startswith(START) and entry.name.endswith(END)


def _numbered(path: Path, made: list[Path]) -> Path:
    """Create ``path``, or the first of ``path-2``, ``path-3``, ... that does not exist."""
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
