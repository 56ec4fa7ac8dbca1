"""The application: its routes, the guard before them, and errors as JSON."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Collection
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chainrule.serve.answers import Answers
from chainrule.serve.batching import Batcher
from chainrule.serve.bodies import Request
from chainrule.serve.bounds import Bounds, RefusedError
from chainrule.serve.described import describe, documented, openapi
from chainrule.serve.metrics import Metrics
from chainrule.tables.serving.model import TableModel

__all__ = ["LOOPBACK", "application"]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
BODIES = 10  # bodies of the largest size that may wait together
PATHS = ("/", "/predict", "/schema", "/health", "/metrics", "/openapi.json", "/docs")
SAFE = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}


def application(
    model: TableModel, bounds: Bounds | None = None, *, hosts: Collection[str] | None = LOOPBACK
) -> Starlette:
    """Return the service of a trained table, for any ASGI server.

    Parameters
    ----------
    model : TableModel
        From :func:`chainrule.load`.
    bounds : Bounds, optional
        The largest request.
    hosts : collection of str, optional
        The names under which the service may be reached, without ports: the loopback's by default, so that no page of
        another site can reach it under a name of its own (DNS rebinding). None allows any.
    """
    service = _Service(model, bounds or Bounds())
    routes = [
        Route("/predict", service.predict, methods=["POST"]),
        *(Route(path, page, methods=["GET"]) for path, page in service.pages().items()),
        Route("/metrics", service.counts, methods=["GET"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Guard, metrics=service.metrics, hosts=None if hosts is None else frozenset(hosts))],
        exception_handlers={RefusedError: _refused, HTTPException: _unknown, Exception: _failed},
        lifespan=service.lifespan,
    )


class _Service:
    """The answers of the routes."""

    def __init__(self, model: TableModel, bounds: Bounds) -> None:
        self._model, self._bounds = model, bounds
        self.metrics = Metrics()
        self._predict = Batcher(Answers(model, bounds.rows))
        self._held, self._asked = 0, 0  # bytes of bodies, and requests, that wait

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._predict.close()

    def pages(self) -> dict[str, Any]:
        """Return the pages that never change, by path."""
        about = describe(self._model.schema)
        interface = openapi(about, self._bounds)
        form = files("chainrule").joinpath("serve", "page.html").read_text(encoding="utf-8")
        return {
            "/": _fixed(form, html=True),
            "/docs": _fixed(documented(about, interface, form), html=True),
            "/schema": _fixed(_json(about)),
            "/openapi.json": _fixed(_json(interface)),
            "/health": _fixed(_json({"status": "ok"})),
        }

    async def counts(self, _: Asked) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def predict(self, asked: Asked) -> Response:
        """Answer a request for predictions."""
        kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "text/csv"):
            raise RefusedError(
                415, f"expected the header Content-Type: application/json or text/csv, got {kind or 'none'}."
            )
        wants_csv = "text/csv" in asked.headers.get("accept", "")
        interval = _share(asked.query_params.get("interval"))
        if self._asked >= self._bounds.requests:
            raise _busy(f"{self._asked} requests are being answered: try again in a second.")
        self._asked += 1
        held = [0]
        try:
            body = await self._body(asked, held)
            async with asyncio.timeout(self._bounds.seconds):
                answer = await self._predict(Request(body, kind == "text/csv", interval, wants_csv))
        except RefusedError as error:
            self.metrics.refused += error.rows
            raise
        except TimeoutError:
            raise _busy(f"no answer in {self._bounds.seconds:g} s: send fewer rows, or try again later.") from None
        finally:
            self._asked -= 1
            self._held -= held[0]
        self.metrics.rows += answer.rows
        return Response(answer.body, media_type="text/csv" if wants_csv else "application/json", headers=FRESH)

    async def _body(self, asked: Asked, held: list[int]) -> bytes:
        """Return the body of a request; ``held`` counts its bytes, also if it is refused."""
        most = self._bounds.body
        too_large = RefusedError(413, f"the body is larger than {most:,} bytes: send fewer rows at a time.")
        length = asked.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > most:
            raise too_large
        parts = []
        try:
            async with asyncio.timeout(self._bounds.seconds):
                async for part in asked.stream():
                    parts.append(part)
                    held[0] += len(part)
                    self._held += len(part)
                    if held[0] > most:
                        raise too_large
                    if self._held > BODIES * most:
                        raise _busy("too many large requests at once: try again in a second.")
        except TimeoutError:
            raise RefusedError(408, f"the body did not arrive in {self._bounds.seconds:g} s.", headers=CLOSE) from None
        except ClientDisconnect:
            raise RefusedError(400, "the client closed the connection before the end of the body.") from None
        return b"".join(parts)


FRESH = {"cache-control": "no-store"}
CLOSE = {"connection": "close"}
FAILED = "the service failed: its log has the error."


def _busy(sentence: str) -> RefusedError:
    return RefusedError(503, sentence, headers={"retry-after": "1"})


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise RefusedError(400, f"interval: expected a share between 0 and 1, such as 0.9, got {text!r}.") from None


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _fixed(text: str, *, html: bool = False) -> Any:
    """Return a route that answers with a text; a page runs its own script and style, and nothing else."""
    policy = {}
    if html:
        ours = {"script": ["'none'"], "style": ["'none'"]}
        for tag, content in re.findall(r"<(script|style)>(.*?)</\1>", text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            ours[tag] = [f"'sha256-{digest}'"]
        sources = "; ".join(f"{tag}-src {' '.join(of)}" for tag, of in ours.items())
        rest = "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        policy = {"content-security-policy": f"default-src 'none'; {sources}; {rest}"}
    content = text.encode()

    async def page(_: Asked) -> Response:
        return Response(content, media_type="text/html" if html else "application/json", headers=policy)

    return page


def _answered(error: RefusedError) -> Response:
    content = json.dumps(error.content(), ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, error.status, {**FRESH, **error.headers}, "application/json")


async def _refused(_: Asked, error: Exception) -> Response:
    return _answered(error if isinstance(error, RefusedError) else RefusedError(500, FAILED))


async def _unknown(_: Asked, error: Exception) -> Response:
    """Answer to a path or a method that there is not."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    sentence = "this path does not take this method" if status == 405 else "there is nothing at this path"
    return _answered(RefusedError(status, f"{sentence}: /docs lists them.", headers=getattr(error, "headers", None)))


async def _failed(_: Asked, __: Exception) -> Response:
    """Answer after an error of the service itself, which the server logs."""
    return _answered(RefusedError(500, FAILED))


class _Guard:
    """Counts every request, checks the name of the host, and adds headers that keep other sites out."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosts: frozenset[str] | None) -> None:
        self._app, self._metrics, self._hosts = app, metrics, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics, begin, status = self._metrics, time.perf_counter(), 500

        async def safe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                present = {name for name, _ in headers}
                headers.extend((name, value) for name, value in SAFE.items() if name not in present)
            await send(message)

        metrics.in_flight += 1
        try:
            host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
            if self._hosts is None or re.sub(r":\d*$", "", host.lower()) in self._hosts:
                await self._app(scope, receive, safe)
            else:
                error = RefusedError(421, f"this service is not {host!r}: expected {', '.join(sorted(self._hosts))}.")
                await _answered(error)(scope, receive, safe)
        finally:
            metrics.in_flight -= 1
            path = scope["path"] if scope["path"] in PATHS else "other"
            metrics.count(path, status, time.perf_counter() - begin)
