"""Pictures of what a layer does, computed by the layer: a curve, a product of matrices, images, or a batch of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import chainrule as cr
from chainrule.layers import Activation, Dense, Flatten, Layer

BLUE, ORANGE = "#0072B2", "#D55E00"
WIDTH = 7.0


def draw(layer: Layer, shape: tuple[int, ...], path: Path) -> tuple[str, str]:
    """Save a picture of a layer for rows of this shape; return its text for those who do not see it, and a caption."""
    network = cr.Network(shape, [layer, Flatten()], "squared_error", dtype="float64", seed=1)
    bound = network.layers[0]
    if isinstance(bound, Activation) and _elementwise(bound):
        figure, texts = _curve(bound)
    elif isinstance(bound, Dense):
        figure, texts = _product(bound)
    elif len(shape) == 3 and shape[-1] == 1:
        figure, texts = _images(layer)
    else:
        figure, texts = _rows(bound)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=140, metadata={"Software": None})
    return texts


def passes(layer: Layer, x: np.ndarray, dy: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return y, dy and dx of a bound layer, in training."""
    memo = cr.Memo(training=True, rng=np.random.default_rng(0))
    y = np.array(layer.forward(x, memo))
    dy = np.random.default_rng(1).normal(size=y.shape) if dy is None else dy
    return y, dy, np.array(layer.backward(dy, memo))


def _elementwise(layer: Layer) -> bool:
    """Return whether a value of y depends on one value of x alone."""
    x = np.random.default_rng(0).normal(size=(1, *layer.input_shape))
    moved = x.copy()
    moved.flat[0] += 1
    return bool(np.sum(passes(layer, x)[0] != passes(layer, moved)[0]) <= 1)


def _curve(layer: Layer) -> tuple[Figure, tuple[str, str]]:
    x = np.linspace(-4, 4, 801)
    wide = np.repeat(x[:, np.newaxis], layer.input_shape[0], axis=1)
    y, _, dx = passes(layer, wide, np.ones_like(wide))
    y, dx = y[:, 0], dx[:, 0].copy()
    dx[1:][np.abs(np.diff(dx)) > 0.05] = np.nan  # a jump is no line
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.axvline(0, color="#999999", linewidth=0.8)
    axes.plot(x, y, color=BLUE, linewidth=2.2, label="y")
    axes.plot(x, dx, color=ORANGE, linewidth=2.2, linestyle="--", label="dy/dx")
    axes.set(
        xlabel="x", ylabel="y and dy/dx", xlim=(-4, 4), ylim=(max(np.nanmin(y), -2.2) - 0.3, min(np.nanmax(y), 3) + 0.3)
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    name = type(layer).__name__
    return figure, (
        f"The curve of {name} from -4 to 4, and its derivative",
        "y, and the slope dy/dx by which `backward` multiplies dy.",
    )


def _product(layer: Dense) -> tuple[Figure, tuple[str, str]]:
    x = np.random.default_rng(0).normal(size=(5, *layer.input_shape)).round(1)
    y = passes(layer, x)[0]
    parts = [("x", x), ("W", layer.W), ("b", layer.b[np.newaxis]), ("y", y)]
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    axes = figure.subplots(1, 4, gridspec_kw={"width_ratios": [part.shape[1] for _, part in parts]})
    limit = max(np.abs(part).max() for _, part in parts)
    for ax, (name, part), sign in zip(axes, parts, ("", "·", "+", "="), strict=True):
        _cells(ax, part, limit)
        ax.set_title(f"{sign}  {name} {part.shape}".strip(), fontsize=10)
    return figure, (
        "Four tables of numbers: x times W plus b is y",
        "Each row of y is a row of x times W, plus b: five rows, each with its own line, and the same W for all.",
    )


def _images(given: Layer) -> tuple[Figure, tuple[str, str]]:
    image = cr.datasets.load_digits().X[3].reshape(1, 8, 8, 1).astype("float64")
    layer = cr.Network((8, 8, 1), [given, Flatten()], "squared_error", dtype="float64", seed=1).layers[0]
    y, dy, dx = passes(layer, image)
    if y.ndim == 2:  # a number for each channel
        y, dy = y[:, np.newaxis, np.newaxis], dy[:, np.newaxis, np.newaxis]
    pictures = [("x", image[0, :, :, 0])]
    filters = getattr(layer, "W", None)
    if filters is not None and filters.ndim == 4:
        pictures += [(f"W, filter {i}", filters[:, :, 0, i]) for i in range(min(2, filters.shape[-1]))]
    pictures += [("y" if y.shape[-1] == 1 else f"y, channel {i}", y[0, :, :, i]) for i in range(min(2, y.shape[-1]))]
    pictures.append(("dx", dx[0, :, :, 0]))
    figure = Figure(figsize=(WIDTH, 1.9 if len(pictures) > 3 else 2.4), layout="constrained")
    for ax, (name, picture) in zip(figure.subplots(1, len(pictures)), pictures, strict=True):
        _heat(ax, picture)
        ax.set_title(f"{name}\n{picture.shape[0]} × {picture.shape[1]}", fontsize=9)
    return figure, (
        f"A handwritten digit before and after {type(given).__name__}, and the gradient that comes back",
        "A handwritten 3 as x, the output, and dx: where a random dy flows back to. Blue is negative, red positive.",
    )


def _rows(layer: Layer) -> tuple[Figure, tuple[str, str]]:
    x = np.random.default_rng(0).normal(size=(6, *layer.input_shape)).round(1)
    for column, categories in layer.integer_columns().items():
        x[:, column] = np.arange(6) % categories
    y, dy, dx = passes(layer, x)
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    parts = [("x", x), ("y = forward(x)", y), ("dx = backward(dy)", dx), ("dy, given", dy)]
    for ax, (name, part) in zip(figure.subplots(2, 2).flat, parts, strict=True):
        flat = part.reshape(len(part), -1)
        (_cells if flat.shape[1] <= 8 else _heat)(ax, flat, np.abs(flat).max())
        ax.set_title(f"{name}   {part.shape}", fontsize=10)
        ax.set_ylabel("row")
    return figure, (
        f"Six rows before and after {type(layer).__name__}, and the gradients that come back",
        "Six rows: above from x to y, below from dy back to dx.",
    )


def _heat(ax: Any, values: np.ndarray, limit: float | None = None) -> None:
    limit = limit or np.abs(values).max() or 1
    ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="equal")
    ax.set(xticks=[], yticks=[])


def _cells(ax: Any, values: np.ndarray, limit: float) -> None:
    ax.imshow(values, cmap="RdBu_r", vmin=-1.6 * limit, vmax=1.6 * limit, aspect="auto")
    ax.set(xticks=[], yticks=[])
    for (i, j), value in np.ndenumerate(values):
        ax.text(j, i, f"{value + 0.0:.2g}".replace("-", "−"), ha="center", va="center", fontsize=8)
