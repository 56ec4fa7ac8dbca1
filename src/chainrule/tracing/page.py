"""The worked example as blocks, which are rendered as HTML, Markdown and text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chainrule.pages.blocks import (
    Block,
    Card,
    Cell,
    Figures,
    Formula,
    Heading,
    Matrix,
    Picture,
    Row,
    Table,
    Text,
    Verdict,
)  # fmt: skip
from chainrule.pages.formatting import number
from chainrule.tracing.operations import Example, Operation

BARS = 12  # the most classes shown with a bar for the probability
OUTCOMES = 5  # the most samples with target and prediction
PHASES = {
    "preparation": ("Preparation", "from the columns of a table to x"),
    "prediction": ("The prediction", "from y to the values of the target"),
    "forward": ("Forward", "from x to y, layer by layer"),
    "loss": ("The loss", "the error of y, and ∂L/∂y"),
    "backward": ("Backward", "from ∂L/∂y to ∂L/∂x, last layer first"),
    "update": ("The update", "one step of "),
}
LEGEND = (
    "dW stands for ∂L/∂W, and so on. [3, 2] is an entry, counted from 0; long arrays are shortened to their first and "
    "last entries. 0 means exactly 0; 0.000 means rounded to 0. All numbers are from the pass itself, in {dtype}; one "
    "entry of each gradient is compared with a central difference of L in float64."
)
LOOK = (
    "Blue is positive, orange is negative; darker means larger in absolute value, relative to the array. The entry "
    "that is computed and compared is outlined."
)


def about(trace: Example) -> str:
    """Return a summary of the page."""
    if trace.front:
        return "the contributions of its columns, what would change the answer, and the numbers of the network"
    rows = "one sample" if trace.rows == 1 else f"a batch of {trace.rows} samples"
    return f"{rows}, forward, backward and one step of {trace.optimizer}"


def blocks(trace: Example, digits: int) -> list[Block]:
    """Return the worked example; ``digits`` is the number of significant digits of an array's maximum."""
    found: list[Block] = [*trace.front, *(Text(line, "result") for line in _outcomes(trace))]
    image = trace.image_shape if trace.rows == 1 else None
    pictures: list[Picture | Table] = [Picture(trace.x.reshape(image), "the sample")] if image else []
    pictures += _probabilities(trace)
    found += [Figures(tuple(pictures))] if pictures else []
    found += [_overview(trace), Text(LEGEND.format(dtype=trace.dtype), "soft", LOOK)]
    phase = ""
    for step in trace.steps:
        if step.phase != phase:
            phase = step.phase
            title, what = PHASES[phase]
            found.append(Heading(title, what + trace.optimizer * (phase == "update"), phase, phase))
        found.append(_card(step, digits, image if phase == "backward" and step.layer == 0 else None))
    return [*found, Text(_result(trace), "result")]


def _outcomes(trace: Example) -> list[str]:
    """Return the targets and predictions of the first samples if they are classes."""
    lines = [trace.outcome(row) for row in range(min(trace.rows, OUTCOMES))]
    if trace.rows > 1:
        lines = [f"row {row}  {line}" for row, line in enumerate(lines) if line]
    return [line for line in [*lines, *["…"] * (bool(lines) and trace.rows > OUTCOMES)] if line]


def _probabilities(trace: Example) -> list[Table]:
    """Return a table with a bar for the probability of each class."""
    p = trace.prediction[0]
    if trace.rows > 1 or len(p) > BARS or not trace.outcome(0):
        return []
    names, true = trace.classes or [str(k) for k in range(len(p))], int(trace.t[0])
    lines: list[Row] = [
        (
            Cell(name, strong=k == true),
            Cell(f"{v:.3f}", strong=k == true),
            Cell("", bar=float(np.clip(v, 0, 1)), wide=True),
        )
        for k, (name, v) in enumerate(zip(names, p, strict=True))
    ]
    return [Table(("class", "probability", ""), tuple(lines), "lrl")]


def _overview(trace: Example) -> Table:
    backward = {step.layer: step for step in trace.steps if step.phase in ("backward", "loss")}
    lines: list[Row] = []
    for step in trace.steps:
        if step.phase in ("forward", "loss"):
            back = backward[step.layer]
            count, check = sum(array.values.size for array in back.arrays if not array.batch), back.checks[0]
            text = "both 0" if check.nothing else f"{check.relative:.0e}" if check.ok else check.verdict
            verdict = Cell(f"✓ {text}", kind="good") if check.ok else Cell(f"✗ {text}", kind="bad")
            place = "loss" if step.layer is None else step.layer
            shapes, size = step.shapes.replace("->", "→"), f"{count:,}" if count else ""
            lines.append((f"{place}  {step.title}", shapes, size, check.entry, verdict))
    head = ("layer", "shapes", "parameters", "checked", "relative difference")
    return Table(head, tuple(lines), "llrll", far=(1, 2))


def _card(operation: Operation, digits: int, image: tuple[int, int] | None) -> Card:
    symbols = ", ".join(f"{symbol} = {number(value, 6)}" for symbol, value in operation.symbols.items())
    rules: list[Block] = [Formula(equation) for equation in operation.equations]
    rules += [Text(symbols, "soft")] if symbols else []
    arrays: list[Matrix | Picture] = [replace(array, digits=digits) for array in operation.arrays]
    if image:
        label = "dx as an image: brightening a blue pixel increases L, brightening an orange one decreases it"
        arrays.append(Picture(operation["dx"].reshape(image), label, signed=True))
    blocks: list[Block] = [Figures(tuple(arrays))] if arrays else []
    if operation.table:
        head, *rows = operation.table
        blocks.append(Table(head, tuple(rows), "l" * (len(head) - 1) + "r"))
    blocks += [Text(line, "worked") for line in operation.worked]
    for check in operation.checks:
        left = max(len(check.entry), len(check.quotient))
        compared = ((check.entry, check.analytic), (check.quotient, check.numeric))
        texts = [f"{name:{left}} = {number(value, 8)}" for name, value in compared]
        blocks.append(Verdict((*texts, check.measure), True if check.ok else None if check.kink else False))
    return Card(operation.name, operation.title, operation.shapes.replace("->", "→"), tuple(rules), tuple(blocks))


def _result(trace: Example) -> str:
    """Return a sentence with L before and after the step."""
    change = trace.value_after - trace.value
    word = "smaller" if change < 0 else "larger"
    better = f"{number(abs(change), 3)} {word}" if change else "the same"
    better = better if np.isfinite(change) else "the step is too large"
    return f"L = {number(trace.value, 6)} before the step, {number(trace.value_after, 6)} after it: {better}"
