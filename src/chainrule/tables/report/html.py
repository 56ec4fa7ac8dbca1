"""The blocks of a report as one HTML file: no script, nothing loaded, everything from the data escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from chainrule._page import document, style
from chainrule.tables.report.blocks import Block, Cell, Code, Figure, Figures, Heading, Table, Text, Tiles
from chainrule.tables.report.drawing import spark

DEEPEST = 0.55  # the strongest tint: the text on it keeps its contrast


def page(title: str, about: str, blocks: Sequence[Block]) -> str:
    """Return a whole document."""
    return document(title, fragment(title, about, blocks))


def fragment(title: str, about: str, blocks: Sequence[Block]) -> str:
    """Return what stands in the body, with its style: for a notebook."""
    sections = [block for block in blocks if isinstance(block, Heading) and block.anchor]
    links = "".join(f'<li><a href="#{escape(h.anchor)}">{escape(h.text)}</a></li>' for h in sections)
    parts = [
        f"<style>\n{style(__package__, 'report.css')}</style>",
        f'<div class="chainrule-page chainrule-report"><header><h1>{escape(title)}</h1>',
        f'<p class="soft">{escape(about)}</p><nav aria-label="Contents"><ul>{links}</ul></nav></header>',
    ]
    open_section = False
    for block in blocks:
        if isinstance(block, Heading):
            parts.append("</section>" * open_section + f'<section id="{escape(block.anchor)}">')
            open_section = True
        parts.append(_block(block))
    return "\n".join([*parts, "</section>" * open_section + "</div>\n"])


def _block(block: Block) -> str:
    match block:
        case Heading():
            about = f" <small>{escape(block.about)}</small>" if block.about else ""
            return f"<h2>{escape(block.text)}{about}</h2>"
        case Text():
            kind = f' class="{block.kind}"' if block.kind else ""
            return f"<p{kind}>{escape(block.text)}</p>"
        case Code():
            return f"<pre><code>{escape(block.text)}</code></pre>"
        case Tiles():
            tiles = "".join(
                f"<li><b>{escape(value)}</b><span>{escape(what)}</span><small>{escape(beside)}</small></li>"
                for value, what, beside in block.tiles
            )
            return f'<ul class="tiles">{tiles}</ul>'
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)
        case Figures():
            return f'<div class="figures">{"".join(map(_block, block.figures))}</div>'


def _figure(figure: Figure) -> str:
    key = "".join(
        f'<li><svg viewBox="0 0 24 8" width="24" height="8" aria-hidden="true"><path class="{kind}" d="M1 4H23"/></svg>'
        f"{escape(name)}</li>"
        for kind, name in figure.key
    )
    return (
        f'<figure class="card"><h3>{escape(figure.title)}</h3>'
        + (f'<ul class="key">{key}</ul>' if key else "")
        + f"{figure.svg}<figcaption>{escape(figure.reading)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_right(a)}>{escape(name)}</th>' for name, a in zip(table.head, table.align, strict=True)
    )
    above = ""
    if table.corner:
        above = f'<tr><td></td><th scope="colgroup" colspan="{len(table.head) - 1}">{escape(table.corner)}</th></tr>'
    body = "".join(
        f"<tr>{''.join(_cell(c, a, first=i == 0) for i, (c, a) in enumerate(zip(row, table.align, strict=True)))}</tr>"
        for row in table.rows
    )
    tinted = any(isinstance(cell, Cell) and cell.tint for row in table.rows for cell in row)
    kind = ' class="matrix"' if tinted else ""
    inner = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title or "table")}">'
        f"<table{kind}><thead>{above}<tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    reading = f"<figcaption>{escape(table.reading)}</figcaption>" if table.reading else ""
    return f'<figure class="card">{title}{inner}{reading}</figure>'


def _right(align: str) -> str:
    return ' class="r"' if align == "r" else ""


def _cell(cell: Cell | str, align: str, *, first: bool) -> str:
    cell = Cell(cell) if isinstance(cell, str) else cell
    inner = escape(cell.text)
    if cell.strong:
        inner = f"<b>{inner}</b>"
    if cell.shares:
        inner = f"{spark(cell.shares)} {inner}"
    kinds, look = ["r"] if align == "r" else [], ""
    if cell.bar is not None:
        inner = f'<span class="bar"><i style="width:{100 * min(max(cell.bar, 0), 1):.1f}%"></i></span>{inner}'
        kinds.append("barred")
    if cell.tint:
        kinds.append("n" if cell.wrong else "p")
        look = f' style="--a:{DEEPEST * cell.tint:.2f}"'
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    return f"<{tag}{scope}{kind}{look}>{inner}</{tag}>"
