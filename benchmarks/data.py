"""Data, initial parameters and row order, the same for every contestant."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
Arrays = tuple[np.ndarray, np.ndarray]


@lru_cache(maxsize=1)
def random_rows(inputs: int, outputs: int, rows: int, *, labels: bool = True) -> Arrays:
    """Return uniform numbers in [0, 1), float32, and labels or numbers from a linear rule."""
    rng = np.random.default_rng(0)
    X = rng.random((rows, inputs), dtype=np.float32)
    rule = rng.normal(size=(inputs, outputs)).astype(np.float32)
    y = (X - 0.5) @ rule
    return X, y.argmax(axis=1) if labels else y


@lru_cache(maxsize=1)
def known(name: str, rows: int | None = None) -> Arrays:
    """Return float64 X and labels, as a scikit-learn user has them: "digits", "tabular" or "mnist"."""
    if name == "mnist":
        return mnist("train", "float64", rows)
    from sklearn import datasets

    if name == "digits":
        X, y = datasets.load_digits(return_X_y=True)
        return X[:rows] / 16, y[:rows]
    X, y = datasets.make_classification(rows or 30_000, 50, n_informative=20, n_classes=5, random_state=0)
    return X, y


@lru_cache(maxsize=2)
def mnist(split: str, dtype: str = "float32", rows: int | None = None) -> Arrays:
    """Return the images of MNIST, pixels in [0, 1], and their labels; the first ``rows`` of them."""
    from chainrule.datasets import load_mnist

    images = load_mnist(split, dtype=dtype)
    return np.ascontiguousarray(images.X[:rows]), images.t[:rows]


def has_mnist() -> bool:
    """Return whether ``CHAINRULE_DATA`` has the four files. Benchmarks download nothing."""
    folder = os.environ.get("CHAINRULE_DATA")
    if not folder:
        return False
    return all(any((Path(folder) / f"{name}{end}").is_file() for end in ("", ".gz")) for name in MNIST_FILES)


class Order:
    """The row order of scikit-learn, for ``chainrule.train(shuffle=...)`` and the other libraries.

    Each call permutes the previous order; ``anew=True`` permutes 0, 1, 2, ... each time, like ``partial_fit``.
    """

    def __init__(self, rng: np.random.RandomState, *, anew: bool = False) -> None:
        self.rng, self.anew = rng, anew

    def shuffle(self, x: np.ndarray) -> None:
        drawn = np.arange(len(x))
        self.rng.shuffle(drawn)
        x[:] = drawn if self.anew else x[drawn]


def start(sizes: list[int], *, anew: bool = False) -> tuple[list[Arrays], Order]:
    """Return W (inputs, outputs) and b of every layer, float32, and the order of the rows.

    Both are those of scikit-learn's ``MLPClassifier(random_state=0)`` with ReLU or tanh, where they cannot be set.
    """
    rng = np.random.RandomState(0)
    parameters = []
    for inputs, outputs in pairwise(sizes):
        bound = math.sqrt(6 / (inputs + outputs))
        W, b = (rng.uniform(-bound, bound, shape).astype(np.float32) for shape in ((inputs, outputs), outputs))
        parameters.append((W, b))
    return parameters, Order(rng, anew=anew)


def he_normal(shapes: Iterable[tuple[int, ...]]) -> Iterator[np.ndarray]:
    """Yield weights for layers of these shapes, float32: (inputs, outputs) or (height, width, channels, filters)."""
    rng = np.random.default_rng(0)
    for shape in shapes:
        yield rng.normal(0, math.sqrt(2 / math.prod(shape[:-1])), shape).astype(np.float32)


def trained_images(seconds: float, loss: float, *, rows: int, batch: int, epochs: int) -> dict[str, Any]:
    """Return the answer of a contestant that has trained on images."""
    return result(seconds, steps=epochs * -(-rows // batch), epochs=epochs, loss=loss) | {"images": epochs * rows}


def result(seconds: float, *, steps: int = 1, epochs: int = 1, calls: int = 1, **reached: Any) -> dict[str, Any]:
    """Return a contestant's answer: its seconds, the counts to divide them by, and the loss or accuracy reached."""
    return {
        "seconds": seconds,
        "steps": steps,
        "epochs": epochs,
        "calls": calls,
        "reached": {name: float(value) for name, value in reached.items()},
    }
