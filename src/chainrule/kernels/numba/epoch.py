"""The dense epoch: every step of a block of batches in one compiled call.

Gather, forward, loss, backward, penalties, clipping, update, projection, for any stack of Dense, activations and
dropout: what :class:`chainrule.kernels.reference.Steps` does by the layers' own code.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from chainrule.kernels.numba import activations, losses, updates
from chainrule.kernels.numba.compiling import compiled, kept
from chainrule.kernels.numba.plan import (
    CODE,
    DENSE,
    DRAWS,
    DROPOUT,
    INPUTS,
    KIND,
    OUTPUTS,
    SOFTMAX,
    B,
    Plan,
    W,
    X,
    Y,
)
from chainrule.kernels.numba.team import FIRST, LAST, ROW, STEP, barrier, next_task
from chainrule.kernels.numba.views import matrix, part


class Data(NamedTuple):
    """The rows: ready for the network, or X in the one of three arrays that has its dtype; the others are empty."""

    ready: Any  # (rows, inputs) of the network's dtype: all of X, or a block of batches in order
    x32: Any  # the memory of X, one after the other
    x64: Any
    x8: Any
    row_stride: int  # how many numbers further in this memory the next row is,
    column_stride: int  # and the next column
    labels: Any
    targets: Any
    weights: Any
    order: Any


class Memory(NamedTuple):
    """What a step reads and writes. What begins with "parts" has a row for each part of the batch."""

    theta: Any
    grad: Any  # (parts, parameters)
    s1: Any  # the optimizer's slots
    s2: Any
    x: Any  # (parts, rows of a part · inputs)
    y: Any  # (parts, rows · all widths)
    dy: Any  # (parts, 2 · rows · largest width)
    scale: Any  # (parts, rows)
    norms: Any  # (largest width,)
    sums: Any  # (parts, 3): of a step, the part's loss, squared norm of the gradient, and penalties
    losses: Any  # (batches,) of this epoch, written
    penalties: Any
    totals: Any
    rates: Any  # (batches,) read


@compiled
def gather(source: Any, row_stride: int, column_stride: int, rows: Any, x: Any) -> None:
    """Copy the rows of source, converted, into x (n, inputs)."""
    columns = x.shape[1]
    for i in range(len(rows)):
        if column_stride == 1:
            row = part(source, rows[i] * row_stride, columns)
            for j in range(columns):
                x[i, j] = row[j]
        else:
            start = rows[i] * row_stride
            for j in range(columns):
                x[i, j] = source[start + j * column_stride]


@compiled
def _forward(layers: Any, numbers: Any, theta: Any, x: Any, ys: Any, u: Any, batch: int, row: int) -> None:
    """Leave every layer's y in ys; u is what dropout drew for the ``batch`` rows, of which x begins at ``row``."""
    T = theta.dtype.type
    n = len(x)
    for i in range(len(layers)):
        kind, inputs, outputs = layers[i, KIND], layers[i, INPUTS], layers[i, OUTPUTS]
        v = x if layers[i, X] < 0 else matrix(ys, n * layers[i, X], n, inputs)
        flat = part(ys, n * layers[i, Y], n * outputs)
        if kind == DENSE:
            y = matrix(flat, 0, n, outputs)
            np.dot(v, matrix(theta, layers[i, W], inputs, outputs), y)
            if layers[i, B] >= 0:
                bias = part(theta, layers[i, B], outputs)
                for r in range(n):
                    for k in range(outputs):
                        y[r, k] += bias[k]
            continue
        z = part(v, 0, n * inputs)
        if kind == DROPOUT:
            keep, grow = T(numbers[i, 0]), T(1 / numbers[i, 0])
            draws = part(u, batch * layers[i, DRAWS] + row * outputs, n * outputs)
            for k in range(n * outputs):
                flat[k] = z[k] * (grow if draws[k] < keep else T(0))
            continue
        if layers[i, X] != layers[i, Y]:
            for k in range(n * outputs):
                flat[k] = z[k]
        if kind == SOFTMAX:
            _softmax(matrix(flat, 0, n, outputs))
        else:
            activations.forward(layers[i, CODE], numbers[i, 0], numbers[i, 1], flat)


@compiled
def _backward(
    layers: Any, numbers: Any, first: int, theta: Any, grad: Any, x: Any, ys: Any, dys: Any, u: Any, batch: int,
    row: int,
) -> None:  # fmt: skip
    """From dL/dy of the last layer in dys[0], leave the gradient of all parameters in grad."""
    T = theta.dtype.type
    n = len(x)
    side = 0
    for i in range(len(layers) - 1, first - 1, -1):
        kind, inputs, outputs = layers[i, KIND], layers[i, INPUTS], layers[i, OUTPUTS]
        flat = part(dys, side, n * outputs)
        v = x if layers[i, X] < 0 else matrix(ys, n * layers[i, X], n, inputs)
        if kind == DENSE:
            dy = matrix(flat, 0, n, outputs)
            np.dot(v.T, dy, matrix(grad, layers[i, W], inputs, outputs))  # dW = xᵀ dy
            if layers[i, B] >= 0:
                d_bias = part(grad, layers[i, B], outputs)
                for k in range(outputs):
                    d_bias[k] = T(0)
                for r in range(n):
                    for k in range(outputs):
                        d_bias[k] += dy[r, k]
            if i > first:
                side = len(dys) // 2 - side
                np.dot(dy, matrix(theta, layers[i, W], inputs, outputs).T, matrix(dys, side, n, inputs))
            continue
        y = part(ys, n * layers[i, Y], n * outputs)
        if kind == DROPOUT:
            keep, grow = T(numbers[i, 0]), T(1 / numbers[i, 0])
            draws = part(u, batch * layers[i, DRAWS] + row * outputs, n * outputs)
            for k in range(n * outputs):
                flat[k] *= grow if draws[k] < keep else T(0)
        elif kind == SOFTMAX:
            _softmax_gradient(matrix(y, 0, n, outputs), matrix(flat, 0, n, outputs))
        else:
            activations.backward(layers[i, CODE], numbers[i, 0], numbers[i, 1], part(v, 0, n * inputs), y, flat)


