"""The split of a table's rows into training, validation and test rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.formatting import rows as counted
from chainrule.tables import dates
from chainrule.tables._polars import pl

MIN_CLASS_ROWS = 5  # rows of a class that is split; a smaller one is trained on


@dataclass(frozen=True)
class SplitRule:
    """How to split rows: the share of the test (0 if it has its own file), that of validation (0 for none), and how.

    Instead of a share, a part may be an integer, the number of its rows.
    """

    test: float
    validation: float
    seed: int
    time: str | None = None
    group: str | None = None
    stratify: bool = False
    date_format: str | None = None  # of the time, if it is text


def sized(rule: SplitRule, y: Array) -> SplitRule:
    """Return the rule with one row per class for each part that would have fewer rows than classes.

    >>> sized(SplitRule(0.2, 0.125, 0, stratify=True), np.repeat(np.arange(9), 7))
    SplitRule(test=0.2, validation=9, seed=0, time=None, group=None, stratify=True, date_format=None)
    """
    if not rule.stratify or rule.time is not None or rule.group is not None:
        return rule
    counts = np.unique(y, return_counts=True)[1]
    rows, classes = int(counts[counts >= MIN_CLASS_ROWS].sum()), int((counts >= MIN_CLASS_ROWS).sum())
    test = _enough(rule.test, rows, classes)
    rest = rows - (test if isinstance(test, int) else math.ceil(test * rows))
    return replace(rule, test=test, validation=_enough(rule.validation, rest, classes))


def _enough(part: float, rows: int, classes: int) -> float:
    return classes if part and math.ceil(part * rows) < classes else part


def split(rule: SplitRule, frame: Any, y: Array) -> tuple[Array, Array, Array, str]:
    """Return the numbers of the training, validation and test rows, and how they were chosen, in words.

    >>> import polars as pl
    >>> y = np.repeat([0, 1], [80, 20])
    >>> train, validation, test, how = split(SplitRule(0.2, 0.1, 0, stratify=True), pl.DataFrame({"y": y}), y)
    >>> len(train), len(validation), len(test), float(y[test].mean())
    (72, 8, 20, 0.2)
    """
    if rule.time is not None and rule.group is not None:
        raise ValueError("--time-column and --group are mutually exclusive.")
    which = np.unique(y, return_inverse=True)[1] if rule.stratify else y  # numbers: faster than texts
    if rule.time is not None:
        parts, how = _by_time(rule, frame), f"the last rows by {rule.time!r}"
    elif rule.group is not None:
        parts, how = _by_group(rule, frame), f"random whole groups of {rule.group!r}"
    else:
        how = "random rows" + (", with the same share of each class" if rule.stratify else "")
        parts = _at_random(rule, which)
    if rule.stratify:
        known = np.bincount(which[parts[0]], minlength=which.max() + 1) > 0
        for rows, what in ((parts[1], "validate"), (parts[2], "test")):
            if len(new := rows[~known[which[rows]]]):
                name = min(y[new].tolist(), key=str)
                raise ValueError(
                    f"the class {name!r} has rows to {what} but none to train on ({how}): hold out other rows, or give "
                    "more of them."
                )
    return (*parts, how)


def drawn(rows: int, most: int, seed: int) -> Array | None:
    """Return a sorted random sample of at most ``most`` row numbers; None for all rows.

    >>> drawn(10, 3, seed=0), drawn(3, 3, seed=0)
    (array([5, 6, 9]), None)
    """
    if rows <= most:
        return None
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def code(rule: SplitRule, frame: pl.DataFrame, *, rare: bool) -> list[str]:
    """Return the split as lines of Python, for variables ``frame`` and ``y``."""
    if rule.time is not None:
        when, lines = f"frame[{rule.time!r}]", []
        if rule.date_format is not None:
            lines = [f"when = {dates.code(rule.time, rule.date_format, frame.schema[rule.time])}"]
            when = "frame.select(when).to_series()"
        call = "np.split({rows}, [len({rows}) - max(1, round({part} * len({rows})))])"
        return [*lines, f"rows = {when}.arg_sort().to_numpy()  # the last ones are held out", *_two(rule, call)]
    if rule.group is not None:
        text = "" if frame.schema[rule.group] == pl.String else ".cast(pl.String)"
        filled = '.fill_null("(missing)")' if frame[rule.group].null_count() else ""
        call = (
            f"next(GroupShuffleSplit(1, test_size={{part}}, random_state={rule.seed}).split({{rows}}, groups={{rows}}))"
        )
        groups_of = f"groups = frame[{rule.group!r}]{text}{filled}.to_numpy()"
        if not (rule.test and rule.validation):
            return [groups_of, *_two(rule, call, "groups")]
        return [
            groups_of,
            f"rest, test = {call.format(part=rule.test, rows='groups')}",
            f"a, b = {call.format(part=rule.validation, rows='groups[rest]')}",
            "train, validation = rest[a], rest[b]",
        ]
    stratify = ", stratify=y[{rows}]" if rule.stratify else ""
    call = f"train_test_split({{rows}}, test_size={{part}}{stratify}, random_state={rule.seed})"
    if not rare:
        first, *rest = _two(rule, call)
        first = first.replace("= rows", "= np.arange(len(y))").replace("split(rows", "split(np.arange(len(y))")
        return [first.replace("=y[rows]", "=y"), *rest]
    return [
        "_, which, counts = np.unique(y, return_inverse=True, return_counts=True)",
        f"rare = np.flatnonzero(counts[which] < {MIN_CLASS_ROWS})  # classes too small to split, which are trained on",
        f"rows = np.flatnonzero(counts[which] >= {MIN_CLASS_ROWS})",
        *_two(rule, call),
        "train = np.concatenate([train, rare])",
    ]


def groups(name: str, frame: Any) -> Array:
    """Return the group of each row, as text."""
    return np.array(frame[name].cast(pl.String).fill_null("(missing)").to_list(), dtype=np.str_)


def _two(rule: SplitRule, call: str, rows: str = "rows") -> list[str]:
    """Return the line that splits off the test, if the rows include it, and the one that splits off validation."""
    if not rule.validation:
        every = "rows" if rows == "rows" else f"np.arange(len({rows}))"
        return [f"train, test = {call.format(rows=rows, part=rule.test)}" if rule.test else f"train = {every}"]
    lines = [f"rest, test = {call.format(rows=rows, part=rule.test)}"] if rule.test else []
    return [*lines, f"train, validation = {call.format(rows='rest' if rule.test else rows, part=rule.validation)}"]


def has_rare(rule: SplitRule, y: Array) -> bool:
    """Return whether a class has too few rows to be split."""
    splits = rule.stratify and rule.time is None and rule.group is None
    return splits and bool(np.unique(y, return_counts=True)[1].min() < MIN_CLASS_ROWS)


def _at_random(rule: SplitRule, y: Array) -> tuple[Array, Array, Array]:
    from sklearn.model_selection import train_test_split  # noqa: PLC0415  (start-up time)

    rows, alone, parts = np.arange(len(y)), np.zeros(0, dtype=int), []
    if has_rare(rule, y):
        _, which, counts = np.unique(y, return_inverse=True, return_counts=True)
        rows, alone = rows[counts[which] >= MIN_CLASS_ROWS], rows[counts[which] < MIN_CLASS_ROWS]
        if len(np.unique(y[rows])) < 2:
            raise ValueError(f"fewer than two classes have at least {MIN_CLASS_ROWS} rows: too few to train and test.")
    for part in (rule.test, rule.validation):
        taken = rows[:0]
        try:
            if part:
                stratify = y[rows] if rule.stratify else None
                rows, taken = train_test_split(rows, test_size=part, random_state=rule.seed, stratify=stratify)
        except ValueError:
            raise ValueError(
                f"{len(y):,} rows are too few for training, validation and test parts that each contain all "
                f"{len(np.unique(y))} classes: give more rows, or another --test or --validation."
            ) from None
        parts.append(taken)
    return np.concatenate([rows, alone]), parts[1], parts[0]


def _by_time(rule: SplitRule, frame: Any) -> tuple[Array, Array, Array]:
    values = frame[str(rule.time)]
    if rule.date_format is not None:
        values = dates.parse(values, rule.date_format)
    if missing := values.null_count():
        said = f"expected a time in every row, but it is missing or invalid in {counted(missing)}."
        raise ValueError(f"--time-column: {rule.time!r}: {said}")
    rows, parts = values.arg_sort().to_numpy(), []
    for part in (rule.test, rule.validation):
        cut = len(rows) - (max(1, round(part * len(rows))) if part else 0)
        parts.append(rows[cut:])
        rows = rows[:cut]
    return rows, parts[1], parts[0]


def _by_group(rule: SplitRule, frame: Any) -> tuple[Array, Array, Array]:
    from sklearn.model_selection import GroupShuffleSplit  # noqa: PLC0415  (start-up time)

    group = groups(str(rule.group), frame)
    count = len(np.unique(group))
    if count < 3:
        raise ValueError(
            f"--group: {rule.group!r} has {count} groups: expected three or more, to train, validate and test."
        )
    rows, parts = np.arange(len(group)), []
    for part in (rule.test, rule.validation):
        a, b = np.arange(len(rows)), rows[:0]
        if part:
            splitter = GroupShuffleSplit(1, test_size=part, random_state=rule.seed)
            a, b = next(splitter.split(rows, groups=group[rows]))
        parts.append(rows[b])
        rows = rows[a]
    return rows, parts[1], parts[0]
