"""How a wrong gradient differs from the right one, where there is a simple law: it names the mistake."""

from __future__ import annotations

import math

import numpy as np

from chainrule._objective import Objective
from chainrule._typing import Array
from chainrule.gradient_check.report import NO_LAW

CLOSE = 1e-3


def hint(objective: Objective, numeric: Array, analytic: Array, w: Array) -> str:
    """Return the law, or that there is none; ``w`` are the parameters that these are derivatives of."""
    if not np.isfinite(analytic).all():
        return "the analytic gradient is not finite"
    if not analytic.any():
        return "the analytic gradient is zero: was it ever written to the memo?"
    ratio = float(numeric @ analytic) / max(float(numeric @ numeric), 1e-300)
    if np.linalg.norm(analytic - ratio * numeric) <= CLOSE * np.linalg.norm(analytic):
        return f"the analytic gradient is {ratio:.4g} times the numeric one{_why(objective, ratio)}"
    for law, shape in (("W", w), ("sign(W)", np.sign(w))):
        factor = float((analytic - numeric) @ shape) / max(float(shape @ shape), 1e-300)
        rest = np.linalg.norm(analytic - numeric - factor * shape)
        if rest <= CLOSE * np.linalg.norm(analytic - numeric):
            what = "forgotten" if factor < 0 else "added where it should not be"
            return f"analytic − numeric is {factor:.4g} · {law}: a penalty's gradient is {what}"
    return NO_LAW


def _why(objective: Objective, ratio: float) -> str:
    """Return what multiplies a gradient by ``ratio``, as the end of a sentence."""

    def near(value: float) -> bool:
        return math.isclose(ratio, value, rel_tol=CLOSE)

    rows = len(objective.x)
    rates = [getattr(layer, "rate", None) for layer in objective.network.layers]
    keeps = [1 - rate for rate in rates if isinstance(rate, float) and 0 < rate < 1]
    if near(rows):
        return f": a sum over the {rows} rows where L has a mean"
    if near(1 / rows):
        return f": divided by the {rows} rows once too often"
    if any(near(keep) or near(1 / keep) for keep in keeps):
        return ": dropout's scale, 1 / keep, is missing or applied twice"
    if near(-1):
        return ": the sign is turned round"
    if near(2) or near(0.5):
        return ": the ½ or the 2 of a square is missing, or it is counted twice"
    return ""
