"""The memory that a program works on, and the team that runs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.training.compiled import epoch as driver
from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import address_of, function
from chainrule.training.compiled.product import DEPTH, product, windows_product
from chainrule.training.compiled.program import Program, Table
from chainrule.training.compiled.sharing import prepare
from chainrule.training.compiled.team import Team, post_task

STRIP = 128  # values that two vectors have at most


class Machine:
    """A program with its arrays, as the addresses that machine code reads.

    Parameters
    ----------
    program, table : Program, Table
        The layers' needs, and all operations in phases.
    batch_size, parts, threads : int
        Rows of a batch at most, the parts that it is cut into, and the threads that share these.
    arrays : pairs of slot and array
        What the operations read and write besides the values of the layers.
    job : mapping
        Fields of the job, by their index: arrays, or integers.
    """

    def __init__(
        self, program: Program, table: Table, batch_size: int, parts: int, threads: int,
        arrays: Iterable[tuple[int, Any]], job: Mapping[int, Any],
    ) -> None:  # fmt: skip
        dtype = program.dtype
        products = [product, windows_product] if program.convolves else [product]
        prepare([*(run for run, _ in table.operations), *products, driver.epoch, post_task], dtype)
        operations, phases = table.arrays()
        own = np.empty((threads, DEPTH * STRIP), dtype), np.empty((threads, program.scratch), dtype)
        sums, base = np.zeros((parts, 3)), np.zeros((threads, slots.BASE), np.int64)
        given = [
            *arrays, (slots.LOSSES, sums), (slots.VALUES, np.empty(batch_size * program.widths, dtype)),
            (slots.SLOPES, np.empty(batch_size * program.widths if program.training else 0, dtype)),
            (slots.ONE, np.ones(1, dtype)), (slots.MEMO, np.empty(batch_size * program.memos, dtype)),
            (slots.SHARED, np.empty(parts * program.sizes, dtype)),
        ]  # fmt: skip
        for slot, array in given:
            base[:, slot] = address_of(array) if isinstance(array, np.ndarray) else array
        base[:, slots.PACKED], base[:, slots.PADDED] = ([address_of(line) for line in lines] for lines in own)
        base[:, slots.PRODUCT], base[:, slots.PARTS] = product.address(dtype), parts
        base[:, slots.WINDOWS] = windows_product.address(dtype) if program.convolves else 0
        fields = {
            driver.BASES: base, driver.OPERATIONS: operations, driver.PHASES: phases, driver.COUNT: len(phases),
            driver.BATCH_SIZE: batch_size, driver.PARTS: parts, driver.SUMS: sums, driver.ACCUMULATE: 1, **job,
        }  # fmt: skip
        self._job = np.zeros(driver.JOB, np.int64)
        for field, value in fields.items():
            self._job[field] = address_of(value) if isinstance(value, np.ndarray) else value
        self._kept = (program, own, given, fields)  # as long as their addresses are in use
        self.team = Team(threads, function(driver.epoch, dtype), address_of(self._job))
