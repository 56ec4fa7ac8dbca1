"""Backward in prediction, as used by ``loss_and_grad`` without a workspace and by ``trace``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.gradient_check.bench import Bench
from chainrule.gradient_check.failing import describe
from chainrule.gradient_check.same import came, same
from chainrule.memo import Memo


def backward_in_prediction(bench: Bench) -> Iterator[str]:
    """Yield errors in backward after a forward with ``memo.training`` false."""
    x, dy, memo = bench.batch(), bench.dy(), Memo()
    y = np.array(bench.layer.forward(x.copy(), memo))
    early = same(y, x)
    try:
        dx = bench.layer.backward(dy.copy(), memo)
    except NotImplementedError:
        raise
    except Exception as error:  # noqa: BLE001  (the layer is user code)
        how = "forward returns x early" if early else "forward runs"
        remedy = (
            "backward needs the same condition as forward: if not memo.training: return dy"
            if early
            else "forward must store what backward needs in the memo, also in prediction"
        )
        yield f"if memo.training is false, {how}, and backward then raises {describe(error)}: {remedy}"
        return
    if dx is None or np.shape(dx) != x.shape:
        yield f"backward returns {came(dx)} in prediction (memo.training is false), but x has shape {x.shape}"
