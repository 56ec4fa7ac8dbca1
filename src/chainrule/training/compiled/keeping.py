"""Where machine code is kept: one small file for each function, in the user's cache folder."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

watcher: ContextVar[Callable[[int, int], None] | None] = ContextVar("watcher", default=None)
"""Called with the operations done and in all, before each that is compiled and after the last; None prints a line."""

REMEDY = "Set NUMBA_CACHE_DIR to a writable folder, or each process compiles again."


def read(key: str) -> tuple[str, bytes] | None:
    """Return the symbol and the machine code of a function; None if there is none, or a damaged file.

    A checksum guards against damage: one flipped bit of machine code can end the process. It does not authenticate:
    whoever may write to the folder decides what is run.
    """
    folder = _folder()
    try:
        data = (folder / _name(key)).read_bytes() if folder else b""
    except OSError:
        return None
    checksum, data = data[:4], data[4:]
    if not data or zlib.crc32(data).to_bytes(4, "little") != checksum:
        return None
    symbol, _, code = data.partition(b"\n")
    return symbol.decode(), code


def write(key: str, symbol: str, code: bytes) -> tuple[str, bytes]:
    """Keep the machine code of a function where that is possible, and return it."""
    folder = _folder()
    if folder is not None:
        data = symbol.encode() + b"\n" + code
        temporary = None
        try:
            handle, temporary = tempfile.mkstemp(dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(zlib.crc32(data).to_bytes(4, "little") + data)
            Path(temporary).replace(folder / _name(key))
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            _say_once(f"the compiled code cannot be kept in {folder} ({error.strerror}). {REMEDY}")
    return symbol, code


def there(key: str) -> bool:
    """Return whether there is a file with the machine code of a function."""
    folder = _folder()
    return folder is not None and (folder / _name(key)).is_file()


def possible() -> bool:
    """Return whether machine code can be kept."""
    folder = _folder()
    return folder is not None and os.access(folder, os.W_OK)


def announce() -> None:
    """Say once that what takes so long is the compiler, unless a watcher shows it and all is well."""
    if watcher.get() is not None and possible():
        return
    kept = "the result is kept for later" if _folder() else f"the result cannot be kept. {REMEDY}"
    _say_once(f"compiling, which takes a few seconds; {kept}")


@functools.cache
def _say_once(line: str) -> None:
    print(f"chainrule: {line}", file=sys.stderr, flush=True)  # noqa: T201


@functools.cache
def _folder() -> Path | None:
    """Return the folder for this version of everything that decides what the machine code is."""
    try:
        folder = _place() / "chainrule" / f"{_version():08x}"
    except RuntimeError:  # there is no home folder
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # is it writable?
            pass
    except OSError:
        return folder if folder.is_dir() else None
    return folder


def _place() -> Path:
    """Return the user's folder for what can be made again, or the one that ``NUMBA_CACHE_DIR`` names."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _name(key: str) -> str:
    return f"{key}.o"


def _version() -> int:
    """Return a number that changes with the sources in this folder, with Numba and LLVM, and with the processor."""
    from llvmlite import binding  # noqa: PLC0415  (start-up time: 50 ms)

    settings = sorted((name, value) for name, value in os.environ.items() if name.startswith("NUMBA_CPU"))
    known = (
        version("numba"), version("llvmlite"), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten(),
        settings,
    )  # fmt: skip
    total = zlib.crc32(repr(known).encode())
    for file in _sources(files(__package__)):
        total = zlib.crc32(file.read_bytes(), total)
    return total


def _sources(folder: Traversable) -> Iterator[Traversable]:
    """Yield the sources of this package, or its bytecode, which may be in a zip; none in a single executable."""
    for file in sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []:
        if file.is_dir() and file.name != "__pycache__":
            yield from _sources(file)
        elif file.name.endswith((".py", ".pyc")):
            yield file
