"""Gather: the rows of a batch from X, converted to the network's dtype; one operation for each dtype of X.

The loops: rows, and within that the columns, so that X is read in order and written to a batch that stays in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import inlined, operation
from chainrule.training.compiled.slots import integer, vector

part = inlined("part")[0]
SOURCE, ROW_STRIDE, COLUMN_STRIDE = range(slots.OWN, slots.OWN + 3)


def _gather(name: str, dtype: Any) -> Any:
    def gather(T, op, base, n, row, rows):
        columns, apart = integer(op, slots.OUTPUTS), integer(op, COLUMN_STRIDE)
        for r in range(row, row + rows):
            start = integer(integer(base, slots.ORDER), r) * integer(op, ROW_STRIDE)
            line = vector(T, integer(base, slots.BATCH), r * columns, columns)
            if apart == 1:
                source = vector(dtype, integer(op, SOURCE), start, columns)
                for j in range(columns):
                    line[j] = source[j]
            else:
                source = vector(dtype, integer(op, SOURCE), start, columns * apart)
                for j in range(columns):
                    line[j] = source[j * apart]

    gather.__name__ = name
    return operation(gather)


GATHER = {np.dtype(t).name: _gather(f"gather_{np.dtype(t).name}", t) for t in (np.float32, np.float64, np.uint8)}
"""The dtypes of X that compiled code converts while it gathers."""
