"""A service in this process: from the folder of a run to a graceful stop."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import uvicorn
from threadpoolctl import threadpool_limits

from chainrule.files.container import has_table
from chainrule.serve.answers import Answers
from chainrule.serve.app import application
from chainrule.serve.bodies import Request
from chainrule.serve.bounds import Bounds
from chainrule.serve.described import describe
from chainrule.serve.guard import LOOPBACK
from chainrule.tables.serving.model import TableModel, load

CONNECTIONS = 1000  # open at the same time, beyond the requests
GRACE = 10  # seconds that requests have to end after a stop


def serve(
    folder: str | os.PathLike[str],
    host: str = "127.0.0.1",
    port: int = 8000,
    bounds: Bounds | None = None,
    tell: Callable[[str], Any] = print,
) -> None:
    """Serve predictions of a trained table until Ctrl-C or SIGTERM.

    Parameters
    ----------
    folder : path
        The folder of a run on a table, or the ``model.safetensors`` in it.
    host, port : str, int
        The address to listen on; port 0 picks a free one.
    bounds : Bounds, optional
        The largest request.
    tell : callable
        Takes the lines about the service.

    Raises
    ------
    OSError
        If the address is in use or not of this machine.
    ModelFileError
        If the file is corrupt, from another tool or a newer version.
    """
    bounds = bounds or Bounds()
    model = _model(Path(folder))
    loopback = host in ("localhost", "::1") or host.startswith("127.")
    example = json.dumps(describe(model.schema)["example"]).encode()
    Answers(model, 1)([Request(example)])  # so that the first request does not wait for imports
    listener = _listener(host, port)
    shown = "localhost" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host  # noqa: S104
    address = f"{shown}:{listener.getsockname()[1]}"
    tell(f"Serving {model!r}\n  http://{address}/       a form\n  http://{address}/docs   the interface")
    if not loopback:
        tell(
            f"With --host {host}, every computer that reaches this one can ask for predictions: there is no password "
            "and no encryption. Put a proxy with both before the service, or use --host 127.0.0.1."
        )
    tell("Press Ctrl-C to stop.")
    sys.stdout.flush()
    app = application(model, bounds, hosts={*LOOPBACK, host} if loopback else None)
    logging.basicConfig(format="%(message)s", level=logging.ERROR)  # to standard error
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="on", access_log=False, log_config=None, log_level="error",
        server_header=False, proxy_headers=False, timeout_keep_alive=5, timeout_graceful_shutdown=GRACE,
        limit_concurrency=bounds.requests + CONNECTIONS,
    )  # fmt: skip
    usual = signal.signal(signal.SIGTERM, _stopped)
    try:
        with threadpool_limits(1):  # batches are small, and requests need the other cores
            _Server(config, bounds.seconds).run([listener])
    except (KeyboardInterrupt, _StoppedError):  # what uvicorn raises after its graceful stop
        with contextlib.suppress(OSError):  # whoever read the lines may have gone first
            tell("Stopped.")
    finally:
        signal.signal(signal.SIGTERM, usual)
        listener.close()


class _StoppedError(BaseException):
    pass


def _stopped(_: int, __: FrameType | None) -> NoReturn:
    raise _StoppedError


class _Server(uvicorn.Server):
    """Closes connections on which no request arrives whole, or an answer is not read, in time."""

    def __init__(self, config: uvicorn.Config, seconds: float) -> None:
        super().__init__(config)
        self._seconds = seconds
        self._idle: dict[Any, tuple[Any, float]] = {}  # connection -> its last request, and when it was seen idle

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # once a second
            self._close_idle()
        return await super().on_tick(counter)

    def _close_idle(self) -> None:
        before, self._idle = self._idle, {}
        connections: list[Any] = list(self.server_state.connections)
        for connection in connections:
            cycle, now = connection.cycle, connection.loop.time()
            if cycle is None or cycle.response_complete or connection.flow.write_paused:
                last, since = before.get(connection, (cycle, now))
                self._idle[connection] = cycle, since if last is cycle else now
                if last is cycle and now - since > self._seconds:
                    connection.transport.abort()


def _model(folder: Path) -> TableModel:
    file = folder / "model.safetensors" if folder.is_dir() else folder
    if not has_table(file, "the model file of a table"):
        raise ValueError(
            f"{file} does not hold a table that predicts with NumPy alone: expected the folder of chainrule train FILE "
            "--target COLUMN. If it is from an earlier version, train it again."
        )
    return load(file)


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens, or raise an OSError that says what to do."""
    if not 0 <= port < 2**16:
        raise ValueError(f"--port: expected a port from 0 to 65535, got {port}.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(found[4][:2], family=found[0], backlog=2048)
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"cannot listen on {host}:{port} ({why}): choose another --port or --host.") from None
    return socket.socket(fileno=listener.detach())  # one that knows its protocol: asyncio sets TCP_NODELAY on no other
