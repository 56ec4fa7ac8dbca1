"""Numbers on a page: decimals that line up, one choice for each array, and long arrays shortened."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tracing.steps import Index

DIGITS = 4  # significant ones, of a number in a formula
HUGE, TINY = 1e5, 0.1  # beyond, an array is written as so much times a power of ten
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Format:
    """How the values of one array are written: all with the same decimals, so that they line up.

    The largest one has ``digits`` significant digits. Small and huge arrays are written in units of a power of ten,
    which ``unit`` names. What is exactly 0 is written "0", what is only rounded to it "0.000".

    >>> write = Format(np.array([0.0125, -0.25, 0.0, 1e-9]), digits=3)
    >>> [write(v) for v in (0.0125, -0.25, 0.0, 1e-9)], write.unit
    (['0.013', '-0.250', '0', '0.000'], '')
    >>> write = Format(np.array([0.000125]), digits=3)
    >>> write(0.000125), write.unit
    ('1.25', 'values × 10⁻⁴')
    """

    def __init__(self, values: Array, digits: int) -> None:
        self.whole = values.dtype.kind in "iub"
        finite = np.abs(values[np.isfinite(values)])
        largest = float(finite.max()) if finite.size else 0.0
        magnitude = int(f"{largest:.{digits - 1}e}".partition("e")[2])  # of the largest value, once it is rounded
        self.power = 0 if self.whole or not largest or TINY <= largest < HUGE else magnitude
        self.decimals = max(0, digits - 1 - magnitude + self.power)

    @property
    def unit(self) -> str:
        """The power of ten, such as "values × 10⁻³"; nothing where the numbers are the values."""
        return f"values × 10{str(self.power).translate(SUPERSCRIPT)}" if self.power else ""

    def __call__(self, value: Any) -> str:
        if self.whole:
            return str(int(value))
        if value == 0:
            return "0"
        text = f"{float(value) / 10.0**self.power:.{self.decimals}f}"
        return text if float(text) else text.lstrip("-")


class Grid(NamedTuple):
    """The part of an array that is shown: rows and columns of one slice; None is a gap."""

    rows: list[int | None]
    columns: list[int | None]
    values: Array
    """The slice, (rows, columns)."""
    where: str
    """Which slice it is, such as "[0, :, :, 2]"; nothing where the array is a table itself."""
    entry: Index | None
    """The entry to mark, as (row, column)."""


def grid(values: Array, rows: int, columns: int, entry: Index | None = None, *, batch: bool = True) -> Grid:
    """Return what is shown of an array in so many rows and columns: first and last ones, and the entry's.

    Of more than two axes one slice is shown: height and width of one image of a batch, or of one kernel.

    >>> grid(np.zeros((2, 20)), rows=4, columns=5, entry=(0, 6)).columns
    [0, 1, 2, None, 6, None, 19]
    >>> grid(np.zeros((2, 5, 5, 3)), 4, 5, entry=(1, 0, 0, 2)).where
    '[1, :, :, 2]'
    """
    where = ""
    if values.ndim > 2:
        at = entry or (0,) * values.ndim
        plane = (1, 2) if batch else (0, 1)
        chosen = tuple(slice(None) if axis in plane else at[axis] for axis in range(values.ndim))
        where = f"[{', '.join(':' if isinstance(c, slice) else str(c) for c in chosen)}]"
        values = values[chosen]
        entry = None if entry is None else (entry[plane[0]], entry[plane[1]])
    elif values.ndim < 2:
        entry = None if entry is None else (0, *entry) if entry else (0, 0)
        values = values.reshape(1, -1)
    at_row, at_column = (None, None) if entry is None else entry
    return Grid(
        _shown(values.shape[0], rows, at_row), _shown(values.shape[1], columns, at_column), values, where, entry
    )


def cell(shown: Grid, row: int | None, column: int | None, write: Format) -> str:
    """Return what stands in a cell: a number, or … in a gap."""
    return "…" if row is None or column is None else write(shown.values[row, column])


def _shown(count: int, room: int, entry: int | None) -> list[int | None]:
    """Return so many of the indices 0 to count − 1: the first, the last, the entry's; None where some are left out."""
    if count <= room:
        return list(range(count))
    last = {count - 1} if room > 2 else set()
    must = last | (set() if entry is None else {entry})
    chosen = set(must)
    for i in range(count):
        if len(chosen) >= max(room, 1):
            break
        chosen.add(i)
    indices: list[int | None] = []
    for i in sorted(chosen):
        before = indices[-1] if indices else -1
        gap = range(before + 1, i)  # type: ignore[operator]  # a number always follows a gap
        indices += gap if len(gap) == 1 else [None] * bool(gap)  # one alone takes no more room than "…"
        indices.append(i)
    return indices


def summary(values: Array, digits: int) -> str:
    """Return the smallest and the largest value, and the Euclidean norm, of more than one number.

    >>> summary(np.array([3.0, -4.0]), 3), summary(np.zeros(2), 3)
    ('−4 to 3, norm 5', 'all 0')
    """
    if values.size < 2 or values.dtype.kind in "iub":
        return ""
    low, high = number(values.min(), digits), number(values.max(), digits)
    norm = float(np.linalg.norm(values.astype(np.float64)))
    return f"all {low}" if low == high else f"{low} to {high}, norm {number(norm, digits)}"


def number(value: Any, digits: int) -> str:
    """Return a number by itself, with a true minus sign.

    >>> number(-0.012345, 3), number(2.0, 3), number(1e-9, 3)
    ('−0.0123', '2', '1e-09')
    """
    return f"{float(value):.{digits}g}".replace("-", "−").replace("e−", "e-")


def factor(value: Any, digits: int) -> str:
    """Return a number to be put in a formula: in parentheses when it is negative."""
    text = number(value, digits)
    return f"({text})" if text.startswith("−") else text
