"""A data set: some of its images, or its points in the plane, and the number of rows of each class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule._internal.typing import Array
from chainrule.datasets import Dataset
from chainrule.pages.arrays import pixels
from chainrule.pages.blocks import Block, Cell, Figure, Figures, Row, Table
from chainrule.pages.drawing import SERIES, Axis, Plot
from chainrule.pages.formatting import apart, clean, escaped, rows, short

IMAGES, EACH, ACROSS = 30, 3, 10  # pictures, of one class, and in a row
SIDE, GAP, LABEL = 56, 8, 16  # of a picture, between two, and the height of its label
FINEST = 32  # pixels of a side; of a larger image, every second, third, ... is drawn
MOST = 120_000  # characters of all pictures
POINTS = 1500
CLASSES = 20  # in the table
LETTERS = 9  # of the name of a class below a picture


def dataset(thing: Dataset) -> tuple[str, str, list[Block]]:
    """Show the first images of each class or the points, and the number of rows of each class."""
    count = len(thing.X)
    X = np.asarray(thing.X).reshape(count, -1) if count else np.zeros((0, 0))
    summary = f"{clean(thing.name)}: {rows(count)}"
    summary += f" of {rows(int(np.prod(thing.X.shape[1:])), 'input')}, {thing.X.dtype}"
    if count and X.dtype.kind in "fiub":
        low, high = (short(value) for value in (X.min(), X.max()))
        summary += f", {low} to {high}"
    blocks: list[Block] = []
    drawn = _images(thing, X) if thing.image_shape else _points(thing, X) if X.shape[1] == 2 and count else None
    table = _classes(thing)
    parts = tuple(part for part in (drawn, table) if part is not None)
    if parts:
        blocks.append(Figures(parts))
    return "Dataset", summary, blocks


def _classes(thing: Dataset) -> Table | None:
    names, t = list(thing.classes)[:CLASSES], np.asarray(thing.t)
    if not names or t.ndim != 1:
        return None
    counts = [int(np.count_nonzero(t == k)) for k in range(len(names))]
    largest = max(counts) or 1
    shown = zip(apart(names, 30), counts, strict=True)
    lines: tuple[Row, ...] = tuple((name, f"{n:,}", Cell("", bar=n / largest)) for name, n in shown)
    more = len(thing.classes) - len(names)
    caption = f"{rows(more, 'more class')}." if more else ""
    return Table(("class", "rows", ""), lines, "lrl", caption=caption)


def _images(thing: Dataset, X: Array) -> Figure | None:
    height, width = thing.image_shape or (0, 0)
    if not len(X) or height < 1 or X.shape[1] != height * width:
        return None
    order = [np.flatnonzero(thing.t == k)[:EACH] for k in range(min(len(thing.classes), IMAGES))]
    chosen = [int(i[r]) for r in range(EACH) for i in order if r < len(i)][:IMAGES]
    values = X[chosen].astype(float).reshape(-1, height, width)
    step = math.ceil(max(height, width) / FINEST)
    values = values[:, ::step, ::step]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    shown = [clean(thing.classes[int(thing.t[i])], LETTERS) for i in chosen]
    drawn = [pixels(image, 'fill="#fff"') for image in (values / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)]
    fitting = max(1, int(np.searchsorted(np.cumsum(list(map(len, drawn))), MOST)))
    svg = _sheet(drawn[:fitting], shown[:fitting], *values.shape[1:])
    caption = f"The first images of each class, {height} × {width}" + f"; every {step}th pixel" * (step > 1) + "."
    return Figure("Images", svg, caption, None)


def _sheet(images: Sequence[str], names: Sequence[str], height: int, width: int) -> str:
    """Return images side by side, each above its name; the largest value is white."""
    count = len(images)
    scale = SIDE / max(height, width)
    across = min(ACROSS, count)
    total = across * (SIDE + GAP) - GAP, -(-count // across) * (SIDE + LABEL + GAP) - GAP
    drawn = ""
    for place, (image, name) in enumerate(zip(images, names, strict=True)):
        u, v = place % across * (SIDE + GAP), place // across * (SIDE + LABEL + GAP)
        drawn += (
            f'<g transform="translate({u} {v})"><g transform="scale({scale:.4g})">'
            f'<path fill="#000" d="M0 0h{width}v{height}h-{width}z"/>{image}</g>'
            f'<text x="{SIDE / 2:g}" y="{SIDE + 12}" text-anchor="middle">{escaped(name)}</text></g>'
        )
    size = f'viewBox="0 0 {total[0]} {total[1]}" width="{total[0]}" height="{total[1]}"'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="images">'
        f'<svg class="sheet" role="img" aria-label="{count} images" {size} shape-rendering="crispEdges">{drawn}</svg>'
        "</div>"
    )


def _points(thing: Dataset, X: Array) -> Figure | None:
    known = np.flatnonzero(np.isfinite(X.astype(float)).all(axis=1))
    chosen = known[:: -(-len(known) // POINTS) or 1]
    if not len(chosen):
        return None
    x, y = X[chosen].astype(float).T
    plot = Plot(Axis(*_range(x), "first input"), Axis(*_range(y), "second input"))
    t, key = np.asarray(thing.t)[chosen], []
    for k in range(min(len(thing.classes), SERIES)):
        plot.points(x[t == k], y[t == k], f"s{k + 1}", 2)
        key.append((f"s{k + 1} dots", clean(thing.classes[k], 30)))
    rest = t >= SERIES
    if rest.any():
        plot.points(x[rest], y[rest], "rest", 2)
        key.append(("rest dots", "others"))
    caption = "All rows." if len(chosen) == len(X) else f"{len(chosen):,} of {rows(len(X))}."
    return plot.figure("Rows in the plane", caption, None, key)


def _range(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * ((high / 2 - low / 2) * 2 if abs(high) < 1e300 and abs(low) < 1e300 else 0.0)
    margin = margin or 0.05 * (abs(high) or 1.0)
    return low - margin, high + margin
