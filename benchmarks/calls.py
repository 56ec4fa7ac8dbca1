"""The time of each array operation in a NumPy step, timed separately: ``python -m benchmarks.calls``.

The step is that of the digits workload: 64-15-10, ReLU, 15 rows, softmax cross-entropy, SGD with momentum, float32, as
a flat list of calls on preallocated buffers with nothing between them: a lower bound for NumPy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import chainrule as cr

ROWS, INPUTS, HIDDEN, OUTPUTS = 15, 64, 15, 10
RATE, MOMENTUM = np.float32(0.01), np.float32(0.9)


def calls() -> list[tuple[str, Callable[[], Any]]]:
    """Return the named operations of a step, in order."""
    rng = np.random.default_rng(0)
    X, t = rng.random((1797, INPUTS), dtype=np.float32), rng.integers(0, OUTPUTS, 1797)
    network = cr.Network(INPUTS, [cr.layers.Dense(HIDDEN), cr.layers.Dense(OUTPUTS)], "squared_error", seed=0)
    theta, grad = network.theta, np.zeros_like(network.theta)
    (w1, b1), (w2, b2) = ((layer.W, layer.b) for layer in network.layers)
    dw1, db1, dw2, db2 = (network.layout.view(grad, entry) for entry in network.layout.entries)
    x, labels = np.empty((ROWS, INPUTS), np.float32), np.empty(ROWS, np.int64)
    h, dh, slope = np.zeros((3, ROWS, HIDDEN), np.float32)
    y, p = np.zeros((2, ROWS, OUTPUTS), np.float32)
    row, values, chosen = np.ones((ROWS, 1), np.float32), np.empty(ROWS, np.float32), np.empty(ROWS, np.float32)
    index, starts, at = np.arange(ROWS), np.arange(ROWS) * OUTPUTS, np.arange(ROWS)
    ones, column = np.ones(ROWS, np.float32), np.ones((OUTPUTS, 1), np.float32)
    v, scratch, flat = np.zeros_like(theta), np.zeros_like(theta), p.reshape(-1)
    zero, scale = np.float32(0), np.float32(1 / ROWS)

    def subtract_labels() -> None:
        flat[at] -= 1

    return [
        ("gather rows", lambda: X.take(index, 0, x, "clip")),
        ("gather labels", lambda: t.take(index, 0, labels, "clip")),
        ("x W", lambda: x.dot(w1, h)),
        ("+ b", lambda: np.add(h, b1, h)),
        ("ReLU", lambda: np.maximum(h, zero, out=h)),
        ("h W", lambda: h.dot(w2, y)),
        ("+ b", lambda: np.add(y, b2, y)),
        ("row maximum", lambda: np.maximum.reduce(y, 1, None, row, True)),
        ("y - maximum", lambda: np.subtract(y, row, p)),
        ("places of labels", lambda: np.add(starts, labels, at)),
        ("y at labels", lambda: flat.take(at, 0, chosen, "clip")),
        ("exp", lambda: np.exp(p, p)),
        ("row sum", lambda: p.dot(column, row)),
        ("p / sum", lambda: np.divide(p, row, p)),
        ("log", lambda: np.log(row, row)),
        ("losses", lambda: np.subtract(row[:, 0], chosen, values)),
        ("p - t", subtract_labels),
        ("/ rows", lambda: np.multiply(p, scale, p)),
        ("mean loss", lambda: float(values.dot(ones))),
        ("dW", lambda: h.T.dot(p, dw2)),
        ("db", lambda: ones.dot(p, db2)),
        ("dh", lambda: p.dot(w2.T, dh)),
        ("slope", lambda: np.sign(h, slope)),
        ("dh slope", lambda: np.multiply(dh, slope, dh)),
        ("dW", lambda: x.T.dot(dh, dw1)),
        ("db", lambda: ones.dot(dh, db1)),
        ("momentum v", lambda: np.multiply(v, MOMENTUM, v)),
        ("rate g", lambda: np.multiply(grad, RATE, scratch)),
        ("v - rate g", lambda: np.subtract(v, scratch, v)),
        ("theta + v", lambda: np.add(theta, v, theta)),
    ]


def seconds(call: Callable[[], Any], repeats: int = 20, loops: int = 500) -> float:
    """Return the shortest time of a call; the rest is noise."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(loops):
            call()
        best = min(best, (time.perf_counter() - start) / loops)
    return best


def main() -> None:
    with threadpool_limits(1, "blas"), np.errstate(all="ignore"):
        steps = calls()
        nothing = seconds(lambda: None)
        each = [(name, seconds(call) - nothing) for name, call in steps]

        def whole() -> None:
            for _, call in steps:
                call()

        together = seconds(whole)
    for name, time_ in each:
        print(f"{name:18} {1e6 * time_:5.2f} µs")
    print(f"{'sum':18} {1e6 * sum(t for _, t in each):5.2f} µs\n{'one after another':18} {1e6 * together:5.2f} µs")


if __name__ == "__main__":
    main()
