"""Drift: which columns of new rows, and which predictions, are distributed differently from training."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.special import chi_squared_tail
from chainrule._internal.typing import Array
from chainrule.pages.formatting import short
from chainrule.pages.text import columns as in_columns
from chainrule.tables.formats import HOLE
from chainrule.tables.schema import Column, Schema
from chainrule.tables.serving.reference import Distribution, Reference, of_columns, of_predictions

PSI = 0.1  # from which on a distribution is said to have moved
LEVEL = 0.05  # chance of one false alarm or more, if nothing moved
FEWEST = 5  # expected rows in a bin of the test; smaller bins are pooled
HALF = 0.5  # a row added to each bin, so that the PSI with an empty one is finite


class Shift(NamedTuple):
    """How the distribution of a column, or of the predictions, differs from that of training.

    Parameters
    ----------
    name : str
    kind : str
        The kind of the column; "prediction" for the predictions.
    psi : float
        The population stability index.
    p_value : float
        Of the chi-squared test of the same bins, times the number of tests left (Holm).
    missing, missing_before : float
        The shares of missing values, of the new rows and in training.
    unseen : float
        The share of new rows with a category that training did not have, or a number beyond its range.
    change : str
        The largest difference in words: the medians, or the shares of one category.
    rows_needed : int or None
        The number of rows from which on a PSI at the limit is more than chance; None if training had too few.
    moved : bool
        Whether the PSI is at least the limit, and more than chance.
    """

    name: str
    kind: str
    psi: float
    p_value: float
    missing: float
    missing_before: float
    unseen: float
    change: str
    rows_needed: int | None
    moved: bool


@dataclass(frozen=True)
class Drift:
    """The comparison of new rows with those of training; it prints as a table with a verdict.

    Parameters
    ----------
    rows, rows_before : int
        The number of new rows, and of those of training that were counted.
    limit : float
        The least PSI of a distribution that has moved.
    shifts : tuple of Shift
        The columns, and the predictions, largest PSI first.
    """

    rows: int
    rows_before: int
    limit: float
    shifts: tuple[Shift, ...]

    @property
    def moved(self) -> tuple[str, ...]:
        """The names of the columns and predictions that have moved."""
        return tuple(shift.name for shift in self.shifts if shift.moved)

    @property
    def verdict(self) -> str:
        """The names of what moved in a sentence, and whether there are enough rows to be sure."""
        moved = [f"{shift.name} (PSI {short(shift.psi)})" for shift in self.shifts if shift.moved]
        more = f", and {len(moved) - 5:,} more" if len(moved) > 5 else ""
        said = f"{len(moved):,} of {len(self.shifts):,} moved: {', '.join(moved[:5])}{more}."
        if not moved:
            said = f"Nothing moved: every PSI is below {self.limit:g}, or could be chance."
        needed = [shift.rows_needed for shift in self.shifts]
        short_of = [n for n in needed if n is None or n > self.rows]
        if short_of:
            few = f"{self.rows:,} {'row is' if self.rows == 1 else 'rows are'} too few to be sure"
            some = len(short_of) < len(needed)
            of = f"of {len(short_of):,} of the {len(needed):,}" if some else f"of any of the {len(needed):,}"
            known = [n for n in short_of if n is not None]
            said += f" {few} {of}: "
            said += f"{max(known):,} are needed." if known else "training had too few rows as well."
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
        return {**asdict(self), "shifts": [s._asdict() for s in self.shifts], "moved": [*self.moved]}

    def __str__(self) -> str:
        head = ("", "PSI", "p", "missing", "unseen", "largest change")
        lines: list[tuple[str, ...]] = [head]
        for s in self.shifts:
            missing = "" if s.missing == s.missing_before == 0 else f"{_share(s.missing_before)} → {_share(s.missing)}"
            p = "<0.001" if s.p_value < 0.001 else f"{s.p_value:.3f}"
            name = f"{'! ' if s.moved else '  '}{s.name}"
            lines.append((name, f"{s.psi:.3f}", p, missing, _share(s.unseen) if s.unseen else "", s.change))
        return f"{in_columns(lines, align='lrrrrl')}\n\n{self.verdict}"


def drift(
    schema: Schema,
    reference: Reference,
    columns: Mapping[str, Array],
    predictions: tuple[Array, Array | None],
    seen: Mapping[str, Collection[str]],
    limit: float = PSI,
) -> Drift:
    r"""Compare columns as read, and their predictions, with the distributions of training.

    With the shares :math:`p_i` of the rows of training in each bin, and :math:`q_i` of the new rows, the population
    stability index is :math:`\sum_i (q_i - p_i) \ln (q_i / p_i)`: by convention 0.1 is a change, 0.25 a large one. The
    bins are the deciles of numbers or the values of a category, and one for missing values. Without drift it is about
    :math:`(1/n + 1/m)` times a :math:`\chi^2` variable with one degree of freedom less than bins, for n and m rows;
    so a few rows have a large one by chance, which Pearson's test of the same counts tells apart.

    Sources: Siddiqi, "Credit Risk Scorecards" (2006), for the index; Yurdakul and Naranjo, "Statistical properties of
    the population stability index" (2020), for its distribution; Holm, "A simple sequentially rejective multiple test
    procedure" (1979).
    """
    new = of_columns(columns, schema)
    of = {column.name: column for column in schema.used}
    pairs = [(name, of[name].kind, before, new[name]) for name, before in reference.columns.items()]
    found = of_predictions(schema, *predictions)
    pairs += [(n, "prediction", before, found[n]) for n, before in reference.predictions.items() if n in found]
    shifts = []
    for name, kind, before, x in pairs:
        counts, known = before.counted(x), np.array(before.counts)
        p, needed = _tested(known, counts, limit)
        column = of.get(name) if kind != "prediction" else None
        unseen = _unseen(column, x, seen) if column else 0.0
        missing = float(counts[-1] / counts.sum())
        change = _change(column, before, x, counts)
        shifts.append(Shift(name, kind, psi(known, counts), p, missing, before.missing, unseen, change, needed, False))
    rows = max((before.rows for before in reference.columns.values()), default=0)
    count = len(next(iter(new.values())))
    return Drift(count, rows, limit, tuple(sorted(_adjusted(shifts, limit), key=lambda s: (not s.moved, -s.psi))))


def psi(before: Array, after: Array) -> float:
    """Return the population stability index of two rows of counts; half a row is added to each bin.

    >>> round(psi(np.array([500, 500]), np.array([300, 700])), 3)
    0.169
    """
    used = (before > 0) | (after > 0)
    p, q = (counts[used] + HALF for counts in (before, after))
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def _tested(before: Array, after: Array, limit: float) -> tuple[float, int | None]:
    """Return the p-value of Pearson's test that two rows of counts have the same shares, and the rows needed."""
    both = before + after
    small = both * min(before.sum(), after.sum()) / both.sum() < FEWEST
    parts = [np.append(counts[~small], counts[small].sum()).astype(float) for counts in (before, after)]
    parts = [part[parts[0] + parts[1] > 0] for part in parts]
    freedom = len(parts[0]) - 1
    p = 1.0
    if freedom > 0:
        total = parts[0] + parts[1]
        expected = [total * part.sum() / total.sum() for part in parts]
        squares = sum(float(np.sum((a - e) ** 2 / e)) for a, e in zip(parts, expected, strict=True))
        p = chi_squared_tail(squares, freedom)
    bins = int(np.count_nonzero(before > 0))
    most = limit / _quantile(max(1, bins - 1)) - 1 / max(1, before.sum())
    return p, math.ceil(1 / most) if most > 0 else None


