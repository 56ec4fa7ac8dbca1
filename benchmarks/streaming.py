"""A table larger than memory: ``python -m benchmarks.streaming`` creates one, trains on it, and prints the speed.

It is not a workload of ``python -m benchmarks``, because the file takes gigabytes of disk and minutes to create. Each
training run is a separate process, whose peak resident memory (VmHWM) is printed, including all imports. With
``--memory``, the same table is also trained on in memory; the parameters must be the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report

NUMBERS, CATEGORIES, VALUES = 88, 6, 12
ROW_BYTES = 674  # in the file
PART = 120_000  # rows of a row group


def part(rows: int, rng: np.random.Generator) -> Any:
    """Return rows of numbers (some missing or long-tailed) and categories, with a nonlinear target."""
    import polars as pl

    z = rng.normal(size=(rows, NUMBERS))
    score = z[:, :6] @ np.array([1.0, -0.8, 0.6, 0.5, -0.4, 0.3]) + 2 * z[:, 6] * z[:, 7]
    columns = {}
    for j in range(NUMBERS):
        values = np.exp(z[:, j]) if j % 11 == 10 else z[:, j]
        columns[f"x{j:02}"] = pl.Series(values * 10 ** (j % 5))
    for j in range(CATEGORIES):
        which = rng.integers(0, VALUES, rows)
        score += 1.5 * (which == j)
        columns[f"c{j}"] = pl.Series(np.array([f"kind {i}" for i in range(VALUES)])[which])
    missing = [
        pl.when(pl.Series(rng.random(rows) < 0.03)).then(None).otherwise(pl.col(f"x{j:02}")).alias(f"x{j:02}")
        for j in range(20, 40)
    ]
    target = pl.Series("y", np.where(score + rng.normal(size=rows) > 0.7, "yes", "no"))
    return pl.DataFrame(columns).with_columns(missing).with_columns(target)


def make(path: Path, size: int, group: int = PART) -> None:
    """Write a Parquet file of about ``size`` bytes."""
    import polars as pl

    rng = np.random.default_rng(0)
    rows = max(1, size // ROW_BYTES)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        parts = []
        for i, start in enumerate(range(0, rows, PART)):
            parts.append(Path(folder, f"{i:05}.parquet"))
            part(min(PART, rows - start), rng).write_parquet(parts[-1], compression="zstd", row_group_size=PART)
        pl.scan_parquet(parts).sink_parquet(path, compression="zstd", row_group_size=group, maintain_order=True)


def worker(path: str, epochs: int, stream: bool) -> None:
    """Train once, and print the measurements as JSON."""
    from chainrule import tables
    from chainrule.tables.streaming import State

    prepared = [0.0]

    def show(state: State) -> None:
        prepared[0] = state.rate

    trained = tables.train(path, "y", parameters={"max_iter": epochs}, patience=0, stream=stream, show=show)
    theta = trained.pipeline[-1].network_.theta
    status = Path("/proc/self/status").read_text()
    peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    print(
        json.dumps(
            {
                "streamed": stream,
                "rows": trained.schema.rows,
                "prepared MB/s": prepared[0],
                "epochs, seconds": sum(trained.history["seconds"]),
                "seconds": trained.seconds,
                "peak MiB": peak,
                "accuracy": trained.scores["accuracy"],
                "linear": trained.baselines["linear model"]["accuracy"],
                "parameters": hashlib.sha256(theta.tobytes()).hexdigest()[:16],
            }
        )
    )


def gather(path: Path, rows: int, width: int) -> None:
    """Print the rows per second that are gathered from a file outside the system's cache."""
    from chainrule.training.windows import Window

    with path.open("wb") as file:
        for start in range(0, rows, 100_000):
            file.write(np.random.default_rng(start).random((100_000, width), dtype=np.float32))
        os.fsync(file.fileno())
    order = np.random.default_rng(0).permutation(rows)

    def cold() -> Any:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return np.memmap(path, np.float32, "r", shape=(rows, width))

    for turn in range(2):
        X, batch, start = cold(), np.empty((256, width), np.float32), time.perf_counter()
        for at in range(0, 25_600, 256):
            X.take(order[at : at + 256], axis=0, out=batch, mode="clip")
        print(f"turn {turn}  batch by batch {25_600 / (time.perf_counter() - start):,.0f} rows/s", end="")
        for part in (8, 4):
            del X
            X = cold()
            start = time.perf_counter()
            Window(X, 4 * rows * width // part).take(order[: rows // part], 0, 256)
            print(f"  collected, 1/{part}: {rows / part / (time.perf_counter() - start):,.0f} rows/s", end="")
        print(flush=True)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.streaming", description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, default=4.0, help="size of the file in GB, 4 by default")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="also train in memory, and compare the parameters")
    parser.add_argument("--gather", action="store_true", help="only measure the gathering of rows")
    parser.add_argument("--group", type=int, default=PART, help="rows per row group")
    parser.add_argument("--path", type=Path, help="file to create, or to use if it exists; it is kept")
    parser.add_argument("--keep", action="store_true", help="write results/streaming.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.gather:
            gather(Path(folder, "rows"), 4_000_000, 120)
            return 0
        path = arguments.path or Path(folder, "table.parquet")
        if not path.exists():
            make(path, int(arguments.size * 1e9), arguments.group)
        print(f"{path.stat().st_size / 1e9:.2f} GB, row groups of {arguments.group:,} rows, {os.cpu_count()} cores")
        found = []
        for stream in [True] + [False] * arguments.memory:
            code = f"from benchmarks.streaming import worker; worker({str(path)!r}, {arguments.epochs}, {stream})"
            run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
            found.append(json.loads(run.stdout.splitlines()[-1]))
            print(
                "  ".join(f"{k} {v:,.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in found[-1].items()),
                flush=True,
            )
    if arguments.keep:
        columns = [name for name in found[0] if name.endswith(("MB/s", "MiB"))]
        rows = {f"{one['chunk']:,}" if one["chunk"] else "the default": one for one in found}
        report.keep("streaming", {row: {c: f"{one[c]:.0f}" for c in columns} for row, one in rows.items()}, runs=found)
    same = len({one["parameters"] for one in found}) == 1
    print("the same parameters" if same else "THE PARAMETERS DIFFER")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
