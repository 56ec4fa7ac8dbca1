"""Memory of training on a NumPy file: ``python -m benchmarks.mapped`` creates one of 500 MB, and trains on it.

It is not a workload of ``python -m benchmarks``, because it takes minutes. Each run is a process of its own. Its peak
resident memory (VmHWM) is counted from after a training on a tiny table, which imports and compiles everything. That
includes the pages of mapped files, which the system can take back at any time; "own" is the peak without them.
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

COLUMNS, PART = 50, 50_000  # numbers of a row, of which the last is the target; rows drawn at once
WAYS = ("streamed", "in memory", "train on the mapped array")


def make(path: Path, size: int) -> None:
    """Write rows of float64 numbers and a target of two classes to a file of about ``size`` bytes."""
    rows = max(100, size // (8 * COLUMNS))
    file, rng = np.lib.format.open_memmap(path, "w+", np.float64, (rows, COLUMNS)), np.random.default_rng(0)
    for start in range(0, rows, PART):
        x = rng.normal(size=(min(PART, rows - start), COLUMNS))
        x[:, -1] = x[:, 0] * x[:, 1] + x[:, 2] > 0
        file[start : start + PART] = x


def fit(path: str, way: str) -> None:
    """Train for one epoch."""
    import chainrule as cr
    from chainrule import tables

    if way != WAYS[2]:
        options: dict[str, Any] = {"fast": True, "parameters": {"max_iter": 1}, "stream": way == WAYS[0]}
        tables.train(path, f"column_{COLUMNS}", **options)
        return
    X = np.load(path, mmap_mode="r")
    t = X[:, -1].astype(int)
    layers = [cr.layers.Dense(64), cr.layers.ReLU(), cr.layers.Dense(2)]
    network = cr.Network(COLUMNS, layers, "softmax_cross_entropy", seed=0)
    cr.train(network, X, t, epochs=1, batch_size=200, validation=0.1, seed=0)


def worker(path: str, way: str) -> None:
    """Train once, and print the measurements as JSON."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder, "tiny.npy"), 8 * COLUMNS * 400)
        fit(str(Path(folder, "tiny.npy")), way)
    before, own, done = memory("VmHWM"), [0.0], threading.Event()
    own_before = memory("RssAnon")

    def watch() -> None:
        while not done.wait(0.01):
            own[0] = max(own[0], memory("RssAnon"))

    watching = threading.Thread(target=watch)
    watching.start()
    start = time.perf_counter()
    try:
        fit(path, way)
    finally:
        done.set()
        watching.join()
    seconds = time.perf_counter() - start
    print(json.dumps({"MiB": memory("VmHWM") - before, "own MiB": own[0] - own_before, "seconds": seconds}))


def memory(field: str) -> float:
    """Return a field of this process's status in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.mapped", description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, default=0.5, help="size of the file in GB, 0.5 by default")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--keep", action="store_true", help="write results/mapped.json")
    arguments = parser.parse_args()
    kept = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.npy")
        make(path, int(arguments.size * 1e9))
        for way in arguments.ways:
            code = f"from benchmarks.mapped import worker; worker({str(path)!r}, {way!r})"
            run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(run.stdout.splitlines()[-1])
            print(f"{way:26}", "  ".join(f"{name} {value:,.0f}" for name, value in found.items()), flush=True)
            own, seconds = f"{found['own MiB']:,.0f} MiB", f"{report.number(found['seconds'])} s"
            kept[way] = {"memory": own, "an epoch and all else": seconds, "file": f"{arguments.size * 1000:,.0f} MB"}
    if arguments.keep:
        report.keep("mapped", kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
