"""Rows of cells as lines of plain text, for terminals."""

from __future__ import annotations

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], width: int | None = None, align: str = "") -> str:
    """Return rows of cells as lines; where they are wider than ``width``, the first column is cut short.

    >>> print(columns([("layer", "order"), ("0  Dense(10, weights='zeros')", "2.00")], 20))
    layer          order
    0  Dense(10,…  2.00
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if widths and width is not None:
        excess = sum(widths) + 2 * (len(widths) - 1) - width
        widths[0] = max(min(widths[0], 12), widths[0] - max(0, excess))
    sides = [str.rjust if side == "r" else str.ljust for side in align.ljust(len(widths))]
    lines = []
    for row in rows:
        first = [cell if len(cell) <= widths[0] else cell[: widths[0] - 1] + "…" for cell in row[:1]]
        cells = zip(sides, (*first, *row[1:]), widths, strict=True)
        lines.append("  ".join(side(cell, size) for side, cell, size in cells).rstrip())
    return "\n".join(lines)
