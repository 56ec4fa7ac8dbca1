"""The dense epoch: every step of a block of batches in one compiled call.

Gather, forward, loss, backward, penalties, clipping, update, projection, for any stack of Dense, activations and
dropout: what :func:`chainrule.training.step.steps` does by the layers' own code.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from chainrule.training.compiled import activations, losses, updates
from chainrule.training.compiled.columns import CODE, DENSE, DRAWS, DROPOUT, INPUTS, KIND, OUTPUTS, SOFTMAX, B, W, X, Y
from chainrule.training.compiled.compiling import announce, compiled, kept
from chainrule.training.compiled.plan import Plan
from chainrule.training.compiled.products import add_product, product_dw, product_dx
from chainrule.training.compiled.team import FIRST, LAST, ROW, STEP, barrier, next_task
from chainrule.training.compiled.views import matrix, part


class Data(NamedTuple):
    """The rows: ready for the network, or X in the one of three arrays that has its dtype; the others are empty."""

    ready: Any  # (rows · inputs,) of the network's dtype: all of X, or a block of batches in order
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
    """What a step reads and writes; layers one after the other, each with all rows of the batch."""

    gemm: int  # where BLAS's product is
    theta: Any
    grad: Any  # (1 or parts, parameters)
    s1: Any  # the optimizer's slots
    s2: Any
    x: Any  # (batch_size · inputs,)
    y: Any  # (batch_size · all widths,)
    dy: Any  # the same: the derivative of what stands there in y
    scale: Any  # (batch_size,)
    norms: Any  # (largest width,)
    sums: Any  # (parts, 3): of a step, each part's loss, squared norm of the gradient, and penalties
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
def _forward(
    layers: Any, numbers: Any, gemm: int, theta: Any, xs: Any, at_x: int, ys: Any, u: Any, n: int, row: int, rows: int
) -> None:
    """Leave these rows of every layer's y in ys; u is what dropout drew for all n rows of the batch."""
    T = theta.dtype.type
    for i in range(len(layers)):
        kind, inputs, outputs = layers[i, KIND], layers[i, INPUTS], layers[i, OUTPUTS]
        at_y, size = n * layers[i, Y] + row * outputs, rows * outputs
        source, at = (xs, at_x) if layers[i, X] < 0 else (ys, n * layers[i, X] + row * inputs)
        y = part(ys, at_y, size)
        if kind == DENSE:
            if layers[i, B] >= 0:
                bias, k = part(theta, layers[i, B], outputs), 0
                for _ in range(rows):
                    line = part(y, k, outputs)
                    for j in range(outputs):
                        line[j] = bias[j]
                    k += outputs
            add_product(gemm, source, at, theta, layers[i, W], ys, at_y, rows, inputs, outputs, T(layers[i, B] >= 0))
            continue
        z = part(source, at, size)
        if kind == DROPOUT:
            keep, grow = T(numbers[i, 0]), T(1 / numbers[i, 0])
            draws = part(u, n * layers[i, DRAWS] + row * outputs, size)
            for k in range(size):
                y[k] = z[k] * (grow if draws[k] < keep else T(0))
            continue
        if layers[i, X] != layers[i, Y]:
            for k in range(size):
                y[k] = z[k]
        if kind == SOFTMAX:
            _softmax(matrix(y, 0, rows, outputs))
        else:
            activations.forward(layers[i, CODE], numbers[i, 0], numbers[i, 1], y)


@compiled
def _backward(
    layers: Any, numbers: Any, first: int, gemm: int, theta: Any, ys: Any, dys: Any, u: Any, n: int, row: int, rows: int
) -> None:
    """From dL/dy of the last layer in dys, leave these rows of that of all others there, back to the first weights."""
    T = theta.dtype.type
    for i in range(len(layers) - 1, first, -1):
        kind, inputs, outputs = layers[i, KIND], layers[i, INPUTS], layers[i, OUTPUTS]
        at_x, at_y, size = n * layers[i, X] + row * inputs, n * layers[i, Y] + row * outputs, rows * outputs
        if kind == DENSE:
            product_dx(gemm, dys, at_y, theta, layers[i, W], dys, at_x, rows, inputs, outputs)
            continue
        dy, dx = part(dys, at_y, size), part(dys, at_x, size)
        if at_x != at_y:
            for k in range(size):
                dx[k] = dy[k]
        if kind == DROPOUT:
            keep, grow = T(numbers[i, 0]), T(1 / numbers[i, 0])
            draws = part(u, n * layers[i, DRAWS] + row * outputs, size)
            for k in range(size):
                dx[k] *= grow if draws[k] < keep else T(0)
        elif kind == SOFTMAX:
            _softmax_gradient(matrix(ys, at_y, rows, outputs), matrix(dys, at_x, rows, outputs))
        else:
            z, y = part(ys, at_x, size), part(ys, at_y, size)
            activations.backward(layers[i, CODE], numbers[i, 0], numbers[i, 1], z, y, dx)


