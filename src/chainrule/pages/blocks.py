"""What a report is made of, whatever it is written as: headings, sentences, tables, pictures."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Block", "Cell", "Code", "Figure", "Figures", "Heading", "Row", "Table", "Text", "Tiles"]


@dataclass(frozen=True)
class Cell:
    """A cell of a table: a text, and perhaps what makes it easier to see."""

    text: str
    strong: bool = False
    bar: float | None = None  # 0 to 1: a bar beside the text
    wide: bool = False  # of the bar
    note: str = ""  # what it means, smaller
    tint: float = 0.0  # 0 to 1: how deep its colour is
    wrong: bool = False  # of the tint: the colour of a mistake
    shares: tuple[float, ...] = ()  # a small histogram beside the text


Row = tuple[Cell | str, ...]


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    text: str
    about: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph; ``kind`` is "", "soft" (less important), "result" (what to remember) or "warning"."""

    text: str
    kind: str = ""


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
    look: str = ""  # of the reading: what is true of colours and lines only


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
class Figures:
    """Pictures beside each other, where there is room."""

    figures: tuple[Figure | Table, ...]


@dataclass(frozen=True)
class Tiles:
    """A few numbers to see first: (value, what it is, what it is to be compared with)."""

    tiles: tuple[tuple[str, str, tuple[str, ...]], ...]


Block = Heading | Text | Code | Table | Figure | Figures | Tiles
