"""Files at addresses such as ``https://`` and ``s3://``, opened by fsspec and bounded in size and in time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from chainrule._internal.extras import require
from chainrule.tables import unpacking
from chainrule.tables.sources.names import scheme, shown

CONNECT, READ = 10.0, 60.0  # seconds
PART = 2**20  # bytes

__all__ = ["fetch"]


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
    parts, size = list[bytes](), 0
    with _explained(name, kind), fsspec.open(source, "rb", **_options(kind)) as file:
        while part := file.read(PART):
            size += len(part)
            unpacking.check(size, 0, name)
            parts.append(part)
    return b"".join(parts)


def _options(kind: str) -> dict[str, Any]:
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
    except ImportError as error:
        hint = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}.get(kind, error.name)
        raise ImportError(f"to read {kind}://, fsspec needs another package. Type: pip install {hint}") from None
    except FileNotFoundError as error:  # also of a server that cannot be reached, or that answers with an error
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError):
            raise _unreachable(name, error.__cause__) from None
        if (status := getattr(error.__cause__, "status", 404)) != 404:
            raise ConnectionError(f"cannot read {name}: the server answered {status}.") from None
        raise FileNotFoundError(f"no such file: {name}.") from None
    except PermissionError:
        raise PermissionError(f"permission denied: {name}.") from None
    except OSError as error:
        raise _unreachable(name, error) from None
    except Exception as error:  # noqa: BLE001  (each kind of address has errors of its own)
        status = getattr(error, "status", None)
        if isinstance(status, int):
            raise ConnectionError(f"cannot read {name}: the server answered {status}.") from None
        if "Protocol not known" in str(error):
            raise ValueError(f"{name}: fsspec does not know the kind of address {kind}://.") from None
        raise ConnectionError(f"cannot read {name} ({_why(error)}).") from None


def _unreachable(name: str, error: BaseException) -> ConnectionError:
    why = "no answer in time" if isinstance(error, TimeoutError) else _why(error)
    return ConnectionError(f"cannot reach {name} ({why}): check the address and the connection.")


def _why(error: BaseException) -> str:
    """Return the reason or the kind of an error, not its text, which may repeat the address with its secrets."""
    return getattr(error, "strerror", None) or type(error).__name__
