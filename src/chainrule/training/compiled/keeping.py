"""Where compiled code is kept on disk: Numba's own cache, for which no state of its files is an error."""

from __future__ import annotations

import pickle
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from numba import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.misc.appdirs import AppDirs

REMEDY = "Set NUMBA_CACHE_DIR to a folder that can be written, or each process compiles anew."


class _NoSource:
    """A place for functions whose source is no file: in a zip, or where there is bytecode only.

    Numba's own places come first, but for one for zips, which finds out late that it cannot write.
    """

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file, self._code = py_file, py_func.__code__
        self._version = [cell.cell_contents for cell in py_func.__closure__]
        folder = config.CACHE_DIR or AppDirs(appname="numba", appauthor=False).user_cache_dir
        self._path = Path(folder, f"chainrule_{zlib.crc32(py_file.encode()):08x}")  # one for each installation

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _NoSource | None:
        place = cls(py_func, py_file)
        try:
            place.ensure_cache_path()
        except OSError:
            return None
        return place

    def ensure_cache_path(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=self._path):  # can it be written?
            pass

    def get_cache_path(self) -> str:
        return str(self._path)

    def get_source_stamp(self) -> Any:
        return self._version

    def get_disambiguator(self) -> str:
        return str(self._code.co_firstlineno)


class _Places(CompileResultCacheImpl):
    _numbas = CompileResultCacheImpl._locator_classes  # noqa: SLF001
    _locator_classes = [*(place for place in _numbas if "Zip" not in place.__name__), _NoSource]  # noqa: RUF012


class _Checked(IndexDataCacheFile):
    """Numba's two files, each with a checksum at its end: one bit of machine code that flips can end the process.

    It is no signature. Numba unpickles these files: whoever may write to the folder decides what is run.
    """

    def _dump(self, obj: Any) -> bytes:
        data: bytes = super()._dump(obj)
        return data + zlib.crc32(data).to_bytes(4, "little")

    def _load_index(self) -> Any:
        _check(Path(self._index_path), pickle.dumps(self._version, protocol=-1))  # Numba writes its version first
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _check(Path(self._data_path(name)))
        return super()._load_data(name)


def _check(path: Path, start: bytes = b"") -> None:
    if path.exists():
        data = path.read_bytes().removeprefix(start)
        if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise ValueError(f"{path} has changed since it was written")


class FileCache(FunctionCache):
    """Numba's files, of which none is worth an error: compiled anew where they cannot be read, or not kept."""

    _impl_class = _Places

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        self._cache_file.__class__ = _Checked

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001  (a pickle that is empty, cut or of something else raises anything)
            self._try(self.flush)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        self._try(super().save_overload, sig, data)

    def _try(self, write: Callable[..., None], *arguments: Any) -> None:
        try:
            write(*arguments)
        except OSError as error:
            self.disable()
            say(f"the compiled code cannot be kept in {self.cache_path} ({error.strerror}). {REMEDY}")


def say(line: str) -> None:
    """Say something about compiling to whoever waits for it."""
    print(f"chainrule: {line}", file=sys.stderr, flush=True)  # noqa: T201
