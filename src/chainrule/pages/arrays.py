"""Arrays as tables, shortened to their first and last entries, with aligned decimals; images as squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.pages.blocks import Cell, Matrix, Picture, Row, Table
from chainrule.pages.formatting import SUPERSCRIPT, escaped, number

HUGE, TINY = 1e5, 0.1  # outside of these, values are written in units of a power of ten
ROWS, IMAGE_ROWS = 6, 10  # of a table; of an image
NEAR = 3  # columns that always fit
DEEP = 0.7  # the tint of the largest number of an array
MAPS = 16  # channels to draw
FAINT = 0.005  # tints below cannot be seen
LEVELS = 32  # densities of a pixel
SHADES = " ░▒▓█"


class NumberFormat:
    """The number format of one array: the same decimals for every value, so that they line up.

    The largest value has ``digits`` significant digits. Small and huge arrays are written in units of a power of ten,
    which ``unit`` names. An exact 0 is written "0"; a value that rounds to it, "0.000".

    >>> write = NumberFormat(np.array([0.0125, -0.25, 0.0, 1e-9]), digits=3)
    >>> [write(v) for v in (0.0125, -0.25, 0.0, 1e-9)], write.unit
    (['0.013', '-0.250', '0', '0.000'], '')
    >>> write = NumberFormat(np.array([0.000125]), digits=3)
    >>> write(0.000125), write.unit
    ('1.25', 'values × 10⁻⁴')
    """

    def __init__(self, values: Array, digits: int) -> None:
        self.whole = values.dtype.kind in "iub"
        finite = np.abs(values[np.isfinite(values)])
        self.largest = float(finite.max()) if finite.size else 0.0
        magnitude = int(f"{self.largest:.{digits - 1}e}".partition("e")[2])  # of the largest value after rounding
        self.power = 0 if self.whole or not self.largest or TINY <= self.largest < HUGE else magnitude
        self.decimals = max(0, digits - 1 - magnitude + self.power)

    @property
    def unit(self) -> str:
        """The power of ten, such as "values × 10⁻³", or "" if there is none."""
        return f"values × 10{str(self.power).translate(SUPERSCRIPT)}" if self.power else ""

    def __call__(self, value: Any) -> str:
        if self.whole:
            return str(int(value))
        if value == 0:
            return "0"
        text = f"{float(value) / 10.0**self.power:.{self.decimals}f}"
        return text if float(text) else text.lstrip("-")


def table(matrix: Matrix, columns: int, more: int = 0, minus: str = "−") -> tuple[Table, list[str]]:
    """Return an array as a table of at most ``columns`` columns, and the lines above it: slice, unit and summary.

    With more than two axes, one slice is shown: the height and width of one image of a batch, or of one kernel. An
    array of up to ``more`` columns is shown whole.

    >>> shown, above = table(Matrix("W", np.arange(40.0).reshape(2, 20) - 9, entry=(0, 6)), columns=5)
    >>> [cell.text for cell in shown.rows[0][1:]], above
    (['−9.00', '−8.00', '−7.00', '…', '−3.00', '…', '10.00'], ['−9 to 30, norm 98.69'])
    >>> shown.head
    ('', '0', '1', '2', '…', '6', '…', '19')
    """
    values, entry, where = matrix.values, matrix.entry, ""
    write = NumberFormat(values, matrix.digits)
    rows = IMAGE_ROWS if values.ndim > 2 else ROWS
    if values.ndim > 2:
        at = entry or (0,) * values.ndim
        plane = (1, 2) if matrix.batch else (0, 1)
        chosen = tuple(slice(None) if axis in plane else at[axis] for axis in range(values.ndim))
        where = f"[{', '.join(':' if isinstance(c, slice) else str(c) for c in chosen)}]"
        values = values[chosen]
        entry = None if entry is None else (entry[plane[0]], entry[plane[1]])
    elif values.ndim < 2:
        entry = None if entry is None else (0, *entry) if entry else (0, 0)
        values = values.reshape(1, -1)
    at_row, at_column = (None, None) if entry is None else entry
    across = shorten(values.shape[1], more if values.shape[1] <= more else columns, at_column)
    down = shorten(values.shape[0], rows, at_row)
    names, labels = (["…" if i is None else str(i) for i in indices] for indices in (across, down))

    def cell(r: int | None, c: int | None) -> Cell:
        if r is None or c is None:
            return Cell("…", kind="gap")
        value, mark = float(values[r, c]), "mark" if (r, c) == entry else ""
        tint = abs(value) / write.largest if write.largest and np.isfinite(value) and not write.whole else 0.0
        text = write(values[r, c]).replace("-", minus)
        return Cell(text, tint=DEEP * tint * (tint > FAINT), wrong=value < 0, kind=mark)

    lines: list[Row] = [tuple(cell(r, c) for c in across) for r in down]
    if len(values) > 1:
        names, lines = ["", *names], [(name, *line) for name, line in zip(labels, lines, strict=True)]
    gap = names.index("…") if "…" in names else 0
    first = NEAR + (len(values) > 1)
    far = tuple(i for i in range(first, gap) if names[i] != str(at_column))
    head = tuple(names) if matrix.values.size > 1 else ("",) * len(names)
    above = [where, write.unit, summary(matrix.values, matrix.digits)]
    return Table(head, tuple(lines), "r" * len(names), far=far), [text for text in above if text]


def shorten(count: int, room: int, entry: int | None) -> list[int | None]:
    """Return at most ``room`` of the indices 0 to count − 1: the first, the last and the entry's, with None for a gap.

    >>> shorten(20, 5, 6), shorten(3, 5, None)
    ([0, 1, 2, None, 6, None, 19], [0, 1, 2])
    """
    if count <= room:
        return list(range(count))
    chosen = ({count - 1} if room > 2 else set()) | (set() if entry is None else {entry})
    for i in range(count):
        if len(chosen) >= max(room, 1):
            break
        chosen.add(i)
    indices: list[int | None] = []
    before = -1
    for i in sorted(chosen):
        gap = range(before + 1, i)
        indices += gap if len(gap) == 1 else [None] * bool(gap)  # a single index takes no more room than "…"
        indices.append(i)
        before = i
    return indices


def summary(values: Array, digits: int) -> str:
    """Return the range and the Euclidean norm of an array with more than one value.

    >>> summary(np.array([3.0, -4.0]), 3), summary(np.zeros(2), 3)
    ('−4 to 3, norm 5', 'all 0')
    """
    if values.size < 2 or values.dtype.kind in "iub":
        return ""
    low, high = number(values.min(), digits), number(values.max(), digits)
    norm = float(np.linalg.norm(values.astype(np.float64)))
    return f"all {low}" if low == high else f"{low} to {high}, norm {number(norm, digits)}"


def channels(matrix: Matrix) -> tuple[list[Array], int | None]:
    """Return the channels of one image or kernel, and the marked one; a table can show only one of them."""
    values, entry = matrix.values, matrix.entry
    if values.ndim != (4 if matrix.batch else 3) or min(values.shape[-3:-1]) < 2 or values.shape[-1] < 2:
        return [], None
    image = values[entry[0] if entry else 0] if matrix.batch else values
    return list(np.moveaxis(image, -1, 0)), entry[-1] if entry else None


def svg(picture: Picture, largest: float | None = None) -> str:
    """Return an image as SVG; for signed values, ``largest`` has the full density."""
    image, signed = picture.values, picture.signed
    height, width = image.shape
    low, high = (0.0, np.abs(image).max() if largest is None else largest) if signed else (image.min(), image.max())
    density = (np.abs(image) if signed else image - low) / (float(high - low) or 1.0)
    kinds: tuple[tuple[str, Array], ...]
    if signed:
        kinds = (('class="p"', density * (image > 0)), ('class="n"', density * (image < 0)))
    else:
        kinds = (('fill="currentColor"', density),)
    return (
        f'<svg class="image" role="img" aria-label="{escaped(picture.label)}" viewBox="0 0 {width} {height}" '
        f'shape-rendering="crispEdges">{"".join(pixels(values, kind) for kind, values in kinds)}</svg>'
    )


def pixels(density: Array, kind: str) -> str:
    """Return the squares of an image (height, width) of densities 0 to 1, one path for each of LEVELS densities.

    >>> pixels(np.array([[0.0, 1.0, 1.0], [0.5, 0.0, 0.0]]), 'class="p"')
    '<path class="p" fill-opacity="0.5" d="M0 1h1v1h-1z"/><path class="p" fill-opacity="1" d="M1 0h2v1h-2z"/>'
    """
    level = np.rint(LEVELS * np.nan_to_num(density).clip(0, 1)).astype(int)
    runs: dict[int, str] = {}
    for i, row in enumerate(level):
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        for j, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(row)], strict=True):
            if row[j]:
                runs[int(row[j])] = runs.get(int(row[j]), "") + f"M{j} {i}h{stop - j}v1h-{stop - j}z"
    return "".join(f'<path {kind} fill-opacity="{n / LEVELS:.3g}" d="{path}"/>' for n, path in sorted(runs.items()))


def shaded(image: Array, width: int = 80) -> list[str]:
    """Return an image as lines of text, with two characters per pixel if they fit, or of every second, third, ... one.

    >>> shaded(np.array([[0.0, 1.0], [0.5, 0.0]]))
    ['  ██', '▒▒  ']
    """
    step = max(1, -(-image.shape[1] // width))
    image = image[::step, ::step]
    low, high = float(image.min()), float(image.max())
    level = np.rint((image - low) / ((high - low) or 1.0) * (len(SHADES) - 1)).astype(int)
    twice = 2 if 2 * image.shape[1] <= width else 1
    return ["".join(SHADES[v] * twice for v in row) for row in level]
