"""Blocks as one HTML file: no scripts, nothing loaded, all data escaped, mathematics as MathML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from chainrule.pages import arrays
from chainrule.pages import blocks as b
from chainrule.pages.drawing import spark
from chainrule.pages.formatting import escaped
from chainrule.pages.formula import mathml

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The content security policy: inline styles only. A page loads nothing, sends nothing and runs nothing."""
DEEPEST = 0.55  # the strongest tint: the text on it keeps its contrast
COLUMNS, ALL = 8, 10  # of an array; one with up to ALL columns is shown whole


def page(title: str, about: str, blocks: Sequence[b.Block]) -> str:
    """Return a complete document.

    >>> "<title>a &lt; b</title>" in page("a < b", "", [])
    True
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escaped(title)}</title>\n'
        "<style>body { margin: 0; background: #f7f7f4; } "
        "@media (prefers-color-scheme: dark) { body { background: #131518; } }</style>\n"
        f"</head>\n<body>\n{fragment(title, about, blocks)}</body>\n</html>\n"
    )


@cache
def _style(name: str) -> str:
    return files("chainrule").joinpath("pages", name).read_text(encoding="utf-8")


def fragment(title: str, about: str, blocks: Sequence[b.Block]) -> str:
    """Return the body with its style sheet, for notebooks."""
    sections = [block for block in blocks if isinstance(block, b.Heading) and block.anchor]
    links = "".join(f'<li><a href="#{_text(h.anchor)}">{_text(h.text)}</a></li>' for h in sections)
    parts = [
        f"<style>\n{_style('page.css')}</style>",
        f'<div class="chainrule-page"><header><h1>{_text(title)}</h1>',
        f'<p class="soft">{_text(about)}</p><nav aria-label="Contents"><ul>{links}</ul></nav></header>',
    ]
    open_section = False
    for block in blocks:
        if isinstance(block, b.Heading):
            kind = f' class="{block.kind}"' if block.kind else ""
            parts.append("</section>" * open_section + f'<section id="{_text(block.anchor)}"{kind}>')
            open_section = True
        parts.append(_block(block))
    return "\n".join([*parts, "</section>" * open_section + "</div>\n"])


def output(name: str, about: str, blocks: Sequence[b.Block]) -> str:
    """Return the output of a notebook's cell, in the colors of the notebook.

    >>> "<p><b>a &lt; b</b> about it</p></div>" in output("a < b", "about it", [])
    True
    """
    body = "".join(map(_block, blocks))
    style = f"<style>\n{_style('output.css')}</style>"
    return f'{style}<div class="chainrule-output"><p><b>{_text(name)}</b> {_text(about)}</p>{body}</div>'


def _block(block: b.Block) -> str:  # noqa: C901, PLR0911  (one for each kind of block)
    match block:
        case b.Heading():
            about = f" <small>{_text(block.about)}</small>" if block.about else ""
            return f"<h2>{_text(block.text)}{about}</h2>"
        case b.Text():
            kind = f' class="{block.kind}"' if block.kind else ""
            return f"<p{kind}>{_text(_joined(block.text, block.look))}</p>"
        case b.Code():
            lines = "\n".join(map(escaped, block.text.splitlines()))
            title = f"<figcaption>{_text(block.title)}</figcaption>"
            code = f"<pre><code>{lines}</code></pre>"
            return f'<figure class="source">{title}{code}</figure>' if block.title else code
        case b.Formula():
            formula, *words = re.split("(?<!,)  ", block.text, maxsplit=1)  # words may stand on their own line
            return f'<div class="equation">{mathml(formula, display=True)} {_tagged("small", words)}</div>'
        case b.Verdict():
            kind, mark = ("good", "✓") if block.ok else ("bad", "✗")
            return f'<p class="check {kind}"><b>{mark}</b> {_tagged("span", block.lines)}</p>'
        case b.Tiles():
            tiles = "".join(
                f"<li><b>{_text(value)}</b><span>{_text(what)}</span>{_tagged('small', beside)}</li>"
                for value, what, beside in block.tiles
            )
            return f'<ul class="tiles">{tiles}</ul>'
        case b.Table():
            return _table(block)
        case b.Figure():
            return _figure(block)
        case b.Picture():
            caption = f"<figcaption>{_text(block.label)}</figcaption>" if block.signed else ""
            return f'<figure class="array">{arrays.svg(block)}{caption}</figure>'
        case b.Matrix():
            return _matrix(block)
        case b.Figures():
            kind = "" if all(isinstance(figure, b.Figure) for figure in block.figures) else " uneven"
            kind = " arrays" if any(isinstance(figure, b.Matrix) for figure in block.figures) else kind
            return f'<div class="figures{kind}">{"".join(map(_block, block.figures))}</div>'
        case b.Card():
            rules, blocks = ("".join(map(_block, part)) for part in (block.rules, (*block.code, *block.blocks)))
            return (
                f'<section class="step"><header><b>{_text(block.place)}</b><h3>{_text(block.title)}</h3><span '
                f'class="shape">{_text(block.about)}</span></header><div class="halves"><div class="rule">{rules}</div>'
                f"<div>{blocks}</div></div></section>"
            )


def _matrix(matrix: b.Matrix) -> str:
    caption = f'{mathml(matrix.name.replace(" ", "  ", 1))}<span class="shape">{matrix.values.shape}</span>'
    if matrix.origin:
        caption += _tagged("span", [f"the {matrix.origin}"])
        return f'<figure class="array"><figcaption>{caption}</figcaption></figure>'
    table, above = arrays.table(matrix, COLUMNS, ALL)
    return (
        f'<figure class="array"><figcaption>{caption}{_tagged("span", above)}</figcaption>'
        f"{_grid(table, array=True)}{_maps(matrix)}</figure>"
    )


def _maps(matrix: b.Matrix) -> str:
    """Draw the channels side by side; the table shows only one of them."""
    images, marked = arrays.channels(matrix)
    largest = max((float(abs(image).max()) for image in images), default=0.0)
    drawn = ""
    for k, image in enumerate(images[: arrays.MAPS]):
        picture = arrays.svg(b.Picture(image, f"channel {k}", signed=True), largest)
        drawn += f"<span{' class=mark' * (k == marked)}>{picture}{k}</span>"
    more = f"<span>… {len(images) - arrays.MAPS} more</span>" * (len(images) > arrays.MAPS)
    return f'<div class="maps">{drawn}{more}</div>' if images else ""


def _tagged(tag: str, lines: Sequence[str]) -> str:
    return "".join(f"<{tag}>{_text(line)}</{tag}>" for line in lines)


def _text(text: str) -> str:
    """Escape text, and keep powers of ten on one line."""
    return escaped(text).replace(" × 10", "\u00a0×\u00a010")


def _figure(figure: b.Figure) -> str:
    key = "".join(
        f'<li><svg viewBox="0 0 24 8" width="24" height="8" aria-hidden="true"><path class="{kind}" d="M1 4H23"/></svg>'
        f"{_text(name)}</li>"
        for kind, name in figure.key
    )
    caption = _joined(figure.caption, figure.look)
    return (
        '<figure class="card">'
        + (f"<h3>{_text(figure.title)}</h3>" if figure.title else "")
        + (f'<ul class="key">{key}</ul>' if key else "")
        + figure.svg
        + (f"<figcaption>{_text(caption)}</figcaption>" if caption else "")
        + "</figure>"
    )


def _table(table: b.Table) -> str:
    title = f"<h3>{_text(table.title)}</h3>" if table.title else ""
    caption = f"<figcaption>{_text(_joined(table.caption, table.look))}</figcaption>" if table.caption else ""
    return f'<figure class="card">{title}{_grid(table)}{caption}</figure>'


def _grid(table: b.Table, *, array: bool = False) -> str:
    named = not array or len(table.rows) > 1  # the first cell of a row is its header
    kinds = [["r"] * (a == "r") + ["spare"] * (i in table.far) for i, a in enumerate(table.align)]
    head = "".join(
        f'<th scope="col"{_kind(kind)}>{_text(name)}</th>' for name, kind in zip(table.head, kinds, strict=True)
    )
    above = ""
    if table.corner:
        above = f'<tr><td></td><th scope="colgroup" colspan="{len(table.head) - 1}">{_text(table.corner)}</th></tr>'
    rows = ([_cell(c, kinds[i], first=named and not i) for i, c in enumerate(row)] for row in table.rows)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    kind = [] if array or any(table.head) else ["facts"]
    if not array and any(isinstance(cell, b.Cell) and cell.tint for row in table.rows for cell in row):
        kind = ["matrix"]
    head = f"<thead>{above}<tr>{head}</tr></thead>" if any(table.head) else ""
    region = "" if array else f' tabindex="0" role="region" aria-label="{_text(table.title or "table")}"'
    return f'<div class="scroll"{region}><table{_kind(kind)}>{head}<tbody>{body}</tbody></table></div>'


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _kind(kinds: Sequence[str]) -> str:
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _cell(cell: b.Cell | str, kinds: Sequence[str], *, first: bool) -> str:
    cell = b.Cell(cell) if isinstance(cell, str) else cell
    inner, kinds, look = _text(cell.text), list(kinds), ""
    if cell.strong:
        inner = f"<b>{inner}</b>"
    if cell.note:
        inner = f"{inner}<small>{_text(cell.note)}</small>"
    if cell.shares:
        inner = f"{spark(cell.shares)} {inner}"
        kinds.append("spread")
    if cell.bar is not None:
        share = float(min(max(cell.bar, -1 if cell.both else 0), 1))
        width = abs(share) * (50 if cell.both else 100)
        style = f"margin-left:{50 - width * (share < 0):.1f}%;" * cell.both + f"width:{width:.1f}%"
        part = f'<i{_kind(["less"] * (share < 0))} style="{style}"></i>'
        full = f'<span class="bar{" wide" * cell.wide}{" both" * cell.both}">{part}</span>'
        inner = f'{full}<span class="t">{inner}</span>'
        kinds.append("barred")
    if cell.text == "0":
        kinds.append("zero")
    if cell.tint:
        kinds.append("n" if cell.wrong else "p")
        look = f' style="--a:{DEEPEST * cell.tint:.2f}"'
    if cell.kind:
        kinds.append(cell.kind)
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    return f"<{tag}{scope}{_kind(kinds)}{look}>{inner}</{tag}>"