def _quantile(freedom: int) -> float:
    """Return the value that a chi-squared variable exceeds with the chance :data:`LEVEL`, by bisection."""
    low, high = 0.0, 10.0 * freedom + 10
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chi_squared_tail(middle, freedom) > LEVEL else (low, middle)
    return high


def _adjusted(shifts: list[Shift], limit: float) -> list[Shift]:
    """Return the shifts with Holm's p-values, and whether each has moved."""
    order = sorted(range(len(shifts)), key=lambda i: shifts[i].p_value)
    found, largest = [*shifts], 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, shifts[i].p_value * (len(shifts) - rank)))
        found[i] = shifts[i]._replace(p_value=largest, moved=largest <= LEVEL and shifts[i].psi >= limit)
    return found


def _unseen(column: Column, x: Array, seen: Mapping[str, Collection[str]]) -> float:
    """Return the share of rows with a value that training did not have."""
    if x.dtype.kind != "f":
        known = seen.get(column.name)
        return 0.0 if known is None else float(np.mean([v != HOLE and v not in known for v in x.tolist()]))
    ends = [_number(end) for end in (column.low, column.high)]
    if column.kind == "text" or None in ends:
        return 0.0
    return float(np.mean((x < ends[0]) | (x > ends[1])))


def _number(end: float | str | None) -> float | None:
    if not isinstance(end, str):
        return end
    return (dt.datetime.fromisoformat(end) - dt.datetime(1970, 1, 1)) / dt.timedelta(seconds=1)


def _change(column: Column | None, before: Distribution, x: Array, counts: Array) -> str:
    """Return the medians of numbers, or the shares of the value that changed most."""
    if before.quantiles:
        known = x[np.isfinite(x)]
        if not len(known):
            return "all missing"
        ends = before.quantiles[len(before.quantiles) // 2], float(np.median(known))
        if column is not None and column.kind == "date":
            old, new = (_date(end) for end in ends)
        else:
            old, new = map(short, ends)
        words = " words" if column is not None and column.kind == "text" else ""
        return f"median {old} → {new}{words}"
    p, q = (part / max(1, part.sum()) for part in (np.array(before.counts), counts))
    i = int(np.argmax(np.abs(q - p)[:-1]))
    name = before.values[i] if i < len(before.values) else "others"
    return f"{name} {_share(p[i])} → {_share(q[i])}"


def _date(seconds: float) -> str:
    return (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)).date().isoformat()


def _share(share: float) -> str:
    return f"{100 * share:.1f}%"
