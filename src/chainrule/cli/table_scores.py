"""Sentences of ``chainrule evaluate`` on labeled rows of a table, and their scores by group."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.cli import json_output
from chainrule.cli.output import printable
from chainrule.cli.tables import LINE
from chainrule.pages.formatting import aligned, clean, fixed, listed, percent, short
from chainrule.pages.text import columns
from chainrule.tables import SavedRun, Schema
from chainrule.tables.report.groups import scored, sentences
from chainrule.tables.report.scoring import apart
from chainrule.tables.report.uncertainty import difference, wilson
from chainrule.tables.result import HeldOut
from chainrule.tables.score_names import plain

LOWER_IS_BETTER = ("log loss", "RMSE", "MAE")
COVERAGE = 0.9
BINS, DRAWS = 10, 1000  # of the calibration error


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
        better = (value < old) == (plain(name) in LOWER_IS_BETTER)
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
    inside = (np.abs(held.y - held.predictions) <= half).reshape(len(held.y), -1).mean(axis=0)
    names = [f" of {clean(column.name)}" for column in saved.schema.targets] if len(inside) > 1 else [""]
    said = []
    for name, share, width in zip(names, inside.tolist(), np.ravel(half).tolist(), strict=True):
        low, high = (float(end) for end in wilson(share, len(held.y)))
        verdict = f"{'fewer' if share < COVERAGE else 'more'} than they should"
        verdict = "as they should" if low <= COVERAGE <= high else verdict
        said.append(
            f"The {COVERAGE:.0%} prediction intervals{name} (± {short(width)}) contain {percent(share)} of the actual "
            f"values (95% interval {percent(low)} to {percent(high)}): {verdict}."
        )
    return " ".join(said)


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
    """Return the scores of groups of rows as a table, and which ones differ by more than chance in a sentence."""
    of = scored(schema, held, {name: found})
    measures = dict(zip(("score", "second"), of[0].measures, strict=True))
    groups = [{**group._asdict(), "differs": group.differs} for group in of[0].shown]
    json_output.record(by=name, measures=measures, groups=groups)
    lines = [[clean(name, 30), "rows", of[0].measures[0], "95% interval", of[0].measures[1]]]
    for group in of[0].shown:
        numbers = (group.score, group.second, group.low, group.high)
        one, other, *ends = (short(v) if schema.task == "regression" else fixed(v, 3) for v in numbers)
        around = apart(group.low, group.high, ends)
        lines.append([printable(clean(group.name, 30)), f"{group.rows:,}", one, around, other])
    more = f"\n... {of[0].more:,} more groups" if of[0].more else ""
    return f"{columns(lines, align='lrrrr')}{more}\n{textwrap.fill(' '.join(sentences(of)), LINE)}"
