"""The blocks of a page, for every output format: headings, sentences, formulas, tables, arrays, pictures."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule._internal.typing import Array


@dataclass(frozen=True)
class Cell:
    """A table cell: text, with optional visual aids."""

    text: str
    strong: bool = False
    bar: float | None = None  # 0 to 1: a bar beside the text
    wide: bool = False  # whether the bar is wide
    both: bool = False  # whether the bar begins in the middle, and is -1 to 1
    note: str = ""  # an explanation, in small print
    tint: float = 0.0  # 0 to 1: the depth of its color
    wrong: bool = False  # whether the tint has the color of errors and negative numbers
    kind: str = ""  # "good", "bad", "gap" or "mark" (the entry that the text discusses)
    shares: tuple[float, ...] = ()  # a small histogram beside the text


Row = tuple[Cell | str, ...]


@dataclass(frozen=True)
class Heading:
    """A section title; ``kind`` is a style sheet class that colors it."""

    text: str
    about: str = ""
    anchor: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph; ``kind`` is "", "soft" (less important), "result" (the main point), "worked" or "warning"."""

    text: str
    kind: str = ""
    look: str = ""  # a remark on colors and lines, for HTML only


@dataclass(frozen=True)
class Code:
    """Text to type, verbatim; with a ``title``, lines of Python and where they are from."""

    text: str
    title: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells; ``align`` has a letter for each column: "l" or "r"."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    align: str
    title: str = ""
    caption: str = ""
    corner: str = ""  # a heading above the columns
    look: str = ""  # the part of the caption about colors and lines, for HTML only
    far: tuple[int, ...] = ()  # columns to omit where space is short


@dataclass(frozen=True)
class Figure:
    """A plot with its title, a caption, and a table of the same data."""

    title: str
    svg: str
    caption: str
    table: Table | None
    key: tuple[tuple[str, str], ...] = ()  # (class of the line, its name)
    look: str = ""  # the part of the caption about the plot, for HTML only


@dataclass(frozen=True)
class Formula:
    """An equation in the notation of :mod:`chainrule.pages.formula`."""

    text: str


@dataclass(frozen=True, eq=False)
class Matrix:
    """A named array, shortened to fit.

    ``entry`` is the index to mark, and ``batch`` whether the first axis is the batch. An ``origin``, such as "y of
    layer 0", is shown instead of the numbers.

    Examples
    --------
    >>> import numpy as np
    >>> matrix = Matrix("dW", np.array([[0.5, -1.0]]), entry=(0, 1), batch=False)
    >>> float(matrix.values[matrix.entry])
    -1.0
    """

    name: str
    values: Array
    origin: str = ""
    entry: tuple[int, ...] | None = None
    batch: bool = True
    digits: int = 4


@dataclass(frozen=True, eq=False)
class Picture:
    """An image (height, width), denser for larger values; ``signed`` uses one color per sign, in HTML only."""

    values: Array
    label: str
    signed: bool = False


@dataclass(frozen=True)
class Verdict:
    """A comparison: lines of text, and whether both sides agree (None if unknown)."""

    lines: tuple[str, ...]
    ok: bool | None


@dataclass(frozen=True)
class Figures:
    """Figures side by side, where there is room."""

    figures: tuple[Figure | Table | Matrix | Picture, ...]


@dataclass(frozen=True)
class Tiles:
    """The headline numbers: (value, name, values to compare it with)."""

    tiles: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Card:
    """One step of several: its rules on the left, their code and their results on the right."""

    place: str
    title: str
    about: str
    rules: tuple[Block, ...]
    blocks: tuple[Block, ...]
    code: tuple[Code, ...] = ()


Block = Heading | Text | Code | Table | Figure | Figures | Tiles | Formula | Matrix | Picture | Verdict | Card
