"""Reads the HTML that the library writes: whether it is well-formed, loads nothing, and what its tables say."""

import html.parser

from chainrule.pages.html import POLICY


class Page(html.parser.HTMLParser):
    """Checks that tags are closed in order, and keeps what is in the page."""

    VOID = frozenset({"meta", "br", "img"})

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.tables, self._cell = [], None
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag not in ("b", "i", "small"):
            self.text += "\n"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another"

    def handle_data(self, data):
        data = data.replace("\xa0", " ")
        self.text += data
        if {"td", "th"} & set(self.open) and "small" not in self.open:
            self.tables[-1][-1][-1] += data.strip()

    def table(self, *head):
        """Return the lines of the one table that has these columns, as dictionaries."""
        (lines,) = [t for t in self.tables if set(head) <= set(next(r for r in t if len(r) == len(t[-1])))]
        names = next(r for r in lines if len(r) == len(lines[-1]))
        return [dict(zip(names, r, strict=True)) for r in lines[lines.index(names) + 1 :]]


def check_alone(page):
    """Fail if a page would load anything, or run anything."""
    read = Page(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "use", "image"} & set(read.tags)
    for tag, name, value in read.attributes:
        assert name not in ("src", "srcset", "xlink:href", "action", "data", "poster"), f"<{tag} {name}={value!r}>"
        assert name[:2] != "on", f"<{tag} {name}={value!r}>"
        assert name != "href" or value.startswith("#"), f"<{tag} {name}={value!r}>"
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    assert (policy in page) == ("<head>" in page), "a whole page has the policy, a piece of a notebook has not"
    for outside in ("http", "url(", "@import"):
        assert outside not in page.replace(policy, "")
    return read
