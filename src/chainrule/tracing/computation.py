"""A forward and a backward pass through the network that record all intermediate values."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.layers import Layer, Residual
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.parameters import Entry


class Watched(Layer):
    """A layer that records its inputs and outputs; ``instead``, if set, replaces its input.

    ``label`` is its index: 2, or "2.0" for the first layer inside layer 2. ``inside`` has the layers inside it.
    """

    def __init__(self, layer: Layer, memo: Memo, label: int | str) -> None:
        self.layer, self.memo, self.label = layer, memo, label
        self.input_shape, self.output_shape = layer.input_shape, layer.output_shape
        self.instead: Array | None = None
        self.inside: list[Watched] = []
        self.names: dict[str, Entry] = {}
        """Its own parameters by name, with their positions in theta."""
        if isinstance(layer, Residual):
            self.inside = watch(layer.inner, memo.inner, f"{label}.")
            layer.layers = tuple(self.inside)

    def forward(self, x: Any, memo: Memo) -> Any:
        self.x: Any = x if self.instead is None else self.instead
        self.y: Any = self.layer.forward(self.x, memo)
        return self.y

    def backward(self, dy: Any, memo: Memo) -> Any:
        self.dy: Any = dy
        self.dx: Any = self.layer.backward(dy, memo)
        return self.dx

    def __repr__(self) -> str:
        return repr(self.layer)


def watch(layers: Sequence[Layer], memos: Sequence[Memo], before: str = "") -> list[Watched]:
    """Return watched layers, including those inside a Residual."""
    return [
        Watched(layer, memo, f"{before}{i}" if before else i)
        for i, (layer, memo) in enumerate(zip(layers, memos, strict=True))
    ]


def flat(layers: Sequence[Watched]) -> Iterator[Watched]:
    """Yield all watched layers in the order in which they finish: inner layers before the enclosing one."""
    for layer in layers:
        yield from flat(layer.inside)
        yield layer


class WatchedLoss(Loss):
    """A loss that records its inputs and outputs; its memo is copied, because ``backward`` may overwrite it."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.seen = Memo()

    def forward(self, y: Any, t: Any, memo: Memo) -> Any:
        y = y if self.seen.instead is None else self.seen.instead
        values = self.loss.forward(y, t, memo)
        for name, value in vars(memo).items():
            setattr(self.seen, name, value.copy() if isinstance(value, np.ndarray) else value)
        self.seen.y, self.seen.values = y, values
        return values

    def backward(self, t: Any, memo: Memo) -> Any:
        self.seen.dy = self.loss.backward(t, memo)  # ∂ℓ/∂y now, and dL/dy after the network scales it in place
        return self.seen.dy


class Draws(np.random.Generator):
    """A random generator for dropout that draws the same values for a network and its float64 copy."""

    def __init__(self, seed: int, dtype: np.dtype[Any]) -> None:
        super().__init__(np.random.PCG64(seed))
        self.dtype = dtype
        self.start = self.bit_generator.state

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        drawn = super().random(size, self.dtype)
        if out is None:
            return np.asarray(drawn, dtype)
        out[...] = drawn
        return out


class Computation:
    """A network and a batch; ``run`` makes one pass with ``Network.loss_and_grad``."""

    def __init__(
        self, network: Network, x: Any, t: Array, weight: Array | None, *, training: bool, draws: Draws
    ) -> None:
        self.plain, self.network = network, copy.copy(network)
        self.x, self.t, self.weight, self.draws = x, t, weight, draws
        self.workspace = self.network.workspace(len(x), training=training)
        self.workspace.first = 0  # dL/dx is needed down to the input
        self.layers = watch(self.network.layers, self.workspace.memos)
        self.all = list(flat(self.layers))
        for layer in self.all:
            layer.memo.rng, layer.memo.dx_wanted = draws, True
        for entry in self.network.layout.entries:
            owner = max(
                (w for w in self.all if entry.key.startswith(f"layers.{w.label}.")), key=lambda w: len(str(w.label))
            )
            owner.names[entry.key.removeprefix(f"layers.{owner.label}.")] = entry
        self.loss = WatchedLoss(self.network.loss)
        self.network.layers, self.network.loss = tuple(self.layers), self.loss

    def run(self) -> float:
        """Return L; the layers, the workspace and the loss hold all other values."""
        self.draws.bit_generator.state = self.draws.start
        return self.network.loss_and_grad(self.x, self.t, self.workspace, self.weight)[0]

    def parameter(self, entry: Entry) -> Array:
        """Return a parameter as a view of theta."""
        return self.network.layout.view(self.network.theta, entry)

    def gradient(self, entry: Entry) -> Array:
        """Return dL/dW for a parameter W."""
        return self.network.layout.view(self.workspace.grad, entry)

    def step(self, optimizer: Optimizer, state: Memo) -> Computation:
        """Return the computation after one optimizer step, on the same batch with the same random draws."""
        after = copy.copy(self.plain)
        state.weights = after.weights
        optimizer.update(after.theta, self.workspace.grad, state)
        training = self.workspace.loss_memo.training
        if training:
            after.update_statistics(self.workspace)
        return Computation(after, self.x, self.t, self.weight, training=training, draws=self.draws)

    def astype(self, dtype: str) -> Computation:
        """Return the same computation in another dtype, with the same random draws."""
        network = self.plain.astype(dtype)
        x = self.x.astype(dtype)
        t = self.t.astype(dtype) if self.t.dtype.kind == "f" else self.t
        weight = None if self.weight is None else self.weight.astype(dtype)
        training = self.workspace.loss_memo.training
        return Computation(network, x, t, weight, training=training, draws=self.draws)
