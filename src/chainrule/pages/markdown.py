"""Blocks as Markdown: the same tables, formulas as LaTeX, and for each plot the table of its data."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chainrule.pages import arrays
from chainrule.pages import blocks as b
from chainrule.pages.formatting import bar, signed_bar, sparks, visible
from chainrule.pages.formula import latex

COLUMNS = 10  # of an array


def render(title: str, about: str, blocks: Sequence[b.Block]) -> str:
    """Return the document."""
    parts = [f"# {_plain(title)}", _plain(about)]
    for block in blocks:
        parts += _block(block)
    return "\n\n".join(parts) + "\n"


def _block(block: b.Block) -> list[str]:  # noqa: C901, PLR0911, PLR0912  (one for each kind of block)
    match block:
        case b.Heading():
            return [f"## {_plain(block.text)}" + (f": {_plain(block.about)}" if block.about else "")]
        case b.Text():
            text = _plain(block.text)
            kinds = {"result": f"**{text}**", "warning": f"> ⚠ {text}", "worked": f"> {text}"}
            return [kinds.get(block.kind, text)]
        case b.Code():
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block.text)), default=0))
            above = [f"{_plain(block.title)}:"] if block.title else []
            return [*above, f"{fence}{'python' if above else 'text'}\n{block.text}\n{fence}"]
        case b.Tiles():
            lines = (
                f"- **{_plain(value)}** {_plain(what)}" + f" ({_plain(', '.join(beside))})" * bool(beside)
                for value, what, beside in block.tiles
            )
            return ["\n".join(lines)]
        case b.Table():
            return _table(block)
        case b.Figure():
            table = _table(block.table) if block.table else []
            return [f"### {_plain(block.title)}", *table, _plain(block.caption)]
        case b.Figures():
            return [part for figure in block.figures for part in _block(figure)]
        case b.Formula():
            return [f"$$\n{latex(block.text)}\n$$"]
        case b.Verdict():
            return [f"{'✓' if block.ok else '✗'} {_plain('; '.join(block.lines))}"]
        case b.Picture():
            return [] if block.signed else ["```text\n" + "\n".join(arrays.shaded(block.values)) + "\n```"]
        case b.Matrix():
            head = f"${latex(block.name.replace(' ', '  ', 1))}$ {block.values.shape}"
            if block.origin:
                return [f"{head}: the {_plain(block.origin)}"]
            shown, above = arrays.table(block, COLUMNS, minus="-")
            return [": ".join(filter(None, (head, _plain(", ".join(above))))), *_table(shown)]
        case b.Card():
            about = f", {_plain(block.about)}" if block.about else ""
            title = f"### {_plain(block.place)}: {_plain(block.title)}{about}"
            return [title, *(part for inner in (*block.rules, *block.code, *block.blocks) for part in _block(inner))]


def _table(table: b.Table) -> list[str]:
    head = [_plain(name) for name in table.head]
    if table.corner:
        head[0] = f"{head[0]} ({_plain(table.corner)} →)"
    rule = "".join("--:|" if a == "r" else ":--|" for a in table.align)
    lines = [f"| {' | '.join(head)} |", f"|{rule}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in table.rows]
    title = [f"### {_plain(table.title)}"] if table.title else []
    return [*title, "\n".join(lines), *([_plain(table.caption)] if table.caption else [])]


def _cell(cell: b.Cell | str) -> str:
    if isinstance(cell, str):
        return _plain(cell)
    text = f"**{_plain(cell.text)}**" if cell.strong or cell.kind == "mark" else _plain(cell.text)
    if cell.note:
        text = f"{text}: {_plain(cell.note)}"
    if cell.shares:
        text = f"{sparks(cell.shares)} {text}"
    if cell.bar is not None:
        text = f"{(signed_bar if cell.both else bar)(cell.bar)} {text}".strip()
    return text


def _plain(text: str) -> str:
    r"""Escape text for Markdown and for the HTML in it.

    >>> _plain("<b> a_b | *c*")
    '&lt;b&gt; a\\_b \\| \\*c\\*'
    """
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|$~])", r"\\\1", text)
