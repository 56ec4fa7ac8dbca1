"""Files at addresses such as ``https://`` and ``s3://``, opened by fsspec and bounded in size and in time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainrule._internal.extras import require
from chainrule.tables import unpacking
from chainrule.tables.formats import is_table
from chainrule.tables.sources.names import is_local, scheme, shown

CONNECT, READ = 10.0, 60.0  # seconds
PART = 2**20  # bytes
AMAZON: dict[str, tuple[type[Exception], str]] = {
    "NoSuchBucket": (FileNotFoundError, "no such bucket: {}."),
    "NoCredentialsError": (
        PermissionError, "no credentials for {}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
    ),
}  # fmt: skip
"""Errors of botocore, by their names, which it makes at run time."""


def fetch(source: str) -> bytes:
    """Return the content of the file at an address.

    Raises
    ------
    ImportError
        If fsspec, or the package that it needs for this kind of address, is not installed.
    ConnectionError, FileNotFoundError, PermissionError
    ValueError
        If the file exceeds the limit on memory, or the kind of address is unknown.
    """
    fsspec = require("fsspec", "sources")
    name, kind = shown(source), scheme(source)
    with _explained(name, kind), fsspec.open(source, "rb", **_options(kind)) as file:
        content = b"".join(unpacking.parts(file, 0, name, PART))
    if not content and kind not in ("http", "https"):
        raise ValueError(f"{name} is empty, or a folder: end the address of a folder with a slash.")
    return content


def files(source: str) -> list[str]:
    """Return the addresses of the tables in a folder, which ends in a slash, or of the files of a pattern, sorted.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ImportError, ConnectionError, PermissionError, ValueError
        As for :func:`fetch`.
    """
    core = require("fsspec.core", "sources")
    name, kind = shown(source), scheme(source)
    with _explained(name, kind):
        system, path = core.url_to_fs(source, **_options(kind))
        pattern = f"{path.rstrip('/')}/*" if source.endswith("/") else path
        found = sorted(at for at, of in system.glob(pattern, detail=True).items() if of["type"] == "file")
        if source.endswith("/"):
            found = [at for at in found if at.rpartition("/")[2][0] not in "._" and is_table(at)]
    if not found:
        what = "the folder {} has no table" if source.endswith("/") else "no file fits the pattern {}"
        raise FileNotFoundError(f"{what.format(name)}.")
    return [system.unstrip_protocol(at) for at in found]


def copy(source: str, file: Any) -> None:
    """Write the content of the file at an address to a file."""
    fsspec = require("fsspec", "sources")
    name, kind = shown(source), scheme(source)
    with contextlib.ExitStack() as stack:
        with _explained(name, kind):
            opened = stack.enter_context(fsspec.open(source, "rb", **_options(kind)))
        while True:
            with _explained(name, kind):
                part = opened.read(PART)
            if not part:
                return
            file.write(part)  # an error of the disk is not one of the server


def stamp(source: str) -> list[str]:
    """Return the size and the version of a file at an address, or on disk, which tell whether it has changed."""
    if is_local(source):
        found = Path(source).stat()
        return [str(found.st_size), str(found.st_mtime_ns)]
    fsspec = require("fsspec", "sources")
    name, kind = shown(source), scheme(source)
    with _explained(name, kind):
        system, path = fsspec.core.url_to_fs(source, **_options(kind))
        info = system.info(path)
    return [str(info.get(key, "")) for key in ("size", "ETag", "LastModified", "mtime", "created")]


def _options(kind: str) -> dict[str, Any]:
    if kind == "s3":  # by default, five times a minute
        retries = {"max_attempts": 2}
        return {"config_kwargs": {"connect_timeout": CONNECT, "read_timeout": READ, "retries": retries}}
    if kind not in ("http", "https"):
        return {}
    aiohttp = require("aiohttp", "sources")
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=READ)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}, "block_size": 0}  # 0: read from start to end


@contextlib.contextmanager
def _explained(name: str, kind: str) -> Iterator[None]:
    """Turn the errors of fsspec, and of the packages below it, into one sentence without a secret."""
    try:
        yield
    except unpacking.TooLargeError:
        raise
    except Exception as error:  # noqa: BLE001  (each kind of address has errors of its own)
        for of in (error, error.__cause__):
            if (found := AMAZON.get(type(of).__name__)) is not None:
                raise found[0](found[1].format(name)) from None
        raise _sentence(error, name, kind) from None


def _sentence(error: Exception, name: str, kind: str) -> Exception:
    if isinstance(error, ImportError):
        package = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}.get(kind, error.name)
        return ImportError(f"to read {kind}://, fsspec needs another package. Type: pip install {package}")
    if isinstance(error, PermissionError):
        return PermissionError(f"permission denied: {name}.")
    cause = error
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
        cause = error.__cause__  # the server cannot be reached, or answers with an error
    status = getattr(cause, "status", None)
    if isinstance(cause, FileNotFoundError) or status == 404:
        return FileNotFoundError(f"no such file: {name}.")
    if isinstance(status, int):
        return ConnectionError(f"cannot read {name}: the server answered {status}.")
    if "Protocol not known" in str(error):
        return ValueError(f"{name}: fsspec does not know the kind of address {kind}://.")
    # not the text of the error, which may repeat the address with its secrets
    why = "no answer in time" if isinstance(cause, TimeoutError) else getattr(cause, "strerror", None)
    return ConnectionError(
        f"cannot reach {name} ({why or type(cause).__name__}): check the address and the connection."
    )
