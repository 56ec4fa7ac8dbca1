"""Prediction of many files into a folder: ``python -m benchmarks.predict_large`` prints its speed and its memory.

It is not a workload of ``python -m benchmarks``, because the files take disk space and minutes. Each command is a
process of its own: rows per second, CPU time and peak resident memory include its start and its imports. Larger numbers
of files show that the memory does not grow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report

ROWS = 500_000  # of a file


def rows(count: int, seed: int) -> Any:
    """Return customers: four numbers, two categories, and whether they leave."""
    import polars as pl

    rng = np.random.default_rng(seed)
    z, plan = rng.normal(size=(count, 4)), rng.integers(0, 3, count)
    score = z[:, 0] - z[:, 1] + 0.5 * z[:, 2] * z[:, 3] + 0.8 * (plan == 1) + 0.5 * rng.normal(size=count)
    return pl.DataFrame(
        {
            "id": np.arange(count),
            "age": (40 + 12 * z[:, 0]).round(),
            "income": np.exp(10 + z[:, 1]),
            "visits": z[:, 2],
            "score": z[:, 3],
            "plan": pl.Series(["free", "pro", "team"])[plan],
            "region": pl.Series([f"region {i}" for i in range(8)])[rng.integers(0, 8, count)],
            "left": np.where(score > 0, "yes", "no"),
        }
    )


MEASURED = """
import json, os, subprocess, sys, time
start = time.perf_counter()
with subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
seconds = time.perf_counter() - start
print(json.dumps([process.returncode, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""  # in a small process of its own: the peak of a command is at least that of the process that starts it


def predicted(run: Path, source: Path, out: Path) -> tuple[float, float, float]:
    """Predict the files of a folder; return the seconds, the CPU seconds and the peak memory in MiB."""
    command = [sys.executable, "-m", "chainrule", "predict", run, f"{source}/*.parquet", "--out", out]
    done = subprocess.run([sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, check=True)
    status, seconds, cpu, peak = json.loads(done.stdout)
    if status:
        raise RuntimeError(f"chainrule predict ended with status {status}")
    return seconds, cpu, peak


def main() -> None:
    """Train both kinds of network, and predict few and many files with each."""
    from chainrule import tables

    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict_large", description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, nargs="+", default=[2, 4, 8, 16], help="numbers of files to predict")
    parser.add_argument("--keep", action="store_true", help="write results/predict_large.json")
    given = parser.parse_args()
    machine, kept = report.machine(), {}
    print(f"{machine['cpu']}, {machine['cores']} cores")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for i in range(max(given.files)):
            made = rows(ROWS, i + 1).drop("left")
            for count in given.files:
                if i < count:
                    (folder / f"{count}").mkdir(exist_ok=True)
                    made.write_parquet(folder / f"{count}" / f"{i:03}.parquet")
        for name, fast in (("--fast", True), ("default", False)):
            tables.save(tables.train(rows(20_000, 0).drop("id"), "left", fast=fast), folder / name)
            for count in given.files:
                seconds, cpu, peak = predicted(folder / name, folder / f"{count}", folder / f"{name} {count}")
                total = count * ROWS
                cells = {
                    "rows/s": f"{round(total / seconds, -3):,.0f}",
                    "CPU time of a million rows": f"{cpu / total * 1e6:.1f} s",
                    "peak memory": f"{peak:,.0f} MiB",
                }
                row = f"{name}, {total / 1e6:g} million rows"
                kept[row] = cells
                print(f"{row:28}" + "".join(f"{cell:>14}" for cell in cells.values()), flush=True)
    if given.keep:
        report.keep("predict_large", kept)


if __name__ == "__main__":
    main()
