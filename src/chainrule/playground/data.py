"""The data of the playground: drawn sets, points drawn by hand, and CSV; split and scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from chainrule import datasets
from chainrule._internal.typing import Array
from chainrule.playground import bounds
from chainrule.playground.bounds import RefusedError, check_list, check_number, check_text, check_whole
from chainrule.playground.pasted import Table, from_csv, from_points

__all__ = ["SETS", "Data", "Prepared", "prepare"]


class Prepared(NamedTuple):
    """The rows as the network gets them, training and test; ``mean`` and ``scale`` are those of the inputs."""

    X: Array
    t: Array
    X_test: Array
    t_test: Array
    names: tuple[str, ...]
    classes: tuple[str, ...]
    mean: Array
    scale: Array


@dataclass(frozen=True)
class Data:
    """Which rows, and how they are prepared: the part ``data`` of a state.

    Parameters
    ----------
    name : str
        A name of ``SETS``, or "points" or "csv".
    samples, noise, seed
        Of a drawn set; ``seed`` also draws the test rows.
    test : float
        The share of rows held out.
    scale : bool
        Whether to standardize the inputs with the mean and deviation of the training rows.
    points : sequence of (x, class) or (x, y, class), optional
    csv, columns, target
        The text, the input columns (all but the target by default), and the target column (the last by default).

    Examples
    --------
    >>> data = prepare(Data("xor", samples=100, test=0.2))
    >>> data.X.shape, data.t_test.shape
    ((80, 2), (20,))
    """

    name: str = "circles"
    samples: int = 500
    noise: float = 0.1
    test: float = 0.5
    seed: int = 0
    scale: bool = True
    points: Sequence[Sequence[float]] | None = None
    csv: str | None = None
    columns: Sequence[str] = ()
    target: str = ""

    @classmethod
    def read(cls, value: Any) -> Data:
        """Return the data of a state, checked."""
        given = bounds.check_object("data", value, {f.name: f.default for f in fields(cls)})
        name = check_text("data.name", given["name"], 40)
        if name not in (*SETS, "points", "csv"):
            raise RefusedError("data.name", f"data.name: unknown data {name!r}. Known: {', '.join(SETS)}, points, csv.")
        if not isinstance(given["scale"], bool):
            raise RefusedError("data.scale", "data.scale: expected true or false.")
        points = given["points"]
        return cls(
            name,
            check_whole("data.samples", given["samples"], 4, bounds.SAMPLES),
            check_number("data.noise", given["noise"], 0, 10),
            check_number("data.test", given["test"], 0, 0.95),
            check_whole("data.seed", given["seed"], 0, 2**32 - 1),
            given["scale"],
            None if points is None else tuple(map(_point, check_list("data.points", points, bounds.SAMPLES))),
            None if given["csv"] is None else check_text("data.csv", given["csv"], bounds.CSV),
            tuple(check_text("data.columns", c, 200) for c in check_list("data.columns", given["columns"], 256)),
            check_text("data.target", given["target"], 200),
        )


def prepare(data: Data) -> Prepared:
    """Return the rows of ``data``, split and scaled; the same arguments give the same rows."""
    if data.name == "points":
        table = from_points(data.points or ())
    elif data.name == "csv":
        table = from_csv(data.csv or "", data.columns, data.target)
    else:
        table = SETS[data.name].make(data.samples, data.noise, data.seed)
    rows = len(table.X)
    held = round(data.test * rows)
    if rows - held < 2:
        raise RefusedError("data.test", f"data: {rows} rows with {held} held out leave fewer than 2 to train on.")
    order = np.random.default_rng(data.seed).permutation(rows)
    test, train = np.sort(order[:held]), np.sort(order[held:])
    mean, scale = np.zeros(table.X.shape[1]), np.ones(table.X.shape[1])
    if data.scale:
        mean, scale = table.X[train].mean(axis=0, dtype=float), table.X[train].std(axis=0, dtype=float)
        scale[scale < 1e-12] = 1.0  # a constant column
    X = ((table.X - mean) / scale).astype("float32")
    return Prepared(X[train], table.t[train], X[test], table.t[test], table.names, table.classes, mean, scale)


def _point(value: Any) -> tuple[float, ...]:
    about = "data.points"
    point = tuple(check_number(about, v, -1e6, 1e6) for v in check_list(about, value, 3))
    if len(point) < 2 or not (point[-1].is_integer() and 0 <= point[-1] < bounds.CLASSES):
        raise RefusedError(about, f"{about}: expected (x, class) or (x, y, class) with classes from 0, got {value!r}.")
    return point


# ------------------------------------------------------------------ drawn sets

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
