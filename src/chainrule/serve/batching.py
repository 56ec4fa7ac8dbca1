"""Requests that arrive together, as one batch for one worker thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chainrule.serve.bodies import Request

BATCH = 2**20  # bytes of the bodies after which a batch is full


class Batcher:
    """Lets a thread work on all requests that arrive while it is busy with the ones before.

    So one request alone does not wait for others, and the more requests arrive, the larger the batches are.

    Parameters
    ----------
    work : callable
        Returns a result, or an exception, for each of several requests. It runs in the thread.
    """

    def __init__(self, work: Callable[[Sequence[Request]], Sequence[Any]]) -> None:
        self._work = work
        self._waiting: deque[tuple[Request, asyncio.Future[Any]]] = deque()
        self._thread = ThreadPoolExecutor(1, "chainrule-serve")
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, request: Request) -> Any:
        """Return the result of a request, or raise its exception."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while batch := self._batch():
                try:
                    results = await loop.run_in_executor(self._thread, self._work, [request for request, _ in batch])
                except Exception as error:  # noqa: BLE001  (whatever it is, all of them are answered)
                    results = [error] * len(batch)
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        (future.set_exception if isinstance(result, Exception) else future.set_result)(result)
        finally:
            self._running = None

    def _batch(self) -> list[tuple[Request, asyncio.Future[Any]]]:
        """Return the requests that wait, without those that were given up, up to a number of bytes."""
        batch, size = [], 0
        while self._waiting and size < BATCH:
            request, future = self._waiting.popleft()
            if not future.done():
                batch.append((request, future))
                size += len(request.body)
        return batch

    def close(self) -> None:
        """End the thread after its work."""
        self._thread.shutdown()
