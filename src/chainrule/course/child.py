"""The process that runs a learner's file: it receives arguments and returns what the function returns.

It is started as a script, imports nothing of chainrule, and never sees an expected value: a file that rewrites NumPy,
searches the frames of this program or writes to its channel can only change its own answers. The channel is the
original standard output, and what the file prints is a part of its answers. Frames begin with a random token.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import struct
import sys
import time
import traceback
from collections.abc import Iterable
from typing import Any

import numpy as np

TOKEN = 16  # bytes
MOST_HEADER, MOST_BODY = 2**21, 2**26  # bytes of a frame
TEXT = 400  # characters of an error that are passed on
PRINTED = 2000  # characters of what a file prints
NOBODY = 65534
DTYPES = {"|b1", "|i1", "|u1", *(f"<{kind}{size}" for kind in "iuf" for size in (2, 4, 8))}

Value = Any  # None, numbers, texts, arrays and Seeds, and tuples of these


class ChannelError(Exception):
    """Raised when a frame is not one of ours."""


class Seed(int):
    """An argument that arrives as ``np.random.default_rng(seed)``."""


class Other(str):
    """A result that cannot be checked, by the name of its type."""

    __slots__ = ()


def pack(value: Value, body: list[bytes]) -> Any:
    """Return a value as JSON has it; the bytes of arrays are appended to ``body``."""
    if isinstance(value, Seed):
        return {"seed": int(value)}
    if value is None or type(value) in (bool, float, str) or (type(value) is int and abs(value) < 2**63):
        return value
    if isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.dtype.str in DTYPES:
            body.append(array.tobytes())
            return {"array": [array.dtype.str, *array.shape]}
        return {"other": f"array of {array.dtype}"[:TEXT]}
    if type(value) in (tuple, list):
        return {"several": [pack(part, body) for part in value]}
    return {"other": type(value).__name__[:TEXT]}


def unpack(value: Any, body: memoryview) -> tuple[Value, memoryview]:
    """Return a value and the bytes that are left; the inverse of :func:`pack`."""
    if not isinstance(value, dict):
        return value, body
    ((kind, content),) = value.items()
    if kind == "several":
        parts = []
        for part in content:
            found, body = unpack(part, body)
            parts.append(found)
        return tuple(parts), body
    if kind == "array":
        if content[0] not in DTYPES:
            raise ChannelError
        dtype, shape = np.dtype(content[0]), tuple(map(int, content[1:]))
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size > len(body):
            raise ChannelError
        return np.frombuffer(body[:size], dtype).reshape(shape).copy(), body[size:]
    return (Seed(content) if kind == "seed" else Other(content)), body


def fresh(arguments: Iterable[Value]) -> list[Any]:
    """Return arguments for a call: copies of the arrays, and generators for seeds."""
    return [np.random.default_rng(a) if isinstance(a, Seed) else np.array(a) if np.ndim(a) else a for a in arguments]


def write(stream: Any, token: bytes, message: dict[str, Any], *values: Value) -> None:
    """Write a frame: the token, two lengths, JSON, and the bytes of arrays; raise MemoryError if it is too large."""
    body: list[bytes] = []
    header = json.dumps({**message, "values": [pack(value, body) for value in values]}).encode()
    content = b"".join(body)
    if len(header) > MOST_HEADER or len(content) > MOST_BODY:
        raise MemoryError
    stream.write(token + struct.pack("<II", len(header), len(content)) + header + content)
    stream.flush()


def read(stream: Any, token: bytes) -> dict[str, Any]:
    """Read a frame; raise EOFError at the end, and ChannelError if it is not one of ours."""
    start = stream.read(TOKEN + 8)
    if len(start) < TOKEN + 8:
        raise EOFError
    try:
        header, body = struct.unpack("<II", start[TOKEN:])
        if start[:TOKEN] != token or header > MOST_HEADER or body > MOST_BODY:
            raise ChannelError
        message = json.loads(stream.read(header))
        rest, values = memoryview(stream.read(body)), []
        for value in message["values"]:
            found, rest = unpack(value, rest)
            values.append(found)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ChannelError from error
    return {**message, "values": values}


# ------------------------------------------------------------ in the child


class _Kept(io.TextIOBase):
    """Keeps the beginning of what a file prints."""

    text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[:PRINTED]
        return len(text)


class _NoChainrule:
    """Hides chainrule, whose solutions and layers are what the learner is to write."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "chainrule":
            raise ModuleNotFoundError(f"No module named {name!r} here: the exercises are plain NumPy", name=name)


