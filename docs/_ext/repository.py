"""Pages for files of the repository outside docs, so that the links of docs/*.md work on the site as on disk.

README.md, CONTRIBUTING.md and the others become pages in docs/repository, and so does the source of any other file to
which a page links. A link to examples/gallery leads to the gallery.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from built import DOCS, ROOT, remove_others, write

FOLDER = "repository"
GALLERY = "examples/gallery"
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")


def documents() -> list[Path]:
    """Return the Markdown files of the repository that become pages."""
    return [
        *sorted(ROOT.glob("*.md")),
        *sorted(ROOT.glob("examples/README.md")),
        *sorted(ROOT.glob("examples/*/README.md")),
    ]


def page(path: str) -> str:
    """Return the name of the page for a file of the repository, seen from docs.

    >>> page("docs/tables.md"), page("README.md"), page("examples/export/page.html"), page("examples/gallery")
    ('tables.md', 'repository/README.md', 'repository/examples/export/page.html.md', 'gallery/index.md')
    """
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path == GALLERY or path.startswith(f"{GALLERY}/"):
        return "gallery/index.md"
    return f"{FOLDER}/{path}" if path.endswith(".md") else f"{FOLDER}/{path}.md"


def rewritten(text: str, folder: str, linked: set[str]) -> str:
    """Return the text of a page in ``folder`` of the repository with its links to other files of the repository.

    Links within docs stay as they are. Files that need a page are added to ``linked``.
    """

    def replace(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        inside = folder == "docs" or folder.startswith("docs/")
        if target.startswith("/") or (inside and path.startswith("docs/")) or not (ROOT / path).exists():
            return match[0]
        if not path.startswith("docs/") and not path.endswith(".md") and page(path) != page(GALLERY):
            linked.add(path)
        return f"{before}/{page(path)}{after}"

    return LINK.sub(replace, text)


def write_pages(_app: Any) -> None:
    """Write docs/repository."""
    linked: set[str] = set()
    for source in documents():
        name = source.relative_to(ROOT).as_posix()
        text = rewritten(source.read_text(encoding="utf-8"), posixpath.dirname(name), linked)
        write(DOCS / page(name), text)
    for source in DOCS.rglob("*.md"):
        name = source.relative_to(ROOT).as_posix()
        if not name.startswith((f"docs/{FOLDER}/", "docs/_")):
            rewritten(source.read_text(encoding="utf-8"), posixpath.dirname(name), linked)
    for name in sorted(linked):
        write(DOCS / page(name), _source_page(name))
    written = {*linked, *(source.relative_to(ROOT).as_posix() for source in documents())}
    remove_others(DOCS / FOLDER, [DOCS / page(name) for name in written])


def _source_page(name: str) -> str:
    path = ROOT / name
    if path.is_dir():
        files = sorted(p.name for p in path.iterdir() if p.is_file())
        return f"---\norphan: true\n---\n\n# {name}\n\n" + "".join(f"- `{file}`\n" for file in files)
    above = "../" * (name.count("/") + 2)
    return f"---\norphan: true\n---\n\n# {name}\n\n```{{literalinclude}} {above}{name}\n```\n"


def rewrite_links(app: Any, docname: str, source: list[str]) -> None:
    """Point the links of a page out of docs to the pages of this module."""
    if not docname.startswith(f"{FOLDER}/") and Path(app.env.doc2path(docname)).suffix == ".md":
        source[0] = rewritten(source[0], posixpath.dirname(f"docs/{docname}"), set())


def setup(app: Any) -> dict[str, Any]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", rewrite_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
