"""Two processes that train one network, against one: ``python -m benchmarks.data_parallel``, with MPI.

A network 50-256-256-2 on 50,000 rows, with Adam, in float32. The batch is the same in all: two processes have half of
it each. Each line is the median of runs in turns, each in processes of their own; the first epoch is not counted.
Efficiency is the speed of two processes of one thread each, relative to twice that of one process of one thread.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys

import numpy as np

from benchmarks import report

ROWS, INPUTS = 50_000, 50
WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread": (2, 1)}
BATCHES = (256, 512, 2048)


def epoch(batch: int, threads: int, epochs: int) -> float:
    """Return the median seconds of an epoch, in a process that mpirun has started."""
    import chainrule as cr
    from chainrule.layers import Dense, ReLU

    ranks = cr.parallel.MPI()
    X = np.random.default_rng(ranks.rank).normal(size=(ROWS // ranks.size, INPUTS)).astype(np.float32)
    t = (X[:, 0] > 0).astype(int)
    layers = [Dense(256), ReLU(), Dense(256), ReLU(), Dense(2)]
    network = cr.Network(INPUTS, layers, "softmax_cross_entropy", seed=0)
    history = cr.train(
        network, X, t, epochs=epochs + 1, batch_size=batch // ranks.size, threads=threads, reduce=ranks, seed=0
    )
    if ranks.rank == 0:
        print(json.dumps(statistics.median(history["seconds"][1:])))
    return 0.0


def main() -> None:
    """Measure all ways in turns, and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_parallel", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="that are measured in a run")
    parser.add_argument("--keep", action="store_true", help="write results/data_parallel.json")
    parser.add_argument("--worker", type=int, nargs=2, metavar=("BATCH", "THREADS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        epoch(*given.worker, given.epochs)
        return
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        sys.exit('benchmarks.data_parallel: mpirun is not installed: pip install -e ".[mpi]" mpich')
    kept = {}
    for batch in BATCHES:
        seconds: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(given.repeats):
            for name, (ranks, threads) in WAYS.items():
                command = [mpirun, "-n", str(ranks), sys.executable, "-m", "benchmarks.data_parallel"]
                more = ["--epochs", str(given.epochs), "--worker", str(batch), str(threads)]
                done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
                seconds[name].append(json.loads(done.stdout.splitlines()[-1]))
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        one, _, two = medians.values()
        cells = {name: f"{ROWS / median:,.0f} rows/s" for name, median in medians.items()}
        kept[f"{batch} rows"] = cells | {"efficiency": f"{100 * one / (2 * two):.0f} %"}
        print(f"batch of {batch:5}: {'; '.join(f'{n} {c}' for n, c in kept[f'{batch} rows'].items())}", flush=True)
    if given.keep:
        report.keep("data_parallel", kept)


if __name__ == "__main__":
    main()
