"""Predicting a million rows with ``chainrule predict``: ``python -m benchmarks.million``.

Two tables: made-up passengers, 6 columns of categories and numbers with missing values, as CSV; and the 94 columns of
``benchmarks.streaming``, as Parquet. Each network is trained on 5,000 rows. The time is that of the whole prediction
command, from process start to exit.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report, streaming

ROWS = 1_000_000
TRAINED = 5_000


def passengers(folder: Path, rows: int = 900) -> Path:
    """Write a table like that of the Titanic, where survival depends on sex, class and age, and some ages are missing.

    Survival rates are about those of the British inquiry of 1912: women 97, 86 and 46 % in the three classes, men 33, 8
    and 16 %, children nearly all in the first two classes and a third in the last one.
    """
    rng = np.random.default_rng(1912)
    level = rng.choice([1, 2, 3], rows, p=[0.24, 0.21, 0.55])
    woman = rng.random(rows) < np.choose(level - 1, [0.44, 0.41, 0.29])
    age = np.clip(rng.normal(np.choose(level - 1, [38, 30, 25]), 13), 0.5, 80).round(1)
    saved = np.where(woman, np.choose(level - 1, [0.97, 0.86, 0.46]), np.choose(level - 1, [0.33, 0.08, 0.16]))
    saved = np.where(age < 13, np.choose(level - 1, [0.98, 0.98, 0.34]), saved)
    fare = rng.lognormal(np.choose(level - 1, [4.0, 3.0, 2.4]), 0.5).round(2)
    port = rng.choice(["Southampton", "Cherbourg", "Queenstown", ""], rows, p=[0.71, 0.19, 0.09, 0.01])
    survived = np.where(rng.random(rows) < saved, "yes", "no")
    lines = ["class,sex,age,siblings,fare,port,survived"]
    for i in range(rows):
        known = f"{age[i]}" if rng.random() > 0.2 else ""
        sex = "female" if woman[i] else "male"
        lines.append(f"{level[i]},{sex},{known},{rng.poisson(0.5)},{fare[i]},{port[i]},{survived[i]}")
    path = folder / "passengers.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def timed(folder: str, *arguments: Any) -> tuple[float, float]:
    """Run ``chainrule`` in a folder; return its seconds and CPU seconds."""
    begin, used = time.perf_counter(), os.times()
    done = subprocess.run(
        [sys.executable, "-m", "chainrule", *map(str, arguments)], cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    seconds, now = time.perf_counter() - begin, os.times()
    if done.returncode:
        sys.exit(f"chainrule {' '.join(map(str, arguments))}: {done.stderr}")
    return seconds, now.children_user + now.children_system - used.children_user - used.children_system


def narrow(path: Path, rows: int) -> Path:
    """Write a CSV file of passengers, which repeats at most 100,000 different ones."""
    table = passengers(path.parent, min(rows, 100_000)).read_text(encoding="utf-8")
    header, *lines = table.splitlines(keepends=True)
    path = path.with_suffix(".csv")
    with path.open("w", encoding="utf-8") as file:
        file.writelines([header, *itertools.islice(itertools.cycle(lines), rows)])
    return path


def wide(path: Path, rows: int) -> Path:
    """Write a Parquet file of 94 columns and a target."""
    path = path.with_suffix(".parquet")
    streaming.make(path, rows * streaming.ROW_BYTES)
    return path


TABLES: dict[str, tuple[Callable[[Path, int], Path], str]] = {
    "6 columns, CSV": (narrow, "survived"),
    "94 columns, Parquet": (wide, "y"),
}


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.million", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a thousand rows once, to check that everything runs")
    parser.add_argument("--keep", action="store_true", help="write results/million.json")
    arguments = parser.parse_args()
    kept: dict[str, dict[str, str]] = {}
    rows, trained, repeats = (1_000, 300, 1) if arguments.quick else (ROWS, TRAINED, arguments.repeats)
    machine = report.machine()
    print(f"{machine['cpu']}, {machine['cores']} cores; median seconds of {repeats} runs (CPU time)")
    for title, (make, target) in TABLES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            few, many = make(folder / "few", trained), make(folder / "many", rows)
            timed(name, "train", few, "--target", target, "--out", "run", "--epochs", "5")
            runs = [timed(name, "predict", "run", many, "--out", f"{i}.csv") for i in range(repeats)]
            with (folder / "0.csv").open("rb") as file:
                predicted = sum(1 for _ in file) - 1
        seconds, processor = np.median(runs, axis=0)
        kept[title] = {"rows": f"{predicted:,}", "seconds": f"{seconds:.1f} s"}
        print(f"{title}: {predicted:,} rows in {seconds:.1f} s ({processor:.1f})", flush=True)
    if arguments.keep:
        report.keep("million", kept)


if __name__ == "__main__":
    main()
