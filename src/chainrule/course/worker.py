"""The parent's side of the process that runs a learner's file."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.course import apart, child

KINDS = {
    "missing": "missing", "NotImplementedError": "unwritten", "MemoryError": "memory", "SystemExit": "exit",
    "ModuleNotFoundError": "import", "ImportError": "import", "SyntaxError": "syntax", "IndentationError": "syntax",
    "TabError": "syntax", "RecursionError": "recursion", "EOFError": "input",
}  # fmt: skip
"""Exceptions, and the word for each kind of failure."""
SAID = {
    "missing": "the function is not there: keep its name.",
    "unwritten": "not written yet: replace raise NotImplementedError by your code.",
    "input": "input() has nothing to read here: use the arguments.",
    "exit": "calls sys.exit: return the result instead.",
    "recursion": "the function calls itself without end.",
}
START = 60.0  # seconds within which Python and NumPy have started
OUT_OF_TIME = [sign * signal.SIGXCPU + apart.SIGNAL * (sign > 0) for sign in (-1, 1) if hasattr(signal, "SIGXCPU")]
CLOCK = 4 if importlib.util.find_spec("resource") else 1  # other work on the machine should fail nobody
PASSED = ("PATH", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "VIRTUAL_ENV", "LANG", "HOME", "USERPROFILE")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")}


class Limits(NamedTuple):
    """Limits of one exercise: seconds of processor time, CLOCK times as many by the clock, and MiB."""

    seconds: float = 10.0
    memory: int = 512


USUAL = Limits()


class FailureError(Exception):
    """A file that gives no answer: ``kind`` is a word for programs, the text a sentence."""

    def __init__(self, kind: str, said: str, line: int | None = None) -> None:
        super().__init__(f"line {line}: {said}" if line else said)
        self.kind = kind


class Reply(NamedTuple):
    """The result of a function, and the positions of the arguments that it changed."""

    result: Any
    changed: tuple[int, ...]


class Worker:
    r"""A process that runs files, one after the other, each within its limits; a context manager.

    >>> import numpy as np
    >>> with Worker() as worker:
    ...     worker.open("def double(x):\n    return 2 * x", "double.py", "double")
    ...     worker.call((np.arange(3.0),))
    Reply(result=array([0., 2., 4.]), changed=())
    """

    def __init__(self, limits: Limits = USUAL) -> None:
        self.limits, self.printed, self.is_closed = limits, "", False
        self._folder = tempfile.TemporaryDirectory(prefix="chainrule-course-", ignore_cleanup_errors=True)
        self._token, self._number, self._until = secrets.token_bytes(child.TOKEN), 0, 0.0
        environment = {name: os.environ[name] for name in PASSED if name in os.environ}
        command = [sys.executable, "-P", "-B", "-X", "utf8", apart.__file__, child.__file__]
        self._process = subprocess.Popen(  # noqa: S603  (this Python)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self._folder.name,
            env=environment | ONE_THREAD, start_new_session=True,
        )  # fmt: skip
        self._requests: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._exchange, daemon=True).start()  # whatever holds the pipes open, nobody waits
        self._until = time.monotonic() + START
        bounds = {"memory": limits.memory * 2**20, "seconds": int(limits.seconds * 60) + 60, "each": limits.seconds}
        self._ask(bounds, (), first=True)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process and those that it started."""
        if self.is_closed:
            return
        self.is_closed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._requests.put(_ended)
        self._folder.cleanup()

    def open(self, source: str, file: str, name: str) -> None:
        """Execute a file and find its function; its time starts now."""
        self._until, self.printed = time.monotonic() + CLOCK * self.limits.seconds, ""
        self._ask({"source": source, "file": file, "name": name}, ())

    def call(self, arguments: tuple[Any, ...]) -> Reply:
        """Call the function with copies of the arguments."""
        answer = self._ask({}, arguments)
        changed = answer.get("changed")
        places = [i for i in changed if isinstance(i, int)] if isinstance(changed, list) else []
        return Reply(next(iter(answer["values"]), None), tuple(i for i in places if 0 <= i < len(arguments)))

    def _ask(self, message: dict[str, Any], values: tuple[Any, ...], *, first: bool = False) -> dict[str, Any]:
        self._number += not first
        number = self._number
        process = self._process

        def exchange() -> Any:
            if first:
                process.stdin.write(self._token)  # type: ignore[union-attr]
            child.write(process.stdin, self._token, message | {"number": number}, *values)
            while True:
                answer = child.read(process.stdout, self._token)
                if first or answer.get("number") == number:  # a copy of the process may have answered, too
                    return answer

        self._requests.put(exchange)
        try:
            answer = self._answers.get(timeout=max(self._until - time.monotonic(), 0.0))
        except queue.Empty:
            answer = TimeoutError()
        if isinstance(answer, BaseException):
            raise self._failure(answer)
        self.printed = (self.printed + str(answer.get("printed", "")))[: child.PRINTED]
        if "error" in answer:
            raise _explained(answer, self.limits)
        return answer

    def _failure(self, error: BaseException) -> FailureError:
        seconds = self.limits.seconds
        if isinstance(error, EOFError | OSError) and not isinstance(error, TimeoutError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
            if (self._process.returncode or 0) not in OUT_OF_TIME:
                self.close()
                return FailureError("exit", "the file ended the process: os._exit, a crash, or far too much memory.")
        self.close()
        if isinstance(error, child.ChannelError):
            return FailureError("channel", "the file wrote to the checker's channel: only return values count.")
        return FailureError(
            "time", f"no answer within {seconds:g} s: does a loop never end, or does the file wait for input?"
        )

    def _exchange(self) -> None:
        while (request := self._requests.get()) is not _ended:
            try:
                self._answers.put(request())
            except (EOFError, OSError, ValueError, child.ChannelError) as error:  # ValueError: the pipe is closed
                self._answers.put(OSError() if isinstance(error, ValueError) else error)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _ended() -> None:
    """Stand for the request after which there is none."""


def _explained(answer: dict[str, Any], limits: Limits) -> FailureError:
    """Return the failure that a child reported; nothing in the answer is trusted to have its type."""
    error, said, line = (answer.get(name) for name in ("error", "said", "line"))
    error, said = str(error)[:80], str(said)[: child.TEXT]
    line = line if isinstance(line, int) and 0 < line < 10**6 else None
    kind = KINDS.get(error, "raises")
    if kind == "memory":
        said = f"needs more than {limits.memory} MB of memory: is an array too large?"
    elif kind == "import":
        said = f"{said}. The exercises need NumPy and nothing else."
    elif kind in ("syntax", "raises"):
        if sizes := re.search(r"^matmul: .*size (\d+) is different from (\d+)", said):
            said = f"the inner sizes of a product with @ differ, {sizes[2]} and {sizes[1]}."
        said = f"{error}: {said}".removesuffix(": ")
    return FailureError(kind, SAID.get(kind, said), line)


def read_source(path: Path) -> str:
    """Return the text of a learner's file; raise FailureError if it is not one."""
    try:
        if not path.is_file() or path.stat().st_size > 2**20:
            raise FailureError("missing", "not a file of at most 1 MB.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FailureError("syntax", f"not UTF-8 text: {error.reason}.") from error
    except OSError as error:
        raise FailureError("missing", f"cannot be read: {error.strerror}.") from error
