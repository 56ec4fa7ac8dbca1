"""The whole report as blocks, for HTML and Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.pages.blocks import Block, Cell, Code, Heading, Table, Text
from chainrule.pages.formatting import MISSING, NONE, apart, clean, percent, rows
from chainrule.tables.report import classes, groups, learning, limits, regression, scoring
from chainrule.tables.report.data import ColumnSummary, ReportData

COLUMNS = 60  # in the table of columns
NOTES = 30  # notes
TYPES = {"many": "category, high-cardinality"}
"""Names of column types, where they differ from those of the schema."""


def title(data: ReportData) -> str:
    """Return the title of the report."""
    return f"Predicting {clean(data.target, 80)}"


def about(data: ReportData) -> str:
    """Return the line under the title."""
    seen = sum(not column.dropped for column in data.columns)
    parts = [clean(data.source, 80)] if data.source else []
    parts += [rows(data.rows or len(data.truth)), rows(seen, "column")]
    what = rows(len(data.classes), "class" if data.task != "multilabel" else "label") if data.classes else "regression"
    return " · ".join([*parts, what, f"{rows(len(data.truth))} held out"])


def report(data: ReportData) -> list[Block]:
    """Return all blocks."""
    parts = regression.sections if data.task == "regression" else classes.sections
    return [
        *scoring.sections(data),
        *parts(data),
        *_wrong(data),
        *groups.sections(data),
        *learning.columns(data),
        *learning.epochs(data),
        *_table(data),
        *limits.sections(data),
        *_reproduction(data),
    ]


def _wrong(data: ReportData) -> list[Block]:
    if not data.wrong:
        return []
    names = [name for name, _ in data.wrong[0].values]
    lines = tuple(
        (f"{w.row:,}", w.truth, w.predicted, *(clean(v) for v in (w.how_wrong, *(value for _, value in w.values))))
        for w in data.wrong
    )
    columns = list(zip(*([value for _, value in w.values] for w in data.wrong), strict=True))
    how = {"regression": "error", "multilabel": "log loss"}.get(data.task, "probability of the true class")
    how = "standardized error" if data.task == "regression" and data.truth.ndim == 2 else how
    head = ("row" if data.wrong_in else "held-out row", "actual", "predicted", how, *apart(names, 24))
    caption = "Look at these first: they may be data errors or rare cases."
    caption += " The columns on the right are the most important ones." if names else ""
    if data.wrong_in:
        caption += f" Row 1 is the first data row of {clean(data.wrong_in, 80)}."
    align = ("rrrr" if data.task == "regression" else "rllr") + "".join(map(_side, columns))
    heading = Heading("Worst predictions", "the held-out rows with the largest errors", "wrong")
    return [heading, Table(head, lines, align, caption=caption)]


def _side(values: Sequence[str]) -> str:
    """Return the alignment of a column: "r" for numbers, "l" for text."""
    return "r" if all(value == MISSING or value[:1] in "−0123456789∞–" for value in values) else "l"


def _table(data: ReportData) -> list[Block]:
    blocks: list[Block] = [Heading("Data", f"{rows(data.rows)} before the split" if data.rows else "", "data")]
    if data.parts:
        parts = ", ".join(f"{name} {n:,}" for name, n in data.parts)
        blocks.append(Text(f"Rows: {parts}." + (f" Held out: {data.split}." if data.split else "")))
    every = (*data.targets, *data.columns)
    missing = [c for c in every if c.missing]
    if data.columns:
        text = f"{rows(len(missing), 'column')} with missing values" if missing else "No missing values"
        if missing and data.rows:
            worst = max(missing, key=lambda c: c.missing)
            text += f", most in '{clean(worst.name)}': {percent(min(worst.missing / data.rows, 1.0))} of the rows"
        dropped = [c for c in data.columns if c.dropped]
        text += f". Dropped: {rows(len(dropped), 'column')}." if dropped else "."
        blocks.append(Text(text))
    if every:
        marks = [f"{c.name} (target)" if i < len(data.targets) else c.name for i, c in enumerate(every[:COLUMNS])]
        lines = tuple(_column(c, mark, data.rows) for c, mark in zip(every, apart(marks), strict=False))
        caption = "The sparklines show the distribution of the held-out rows."
        caption += f" Not listed: {rows(len(every) - COLUMNS, 'column')}." if len(every) > COLUMNS else ""
        head = ("column", "type", "missing", "distinct", "values")
        blocks.append(Table(head, lines, "llrrl", caption=caption))
    blocks += [Text(clean(text, 400), "soft") for text in data.notes[:NOTES]]
    return blocks


def _column(column: ColumnSummary, name: str, count: int) -> tuple[Cell | str, ...]:
    missing = f"{column.missing:,}"
    if column.missing and count:
        missing += f" ({percent(min(column.missing / count, 1.0))})"
    kind = TYPES.get(column.kind, column.kind) + (f", dropped: {clean(column.dropped, 80)}" if column.dropped else "")
    distinct = f"{column.distinct:,}" if column.distinct else NONE
    return name, kind, missing, distinct, Cell(column.spread, shares=column.shares)


def _reproduction(data: ReportData) -> list[Block]:
    blocks: list[Block] = [Heading("Reproducing this run", "", "repeat")]
    blocks += [Code(data.command)] if data.command else []
    facts = tuple((clean(what), clean(value, 2000)) for what, value in data.facts)
    return [*blocks, *([Table(("", ""), facts, "ll")] if facts else [])]
