"""A service under load: ``python -m benchmarks.serve``.

The service of a small table (six columns, 5,000 rows, an ensemble of five networks) runs in one process, and 32 clients
in another: each sends a row, waits for its prediction, and sends the next over the same connection. Then one client
sends requests of 10,000 rows. Memory is that of the service's process, after its first thousand requests, and at the
end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.million import TRAINED, passengers, timed

CLIENTS, WARM, MANY = 32, 1000, 10_000
ROW = {"class": 2, "sex": "female", "age": 31.5, "siblings": 0, "fare": 21.7, "port": "Cherbourg"}


class Client(asyncio.Protocol):
    """Sends requests over one connection, one after the other, as long as there are some left."""

    def __init__(self, request: bytes, left: list[int], seconds: list[float], ended: asyncio.Future[None]) -> None:
        self.request, self.left, self.seconds, self.ended = request, left, seconds, ended
        self.answer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        if not self.left[0]:
            self.transport.close()
            return
        self.left[0] -= 1
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, mark, body = self.answer.partition(b"\r\n\r\n")
        if mark and len(body) >= int(re.search(rb"content-length: (\d+)", head)[1]):
            self.seconds.append(time.perf_counter() - self.began)
            if not head.startswith(b"HTTP/1.1 200"):
                self.ended.set_exception(RuntimeError(self.answer.decode()))
            self.answer = b""
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def load(port: int, rows: Any, requests: int, clients: int) -> tuple[float, list[float]]:
    """Return the seconds in all, and those of each request."""
    body = json.dumps(rows).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    loop, left, seconds = asyncio.get_running_loop(), [requests], []
    ended = [loop.create_future() for _ in range(clients)]
    begin = time.perf_counter()
    for future in ended:
        request = head.encode() + b"\r\n\r\n" + body
        await loop.create_connection(lambda f=future, r=request: Client(r, left, seconds, f), "127.0.0.1", port)
    await asyncio.gather(*ended)
    return time.perf_counter() - begin, seconds


def client(*arguments: Any) -> dict[str, float]:
    """Return what clients in a process of their own measured."""
    command = [sys.executable, "-m", "benchmarks.serve", "--client", *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def as_client(port: int, rows: int, requests: int, clients: int) -> None:
    seconds, each = asyncio.run(load(port, ROW if rows == 1 else [ROW] * rows, requests, clients))
    p50, p99 = np.percentile(each, [50, 99]).tolist()
    print(json.dumps({"rate": rows * requests / seconds, "p50": p50, "p99": p99}))


@contextlib.contextmanager
def service(run: Path) -> Iterator[tuple[int, int]]:
    """Yield the port and the process of a service."""
    command = [sys.executable, "-m", "chainrule.serve", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stdout.readline, "Press Ctrl-C to stop.\n")
            (port,) = {int(found[1]) for line in lines if (found := re.search(r"http://[^/]*:(\d+)/", line))}
            yield port, process.pid
        finally:
            process.terminate()
            process.communicate()


def memory(process: int) -> float:
    """Return the megabytes of memory of a process; NaN where /proc does not have them."""
    with contextlib.suppress(OSError):
        return int(re.search(r"VmRSS:\s*(\d+)", Path(f"/proc/{process}/status").read_text())[1]) * 1024 / 1e6
    return float("nan")


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.serve", description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--quick", action="store_true", help="few requests, to check that everything runs")
    parser.add_argument("--keep", action="store_true", help="write results/serve.json")
    parser.add_argument("--client", nargs=4, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        as_client(*arguments.client)
        return
    requests, large = (200, 1) if arguments.quick else (arguments.requests, 10)
    machine = report.machine()
    print(f"{machine['cpu']}, {machine['cores']} cores; {CLIENTS} clients in another process")
    with tempfile.TemporaryDirectory() as name:
        short = ["--epochs", "5"] if arguments.quick else []  # a single network
        timed(name, "train", passengers(Path(name), TRAINED), "--target", "survived", "--out", "run", *short)
        with service(Path(name) / "run") as (port, process):
            client(port, 1, min(WARM, requests), CLIENTS)
            before = memory(process)
            single = client(port, 1, requests, CLIENTS)
            after = memory(process)
            many = client(port, MANY, large, 1)
    print(f"single rows: {requests:,} requests, {single['rate']:,.0f} rows/s")
    print(f"  median {single['p50'] * 1e3:.1f} ms, 99th percentile {single['p99'] * 1e3:.1f} ms")
    print(f"  memory {before:.1f} MB before, {after:.1f} MB after")
    print(f"{MANY:,} rows a request: {many['rate']:,.0f} rows/s, median {many['p50']:.2f} s")
    if arguments.keep:
        rows = [("1 row", requests, single), (f"{MANY:,} rows", large, many)]
        report.keep("serve", {
            f"{title}, {clients} clients" if clients > 1 else f"{title}, 1 client": {
                "requests": f"{count:,}", "rows/s": f"{of['rate']:,.0f}", "median": f"{of['p50'] * 1e3:.1f} ms",
                **({"99th percentile": f"{of['p99'] * 1e3:.1f} ms"} if clients > 1 else {}),
            }
            for (title, count, of), clients in zip(rows, (CLIENTS, 1), strict=True)
        } | {"memory": {"before": f"{before:.0f} MB", "after": f"{after:.0f} MB"}})  # fmt: skip


if __name__ == "__main__":
    main()
