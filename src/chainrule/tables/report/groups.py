r"""Scores of groups of rows, and which groups differ from all other rows by more than chance.

If a group is like any other set of as many rows, the sum of its rows' losses (0 for a correct and 1 for a wrong
prediction, or the squared error) is that of rows drawn at random without replacement. For right and wrong, that is
Fisher's exact test. Other losses have a gamma distribution with the three moments of such a sum, and a few huge errors
could mislead it: the ranks of the losses must agree. The p-values are corrected for the number of groups (Holm).

Sources: Fisher, "The design of experiments" (1935); Mielke and Berry, "Permutation methods: a distance function
approach" (2007), on the gamma distribution; Wilcoxon, "Individual comparisons by ranking methods" (1945); Holm, "A
simple sequentially rejective multiple test procedure" (1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.names import did_you_mean
from chainrule._internal.typing import Array
from chainrule.pages.formatting import MISSING, clean, listed, rows
from chainrule.tables import scores
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.checking import check
from chainrule.tables.report.scoring import score_texts
from chainrule.tables.report.uncertainty import as_numbers, interval
from chainrule.tables.result import HeldOut
from chainrule.tables.schema import Schema

SHOWN = 12  # groups of a column: those that differ, and the largest
PARTS = 4  # of a column of numbers or dates, with as many rows each
VALUES = 12  # distinct numbers that are groups by themselves
LEVEL = 0.05  # chance that one group or more is said to differ if none does
NAMED = 5  # groups in a sentence

__all__ = ["Group", "Grouped", "found", "scored", "sentence"]


class Group(NamedTuple):
    """The scores of a group of rows.

    Parameters
    ----------
    name : str
    rows : int
    score, low, high : float
        The main score (accuracy or RMSE), with its 95% interval.
    second : float
        The log loss or the MAE.
    others : float
        The main score of all other rows.
    p_value : float
        Of the hypothesis that the group is like other rows, times the number of tests left (Holm); NaN if not tested.
    small : bool
        Whether the group has too few rows for twice the mean loss to be more than chance.
    """

    name: str
    rows: int
    score: float
    low: float
    high: float
    second: float
    others: float
    p_value: float = math.nan
    small: bool = False

    @property
    def differs(self) -> bool:
        """Whether the main score differs from that of all other rows by more than chance."""
        return self.p_value <= LEVEL


@dataclass(frozen=True)
class Grouped:
    """The scores of the groups of one column: those of ``shown`` groups, and ``more`` smaller ones.

    ``differing`` and ``small`` are the groups that differ, and those that are too small to tell, shown or not.
    """

    column: str
    measures: tuple[str, str]
    shown: tuple[Group, ...]
    more: int
    differing: tuple[Group, ...]
    small: tuple[Group, ...]


def found(schema: Schema, frame: pl.DataFrame, name: str) -> dict[str, Array]:
    """Return the rows with each value of a column; numbers and dates are cut in quarters. Missing ones are last."""
    if name not in frame.columns:
        raise ValueError(f"--by: there is no column {name!r}. {did_you_mean(name, frame.columns)}")
    values = _typed(frame, schema, name)
    missing = values.is_null() | (values.is_nan() if values.dtype.is_float() else False)
    place = np.flatnonzero((~missing).to_numpy())
    present = values.filter(~missing)
    made: dict[str, Array] = {}
    ordered = values.dtype.is_numeric() or values.dtype.is_temporal()
    if ordered and present.n_unique() > VALUES:
        ranks = present.to_physical().to_numpy()
        cuts = np.unique(np.quantile(ranks, np.linspace(0, 1, PARTS + 1)[1:-1], method="inverted_cdf"))
        part = np.searchsorted(cuts, ranks, "left")
        parts = [mine for i in range(len(cuts) + 1) if len(mine := np.flatnonzero(part == i))]
        ends = [(present[mine.tolist()].min(), present[mine.tolist()].max()) for mine in parts]
        names = [f"{_text(low)} to {_text(high)}" for low, high in ends]
        if len({*names}) < len(names):  # digits that differ were rounded away
            names = [f"{low} to {high}" for low, high in ends]
        made = dict(zip(names, (place[mine] for mine in parts), strict=True))
    else:
        texts = pl.Series([_text(value) for value in present.to_list()], dtype=pl.String)
        order = pl.DataFrame({"text": texts, "key": present if ordered else texts, "row": place})
        for text, of in order.group_by("text").agg("row", pl.col("key").min()).sort("key").select("text", "row").rows():
            made[text] = np.array(of)
    if len(place) < len(values):
        name = MISSING if MISSING not in made else f"{MISSING} "  # a text of this name is another group
        made[name] = np.flatnonzero(missing.to_numpy())
    return made


def _typed(frame: pl.DataFrame, schema: Schema, name: str) -> pl.Series:
    """Return a column as the network takes numbers and dates, even if dropped; else as numbers if all texts are."""
    column = next((column for column in schema.columns if column.name == name), None)
    if column is not None and column.kind in ("number", "date"):
        alone = (replace(column, dropped="", optional=True),)
        return cast(check(frame.select(name), replace(schema, columns=alone), coerce=True)[0], alone)[name]
    values = frame[name]
    numbers = values.cast(pl.Float64, strict=False) if values.dtype == pl.String else values
    return numbers if numbers.null_count() == values.null_count() else values


def _text(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    return str(value).removesuffix(" 00:00:00")


def scored(schema: Schema, held: HeldOut, by: Mapping[str, Mapping[str, Array]]) -> tuple[Grouped, ...]:
    """Return the scores of groups of rows, by column; the tests are corrected for the groups of all columns.

    Examples
    --------
    >>> from chainrule.tables.schema import Column
    >>> price, y = Column("price", "number"), np.arange(200.0)
    >>> held = HeldOut(pl.DataFrame({"price": y}), y, y + np.where(y < 50, 5.0, 1.0))
    >>> of = scored(Schema((), (price,), "regression"), held, {"size": {"S": np.arange(50), "L": np.arange(50, 200)}})
    >>> [(group.name, group.score, group.others, group.differs) for group in of[0].shown]
    [('S', 5.0, 1.0, True), ('L', 1.0, 5.0, True)]
    """
    losses = scores.per_row(schema.task, held.y, held.predictions)
    parts = [part for groups in by.values() for part in groups.values()]
    n, total = np.array([len(part) for part in parts], float), np.array([losses[part].sum() for part in parts])
    p_values, small = _tested(losses, parts, n, total, [len(groups) for groups in by.values()])
    with np.errstate(divide="ignore", invalid="ignore"):
        ours, others = (_main(schema.task, loss) for loss in (total / n, (losses.sum() - total) / (len(losses) - n)))
    names = [name for groups in by.values() for name in groups]
    nothing = (math.nan,) * 3
    every = [
        Group(name, len(part), float(ours[i]), *nothing, float(others[i]), float(p_values[i]), bool(small[i]))
        for i, (name, part) in enumerate(zip(names, parts, strict=True))
    ]
    y, predicted = (as_numbers(schema, values) for values in (held.y, held.predictions))
    made, first = [], 0
    for column, groups in by.items():
        mine = range(first, first := first + len(groups))
        differing = sorted((i for i in mine if every[i].differs), key=lambda i: (p_values[i], -n[i]))
        largest = sorted(mine, key=lambda i: -n[i])
        shown = sorted([*dict.fromkeys([*differing, *largest])][:SHOWN])
        measured = tuple(_measured(schema, held, every[i], parts[i], y, predicted) for i in shown)
        told = (tuple(every[i] for i in which) for which in (differing, [i for i in largest if small[i]]))
        made.append(Grouped(column, _measures(schema.task), measured, len(groups) - len(shown), *told))
    return tuple(made)


def _measures(task: str) -> tuple[str, str]:
    return ("RMSE", "MAE") if task == "regression" else ("accuracy", "log loss")


def _main(task: str, loss: Array) -> Array:
    """Return the main score from a mean loss."""
    return np.sqrt(np.maximum(loss, 0.0)) if task == "regression" else 1 - loss


def _measured(schema: Schema, held: HeldOut, group: Group, part: Array, y: Array, predicted: Array) -> Group:
    """Return a group with the interval of its main score, and its second score."""
    main, second = _measures(schema.task)
    p = None if held.probabilities is None else held.probabilities[part]
    low, high = interval(main, group.score, schema.task, y[part], predicted[part], p)
    measured = scores.measure(schema.task, held.y[part], held.predictions[part], p, schema.classes)
    return group._replace(low=low, high=high, second=measured[second])


def _tested(losses: Array, parts: Sequence[Array], n: Array, total: Array, sizes: Sequence[int]) -> tuple[Array, Array]:
    """Return the p-values of groups after Holm's correction, and whether they are too small for twice the mean loss.

    ``sizes`` are the numbers of groups of each column; the two groups of a column are one test.
    """
    p_value, small = np.full(len(n), np.nan), np.zeros(len(n), bool)
    if len(losses) < 3 or not np.isfinite(losses).all() or not len(n):
        return p_value, small
    starts = np.cumsum([0, *sizes[:-1]])
    twin = np.array([start + 1 for start, size in zip(starts, sizes, strict=True) if size == 2], int)
    tests = np.setdiff1d(np.flatnonzero(n < len(losses)), twin)
    if not len(tests) or losses.min() == losses.max():
        return p_value, small
    losses, total = losses / losses.max(), total / losses.max()
    raw = _chance(losses, n, total)
    if not _is_right_or_wrong(losses):
        from scipy.stats import rankdata  # noqa: PLC0415  (start-up time)

        ranks = rankdata(losses)
        raw = np.maximum(raw, _chance(ranks, n, np.array([ranks[part].sum() for part in parts])))
    order = tests[np.argsort(raw[tests], kind="stable")]
    left = np.arange(len(tests), 0, -1)
    p_value[order] = np.minimum(1.0, np.maximum.accumulate(left * raw[order]))
    p_value[twin] = p_value[twin - 1]
    doubled = np.minimum(2 * n * losses.mean(), np.minimum(n, losses.sum()))
    doubled = np.ceil(doubled) if _is_right_or_wrong(losses) else doubled
    small = (_chance(losses, n, doubled) > LEVEL / len(tests)) & (2 * n <= len(losses))
    return p_value, small


def _is_right_or_wrong(losses: Array) -> bool:
    return bool(np.isin(losses, (0, 1)).all())


def _chance(losses: Array, n: Array, total: Array) -> Array:
    """Return twice the chance that ``n`` rows drawn at random have a sum of losses as far out as ``total``.

    >>> _chance(np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), np.array([2.0]), np.array([2.0])).round(3)  # 2 / 15
    array([0.133])
    """
    from scipy.stats import hypergeom, pearson3  # noqa: PLC0415  (start-up time)

    count = len(losses)
    if _is_right_or_wrong(losses):
        of = hypergeom(count, int(losses.sum()), n.astype(int))
        total = np.round(total)
        return np.minimum(1.0, 2 * np.minimum(of.cdf(total), of.sf(total - 1)))
    d = losses - losses.mean()
    chosen = n * (count - n) / (count - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(chosen * np.mean(d**2))
        skew = chosen * (count - 2 * n) / (count - 2) * np.mean(d**3) / spread**3
        z = (total - n * losses.mean()) / spread
    known = spread > 0
    p = np.ones(len(n))
    tails = pearson3.cdf(z[known], skew[known]), pearson3.sf(z[known], skew[known])
    p[known] = np.minimum(1.0, 2 * np.minimum(*tails))
    return p


def sentence(grouped: Sequence[Grouped]) -> str:
    """Return which groups differ from all other rows by more than chance, and which are too small to tell."""
    name = grouped[0].measures[0]
    worse: list[str] = []
    better: list[str] = []
    small: list[str] = []
    for of in grouped:
        for group in of.differing:
            ours, theirs = score_texts(name, [group.score, group.others])
            lower = group.score < group.others
            (worse if lower == (name == "accuracy") else better).append(
                f"{_named(of, group)} ({ours} vs. {theirs} for all other rows)"
            )
        small += [f"{_named(of, group)} ({rows(group.rows)})" for group in of.small if not group.differs]
    if all(math.isnan(group.p_value) for of in grouped for group in of.shown):
        return "There is nothing to compare: all rows are in one group, or all have the same error."
    if not worse and not better:
        said = f"No difference in {name} between a group and all other rows is more than chance"
    else:
        parts = [f"is {how} for {listed(of, NAMED)}" for how, of in (("worse", worse), ("better", better)) if of]
        said = f"By more than chance, {name} {', and '.join(parts)}"
    said += f" (at {LEVEL:.0%}, with Holm's correction for the number of groups)."
    if small:
        twice = "twice the squared error" if name == "RMSE" else "twice as many errors"
        said += f" Too few rows to tell {twice} from chance: {listed(small, NAMED)}."
    return said


def _named(of: Grouped, group: Group) -> str:
    return f"{clean(of.column, 30)}: {clean(group.name, 30)}"
