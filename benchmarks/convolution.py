"""Four methods of convolution, forward, on one thread: ``python -m benchmarks.convolution``.

All windows copied at once for one matrix product; a few images at a time, as in ``Conv2D``; one product per position in
the window, with the results summed; and the seven loops written out and compiled by Numba. All in float32 on 128
images, with the same results. Medians of runs in turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule._internal.threads import blas_threads
from chainrule.training.engine import installed

IMAGES = 128
SHAPES = (
    ((28, 28, 1), 32, 3),
    ((26, 26, 32), 32, 3),
    ((12, 12, 32), 64, 3),
    ((10, 10, 64), 64, 3),
    ((12, 12, 32), 64, 5),
)


def at_once(x: np.ndarray, W: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a function that copies all windows into one matrix (images · rows · columns, size of a window)."""
    k, _, channels, filters = W.shape
    n, height, width, _ = x.shape
    rows, columns = height - k + 1, width - k + 1
    a, b, c, d = x.strides
    windows = np.lib.stride_tricks.as_strided(x, (n, rows, columns, k, k, channels), (a, b, c, b, c, d))
    matrix, y = np.empty(windows.shape, x.dtype), np.empty((n, rows, columns, filters), x.dtype)

    def run() -> np.ndarray:
        matrix[...] = windows
        np.dot(matrix.reshape(-1, k * k * channels), W.reshape(-1, filters), out=y.reshape(-1, filters))
        return y

    return run


def place_by_place(x: np.ndarray, W: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a function with one product per position in the window, each of which needs contiguous pixels."""
    k, _, channels, filters = W.shape
    n, height, width, _ = x.shape
    rows, columns = height - k + 1, width - k + 1
    pixels, part = np.empty((n, rows, columns, channels), x.dtype), np.empty((n * rows * columns, filters), x.dtype)
    y = np.empty((n, rows, columns, filters), x.dtype)

    def run() -> np.ndarray:
        y[...] = 0
        for i in range(k):
            for j in range(k):
                pixels[...] = x[:, i : i + rows, j : j + columns]
                np.dot(pixels.reshape(-1, channels), W[i, j], out=part)
                np.add(y.reshape(part.shape), part, out=y.reshape(part.shape))
        return y

    return run


def blocks(x: np.ndarray, W: np.ndarray) -> Callable[[], np.ndarray]:
    """Return the forward pass of ``Conv2D``."""
    k, _, _, filters = W.shape
    network = cr.Network(
        x.shape[1:], [cr.layers.Conv2D(filters, k, biases=None), cr.layers.Flatten()], "squared_error", seed=0
    )
    network.layers[0].W[...] = W
    memo = network.workspace(len(x)).memos[0]
    return lambda: network.layers[0].forward(x, memo)


def loops(x: np.ndarray, W: np.ndarray) -> Callable[[], np.ndarray]:  # noqa: C901  (seven of them)
    """Return the loops, with the filters innermost so that the compiler can vectorize them."""
    import numba

    @numba.njit(fastmath=True)
    def convolve(x: Any, W: Any, y: Any) -> None:
        k, channels, filters = W.shape[0], W.shape[2], W.shape[3]
        for n in range(x.shape[0]):
            for r in range(y.shape[1]):
                for q in range(y.shape[2]):
                    for f in range(filters):
                        y[n, r, q, f] = 0
                    for i in range(k):
                        for j in range(k):
                            for c in range(channels):
                                value = x[n, r + i, q + j, c]
                                for f in range(filters):
                                    y[n, r, q, f] += value * W[i, j, c, f]

    k = W.shape[0]
    y = np.empty((x.shape[0], x.shape[1] - k + 1, x.shape[2] - k + 1, W.shape[3]), x.dtype)

    def run() -> np.ndarray:
        convolve(x, W, y)
        return y

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    ways = {"all windows at once": at_once, "a few images at a time": blocks, "place by place": place_by_place}
    if installed():
        ways["loops, Numba"] = loops
    print("| image, filters, window | " + " | ".join(f"{name} (ms)" for name in ways) + " |")
    print("| --- |" + " ---: |" * len(ways))
    rng = np.random.default_rng(0)
    with blas_threads(1):
        for shape, filters, k in SHAPES:
            x = rng.random((IMAGES, *shape), dtype=np.float32)
            W = rng.normal(size=(k, k, shape[2], filters)).astype(np.float32)
            runs = [way(x, W) for way in ways.values()]
            first = runs[0]()
            for run in runs:
                np.testing.assert_allclose(run(), first, rtol=1e-4, atol=1e-3)
            times: list[list[float]] = [[] for _ in runs]
            for _ in range(repeats):
                for run, seconds in zip(runs, times, strict=True):
                    begin = time.perf_counter()
                    run()
                    seconds.append(1e3 * (time.perf_counter() - begin))
            cells = " | ".join(f"{statistics.median(seconds):.1f}" for seconds in times)
            print(f"| {' x '.join(map(str, shape))}, {filters}, {k} x {k} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
