"""The worked example as a page: one file, no script, nothing loaded; mathematics as MathML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.mathml import mathml
from chainrule.pages.page import document, style
from chainrule.tracing.equations import Equation
from chainrule.tracing.numbers import Format, Grid, cell, grid, number, summary
from chainrule.tracing.steps import Check, NamedArray, Step
from chainrule.tracing.symbol import latex_name
from chainrule.tracing.text import heading, measure, outcomes, result, symbols

if TYPE_CHECKING:
    from chainrule.tracing.example import Trace
else:
    Trace = Any

ROWS, COLUMNS, ALL = 6, 8, 10  # of a table that is shortened; so many columns, and rows of an image, are not
NEAR = 3  # columns that a narrow screen shows too
MAPS = 16  # channels that are drawn
DEEPEST = 0.38  # the strongest tint: the text on it keeps its contrast
PHASES = {
    "preparation": ("Preparation", "from the columns of a table to x"),
    "forward": ("Forward", "from x to y, layer by layer"),
    "prediction": ("Prediction", "from y to the target's own values"),
    "loss": ("The loss", "how wrong y is, and where ∂L/∂y comes from"),
    "backward": ("Backward", "from ∂L/∂y to ∂L/∂x, the last layer first"),
    "update": ("The update", "one step of "),
}
LEGEND = (
    "d<i>W</i> stands for ∂<i>L</i>/∂<i>W</i>, and so on. Rows and columns are counted from 0; long arrays are "
    "shortened to their first and last entries. Blue is positive, orange negative, the deeper the larger in its array; "
    "0 is exactly 0, 0.000 only nearly. An outlined entry is the one that is worked out below its table and compared "
    "with a central difference of <i>L</i>, in float64. All other numbers are those of the pass itself, in {dtype}."
)


def page(trace: Trace, digits: int) -> str:
    """Return a whole document."""
    return document(heading(trace), fragment(trace, digits))


def fragment(trace: Trace, digits: int) -> str:
    """Return what stands in the body, with its style: for a notebook."""
    parts = [f"<style>\n{style(__package__, 'style.css')}</style>"]
    parts += ['<div class="chainrule-page chainrule-trace">', _head(trace)]
    phase = ""
    for step in trace.steps:
        if step.phase != phase:
            phase = step.phase
            title, about = PHASES[phase]
            about += escape(trace.optimizer) if phase == "update" else ""
            parts.append(f'<h2 class="{phase}">{title} <small>{about}</small></h2>')
        parts.append(_step(trace, step, digits))
    parts += [f'<p class="result">{escape(result(trace))}</p>', "</div>\n"]
    return "\n".join(parts)


def _head(trace: Trace) -> str:
    title, _, about = heading(trace).partition(": ")
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="soft">{escape(about)}</p>', '<div class="summary">']
    if trace.image_shape is not None and trace.rows == 1:
        parts.append(_picture(trace.x.reshape(trace.image_shape), "the sample"))
    lines = "<br>".join(map(escape, outcomes(trace)))
    bars = _bars(trace) if lines and trace.rows == 1 else ""
    parts.append(f'<div><p class="outcome">{lines}</p>{bars}</div></div>' if lines else "</div>")
    return "\n".join([*parts, _overview(trace), f'<p class="legend">{LEGEND.format(dtype=trace.dtype)}</p>'])


def _bars(trace: Trace) -> str:
    """Return a bar for the probability of each class: of at most twelve."""
    p, t = trace.prediction[0], int(trace.t[0])
    if len(p) > 12:
        return ""
    names = trace.classes or [str(k) for k in range(len(p))]
    rows = []
    for k, name in enumerate(names):
        true = ' class="true"' if k == t and trace.labeled else ""
        width = 100 * float(np.clip(p[k], 0, 1))
        rows.append(f'<span{true}>{escape(name)}</span><i{true} style="width:{width:.2f}%"></i><span>{p[k]:.3f}</span>')
    return f'<div class="bars">{"".join(rows)}</div>'


def _overview(trace: Trace) -> str:
    rows = []
    backward = {step.layer: step for step in trace.steps if step.phase in ("backward", "loss")}
    for step in trace.steps:
        if step.phase not in ("forward", "loss"):
            continue
        count = sum(array.values.size for array in backward[step.layer].arrays if not array.batch)
        cells = [
            f"<td>{'loss' if step.layer is None else step.layer}</td><td>{escape(step.title)}</td>",
            f'<td class="far">{_shapes(step.shapes)}</td><td class="r far">{f"{count:,}" if count else ""}</td>',
            _verdict(backward[step.layer].checks[0]),
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        '<div class="overview"><table><thead><tr><th>layer</th><th></th><th class="far">shapes</th>'
        '<th class="r far">parameters</th>'
        f"<th>checked</th><th>relative difference</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _verdict(check: Check) -> str:
    kind = "good" if check.ok else "bad"
    text = "both 0" if check.nothing else f"{check.relative:.0e}" if check.ok else check.verdict
    return f'<td>{escape(check.entry)}</td><td class="{kind}">{"✓" if check.ok else "✗"} {text}</td>'


def _shapes(text: str) -> str:
    return escape(text.replace("->", "→"))


def _step(trace: Trace, step: Step, digits: int) -> str:
    known = f'<p class="soft">{escape(symbols(step))}</p>' if step.symbols else ""
    rules = "".join(map(_equation, step.equations)) + known
    arrays = [_array(array, digits) for array in step.arrays]
    if step.phase == "backward" and step.layer == 0 and trace.image_shape is not None and trace.rows == 1:
        arrays.append(_slopes(step["dx"].reshape(trace.image_shape)))
    lines = [f'<p class="worked">{escape(line)}</p>' for line in step.worked]
    checks = [_check(check) for check in step.checks]
    return (
        f'<section class="step {step.phase}"><header><b>{step.name}</b><h3>{escape(step.title)}</h3>'
        f'<span class="shape">{_shapes(step.shapes)}</span></header>'
        f'<div class="body"><div class="rule">{rules}</div>'
        f'<div><div class="arrays">{"".join(arrays)}</div>{"".join([_cells(step), *lines, *checks])}</div>'
        "</div></section>"
    )


def _cells(step: Step) -> str:
    """Return a table of text."""
    kinds = ["th", *["td"] * len(step.table)]
    rows = (
        f"<tr>{''.join(f'<{kind}>{escape(text)}</{kind}>' for text in row)}</tr>"
        for kind, row in zip(kinds, step.table, strict=False)
    )
    return f'<div class="scroll"><table class="cells">{"".join(rows)}</table></div>' if step.table else ""


def _equation(equation: Equation) -> str:
    try:
        return f'<div class="equation">{mathml(equation.latex, display=True)}</div>'
    except ValueError:  # of a class that is not ours: what its author's LaTeX says, its text says too
        return f'<div class="equation">{escape(equation.text)}</div>'


def _name(name: str) -> str:
    try:
        return mathml(latex_name(name))
    except ValueError:
        return f"<b>{escape(name)}</b>"


def _array(array: NamedArray, digits: int) -> str:
    caption = f'{_name(array.name)}<span class="shape">{escape(_times(array.shape))}</span>'
    if array.origin:
        return f"<figure><figcaption>{caption}<span>the {escape(array.origin)}</span></figcaption></figure>"
    rows = ALL if array.values.ndim > 2 else ROWS
    shown = grid(array.values, rows, ALL, array.entry, batch=array.batch)
    if None in shown.columns:
        shown = grid(array.values, rows, COLUMNS, array.entry, batch=array.batch)
    write = Format(array.values, digits)
    for part in (shown.where, write.unit, summary(array.values, digits)):
        kind = ' class="unit"' if part == write.unit else ""
        caption += f"<span{kind}>{escape(part)}</span>" if part else ""
    return f"<figure><figcaption>{caption}</figcaption>{_table(array, shown, write)}{_maps(array)}</figure>"


def _maps(array: NamedArray) -> str:
    """Draw the channels of images, or of windows, small and side by side: a table can show one of them."""
    if array.values.ndim != (4 if array.batch else 3) or min(array.shape[-3:-1]) < 2 or array.shape[-1] < 2:
        return ""
    sample = 0 if array.entry is None or not array.batch else array.entry[0]
    images = array.values[sample] if array.batch else array.values
    largest = float(np.abs(images).max())
    marked = None if array.entry is None else array.entry[-1]
    drawn = [
        f"<span{' class=mark' if k == marked else ''}>"
        f"{_picture(images[:, :, k], f'channel {k}', signed=True, largest=largest)}{k}</span>"
        for k in range(min(MAPS, images.shape[-1]))
    ]
    more = f"<span>… {images.shape[-1] - MAPS} more</span>" if images.shape[-1] > MAPS else ""
    return f'<div class="maps">{"".join(drawn)}{more}</div>'


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) if shape else "a number"


def _table(array: NamedArray, shown: Grid, write: Format) -> str:
    finite = np.abs(array.values[np.isfinite(array.values)])
    largest = float(finite.max()) if finite.size and array.values.dtype.kind == "f" else 0.0
    one = len(shown.values) == 1
    far = _far(shown)
    kinds = [' class="far"' * f for f in far]
    head = "".join(f"<th{k}>{'…' if c is None else c}</th>" for c, k in zip(shown.columns, kinds, strict=True))
    head = f"<tr>{'' if one else '<th></th>'}{head}</tr>" if array.values.size > 1 else ""
    rows = []
    for r in shown.rows:
        label = "" if one else f"<th>{'…' if r is None else r}</th>"
        cells = "".join(_cell(shown, r, c, write, largest, far=f) for c, f in zip(shown.columns, far, strict=True))
        rows.append(f"<tr>{label}{cells}</tr>")
    return f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'


def _far(shown: Grid) -> list[bool]:
    """Return which columns a narrow screen leaves out: those before the first gap, but for the first few."""
    if None not in shown.columns:
        return [False] * len(shown.columns)
    gap, marked = shown.columns.index(None), -1 if shown.entry is None else shown.entry[1]
    return [NEAR <= i < gap and c != marked for i, c in enumerate(shown.columns)]


def _cell(shown: Grid, row: int | None, column: int | None, write: Format, largest: float, *, far: bool) -> str:
    if row is None or column is None:
        return f'<td class="gap{" far" * far}">…</td>'
    value = float(shown.values[row, column])
    strength = DEEPEST * abs(value) / largest if largest and np.isfinite(value) else 0.0
    kinds = (["p" if value > 0 else "n"] if strength >= 0.005 else []) + ["mark"] * ((row, column) == shown.entry)
    kinds += ["far"] * far
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    tint = f' style="--a:{strength:.2f}"' if strength >= 0.005 else ""
    return f"<td{kind}{tint}>{cell(shown, row, column, write).replace('-', '−')}</td>"


def _check(check: Check) -> str:
    return (
        f'<p class="check{"" if check.ok else " bad"}"><b>{"✓" if check.ok else "✗"}</b> '
        f"<span>{escape(check.entry)} = {number(check.analytic, 8)}</span>"
        f"<span>{escape(check.quotient)} = {number(check.numeric, 8)}</span><span>{escape(measure(check))}</span></p>"
    )


def _picture(image: Array, label: str, *, signed: bool = False, largest: float | None = None) -> str:
    """Draw an image as squares, the larger the value the denser; with ``signed`` one colour for each sign."""
    height, width = image.shape
    low, high = (
        (0.0, float(np.abs(image).max()) if largest is None else largest)
        if signed
        else (float(image.min()), float(image.max()))
    )
    density = (np.abs(image) if signed else image - low) / ((high - low) or 1.0)
    squares = [
        f'<rect x="{j}" y="{i}" width="1" height="1" {_fill(image[i, j], signed=signed)} '
        f'fill-opacity="{density[i, j]:.2f}"/>'
        for i, j in np.argwhere(density >= 0.005).tolist()
    ]
    return (
        f'<svg class="image" role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" '
        f'shape-rendering="crispEdges">{"".join(squares)}</svg>'
    )


def _fill(value: Any, *, signed: bool) -> str:
    return ('class="p"' if value > 0 else 'class="n"') if signed else 'fill="currentColor"'


def _slopes(dx: Array) -> str:
    caption = "dx as an image: L grows when a blue pixel gets brighter, and shrinks when an orange one does"
    return f"<figure><figcaption>{caption}</figcaption>{_picture(dx, caption, signed=True)}</figure>"
