"""Time limits: ``python -m benchmarks.checks`` prints each measured time with its limit.

The tests measure no time, since other work on the machine would make them fail; here, an exceeded limit gives status 1.
Each time is the fastest of a few runs. Run this on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import report
from chainrule.memo import Memo
from chainrule.training.augmentation import Batch, RandomShift

CLI = [sys.executable, "-m", "chainrule"]
INTERRUPTED = """
import os, signal, threading, time
import numpy as np
import chainrule as cr
from chainrule.layers import Dense, Tanh

rng = np.random.default_rng(0)
network = cr.Network(200, [Dense(200), Tanh(), Dense(10)], "softmax_cross_entropy", seed=0)
X, t = rng.random((100_000, 200), dtype="float32"), rng.integers(0, 10, 100_000)
cr.train(network, X[:1000], t[:1000], epochs=1, batch_size=100)

def press():
    global pressed
    pressed = time.perf_counter()
    os.kill(os.getpid(), signal.SIGINT)

threading.Timer(0.3, press).start()
cr.train(network, X, t, epochs=1000, batch_size=100)
print(time.perf_counter() - pressed)
"""


def fastest(call: Callable[[], object], runs: int) -> float:
    """Return the seconds of the fastest run, which excludes the effect of a busy machine."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def process(*command: str) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


def importing() -> float:
    """Return the time of ``import chainrule`` in addition to ``import numpy``."""
    ours, numpys = (fastest(process(sys.executable, "-c", f"import {x}"), 15) for x in ("chainrule", "numpy"))
    return ours - numpys


def shifting() -> float:
    rng, memo = np.random.default_rng(0), Memo()
    part, batch = RandomShift(2, shape=(28, 28)), Batch(rng.random((128, 784)).astype("float32"), None, None)
    return fastest(lambda: part.apply(batch, rng, memo), 500)


def interrupting() -> float:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, capture_output=True, text=True)
    return float(done.stdout)


def digits() -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [*CLI, "train", "digits", "--overwrite", "--out", str(Path(folder, "run"))]
        return fastest(process(*command), 2)


def page() -> float:
    """Return the time of the report for a million predictions."""
    from chainrule.tables.report import ReportData, page

    rng, rows = np.random.default_rng(0), 1_000_000
    y = rng.normal(50, 10, rows)
    data = ReportData("regression", "price", y, y + rng.normal(1, 5, rows))
    return fastest(lambda: page(data).html, 1)


def baselines() -> float:
    """Return the time of the baseline models with 1,500 columns."""
    import polars as pl

    from chainrule import tables
    from chainrule.tables import baselines as simple

    rng = np.random.default_rng(0)
    frame = pl.DataFrame(rng.normal(size=(200, 1500))).with_columns(y=pl.Series(["a", "b"] * 100))
    few = tables.train(frame.select("y", *frame.columns[:4]), "y", parameters={"max_iter": 3}).schema
    columns = tuple(tables.Column(name, "number") for name in frame.columns[:-1])
    schema = tables.Schema(columns, few.targets, "binary", ("a", "b"))
    return fastest(lambda: simple.fit(schema, frame, frame["y"].to_numpy(), frame, seed=0), 1)


# each has a measurement and a limit in seconds
CHECKS: dict[str, tuple[Callable[[], float], float]] = {
    "import chainrule, beyond numpy": (importing, 0.050),
    "chainrule --help": (lambda: fastest(process(*CLI, "--help"), 3), 1.0),
    "chainrule train digits": (digits, 15.0),
    "Ctrl-C in compiled training": (interrupting, 0.5),
    "a batch of 128 MNIST images shifted": (shifting, 0.0003),
    "page of a million predictions": (page, 10.0),
    "simple models of 1,500 columns": (baselines, 10.0),
}


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.checks", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="write results/checks.json")
    arguments, rows, slow = parser.parse_args(), {}, 0
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name, (measured, bound) in CHECKS.items():
        seconds = measured()
        slow += seconds > bound
        shown = f"{report.number(1000 * seconds)} ms" if seconds < 1 else f"{seconds:.1f} s"
        rows[name] = {"measured": shown, "bound": f"{bound:g} s"}
        print(f"{'ok  ' if seconds <= bound else 'SLOW'} {name}: {shown} (at most {bound:g} s)", flush=True)
    if arguments.keep:
        report.keep("checks", rows)
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
