"""Which rows are trained on, which decide when to stop, and which nobody sees until the end."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import dates
from chainrule.tables._polars import pl

FEWEST = 5  # rows of a class, to be split


@dataclass(frozen=True)
class Plan:
    """How to split: the part of the rows for the test (0: there is a file of its own), for validation, and by what.

    A part may be a whole number instead: so many rows.
    """

    test: float
    validation: float
    seed: int
    time: str | None = None
    group: str | None = None
    stratify: bool = False
    date_format: str | None = None  # of the time, where it is a text


def sized(plan: Plan, y: Array) -> Plan:
    """Return the plan with one row for each class, as a number of rows, where a part has fewer rows than classes.

    >>> sized(Plan(0.2, 0.125, 0, stratify=True), np.repeat(np.arange(9), 7))
    Plan(test=0.2, validation=9, seed=0, time=None, group=None, stratify=True, date_format=None)
    """
    if not plan.stratify or plan.time is not None or plan.group is not None:
        return plan
    counts = np.unique(y, return_counts=True)[1]
    rows, classes = int(counts[counts >= FEWEST].sum()), int((counts >= FEWEST).sum())
    test = _enough(plan.test, rows, classes)
    rest = rows - (test if isinstance(test, int) else math.ceil(test * rows))
    return replace(plan, test=test, validation=_enough(plan.validation, rest, classes))


def _enough(part: float, rows: int, classes: int) -> float:
    return classes if part and math.ceil(part * rows) < classes else part


def split(plan: Plan, frame: Any, y: Array) -> tuple[Array, Array, Array, str]:
    """Return the numbers of the rows for training, validation and test, and how they were chosen, in words.

    >>> import polars as pl
    >>> y = np.repeat([0, 1], [80, 20])
    >>> train, validation, test, how = split(Plan(0.2, 0.1, 0, stratify=True), pl.DataFrame({"y": y}), y)
    >>> len(train), len(validation), len(test), float(y[test].mean())
    (72, 8, 20, 0.2)
    """
    if plan.time is not None and plan.group is not None:
        raise ValueError("--time-column and --group are two ways to hold rows out: give one of them.")
    if plan.time is not None:
        parts = _by_time(plan, frame)
        how = f"the last rows by {plan.time!r}"
    elif plan.group is not None:
        parts = _by_group(plan, frame)
        how = f"whole groups of {plan.group!r} at random"
    else:
        parts = _at_random(plan, y)
        how = "rows at random" + (", with the same share of each class" if plan.stratify else "")
    if plan.stratify:
        known = set(y[parts[0]].tolist())
        for rows, what in ((parts[1], "validate"), (parts[2], "test")):
            if new := sorted(set(y[rows].tolist()) - known, key=str):
                raise ValueError(
                    f"the class {new[0]!r} has rows to {what} but none to train on ({how}): hold other rows "
                    "out, or give more of them."
                )
    return (*parts, how)


def drawn(rows: int, most: int, seed: int) -> Array | None:
    """Return which of so many rows to take, drawn at random, in order; None for all of them.

    >>> drawn(10, 3, seed=0), drawn(3, 3, seed=0)
    (array([5, 6, 9]), None)
    """
    if rows <= most:
        return None
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def code(plan: Plan, frame: pl.DataFrame, *, rare: bool) -> list[str]:
    """Return the same as lines of Python, for variables ``frame`` and ``y``."""
    if plan.time is not None:
        when, lines = f"frame[{plan.time!r}]", []
        if plan.date_format is not None:
            when, lines = (
                "frame.select(when).to_series()",
                [f"when = {dates.code(plan.time, plan.date_format, frame.schema[plan.time])}"],
            )
        call = "np.split({rows}, [len({rows}) - max(1, round({part} * len({rows})))])"
        lines += [f"rows = {when}.arg_sort().to_numpy()  # the last ones are held out"]
        return [*lines, *_two(plan, call, "rows")]
    if plan.group is not None:
        text = "" if frame.schema[plan.group] == _string() else ".cast(pl.String)"
        hole = '.fill_null("(missing)")' if frame[plan.group].null_count() else ""
        splitter = (
            f"GroupShuffleSplit(1, test_size={{part}}, random_state={plan.seed}).split({{rows}}, groups={{rows}})"
        )
        lines = [f"groups = frame[{plan.group!r}]{text}{hole}.to_numpy()"]
        if not plan.test:
            return [*lines, f"train, validation = next({splitter.format(part=plan.validation, rows='groups')})"]
        return [
            *lines,
            f"rest, test = next({splitter.format(part=plan.test, rows='groups')})",
            f"a, b = next({splitter.format(part=plan.validation, rows='groups[rest]')})",
            "train, validation = rest[a], rest[b]",
        ]
    stratify = ", stratify=y[{rows}]" if plan.stratify else ""
    call = f"train_test_split({{rows}}, test_size={{part}}{stratify}, random_state={plan.seed})"
    if not rare:
        lines = _two(plan, call, "rows")
        return [lines[0].replace("split(rows", "split(np.arange(len(y))").replace("=y[rows]", "=y"), *lines[1:]]
    return [
        "_, which, counts = np.unique(y, return_inverse=True, return_counts=True)",
        f"rare = np.flatnonzero(counts[which] < {FEWEST})  # of classes too small to be split: all to train on",
        f"rows = np.flatnonzero(counts[which] >= {FEWEST})",
        *_two(plan, call, "rows"),
        "train = np.concatenate([train, rare])",
    ]


def _two(plan: Plan, call: str, rows: str) -> list[str]:
    """Return the line that takes the test from the rows, if it is taken from them, and the one for validation."""
    lines = [f"rest, test = {call.format(rows=rows, part=plan.test)}"] if plan.test else []
    return [*lines, f"train, validation = {call.format(rows='rest' if plan.test else rows, part=plan.validation)}"]


def has_rare(plan: Plan, y: Array) -> bool:
    """Say whether a class has so few rows that it cannot be split."""
    splits = plan.stratify and plan.time is None and plan.group is None
    return splits and bool(np.unique(y, return_counts=True)[1].min() < FEWEST)


def _at_random(plan: Plan, y: Array) -> tuple[Array, Array, Array]:
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    rows, alone = np.arange(len(y)), np.zeros(0, dtype=int)
    if has_rare(plan, y):
        _, which, counts = np.unique(y, return_inverse=True, return_counts=True)
        rows, alone = rows[counts[which] >= FEWEST], rows[counts[which] < FEWEST]
        if len(np.unique(y[rows])) < 2:
            raise ValueError(
                f"fewer than two classes have {FEWEST} rows or more: that is too few to train and to test."
            )
    test = rows[:0]
    for part in (plan.test, plan.validation):
        if part:
            stratify = y[rows] if plan.stratify else None
            try:
                rows, taken = train_test_split(rows, test_size=part, random_state=plan.seed, stratify=stratify)
            except ValueError:
                raise ValueError(
                    f"{len(y):,} rows are too few for parts to train, to validate and to test that each have all "
                    f"{len(np.unique(y))} classes: give more rows, or another --test or --validation."
                ) from None
            if part == plan.test and not len(test):
                test = taken
            else:
                validation = taken
    return np.concatenate([rows, alone]), validation, test


def _by_time(plan: Plan, frame: Any) -> tuple[Array, Array, Array]:
    values = frame[str(plan.time)]
    if plan.date_format is not None:
        values = dates.parse(values, plan.date_format)
    if holes := values.null_count():
        raise ValueError(
            f"--time-column: {plan.time!r} has no value, or one that is no date, in {holes:,} row(s): remove them."
        )
    rows = values.arg_sort().to_numpy()
    cut = len(rows) - (max(1, round(plan.test * len(rows))) if plan.test else 0)
    rows, test = rows[:cut], rows[cut:]
    cut = len(rows) - max(1, round(plan.validation * len(rows)))
    return rows[:cut], rows[cut:], test


def _by_group(plan: Plan, frame: Any) -> tuple[Array, Array, Array]:
    from sklearn.model_selection import GroupShuffleSplit  # noqa: PLC0415

    group = np.array(frame[str(plan.group)].cast(_string()).fill_null("(missing)").to_list(), dtype=np.str_)
    count = len(np.unique(group))
    if count < 3:
        raise ValueError(
            f"--group: {plan.group!r} has {count} groups: expected three or more, to train, validate and test."
        )
    rows, parts = np.arange(len(group)), []
    for part in ([plan.test] if plan.test else []) + [plan.validation]:
        a, b = next(GroupShuffleSplit(1, test_size=part, random_state=plan.seed).split(rows, groups=group[rows]))
        parts.append(rows[b])
        rows = rows[a]
    return rows, parts[-1], parts[0] if plan.test else rows[:0]


def _string() -> Any:

    return pl.String
