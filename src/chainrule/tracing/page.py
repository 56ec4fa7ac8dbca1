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
LAYERS = 6  # the most with a table of one entry through the steps
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
    return f"{rows}, forward, backward and {_steps(trace)} of {trace.optimizer}"


def _steps(trace: Example) -> str:
    count = len(trace.values) - 1
    return "one step" if count == 1 else f"{count} steps"


def blocks(trace: Example, digits: int) -> list[Block]:
    """Return the worked example; ``digits`` is the number of significant digits of an array's maximum."""
    found: list[Block] = [*trace.front, *(Text(line, "result") for line in _outcomes(trace))]
    image = trace.image_shape if trace.rows == 1 else None
    pictures: list[Picture | Table] = [Picture(trace.x.reshape(image), "the sample")] if image else []
    pictures += _probabilities(trace)
    found += [Figures(tuple(pictures))] if pictures else []
    found += [_overview(trace), Text(LEGEND.format(dtype=trace.dtype), "soft", LOOK)]
    place = ("", 0)
    for step in trace.steps:
        if (step.phase, step.number) != place:
            phase, count = place = step.phase, step.number
            title, what = PHASES[phase]
            if phase == "update":
                what = f"{what}{trace.optimizer}"
            if count > 1:
                title, what = f"Step {count}", f"both passes again, L = {number(trace.values[count - 1], 6)}"
            found.append(Heading(title, what, f"{phase}-{count}" if count > 1 else phase, phase))
        found.append(_card(step, digits, image if phase == "backward" and step.layer == 0 else None))
    return [*found, *_through(trace), Text(_result(trace), "result")]


def _outcomes(trace: Example) -> list[str]:
    """Return the targets and predictions of the first samples if they are classes."""
    lines = [trace.outcome(row) for row in range(min(trace.rows, OUTCOMES))]
    if trace.rows > 1:
        lines = [f"row {row}  {line}" for row, line in enumerate(lines) if line]
    return [line for line in [*lines, *["…"] * (bool(lines) and trace.rows > OUTCOMES)] if line]


def _probabilities(trace: Example) -> list[Table]:
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
    shapes = operation.shapes.replace("->", "→")
    return Card(operation.name, operation.title, shapes, tuple(rules), tuple(blocks), operation.code)


def _through(trace: Example) -> list[Block]:
    """Return tables of the numbers of one entry of each layer's first parameter in every step, if there are several.

    >>> import chainrule as cr
    >>> network = cr.Network(1, [cr.layers.Dense(1, weights="zeros")], "squared_error", dtype="float64")
    >>> trace = cr.trace(network, [[2.0]], [3.0], optimizer=cr.optimizers.Momentum(0.1), steps=2)
    >>> for row in _through(trace)[1].rows:
    ...     print(*row)
    1 4.5 −6 0.6 0.6
    2 1.125 −3 0.84 1.44
    """
    steps = len(trace.values) - 1
    if steps < 2:
        return []
    found: list[Block] = [Heading("One entry through the steps", "the numbers that change", "entries", "update")]
    updates = [step for step in trace.steps if step.phase == "update" and len(step.arrays) > 2]
    for layer in dict.fromkeys(step.layer for step in updates):
        if len(found) > LAYERS:
            break
        ours = [step for step in updates if step.layer == layer]
        first = ours[0].arrays[0]
        if f"d{first.name}" not in [array.name for array in ours[0].arrays]:  # running statistics only
            continue
        slots = [a.name for a in ours[0].arrays if a.name.endswith(f" of {first.name}")]
        names = (f"d{first.name}", *slots, f"{first.name} after")
        lines: list[Row] = [
            (str(step.number), number(trace.values[step.number - 1], 5),
             *(number(step[name][first.entry], 5) for name in names))
            for step in ours
        ]  # fmt: skip
        at = f"{first.name}{list(first.entry or ())}"
        head = ("step", "L before", *(name.removesuffix(f" of {first.name}") for name in names))
        found.append(Table(head, tuple(lines), "r" * len(head), title=f"{at} of layer {layer}"))
    return found


def _result(trace: Example) -> str:
    """Return a sentence with L before and after the steps."""
    change = trace.value_after - trace.value
    word = "smaller" if change < 0 else "larger"
    better = f"{number(abs(change), 3)} {word}" if change else "the same"
    better = better if np.isfinite(change) else "the step is too large"
    after = "after it" if len(trace.values) == 2 else f"after {_steps(trace)}"
    return f"L = {number(trace.value, 6)} before the step, {number(trace.value_after, 6)} {after}: {better}"
