"""The worked example as plain text, for terminals; in colour where rich prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tracing.numbers import Format, cell, grid, number, summary
from chainrule.tracing.steps import Check, NamedArray, Step

if TYPE_CHECKING:
    from chainrule.tracing.example import Trace
else:
    Trace = Any

ROWS, IMAGE_ROWS = 6, 10  # of a table
SHADES = " ░▒▓█"
PHASES = {
    "preparation": "PREPARATION: from the columns of a table to x",
    "forward": "FORWARD: from x to y, layer by layer",
    "prediction": "PREDICTION: from y to the target's own values",
    "loss": "THE LOSS: how wrong y is, and where dL/dy comes from",
    "backward": "BACKWARD: from dL/dy to dL/dx, layer by layer, the last one first",
    "update": "THE UPDATE: one step of ",
}
LEGEND = (
    "dW stands for dL/dW, and so on. [3, 2] is an entry, counted from 0. Long arrays are shortened; 0 is exactly 0, "
    "0.000 only nearly. Every number is from the pass itself; checks are central differences, in float64."
)
Line = tuple[str, str]
STYLES = {
    "title": "bold",
    "phase": "bold reverse",
    "layer": "bold cyan",
    "equation": "yellow",
    "worked": "green",
    "name": "bold",
    "head": "dim",
    "good": "green",
    "bad": "bold red",
    "dim": "dim",
    "": "",
}


def render(trace: Trace, width: int, digits: int) -> Iterator[Line]:
    """Yield the lines of the text, each with the kind of line that it is."""
    yield "title", heading(trace)
    yield from (("", line) for line in trace.network.splitlines())
    yield "", ""
    if trace.image_shape is not None and trace.rows == 1:
        yield from (("", "  " + line) for line in picture(trace.x.reshape(trace.image_shape)))
        yield "", ""
    for line in outcomes(trace):
        yield "title", line
    yield from (("dim", line) for line in _wrapped(LEGEND, width))
    phase = ""
    for step in trace.steps:
        if step.phase != phase:
            phase = step.phase
            title = PHASES[phase] + (trace.optimizer if phase == "update" else "")
            yield "", ""
            yield "phase", f" {title} ".ljust(width, "─") if len(title) < width else title
        yield "", ""
        yield from _step(step, width, digits)
    yield "", ""
    yield "title", result(trace)


def styled(trace: Trace, width: int, digits: int) -> Any:
    """Return the text for rich to print."""
    from rich.text import Text  # noqa: PLC0415  (rich asked for it)

    text = Text()
    for kind, line in render(trace, width, digits):
        text.append(line + "\n", STYLES[kind])
    text.rstrip()
    return text


def heading(trace: Trace) -> str:
    """Return the title: what was traced."""
    rows = "one sample" if trace.rows == 1 else f"a batch of {trace.rows} samples"
    return f"A worked example: {rows}, forward, backward and one step of {trace.optimizer}"


def outcomes(trace: Trace) -> list[str]:
    """Return target and prediction of the first samples, where they are classes."""
    lines = [trace.outcome(row) for row in range(min(trace.rows, 5))]
    if trace.rows > 1:
        lines = [f"row {row}  {line}" for row, line in enumerate(lines) if line]
    if trace.rows > 5 and lines:
        lines.append("…")
    return [line for line in lines if line]


def result(trace: Trace) -> str:
    """Return L before and after the step."""
    change = trace.value_after - trace.value
    word = "smaller" if change < 0 else "larger"
    better = f"{number(abs(change), 3)} {word}" if change else "the same"
    better = better if np.isfinite(change) else "the step is too large"
    return f"L = {number(trace.value, 6)} before the step, {number(trace.value_after, 6)} after it: {better}"


def title(step: Step) -> str:
    """Return the heading of a step."""
    return f"{step.name}  {step.title}"


def measure(check: Check) -> str:
    """Return how a check went, in words and numbers."""
    if check.analytic == check.numeric == 0:
        return "both are exactly 0"
    if check.nothing:
        return f"h = {check.h:.0e}: both are 0 but for rounding"
    return f"h = {check.h:.0e}, relative difference {check.relative:.0e}: {check.verdict}"


def symbols(step: Step) -> str:
    """Return what the symbols stand for: ``η = 0.1``."""
    return ", ".join(f"{symbol} = {number(value, 6)}" for symbol, value in step.symbols.items())


def picture(image: Array) -> list[str]:
    """Draw an image with blocks, two characters a pixel where there is room for it.

    >>> picture(np.array([[0.0, 1.0], [0.5, 0.0]]))
    ['  ██', '▒▒  ']
    """
    low, high = float(image.min()), float(image.max())
    level = np.rint((image - low) / ((high - low) or 1.0) * (len(SHADES) - 1)).astype(int)
    twice = 2 if image.shape[1] <= 40 else 1
    return ["".join(SHADES[v] * twice for v in row) for row in level]


def _step(step: Step, width: int, digits: int) -> Iterator[Line]:
    yield "layer", f"{title(step)}   {step.shapes}".rstrip()
    known = symbols(step)
    for i, equation in enumerate(step.equations):
        last = i == len(step.equations) - 1
        yield "equation", f"    {equation.text}" + (f"      {known}" if known and last else "")
    for array in step.arrays:
        yield from _array(array, width, digits)
    size = [max(map(len, column)) for column in zip(*step.table, strict=True)]
    for i, row in enumerate(step.table):
        cells = [text.ljust(width) for text, width in zip(row[:-1], size, strict=False)]
        yield "" if i else "head", f"    {'  '.join([*cells, row[-1].rjust(size[-1])])}"
    for line in step.worked:
        yield from (("worked", part) for part in _wrapped(line, width, "  ▸ ", "      "))
    for check in step.checks:
        kind, mark = ("good", "ok") if check.ok else ("bad", "??" if check.kink else "!!")
        left = max(len(check.entry), len(check.quotient))
        yield kind, f"  {mark} {check.entry:{left}} = {number(check.analytic, 8)}"
        yield kind, f"     {check.quotient:{left}} = {number(check.numeric, 8)}"
        yield kind, f"     {measure(check)}"


def _array(array: NamedArray, width: int, digits: int) -> Iterator[Line]:
    if array.origin:
        yield "name", f"  {array.name} {array.shape}  the {array.origin}"
        return
    write = Format(array.values, digits)
    for columns in range(24, 2, -1):  # as many as fit
        shown = grid(
            array.values, IMAGE_ROWS if array.values.ndim > 2 else ROWS, columns, array.entry, batch=array.batch
        )
        table = [[cell(shown, r, c, write) for c in shown.columns] for r in shown.rows]
        names = ["…" if c is None else str(c) for c in shown.columns]
        size = [max(len(name), *(len(row[i]) for row in table)) for i, name in enumerate(names)]
        labels = ["" if len(shown.values) == 1 else "…" if r is None else str(r) for r in shown.rows]
        margin = 4 + max(map(len, labels))
        if margin + sum(size) + 2 * len(size) <= width:
            break
    head = "  ".join(part for part in (shown.where, write.unit, summary(array.values, digits)) if part)
    yield "name", f"  {array.name} {array.shape}  {head}".rstrip()
    if shown.values.size > 1:
        yield "head", f"{'':{margin}}  " + "  ".join(n.rjust(s) for n, s in zip(names, size, strict=True))
    for label, row in zip(labels, table, strict=True):
        yield "", f"{label:>{margin}}  " + "  ".join(v.rjust(s) for v, s in zip(row, size, strict=True))


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    import textwrap  # noqa: PLC0415

    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False)
