"""The documents tell the truth: their code runs, their commands run, and their figures are those that were measured."""

import ast
import difflib
import re
import runpy
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIGURES = runpy.run_path(str(ROOT / "docs" / "figures.py"))
DOCUMENTS = {path.name: path.read_text(encoding="utf-8") for path in FIGURES["documents"]()}
BLOCKS = {name: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for name, text in DOCUMENTS.items()}


def test_the_python_files_that_contributing_names_exist():
    named = re.findall(r"`([\w/]+\.py)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    there = [f"/{path.relative_to(ROOT).as_posix()}" for path in ROOT.rglob("*.py")]
    assert len(named) > 50
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in there)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, blocks in BLOCKS.items() if any("import" in code for code in blocks)])
def test_code_in_the_documents_runs_in_order_and_twice(name, tmp_path, monkeypatch, capsys):
    """As readers type it: one block after the other, in a folder where they did so before."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        names = {}
        for code in BLOCKS[name]:
            exec(compile(code, name, "exec"), names)
            if "Sine" in code:
                said = "layer 1, Sine(): the dx returned by backward is not the derivative of forward"
                assert said in capsys.readouterr().out


def without_numbers(text):
    """The digits that are rounding, and how wide the columns are, do not matter."""
    return [" ".join(re.sub(r"\d\.\de-\d\d", "#", line).split()) for line in text.strip().splitlines()]


@pytest.mark.slow
def test_the_gradient_check_says_of_a_layer_what_its_page_says(tmp_path):
    page = (ROOT / "docs" / "gradient-check.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?class Softsign.*?)```", page, re.DOTALL)
    wrong, right = (text for text in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if "Softsign" in text)
    fixed = code.replace("self.size", "memo.size").replace("dy / memo.size", "dy / memo.size**2")
    for text, said, status in ((code, wrong, 1), (fixed, right, 0)):
        (tmp_path / "softsign.py").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "chainrule", "check", "softsign.py"]
        done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, encoding="utf-8")
        assert without_numbers(done.stdout) == without_numbers(said), done.stdout
        assert done.returncode == status


# ---------------------------------------------------------------- code that names its file

NAMED = [
    pytest.param(path, code, id=f"{name}: {path}")
    for name, text in DOCUMENTS.items()
    for path, code in re.findall(r"`([\w/]+/\w+\.py)`:\n\n```py(?:thon)?\n(.*?)```", text, re.DOTALL)
]  # "py" where it cannot run by itself


def without_docstrings(code):
    """The lines of code, without those of docstrings and without empty ones."""
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            text = node.body[0]
            lines[text.lineno - 1 : text.end_lineno] = [""] * (text.end_lineno - text.lineno + 1)
    return [line for line in lines if line.strip()]


@pytest.mark.parametrize(("path", "shown"), NAMED)
def test_code_that_names_a_file_stands_in_that_file(path, shown):
    there = without_docstrings((ROOT / "src" / "chainrule" / path).read_text(encoding="utf-8"))
    shown = [line for line in shown.splitlines() if line.strip()]
    windows = [textwrap.dedent("\n".join(there[i : i + len(shown)])) for i in range(len(there) - len(shown) + 1)]
    nearest = max(windows, key=lambda window: difflib.SequenceMatcher(None, window, "\n".join(shown)).quick_ratio())
    assert nearest == "\n".join(shown), f"write what stands in {path} between the fences:\n\n{nearest}\n"


def test_some_code_names_its_file():
    assert NAMED, "without a case, the test above cannot fail"


# ---------------------------------------------------------------- links to sections


def sections(text):
    """Return the anchors of a page's headings, as GitHub writes them."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {
        re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_sections_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            there = (page.parent / target) if target else page
            assert anchor in sections(there.read_text(encoding="utf-8")), f"{page.name}: {target}#{anchor}"


# ---------------------------------------------------------------- figures


@pytest.mark.parametrize("name", DOCUMENTS)
def test_figures_are_those_that_the_benchmarks_wrote(name):
    written = FIGURES["rewrite"](DOCUMENTS[name])
    difference = difflib.unified_diff(DOCUMENTS[name].splitlines(), written.splitlines(), lineterm="", n=0)
    assert written == DOCUMENTS[name], "type `python docs/figures.py`:\n" + "\n".join(difference)


# What is promised, refused or chosen, and not measured, by document: a number and its unit.
CHOSEN = {
    "files.md": "2 MiB, 128 MiB, 30 seconds, 20,000 times, 200 MiB, 50 MB",
    "gradient-check.md": "1 %, 1,000 times, 10,000 times",
    "playground.md": "256 MB",
    "serve.md": "25 times, 90 %, 10 seconds",
    "speed.md": "0.1 s",
    "streaming.md": "0.24 %, 30 %, 32 MB, 4 kB, 4 MB, 3.8 GB, 1 GiB, 500 MB",
    "table-reports.md": "1 MB, 95 %, 51 %, 80 %, 100 %",
    "tables-tuning.md": "134 MB, 30 seconds",
    "tables.md": "1.07 GB, 20 times, 20 %, 95 %, 5 %",
    "trace.md": "80 kB",
    "tune-cluster.md": "15 seconds, 90 seconds",
}


# The cells of a notebook measure its figures and assert them.
WRITTEN = [name for name, text in DOCUMENTS.items() if not text.startswith("---\nfile_format: mystnb\n")]


@pytest.mark.parametrize("name", WRITTEN)
def test_every_figure_says_where_it_was_measured(name):
    text = re.sub(r"```.*?```|`[^`\n]*`|^    [^\n]*$", "", DOCUMENTS[name], flags=re.DOTALL | re.MULTILINE)
    text = FIGURES["INLINE"].sub("", FIGURES["TABLE"].sub("", text))
    found = re.findall(rf"(?<![\w.,-])\d[\d.,]* ?{FIGURES['UNITS']}(?!\w| \d)", text)
    chosen = CHOSEN.get(name, "").split(", ")
    assert not {*found} - {*chosen}, "put a marker of docs/figures.py before a figure, or add a limit to CHOSEN"


BLOCK = 100  # words


@pytest.mark.parametrize("name", sorted({*WRITTEN} - {"reference.md"}))
def test_no_block_is_a_wall_of_text(name):
    text = re.sub(r"```.*?```|^\|[^\n]*$|^    [^\n]*$", "", DOCUMENTS[name], flags=re.DOTALL | re.MULTILINE)
    blocks = re.split(r"\n\s*\n|\n(?=\s*[-*] |\s*\d+\. )", text)
    long = [block.strip()[:60] for block in blocks if len(re.findall(r"\w+", block)) > BLOCK]
    assert not long, f"cut blocks of more than {BLOCK} words: {long}"
