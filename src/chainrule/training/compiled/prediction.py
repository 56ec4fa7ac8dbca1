"""Prediction of many rows by machine code: the forward operations of a program, batch by batch, in threads."""

from __future__ import annotations

import math

import numpy as np

from chainrule._internal.threads import choose_threads
from chainrule._internal.typing import Array
from chainrule.network import Network
from chainrule.training.compiled import epoch as driver
from chainrule.training.compiled import gathering, slots
from chainrule.training.compiled.compiling import address_of, operation
from chainrule.training.compiled.machine import Machine
from chainrule.training.compiled.program import NotCompiled, Program, Table
from chainrule.training.compiled.rows import in_place, strides_of
from chainrule.training.compiled.slots import integer, vector, y_of

CACHED = 2**17  # values of a part of a batch, of all layers, that stay in the cache


def prediction(network: Network, X: Array, rows: Array | None = None, threads: int | None = None) -> Prediction | None:
    """Return the prediction of these rows, or None where a layer, or the memory of X, has no compiled form."""
    try:
        program = Program(network, training=False)
    except NotCompiled:
        return None
    in_order = rows is None and in_place(X, network.dtype)
    strides = None if in_order else strides_of(X)
    order = np.arange(len(X)) if rows is None else np.ascontiguousarray(rows, np.int64)
    return Prediction(network, program, X, order, strides, threads) if in_order or strides else None


class Prediction:
    """The prediction of some rows, each time with the parameters that the network then has."""

    def __init__(
        self, network: Network, program: Program, X: Array, order: Array, strides: tuple[int, int] | None,
        threads: int | None,
    ) -> None:  # fmt: skip
        width, outputs, dtype = math.prod(X.shape[1:]), network.output_shape[0], network.dtype
        threads = choose_threads(0, threads).allowed
        size = min(len(order), threads * max(8, CACHED // (program.widths + width)))
        y = np.empty((len(order), outputs), dtype)
        gather, buffer = [], X
        if strides is not None:
            buffer = np.empty((size, width), dtype)
            gather = [(gathering.GATHER[X.dtype.name], {"outputs": width, "own": (address_of(X), *strides)})]
        table = Table(dtype)
        last = (put, {"y": program.y, "outputs": outputs, "own": (address_of(y), address_of(order))})
        table.phase(driver.OF_ROWS, [*gather, *program.forwards, last])
        unused = np.zeros(-(-len(order) // size))
        arrays = [(slots.THETA, network.theta), (slots.STATISTICS, network.statistics), (slots.BATCH, buffer)]
        job = {
            driver.ROWS: len(order), driver.READY: 0 if gather else buffer, driver.ROW_BYTES: buffer.itemsize * width,
            driver.ORDERS: order, driver.PENALTIES: unused, driver.RATES: unused,
        }  # fmt: skip
        self._machine = Machine(program, table, size, threads, threads, arrays, job)
        self._y, self._batches = y, len(unused)
        self._X = X  # as long as its address is in use

    def __call__(self) -> Array:
        """Return y of the rows."""
        self._machine.team.do((0, self._batches, 0, 0))
        return self._y.copy()

    def once(self) -> Array:
        """Return y of all rows, the only time."""
        try:
            self._machine.team.do((0, self._batches, 0, 0))
        finally:
            self._machine.team.close()
        return self._y


@operation
def put(T, op, base, n, row, rows):
    """Copy y of these rows to where all of them are collected."""
    outputs, y = integer(op, slots.OUTPUTS), y_of(T, op, base, n, row, rows)
    first = (integer(base, slots.ORDER) - integer(op, slots.OWN + 1)) // 8  # row of the batch, among all in their order
    for r in range(rows):
        line = vector(T, integer(op, slots.OWN), (first + row + r) * outputs, outputs)
        for k in range(outputs):
            line[k] = y[r * outputs + k]