@compiled
def _softmax(y: Any) -> None:
    """Put the softmax of every row into y."""
    n, classes = y.shape
    for i in range(n):
        largest = y[i, 0]
        for k in range(1, classes):
            largest = max(largest, y[i, k])
        for k in range(classes):
            y[i, k] -= largest
    activations.exponential(part(y, 0, n * classes))
    for i in range(n):
        total = y[i, 0]
        for k in range(1, classes):
            total += y[i, k]
        for k in range(classes):
            y[i, k] /= total


@compiled
def _softmax_gradient(y: Any, dy: Any) -> None:
    """Put dx = y (dy − Σ dy y) into dy."""
    n, classes = y.shape
    for i in range(n):
        total = dy[i, 0] * y[i, 0]
        for k in range(1, classes):
            total += dy[i, k] * y[i, k]
        for k in range(classes):
            dy[i, k] = y[i, k] * (dy[i, k] - total)


@kept
def dense_epoch(version: int) -> Any:
    """Return the function below; see ``kept``."""

    def dense_epoch(
        plan: Plan, data: Data, memory: Memory, draws: Any, shared: Any, rank: int, threads: int, tasks: int,
        passed: int,
    ) -> tuple[int, int]:  # fmt: skip
        """Do a block of batches; return how many of them have a finite loss, and the barriers passed.

        What is to be done is written in ``shared``: the batches from FIRST to LAST of an epoch, the first of them step
        number STEP, and its first row in ``data.ready``. Training ends before the update of the first batch whose loss
        is not finite. A batch has the same parts however many threads share them. Thread 0 returns after one task; the
        others go on until there is nothing to do for long.
        """
        layers, numbers, batch_size = plan.layers, plan.numbers, plan.batch_size
        theta, grad, sums, order = memory.theta, memory.grad, memory.sums, data.order
        parts = len(grad)
        inputs, outputs, last_y = layers[0, INPUTS], layers[-1, OUTPUTS], layers[-1, Y]
        done = 0
        while rank == 0 or next_task(shared, rank, tasks):
            tasks += 1
            done, drawn = 0, 0
            first, last, t = shared[FIRST], shared[LAST], shared[STEP]
            for batch in range(first, last):
                start = batch * batch_size
                n = min(batch_size, len(order) - start)
                u = part(draws, drawn, n * plan.draws)
                drawn += n * plan.draws
                total = losses.total_weight(data.weights, part(order, start, n))
                for p in range(rank, parts, threads):
                    row = n * p // parts
                    rows = n * (p + 1) // parts - row
                    index = part(order, start + row, rows)
                    if len(data.ready):
                        begin = shared[ROW] + start - first * batch_size + row
                        x = matrix(data.ready, begin * inputs, rows, inputs)
                    else:
                        x = matrix(memory.x[p], 0, rows, inputs)
                        if data.x32.size:
                            gather(data.x32, data.row_stride, data.column_stride, index, x)
                        elif data.x64.size:
                            gather(data.x64, data.row_stride, data.column_stride, index, x)
                        else:
                            gather(data.x8, data.row_stride, data.column_stride, index, x)
                    _forward(layers, numbers, theta, x, memory.y[p], u, n, row)
                    y, dy = matrix(memory.y[p], rows * last_y, rows, outputs), matrix(memory.dy[p], 0, rows, outputs)
                    sums[p, 0] = losses.loss_and_gradient(
                        plan.loss, plan.loss_number, y, index, data.labels, data.targets, data.weights, n, total,
                        memory.scale[p], dy,
                    )  # fmt: skip
                    _backward(layers, numbers, plan.first, theta, grad[p], x, memory.y[p], memory.dy[p], u, n, row)
                passed = barrier(shared, threads, passed)
                loss = 0.0
                for p in range(parts):
                    loss += sums[p, 0]
                if rank == 0:
                    memory.losses[batch], memory.totals[batch] = loss, total
                if passed < 0 or not math.isfinite(loss):
                    break
                divisor = total if total > 0 else 1.0
                for p in range(rank, parts, threads):
                    sums[p, 2] = updates.prepare(theta, grad, p, plan.runs, plan.strengths, divisor, plan.clip, sums)
                if plan.clip == updates.CLIP_NORM:
                    passed = barrier(shared, threads, passed)
                for p in range(rank, parts, threads):
                    updates.update(
                        plan.optimizer, plan.optimizer_numbers, theta, grad, p, memory.s1, memory.s2, plan.runs,
                        plan.strengths, divisor, plan.clip, plan.limit, sums, memory.rates[batch], t + batch - first,
                    )  # fmt: skip
                passed = barrier(shared, threads, passed)
                if rank == 0:
                    memory.penalties[batch] = 0.0
                    for p in range(parts):
                        memory.penalties[batch] += sums[p, 2]
                if len(plan.columns):
                    if rank == 0:
                        updates.project(theta, plan.columns, plan.limits, memory.norms)
                    passed = barrier(shared, threads, passed)
                done += 1
            if rank == 0 or passed < 0:
                break
        return (done if version else 0), passed

    return dense_epoch
