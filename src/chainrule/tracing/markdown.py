"""The worked example as Markdown, with its equations as LaTeX between dollar signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.pages.page import plain
from chainrule.tracing.numbers import Format, cell, grid, number, summary
from chainrule.tracing.steps import NamedArray, Step
from chainrule.tracing.symbol import latex_name
from chainrule.tracing.text import LEGEND, PHASES, heading, measure, outcomes, picture, result, symbols

if TYPE_CHECKING:
    from chainrule.tracing.example import Trace
else:
    Trace = Any

ROWS, COLUMNS, IMAGE_ROWS = 6, 10, 10  # of a table


def render(trace: Trace, digits: int) -> str:
    """Return the page."""
    parts = [f"# {plain(heading(trace))}", f"```text\n{trace.network}\n```"]
    if trace.image_shape is not None and trace.rows == 1:
        parts.append("```text\n" + "\n".join(picture(trace.x.reshape(trace.image_shape))) + "\n```")
    parts += [f"**{plain(line)}**" for line in outcomes(trace)]
    parts.append(plain(LEGEND))
    phase = ""
    for step in trace.steps:
        if step.phase != phase:
            phase = step.phase
            name, _, about = PHASES[phase].partition(": ")
            parts.append(f"## {name.capitalize()}: {about}{plain(trace.optimizer) if phase == 'update' else ''}")
        parts += _step(step, digits)
    parts.append(f"**{plain(result(trace))}**")
    return "\n\n".join(parts) + "\n"


def _step(step: Step, digits: int) -> list[str]:
    parts = [f"### {step.name}: {plain(step.title)}" + (f", {step.shapes.replace('->', '→')}" if step.shapes else "")]
    parts += [f"$$\n{equation.latex}\n$$" for equation in step.equations]
    if step.symbols:
        parts.append(plain(symbols(step)))
    for array in step.arrays:
        parts += _array(array, digits)
    if step.table:
        lines = [f"| {' | '.join(map(plain, row))} |" for row in step.table]
        parts.append("\n".join([lines[0], "|:--" * (len(step.table[0]) - 1) + "|--:|", *lines[1:]]))
    parts += [f"> {plain(line)}" for line in step.worked]
    for check in step.checks:
        mark = "✓" if check.ok else "✗"
        parts.append(
            f"{mark} {plain(check.entry)} = {number(check.analytic, 8)}; {plain(check.quotient)} = "
            f"{number(check.numeric, 8)}; {measure(check)}"
        )
    return parts


def _array(array: NamedArray, digits: int) -> list[str]:
    head = f"${latex_name(array.name)}$ {array.shape}"
    if array.origin:
        return [f"{head}: the {array.origin}"]
    shown = grid(array.values, IMAGE_ROWS if array.values.ndim > 2 else ROWS, COLUMNS, array.entry, batch=array.batch)
    write = Format(array.values, digits)
    about = [plain(shown.where), write.unit, summary(array.values, digits)]
    labels = ["…" if r is None else str(r) for r in shown.rows]
    columns = ["…" if c is None else str(c) for c in shown.columns]
    lines = [f"|  | {' | '.join(columns)} |", "|--:" * (len(columns) + 1) + "|"]
    for label, r in zip(labels, shown.rows, strict=True):
        cells = [cell(shown, r, c, write) for c in shown.columns]
        marked = [f"**{v}**" if (r, c) == shown.entry else v for v, c in zip(cells, shown.columns, strict=True)]
        lines.append(f"| {label} | {' | '.join(marked)} |")
    return [": ".join([head, ", ".join(a for a in about if a)]).removesuffix(": "), "\n".join(lines)]
