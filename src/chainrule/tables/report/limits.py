"""The limits of a trained table in sentences: where it extrapolates, what is rare in it, what was not tested."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.pages.blocks import Block, Heading, Text
from chainrule.pages.formatting import clean, listed, rows, short
from chainrule.tables import models
from chainrule.tables.report.data import ReportData
from chainrule.tables.result import Trained

FEW = 30  # training rows of a class
NAMED = 5  # in a sentence
COVERAGE = 0.9
MIDNIGHT = "T00:00:00"


def sections(data: ReportData) -> list[Block]:
    """Return the blocks."""
    return [Heading("Limits", "", "limits"), *(Text(text) for text in data.limits)] if data.limits else []


def limits(trained: Trained) -> tuple[str, ...]:
    """Return the limits, a sentence or two for each."""
    found = [_untested(trained), *_beyond(trained), *_seldom(trained), _probabilities(trained)]
    if weight := trained.settings.get("weight"):
        found.append(f"Training weighted its rows by '{clean(weight)}'; the scores count every row the same.")
    found.append(
        "Predictions are associations in these rows, not causes: changing a value in a row need not change its outcome."
    )
    return tuple(text for text in found if text)


def _untested(trained: Trained) -> str:
    """Return which rows it was evaluated on, and which kinds of rows it was not."""
    given, count = trained.settings, trained.split.test
    if not len(trained.held_out.y):
        return "Not tested: no rows were held out."
    other = "rows of another time, place or source"
    where = f"on {rows(count)} of the same table"
    if isinstance(given.get("test"), str):
        where, other = f"on the {rows(count)} of another file", "rows of any other time, place or source"
    elif time := given.get("time_column"):
        where = f"on the last {rows(count)} by '{clean(time)}', later than those trained on"
        if given.get("folds"):
            where = f"on rows later by '{clean(time)}' than those trained on"
        other = "rows much later, or of another place or source"
    elif group := given.get("group"):
        where = f"on {rows(count)} with other values of '{clean(group)}' than those trained on"
    return f"Tested {where}. Not tested on {other}."


def _beyond(trained: Trained) -> list[str]:
    """Return where it extrapolates: beyond ranges, with unseen categories and unseen missing values."""
    used, found = trained.schema.used, []
    ranged = [column for column in used if column.kind in ("number", "date")]
    if ranged:
        kinds = [rows(n, kind) for kind in ("number", "date") if (n := sum(c.kind == kind for c in ranged))]
        dates = [(c.name, str(c.high).removesuffix(MIDNIGHT)) for c in ranged if c.kind == "date" and c.high]
        last = [f"'{clean(name)}' after {end}" for name, end in dates]
        found.append(
            f"It extrapolates beyond the values of its {' and '.join(kinds)} in the table of columns"
            + (f", as for {listed(last, NAMED)}" if last else "")
            + "; chainrule drift counts such values."
        )
    if some := [f"'{clean(c.name)}'" for c in used if c.kind in ("category", "many", "yes/no")]:
        found.append(f"It knows only the values of {listed(some, NAMED)} in its table, and takes others as unknown.")
    complete = [f"'{clean(c.name)}'" for c in used if not c.missing]
    if complete:
        which = "No column" if len(complete) == len(used) > 1 else ""
        where = f"{which} had missing values" if which else f"No missing values occurred in {listed(complete, NAMED)}"
        found.append(f"{where}, so how well it predicts rows that lack one is unknown.")
    of = trained.target_rows
    if trained.schema.task == "regression" and _is_ensemble(trained) and of:
        each = [of] if len(trained.schema.targets) == 1 else [*of.values()]
        ends = [f"{short(one['smallest'])} to {short(one['largest'])}" for one in each]
        ranges = ends[0] if len(ends) == 1 else listed(
            [f"{end} for '{clean(name)}'" for name, end in zip(of, ends, strict=True)], NAMED
        )  # fmt: skip
        found.append(
            f"Its predictions stay within the target's range in the rows trained on, {ranges}, or a tenth of it beyond."
        )
    return found


def _seldom(trained: Trained) -> list[str]:
    """Return the classes or labels with few rows in training."""
    if trained.schema.task == "regression":
        return []
    rare = sorted((n, name) for name, n in trained.target_rows.items() if n < FEW)
    what = "label" if trained.schema.task == "multilabel" else "class"
    texts = [f"'{clean(name)}' ({rows(int(n))})" for n, name in rare]
    subject = f"The {what}" if len(rare) == 1 else f"{rows(len(rare), what)}"
    few = f"{subject} had fewer than {FEW} training rows: {listed(texts, NAMED)}. Their scores vary much by chance."
    return [few] if rare else []


def _probabilities(trained: Trained) -> str:
    """Return whether probabilities are calibrated, or whether intervals are known."""
    if trained.schema.task != "regression":
        if not _is_ensemble(trained):
            return "Its probabilities are not calibrated: a single network is often overconfident."
        return (
            "Its probabilities are calibrated with one temperature, on training rows that the respective network was "
            f"not fitted to (temperature {short(trained.pipeline[-1].temperature_, 3)})."
        )
    try:
        half = trained.widths.half(COVERAGE)
    except ValueError:  # too few held-out rows
        return f"Its predictions are single numbers: too few rows were held out for {COVERAGE:.0%} intervals."
    return (
        f"Its predictions are single numbers; the {COVERAGE:.0%} intervals of chainrule predict --interval "
        f"{COVERAGE:g} are {_around(trained, half)} for every row, from {rows(trained.widths.rows, 'held-out row')}."
    )


def _around(trained: Trained, half: Any) -> str:
    """Return half the width of intervals, by target if there are several."""
    names = [column.name for column in trained.schema.targets]
    if len(names) == 1:
        return f"± {short(half)}"
    each = zip(names, np.ravel(half).tolist(), strict=True)
    return listed([f"± {short(of)} for '{clean(name)}'" for name, of in each], NAMED)


def _is_ensemble(trained: Trained) -> bool:
    return trained.pipeline is not None and models.is_ensemble(trained.pipeline[-1])
