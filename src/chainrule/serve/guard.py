"""The guard before the application: counts, the name of the host, safe headers, and every error as JSON."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chainrule.serve.bounds import RefusedError
from chainrule.serve.metrics import Metrics

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# Others are counted together.
PATHS = ("/", "/predict", "/explain", "/schema", "/health", "/metrics", "/openapi.json", "/docs")
SAFE = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
"""Headers that an answer has unless it says otherwise."""


class Guard:
    """Counts every request, checks the name of the host, and adds headers that keep other sites out."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosts: frozenset[str] | None) -> None:
        self._app, self._metrics, self._hosts = app, metrics, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def safe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status, headers = message["status"], message["headers"]
                present = {name for name, _ in headers}
                headers.extend((name, value) for name, value in SAFE.items() if name not in present)
            await send(message)

        self._metrics.in_flight += 1
        try:
            host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
            if self._hosts is None or re.sub(r":\d*$", "", host.lower()) in self._hosts:
                await self._app(scope, receive, safe)
            else:
                error = RefusedError(421, f"this service is not {host!r}: expected {', '.join(sorted(self._hosts))}.")
                await _answer(error)(scope, receive, safe)
        finally:
            self._metrics.in_flight -= 1
            path = scope["path"] if scope["path"] in PATHS else "other"
            self._metrics.count(path, status, time.perf_counter() - begin)


def _answer(error: RefusedError) -> Response:
    content = json.dumps(error.content(), ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, error.status, {"cache-control": "no-store", **error.headers}, "application/json")


async def _refused(_: Request, error: Any) -> Response:
    return _answer(error)


async def _unknown(_: Request, error: Any) -> Response:
    """Answer to a path or a method that there is not."""
    what = "this path does not take this method" if error.status_code == 405 else "no such path"
    return _answer(RefusedError(error.status_code, f"{what}: see /docs for those that exist.", headers=error.headers))


async def _failed(_: Request, __: Any) -> Response:
    """Answer after an error of the service itself, which the server logs."""
    return _answer(RefusedError(500, "the service failed: its log has the error."))


HANDLERS: Mapping[Any, Any] = {RefusedError: _refused, HTTPException: _unknown, Exception: _failed}
"""Answers to errors, by their types."""
