"""The workspace: all memory that a training step writes to, allocated once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule._internal.backend import device_of
from chainrule._internal.checks import check_count
from chainrule._internal.philox import generator
from chainrule._internal.typing import Array
from chainrule.layers.base import Layer
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.parameters import Layout, locate


class Workspace:
    """The memory of a training step: one memo per layer, one for the loss, and one flat gradient.

    Create it with :meth:`chainrule.Network.workspace`. It is sized for the largest batch; shorter batches use the first
    rows of each buffer. After the first step, no step allocates an array that grows with the network.

    Attributes
    ----------
    memos : list of Memo
        One per layer, with ``memo.y``, ``memo.dx``, the views ``memo.dW`` and ``memo.db`` of ``grad``, and the values
        that the layer stored for the last batch.
    loss_memo : Memo
        The same for the loss.
    grad : (parameters,) array
        dL/dtheta, in the layout of ``network.theta``.
    rng : numpy.random.Generator
        The random generator used by dropout; on a GPU, one with the same methods.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(inputs=3, layers=[cr.layers.Dense(2)], loss=cr.losses.SquaredError(), seed=0)
    >>> workspace = network.workspace(batch=4)
    >>> workspace.grad.shape, workspace.memos[0].y.shape
    ((8,), (4, 2))
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Loss,
        layout: Layout,
        batch: int,
        theta: Array,
        *,
        training: bool = True,
        seed: int | np.random.SeedSequence | None = None,
    ) -> None:
        batch = check_count("Workspace", "batch", batch)
        self.rows = batch
        self.capacity = batch
        self.rng = generator(seed, device_of(theta))
        self.grad = np.zeros_like(theta)
        self.memos = [Memo(training=training, rng=self.rng) for _ in layers]
        self.loss_memo = Memo(training=training)
        self._planned: list[tuple[Memo, str, Array]] = []
        self.first = self._plan_layers(layers, self.memos, dx_wanted=False)
        self.gradients = []
        for entry in layout.entries:
            memo, name = locate(self.memos[entry.layer], entry.name)
            view = layout.view(self.grad, entry)
            setattr(memo, "d" + name, view)
            self.gradients.append((memo, "d" + name, view))
        outputs = layers[-1].output_shape[-1]
        self._plan(self.loss_memo, {**loss.buffers(outputs), "scale": ()})

    def _plan_layers(self, layers: Sequence[Layer], memos: Sequence[Memo], *, dx_wanted: bool) -> int:
        """Prepare the memos of layers, including nested ones; return the first layer that has parameters."""
        first = next((i for i, layer in enumerate(layers) if layer.parameters()), len(layers))
        for i, (layer, memo) in enumerate(zip(layers, memos, strict=True)):
            memo.dx_wanted = dx_wanted or i > first
            shapes = {"y": layer.output_shape, **layer.buffers()}
            if memo.dx_wanted:
                shapes["dx"] = layer.input_shape
            self._plan(memo, shapes)
            if layer.inner:
                memo.inner = [Memo(training=memo.training, rng=self.rng) for _ in layer.inner]
                self._plan_layers(layer.inner, memo.inner, dx_wanted=memo.dx_wanted)
        return first

    def _plan(self, memo: Memo, shapes: dict[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            buffer = np.zeros((self.capacity, *shape), self.grad.dtype, like=self.grad)
            setattr(memo, name, buffer)
            self._planned.append((memo, name, buffer))

    def collect(self) -> Array:
        """Return ``grad``, with the gradients of layers that made new arrays instead of filling its views."""
        for memo, name, view in self.gradients:
            if getattr(memo, name) is not view:
                view[...] = getattr(memo, name)
                setattr(memo, name, view)
        return self.grad

    def resize(self, rows: int) -> None:
        """Make every memo use the first ``rows`` rows of its buffers."""
        if rows == self.rows:
            return
        if rows > self.capacity:
            raise ValueError(f"Workspace: planned for batches of at most {self.capacity} rows, got {rows}.")
        self.rows = rows
        for memo, name, buffer in self._planned:
            setattr(memo, name, buffer[:rows])
