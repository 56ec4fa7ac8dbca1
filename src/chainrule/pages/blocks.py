"""What a page is made of, whatever it is written as: headings, sentences, formulas, tables, arrays, pictures."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule._internal.typing import Array

__all__ = [
    "Block",
    "Card",
    "Cell",
    "Code",
    "Figure",
    "Figures",
    "Formula",
    "Heading",
    "Matrix",
    "Picture",
    "Row",
    "Table",
    "Text",
    "Tiles",
    "Verdict",
]  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A cell of a table: a text, and perhaps what makes it easier to see."""

    text: str
    strong: bool = False
    bar: float | None = None  # 0 to 1: a bar beside the text
    wide: bool = False  # of the bar
    note: str = ""  # what it means, smaller
    tint: float = 0.0  # 0 to 1: how deep its color is
    wrong: bool = False  # of the tint: the color of a mistake, or of a negative number
    kind: str = ""  # "good", "bad", "gap", or "mark": the one that is spoken of
    shares: tuple[float, ...] = ()  # a small histogram beside the text


Row = tuple[Cell | str, ...]


@dataclass(frozen=True)
class Heading:
    """The title of a section; ``kind`` is a class of the style sheet that gives it another color."""

    text: str
    about: str = ""
    anchor: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph; ``kind`` is "", "soft" (less important), "result" (what to remember), "worked" or "warning"."""

    text: str
    kind: str = ""
    look: str = ""  # what is true of colors and lines only


@dataclass(frozen=True)
class Code:
    """What somebody types, as it is."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells; ``align`` has a letter for each column: "l" or "r"."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    align: str
    title: str = ""
    reading: str = ""
    corner: str = ""  # what the columns are, above them
    look: str = ""  # of the reading: what is true of colors and lines only
    far: tuple[int, ...] = ()  # columns that are left out where there is no room


@dataclass(frozen=True)
class Figure:
    """A picture with its title, a line that says how to read it, and a table of the same."""

    title: str
    svg: str
    reading: str
    table: Table | None
    key: tuple[tuple[str, str], ...] = ()  # (class of the line, its name)
    look: str = ""  # of the reading: what is true of the picture only


@dataclass(frozen=True)
class Formula:
    """An equation, written as :mod:`chainrule.pages.formula` has it."""

    text: str


@dataclass(frozen=True, eq=False)
class Matrix:
    """An array of numbers under its name, shortened to what there is room for.

    ``entry`` is the one to mark, ``batch`` says whether the first axis is the batch. With an ``origin``, such as "y of
    layer 0", that is said instead of the numbers.

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
    """An image (height, width), the larger the value the denser; ``signed``: one color for each sign, HTML only."""

    values: Array
    label: str
    signed: bool = False


@dataclass(frozen=True)
class Verdict:
    """What was compared: lines of text, and whether they agree; None where that cannot be said."""

    lines: tuple[str, ...]
    ok: bool | None


@dataclass(frozen=True)
class Figures:
    """Pictures beside each other, where there is room."""

    figures: tuple[Figure | Table | Matrix | Picture, ...]


@dataclass(frozen=True)
class Tiles:
    """A few numbers to see first: (value, what it is, what it is to be compared with)."""

    tiles: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Card:
    """One step of several: its rules on the left, and what they give."""

    place: str
    title: str
    about: str
    rules: tuple[Block, ...]
    blocks: tuple[Block, ...]


Block = Heading | Text | Code | Table | Figure | Figures | Tiles | Formula | Matrix | Picture | Verdict | Card
