"""How a wrong gradient differs from the right one, where there is a simple law: it names the mistake."""

from __future__ import annotations

import math

import numpy as np

from chainrule._objective import Objective
from chainrule._typing import Array
from chainrule.gradient_check.report import NO_LAW
from chainrule.parameters import Entry

CLOSE = 1e-3


def hint(objective: Objective, entry: Entry, chosen: Array, numeric: Array, analytic: Array) -> str:
    """Return the law, or that there is none; numeric and analytic are the ``chosen`` entries of a parameter."""
    if not np.isfinite(analytic).all():
        return "the analytic gradient is not finite"
    if not analytic.any():
        return f"the analytic gradient is zero: was it ever written{objective.written_to}?"
    if not numeric.any():
        return "L does not change with this parameter, but the analytic gradient is not zero"
    ratio = float(numeric @ analytic) / max(float(numeric @ numeric), 1e-300)
    if np.linalg.norm(analytic - ratio * numeric) <= CLOSE * np.linalg.norm(analytic):
        return f"the analytic gradient is {ratio:.4g} times the numeric one{_why(objective, ratio)}"
    w, difference = objective.theta[entry.where][chosen], analytic - numeric
    added = objective.added(entry)[chosen]
    if added.any() and (part := _multiple(difference, added)) is not None and not math.isclose(part, 1, rel_tol=CLOSE):
        share = 1 / (1 - part)  # added − difference is what it should be
        square = math.isclose(share, 2, rel_tol=CLOSE) or math.isclose(share, 0.5, rel_tol=CLOSE)
        why = ": the ½ or the 2 of a square is missing, or it is counted twice" if square else ""
        return f"a penalty's gradient is {share:.4g} times what it should be{why}"
    for law, shape in (("W", w), ("sign(W)", np.sign(w))):
        if (factor := _multiple(difference, shape)) is not None:
            what = f"forgotten{objective.or_half}" if factor < 0 else "added where it should not be"
            return f"analytic − numeric is {factor:.4g} · {law}: a penalty's gradient is {what}"
    return NO_LAW


def _multiple(difference: Array, shape: Array) -> float | None:
    """Return how many times ``shape`` the difference is; None where it is something else."""
    factor = float(difference @ shape) / max(float(shape @ shape), 1e-300)
    close = np.linalg.norm(difference - factor * shape) <= CLOSE * np.linalg.norm(difference)
    return factor if close and len(shape) > 1 else None


def _why(objective: Objective, ratio: float) -> str:
    """Return what multiplies a gradient by ``ratio``, as the end of a sentence."""

    def near(value: float) -> bool:
        return math.isclose(ratio, value, rel_tol=CLOSE)

    rows = objective.rows
    if rows and near(rows):
        return f": a sum over the {rows} rows where L has a mean"
    if rows and near(1 / rows):
        return f": divided by the {rows} rows once too often"
    if any(near(keep) or near(1 / keep) for keep in objective.keeps):
        return ": dropout's scale, 1 / keep, is missing or applied twice"
    if near(-1):
        return ": the sign is turned round"
    if near(2) or near(0.5):
        return ": the ½ or the 2 of a square is missing, or it is counted twice"
    if rows is None and ratio > 2 and near(round(ratio)):
        return f": a sum over {ratio:.0f} rows where the loss has a mean, if your batch has {ratio:.0f}"
    if rows is None and 0 < ratio < 0.5 and near(1 / round(1 / ratio)):
        return f": divided by the rows one time too many, if your batch has {1 / ratio:.0f}"
    return ""
