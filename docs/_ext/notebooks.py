"""The executed notebook of each page with code cells, beside the page, to download and open in Jupyter.

MyST-NB keeps the page's Markdown in the cells. Jupyter does not know its directives, so they are written out here: an
included source as a block of code, an admonition as a quotation.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from sphinx.directives.code import LiteralIncludeReader

FENCE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\}[ ]*(?P<title>[^\n]*)\n(?P<body>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
ROLE = re.compile(r"\{(?!eq\})[\w:]+\}`(?:~|/)?([^`<]*?)(?:\s*<[^`]*>)?`")
NUMBERED = re.compile(r"\{eq\}`[^`]*`")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)[^)]*\)")  # to other pages, which are not in the notebook
HIDDEN = {"hide-cell", "hide-input", "remove-cell", "remove-input"}


def readable(text: str, folder: Path, config: Any) -> str:
    """Return Markdown with the directives written out; ``folder`` is that of the page."""
    text = FENCE.sub(lambda match: _written(match, folder, config), text)
    return LINK.sub(r"\1", ROLE.sub(r"`\1`", NUMBERED.sub("the numbered equation", text)))


def _written(match: re.Match[str], folder: Path, config: Any) -> str:
    name, title = match["name"], match["title"].strip()
    options, body = _options(match["body"])
    if name == "literalinclude":
        path = folder / title
        dedent = int(options.pop("dedent", "") or 0) or None
        text, _ = LiteralIncludeReader(str(path), {**options, "dedent": dedent}, config).read()
        return f"```{options.get('language', 'python')}\n{text.rstrip()}\n```"
    if name == "math":
        return f"$$\n{body.strip()}\n$$"
    if name in ("code-block", "code"):
        return f"```{title}\n{body}```"
    inside = readable(body, folder, config).strip()
    if name in ("figure", "image"):
        return inside
    heading = title or name.capitalize()
    return "\n".join(f"> {line}".rstrip() for line in [f"**{heading}**", "", *inside.splitlines()])


def _options(body: str) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    lines = body.splitlines(keepends=True)
    while lines and (option := re.match(r":([\w-]+):[ ]*(.*)\n", lines[0])):
        options[option[1]] = re.sub(r"^([\"'])(.*)\1$", r"\2", option[2].strip())
        lines.pop(0)
    return options, "".join(lines)


def spread(_app: Any, _env: Any, docnames: list[str]) -> None:
    """Spread the chapters over the chunks that Sphinx reads in parallel: they are neighbors, and take the most time."""
    docnames[:] = [name for i in range(8) for name in docnames[i::8]]


def executed(app: Any, docname: str) -> Path:
    """Return where MyST-NB leaves the executed notebook of a page."""
    return Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"


def link(app: Any, docname: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Tell the template of the link whether the page has a notebook."""
    if executed(app, docname).exists():
        context["notebook"] = f"{docname.rpartition('/')[2]}.ipynb"


def copy(app: Any, exception: Exception | None) -> None:
    """Write the notebooks beside their pages."""
    if exception or app.builder.format != "html":
        return
    for docname in app.env.found_docs:
        if executed(app, docname).exists():
            notebook = nbformat.read(executed(app, docname), as_version=4)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = readable(cell.source, Path(app.env.doc2path(docname)).parent, app.config)
                elif HIDDEN & set(cell.metadata.get("tags", [])):
                    cell.metadata["jupyter"] = {"source_hidden": True}
            nbformat.write(notebook, Path(app.outdir) / f"{docname}.ipynb")


def setup(app: Any) -> dict[str, Any]:
    """Connect the link and the files."""
    app.connect("env-before-read-docs", spread)
    app.connect("html-page-context", link)
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
