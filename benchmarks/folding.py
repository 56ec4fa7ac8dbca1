"""The prediction time that folding saves: ``python -m benchmarks.folding``.

A network 100-256-256-10 with BatchNorm and dropout, and ``cr.fold(network)``, whose probabilities are the same to
rounding. One thread, medians of calls in turns.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

import chainrule as cr
from benchmarks import report
from chainrule.layers import BatchNorm, Dense, Dropout, ReLU


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--keep", action="store_true", help="write results/folding.json")
    arguments = parser.parse_args()
    repeats = arguments.repeats
    kept: dict[str, dict[str, str]] = {}
    hidden = [layer for _ in range(2) for layer in (Dense(256, biases=None), BatchNorm(), ReLU(), Dropout(0.2))]
    network = cr.Network(100, [*hidden, Dense(10)], "softmax_cross_entropy", seed=0)
    sides = {"as trained": network, "folded": cr.fold(network)}
    print("| rows | " + " | ".join(f"{name} (µs a call)" for name in sides) + " | ratio |")
    print("| ---: |" + " ---: |" * (len(sides) + 1))
    for rows, calls in ((1, 2000), (1000, 30)):
        x = np.random.default_rng(0).normal(size=(rows, 100)).astype(np.float32)
        times: dict[str, list[float]] = {name: [] for name in sides}
        with threadpool_limits(1):
            for repeat in range(repeats + 1):
                for name, side in sides.items():
                    begin = time.perf_counter()
                    for _ in range(calls):
                        side.predict(x)
                    if repeat:  # the first one warms up
                        times[name].append((time.perf_counter() - begin) / calls * 1e6)
        before, after = (statistics.median(seconds) for seconds in times.values())
        kept[f"{rows:,}"] = {"as trained": f"{before:,.0f} µs", "folded": f"{after:,.0f} µs"}
        print(f"| {rows:,} | {before:,.1f} | {after:,.1f} | {before / after:.2f} |")
    if arguments.keep:
        report.keep("folding", kept)


if __name__ == "__main__":
    main()
