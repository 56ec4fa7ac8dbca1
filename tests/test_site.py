"""The site: what it must have, by its sources, and by its pages: those of CHAINRULE_SITE, or of a build that runs no cells."""

import html.parser
import importlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import chainrule as cr
from chainrule.layers.base import SHIPPED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BUILT = {"api", "gallery", "layers", "repository", "_build"}  # folders whose pages are written at build
PUBLIC = runpy.run_path(str(DOCS / "reference.py"))
SOURCES = {
    path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(DOCS.rglob("*.md"))
    if path.relative_to(DOCS).parts[0] not in BUILT - {"api"} and not path.relative_to(DOCS).parts[0].startswith("_")
}


@pytest.fixture
def extensions(monkeypatch):
    """Return what imports a module of docs/_ext."""
    for folder in (DOCS, DOCS / "_ext"):
        monkeypatch.syspath_prepend(folder)
    return importlib.import_module


# ---------------------------------------------------------------- sources


def named(page, target):
    """Return the page that a page names relative to itself."""
    return Path(os.path.normpath(Path(page).parent / target)).as_posix()


def listed(page):
    """Return the pages in the toctrees of a page."""
    found = []
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```", SOURCES[page], re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.strip() and not line.startswith(":"):
                target = re.sub(r"^.*<(.*)>$", r"\1", line.strip())
                found.append(named(page, target))
    return found


def test_every_page_can_be_reached():
    reached, waiting = set(), ["index"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        waiting += [name for name in listed(page) if name in SOURCES and name not in reached]
    assert {*SOURCES} - reached == set(), "add them to a toctree: learn.md, howto.md, deployment.md or why.md"


def test_every_page_stands_in_one_place():
    everywhere = [name for page in SOURCES for name in listed(page)]
    assert sorted(everywhere) == sorted(set(everywhere))


def test_there_are_five_doors():
    assert listed("index") == ["learn", "howto", "deployment", "api/index", "why"]


def test_every_module_with_public_names_is_in_the_reference():
    assert {*PUBLIC["MODULES"]} <= {name.removeprefix("api/") for name in listed("api/index")}


@pytest.mark.parametrize("page", SOURCES)
def test_cards_lead_somewhere(page):
    for target in re.findall(r"^:link: (.*)$", SOURCES[page], re.MULTILINE):
        name = named(page, target).removesuffix(".html")
        assert name in {*SOURCES, *listed(page)} or name.split("/")[0] in BUILT, target


@pytest.mark.parametrize("name", ["activation", "dense", "normalization", "convolution", "pooling"])
def test_formulas_of_layers_are_typeset(name):
    assert ".. code-block:: text" not in (ROOT / "src" / "chainrule" / "layers" / f"{name}.py").read_text("utf-8")


def test_links_out_of_the_docs_lead_to_pages(extensions):
    rewritten = extensions("repository").rewritten
    linked = set()
    text = "[a](../README.md#measured), [b](tables.md), [c](../examples/export/page.html), [d](../examples/gallery)"
    assert rewritten(text, "docs", linked) == (
        "[a](/repository/README.md#measured), [b](tables.md), [c](/repository/examples/export/page.html.md), "
        "[d](/gallery/index.md)"
    )
    assert linked == {"examples/export/page.html"}
    assert rewritten("[a](docs/tables.md#x) [b](https://x.org/docs/a.md) [c](#d)", "", linked) == (
        "[a](/tables.md#x) [b](https://x.org/docs/a.md) [c](#d)"
    )
    assert rewritten("[up](../tables.md) [out](../../VISION.md)", "docs/book", linked) == (
        "[up](../tables.md) [out](/repository/VISION.md)"
    )


def test_formulas_and_words_are_told_apart(extensions):
    pytest.importorskip("sphinx")
    formulas = extensions("formulas")
    parts, typeset = formulas.parts, formulas.typeset
    assert parts("m ~ Bernoulli(keep) / keep          one draw per value; E[m] = 1") == [
        (True, "m ~ Bernoulli(keep) / keep"),
        (False, "one draw per value; E[m] = 1"),
    ]
    assert parts("½ λ ‖W‖²           dW += λ W") == [(True, "½ λ ‖W‖²"), (True, "dW += λ W")]
    assert parts("y = x,  z = 2 x           in prediction") == [(True, "y = x,  z = 2 x"), (False, "in prediction")]
    assert typeset("dW += λ ‖w‖") == r"\displaystyle \mathrm{d}W \mathrel{+}= \lambda\, \| \,w\, \|"


def test_a_new_layer_has_its_page(extensions, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    layer_pages = extensions("layer_pages")

    class Half(cr.Layer):
        """Half of x.

        .. formula::

            y = x / 2

        Source: nowhere.
        """

        def forward(self, x, memo):
            return x / 2

        def backward(self, dy, memo):
            return dy / 2  # dy/dx = ½

    monkeypatch.setattr(layer_pages, "LAYERS", tmp_path)
    monkeypatch.setattr(layer_pages, "ROOT", ROOT)
    derived = "```{formula}\n∂y/∂x = ½\n```\n"
    monkeypatch.setattr(layer_pages, "derivations", lambda: {"Half": derived})
    monkeypatch.setitem(SHIPPED, "Half", Half)
    monkeypatch.setattr(cr.layers, "Half", Half, raising=False)
    assert layer_pages.page(Half)[:2] == ("Half", "Half of x.")
    text = (tmp_path / "half.md").read_text(encoding="utf-8")
    assert (tmp_path / "half.png").read_bytes().startswith(b"\x89PNG")
    for line in ("    y = x / 2", ":pyobject: Half.backward", "Half() is correct", "∂y/∂x = ½", "Source: nowhere."):
        assert line in text


@pytest.mark.parametrize("name", SHIPPED)
def test_every_layer_can_be_made_for_its_page(name, extensions):
    pytest.importorskip("matplotlib")
    layer_pages, cls = extensions("layer_pages"), SHIPPED[name]
    arguments, shape, _ = layer_pages.usage(cls)
    layer_pages.network(layer_pages.made(cls, arguments), shape)
    summary, formula, _ = layer_pages.sections(cls)
    assert summary
    assert ".. formula::" in formula
    derivation = layer_pages.derivation(cls)
    assert "```{formula}" in derivation
    assert "check(" not in derivation
    code = "\n".join(re.findall(r"```python\n(.*?)```", layer_pages.derivations()[name], re.DOTALL))
    assert f"check(layers.{name}(" in code, f"compare the formulas of {name} with its backward pass"


