"""What all pages of the project share: one HTML file that loads nothing and has no script, its look, and Markdown."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.resources import files

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may do for a page: use the styles in it. It loads nothing, sends nothing and runs nothing."""


def document(title: str, body: str) -> str:
    """Return a whole document around the ``body``; ``title`` is escaped, ``body`` is HTML already.

    >>> "<title>a &lt; b</title>" in document("a < b", "<p>text</p>")
    True
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}</title>\n'
        "<style>body { margin: 0; background: #f7f7f4; } "
        "@media (prefers-color-scheme: dark) { body { background: #131518; } }</style>\n"
        f"</head>\n<body>\n{body}</body>\n</html>\n"
    )


@cache
def style(package: str, name: str) -> str:
    """Return the look of all pages, and then that of one kind: the style sheet ``name`` in ``package``."""
    sheets = files("chainrule").joinpath("pages", "page.css"), files(package).joinpath(name)
    return "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def plain(text: str) -> str:
    r"""Return text that Markdown shows as it is, whatever it would mean in Markdown or HTML.

    >>> plain("<b> a_b | *c*")
    '&lt;b&gt; a\\_b \\| \\*c\\*'
    """
    return re.sub(r"([\\`*_{}\[\]#|$~])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