@compiled
def _parameter_gradient(
    layers: Any, i: int, gemm: int, grad: Any, xs: Any, at_x: int, ys: Any, dys: Any, n: int, row: int, rows: int,
    first: int, last: int,
) -> None:  # fmt: skip
    """Leave in grad what these rows of the batch give to dW of layer i, in its rows from first to last.

    After the last row of all, to db too.
    """
    inputs, outputs = layers[i, INPUTS], layers[i, OUTPUTS]
    at_y = n * layers[i, Y] + row * outputs
    source, at = (xs, at_x) if layers[i, X] < 0 else (ys, n * layers[i, X])
    product_dw(gemm, source, at + row * inputs, dys, at_y, grad, layers[i, W], rows, inputs, outputs, first, last)
    if last == inputs and layers[i, B] >= 0:
        db = part(grad, layers[i, B], outputs)
        for k in range(outputs):
            db[k] = grad.dtype.type(0)
        for r in range(rows):
            dy = part(dys, at_y + r * outputs, outputs)
            for k in range(outputs):
                db[k] += dy[k]


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
        layers, numbers, batch_size, parts = plan.layers, plan.numbers, plan.batch_size, plan.parts
        gemm, theta, grad, sums, order = memory.gemm, memory.theta, memory.grad, memory.sums, data.order
        inputs, outputs, last_y = layers[0, INPUTS], layers[-1, OUTPUTS], layers[-1, Y]
        ready = len(data.ready) > 0
        xs = data.ready if ready else memory.x
        done = 0 * version
        while rank == 0 or next_task(shared, rank, tasks):
            tasks += 1
            done, drawn = 0, 0
            first, last, t = shared[FIRST], shared[LAST], shared[STEP]
            for batch in range(first, last):
                start = batch * batch_size
                n = min(batch_size, len(order) - start)
                at_x = (shared[ROW] + start - first * batch_size) * inputs if ready else 0
                u = part(draws, drawn, n * plan.draws)
                drawn += n * plan.draws
                total = losses.total_weight(data.weights, part(order, start, n))
                for p in range(rank, parts, threads):
                    row = n * p // parts
                    rows = n * (p + 1) // parts - row
                    index = part(order, start + row, rows)
                    x = matrix(xs, at_x + row * inputs, rows, inputs)
                    if data.x32.size:
                        gather(data.x32, data.row_stride, data.column_stride, index, x)
                    elif data.x64.size:
                        gather(data.x64, data.row_stride, data.column_stride, index, x)
                    elif data.x8.size:
                        gather(data.x8, data.row_stride, data.column_stride, index, x)
                    _forward(layers, numbers, gemm, theta, xs, at_x + row * inputs, memory.y, u, n, row, rows)
                    at = n * last_y + row * outputs
                    y, dy = matrix(memory.y, at, rows, outputs), matrix(memory.dy, at, rows, outputs)
                    sums[p, 0] = losses.loss_and_gradient(
                        plan.loss, plan.loss_number, y, index, data.labels, data.targets, data.weights, n, total,
                        part(memory.scale, row, rows), dy,
                    )  # fmt: skip
                    _backward(layers, numbers, plan.first, gemm, theta, memory.y, memory.dy, u, n, row, rows)
                    if plan.by_rows:
                        for i in range(len(layers)):
                            if layers[i, KIND] == DENSE:
                                _parameter_gradient(
                                    layers, i, gemm, grad[p], xs, at_x, memory.y, memory.dy, n, row, rows, 0,
                                    layers[i, INPUTS],
                                )  # fmt: skip
                passed = barrier(shared, threads, passed)
                loss = 0.0
                for p in range(parts):
                    loss += sums[p, 0]
                if rank == 0:
                    memory.losses[batch], memory.totals[batch] = loss, total
                if passed < 0 or not math.isfinite(loss):
                    break
                divisor = total if total > 0 else 1.0
                # The parameters are shared out by rows of W. These get their gradient, where it is not there, and their
                # step.
                for p in range(rank, parts, threads):
                    sums[p, 1] = sums[p, 2] = 0.0
                    for i in range(len(layers)):
                        if not plan.by_rows and layers[i, KIND] == DENSE:
                            begin, end = layers[i, INPUTS] * p // parts, layers[i, INPUTS] * (p + 1) // parts
                            _parameter_gradient(
                                layers, i, gemm, grad[0], xs, at_x, memory.y, memory.dy, n, 0, n, begin, end
                            )
                    updates.measure(
                        layers, p, parts, theta, grad, plan.runs, plan.strengths, divisor, plan.clip, sums
                    )  # fmt: skip
                if plan.clip == updates.CLIP_NORM:
                    passed = barrier(shared, threads, passed)
                for p in range(rank, parts, threads):
                    updates.update(
                        layers, p, parts, theta, grad, plan.runs, plan.strengths, divisor, plan.clip, plan.limit, sums,
                        plan.optimizer, plan.optimizer_numbers, memory.s1, memory.s2, memory.rates[batch],
                        t + batch - first,
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
        return done, passed

    return dense_epoch


announce(dense_epoch)
