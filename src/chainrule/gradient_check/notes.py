"""Remarks on a layer that are not errors."""

from __future__ import annotations

import numpy as np

from chainrule.gradient_check.bench import Bench
from chainrule.gradient_check.same import listed, same
from chainrule.memo import Memo


def notes(bench: Bench) -> list[str]:
    """Return remarks that are not errors."""
    layer, said = bench.layer, []
    _, memo = bench.workspace()
    planned = memo.y, memo.dx
    x, dy = bench.batch(), bench.dy()
    y = layer.forward(x, memo)
    dx = layer.backward(dy, memo)
    places = {"y": (y, planned[0], x), "dx": (dx, planned[1], dy)}
    made = [name for name, (value, *known) in places.items() if not any(np.shares_memory(value, k) for k in known)]
    if made:
        outs = " and ".join(f"out=memo.{name}" for name in made)
        what = "is a new array" if len(made) == 1 else "are new arrays"
        said.append(f"{listed(made)} {what} for every batch: {outs} would reuse the planned buffers")
    x = bench.batch()
    order = np.random.default_rng(bench.seed).permutation(len(x))
    try:
        together, apart = (np.array(layer.forward(rows, Memo(training=True))) for rows in (x, x[order].copy()))
        alone = np.array(layer.forward(x[:1].copy(), Memo(training=True)))
    except Exception:  # noqa: BLE001  (it needs randomness or more than one row: no remark)
        return said
    if not same(apart, together[order]) or not same(alone, together[:1]):
        said.append("in training, the rows of a batch depend on each other, as in batch normalization")
    return said
