"""The contributions of the columns to the prediction for one row: Shapley values, with NumPy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule._internal.checks import check_count
from chainrule.pages import text
from chainrule.pages.blocks import Block, Cell, Heading, Row, Table, Text, Verdict
from chainrule.pages.formatting import aligned, clean
from chainrule.tables.serving.explained import of_columns, one_row, output, shown, some_rows
from chainrule.tables.serving.model import TableModel
from chainrule.tables.serving.shapley import EVALUATIONS, shapley

TITLE = "Contributions of the columns"
SHOWN = 20  # columns in a table, largest first
NAME, VALUE = 24, 20  # characters
WIDTH = 80
NEAR = 1e-4  # relative to the largest number: predictions in float32 are the same
HOW = (
    "A contribution is the column's Shapley value: the mean change of the prediction when the column's value in a "
    "background row is replaced by that of this row, over all orders of replacing the columns. Columns are replaced "
    "independently, so of two correlated columns the one that the network uses gets the credit, and some of the "
    "combined rows may be unlike any real one. Contributions describe the network, not causes."
)


@dataclass(frozen=True)
class Contribution:
    """The contribution of one column: its value in the row, the amount, and the standard error (0 if it is exact).

    Examples
    --------
    >>> Contribution("age", 41, 0.25).standard_error
    0.0
    """

    column: str
    value: Any
    amount: float
    standard_error: float = 0.0


@dataclass(frozen=True)
class Contributions:
    """The contributions of the columns to the prediction for one row, as :func:`contributions` returns them.

    Attributes
    ----------
    about : str
        The output that is explained, such as "probability of churned = yes".
    base : float
        The mean prediction for the background.
    columns : tuple of Contribution
        The largest first.
    prediction : float
        The prediction for the row: ``base`` plus the sum of all amounts.
    background : str
        The rows that the row is compared with, in words.
    orders : int
        The number of orders of the columns that were drawn, or 0 if all were evaluated.

    ``print`` shows a table of up to 80 characters in width.

    Examples
    --------
    >>> shares = (Contribution("age", 41, 0.25), Contribution("plan", "free", -0.05))
    >>> round(Contributions("probability of left = yes", 0.5, shares, 0.7, "40 rows of the background", 0).total, 2)
    0.2
    """

    about: str
    base: float
    columns: tuple[Contribution, ...]
    prediction: float
    background: str
    orders: int = 0

    @property
    def total(self) -> float:
        """The sum of all contributions."""
        return float(sum(column.amount for column in self.columns))

    def blocks(self) -> list[Block]:
        """Return the contributions as part of a page."""
        sizes = [abs(self.base), abs(self.prediction), *(abs(column.amount) for column in self.columns)]
        ok = abs(self.base + self.total - self.prediction) <= NEAR * max(sizes)
        base, total, prediction = aligned([self.base, self.total, self.prediction])
        sign = "−" if total.startswith("−") else "+"
        line = f"{base} (base) {sign} {total.lstrip('−')} (contributions) = {prediction} (prediction)"
        how = (
            f"Estimated from {self.orders:,} random orders of the columns; ± is the standard error."
            if self.orders
            else "Exact: all sets of columns were evaluated."
        )
        compared = f"{prediction} for this row, and {base} on average over {self.background} (the base)"
        return [
            Heading(TITLE, self.about, "contributions"),
            Text(f"The {self.about} is {compared}.", "result"),
            self._table(),
            Verdict((line,), ok),
            Text(f"{how} {HOW}", "soft"),
        ]

    def _table(self) -> Table:
        some, rest = self.columns[:SHOWN], self.columns[SHOWN:]
        entries = [(clean(one.column, NAME), shown(one.value, VALUE), one.amount, one.standard_error) for one in some]
        if rest:
            entries.append((f"{len(rest):,} others", "", sum(one.amount for one in rest), math.nan))
        amounts, errors = [entry[2] for entry in entries], aligned([entry[3] for entry in entries], 2)
        largest = max(map(abs, amounts), default=0.0) or 1.0
        lines: list[Row] = [
            (name, value, written, *[error] * bool(self.orders), Cell("", bar=amount / largest, both=True))
            for (name, value, amount, _), written, error in zip(
                entries, aligned(amounts, signed=True), errors, strict=True
            )
        ]
        head = ("column", "value", "contribution", *["±"] * bool(self.orders), "")
        return Table(head, tuple(lines), "llr" + "r" * bool(self.orders) + "l")

    def __str__(self) -> str:
        return text.plain(TITLE, self.about, self.blocks()[1:], WIDTH).rstrip("\n")


def contributions(
    model: TableModel,
    row: Any,
    background: Any = None,
    *,
    label: Any = None,
    rows: int = 100,
    seed: int = 0,
    evaluations: int = EVALUATIONS,
) -> Contributions:
    """Return the contribution of each column to the prediction for one row: Shapley values against a background.

    .. code-block:: text

        base + Σ contributions = prediction                      base: the mean prediction for the background

    They are on the scale of the prediction: probabilities for classes, the target's own unit for numbers. They are
    exact for up to 10 columns (with 100 rows and the default ``evaluations``), and estimated from random orders of the
    columns for more. Columns that are equal in the row and in the whole background contribute 0.

    Parameters
    ----------
    model : TableModel
        From :func:`chainrule.load`.
    row : dict, or a data frame with one row
    background : rows, as :meth:`TableModel.predict` takes them, optional
        What the row is compared with, such as some of the training rows. By default, rows are made up: each column is
        drawn by itself from its distribution in training. Texts are empty, or not compared if training had no empty
        ones.
    label : optional
        The class whose probability is explained: by default the positive one of two, or else the predicted one. For
        several labels, one of them: by default the first that is predicted.
    rows : int
        The largest number of background rows: if there are more, this many are drawn.
    seed : int
        Random seed for the rows of the background and for the orders of the columns.
    evaluations : int
        Number of predictions, about: it bounds the time. Standard errors fall with its square root, and with more than
        2ᵏ times the rows of the background, the contributions of k columns are exact.

    Returns
    -------
    Contributions

    Raises
    ------
    ValueError
        If a value does not fit its column, there are no rows, or there is no such label.

    Notes
    -----
    These are the values that ``shap.ExactExplainer`` and ``shap.PermutationExplainer`` compute for ``predict_proba``
    with a table as masker: "interventional", and on the scale of probabilities. ``shap.TreeExplainer`` explains
    log-odds by default.

    Examples
    --------
    >>> import chainrule as cr, polars as pl, tempfile
    >>> frame = pl.DataFrame({"age": [*range(20, 40)] * 2, "plan": ["pro", "free"] * 20, "left": ["no", "yes"] * 20})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = cr.tables.save(cr.tables.train(frame, "left", fast=True), folder + "/customers")
    ...     model = cr.load(folder + "/customers")
    >>> found = cr.tables.contributions(model, {"age": 41, "plan": "free"}, frame)
    >>> found.about, [one.column for one in found.columns], found.background, found.orders
    ('probability of left = yes', ['plan', 'age'], '40 rows of the background', 0)
    >>> round(found.base + found.total - found.prediction, 5)
    0.0

    Sources: see :mod:`chainrule.tables.serving.shapley`. Lundberg and Lee, "A unified approach to interpreting model
    predictions" (2017).
    """
    evaluations = check_count("contributions", "evaluations", evaluations)
    given = one_row(row)
    x = model.inputs(given)
    others, words = some_rows(model, given, background, rows, seed)
    X = model.inputs(others)
    y, p = model.outputs(x)
    explained = output(model, label, y, p)
    names = [column.name for column in model.schema.used]
    rng = np.random.default_rng(seed)
    found = shapley(lambda Z: explained.of(*model.outputs(Z)), x[0], X, of_columns(model), rng, evaluations)
    prediction = float(explained.of(y, p)[0])
    if not np.isfinite([prediction, found.base]).all():
        raise ValueError(f"the {explained.about} is not a finite number for this row or for the background.")
    words = words if found.rows == len(X) else f"{found.rows:,} of {words}"
    every = [
        Contribution(name, given.get(name), amount, error)
        for name, amount, error in zip(names, found.values.tolist(), found.errors.tolist(), strict=True)
    ]
    every.sort(key=lambda one: -abs(one.amount))
    return Contributions(explained.about, found.base, tuple(every), prediction, words, found.orders)
