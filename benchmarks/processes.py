"""Measurements from outside: a few lines of code in a new Python process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping

from benchmarks.measure import ContestantError, Pool


def run(code: str, *arguments: str, pool: Pool, environment: Mapping[str, str]) -> tuple[float, float, str]:
    """Return the seconds from start to the first line of output and to exit, and that line."""
    with (pool.options.folder / "stderr").open("w+", encoding="utf-8", errors="replace") as log:
        begin = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=log, text=True,
            encoding="utf-8", cwd=pool.options.folder, env={**os.environ, **environment},
        ) as process:  # fmt: skip
            line = process.stdout.readline()
            first = time.perf_counter() - begin
            process.wait()
            end = time.perf_counter() - begin
        if process.returncode or not line:
            log.seek(0)
            raise ContestantError((log.read().strip().splitlines() or ["no message"])[-1])
    return first, end, line
