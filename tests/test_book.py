"""The book runs: each chapter's cells, in order and twice, and its prose keeps to the form of the book.

Chapters are found, not listed: every page in docs/book whose front matter says that it is a notebook.
"""

from __future__ import annotations

import ast
import linecache
import re
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

BOOK = Path(__file__).parents[1] / "docs" / "book"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(BOOK.glob("*.md"))}
NOTEBOOK = re.compile(r"\A---\n(?:.*\n)*?file_format: mystnb\n(?:.*\n)*?---\n")
CHAPTERS = [name for name, text in PAGES.items() if NOTEBOOK.match(text)]
WORDS, BLOCK = (1500, 3000), 100
FENCE = re.compile(
    r"^(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.DOTALL | re.MULTILINE
)
PROSE = ("admonition", "dropdown", "note", "tip", "warning", "important", "hint", "seealso", "margin")


@dataclass(frozen=True)
class Cell:
    """The code of a cell, its options as written, and where it is."""

    page: str
    number: int
    line: int
    options: str
    code: str

    @property
    def alt(self):
        """The alternative text of the cell's picture, on one line."""
        found = re.search(r"^( *)alt: *(?:[>|][+-]?\n)?((?:.*\n?)(?:\1 +.*\n?)*)", self.options, re.MULTILINE)
        return " ".join(found[2].split()).strip("\"'") if found else ""

    def __str__(self):
        return f"docs/book/{self.page}, cell {self.number} (line {self.line}):\n\n{textwrap.indent(self.code, '    ')}"


def split_options(body):
    """Return the options of a directive, in a YAML block or as ``:name: value`` lines, and the rest."""
    block = re.match(r"---\n(.*?\n)---\n", body, re.DOTALL) or re.match(r"((?::[\w-]+:.*\n)+)\n?", body)
    return (block[1], body[block.end() :]) if block else ("", body)


def cells(page):
    """Return the code cells of a chapter."""
    found = []
    for m in FENCE.finditer(PAGES[page]):
        if m["info"].startswith("{code-cell}"):
            options, code = split_options(m["body"])
            line = PAGES[page].count("\n", 0, m.start("body") + len(m["body"]) - len(code)) + 1
            found.append(Cell(page, len(found) + 1, line, options, code.rstrip("\n")))
    return found


def prose(text):
    """Return the text of a page without front matter, code, formulas and options: what one reads as sentences."""

    def body(m):
        kind = re.match(r"\{([\w-]+)\}", m["info"])
        return prose(split_options(m["body"])[1]) if kind and kind[1] in PROSE else ""

    text = FENCE.sub(body, NOTEBOOK.sub("", text))
    text = re.sub(r"^\$\$.*?\$\$|^\([\w-]+\)=$|^\+\+\+.*?$|<!--.*?-->|^%.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)|\{[\w-]+\}`[^`]*`", "]", text)
    return re.sub(r"\$[^$]+\$", "x", text)  # a formula in a sentence is read as one word


def words(text):
    return re.findall(r"\w[\w'’.,-]*", text)


def blocks(text):
    """Return paragraphs, items of lists, and rows of tables."""
    return [b for b in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.) )|\n(?=\|)", text) if b.strip()]


def run(cell, namespace):
    """Run a cell as a notebook does: show its last expression, and return whether it made a picture."""
    source, name = "\n" * (cell.line - 1) + cell.code, f"<{cell.page}, cell {cell.number}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # for inspect.getsource
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    value = eval(compile(ast.Expression(last.value), name, "eval"), namespace) if last else None
    shown = getattr(value, "_repr_html_", value.__repr__)
    shown()
    pictures = bool(plt.get_fignums()) or isinstance(value, Figure)
    plt.close("all")
    return pictures


def broken(page):
    """Run the cells of a page in order, twice in one namespace; return what broke, with the cell, or nothing."""
    namespace = {"__name__": "__main__"}
    # One thread: several wait for each other where other tests use the cores.
    with mpl.rc_context(), warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("error")
        for time in ("first", "second"):
            for cell in cells(page):
                try:
                    picture = run(cell, namespace)
                except Exception as error:  # noqa: BLE001  (whatever a cell raises)
                    return f"the {time} time, {type(error).__name__}: {error}\n\n{cell}"
                if picture and len(words(cell.alt)) < 5:
                    return f"describe the picture (mystnb: image: alt: ...) of {cell}"
    return ""


@pytest.fixture
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.delenv("DISPLAY", raising=False)  # plt.show() says nothing without one
    mpl.use("Agg")


@pytest.mark.slow
@pytest.mark.usefixtures("_empty_folder")
@pytest.mark.parametrize("page", CHAPTERS)
def test_the_cells_run_in_order_and_twice(page):
    if said := broken(page):
        pytest.fail(said, pytrace=False)


