"""Five networks trained one after another, or together in batched products: ``python -m benchmarks.ensembles``.

Together, each array has an additional axis for the members: NumPy multiplies (5, batch, inputs) by (5, inputs, units).
This saves calls, not arithmetic. The step is forward, backward and Adam of a network with one or two hidden layers of
ReLU, softmax cross-entropy, float32. Medians of runs in turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

import chainrule as cr
from chainrule.training import engine as compiled

MEMBERS = 5
SIZES = ([64, 32, 10], [64, 256, 10], [784, 128, 10], [784, 512, 512, 10])
ROWS, BATCH = 3200, 100


def batched(sizes: list[int], X: np.ndarray, t: np.ndarray) -> Callable[[], None]:
    """Return a function that runs an epoch of all members together."""
    rng = np.random.default_rng(0)
    shapes = [(MEMBERS, *pair) for pair in pairwise(sizes)]
    W = [rng.normal(size=shape, scale=shape[1] ** -0.5).astype(np.float32) for shape in shapes]
    b = [np.zeros((MEMBERS, 1, shape[2]), np.float32) for shape in shapes]
    theta = [*W, *b]
    m, v = ([np.zeros_like(p) for p in theta] for _ in range(2))
    h = [np.empty((MEMBERS, BATCH, n), np.float32) for n in sizes[1:]]
    error = [np.empty_like(y) for y in h]
    dW, db = [np.empty_like(w) for w in W], [np.empty_like(x) for x in b]
    step = [0]

    def epoch() -> None:
        for start in range(0, len(X), BATCH):
            x, labels = X[start : start + BATCH], t[start : start + BATCH]
            below = [np.broadcast_to(x, (MEMBERS, *x.shape)), *h[:-1]]
            for i, y in enumerate(h):
                np.matmul(below[i], W[i], out=y)
                np.add(y, b[i], out=y)
                if i < len(h) - 1:
                    np.maximum(y, 0, out=y)
            y = h[-1]
            y -= y.max(axis=2, keepdims=True)
            np.exp(y, out=error[-1])
            error[-1] /= error[-1].sum(axis=2, keepdims=True)
            error[-1][:, np.arange(BATCH), labels] -= 1
            error[-1] /= BATCH
            for i in range(len(h) - 1, -1, -1):
                np.matmul(below[i].transpose(0, 2, 1), error[i], out=dW[i])
                np.sum(error[i], axis=1, keepdims=True, out=db[i])
                if i:
                    np.matmul(error[i], W[i].transpose(0, 2, 1), out=error[i - 1])
                    error[i - 1] *= h[i - 1] > 0
            step[0] += 1
            one, two = 1 - 0.9 ** step[0], 1 - 0.999 ** step[0]
            for p, g, first, second in zip(theta, [*dW, *db], m, v, strict=True):
                np.add(first, np.float32(0.1) * (g - first), out=first)
                np.add(second, np.float32(0.001) * (g * g - second), out=second)
                size = np.sqrt(second) / np.float32(two**0.5) + np.float32(1e-8)
                np.subtract(p, np.float32(0.001 / one) * first / size, out=p)

    return epoch


def in_turn(sizes: list[int], X: np.ndarray, t: np.ndarray, kernels: str) -> Callable[[], None]:
    """Return a function that runs an epoch of each member, one after another."""
    layers: list[cr.layers.Layer] = []
    for units in sizes[1:-1]:
        layers += [cr.layers.Dense(units), cr.layers.ReLU()]
    layers.append(cr.layers.Dense(sizes[-1]))
    networks = [cr.Network(sizes[0], layers, "softmax_cross_entropy", seed=i) for i in range(MEMBERS)]

    def epoch() -> None:
        os.environ["CHAINRULE_KERNELS"] = kernels
        for network in networks:
            cr.train(network, X, t, epochs=1, batch_size=BATCH, shuffle=False, seed=0)

    return epoch


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    names = ("batched, NumPy", "in turn, NumPy", *(["in turn, Numba"] if compiled.installed() else []))
    print(f"| network, {MEMBERS} members | " + " | ".join(f"{name} (µs a step of all)" for name in names) + " |")
    print("| --- |" + " ---: |" * len(names))
    for sizes in SIZES:
        X, t = rng.random((ROWS, sizes[0]), dtype=np.float32), rng.integers(0, sizes[-1], ROWS)
        sides = [batched(sizes, X, t), *(in_turn(sizes, X, t, k) for k in ("reference", "numba")[: len(names) - 1])]
        times: list[list[float]] = [[] for _ in sides]
        for repeat in range(repeats + 1):
            for side, seconds in zip(sides, times, strict=True):
                with threadpool_limits(1 if side is sides[0] and sizes[0] < 100 else None):
                    begin = time.perf_counter()
                    side()
                    if repeat:  # the first one warms up
                        seconds.append((time.perf_counter() - begin) / (ROWS // BATCH) * 1e6)
        print(f"| {'-'.join(map(str, sizes))} | " + " | ".join(f"{statistics.median(s):.0f}" for s in times) + " |")


if __name__ == "__main__":
    main()
