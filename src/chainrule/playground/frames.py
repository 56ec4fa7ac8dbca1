"""Frames: what the page shows of a network at one step, as numbers in Float32."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array, Float
from chainrule.layers.activation import Activation
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.playground.bounds import SHOWN, RefusedError
from chainrule.playground.data import expanded
from chainrule.playground.state import Plan
from chainrule.training.evaluation import evaluate

SIDE, LINE = 50, 200  # points of a heat map along a side, and of a curve
WIDEST = 64  # units of a layer whose heat maps are drawn
STILL = 0.01  # the derivative of an activation below which a unit learns nothing from a row
POINTS = 500  # of the curve of the loss


def encode(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return a binary message: the length of the header, the header, and the arrays in Float32.

    >>> encode({"kind": "data"}, {"t": np.array([1.0])})[4:].decode("latin-1")[:50]
    '{"kind": "data", "arrays": [{"name": "t", "shape":'
    """
    listed, parts, offset = [], [], 0
    for name, array in arrays.items():
        part = np.ascontiguousarray(array, "<f4")
        listed.append({"name": name, "shape": list(np.shape(array)), "offset": offset})
        parts.append(part.tobytes())
        offset += part.nbytes
    text = json.dumps({**header, "arrays": listed}, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([struct.pack("<I", len(text)), text, *parts])


def finite(value: float) -> float | None:
    """Return a number, or None where JSON has none."""
    return float(value) if math.isfinite(value) else None


class Box(NamedTuple):
    """The plane (or line) of the heat maps: origin + u · axis₀ + v · axis₁, for u and v in two ranges.

    ``columns`` has the inputs along the axes; it is empty for principal components.
    """

    columns: tuple[int, ...]
    names: tuple[str, ...]
    origin: Float[Array, "inputs"]
    axes: Float[Array, "axes inputs"]
    ranges: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, plan: Plan, columns: Sequence[int], rest: Sequence[float] | None = None) -> Box:
        """Return the plane of one or two columns, at the values ``rest`` of the others; by default their means.

        Without columns, it is that of the first two principal components of the training rows.
        """
        X = plan.rows.X[:, : plan.rows.base]
        inputs, mean = X.shape[1], X.mean(axis=0)
        if len(set(columns)) != len(columns) or not all(0 <= c < inputs for c in columns):
            raise RefusedError("look", f"look: expected different columns from 0 to {inputs - 1}, got {[*columns]}.")
        if rest is not None and len(rest) != inputs:
            raise RefusedError("look", f"look: expected a value for each of the {inputs} inputs, got {len(rest)}.")
        if columns:
            names = tuple(plan.rows.names[column] for column in columns)
            axes = np.eye(inputs)[list(columns)]
            origin = np.where(axes.any(axis=0), 0.0, mean if rest is None else rest)
        elif inputs > 2:
            names = ("component 1", "component 2")
            origin, axes = mean.astype(float), np.linalg.svd(X - mean, full_matrices=False)[2][:2].astype(float)
            axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
        else:
            raise RefusedError("look", "look: principal components need more than two inputs: choose columns.")
        places = (X - origin) @ axes.T
        low, high = places.min(axis=0), places.max(axis=0)
        margin = 0.1 * np.maximum(high - low, 1e-3)
        ranges = tuple(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))
        return cls(tuple(columns), names, origin, axes, ranges)

    @property
    def shape(self) -> tuple[int, int]:
        """Return the rows and columns of a heat map."""
        return (SIDE, SIDE) if len(self.axes) == 2 else (1, LINE)

    def points(self) -> Array:
        """Return the inputs of all points, row by row."""
        rows, across = self.shape
        points = self.origin + np.tile(np.linspace(*self.ranges[0], across), rows)[:, None] * self.axes[0]
        if len(self.axes) == 2:
            points += np.repeat(np.linspace(*self.ranges[1], rows), across)[:, None] * self.axes[1]
        return points.astype("float32")

    def places(self, X: Array) -> Array:
        """Return the coordinates of rows on the plane."""
        return (X - self.origin) @ self.axes.T