def test_a_layer_without_a_derivation_has_no_page(extensions):
    pytest.importorskip("matplotlib")

    class Undescribed(cr.Layer):
        forward = backward = None

    with pytest.raises(ValueError, match="write the derivation of Undescribed"):
        extensions("layer_pages").derivation(Undescribed)


def test_links_of_derivations_lead_somewhere_from_the_page_of_a_layer(extensions):
    pytest.importorskip("matplotlib")
    layer_pages = extensions("layer_pages")
    links = {link for cls in SHIPPED.values() for link in re.findall(r"\]\(([^)#]*)", layer_pages.derivation(cls))}
    assert "../mathematics.md" in links
    assert all((DOCS / "layers" / link).resolve().is_file() for link in links)


def test_notebooks_have_no_directives(extensions):
    config = pytest.importorskip("sphinx.config").Config()
    pytest.importorskip("nbformat")
    text = """```{literalinclude} ../src/chainrule/layers/dense.py
:pyobject: Dense.forward
```

```{math}
:label: a
x^2
```

See {eq}`a` and [a page](tables.md) and [a site](https://x.org).

````{admonition} Try it
```python
1
```
````
"""
    written = extensions("notebooks").readable(text, DOCS, config)
    assert written.startswith("```python\ndef forward(self, x")
    assert "$$\nx^2\n$$" in written
    assert "See the numbered equation and a page and [a site](https://x.org)." in written
    assert written.endswith("> **Try it**\n>\n> ```python\n> 1\n> ```\n")


def test_the_citation_names_this_version():
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {cr.__version__}" in lines
    assert "license: MIT" in lines


