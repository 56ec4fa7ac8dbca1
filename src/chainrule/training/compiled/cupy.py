"""Training on a GPU: the steps of ``step.py`` on CuPy's arrays, with kernels where they save passes over memory.

The matrix products are cuBLAS's. A bias with its activation, a dropout mask, the softmax cross-entropy of labels, and
clipping with the optimizer's step are one kernel each (``cuda.py``); everything else is the layers' own array code. The
losses stay on the GPU until the end of a block of batches, so the steps are queued without waiting for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import numpy as np

from chainrule import losses
from chainrule._internal.backend import free_memory, gpu_name, host, on_device, precision
from chainrule._internal.typing import Array
from chainrule.layers import Dense, Dropout, Layer
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.memo import Memo
from chainrule.training.callbacks import Run
from chainrule.training.clipping import ClipNorm, ClipValue
from chainrule.training.compiled import cuda
from chainrule.training.state import Work
from chainrule.training.step import ArraySteps


def steps(work: Work, run: Run) -> ArraySteps:
    """Return the object that runs the steps."""
    return _DeviceSteps(work, run)


class _Part(NamedTuple):
    """One or two layers: y from x, and dx from dy."""

    forward: Callable[[Any], Any]
    backward: Callable[[Any], Any]


@final
class _DeviceSteps(ArraySteps):
    def __init__(self, work: Work, run: Run) -> None:
        super().__init__(work, run)
        network, batches = work.network, work.batches
        self.engine = (
            f"cuda: {gpu_name(network.device)}, {work.precision if network.dtype == np.float32 else 'float64'}"
        )
        self.parts, self.first = _parts(network.layers, self.workspace.memos, self.workspace.first)
        self.measured = np.zeros_like(network.theta, np.float64, shape=(2, len(batches)))  # losses, penalties
        self.step = cuda.step(work.optimizer)
        self.runs = _runs(work)
        fits = batches.in_memory and batches.augment is None and batches.X.nbytes < free_memory(network.device) / 2
        self.rows: list[Any] | None = None
        if fits or on_device(batches.X):
            self.rows = [None if a is None else network.near(a) for a in (batches.X, batches.t, batches.weight)]
        self.order: Any = None

    def do(self, first: int, last: int) -> None:
        if first == 0 or self.order is None:
            self.order = self.work.network.near(self.work.batches.order)
        with precision(self.work.precision):
            super().do(first, last)
        run, measured = self.run, host(self.measured[:, first:last])  # waits for the GPU
        self.losses[first:last], self.penalties[first:last] = measured
        wrong = np.flatnonzero(~np.isfinite(measured[0]))
        run.batch = first + int(wrong[0]) + 1 if wrong.size else last
        run.loss, run.penalty = float(self.losses[run.batch - 1]), float(self.penalties[run.batch - 1])
        if wrong.size:
            raise FloatingPointError(f"the loss is {run.loss}")

    def batch(self, batch: int) -> tuple[Array, float]:
        work, workspace = self.work, self.workspace
        x, t, weight, total = self._take(batch)
        workspace.resize(len(x))
        for part in self.parts:
            x = part.forward(x)
        dy = self._loss(batch, x, t, weight)
        for part in reversed(self.parts[self.first :]):
            dy = part.backward(dy)
        work.network.update_statistics(workspace)
        self.totals[batch] = total
        return workspace.collect(), total

    def _take(self, batch: int) -> tuple[Any, Any, Any, float]:
        """Return the rows of a batch on the GPU, and their number (or the sum of their weights)."""
        network, batches = self.work.network, self.work.batches
        start = batch * batches.batch_size
        stop = min(start + batches.batch_size, batches.rows)
        if self.rows is None:
            x, t, weight = batches.take(batch)
            total = float(stop - start if weight is None else np.add.reduce(weight))
            return network.near(x), network.near(t), None if weight is None else network.near(weight), total
        taken: list[Any] = [None if a is None else a.take(self.order[start:stop], axis=0) for a in self.rows]
        total = float(stop - start)
        if batches.weight is not None:
            total = float(np.add.reduce(batches.weight[batches.order[start:stop]]))
        return taken[0].astype(network.dtype, copy=False), taken[1], taken[2], total

    def _loss(self, batch: int, y: Any, t: Any, weight: Any) -> Any:
        """Record the loss of a batch, and return dL/dy."""
        loss, memo = self.work.network.loss, self.workspace.loss_memo
        if type(loss) is SoftmaxCrossEntropy and t.ndim == 1 and y.shape[1] <= cuda.MOST_CLASSES:
            share = 1 / len(y) if weight is None else weight / np.maximum(np.add.reduce(weight), np.finfo(y.dtype).tiny)
            cuda.softmax_cross_entropy()(y, t, share, loss.label_smoothing, y.shape[1], memo.values, memo.p)
            dy, value = memo.p, np.add.reduce(memo.values * share)
        else:
            values = loss.forward(y, t, memo)
            dy = loss.backward(t, memo)
            value = losses.mean(values, dy, weight, memo)
        self.measured[0, batch] = value
        return dy

    def keep_penalty(self, first: int, last: int, value: Any) -> None:
        self.measured[1, first:last] = value

    def update(self, grad: Array, factor: float) -> None:
        work = self.work
        theta, state, clip = work.network.theta, work.state, work.clip
        if self.step is None or type(clip) not in (type(None), ClipNorm, ClipValue):
            if clip is not None:
                clip.apply(grad)
            work.optimizer.update(theta, grad, state, factor)
            return
        state.t += 1
        bound = clip.limit if isinstance(clip, ClipValue) else math.inf
        scale = cuda.clip_factor(cuda.squared_norm(grad), clip.limit, grad) if isinstance(clip, ClipNorm) else 1.0
        memory = [getattr(state, name) for name in work.optimizer.slots]
        rate = work.optimizer.learning_rate * factor
        for where, multiplier, decay in self.runs:
            arrays = (vector[where] for vector in (theta, *memory))
            eta = rate * multiplier
            self.step(grad[where], eta, 1 - eta * decay, scale, bound, state.t, *arrays)


def _runs(work: Work) -> list[tuple[slice, float, float]]:
    """Return ranges of parameters with the same learning-rate multiplier and weight decay."""
    runs: list[tuple[slice, float, float]] = []
    optimizer = work.optimizer
    for entry in work.network.layout.entries:
        kind = (
            work.layer_rates.get(entry.layer, 1.0),
            optimizer.weight_decay if entry.weight or optimizer.biases else 0.0,
        )
        if runs and runs[-1][1:] == kind:
            runs[-1] = (slice(runs[-1][0].start, entry.where.stop), *kind)
        else:
            runs.append((entry.where, *kind))
    return runs


def _parts(layers: Sequence[Layer], memos: Sequence[Memo], first: int) -> tuple[list[_Part], int]:
    """Return the network as parts, and the first of them that has parameters."""
    parts: list[_Part] = []
    begin, i = 0, 0
    while i < len(layers):
        if i <= first:
            begin = len(parts)
        activation = cuda.activation(layers[i + 1]) if i + 1 < len(layers) else None
        layer = layers[i]
        if type(layer) is Dense and layer.biases is not None and activation is not None:
            parts.append(_dense(activation, layer, layers[i + 1], memos[i], memos[i + 1]))
            i += 2
        else:
            parts.append(_alone(layer, memos[i]))
            i += 1
    return parts, begin if first < len(layers) else len(parts)


def _alone(layer: Layer, memo: Memo) -> _Part:
    activation = cuda.activation(layer)
    if activation is not None:
        return _activation(activation, layer, memo)
    if type(layer) is Dropout:
        return _dropout(layer, memo)
    return _Part(lambda x: layer.forward(x, memo), lambda dy: layer.backward(dy, memo))


def _dense(activation: cuda.Activation, dense: Any, layer: Layer, below: Memo, memo: Memo) -> _Part:
    """Return a Dense layer with the activation after it: z = x W, then y = f(z + b) in one kernel."""
    add, slope = activation.with_bias(layer), activation.backward(layer)

    def forward(x: Any) -> Any:
        below.x = x
        z = np.dot(x, dense.W, out=below.y)
        add(z, dense.b, z, memo.y)
        return memo.y

    def backward(dy: Any) -> Any:
        slope(dy, memo.y if activation.from_y else below.y, memo.y, memo.dx)
        return dense.backward(memo.dx, below)

    return _Part(forward, backward)


def _activation(activation: cuda.Activation, layer: Layer, memo: Memo) -> _Part:
    run, slope = activation.alone(layer), activation.backward(layer)

    def forward(x: Any) -> Any:
        memo.x = x
        run(x, memo.y)
        return memo.y

    def backward(dy: Any) -> Any:
        slope(dy, memo.y if activation.from_y else memo.x, memo.y, memo.dx)
        return memo.dx

    return _Part(forward, backward)


def _dropout(layer: Any, memo: Memo) -> _Part:
    run, keep = cuda.dropout(), 1 - layer.rate

    def forward(x: Any) -> Any:
        run(*memo.rng.arguments(), x, keep, 1 / keep, memo.mask, memo.y)
        return memo.y

    return _Part(forward, lambda dy: layer.backward(dy, memo))
