"""A hundred million rows, extrapolated: ``python -m benchmarks.large_table`` trains on small tables, and fits lines.

It is not a workload of ``python -m benchmarks``, because it takes minutes. Each table has six inputs and a target, is
written as Parquet, and is trained on with ``--stream`` in a process of its own, which has trained on a tiny table
before. The time of a stage is fitted as a + b · rows, by least squares. This does not hold below half a million rows,
where baselines and scores use all rows. Memory is the process's own, without the pages of mapped files. With
``--minutes``, tables twice as large follow while time is left. The last table is compared with the line through the
others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.mapped import memory
from benchmarks.predict_large import rows

GOAL, EPOCHS = 100_000_000, 3
PART = 250_000  # rows drawn at once
STAGES = ("read", "prepare", "an epoch", "evaluate")  # seconds
SIZES = {"file": 1e6, "temporary file": 1e6, "memory": 1.0}  # bytes of a unit; memory is in MiB


def make(path: Path, count: int) -> None:
    """Write a table with this many rows."""
    import polars as pl

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for i, start in enumerate(range(0, count, PART)):
            rows(min(PART, count - start), i).drop("id").write_parquet(Path(folder, f"{i:05}.parquet"))
        pl.scan_parquet(f"{folder}/*.parquet").sink_parquet(path, row_group_size=100_000)


def worker(path: str) -> None:
    """Train on a tiny table and then on this one, and print the time of each stage as JSON."""
    from chainrule import tables

    warnings.simplefilter("ignore")
    options: dict[str, Any] = {"stream": True, "patience": 0, "parameters": {"max_iter": EPOCHS}}
    with tempfile.TemporaryDirectory() as folder:
        make(tiny := Path(folder, "tiny.parquet"), 2000)
        tables.train(str(tiny), "left", **options)
    passes: dict[str, Any] = {}
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], memory("RssAnon"))

    watching = threading.Thread(target=watch)
    watching.start()
    start = time.perf_counter()
    trained = tables.train(
        path, "left", show=lambda state: passes.update({state.what: (state, time.perf_counter())}), **options
    )
    seconds = time.perf_counter() - start
    over.set()
    watching.join()
    state, end = passes["preparing"]
    epochs = trained.history["seconds"]
    read = end - start - state.seconds
    stages = (read, state.seconds, float(np.median(epochs)), seconds - read - state.seconds - sum(epochs))
    sizes = (Path(path).stat().st_size, state.size, peak[0])
    print(json.dumps(dict(zip((*STAGES, *SIZES), (*stages, *sizes), strict=True))))


def measure(folder: Path, count: int) -> dict[str, float]:
    """Make a table, train on it in a process, and delete it."""
    make(path := folder / "table.parquet", count)
    code = f"from benchmarks.large_table import worker; worker({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    path.unlink()
    return json.loads(done.stdout.splitlines()[-1])


def planned(found: dict[int, dict[str, float]], count: int) -> dict[str, float]:
    """Return the times and sizes of a table by the lines through the measured ones."""
    lines = {name: np.polyfit([*found], [one[name] for one in found.values()], 1) for name in (*STAGES, *SIZES)}
    return {name: max(0.0, float(np.polyval(line, count))) for name, line in lines.items()}


def total(one: dict[str, float], epochs: int = EPOCHS) -> float:
    """Return the seconds of all stages."""
    return sum(one[stage] * (epochs if stage == "an epoch" else 1) for stage in STAGES)


def cells(one: dict[str, float]) -> dict[str, str]:
    """Return the cells of a row of the table."""
    seconds = {stage: one[stage] for stage in STAGES} | {"all, with ten epochs": total(one, 10)}
    times = {name: f"{report.number(s)} s" if s < 600 else f"{s / 60:.0f} min" for name, s in seconds.items()}
    return times | {
        name: f"{report.number(one[name] / unit)} {'MiB' if unit == 1 else 'MB'}" for name, unit in SIZES.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.large_table", description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=float, nargs="+", default=[0.5, 1, 2, 4], help="rows of the tables")
    parser.add_argument("--minutes", type=float, default=0.0, help="keep doubling the table, up to this total time")
    parser.add_argument("--keep", action="store_true", help="write results/large_table.json")
    given = parser.parse_args()
    start = time.monotonic()
    found: dict[int, dict[str, float]] = {}
    counts = [int(1e6 * millions) for millions in sorted(given.millions)]
    with tempfile.TemporaryDirectory() as folder:
        while counts:
            count = counts.pop(0)
            before = time.monotonic()
            found[count] = measure(Path(folder), count)
            print(
                f"{count:13,} rows  {'  '.join(f'{name} {cell}' for name, cell in cells(found[count]).items())}",
                flush=True,
            )
            if not counts and time.monotonic() + 2 * (time.monotonic() - before) < start + 60 * given.minutes:
                counts = [2 * count]
    *others, last = found
    if len(others) > 1:
        guess = total(planned({count: found[count] for count in others}, last))
        print(f"the smaller tables predict {guess / total(found[last]):.2f} times the seconds of {last:,} rows")
    plan = planned(found, GOAL)
    print(f"{GOAL:13,} rows  {'  '.join(f'{name} {cell}' for name, cell in cells(plan).items())}")
    if given.keep:
        kept = {f"{count:,}": cells(one) for count, one in found.items()}
        report.keep("large_table", kept | {f"{GOAL:,}, planned": cells(plan)}, runs=found)


if __name__ == "__main__":
    main()
