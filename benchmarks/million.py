"""Predicting a million rows with ``chainrule predict``: ``python -m benchmarks.million``.

Two tables: the passengers of ``benchmarks.tables``, 6 columns of categories and numbers with missing values, as CSV;
and the 94 columns of ``benchmarks.streaming``, as Parquet. Each network is trained on 5,000 rows. The time is that of
the whole prediction command, from process start to exit.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import report, streaming
from benchmarks.tables import passengers, timed

ROWS = 1_000_000
TRAINED = 5_000


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
    rows, repeats = (1_000, 1) if arguments.quick else (ROWS, arguments.repeats)
    machine = report.machine()
    print(f"{machine['cpu']}, {machine['cores']} cores; median seconds of {repeats} runs (CPU time)")
    for title, (make, target) in TABLES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            few, many = make(folder / "few", TRAINED), make(folder / "many", rows)
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
