"""The test bench for one layer: a layer with parameters before it, and a smooth loss after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.typing import Array
from chainrule.gradient_check import samples
from chainrule.gradient_check.same import copied, same
from chainrule.initializers import Fans, Zeros
from chainrule.layers import Layer, Parameter
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.parameters import Shape, locate
from chainrule.workspace import Workspace

MUTABLE = (list, dict, set, bytearray, np.ndarray)
LAYER = 1  # index of the layer in the bench's network


@final
class Inlet(Layer):
    """y = x₀ + x: every value of the batch is a parameter, so that dL/dx is checked as its gradient.

    Integer columns are not changed: y is not differentiable in them, and dx must be 0.
    """

    def __init__(self, rows: int, fixed: Sequence[int]) -> None:
        self.rows, self.fixed = rows, list(fixed)

    def parameters(self) -> dict[str, Parameter]:
        return {"x": Parameter((self.rows, *self.input_shape), Zeros(), Fans(1, 1))}

    def forward(self, x: Array, memo: Memo) -> Array:
        y = x + self.x[: len(x)]  # type: ignore[attr-defined]
        if self.fixed:
            y[:, self.fixed] = x[:, self.fixed]
        return y

    def backward(self, dy: Array, memo: Memo) -> None:
        memo.dx = np.zeros((self.rows, *self.input_shape), dy.dtype)
        memo.dx[: len(dy)] = dy


@final
class Outlet(Layer):
    """Flatten each sample to one row for the loss."""

    def output(self, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)

    def forward(self, x: Array, memo: Memo) -> Array:
        memo.shape = x.shape
        return np.array(x, order="C").reshape(len(x), -1)

    def backward(self, dy: Array, memo: Memo) -> Array:
        return np.array(dy).reshape(memo.shape)


class Bench:
    """One layer between an inlet and half the squared error, with batches for it."""

    def __init__(self, layer: Layer, inputs: int | Shape | None, rows: int, X: Array | None, seed: int) -> None:
        layer = copied(layer)
        shape = _shape(layer, inputs, X)
        self.rows, self.seed, self.given = rows if X is None else len(X), seed, X
        layer.input_shape = shape  # of a copy
        layer.output(shape)
        stack = [Inlet(self.rows, list(layer.integer_columns())), layer, Outlet()]
        self.network = Network(shape, stack, "squared_error", seed=seed, dtype="float64")
        rng = np.random.default_rng(seed)
        for entry, view in self.network.arrays():
            if entry.layer != LAYER:
                continue
            source, last = locate(layer, entry.name)
            known = getattr(source, last, None)
            if isinstance(known, np.ndarray) and known.shape == view.shape:  # from a trained network, for example
                view[...] = known
            else:
                view[...] += 0.1 * rng.normal(size=view.shape)  # zeros and ones hide mistakes
        self.before = copied(self.state())

    @property
    def layer(self) -> Layer:
        return self.network.layers[LAYER]

    @property
    def parameters(self) -> list[str]:
        return [entry.name for entry in self.network.layout.entries if entry.layer == LAYER]

    def parameter(self, name: str) -> Array:
        """Return a parameter of the layer or of a nested layer."""
        return getattr(*locate(self.layer, name))

    def gradient(self, memo: Memo, name: str) -> Any:
        """Return the gradient that backward stored for that parameter."""
        part, last = locate(memo, name)
        return getattr(part, f"d{last}")

    def state(self) -> dict[str, Any]:
        """Return the layer's state besides its parameters: its attributes, and lists and arrays of its classes."""
        ours = {name: value for name, value in vars(self.layer).items() if name not in self.parameters}
        classes = [cls for cls in type(self.layer).__mro__ if issubclass(cls, Layer)]
        shared = {name: value for cls in reversed(classes) for name, value in vars(cls).items()}
        return {name: value for name, value in shared.items() if isinstance(value, MUTABLE)} | ours

    def astype(self, dtype: str) -> Bench:
        """Return the same bench in another dtype."""
        other = object.__new__(Bench)
        vars(other).update(vars(self), network=self.network.astype(dtype))
        return other

    def batch(self, turn: int = 0, rows: int | None = None) -> Array:
        """Return the rows of a batch; each turn has new rows, or the given ones in another order."""
        if self.given is None:
            x = samples.batch(self.layer, self.rows, np.random.default_rng([self.seed, turn]))
        else:
            x = np.roll(self.given, turn, axis=0)
        return x[:rows].astype(self.network.dtype)

    def dy(self, turn: int = 0, rows: int | None = None) -> Array:
        """Return dL/dy for the layer."""
        rng = np.random.default_rng([self.seed, turn, 1])
        return rng.normal(size=(self.rows, *self.layer.output_shape))[:rows].astype(self.network.dtype)

    def memo(self, *, training: bool = True, rng: np.random.Generator | None = None) -> Memo:
        """Return a new memo."""
        return Memo(training=training, rng=rng or np.random.default_rng(self.seed))

    def workspace(self, *, training: bool = True) -> tuple[Workspace, Memo]:
        """Return a workspace, and the layer's memo in it."""
        workspace = self.network.workspace(self.rows, training=training, seed=self.seed)
        return workspace, workspace.memos[LAYER]

    def the_same_in_prediction(self) -> bool:
        """Return whether the y of a batch is the same as in training."""
        x = self.batch()
        first, second = (np.array(self.layer.forward(x, self.memo(training=t))) for t in (False, True))
        return same(first, second)

    def passes(self, x: Array, dy: Array, memo: Memo) -> dict[str, Any]:
        """Run both passes; return copies of y, dx and the gradients, by name."""
        with np.errstate(all="ignore"):  # set here: threads do not inherit it
            y = np.array(self.layer.forward(x, memo))
            results = {"y": y, "dx": self.layer.backward(dy, memo)}
        results |= {f"d{name}": self.gradient(memo, name) for name in self.parameters}
        return {name: None if value is None else np.array(value) for name, value in results.items()}


def _shape(layer: Layer, inputs: int | Shape | None, X: Array | None) -> Shape:
    """Return a sample shape that the layer accepts."""
    if inputs is None and X is None:
        shape = samples.input_shape(layer)
        if shape is None:
            raise ValueError(
                f"check_layer: {layer!r} accepts none of the usual shapes: give the shape of a sample, as inputs=(8,)."
            )
        return shape
    given = inputs if X is None else X.shape[1:]
    shape = given if isinstance(given, tuple) else (check_count("check_layer", "inputs", given),)
    layer.input_shape = shape  # of a copy
    try:
        layer.output(shape)
    except ValueError as error:
        raise ValueError(f"check_layer: {layer!r} does not accept inputs of shape {shape}: {error}.") from error
    return shape
