"""A page: a title, a line about it, and blocks, rendered as HTML, Markdown or text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.pages import html, markdown, text
from chainrule.pages.blocks import Block


@dataclass(frozen=True, eq=False)
class Page:
    """A page that renders itself in notebooks, and in color when rich prints it.

    Examples
    --------
    >>> from chainrule.pages.blocks import Text
    >>> page = Page("A page", "about it", (Text("a < b"),))
    >>> print(page.text(), end="")
    A page
    about it
    <BLANKLINE>
    a < b
    >>> "<p>a &lt; b</p>" in page.html, page.markdown.splitlines()[-1]
    (True, 'a &lt; b')
    """

    title: str
    about: str
    blocks: tuple[Block, ...]

    @property
    def html(self) -> str:
        """One HTML document: no scripts, nothing loaded, light and dark, all data escaped."""
        return html.page(self.title, self.about, self.blocks)

    @property
    def markdown(self) -> str:
        """Markdown, with a table for each plot, and equations as LaTeX between dollar signs."""
        return markdown.render(self.title, self.about, self.blocks)

    def text(self, width: int = 100) -> str:
        """Return plain text for a terminal with ``width`` columns."""
        return text.plain(self.title, self.about, self.blocks, width)

    def styled(self, width: int = 100) -> Any:
        """Return the text for rich to print."""
        return text.styled(self.title, self.about, self.blocks, width)

    def _repr_html_(self) -> str:
        return html.fragment(self.title, self.about, self.blocks)

    def __rich__(self) -> Any:
        return self.styled()
