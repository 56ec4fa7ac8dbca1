"""The report of a training on a table: one HTML file that needs nothing else, and the same as Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.pages import html, markdown
from chainrule.tables.report import sections
from chainrule.tables.report.collect import collect
from chainrule.tables.report.data import ReportData
from chainrule.tables.result import Trained

__all__ = ["Report", "ReportData", "build", "render_html", "render_markdown"]


@dataclass(frozen=True)
class Report:
    """A report as a page and as Markdown; in a notebook it shows itself.

    Examples
    --------
    >>> report = Report("<p>a page</p>", "a page")
    >>> report.markdown
    'a page'
    """

    html: str
    markdown: str

    def _repr_html_(self) -> str:
        return self.html.partition("<body>\n")[2].rpartition("</body>")[0]


def build(trained: Trained, *, seconds: float = 10.0) -> Report:
    """Return the report of a training on a table.

    Parameters
    ----------
    trained : Trained
    seconds : float
        At most so long for the importance of columns; 0 leaves it out.

    Returns
    -------
    Report
        Under 1 MB, however many rows were held out.

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
    data = collect(trained, seconds=seconds)
    return Report(render_html(data), render_markdown(data))


def render_html(data: ReportData) -> str:
    """Return the report as one HTML document: no script, nothing loaded, light and dark.

    Everything that comes from the data is escaped.

    >>> import numpy as np
    >>> page = render_html(ReportData("regression", "<price>", np.arange(9.0), np.arange(9.0) + 1))
    >>> page[:15], "<price>" in page, "Predicting &lt;price&gt;" in page
    ('<!DOCTYPE html>', False, True)
    """
    return html.page(sections.title(data), sections.about(data), sections.report(data))


def render_markdown(data: ReportData) -> str:
    """Return the report as Markdown, with a table for each picture.

    >>> import numpy as np
    >>> print(render_markdown(ReportData("regression", "price", np.arange(9.0), np.arange(9.0) + 1))[:18])
    # Predicting price
    """
    return markdown.render(sections.title(data), sections.about(data), sections.report(data))
