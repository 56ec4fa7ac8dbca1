"""Blocks as plain text for terminals, in color when rich prints it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from chainrule.pages import arrays
from chainrule.pages import blocks as b
from chainrule.pages.formatting import bar, signed_bar, sparks, visible

MOST, LEAST = 24, 3  # columns of an array that are tried
Line = tuple[str, str]
STYLES = {
    "title": "bold", "phase": "bold reverse", "layer": "bold cyan", "equation": "yellow", "worked": "green",
    "name": "bold", "dim": "dim", "good": "green", "bad": "bold red", "warning": "yellow", "": "",
}  # fmt: skip


def render(title: str, about: str, blocks: Sequence[b.Block], width: int) -> Iterator[Line]:
    """Yield the lines of a page, each with its kind, a key of :data:`STYLES`."""
    yield from (("title", line) for line in _wrapped(title, width))
    yield from (("dim", line) for line in _wrapped(about, width))
    for block in blocks:
        yield "", ""
        yield from _block(block, width)


def plain(title: str, about: str, blocks: Sequence[b.Block], width: int) -> str:
    """Return a page as text.

    >>> print(plain("A page", "", [b.Table(("row", "error"), (("one", "0.5"), ("two", "10")), "lr")], 40), end="")
    A page
    <BLANKLINE>
    row  error
    one    0.5
    two     10
    """
    return "\n".join(line for _, line in render(title, about, blocks, width)) + "\n"


def styled(title: str, about: str, blocks: Sequence[b.Block], width: int) -> Any:
    """Return a page for rich to print."""
    from rich.text import Text as Styled  # noqa: PLC0415  (an extra: rich asked for it)

    text = Styled()
    for kind, line in render(title, about, blocks, width):
        text.append(line + "\n", STYLES[kind])
    text.rstrip()
    return text


def columns(rows: Sequence[Sequence[str]], width: int | None = None, align: str = "") -> str:
    """Return rows of cells as lines; if they are wider than ``width``, the first column is cut.

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


def _block(block: b.Block, width: int) -> Iterator[Line]:  # noqa: C901, PLR0912  (one for each kind of block)
    match block:
        case b.Heading():
            title = f" {block.text.upper()}{f': {block.about}' if block.about else ''} "
            yield "phase", visible(title.ljust(width, "─") if len(title) <= width else title.strip())
        case b.Text():
            kind = {"result": "title", "soft": "dim"}.get(block.kind, block.kind)
            mark = {"worked": "  ▸ ", "warning": "! "}.get(block.kind, "")
            yield from ((kind, line) for line in _wrapped(block.text, width, mark, "  " * bool(mark)))
        case b.Code():
            if not block.title:
                yield from (("", visible(line)) for line in block.text.splitlines())
                return
            yield "dim", f"    {visible(block.title)}"[:width]
            for line in map(visible, block.text.splitlines()):
                inside = "      " + line[: len(line) - len(line.lstrip())]
                yield from (("dim", part) for part in _wrapped(line.strip(), width, inside, inside + "    "))
        case b.Formula():
            yield from (("equation", line) for line in _wrapped(block.text, width, "    ", "      "))
        case b.Verdict():
            kind, mark = ("good", "ok") if block.ok else ("bad", "??" if block.ok is None else "!!")
            for i, line in enumerate(block.lines):
                first = f"  {'  ' if i else mark} "
                yield from ((kind, part) for part in _wrapped(line, width, first, "       "))
        case b.Tiles():
            for value, what, beside in block.tiles:
                yield "title", visible(f"{value}  {what}" + f" ({', '.join(beside)})" * bool(beside))
        case b.Table():
            yield from (("name", visible(line)) for line in [block.title] if line)
            yield from (("", line) for line in _table(block, width))
            yield from (("dim", line) for line in _wrapped(block.caption, width))
        case b.Figure():
            yield "name", visible(block.title)
            yield from _block(block.table, width) if block.table else ()
            yield from (("dim", line) for line in _wrapped(block.caption, width))
        case b.Picture():
            yield from (("", f"  {line}") for line in ([] if block.signed else arrays.shaded(block.values, width - 2)))
        case b.Matrix():
            yield from _matrix(block, width)
        case b.Figures():
            for i, figure in enumerate(block.figures):
                yield from [("", "")] * (i > 0 and not isinstance(figure, b.Matrix))
                yield from _block(figure, width)
        case b.Card():
            head = f"{block.place}  {block.title}   {block.about}".rstrip()
            yield from (("layer", line) for line in _wrapped(head, width, "", "    "))
            for inner in (*block.rules, *block.code, *block.blocks):
                soft = isinstance(inner, b.Text) and not inner.kind.startswith("w")
                yield from ((kind, "    " * soft + line) for kind, line in _block(inner, width - 4 * soft))


def _table(table: b.Table, width: int | None = None) -> list[str]:
    cells = [[_cell(cell) if isinstance(cell, b.Cell) else visible(cell) for cell in row] for row in table.rows]
    rows = [list(map(visible, table.head)), *cells] if any(table.head) else cells
    text = columns(rows, None, table.align) if rows else ""
    if width is not None and max(map(len, text.splitlines()), default=0) > width:
        near = [i for i in range(len(table.head)) if i not in table.far]
        text = columns([[row[i] for i in near] for row in rows], width, "".join(table.align[i] for i in near))
    return text.splitlines()


def _cell(cell: b.Cell) -> str:
    note = f": {cell.note}" if cell.note else ""
    drawn = (signed_bar if cell.both else bar)(cell.bar or 0.0)
    return " ".join(filter(None, (sparks(cell.shares), drawn, visible(cell.text + note))))


def _matrix(matrix: b.Matrix, width: int) -> Iterator[Line]:
    name = f"  {visible(matrix.name)} {matrix.values.shape}  "
    if matrix.origin:
        origin = f"{name}the {visible(matrix.origin)}".strip()
        yield from (("name", line) for line in _wrapped(origin, width, "  ", "      "))
        return
    for most in range(MOST, LEAST - 1, -1):  # as many as fit
        table, above = arrays.table(matrix, most, minus="-")
        lines, margin = _table(table), " " * (4 if len(table.rows) > 1 else 6)
        if len(margin) + max(map(len, lines), default=0) <= width:
            break
    head = f"{name}{'  '.join(above)}".strip()
    yield from (("name", line) for line in _wrapped(head, width, "  ", "      "))
    yield from ((("dim" if any(table.head) and not i else ""), margin + line) for i, line in enumerate(lines))


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(visible(text), width, initial_indent=first, subsequent_indent=rest, break_long_words=False)
