"""The blocks of a report as Markdown: the same tables, and for a picture the table that it was drawn from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chainrule.pages.blocks import Block, Cell, Code, Figure, Figures, Heading, Table, Text, Tiles
from chainrule.pages.formatting import visible
from chainrule.pages.page import plain

BAR = 12  # characters of a full bar
EIGHTHS = " ▏▎▍▌▋▊▉█"
SPARKS = " ▁▂▃▄▅▆▇█"


def render(title: str, about: str, blocks: Sequence[Block]) -> str:
    """Return the report."""
    parts = [f"# {_plain(title)}", _plain(about)]
    for block in blocks:
        parts += _block(block)
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> list[str]:  # noqa: PLR0911  (one for each kind of block)
    match block:
        case Heading():
            return [f"## {_plain(block.text)}" + (f": {_plain(block.about)}" if block.about else "")]
        case Text():
            text = _plain(block.text)
            return [{"result": f"**{text}**", "warning": f"> ⚠ {text}"}.get(block.kind, text)]
        case Code():
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block.text)), default=0))
            return [f"{fence}text\n{block.text}\n{fence}"]
        case Tiles():
            lines = (
                f"- **{_plain(v)}** {_plain(what)}" + f" ({_plain(', '.join(b))})" * bool(b)
                for v, what, b in block.tiles
            )
            return ["\n".join(lines)]
        case Table():
            return _table(block)
        case Figure():
            table = _table(block.table) if block.table else []
            return [f"### {_plain(block.title)}", *table, _plain(block.reading)]
        case Figures():
            return [part for figure in block.figures for part in _block(figure)]


def _table(table: Table) -> list[str]:
    head = [_plain(name) for name in table.head]
    if table.corner:
        head[0] = f"{head[0]} ({_plain(table.corner)} →)"
    rule = "".join("--:|" if a == "r" else ":--|" for a in table.align)
    lines = [f"| {' | '.join(head)} |", f"|{rule}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in table.rows]
    title = [f"### {_plain(table.title)}"] if table.title else []
    return [*title, "\n".join(lines), *([_plain(table.reading)] if table.reading else [])]


def _cell(cell: Cell | str) -> str:
    if isinstance(cell, str):
        return _plain(cell)
    text = f"**{_plain(cell.text)}**" if cell.strong else _plain(cell.text)
    if cell.note:
        text = f"{text}: {_plain(cell.note)}"
    if cell.shares:
        text = f"{sparks(cell.shares)} {text}"
    if cell.bar is not None:
        text = f"{bar(cell.bar)} {text}".strip()
    return text


def _plain(text: str) -> str:
    return plain(visible(text))


def bar(share: float) -> str:
    """Return a bar of text, an eighth of a character exact.

    >>> bar(0.5), bar(0.0), bar(0.26)
    ('██████', '', '███▏')
    """
    eighths = round(8 * BAR * min(max(share, 0.0), 1.0))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def sparks(shares: Sequence[float]) -> str:
    """Return a small histogram of text.

    >>> sparks([0.0, 0.01, 0.5, 1.0])
    ' ▁▄█'
    """
    largest = max(shares, default=0) or 1.0
    return "".join(SPARKS[max(round(8 * share / largest), 1 if share else 0)] for share in shares)
