"""Plots as SVG: axes with round ticks, lines, points, bars, intervals and squares.

Colors are classes of the style sheet (``s1`` to ``s6``), so that they follow light and dark mode. Lines also differ by
their dashes, for print and for color-blind readers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.blocks import Figure, Table
from chainrule.pages.formatting import escaped, short

WIDTH, HEIGHT = 400, 280
LEFT, RIGHT, TOP, BOTTOM = 60, 18, 10, 42
TITLE, CHARACTER = 26, 6.2  # width of the y-axis title with its gaps, and of a character of a tick label
SERIES = 6  # classes s1 to s6


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers between low and high: steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0, 1), ticks(-3, 42)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 10.0, 20.0, 30.0, 40.0])
    """
    raw = (high - low) / about
    if not raw > 0 or not math.isfinite(raw):
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """Return up to seven powers of ten between low and high; if fewer than two, also 2 and 5 times powers of ten.

    >>> decades(0.5, 2000), decades(15, 600)
    ([1.0, 10.0, 100.0, 1000.0], [20.0, 50.0, 100.0, 200.0, 500.0])
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = [10.0**i for i in range(first, last + 1, max(1, -((first - last) // 6)))]
    if len(powers) >= 2:
        return powers
    between = [m * 10.0**i for i in range(first - 1, last + 2) for m in (1, 2, 5)]
    between = [t for t in between if low <= t <= high]
    return between if len(between) >= 2 else [t for t in ticks(low, high, 3) if t > 0]


@dataclass(frozen=True)
class Axis:
    """An axis: its range, its label, and whether it is logarithmic."""

    low: float
    high: float
    label: str
    log: bool = False
    share: bool = False  # ticks are percentages

    def place(self, values: Array) -> Array:
        """Return the positions of values along the axis, 0 to 1."""
        values = np.clip(np.asarray(values, dtype=float), self.low, self.high)
        if self.log:
            return np.log(values / self.low) / (math.log(self.high / self.low) or 1.0)
        scale = max(abs(self.low), abs(self.high)) or 1.0  # to avoid overflow
        return (values / scale - self.low / scale) / ((self.high / scale - self.low / scale) or 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the tick values and their labels."""
        values = decades(self.low, self.high) if self.log else ticks(self.low, self.high)
        return [(v, f"{100 * v:.0f}%" if self.share else short(v, 3).removeprefix("1 × ")) for v in values]


