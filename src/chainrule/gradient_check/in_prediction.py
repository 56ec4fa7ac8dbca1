"""In prediction: backward runs there too, as ``loss_and_grad`` without a workspace and ``trace`` ask it to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.gradient_check.bench import Bench
from chainrule.gradient_check.failing import describe
from chainrule.gradient_check.same import came, same
from chainrule.memo import Memo


def backward_in_prediction(bench: Bench) -> Iterator[str]:
    """Yield why backward does not follow a forward for which ``memo.training`` is false."""
    x, dy, memo = bench.batch(), bench.dy(), Memo()
    y = np.array(bench.layer.forward(x.copy(), memo))
    early = same(y, x)
    try:
        dx = bench.layer.backward(dy.copy(), memo)
    except NotImplementedError:
        raise
    except Exception as error:  # noqa: BLE001  (the layer is somebody else's code)
        how = "forward returns x early" if early else "forward runs"
        remedy = (
            "backward must ask the same question as forward: if not memo.training: return dy"
            if early
            else "forward must leave in the memo what backward needs, in prediction too"
        )
        yield f"where memo.training is false, {how}, and backward then raises {describe(error)}: {remedy}"
        return
    if dx is None or np.shape(dx) != x.shape:
        yield f"backward returns {came(dx)} in prediction, where memo.training is false, but x has shape {x.shape}"