class Curve:
    """The losses over time, thinned so that there are at most ``POINTS``."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float, float]] = []

    def add(self, step: int, loss: float, val_loss: float) -> None:
        """Add a point, or replace the last one of the same step."""
        if self.points and self.points[-1][0] == step:
            self.points.pop()
        self.points.append((step, loss, val_loss))
        if len(self.points) > POINTS:
            del self.points[1:-1:2]


class Camera:
    """Takes pictures of a network: heat maps, parameters, gradients, optimizer memory, losses."""

    def __init__(self, plan: Plan, network: Network, memory: Memo) -> None:
        rows = plan.rows
        self._network, self._memory, self._slots = network, memory, plan.optimizer.slots
        self.X, self.X_test = rows.X[:SHOWN], rows.X_test[:SHOWN]
        self._rows, self.t, self._weight = network.check(self.X, rows.t[:SHOWN])
        self.t_test = rows.t_test[:SHOWN]
        self._workspace = network.workspace(len(self.X), training=False)
        self._memos: list[Memo] = []
        self._points: Array | None = None
        self._outer = [
            i for i, layer in enumerate(network.layers)
            if len(layer.output_shape) == 1 and layer.output_shape[0] <= WIDEST
            and not (i + 1 < len(network.layers) and isinstance(network.layers[i + 1], Activation))
        ]  # fmt: skip
        self.box: Box | None = None
        self._features = plan.data.features
        self.look(Box.of(plan, range(rows.base)) if rows.base <= 2 else None)

    def look(self, box: Box | None) -> None:
        """Set the plane of the heat maps."""
        self.box = box
        self._points = None if box is None else expanded(box.points(), self._features)
        plane = self._network.workspace(1 if box is None else box.shape[0] * box.shape[1], training=False)
        self._memos = plane.memos

    def measure(self) -> dict[str, float]:
        """Return the loss and the metrics, and those of the test rows with ``val_`` in front."""
        found = evaluate(self._network, self.X, self.t)
        if len(self.X_test):
            found |= {f"val_{k}": v for k, v in evaluate(self._network, self.X_test, self.t_test).items()}
        return found

    def picture(self) -> dict[str, Array]:
        """Return all arrays of a frame but the curve."""
        network = self._network
        arrays = self._maps() if self._points is not None else {}
        _, gradient = network.loss_and_grad(self._rows, self.t, self._workspace)
        squares = np.zeros(len(network.layers))
        for entry in network.layout.entries:
            dW = network.layout.view(gradient, entry)
            arrays[f"{entry.name}/{entry.layer}"] = network.layout.view(network.theta, entry)
            arrays[f"d{entry.name}/{entry.layer}"] = dW
            squares[entry.layer] += np.vdot(dW, dW)
            for slot in self._slots:
                moved = network.layout.view(getattr(self._memory, slot), entry)
                arrays[f"{slot}.{entry.name}/{entry.layer}"] = moved
        arrays["norm"] = np.sqrt(squares)
        return arrays | self._saturation() | self._confusion()

    def _maps(self) -> dict[str, Array]:
        """Return the values of the units over the plane."""
        maps, shape, x = {}, self.box.shape, self._points  # type: ignore[union-attr]
        for i, (layer, memo) in enumerate(zip(self._network.layers, self._memos, strict=True)):
            x = layer.forward(x, memo)  # type: ignore[arg-type]
            if i in self._outer:
                maps[f"unit/{i}"] = np.array(x.T, "float32").reshape(-1, *shape)
        maps["output"] = self._network.loss.inverse_link(x).T.reshape(-1, *shape)  # type: ignore[arg-type]
        return maps

    def _saturation(self) -> dict[str, Array]:
        """Return the share of rows on which the derivative of each unit's activation is almost 0."""
        shares = {}
        for i, (layer, memo) in enumerate(zip(self._network.layers, self._workspace.memos, strict=True)):
            if isinstance(layer, Activation) and len(layer.output_shape) == 1:
                y = np.ones((len(self._rows), *layer.output_shape), self._network.dtype)
                known: Any = next(cls for cls in type(layer).__mro__ if cls.__module__ == Activation.__module__)
                slope = known.backward(layer, y, memo)  # the library's own, also where the page has edited it
                shares[f"saturation/{i}"] = (np.abs(slope) < STILL).mean(axis=0)
        return shares

    def _confusion(self) -> dict[str, Array]:
        """Return the counts of the test rows by true class and predicted class."""
        if self.t_test.dtype.kind != "i" or not len(self.X_test):
            return {}
        p = self._network.predict(self.X_test)
        predicted = p.argmax(axis=1) if p.shape[1] > 1 else (p[:, 0] >= 0.5).astype(int)
        classes = int(max(self.t_test.max(), predicted.max(), p.shape[1] - 1, 1)) + 1
        return {"confusion": np.bincount(self.t_test * classes + predicted, minlength=classes**2).reshape(classes, -1)}