def _loaded() -> None:
    """Import the parts of the standard library that a file may want; nobody may be unable to read them."""
    for name in (
        "collections", "copy", "dataclasses", "functools", "itertools", "math", "operator", "random", "time",
        "numpy.fft", "numpy.linalg", "numpy.random",
    ):  # fmt: skip
        __import__(name)


def _bounded(memory: int, seconds: int) -> None:
    """Limit this process for good: memory, processor time, no files, no processes; root becomes nobody."""
    try:
        import resource  # noqa: PLC0415  (Unix only)
    except ImportError:
        return
    used = 0
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
    limits = {"RLIMIT_AS": used + memory, "RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0}
    for name, most in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):  # macOS lacks some
            resource.setrlimit(getattr(resource, name), (most, most))
    if os.geteuid() == 0:  # whom no limit on processes binds
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)


def _give_time(seconds: float) -> None:
    """Let this process run for so many more seconds of processor time; then SIGXCPU ends it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  (Unix only)

        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), hard))


def _where(error: BaseException, file: str) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def _failed(error: BaseException, file: str) -> dict[str, Any]:
    said = error.msg if isinstance(error, SyntaxError) else error
    return {"error": type(error).__name__, "said": " ".join(str(said).split())[:TEXT], "line": _where(error, file)}


def _opened(source: str, file: str, name: str) -> tuple[dict[str, Any], Any]:
    """Execute a file; return its function."""
    space: dict[str, Any] = {"__name__": "exercise", "__file__": file}
    try:
        exec(compile(source, file, "exec", dont_inherit=True), space)  # noqa: S102  (this is what the process is for)
    except BaseException as error:  # noqa: BLE001  (a learner's file may raise anything)
        return _failed(error, file), None
    if not callable(space.get(name)):
        return {"error": "missing", "said": "", "line": None}, None
    return {}, space[name]


def _called(function: Any, file: str, arguments: list[Value]) -> tuple[dict[str, Any], Value]:
    """Call the function with copies; return its result and the positions of changed arguments."""
    try:
        given = fresh(arguments)
        result = function(*given)
    except BaseException as error:  # noqa: BLE001  (the same)
        return _failed(error, file), None
    pairs = enumerate(zip(arguments, given, strict=True))
    changed = [i for i, (a, b) in pairs if isinstance(a, np.ndarray) and not np.array_equal(a, b, equal_nan=True)]
    return {"changed": changed}, result


def main() -> None:
    """Answer requests until the end of standard input."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.meta_path.insert(0, _NoChainrule())
    token = source.read(TOKEN)
    limits = read(source, token)
    _loaded()
    _bounded(limits["memory"], limits["seconds"])
    np.seterr(all="ignore")
    write(sink, token, {})
    function, file = None, ""
    sys.stdout = sys.stderr = printed = _Kept()
    while True:
        try:
            request = read(source, token)
        except EOFError:
            return
        if "source" in request:
            file = request["file"]
            _give_time(limits["each"])
            answer, function = _opened(request["source"], file, request["name"])
            result = None
        else:
            answer, result = _called(function, file, request["values"])
        answer |= {"number": request["number"], "printed": printed.text}
        printed.text = ""
        try:
            write(sink, token, answer, result)
        except (MemoryError, RecursionError) as error:
            write(sink, token, {**_failed(error, file), "number": request["number"]}, None)


if __name__ == "__main__":
    main()
