"""The cost of weight averaging per step: ``python -m benchmarks.averaging``.

Two epochs of 12,800 rows in batches of 128, Adam: without averaging, with ``EMA`` after every step or every eighth, and
with ``SWA``. Medians of runs in turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import chainrule as cr
from chainrule.layers import Dense, ReLU

ROWS, BATCH = 12_800, 128
SIDES: dict[str, Callable[[], list[cr.training.Callback]]] = {
    "no average": list,
    "EMA(0.999)": lambda: [cr.EMA(0.999)],
    "EMA(0.999, every=8)": lambda: [cr.EMA(0.999, every=8)],
    "SWA(start=1)": lambda: [cr.SWA(start=1)],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    X, t = rng.random((ROWS, 784), dtype=np.float32), rng.integers(0, 10, ROWS)
    print("| network | " + " | ".join(f"{name} (µs a step)" for name in SIDES) + " |")
    print("| --- |" + " ---: |" * len(SIDES))
    for hidden in ([30], [512, 512]):
        layers = [layer for units in hidden for layer in (Dense(units), ReLU())]
        network = cr.Network(784, [*layers, Dense(10)], "softmax_cross_entropy", seed=0)
        times: dict[str, list[float]] = {name: [] for name in SIDES}
        for repeat in range(repeats + 1):
            for name, callbacks in SIDES.items():
                begin = time.perf_counter()
                cr.train(network, X, t, epochs=2, batch_size=BATCH, callbacks=callbacks(), seed=0)
                if repeat:  # the first one warms up
                    times[name].append((time.perf_counter() - begin) / (2 * ROWS // BATCH) * 1e6)
        base = statistics.median(times["no average"])
        cells = [f"{base:,.0f}"]
        for name in list(SIDES)[1:]:
            seconds = statistics.median(times[name])
            cells.append(f"{seconds:,.0f} ({seconds / base:.2f} ×)")
        print(f"| 784-{'-'.join(map(str, hidden))}-10 | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
