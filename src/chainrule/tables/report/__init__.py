"""The report of a training on a table: one HTML file that needs nothing else, and the same as Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.tables.report import html, markdown, sections
from chainrule.tables.report.collect import collect
from chainrule.tables.report.data import ColumnSummary, Importance, Influence, ReportData, Score, WrongRow
from chainrule.tables.report.importance import Predict
from chainrule.tables.result import Trained

__all__ = [
    "ColumnSummary",
    "Importance",
    "Influence",
    "Report",
    "ReportData",
    "Score",
    "WrongRow",
    "build",
    "collect",
    "render_html",
    "render_markdown",
]


@dataclass(frozen=True)
class Report:
    """A report as a page and as Markdown."""

    html: str
    markdown: str


def build(trained: Trained, *, predict: Predict | None = None, seconds: float = 10.0) -> Report:
    """Return the report of a training; see :func:`collect` for the arguments."""
    data = collect(trained, predict=predict, seconds=seconds)
    return Report(render_html(data), render_markdown(data))


def render_html(data: ReportData) -> str:
    """Return the report as one HTML document: no script, nothing loaded, light and dark.

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
