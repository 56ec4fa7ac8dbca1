"""Recognizing known errors in a gradient, to name the mistake."""

from __future__ import annotations

import math

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.objective import Objective
from chainrule.gradient_check.report import NO_LAW
from chainrule.parameters import Entry

CLOSE = 1e-3


def hint(objective: Objective, entry: Entry, chosen: Array, numeric: Array, analytic: Array) -> str:
    """Describe the error pattern, if any; numeric and analytic are the ``chosen`` entries of a parameter."""
    if not np.isfinite(numeric).all():
        return "L is not finite: choose x for which forward is defined"
    if not np.isfinite(analytic).all():
        return "the analytic gradient is not finite"
    if not analytic.any():
        return f"the analytic gradient is zero: is it written{objective.written_to}?"
    if not numeric.any():
        return "L does not change with this parameter, but the analytic gradient is not zero"
    ratio = float(numeric @ analytic) / max(float(numeric @ numeric), 1e-300)
    if np.linalg.norm(analytic - ratio * numeric) <= CLOSE * np.linalg.norm(analytic):
        return f"the analytic gradient is {ratio:.4g} times the numeric one{_why(objective, ratio)}"
    return _of_penalties(objective, entry, chosen, analytic - numeric) or NO_LAW


def _of_penalties(objective: Objective, entry: Entry, chosen: Array, difference: Array) -> str:
    """Express the difference as a multiple of a penalty's gradient; return an empty string if it is none."""
    w, added = objective.theta[entry.where][chosen], objective.added(entry)[chosen]
    if added.any() and (part := _multiple(difference, added)) is not None and not math.isclose(part, 1, rel_tol=CLOSE):
        share = 1 / (1 - part)  # the correct gradient is added − difference
        square = math.isclose(share, 2, rel_tol=CLOSE) or math.isclose(share, 0.5, rel_tol=CLOSE)
        why = ": a factor of ½ or 2 from a square is missing or applied twice" if square else ""
        return f"a penalty's gradient is {share:.4g} times what it should be{why}"
    for law, shape in (("W", w), ("sign(W)", np.sign(w))):
        if (factor := _multiple(difference, shape)) is not None:
            what = f"missing{objective.or_half}" if factor < 0 else "added by mistake"
            return f"analytic − numeric is {factor:.4g} · {law}: a penalty's gradient is {what}"
    return ""


def _multiple(difference: Array, shape: Array) -> float | None:
    """Return the factor by which the difference is a multiple of ``shape``; None if it is not."""
    factor = float(difference @ shape) / max(float(shape @ shape), 1e-300)
    close = np.linalg.norm(difference - factor * shape) <= CLOSE * np.linalg.norm(difference)
    return factor if close and len(shape) > 1 else None


def _why(objective: Objective, ratio: float) -> str:
    """Return the likely cause of a gradient multiplied by ``ratio``, as the end of a sentence."""

    def near(value: float) -> bool:
        return math.isclose(ratio, value, rel_tol=CLOSE)

    rows, many = objective.rows, rounded if (rounded := round(max(ratio, 1 / ratio) if ratio > 0 else 0)) > 2 else 0
    kept = any(near(keep) or near(1 / keep) for keep in objective.keeps)
    guess = many if rows is None else 0
    reasons = (
        (bool(rows) and near(rows or 0), f"summed over the {rows} rows, but L is a mean"),
        (bool(rows) and near(1 / (rows or 1)), f"divided by the {rows} rows one time too many"),
        (kept, "dropout's scale, 1 / keep, is missing or applied twice"),
        (near(-1), "the sign is flipped"),
        (near(2) or near(0.5), "a factor of ½ or 2 from a square is missing or applied twice"),
        (bool(guess) and near(guess), f"if the batch has {guess} rows, summed over them, but L is a mean"),
        (bool(guess) and near(1 / (guess or 1)), f"if the batch has {guess} rows, divided by them one time too many"),
    )
    return next((f": {words}" for holds, words in reasons if holds), "")
