"""The floor: the cost of the matrix products and of gathering or reading the rows, and nothing else."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.contestants import estimators
from benchmarks.task import Task


def train(**work: Any) -> dict[str, Any]:
    """Gather the rows, and compute x W and xᵀ dy for each layer and dy Wᵀ for each but the first, for every step."""
    task = Task(**work)
    X, _ = task.data()
    parameters, order = data.start(task.sizes)
    rng, index = np.random.default_rng(0), np.arange(task.rows)
    batches = {n: _Products(parameters, n, rng) for n in {task.batch, task.rows % task.batch} - {0}}
    begin = time.perf_counter()
    for _ in range(task.epochs):
        order.shuffle(index)
        for first in range(0, task.rows, task.batch):
            rows = index[first : first + task.batch]
            batches[len(rows)].step(X, rows)
    return data.result(time.perf_counter() - begin, steps=task.steps * task.epochs, epochs=task.epochs)


def predict(*, sizes: list[int], rows: int, calls: int, read: bool = False) -> dict[str, Any]:
    """Compute x W for each layer, or only read the rows."""
    if read:
        threads = multiprocessing.cpu_count()
        with ThreadPoolExecutor(threads) as pool:
            seconds, _ = estimators.repeated(
                lambda X: [*pool.map(np.max, np.array_split(X, threads))], sizes, rows, calls
            )
            return data.result(seconds, calls=calls)
    weights, values = [W for W, _ in data.start(sizes)[0]], [np.empty((rows, n), np.float32) for n in sizes[1:]]

    def products(x: np.ndarray) -> np.ndarray:
        for W, y in zip(weights, values, strict=True):
            x = np.matmul(x, W, out=y)
        return x

    return data.result(estimators.repeated(products, sizes, rows, calls)[0], calls=calls)


class _Products:
    """The products for batches of n rows, on preallocated arrays."""

    def __init__(self, parameters: list[data.Arrays], n: int, rng: np.random.Generator) -> None:
        sizes = [len(parameters[0][0]), *(W.shape[1] for W, _ in parameters)]
        self.values = [np.empty((n, size), np.float32) for size in sizes]
        dy = [rng.random((n, size), dtype=np.float32) for size in sizes]
        self.forward = [(x, W, y) for (x, y), (W, _) in zip(pairwise(self.values), parameters, strict=True)]
        self.backward = []
        for i, (W, _) in reversed(list(enumerate(parameters))):
            self.backward.append((self.values[i].T, dy[i + 1], np.empty_like(W)))
            if i:
                self.backward.append((dy[i + 1], W.T, dy[i].copy()))

    def step(self, X: np.ndarray, rows: np.ndarray) -> None:
        X.take(rows, axis=0, out=self.values[0], mode="clip")
        for a, b, out in self.forward:
            np.matmul(a, b, out=out)
        for a, b, out in self.backward:
            np.matmul(a, b, out=out)
