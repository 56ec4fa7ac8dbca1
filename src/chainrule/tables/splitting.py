"""Which rows are trained on, which decide when to stop, and which nobody sees until the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._typing import Array
from chainrule.tables import dates

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

FEWEST = 5  # rows of a class, to be split


@dataclass(frozen=True)
class Plan:
    """How to split: the part of the rows for the test (0: there is a file of its own), for validation, and by what."""

    test: float
    validation: float
    seed: int
    time: str | None = None
    group: str | None = None
    stratify: bool = False
    date_format: str | None = None  # of the time, where it is a text


def split(plan: Plan, frame: pl.DataFrame, y: Array) -> tuple[Array, Array, Array, str]:
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


def code(plan: Plan, rare: bool) -> list[str]:
    """Return the same as lines of Python, for variables ``frame``, ``y`` and ``rows``."""
    if plan.time is not None:
        when = f"frame[{plan.time!r}]"
        if plan.date_format is not None:
            when = f"frame.select({dates.code(plan.time, plan.date_format)}).to_series()"
        lines = [f"rows = {when}.arg_sort().to_numpy()  # the last rows are held out"]
        if plan.test:
            lines += [
                f"cut = len(rows) - round({plan.test} * len(rows))",
                "rows, test = rows[:cut], rows[cut:]",
            ]
        return [
            *lines,
            f"cut = len(rows) - round({plan.validation} * len(rows))",
            "train, validation = rows[:cut], rows[cut:]",
        ]
    if plan.group is not None:
        lines = [
            f"group = frame[{plan.group!r}].cast(pl.String).fill_null('(missing)').to_numpy().astype(str)",
            "rows = np.arange(frame.height)",
        ]
        parts = ([("rest", "test", plan.test)] if plan.test else []) + [("train", "validation", plan.validation)]
        for left, right, part in parts:
            lines += [
                f"split = GroupShuffleSplit(1, test_size={part}, random_state={plan.seed})",
                "a, b = next(split.split(rows, groups=group[rows]))",
                f"{left}, {right} = rows[a], rows[b]",
            ]
            lines += [f"rows = {left}"] if left == "rest" else []
        return lines
    lines = ["rows = np.arange(frame.height)"]
    if rare:
        lines += [
            "classes, which, counts = np.unique(y, return_inverse=True, return_counts=True)",
            f"alone = rows[counts[which] < {FEWEST}]  # of classes with so few rows that all are trained on",
            f"rows = rows[counts[which] >= {FEWEST}]",
        ]
    stratify = ", stratify=y[rows]" if plan.stratify else ""
    if plan.test:
        lines.append(f"rows, test = train_test_split(rows, test_size={plan.test}, random_state={plan.seed}{stratify})")
    lines.append(
        f"train, validation = train_test_split(rows, test_size={plan.validation}, random_state={plan.seed}{stratify})"
    )
    return [*lines, *(["train = np.concatenate([train, alone])"] if rare else [])]


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
                    f"{len(np.unique(y))} classes: give more rows, or a test of its own with --test FILE."
                ) from None
            if part == plan.test and not len(test):
                test = taken
            else:
                validation = taken
    return np.concatenate([rows, alone]), validation, test


def _by_time(plan: Plan, frame: pl.DataFrame) -> tuple[Array, Array, Array]:
    values = frame[str(plan.time)]
    if plan.date_format is not None:
        values = dates.parse(values, plan.date_format)
    if holes := values.null_count():
        raise ValueError(
            f"--time-column: {plan.time!r} has no value, or one that is no date, in {holes:,} row(s): remove them."
        )
    rows = values.arg_sort().to_numpy()
    cut = len(rows) - round(plan.test * len(rows))
    rows, test = rows[:cut], rows[cut:]
    cut = len(rows) - round(plan.validation * len(rows))
    return rows[:cut], rows[cut:], test


def _by_group(plan: Plan, frame: pl.DataFrame) -> tuple[Array, Array, Array]:
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
    from chainrule._extras import require  # noqa: PLC0415

    return require("polars", "tables").String
