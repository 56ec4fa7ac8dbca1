"""The drawn data sets of the playground."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule import datasets
from chainrule.playground.pasted import Table

XY = ("x", "y")


class Set(NamedTuple):
    """A drawn data set: what the catalog says of it, and the function of (samples, noise, seed)."""

    title: str
    inputs: int
    outputs: int
    task: str
    make: Callable[[int, float, int], Table]


def _named(load: Callable[..., Any], **more: Any) -> Callable[[int, float, int], Table]:
    def make(samples: int, noise: float, seed: int) -> Table:
        found = load(rows=samples, noise=noise, seed=seed, **more)
        return Table(found.X, found.t, XY, found.classes)

    return make


def _xor(samples: int, noise: float, seed: int) -> Table:
    """Two classes: where x and y have the same sign, and where they do not."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (samples, 2))
    t = (X[:, 0] * X[:, 1] < 0).astype("int64")
    return Table((X + rng.normal(0, noise, X.shape)).astype("float32"), t, XY, ("same sign", "different signs"))


def _above(samples: int, noise: float, seed: int) -> Table:
    """Two classes: above the curve y = sin(3 x) / 2, and below."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (samples, 2))
    t = (X[:, 1] > np.sin(3 * X[:, 0]) / 2).astype("int64")
    return Table((X + rng.normal(0, noise, X.shape)).astype("float32"), t, XY, ("below", "above"))


def _blobs(samples: int, noise: float, seed: int) -> Table:
    """Three clouds at the corners of a triangle."""
    rng = np.random.default_rng(seed)
    t = rng.permutation(np.arange(samples) % 3)
    angle = 2 * np.pi * t / 3
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1) + rng.normal(0, 0.2 + noise, (samples, 2))
    return Table(X.astype("float32"), t, XY, ("right", "upper left", "lower left"))


def _digits(samples: int, noise: float, seed: int) -> Table:
    found = datasets.load_digits()
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(found))[:samples])
    X = found.X[rows] + rng.normal(0, noise, (len(rows), 64))
    return Table(X.astype("float32"), found.t[rows], tuple(f"pixel {i}" for i in range(64)), found.classes)


def _curve(samples: int, noise: float, seed: int) -> Table:
    """Points on t = sin(3 x) + x / 2."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, samples)
    t = np.sin(3 * x) + x / 2 + rng.normal(0, noise, samples)
    return Table(x[:, None].astype("float32"), t.astype("float32"), ("x",))


def _surface(samples: int, noise: float, seed: int) -> Table:
    """Points on t = sin(3 x) cos(2 y)."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.5, 1.5, (samples, 2))
    t = np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1]) + rng.normal(0, noise, samples)
    return Table(X.astype("float32"), t.astype("float32"), XY)


SETS = {
    "circles": Set("Circles", 2, 2, "classes", _named(datasets.load_circles)),
    "moons": Set("Moons", 2, 2, "classes", _named(datasets.load_moons)),
    "xor": Set("Exclusive or", 2, 2, "classes", _xor),
    "above": Set("Above a curve", 2, 2, "classes", _above),
    "spirals-2": Set("Spirals, two arms", 2, 2, "classes", _named(datasets.load_spirals, arms=2)),
    "spirals-3": Set("Spirals, three arms", 2, 3, "classes", _named(datasets.load_spirals, arms=3)),
    "blobs": Set("Blobs", 2, 3, "classes", _blobs),
    "digits": Set("Handwritten digits", 64, 10, "classes", _digits),
    "surface": Set("Surface", 2, 1, "regression", _surface),
    "curve": Set("Curve", 1, 1, "regression", _curve),
}
"""The drawn data sets, by name."""
