"""The application: its routes, and what bounds a request."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator, Collection
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from chainrule.serve.answers import Answer, Answers
from chainrule.serve.batching import Batcher
from chainrule.serve.bodies import Request
from chainrule.serve.bounds import Bounds, RefusedError, shortened
from chainrule.serve.described import describe, documented, openapi
from chainrule.serve.explanations import WAITING, Explanations
from chainrule.serve.guard import HANDLERS, LOOPBACK, Guard
from chainrule.serve.metrics import Metrics
from chainrule.tables.serving.model import TableModel

BODIES = 10  # bodies of the largest size that may wait together
FRESH = {"cache-control": "no-store"}


def application(
    model: TableModel, bounds: Bounds | None = None, *, hosts: Collection[str] | None = LOOPBACK
) -> ASGIApp:
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
        Route("/explain", service.explain, methods=["POST"]),
        *(Route(path, page, methods=["GET"]) for path, page in service.pages().items()),
        Route("/metrics", service.counts, methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers=HANDLERS, lifespan=service.lifespan)
    return Guard(app, service.metrics, None if hosts is None else frozenset(hosts))


class _Service:
    """The answers of the routes."""

    def __init__(self, model: TableModel, bounds: Bounds) -> None:
        self._model, self._bounds = model, bounds
        self.metrics = Metrics()
        self._predict, self._explain = Batcher(Answers(model, bounds.rows)), Batcher(Explanations(model))
        self._held, self._asked, self._explaining = 0, 0, 0  # bytes of bodies, and requests, that wait

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._predict.close()
        self._explain.close()

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
        wants_csv = "text/csv" in asked.headers.get("accept", "")
        request = Request(b"", _is_csv(asked), _share(asked.query_params.get("interval")), wants_csv)
        answer = await self._answer(asked, request, self._predict)
        self.metrics.rows += answer.rows
        return Response(answer.body, media_type="text/csv" if wants_csv else "application/json", headers=FRESH)

    async def explain(self, asked: Asked) -> Response:
        """Answer a request for the contributions of the columns."""
        if self._explaining >= WAITING:
            raise _busy(f"{self._explaining} explanations are being computed: try again in a second.")
        self._explaining += 1
        try:
            request = Request(b"", _is_csv(asked), label=asked.query_params.get("label"))
            answer = await self._answer(asked, request, self._explain)
        finally:
            self._explaining -= 1
        return Response(answer.body, media_type="application/json", headers=FRESH)

    async def _answer(self, asked: Asked, request: Request, work: Batcher) -> Answer:
        """Read the body of a request, and return its answer."""
        if self._asked >= self._bounds.requests:
            raise _busy(f"{self._asked} requests are being answered: try again in a second.")
        self._asked += 1
        held = [0]
        try:
            body = await self._body(asked, held)
            async with asyncio.timeout(self._bounds.seconds):
                answer: Answer = await work(request._replace(body=body))
                return answer
        except RefusedError as error:
            self.metrics.refused += error.rows
            raise
        except TimeoutError:
            raise _busy(f"no answer in {self._bounds.seconds:g} s: send fewer rows, or try again later.") from None
        finally:
            self._asked -= 1
            self._held -= held[0]

    async def _body(self, asked: Asked, held: list[int]) -> bytes:
        """Return the body of a request; ``held`` counts its bytes, also if it is refused."""
        if (coding := asked.headers.get("content-encoding", "identity").strip().lower()) not in ("identity", ""):
            sentence = f"the body is compressed, with Content-Encoding: {shortened(coding)}. Send it as it is."
            raise RefusedError(415, sentence, headers={"accept-encoding": "identity"})
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
            raise RefusedError(
                408, f"the body did not arrive in {self._bounds.seconds:g} s.", headers={"connection": "close"}
            ) from None
        except ClientDisconnect:
            raise RefusedError(400, "the client closed the connection before the end of the body.") from None
        return b"".join(parts)


def _busy(sentence: str) -> RefusedError:
    return RefusedError(503, sentence, headers={"retry-after": "1"})


def _is_csv(asked: Asked) -> bool:
    kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/csv"):
        raise RefusedError(
            415, f"expected the header Content-Type: application/json or text/csv, got {kind or 'none'}."
        )
    return kind == "text/csv"


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