@pytest.mark.usefixtures("_empty_folder")
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("assert 1 > 2", "the first time, AssertionError"),
        ("import warnings\nwarnings.warn('careful')", "the first time, UserWarning: careful"),
        ("open('file', 'x').close()", "the second time, FileExistsError"),
        ("import matplotlib.pyplot as plt\nplt.plot([1, 2])", "describe the picture"),
        ("from matplotlib.figure import Figure\nFigure()", "describe the picture"),
        ("!ls", "the first time, SyntaxError"),
    ],
)
def test_what_breaks_is_said_with_the_cell(code, said, monkeypatch):
    monkeypatch.setitem(
        PAGES, "page.md", f"# Page\n\n```{{code-cell}} ipython3\n1\n```\n\n```{{code-cell}}\n{code}\n```\n"
    )
    assert said in broken("page.md")
    assert textwrap.indent(code, "    ") in broken("page.md")
    assert "docs/book/page.md, cell 2 (line 8)" in broken("page.md")


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_is_neither_short_nor_long_and_has_no_wall_of_text(page):
    text = prose(PAGES[page])
    assert WORDS[0] <= len(words(text)) <= WORDS[1], f"{page} has {len(words(text))} words of prose"
    long = [f"{len(words(b))} words: {' '.join(b.split())}" for b in blocks(text) if len(words(b)) > BLOCK]
    assert not long, f"{page}: cut these blocks\n\n" + "\n\n".join(long)


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_checks_its_figures_in_cells_that_are_not_shown(page):
    hidden = [cell for cell in cells(page) if "remove-cell" in cell.options]
    assert hidden, f"{page}: no cell tagged remove-cell checks the figures in the text"
    idle = [str(cell) for cell in hidden if not any(isinstance(n, ast.Assert) for n in ast.walk(ast.parse(cell.code)))]
    assert not idle, "nothing is asserted in\n" + "\n\n".join(idle)


def test_the_index_lists_every_page_once_with_a_sentence():
    index = PAGES["index.md"]
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```", index, re.DOTALL | re.MULTILINE)
    listed = [line for tree in trees for line in split_options(tree)[1].split()]
    described = re.findall(r"^- \[[^\]]+\]\(([\w-]+)\.md\): \w", index, re.MULTILINE)
    there = [name.removesuffix(".md") for name in PAGES if name != "index.md"]
    assert sorted(listed) == sorted(there)
    assert described == listed


def test_pages_with_cells_are_chapters():
    cells_without_a_kernel = [name for name, text in PAGES.items() if "{code-cell}" in text and name not in CHAPTERS]
    assert not cells_without_a_kernel, "begin with ---, file_format: mystnb and the kernelspec"


@pytest.mark.few(4)
@pytest.mark.parametrize("page", CHAPTERS)
def test_the_cells_are_those_that_the_site_runs(page):
    read = pytest.importorskip("myst_nb.core.read").read_myst_markdown_notebook
    theirs = [cell for cell in read(PAGES[page]).cells if cell.cell_type == "code"]
    ours = cells(page)
    assert [cell.code.strip() for cell in ours] == [cell.source.strip() for cell in theirs]
    alts = [cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "") for cell in theirs]
    assert [cell.alt for cell in ours] == [" ".join(alt.split()) for alt in alts]


def test_the_reading_of_a_page(monkeypatch):
    text = """---
file_format: mystnb
---

# One two

Three $a + b$ five.

$$c$$

```{code-cell} ipython3
---
tags: [hide-cell]
mystnb:
  image:
    alt: A line from left
      to right.
---
x = 1
x
```

```{code-cell} ipython3
:tags: [remove-cell]

assert x == 1
```

```{admonition} Try it
:class: tip

Six seven.
```

- eight
- nine
"""
    monkeypatch.setitem(PAGES, "page.md", text)
    one, two = cells("page.md")
    assert (one.code, one.alt, one.line) == (
        "x = 1\nx",
        "A line from left to right.",
        text[: text.index("x = 1")].count("\n") + 1,
    )
    assert (two.code, two.alt, two.options) == ("assert x == 1", "", ":tags: [remove-cell]\n")
    assert words(prose(text)) == ["One", "two", "Three", "x", "five.", "Six", "seven.", "eight", "nine"]
    assert [len(words(b)) for b in blocks(prose(text))] == [2, 3, 2, 1, 1]
    namespace = {}
    assert [run(cell, namespace) for cell in (one, two)] == [False, False]
    assert run(Cell("page.md", 1, 1, "", "import matplotlib.pyplot as plt\nplt.plot([1, 2])"), {})
    with pytest.raises(AssertionError):
        run(Cell("page.md", 1, 1, "", "assert not 1"), {})
