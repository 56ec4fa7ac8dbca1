"""A network: its layers with their shapes and parameters, and a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.layers import Activation, Dense, Layer
from chainrule.network import Network
from chainrule.pages.blocks import Block, Figure, Row, Table
from chainrule.pages.formatting import clean, escaped, rows

FIRST, LAST = 25, 10  # rows of the table of a long network
STAGES = 8  # columns of the drawing
WIDE, TOP, SPACE = 96, 16, 22  # of a column of the drawing, the height of a layer's name, and between two dots
DOTS = 6  # in a column
NAME = 15  # characters of a layer's name in the drawing


def network(thing: Network) -> tuple[str, str, list[Block]]:
    """Show the drawing and the table of layers of a network."""
    loss = clean(repr(thing.loss), 80)
    summary = f"{_shape(thing.input_shape)} → {_shape(thing.output_shape)}, {loss}, {thing.dtype}, "
    return "Network", f"{summary}{rows(thing.layout.size, 'parameter')}", [_drawing(thing), _table(thing)]


def _table(thing: Network) -> Table:
    arrays: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for entry in thing.layout.entries:
        *inside, name = entry.name.split(".")
        label = ".".join((str(entry.layer), *inside))
        arrays.setdefault(label, []).append(f"{name} {entry.shape}")
        counts[label] = counts.get(label, 0) + math.prod(entry.shape)
    labeled = list(_labeled(thing.layers))
    cut = len(labeled) > FIRST + LAST + 1
    lines: list[Row] = []
    for label, layer in labeled[:FIRST] + labeled[-LAST:] if cut else labeled:
        if cut and len(lines) == FIRST:
            lines.append(("…", f"{len(labeled) - FIRST - LAST:,} more layers", "", "", ""))
        size = f"{counts[label]:,}" if label in counts else ""
        shapes = f"{_shape(layer.input_shape)} → {_shape(layer.output_shape)}"
        lines.append((label, _name(layer), shapes, ", ".join(arrays.get(label, []))[:100], size))
    return Table(("", "layer", "shape", "arrays", "parameters"), tuple(lines), "rlllr", far=(3,))


def _labeled(layers: tuple[Layer, ...], before: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield all layers with their places; those inside a layer come after it."""
    for i, layer in enumerate(layers):
        yield f"{before}{i}", layer
        yield from _labeled(layer.inner, f"{before}{i}.")


def _name(layer: Layer) -> str:
    return f"{type(layer).__name__}, with:" if layer.inner else clean(repr(layer), 60)


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{n:,}" for n in shape)


@dataclass
class _Stage:
    """A column of the drawing: the values between two layers that change their shape or have parameters."""

    shape: tuple[int, ...]
    name: str = ""
    dense: bool = False
    more: str = ""  # the activation


def _stages(thing: Network) -> list[_Stage]:
    found = [_Stage(thing.input_shape, "input")]
    for layer in thing.layers:
        name = clean(type(layer).__name__, NAME)
        if isinstance(layer, Activation):
            found[-1].more = found[-1].more or name
        elif layer.parameters() or layer.output_shape != layer.input_shape:
            found.append(_Stage(layer.output_shape, name, isinstance(layer, Dense)))
    return found


def _drawing(thing: Network) -> Figure:
    stages = _stages(thing)
    left = len(stages) - STAGES
    shown: list[_Stage | None] = [*stages]
    if left > 1:
        shown = [*stages[: STAGES - 3], None, *stages[-3:]]
    below, above = "", ""
    high = SPACE * max(2, *(min(s.shape[0], DOTS + 1) if len(s.shape) == 1 else 3 for s in stages))
    middle = TOP + high / 2
    before: list[tuple[float, float]] = []
    for column, stage in enumerate(shown):
        u = WIDE * (column + 0.5)
        if stage is None:
            above += f'<text class="gap" x="{u:g}" y="{middle + 4:g}" text-anchor="middle">…</text>'
            before = []
            continue
        drawn, places = _column(stage, u, middle)
        if before and stage.dense:
            lines = "".join(f"M{x:g} {y:.3g}L{p:g} {q:.4g}" for x, y in before for p, q in places)
            below += f'<path class="edges" d="{lines}"/>'
        elif before:
            below += f'<path class="edges whole" d="M{u - WIDE + 22:g} {middle:g}H{u - 24:g}m-5 -4l5 4l-5 4"/>'
        above += drawn + _labels(stage, u, TOP + high)
        before = places
    width, height = WIDE * len(shown), TOP + high + 38
    sizes = " → ".join("…" if stage is None else _shape(stage.shape) for stage in shown)
    svg = (
        f'<svg class="network" role="img" aria-label="{escaped(sizes)}" viewBox="0 0 {width} {height:g}" '
        f'width="{width}" height="{height:g}">{below}{above}</svg>'
    )
    return Figure("", f'<div class="scroll" tabindex="0" role="region" aria-label="drawing">{svg}</div>', "", None)


def _column(stage: _Stage, u: float, middle: float) -> tuple[str, list[tuple[float, float]]]:
    """Return the drawing of one stage, and where its edges end: dots for features, sheets for channels."""
    if len(stage.shape) == 1:
        count = stage.shape[0]
        many = count > DOTS
        steps = DOTS + 1 if many else count  # the gap takes the room of one
        rows = [i for i in range(steps) if not (many and i == DOTS // 2)]
        places = [(u, middle + (i - (steps - 1) / 2) * SPACE) for i in rows]
        dots = "".join(f'<circle cx="{x:g}" cy="{y:.4g}" r="6.5"/>' for x, y in places)
        gap = f'<text class="gap" x="{u:g}" y="{middle + 4:g}" text-anchor="middle">⋮</text>' * many
        return f"{dots}{gap}", places
    sheets = min(stage.shape[-1], 4) if len(stage.shape) == 3 else 1
    high, wide = (min(14 + 2.2 * math.sqrt(n), 44) for n in stage.shape[:2])
    drawn = ""
    for k in range(sheets):
        shift = 4 * (k - (sheets - 1) / 2)
        x, y = u - wide / 2 + shift, middle - high / 2 + shift
        drawn += f'<rect x="{x:.4g}" y="{y:.4g}" width="{wide:.3g}" height="{high:.3g}" rx="2"/>'
    return drawn, [(u, middle)]


def _labels(stage: _Stage, u: float, bottom: float) -> str:
    texts = ((TOP - 4, stage.name), (bottom + 16, _shape(stage.shape)), (bottom + 31, stage.more))
    return "".join(
        f'<text{" class=size" * (i == 1)} x="{u:g}" y="{y:g}" text-anchor="middle">{escaped(text)}</text>'
        for i, (y, text) in enumerate(texts)
        if text
    )