# ---------------------------------------------------------------- pages


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    if "CHAINRULE_SITE" in os.environ:
        return Path(os.environ["CHAINRULE_SITE"])
    for package in ("sphinx", "myst_nb", "pydata_sphinx_theme", "numpydoc"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("site") / "checkout"
    leave_out = shutil.ignore_patterns(".*", "_build", "node_modules", "__pycache__", "runs", "dist", "*.egg-info")
    shutil.copytree(ROOT, folder, ignore=leave_out)
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    # Cells that are not executed have no language.
    without_cells = ["-D", "nb_execution_mode=off", "-D", "suppress_warnings=myst-nb.lexer"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "2", *without_cells, "docs", "html"],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


class Page(html.parser.HTMLParser):
    """The links of a page, what it loads, the anchors that it has, and its formulas."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors, self.formulas = [], [], set(), []
        self.depth = 0  # in an element of the class math
        self.images_without_text = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if self.depth or "math" in (given.get("class") or "").split():
            self.depth += 1
            if self.depth == 1:
                self.formulas.append("")
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "link" and given.get("href"):
            self.loaded.append(given["href"])
        self.loaded += [given[name] for name in ("src", "poster", "data") if given.get(name)]
        self.loaded += re.findall(r"url\(([^)]*)\)", given.get("style") or "")
        if tag == "img" and not (given.get("alt") or "").strip():
            self.images_without_text.append(given.get("src"))
        if tag in ("img", "br", "input", "meta", "link", "hr") and self.depth:
            self.depth -= 1

    def handle_endtag(self, tag):
        self.depth -= self.depth > 0

    def handle_data(self, data):
        if self.depth:
            self.formulas[-1] += data


@pytest.fixture(scope="module")
def pages(site):
    paths = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    return {path.relative_to(site).as_posix(): Page(path) for path in paths}


@pytest.mark.slow
class TestPages:
    def test_every_public_name_has_its_page(self, pages, extensions):
        public = extensions("api_pages").public
        missing = [item.path for names in public().values() for item in names if f"api/{item.page}.html" not in pages]
        assert missing == []
        for names in public().values():
            for item in names:
                assert item.path in pages[f"api/{item.page}.html"].anchors

    def test_every_layer_has_its_page(self, pages):
        assert {f"layers/{name.lower()}.html" for name in SHIPPED} <= {*pages}

    def test_no_page_asks_for_anything_from_elsewhere(self, site, pages):
        away = [(name, what) for name, page in pages.items() for what in page.loaded if re.match(r"(\w+:)?//", what)]
        for sheet in site.rglob("*.css"):
            text = sheet.read_text(encoding="utf-8")
            found = re.findall(r"url\([\"']?((?:\w+:)?//[^)]*)|@import\s+[\"']((?:\w+:)?//[^\"']*)", text)
            away += [(sheet.name, address) for pair in found for address in pair if address]
        assert away == []

    def test_links_within_the_site_lead_somewhere(self, site, pages):
        broken = []
        for name, page in pages.items():
            for link in {*page.links, *page.loaded}:
                parts = urlsplit(link)
                if parts.scheme or parts.netloc or link == "#":
                    continue
                target = ((site / name).parent / unquote(parts.path)).resolve() if parts.path else site / name
                key = target.relative_to(site.resolve()).as_posix() if parts.path else name
                anchored = not parts.fragment or key not in pages or unquote(parts.fragment) in pages[key].anchors
                if not (target.exists() and anchored):
                    broken.append((name, link))
        assert broken == []

    def test_pictures_have_a_text(self, pages):
        assert [(name, page.images_without_text) for name, page in pages.items() if page.images_without_text] == []

    def test_formulas_can_be_typeset(self, site, pages):
        node = shutil.which("node")
        if not node:
            pytest.skip("needs node")
        formulas = sorted({formula for page in pages.values() for formula in page.formulas})
        assert len(formulas) > 100
        code = """
            const katex = require(process.argv[1]), failed = [];
            for (const formula of JSON.parse(require("fs").readFileSync(0)))
                try { katex.renderToString(formula, { strict: "ignore" }); } catch (error) { failed.push(error.message); }
            console.log(JSON.stringify(failed));
        """
        katex = str(site / "_static" / "katex" / "katex.min.js")
        command = [node, "-e", code, katex]
        done = subprocess.run(command, input=json.dumps(formulas), capture_output=True, encoding="utf-8", check=True)
        assert json.loads(done.stdout) == []

    def test_every_notebook_is_there_and_was_executed(self, site, pages):
        if "CHAINRULE_SITE" not in os.environ:
            pytest.skip("needs a site with its cells executed")
        for name, page in pages.items():
            for link in page.links:
                if link.endswith(".ipynb"):
                    notebook = json.loads((site / name).with_name(link).read_text(encoding="utf-8"))
                    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
                    assert cells
                    assert all(cell["execution_count"] for cell in cells)
                    assert any(cell["outputs"] for cell in cells)
