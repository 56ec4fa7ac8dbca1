"""Atomic writes: files are written under a temporary name, flushed to disk, and renamed."""

from __future__ import annotations

import importlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

START, END = ".chainrule-", ".part"  # of the names of unfinished files and folders


@contextmanager
def alone(folder: Path, message: str) -> Iterator[None]:
    """Lock a folder, where the system can; a ValueError with this message if another process has it locked.

    The lock ends with the process, also if it is killed.
    """
    try:
        fcntl = importlib.import_module("fcntl")
    except ImportError:  # on Windows
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(message) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(lock)


def write_atomically(path: str | os.PathLike[str], content: bytes, *, follow: bool = True) -> None:
    """Write a file with this content: see :func:`writing`."""
    with writing(path, follow=follow) as file:
        file.write(content)


@contextmanager
def writing(path: str | os.PathLike[str], *, follow: bool = True) -> Iterator[BinaryIO]:
    """Yield a file to write to; when the block ends, it is flushed to disk and replaces ``path``.

    ``path`` is always either the old file or the complete new one. If an exception occurs, the old file stays. The
    permissions of a replaced file are kept. A killed process may leave its ``.chainrule-*.part`` behind.

    Parameters
    ----------
    path : path
    follow : bool
        Whether to write to the target of a link at ``path``. In a run's folder, which may come from an untrusted
        source, the link itself is replaced.
    """
    given, path = Path(path), Path(os.path.realpath(path) if follow else path)
    if path.exists() and not path.is_file():
        raise OSError(f"{given} is not a regular file but a folder, a pipe or a device: choose another name.")
    part = path.parent / _unused()
    try:  # not tempfile, whose files are private: this one gets the default permissions
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except (FileNotFoundError, NotADirectoryError):
        if path.parent.exists():  # /proc, for example, or a file
            raise OSError(f"{given}: {path.parent} takes no new files. Choose another folder.") from None
        raise FileNotFoundError(f"{given}: the folder {path.parent} does not exist. Create it first.") from None
    except PermissionError:
        raise PermissionError(f"{given}: no permission to write to the folder {path.parent}.") from None
    except OSError as error:  # names the temporary file
        raise OSError(error.errno, error.strerror, str(given)) from None
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists() and not path.is_symlink():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None and (number := _number(error)):
            raise OSError(number, os.strerror(number), str(given)) from None
        raise
    _sync(path.parent)


@contextmanager
def replacing(folder: Path, names: Sequence[str], last: str) -> Iterator[Path]:
    """Yield an empty folder for new files; when the block ends, they replace those in ``folder``.

    All files are written before any is swapped: after an exception, or a kill during writing, the old files are
    unchanged. During the swap, which is a few renames, ``last`` is missing, so that a mixture of old and new files is
    never mistaken for a complete run.

    Parameters
    ----------
    folder : Path
        Created if it does not exist. Files with other names in it are not touched.
    names : sequence of str
        Old files to remove if there is no new file of that name.
    last : str
        The file without which the others are ignored.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            raise IsADirectoryError(
                f"{folder / name} is a folder, but a file must be written there: choose another folder."
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
    except OSError as error:
        if error.errno and error.filename:  # a name in the final folder says more
            raise OSError(error.errno, error.strerror, str(error.filename).replace(str(staged), str(folder))) from None
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    _sync(folder)


def remove_parts(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder."""
    for part in folder.glob(f"{START}*{END}"):
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raise an error if no file can be made in a folder."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def refuse_link(path: Path) -> Path:
    """Return ``path``, or raise an error for a link: in a run's folder, a link leads outside the run."""
    if path.is_symlink():
        raise OSError(f"{path} is a link to {path.readlink()}: remove it, or choose another folder.")
    return path


def _number(error: OSError) -> int | None:
    """Return the system's number of an error; polars has it in its text."""
    said = re.search(r"\(os error (\d+)\)", str(error))
    return error.errno or (int(said[1]) if said else None)


def _unused() -> str:
    return f"{START}{secrets.token_hex(8)}{END}"


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk, if the file system supports it."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | (getattr(os, "O_DIRECTORY", 0) if path.is_dir() else 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
