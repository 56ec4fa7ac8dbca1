"""Sentences of ``chainrule evaluate`` on labeled rows of a table, and their scores by group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule._internal.names import did_you_mean
from chainrule._internal.typing import Array
from chainrule.cli.output import printable
from chainrule.pages.formatting import MISSING, aligned, clean, fixed, listed, percent, short
from chainrule.pages.text import columns
from chainrule.tables import SavedRun, Schema, scores
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.checking import check
from chainrule.tables.report.scoring import apart
from chainrule.tables.report.uncertainty import difference, intervals, wilson
from chainrule.tables.result import HeldOut

LOWER_IS_BETTER = ("log loss", "RMSE", "MAE")
COVERAGE = 0.9
BINS, DRAWS = 10, 1000  # of the calibration error
GROUPS = 12  # that are printed, the largest
PARTS = 4  # of a column of numbers or dates, with as many rows each
VALUES = 12  # distinct numbers that are groups by themselves

__all__ = ["against_training", "by_group", "calibrated", "covered", "groups"]


def against_training(
    config: Mapping[str, Any], measured: Mapping[str, float], around: Mapping[str, tuple[float, float]]
) -> str:
    """Return whether scores differ from those of training by more than chance, in a sentence; "" if that is unknown."""
    before, ends = config.get("scores"), config.get("intervals")  # from a file that anybody may have written
    if not isinstance(before, dict) or not isinstance(ends, dict):
        return ""
    surely, sentence = [], ""
    for name, value in measured.items():
        old, known = before.get(name), ends.get(name)
        if type(old) is not float or not isinstance(known, list) or list(map(type, known)) != [float, float]:
            continue
        low, high = difference(value, around[name], old, (known[0], known[1]))
        if not math.isfinite(low + high):
            continue
        better = (value < old) == (name in LOWER_IS_BETTER)
        more = not low <= 0 <= high
        if sentence:
            surely += [f"{name} ({'better' if better else 'worse'})"] * more
            continue
        written = aligned([value - old, low, high], 3, signed=True)
        verdict = f"{'better' if better else 'worse'} by more than chance" if more else "it could be chance"
        sentence = (
            f"Compared with the rows held out in training, the difference in {name} is {written[0]} (95% interval "
            f"{written[1]} to {written[2]}): {verdict}."
        )
    return f"{sentence} More than chance also: {listed(surely)}." if surely else sentence


def covered(saved: SavedRun, held: HeldOut) -> str:
    """Return how many actual values are in the prediction intervals, in a sentence; "" without such intervals."""
    try:
        half = saved.widths.half(COVERAGE)
    except ValueError:  # too few held-out rows
        return ""
    share = float((np.abs(held.y - held.predictions) <= half).mean())
    low, high = (float(end) for end in wilson(share, len(held.y)))
    verdict = (
        "as they should" if low <= COVERAGE <= high else f"{'fewer' if share < COVERAGE else 'more'} than they should"
    )
    return (
        f"The {COVERAGE:.0%} prediction intervals (± {short(half)}) contain {percent(share)} of the actual values (95% "
        f"interval {percent(low)} to {percent(high)}): {verdict}."
    )


def calibrated(t: Array, p: Array) -> str:
    """Return the calibration error, and whether it is more than chance, in a sentence; "" for fewer than 20 rows.

    ``t`` are class indices, or 0 and 1 for each label. The error is the mean difference between the confidence in the
    predicted class and the share of correct predictions, over ten bins with equal numbers of rows; that of exact
    probabilities is drawn.

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (2017).
    """
    if len(t) < 2 * BINS or not np.isfinite(p).all():
        return ""
    right = np.ravel(p.argmax(axis=1) == t if t.ndim == 1 else (p > 0.5) == t)
    confidence = np.ravel(p.max(axis=1) if t.ndim == 1 else np.maximum(p, 1 - p))
    parts = np.array_split(np.argsort(confidence, kind="stable"), BINS)
    weights = np.array([len(part) for part in parts]) / len(right)
    gaps = np.array([confidence[part].mean() - right[part].mean() for part in parts])
    error = float(weights @ np.abs(gaps))
    spread = [math.sqrt(float((confidence[part] * (1 - confidence[part])).sum())) / len(part) for part in parts]
    drawn = np.abs(np.random.default_rng(0).normal(size=(DRAWS, BINS)) * spread) @ weights
    mean, most = float(drawn.mean()), float(np.quantile(drawn, 0.95))
    lean = "over" if float(weights @ gaps) > 0 else "under"
    verdict = f"{lean}confident by more than chance" if error > most else "no more than chance"
    return (
        f"Calibration error (ECE, {BINS} bins): {error:.3f}; exact probabilities would have {mean:.3f} on "
        f"average, and up to {most:.3f} by chance: {verdict}."
    )


def by_group(schema: Schema, held: HeldOut, name: str, found: Mapping[str, Array]) -> str:
    """Return the scores of groups of rows, the largest ones, as a table."""
    largest = {*sorted(found, key=lambda group: -len(found[group]))[:GROUPS]}
    wanted = ("RMSE", "MAE") if schema.task == "regression" else ("accuracy", "log loss")
    lines = [[clean(name, 30), "rows", wanted[0], "95% interval", wanted[1]]]
    for group in filter(largest.__contains__, found):
        rows = found[group]
        p = None if held.probabilities is None else held.probabilities[rows]
        part = HeldOut(held.frame[rows], held.y[rows], held.predictions[rows], p)
        measured = scores.measure(schema.task, part.y, part.predictions, p, schema.classes)
        numbers = (measured[wanted[0]], measured[wanted[1]], *intervals(schema, part, measured)[wanted[0]])
        one, other, low, high = (short(v) if p is None else fixed(v, 3) for v in numbers)
        ends = apart(numbers[2], numbers[3], [low, high])
        lines.append([printable(clean(group, 30)), f"{len(rows):,}", one, ends, other])
    more = f"\n... {len(found) - len(largest):,} smaller groups" if len(found) > len(largest) else ""
    return columns(lines, align="lrrrr") + more


def _typed(frame: pl.DataFrame, schema: Schema, name: str) -> pl.Series:
    """Return a column as the network takes it if it does, else as numbers where all texts are numbers."""
    column = next((column for column in schema.used if column.name == name), None)
    if column is not None and column.kind in ("number", "date"):
        return cast(check(frame, schema)[0], schema.columns)[name]
    values = frame[name]
    numbers = values.cast(pl.Float64, strict=False) if values.dtype == pl.String else values
    return numbers if numbers.null_count() == values.null_count() else values


def groups(schema: Schema, frame: pl.DataFrame, name: str) -> dict[str, Array]:
    """Return the rows with each value of a column; numbers and dates are cut in quarters. Missing ones are last."""
    if name not in frame.columns:
        raise ValueError(f"--by: there is no column {name!r}. {did_you_mean(name, frame.columns)}")
    values = _typed(frame, schema, name)
    missing = values.is_null() | (values.is_nan() if values.dtype.is_float() else False)
    known = (~missing).to_numpy()
    rows = np.flatnonzero(known)
    present = values.filter(~missing)
    found: dict[str, Array] = {}
    if (values.dtype.is_numeric() or values.dtype.is_temporal()) and present.n_unique() > VALUES:
        ranks = present.to_physical().to_numpy()
        cuts = np.unique(np.quantile(ranks, np.linspace(0, 1, PARTS + 1)[1:-1], method="inverted_cdf"))
        part = np.searchsorted(cuts, ranks, "left")
        for i in range(len(cuts) + 1):
            mine = np.flatnonzero(part == i)
            if len(mine):
                ends = present[mine.tolist()]
                found[f"{_end(ends.min())} to {_end(ends.max())}"] = rows[mine]
    else:
        texts, which = np.unique(np.array([_end(v) for v in present.to_list()], dtype=str), return_inverse=True)
        order = np.argsort(which, kind="stable")
        starts = np.searchsorted(which[order], np.arange(len(texts) + 1))
        found = {
            str(text): rows[np.sort(order[a:b])] for text, a, b in zip(texts, starts[:-1], starts[1:], strict=True)
        }
    if not known.all():
        found[MISSING] = np.flatnonzero(~known)
    return found


def _end(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).removesuffix(" 00:00:00")