@dataclass
class Plot:
    """A plot with two axes; later parts are drawn over earlier ones."""

    x: Axis
    y: Axis
    width: int = WIDTH
    height: int = HEIGHT
    parts: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Distance of the y-axis from the left edge, with room for its title and its longest tick label."""
        return max(LEFT, math.ceil(TITLE + CHARACTER * max((len(text) for _, text in self.y.ticks()), default=0)))

    def at(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return the pixel coordinates of points."""
        return (
            self.left + self.x.place(x) * (self.width - self.left - RIGHT),
            self.height - BOTTOM - self.y.place(y) * (self.height - TOP - BOTTOM),
        )

    def line(self, x: Array, y: Array, kind: str) -> None:
        """Draw a line through the points, with a gap at each one that is not finite."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        u, v = self.at(x, y)
        path, pen = "", "M"
        for known, p, q in zip(np.isfinite(x) & np.isfinite(y), u, v, strict=True):
            path, pen = (f"{path}{pen}{p:.1f} {q:.1f}", "L") if known else (path, "M")
        if path:
            self.parts.append(f'<path class="line {kind}" d="{path}"/>')

    def points(self, x: Array, y: Array, kind: str, radius: float = 2.5) -> None:
        """Draw a dot for each point, as one path to keep the file small."""
        u, v = self.at(x, y)
        path = "".join(f"M{p:.1f} {q:.1f}h0" for p, q in zip(u, v, strict=True))
        if path:
            self.parts.append(f'<path class="dots {kind}" stroke-width="{2 * radius:g}" d="{path}"/>')

    def intervals(self, x: Array, low: Array, high: Array, kind: str) -> None:
        """Draw a vertical line from low to high at each x."""
        u, v = self.at(x, low)
        _, w = self.at(x, high)
        path = "".join(f"M{p:.1f} {a:.1f}V{b:.1f}" for p, a, b in zip(u, v, w, strict=True))
        self.parts.append(f'<path class="interval {kind}" d="{path}"/>')

    def bars(self, edges: Array, tops: Array, kind: str, tips: Sequence[str] = ()) -> None:
        """Draw bars between the edges, from the bottom of the plot."""
        u, v = self.at(edges, np.full(len(edges), self.y.low))
        _, w = self.at(edges[1:], tops)
        for i, top in enumerate(w):
            tip = f"<title>{escaped(tips[i])}</title>" if tips else ""
            width, height = max(u[i + 1] - u[i] - 1, 0.5), max(v[i] - top, 0)
            place = f'x="{u[i]:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
            self.parts.append(f'<rect class="bar {kind}" {place}>{tip}</rect>')

    def squares(self, x: Array, y: Array, counts: Array, kind: str) -> None:
        """Draw a two-dimensional histogram, denser for more rows; ``counts`` is (x bins, y bins)."""
        u, _ = self.at(x, np.full(len(x), self.y.low))
        _, v = self.at(np.full(len(y), self.x.low), y)
        density = np.log1p(counts) / (math.log1p(counts.max()) or 1.0)
        for i, j in np.argwhere(counts > 0).tolist():
            place = f'x="{u[i]:.1f}" y="{v[j + 1]:.1f}" width="{u[i + 1] - u[i]:.1f}" height="{v[j] - v[j + 1]:.1f}"'
            self.parts.append(f'<rect class="square {kind}" {place} fill-opacity="{0.12 + 0.88 * density[i, j]:.2f}"/>')

    def figure(
        self, title: str, caption: str, table: Table | None, key: Sequence[tuple[str, str]] = (), look: str = ""
    ) -> Figure:
        """Return the plot as a :class:`Figure` with its title, its caption and a table of the same data."""
        return Figure(title, self.svg(title, caption), caption, table, tuple(key), look)

    def svg(self, title: str, caption: str) -> str:
        """Return the SVG, with a title and a description for screen readers."""
        bottom, right = self.height - BOTTOM, self.width - RIGHT
        left, grid, labels = self.left, "", ""
        for value, text in _spaced(self.x.ticks(), right - left):
            u = float(self.at(np.array([value]), np.array([self.y.low]))[0][0])
            grid += f"M{u:.1f} {TOP}V{bottom}"
            labels += f'<text x="{u:.1f}" y="{bottom + 15}" text-anchor="middle">{escaped(text)}</text>'
        for value, text in self.y.ticks():
            v = float(self.at(np.array([self.x.low]), np.array([value]))[1][0])
            grid += f"M{left} {v:.1f}H{right}"
            labels += f'<text x="{left - 6}" y="{v + 4:.1f}" text-anchor="end">{escaped(text)}</text>'
        middle = (TOP + bottom) / 2
        labels += (
            f'<text class="label" x="{(left + right) / 2}" y="{self.height - 6}" text-anchor="middle">'
            f"{escaped(self.x.label)}</text>"
            f'<text class="label" transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">'
            f"{escaped(self.y.label)}</text>"
        )
        return (
            f'<svg class="plot" viewBox="0 0 {self.width} {self.height}" role="img">'
            f"<title>{escaped(title)}</title><desc>{escaped(caption)}</desc>"
            f'<path class="grid" d="{grid}"/>{"".join(self.parts)}'
            f'<path class="axis" d="M{left} {TOP}V{bottom}H{right}"/>{labels}</svg>'
        )


def _spaced(ticks: list[tuple[float, str]], width: float) -> list[tuple[float, str]]:
    """Return every tick, or every second, third, ... one: as many as fit."""
    longest = CHARACTER * (2 + max((len(text) for _, text in ticks), default=0))
    return ticks[:: max(1, math.ceil(longest * (len(ticks) - 1) / width))]


def spark(shares: Sequence[float]) -> str:
    """Return a sparkline, a small histogram without axes, to stand beside a text.

    >>> spark([0.5, 1.0])[-48:]
    '<path d="M0 20v-10h7v10zM8 20v-20h7v20z"/></svg>'
    """
    largest = max(shares, default=0) or 1.0
    bars = [(8 * i, max(20 * share / largest, 1.0 if share else 0.0)) for i, share in enumerate(shares)]
    path = "".join(f"M{u} 20v-{h:.3g}h7v{h:.3g}z" for u, h in bars if h)
    width = 8 * len(bars)
    return (
        f'<svg class="spark" viewBox="0 0 {width} 20" width="{width}" height="20" aria-hidden="true">'
        f'<path d="{path}"/></svg>'
    )


def thin(x: Array, y: Array, at_most: int = 160) -> tuple[Array, Array]:
    """Thin a long line to at most ``at_most`` points, spaced evenly along it, both ends included.

    With values that are not finite, the points are spaced evenly along x.

    >>> x, y = thin(np.linspace(0, 1, 1001), np.zeros(1001), at_most=3)
    >>> x.tolist()
    [0.0, 0.5, 1.0]
    """
    if len(x) <= at_most:
        return x, y
    way: Array = np.arange(len(x))
    if np.isfinite(x).all() and np.isfinite(y).all():
        u, v = (values / (np.abs(values).max() or 1.0) for values in (x, y))  # to avoid overflow
        steps = (np.abs(np.diff(values)) / (np.ptp(values) or 1.0) for values in (u, v))
        way = np.concatenate([[0.0], np.cumsum(sum(steps))])
    keep = np.unique(np.searchsorted(way, np.linspace(0, way[-1], at_most)).clip(0, len(x) - 1))
    return x[keep], y[keep]
