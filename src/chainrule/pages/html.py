"""The blocks of a report as one HTML file: no script, nothing loaded, everything from the data escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from chainrule.pages.blocks import Block, Cell, Code, Figure, Figures, Heading, Table, Text, Tiles
from chainrule.pages.drawing import spark
from chainrule.pages.formatting import visible
from chainrule.pages.page import document, style

DEEPEST = 0.55  # the strongest tint: the text on it keeps its contrast


def page(title: str, about: str, blocks: Sequence[Block]) -> str:
    """Return a whole document."""
    return document(title, fragment(title, about, blocks))


def fragment(title: str, about: str, blocks: Sequence[Block]) -> str:
    """Return what stands in the body, with its style: for a notebook."""
    sections = [block for block in blocks if isinstance(block, Heading) and block.anchor]
    links = "".join(f'<li><a href="#{_text(h.anchor)}">{_text(h.text)}</a></li>' for h in sections)
    parts = [
        f"<style>\n{style(__package__, 'report.css')}</style>",
        f'<div class="chainrule-page chainrule-report"><header><h1>{_text(title)}</h1>',
        f'<p class="soft">{_text(about)}</p><nav aria-label="Contents"><ul>{links}</ul></nav></header>',
    ]
    open_section = False
    for block in blocks:
        if isinstance(block, Heading):
            parts.append("</section>" * open_section + f'<section id="{_text(block.anchor)}">')
            open_section = True
        parts.append(_block(block))
    return "\n".join([*parts, "</section>" * open_section + "</div>\n"])


def _block(block: Block) -> str:  # noqa: PLR0911  (one for each kind of block)
    match block:
        case Heading():
            about = f" <small>{_text(block.about)}</small>" if block.about else ""
            return f"<h2>{_text(block.text)}{about}</h2>"
        case Text():
            kind = f' class="{block.kind}"' if block.kind else ""
            return f"<p{kind}>{_text(block.text)}</p>"
        case Code():
            return f"<pre><code>{escape(block.text)}</code></pre>"
        case Tiles():
            tiles = "".join(
                f"<li><b>{_text(value)}</b><span>{_text(what)}</span>{_small(beside)}</li>"
                for value, what, beside in block.tiles
            )
            return f'<ul class="tiles">{tiles}</ul>'
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)
        case Figures():
            kind = "figures" if all(isinstance(figure, Figure) for figure in block.figures) else "figures uneven"
            return f'<div class="{kind}">{"".join(map(_block, block.figures))}</div>'


def _small(lines: Sequence[str]) -> str:
    return "".join(f"<small>{_text(line)}</small>" for line in lines)


def _text(text: str) -> str:
    """Return text as HTML, with no line broken between a number and its unit."""
    return escape(visible(text)).replace(" %", "\u00a0%").replace(" × 10", "\u00a0×\u00a010")


def _figure(figure: Figure) -> str:
    key = "".join(
        f'<li><svg viewBox="0 0 24 8" width="24" height="8" aria-hidden="true"><path class="{kind}" d="M1 4H23"/></svg>'
        f"{_text(name)}</li>"
        for kind, name in figure.key
    )
    return (
        f'<figure class="card"><h3>{_text(figure.title)}</h3>'
        + (f'<ul class="key">{key}</ul>' if key else "")
        + f"{figure.svg}<figcaption>{_text(_joined(figure.reading, figure.look))}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_right(a)}>{_text(name)}</th>' for name, a in zip(table.head, table.align, strict=True)
    )
    above = ""
    if table.corner:
        above = f'<tr><td></td><th scope="colgroup" colspan="{len(table.head) - 1}">{_text(table.corner)}</th></tr>'
    body = "".join(
        f"<tr>{''.join(_cell(c, a, first=i == 0) for i, (c, a) in enumerate(zip(row, table.align, strict=True)))}</tr>"
        for row in table.rows
    )
    tinted = any(isinstance(cell, Cell) and cell.tint for row in table.rows for cell in row)
    kind = ' class="matrix"' if tinted else "" if any(table.head) else ' class="facts"'
    head = f"<thead>{above}<tr>{head}</tr></thead>" if any(table.head) else ""
    inner = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(table.title or "table")}">'
        f"<table{kind}>{head}<tbody>{body}</tbody></table></div>"
    )
    title = f"<h3>{_text(table.title)}</h3>" if table.title else ""
    reading = f"<figcaption>{_text(_joined(table.reading, table.look))}</figcaption>" if table.reading else ""
    return f'<figure class="card">{title}{inner}{reading}</figure>'


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _right(align: str) -> str:
    return ' class="r"' if align == "r" else ""


def _cell(cell: Cell | str, align: str, *, first: bool) -> str:
    cell = Cell(cell) if isinstance(cell, str) else cell
    inner = _text(cell.text)
    if cell.strong:
        inner = f"<b>{inner}</b>"
    if cell.note:
        inner = f"{inner}<small>{_text(cell.note)}</small>"
    if cell.shares:
        inner = f"{spark(cell.shares)} {inner}"
    kinds, look = ["r"] if align == "r" else [], ""
    if cell.bar is not None:
        width = 100 * min(max(cell.bar, 0), 1)
        full = f'<span class="bar{" wide" * cell.wide}"><i style="width:{width:.1f}%"></i></span>'
        inner = f'{full}<span class="t">{inner}</span>'
        kinds.append("barred")
    if cell.shares:
        kinds.append("spread")
    if cell.text == "0":
        kinds.append("zero")
    if cell.tint:
        kinds.append("n" if cell.wrong else "p")
        look = f' style="--a:{DEEPEST * cell.tint:.2f}"'
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    return f"<{tag}{scope}{kind}{look}>{inner}</{tag}>"
