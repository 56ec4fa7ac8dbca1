"""The server of the playground: one page, its files, and a WebSocket for a session; on this machine only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import socket
import sys
import warnings
import webbrowser
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from chainrule.advice import AdviceWarning
from chainrule.playground.advising import listen_to_advice
from chainrule.playground.answers import answer
from chainrule.playground.bounds import MESSAGE
from chainrule.playground.catalog import catalog
from chainrule.playground.session import Session
from chainrule.playground.state import BEGIN

HOST = "127.0.0.1"
SESSIONS = 8  # pages at the same time
REFUSED = 4403  # the code with which a connection is closed; its reason is a sentence
WAITING = 16  # messages of one page that may wait for an answer
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SAFE = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def application(token: str, port: int, begin: Mapping[str, Any] = BEGIN) -> ASGIApp:
    """Return the playground, for an ASGI server that listens at a port of this machine.

    Parameters
    ----------
    token : str
        What the address of the page must have, as ``?token=``: other users and pages do not know it.
    port : int
        The port, which the names of the host and the origin must have.
    begin : mapping
        The state to begin with.
    """
    playground = _Playground(token, port, begin)
    routes = [Route("/{name:path}", playground.file), WebSocketRoute("/ws", playground.socket)]
    return _Guard(Starlette(routes=routes), playground)


class _Playground:
    """The page, and the sessions of those who have it open."""

    def __init__(self, token: str, port: int, begin: Mapping[str, Any]) -> None:
        self._token, self._first = token, catalog(begin)
        self.hosts = {f"{name}:{port}" for name in ("localhost", HOST)}
        self._sessions = 0
        static = files("chainrule").joinpath("playground", "static")
        self._files = {file.name: file.read_bytes() for file in static.iterdir()} if static.is_dir() else {}

    async def file(self, request: Request) -> Response:
        """Answer with a file of the page; none of them holds anything of the session."""
        name = request.path_params["name"] or "index.html"
        ending = name[name.rfind(".") :]
        if name not in self._files or ending not in KINDS:
            return PlainTextResponse(f"There is no {name[:80]!r} here.", 404)
        return Response(self._files[name], media_type=KINDS[ending])

    async def socket(self, socket: WebSocket) -> None:
        """Connect one page with a session of its own, or refuse it in a sentence."""
        host, origin = socket.headers.get("host", ""), socket.headers.get("origin", "none")
        if host not in self.hosts or origin.removeprefix("http://") not in self.hosts:
            said = f"Pages of {origin[:80]!r} may not use the playground at {host[:80]!r}."
            await socket.send_denial_response(PlainTextResponse(said, 403))
            return
        said = self._refusal(socket.query_params.get("token", ""))
        if said:  # as a reason for closing, which is all that a browser shows to its page
            await socket.accept()
            await socket.close(REFUSED, said)
            return
        self._sessions += 1
        try:
            await socket.accept()
            await _converse(socket, self._first)
        finally:
            self._sessions -= 1

    def _refusal(self, token: str) -> str:
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            return "Wrong token. Open the address that chainrule playground printed."
        if self._sessions >= SESSIONS:
            return f"{SESSIONS} pages are open: close one, and reload this one."
        return ""


async def _converse(socket: WebSocket, first: Mapping[str, Any]) -> None:
    """Pass messages between a page and its session, until one of them leaves."""
    loop = asyncio.get_running_loop()
    answers: asyncio.Queue[Any] = asyncio.Queue()

    def send(message: Mapping[str, Any] | bytes) -> None:
        with contextlib.suppress(RuntimeError):  # the server stops
            loop.call_soon_threadsafe(answers.put_nowait, message)

    send(first)
    session = Session(send, answer)
    writing = asyncio.create_task(_write(socket, answers))
    try:
        async for text in socket.iter_text():
            message = _parsed(text)
            if isinstance(message, str):
                send({"type": "error", "about": None, "text": message})
            else:
                session.tell(message)
            while session.waiting + answers.qsize() > WAITING and not writing.done():
                await asyncio.sleep(0.005)  # the page asks faster than it is answered
    except (KeyError, WebSocketDisconnect, RuntimeError):  # KeyError: bytes in place of a text
        pass
    finally:
        writing.cancel()
        await asyncio.to_thread(session.close)
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await writing


async def _write(socket: WebSocket, answers: asyncio.Queue[Any]) -> None:
    while True:
        message = await answers.get()
        if isinstance(message, bytes):
            await socket.send_bytes(message)
        else:
            await socket.send_text(json.dumps(message, ensure_ascii=False, allow_nan=False))


def _parsed(text: str) -> dict[str, Any] | str:
    """Return a message, or why it is not one."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}."
    return message if isinstance(message, dict) else "expected a JSON object."


def _is_failure(record: logging.LogRecord) -> bool:
    """Return whether a record of the log is one: uvicorn takes every refusal of a socket for a failure."""
    return "without completing handshake" not in record.getMessage()


class _Guard:
    """Checks the name of the host, which keeps out pages of other sites under a name of their own, and adds headers."""

    def __init__(self, app: ASGIApp, playground: _Playground) -> None:
        self._app, self._playground = app, playground

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def safe(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].extend((name.encode(), value.encode()) for name, value in SAFE.items())
            await send(message)

        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if host in self._playground.hosts:
            await self._app(scope, receive, safe)
        else:
            refused = PlainTextResponse(f"This playground is not {host[:80]!r}.", 421)
            await refused(scope, receive, safe)


def listen(port: int) -> socket.socket:
    """Return a socket that listens at a port of this machine; 0 is any that is free."""
    if not 0 <= port < 2**16:
        raise ValueError(f"--port: expected a port from 0 to 65535, got {port}.")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise OSError(f"cannot listen on port {port} ({error.strerror or error}): choose another --port.") from None


def configuration(token: str, port: int, begin: Mapping[str, Any] = BEGIN) -> uvicorn.Config:
    """Return the settings of the server; the arguments are those of ``application``."""
    return uvicorn.Config(
        application(token, port, begin), http="h11", ws="websockets-sansio", ws_max_size=2 * MESSAGE,
        ws_per_message_deflate=False, lifespan="off",  # numbers hardly shrink, and the machine is the same
        access_log=False, log_config=None, log_level="error", server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip


def run(
    listener: socket.socket, begin: Mapping[str, Any] = BEGIN, *, browser: bool, tell: Callable[[str], None]
) -> None:
    """Serve the playground until Ctrl-C.

    Parameters
    ----------
    listener : socket
        From ``listen``.
    begin : mapping
        The state to begin with.
    browser : bool
        Whether to open the page.
    tell : callable
        Takes the line with the address.
    """
    token, port = secrets.token_urlsafe(16), listener.getsockname()[1]
    address = f"http://{HOST}:{port}/?token={token}"
    tell(f"The playground is at {address}\nPress Ctrl-C to stop.")
    sys.stdout.flush()
    logging.basicConfig(format="%(message)s", level=logging.ERROR)  # to standard error
    logging.getLogger("uvicorn.error").addFilter(_is_failure)
    warnings.simplefilter("always", AdviceWarning)  # each time, for the page that trains
    listen_to_advice()
    if browser:
        webbrowser.open(address)  # the socket listens already: the page waits for the server
    try:
        uvicorn.Server(configuration(token, port, begin)).run([listener])
    except KeyboardInterrupt:  # what uvicorn raises after its graceful stop
        with contextlib.suppress(OSError):
            tell("Stopped.")
    finally:
        listener.close()
