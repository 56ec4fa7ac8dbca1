"""The data of the playground: drawn sets, points drawn by hand, and CSV; split and scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.playground import bounds
from chainrule.playground.bounds import RefusedError, check_list, check_number, check_text, check_whole
from chainrule.playground.pasted import from_csv, from_points
from chainrule.playground.sets import SETS


class Prepared(NamedTuple):
    """The rows as the network gets them, training and test.

    ``mean`` and ``scale`` are those of the inputs; ``base`` is the number of inputs before the features.
    """

    X: Array
    t: Array
    X_test: Array
    t_test: Array
    names: tuple[str, ...]
    classes: tuple[str, ...]
    mean: Array
    scale: Array
    base: int
    left_out: tuple[str, ...] = ()


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
    regression : bool
        Whether the last number of a point is a number to predict in place of a class.
    features : sequence of str
        Names of ``FEATURES``: functions of one or two inputs, after scaling, that the network gets as further inputs.
    csv, columns, target
        The text, the input columns (by default all of numbers but the target), and the target (by default the last).

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
    features: Sequence[str] = ()
    regression: bool = False

    @classmethod
    def read(cls, value: Any) -> Data:
        """Return the data of a state, checked."""
        given = bounds.check_object("data", value, {f.name: f.default for f in fields(cls)})
        name = check_text("data.name", given["name"], 40)
        if name not in (*SETS, "points", "csv"):
            raise RefusedError("data.name", f"data.name: unknown data {name!r}. Known: {', '.join(SETS)}, points, csv.")
        for switch in ("scale", "regression"):
            if not isinstance(given[switch], bool):
                raise RefusedError(f"data.{switch}", f"data.{switch}: expected true or false.")
        points, regression = given["points"], given["regression"]
        return cls(
            name,
            check_whole("data.samples", given["samples"], 4, bounds.SAMPLES),
            check_number("data.noise", given["noise"], 0, 10),
            check_number("data.test", given["test"], 0, 0.95),
            check_whole("data.seed", given["seed"], 0, 2**32 - 1),
            given["scale"],
            None
            if points is None
            else tuple(_point(point, regression) for point in check_list("data.points", points, bounds.SAMPLES)),
            None if given["csv"] is None else check_text("data.csv", given["csv"], bounds.CSV),
            tuple(check_text("data.columns", c, 200) for c in check_list("data.columns", given["columns"], 256)),
            check_text("data.target", given["target"], 200),
            tuple(_feature(name) for name in check_list("data.features", given["features"], len(FEATURES))),
            regression,
        )


def prepare(data: Data) -> Prepared:
    """Return the rows of ``data``, split and scaled; the same arguments give the same rows."""
    if data.name == "points":
        table = from_points(data.points or (), data.regression)
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
    X = expanded(((table.X - mean) / scale).astype("float32"), data.features)
    base, more = table.X.shape[1], len(data.features)
    return Prepared(
        X[train], table.t[train], X[test], table.t[test], (*table.names, *data.features), table.classes,
        np.append(mean, np.zeros(more)), np.append(scale, np.ones(more)), base,
        table.left_out,
    )  # fmt: skip


FEATURES: dict[str, Callable[..., Array]] = {
    "x²": lambda x: x * x,
    "y²": lambda _, y: y * y,
    "xy": lambda x, y: x * y,
    "sin πx": lambda x: np.sin(np.pi * x),
    "sin πy": lambda _, y: np.sin(np.pi * y),
}
"""Functions of the inputs x and y, by name."""


def expanded(X: Array, features: Sequence[str]) -> Array:
    """Return rows of one or two inputs with their features.

    >>> expanded(np.array([[2.0, 3.0]], "float32"), ["xy"])
    array([[2., 3., 6.]], dtype=float32)
    """
    columns = list(X.T)
    if features and (len(columns) > 2 or (len(columns) == 1 and any("y" in name for name in features))):
        raise RefusedError(
            "data.features", f"data.features: {features[-1]} is not a function of the {len(columns)} inputs."
        )
    made = [FEATURES[name](*columns[: 2 if "y" in name else 1]) for name in features]
    return np.stack([*columns, *made], axis=1).astype("float32", copy=False) if made else X


def _feature(value: Any) -> str:
    name = check_text("data.features", value, 20)
    if name not in FEATURES:
        raise RefusedError("data.features", f"data.features: unknown {name!r}. Known: {', '.join(FEATURES)}.")
    return name


def _point(value: Any, regression: bool) -> tuple[float, ...]:
    about = "data.points"
    point = tuple(check_number(about, v, -1e6, 1e6) for v in check_list(about, value, 3))
    if len(point) < 2:
        raise RefusedError(about, f"{about}: expected points of two or three numbers, got {value!r}.")
    if not regression and not (point[-1].is_integer() and 0 <= point[-1] < bounds.CLASSES):
        raise RefusedError(about, f"{about}: expected (x, class) or (x, y, class) with classes from 0, got {value!r}.")
    return point
