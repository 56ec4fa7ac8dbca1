"""Counterfactuals: the nearest changes of a row, to values of other rows, that change the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.names import did_you_mean
from chainrule._internal.typing import Array
from chainrule.pages import text
from chainrule.pages.blocks import Block, Heading, Row, Table, Text
from chainrule.pages.formatting import clean, fixed, rows, short
from chainrule.tables.formats import HOLE
from chainrule.tables.serving.explained import of_columns, one_row, shown, some_rows
from chainrule.tables.serving.goals import goal, predicted, said
from chainrule.tables.serving.model import TableModel
from chainrule.tables.serving.search import MOST_COLUMNS, Candidates, search

TITLE = "What would change the answer"
NAME, VALUE = 20, 18  # characters
WIDTH = 80
HOW = (
    "Distance: for a number or date, the share of background rows between the two values; 1 for any other change; "
    "summed. The changed rows were predicted; the changes say what the network would predict, not what would happen."
)


class Change(NamedTuple):
    """The change of one column.

    Examples
    --------
    >>> Change("plan", "free", "pro").after
    'pro'
    """

    column: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Counterfactual:
    """A change of a row that changes the prediction.

    Attributes
    ----------
    changes : tuple of Change
    distance : float
        The sum over the changes: for a number or date, the share of background rows between the two values, and 1 for
        any other change.
    prediction : str, int or float
        The prediction for the changed row: a class, a number, or the value of the label.
    probability : float, optional
        The probability of that class.
    row : dict
        The changed row.

    Examples
    --------
    >>> nearest = Counterfactual((Change("plan", "free", "pro"),), 1.0, "no", 0.9, {"age": 41, "plan": "pro"})
    >>> [change.column for change in nearest.changes], nearest.prediction
    (['plan'], 'no')
    """

    changes: tuple[Change, ...]
    distance: float
    prediction: Any
    probability: float | None
    row: dict[str, Any]


@dataclass(frozen=True)
class Counterfactuals:
    """The nearest changes of a row that change the prediction, as :func:`counterfactuals` returns them.

    Attributes
    ----------
    wanted : str
        The wanted prediction, such as "churned = no".
    prediction : str
        The prediction for the row, such as "churned = yes".
    found : tuple of Counterfactual
        The nearest first; all change as many columns, and different ones.
    reached : bool
        Whether the row has the wanted prediction as it is.
    exhaustive : bool
        Whether all combinations were tried; if not, the most promising ones.
    columns : int
        The number of columns that may change.
    background : str
        The rows whose values were tried, in words.

    ``print`` shows a table of up to 80 characters in width.

    Examples
    --------
    >>> found = Counterfactuals("left = no", "left = no", (), True, True, 2, "40 rows of the background")
    >>> found.reached, found.found
    (True, ())
    """

    wanted: str
    prediction: str
    found: tuple[Counterfactual, ...]
    reached: bool
    exhaustive: bool
    columns: int
    background: str

    def blocks(self) -> list[Block]:
        """Return the changes as part of a page."""
        start = "" if self.reached else f"from {self.prediction} "
        heading = Heading(TITLE, f"{start}to {self.wanted}", "counterfactuals")
        if self.reached:
            return [
                heading,
                Text(f"The prediction for this row is {self.prediction}: nothing has to change.", "result"),
            ]
        if self.found:
            return [heading, self._table(), Text(HOW, "soft")]
        limit = f"up to {min(MOST_COLUMNS, self.columns)} of {rows(self.columns, 'column')}"
        tried = f"to values of {self.background}"
        if self.exhaustive:
            return [heading, Text(f"None: no change of {limit} {tried} leads to {self.wanted}.", "result")]
        found = f"None found: no change of {limit} {tried} that was tried leads to {self.wanted}"
        return [heading, Text(f"{found}. There are too many to try all: the most promising ones were tried.", "result")]

    def _table(self) -> Table:
        lines: list[Row] = []
        for one in self.found:
            p = "" if one.probability is None else f" ({fixed(one.probability, 2)})"
            predicted = short(one.prediction) if isinstance(one.prediction, float) else clean(one.prediction, VALUE)
            ends = (f"{predicted}{p}", fixed(one.distance, 3))
            for i, change in enumerate(one.changes):
                before, after = (shown(value, VALUE) for value in (change.before, change.after))
                lines.append((f"{'and ' * (i > 0)}{clean(change.column, NAME)}", before, after, *ends))
                ends = "", ""
        return Table(("column", "from", "to", "prediction", "distance"), tuple(lines), "llllr")

    def __str__(self) -> str:
        heading, *blocks = self.blocks()
        about = heading.about if isinstance(heading, Heading) else ""
        return text.plain(TITLE, about, blocks, WIDTH).rstrip("\n")


def counterfactuals(
    model: TableModel,
    row: Any,
    background: Any = None,
    *,
    wanted: Any = None,
    label: Any = None,
    fixed: Sequence[str] = (),
    rows: int = 1000,
    seed: int = 0,
) -> Counterfactuals:
    """Return the nearest changes of one row that change the prediction: few columns, and small changes.

    One column is changed if that suffices, or else two, or three: each to a value that a row of the background has.
    Among changes of as many columns, the nearest are those with the smallest distance: the share of background rows
    between the two values of a number or date, and 1 for any other change, summed.

    Parameters
    ----------
    model : TableModel
        From :func:`chainrule.load`.
    row : dict, or a data frame with one row
    background : rows, as :meth:`TableModel.predict` takes them, optional
        Rows with values that occur, such as some of the training rows. By default, values are drawn from the
        distributions of training.
    wanted : optional
        The wanted class; by default any other than the predicted one. For a number, it is required: 100 for at least
        100 where the prediction is less, and for at most 100 where it is more; or "above 100" or "below 100".
    label : optional
        For several labels: the one to change; by default the first that is predicted.
    fixed : sequence of str
        Columns that must not change.
    rows : int
        The largest number of background rows: if there are more, this many are drawn.
    seed : int
        Random seed for the rows of the background.

    Returns
    -------
    Counterfactuals

    Raises
    ------
    ValueError
        If a value does not fit its column, there are no rows, or the wanted prediction does not exist.

    Notes
    -----
    All combinations are tried if they are not too many. Otherwise, combinations of two and three columns are tried of
    the columns that alone bring the prediction nearest to the wanted one, at values that do so more than any nearer
    value; and ``exhaustive`` is false.

    Examples
    --------
    >>> import chainrule as cr, polars as pl, tempfile
    >>> frame = pl.DataFrame({"age": [*range(20, 40)] * 2, "plan": ["pro", "free"] * 20, "left": ["no", "yes"] * 20})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = cr.tables.save(cr.tables.train(frame, "left", fast=True), folder + "/customers")
    ...     model = cr.load(folder + "/customers")
    >>> nearest = cr.tables.counterfactuals(model, {"age": 41, "plan": "free"}, frame).found[0]
    >>> nearest.changes, nearest.prediction
    ((Change(column='plan', before='free', after='pro'),), 'no')

    Sources: Wachter, Mittelstadt and Russell, "Counterfactual explanations without opening the black box" (2018);
    values of other rows: Brughmans, Leyman and Martens, "NICE: an algorithm for nearest instance counterfactual
    explanations" (2023); shares of rows as distances: Ustun, Spangher and Liu, "Actionable recourse in linear
    classification" (2019).
    """
    given = one_row(row)
    others, words = some_rows(model, given, background, rows, seed)
    names = [column.name for column in model.schema.used]
    fixed = [fixed] if isinstance(fixed, str) else [*fixed]
    for name in fixed:
        if name not in names:
            raise ValueError(f"fixed: the model has no column {name!r}. {did_you_mean(name, names)}")
    here, there = model.read(given), model.read(others)
    x, X = model.prepare(here), model.prepare(there)
    y, p = model.outputs(x)
    wished = goal(model, wanted, label, y, p)
    candidates = _candidates(model, here, there, x[0], X, fixed)

    def judge(Z: Array) -> tuple[Array, Array]:
        found = model.outputs(Z)
        return wished.reached(*found), wished.nearness(*found)

    reached = bool(wished.reached(y, p)[0])
    sets, exhaustive = ([], True) if reached else search(candidates, x[0], X, of_columns(model), judge)
    found = []
    for one in sets:
        changes = tuple(
            Change(names[c], given.get(names[c]), others[names[c]][r])
            for c, r in zip(candidates.column[one].tolist(), candidates.source[one].tolist(), strict=True)
        )
        changed = {**given, **{change.column: change.after for change in changes}}
        results = model.predictions(model.read(changed))
        if wished.reached(*results)[0]:
            distance = float(candidates.distance[one].sum())
            found.append(Counterfactual(changes, distance, *predicted(model, label, y, *results), changed))
    words_now, free = said(model, label, y, p), len(names) - len({*fixed})
    return Counterfactuals(wished.about, words_now, tuple(found), reached, exhaustive, free, words)


def _candidates(
    model: TableModel, here: dict[str, Array], there: dict[str, Array], x: Array, X: Array, fixed: Sequence[str]
) -> Candidates:
    """Return the values that columns may change to: those of the background, without missing ones."""
    of = of_columns(model)
    parts: list[tuple[Array, Array, Array]] = []
    for i, column in enumerate(model.schema.used):
        if column.name in fixed:
            continue
        now, values = here[column.name][0], there[column.name]
        numeric = values.dtype.kind == "f"
        known = np.flatnonzero(np.isfinite(values) if numeric else [value not in (HOLE, "") for value in values])
        _, first = np.unique(values[known].astype(None if numeric else str), return_index=True)
        places = known[first]
        mine = of == i
        same = (X[np.ix_(places, mine)] == x[mine]) | (np.isnan(X[np.ix_(places, mine)]) & np.isnan(x[mine]))
        places = places[~same.all(axis=1) & (values[places] != now)]
        distance = np.ones(len(places))
        if column.kind in ("number", "date") and not np.isnan(now) and len(places):
            ranks = np.sort(values[known])
            share = [
                (np.searchsorted(ranks, v, "left") + np.searchsorted(ranks, v, "right")) / (2 * len(ranks))
                for v in (values[places], now)
            ]
            distance = np.abs(share[0] - share[1])
        parts.append((np.full(len(places), i), places, distance))
    empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Candidates(*(np.concatenate(part) for part in zip(empty, *parts, strict=True)))
