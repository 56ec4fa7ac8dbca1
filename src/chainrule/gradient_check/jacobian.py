"""The full Jacobian of one layer on a small batch, by central differences, for comparison with backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.objective import differs
from chainrule.layers import Layer
from chainrule.memo import Memo
from chainrule.parameters import locate

STEP = 1e-6
ROWS = 4  # rows of the small batch
MOST = 600  # the most entries of x or of a parameter, at two passes each
CLOSE = 1e-5  # of the largest value


def close(a: Array, b: Array) -> bool:
    """Return whether two arrays agree to the accuracy of central differences."""
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=CLOSE * max(float(np.abs(b).max()), 1e-6)))


class Probe:
    """A layer with its parameters, a few rows, and dy; ``fresh`` returns memos with the same random draws."""

    def __init__(self, layer: Layer, x: Array, dy: Array, fresh: Callable[[], Memo]) -> None:
        self.layer, self.x, self.dy, self.fresh = layer, x[:ROWS].copy(), dy[:ROWS].copy(), fresh
        self.memo = fresh()
        self.y = np.array(layer.forward(self.x.copy(), self.memo))
        drawn = self._draws()
        self.dx = np.array(layer.backward(self.dy.copy(), self.memo))
        self.backward_draws = drawn != self._draws()
        self.parameters = list(layer.parameters())

    def _draws(self) -> str:
        """Return the states of the memo's and NumPy's global random generators."""
        position: Any = np.random.get_state()  # noqa: NPY002
        return f"{self.memo.rng and self.memo.rng.bit_generator.state}{position[2]}"

    def forward(self, x: Array) -> Array:
        """Return y, as a copy."""
        return np.array(self.layer.forward(x.copy(), self.fresh()))

    def parameter(self, name: str) -> Array:
        """Return a parameter, which may be modified."""
        return getattr(*locate(self.layer, name))

    def gradient(self, name: str) -> Array:
        """Return the gradient that backward stored for a parameter."""
        part, last = locate(self.memo, name)
        return np.array(getattr(part, f"d{last}"))

    def slopes(self, name: str) -> Array | None:
        """Return ∂y/∂x, or ∂y/∂W, of shape (*x, *y); None if it has too many entries."""
        at = self.x if name == "x" else self.parameter(name)
        if at.size > MOST:
            return None
        out = np.empty((*at.shape, *self.y.shape))
        for i in np.ndindex(at.shape):
            kept = at[i]
            at[i] = kept + STEP
            above = self.forward(self.x)
            at[i] = kept - STEP
            out[i] = (above - self.forward(self.x)) / (2 * STEP)
            at[i] = kept
        return out

    def is_dx(self, dx: Array) -> bool:
        """Return whether dx is the derivative, along three random directions."""
        fixed = self.layer.integer_columns()
        rng = np.random.default_rng(0)
        return not differs(lambda x: float(np.vdot(self.dy, self.forward(x))), self.x, dx, rng, fixed)

    def with_other_parameters(self) -> Iterator[tuple[str, str]]:
        """Transpose or flip one parameter at a time; yield its name and a description of the change."""
        for name in self.parameters:
            w = self.parameter(name)
            kept = w.copy()
            for what, changed in variants(kept):
                w[...] = changed
                yield name, what
                w[...] = kept


def variants(w: Array) -> Iterator[tuple[str, Array]]:
    """Yield common confusions of an array with a description: its transpose, or a flipped kernel."""
    if w.ndim == 2 and w.shape[0] == w.shape[1]:
        yield "transpose", w.T
    if w.ndim in {1, 3, 4}:
        n = w.ndim
        places: tuple[tuple[int, ...], ...] = ((0,),) if n == 1 else ((0,), (2,))
        if n == 4:
            places = ((0, 1), (2, 3), (0,), (1,), (2,), (3,))
        for axes in places:
            if not np.allclose(np.flip(w, axes), w):
                yield (
                    f"flip along {'axes' if len(axes) > 1 else 'axis'} {' and '.join(map(str, axes))}",
                    np.flip(w, axes),
                )
    if w.ndim == 2:  # a kernel with one channel
        yield "flip along axes 0 and 1", w[::-1, ::-1]
