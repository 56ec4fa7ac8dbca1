"""The one way in which files are written: beside their place, and renamed when they are whole and on the disk."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

START, END = ".chainrule-", ".part"  # of the name of a file or folder that is not finished


def write_atomically(path: str | os.PathLike[str], content: bytes, *, follow: bool = True) -> None:
    """Write a file of this content: see :func:`writing`."""
    with writing(path, follow=follow) as file:
        file.write(content)


@contextmanager
def writing(path: str | os.PathLike[str], *, follow: bool = True) -> Iterator[BinaryIO]:
    """Yield a file to write to; when the block ends it is put on the disk and takes the place of ``path``.

    At ``path`` is always the old file or the new one, whole. An exception leaves the old one. The permissions of a file
    that is replaced are kept. A process that is killed may leave its ``.chainrule-*.part`` behind.

    Parameters
    ----------
    path : path
    follow : bool
        Whether a link at ``path`` stands for the file it leads to. In a run's folder, which may be a stranger's, it
        does not: the link itself is replaced.
    """
    given, path = Path(path), Path(os.path.realpath(path) if follow else path)
    if path.exists() and not path.is_file():
        raise OSError(f"{given} is not a regular file but a folder, a pipe or a device: choose another name.")
    part = path.parent / _unused()
    try:  # not tempfile, whose files are private: this one gets the permissions of any new file
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except FileNotFoundError:
        raise FileNotFoundError(f"{given}: there is no folder {path.parent}. Make it first.") from None
    except PermissionError:
        raise PermissionError(f"{given}: this user may not write into the folder {path.parent}.") from None
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists() and not path.is_symlink():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def replacing(folder: Path, names: Sequence[str], last: str) -> Iterator[Path]:
    """Yield an empty folder for new files; when the block ends they take the places of those in ``folder``.

    First everything is written, and only then swapped: an exception, or a kill while the files are written, leaves the
    old ones as they were. During the swap, which is a few renames, ``last`` is missing, so that nobody takes a mixture
    of old and new files for a whole run.

    Parameters
    ----------
    folder : Path
        Made if it is not there. Files with other names in it are left alone.
    names : sequence of str
        Old files to remove where there is no new one of that name.
    last : str
        The file without which the others are not read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            raise IsADirectoryError(
                f"{folder / name} is a folder, where a file is to be written: choose another folder."
            )
    remove_parts(folder)
    staged = folder / _unused()
    staged.mkdir(mode=0o700)
    try:
        yield staged
        written = sorted(staged.iterdir(), key=lambda path: path.name == last)
        for path in written:
            _sync(path)
            old = folder / path.name
            if old.is_file() and not old.is_symlink():
                path.chmod(stat.S_IMODE(old.stat().st_mode))
        (folder / last).unlink(missing_ok=True)
        for name in set(names) - {path.name for path in written}:
            (folder / name).unlink(missing_ok=True)
        for path in written:
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    _sync(folder)


def remove_parts(folder: Path) -> None:
    """Remove what a process that was killed left in a folder."""
    for part in folder.glob(f"{START}*{END}"):
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def refuse_link(path: Path) -> Path:
    """Return ``path``, which must not be a link: in a run's folder, one leads to what is not of the run."""
    if path.is_symlink():
        raise OSError(f"{path} is a link to {path.readlink()}: remove it, or choose another folder.")
    return path


def _unused() -> str:
    return f"{START}{secrets.token_hex(8)}{END}"


def _sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | (getattr(os, "O_DIRECTORY", 0) if path.is_dir() else 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
