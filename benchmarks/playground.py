"""The playground's frames: ``python -m benchmarks.playground``.

A client without a browser acknowledges every frame at once, as fast as a page could. Printed are, for each network,
frames a second, the size of a frame, the server's processor time, and its memory at the beginning and the end, which
shows a leak: ``--seconds 1800`` is the half hour of a lesson. Linux only.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import struct
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from chainrule.files.descriptions import describe
from chainrule.layers import Dense, Tanh
from chainrule.playground.state import BEGIN


def states() -> dict[str, tuple[dict[str, Any], int | None, list[int] | None]]:
    """Return the states, each with its steps a frame and the columns of its heat maps."""
    small = copy.deepcopy(BEGIN)
    small["training"]["epochs"] = 100_000
    digits = copy.deepcopy(small)
    digits["data"] = {"name": "digits", "samples": 1797, "test": 0.25}
    digits["network"]["layers"] = [describe("a layer", layer, "Layer") for layer in (Dense(30), Tanh(), Dense(10))]
    digits["training"]["batch_size"] = 20
    return {
        "2-8-8-2, 500 points": (small, 25, None),
        "2-8-8-2, without a pause": (small, None, None),
        "digits 64-30-10": (digits, 68, None),
        "digits with heat maps": (digits, 68, [20, 21]),
    }


def used(process: int) -> tuple[float, float]:
    """Return the processor time of a process in seconds, and its memory in MiB."""
    times = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"), int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def frames(socket: Any) -> Any:
    """Yield the header and the size of every frame, acknowledged."""
    while True:
        message = socket.recv(timeout=30)
        if isinstance(message, bytes):
            header = json.loads(message[4 : 4 + struct.unpack("<I", message[:4])[0]])
            if header["kind"] == "frame":
                socket.send(json.dumps({"type": "ack", "frame": header["frame"]}))
                yield header, len(message)


def measure(process: int, port: str, token: str, name: str, seconds: float) -> str:
    """Return a line about one state."""
    state, pace, columns = states()[name]
    address, origin = f"ws://127.0.0.1:{port}/ws?token={token}", f"http://127.0.0.1:{port}"
    with connect(address, origin=origin, max_size=None) as socket:
        socket.send(json.dumps({"type": "configure", "state": state}))
        if columns:
            socket.send(json.dumps({"type": "look", "columns": columns, "slice": None}))
        socket.send(json.dumps({"type": "run", "pace": pace}))
        arriving = frames(socket)
        while next(arriving)[0]["step"] == 0:
            pass  # compiled code is made now
        began, (cpu, memory), gaps = time.monotonic(), used(process), [time.monotonic()]
        while gaps[-1] < began + seconds:
            header, size = next(arriving)
            gaps.append(time.monotonic())
            if header["ended"]:  # 2.5 million steps: no more frames
                break
        worst = sorted(after - before for before, after in pairwise(gaps))[int(0.99 * (len(gaps) - 1))]
        spent, later = used(process)
    took = gaps[-1] - began
    return (
        f"{name:26} {(len(gaps) - 1) / took:.1f} frames/s of {size / 1024:.0f} KiB, 99 % within {1000 * worst:.0f} ms, "
        f"step {header['step']:,}, {(spent - cpu) / took:.0%} of a core, {memory:.0f} -> {later:.0f} MiB"
    )


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser("python -m benchmarks.playground", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="for each network")
    parser.add_argument("--quick", action="store_true", help="half a second for each, to see that it runs")
    given = parser.parse_args()
    command = [sys.executable, "-m", "chainrule", "playground", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port, token = re.search(r":(\d+)/\?token=(\S+)", server.stdout.readline()).groups()
            for name in states():
                print(measure(server.pid, port, token, name, 0.5 if given.quick else given.seconds), flush=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
