"""The report of a trained table: one self-contained HTML file, and the same as Markdown."""

from __future__ import annotations

from chainrule.pages.page import Page
from chainrule.tables.report import sections
from chainrule.tables.report.collect import collect
from chainrule.tables.report.data import ReportData
from chainrule.tables.result import Trained

__all__ = ["Page", "ReportData", "build", "page"]


def build(trained: Trained, *, seconds: float = 10.0) -> Page:
    """Return the report of a trained table.

    Parameters
    ----------
    trained : Trained
    seconds : float
        Time limit for the importance of columns; 0 omits it.

    Returns
    -------
    Page
        Smaller than 1 MB, for any number of held-out rows.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> from chainrule import History
    >>> from chainrule.tables import Column, HeldOut, Schema, Split, Trained
    >>> frame = pl.DataFrame({"size": [1.0, 2.0, 3.0], "price": [1.0, 2.0, 3.5]})
    >>> schema = Schema((Column("size", "number"),), (Column("price", "number"),), "regression", rows=9)
    >>> held_out = HeldOut(frame, frame["price"].to_numpy(), np.array([1.0, 2.0, 3.0]))
    >>> history, split = History(("epoch",)), Split(5, 1, 3, "rows at random")
    >>> trained = Trained(None, schema, {"MAE": 0.17}, {"mean": {"MAE": 1.0}}, "", held_out, history, split)
    >>> build(trained).markdown.splitlines()[6:8]
    ['- **0.170** MAE (mean 1.000)', '']
    """
    return page(collect(trained, seconds=seconds))


def page(data: ReportData) -> Page:
    """Return the report with the given content.

    >>> import numpy as np
    >>> report = page(ReportData("regression", "<price>", np.arange(9.0), np.arange(9.0) + 1))
    >>> "<price>" in report.html, "Predicting &lt;price&gt;" in report.html
    (False, True)
    """
    return Page(sections.title(data), sections.about(data), tuple(sections.report(data)))
