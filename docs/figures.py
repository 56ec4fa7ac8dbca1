r"""Update the figures in README.md, docs/*.md and the book from the result files of the benchmarks.

    python -m benchmarks steps --keep      # writes benchmarks/results/steps.json; so do the other benchmarks
    python docs/figures.py

A Markdown comment tells where a figure comes from. Before a table, ``<!-- figures: steps defaults -->`` names files in
benchmarks/results: each cell is looked up by its row (the text in the first column) and its column (the header).
Columns called "goal" are edited by hand. In a sentence, ``<!-- folding: 1,000 | folded -->6 µs`` names the file, row
and column before the figure; in a table, the bar is ``\|``. ``<!-- figures: docs/mnist.json -->`` is the table
of examples/mnist_records.py.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNITS = r"(?:µs|ms|s|seconds|min|minutes|KiB|MiB|GiB|[kMG]B(?:/s)?|%|×|times)"
FIGURE = rf"[\d][\d.,]*(?:e-?\d+)?(?: ?{UNITS}(?!\w))?"
TABLE = re.compile(r"<!-- figures: (?P<files>.+?) -->\n\n?(?P<table>(?:\|.*\n)+)")
INLINE = re.compile(rf"<!-- (?P<file>[\w-]+): (?P<row>[^|>]+?) \\?\| (?P<column>[^>]+?) -->(?P<figure>{FIGURE})")


def documents() -> list[Path]:
    """Return the documents with measured figures."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/book/[0-9]*.md"))]


def figures(name: str) -> dict[str, dict[str, str]]:
    """Return the figures that a benchmark wrote, by row and column."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["figures"]


def table(files: str, text: str) -> str:
    """Return a table filled with the figures of these files."""
    if files == "docs/mnist.json":
        records = runpy.run_path(str(ROOT / "examples" / "mnist_records.py"))
        return records["table"](json.loads((ROOT / files).read_text(encoding="utf-8"))) + "\n"
    found = {row: cells for name in files.split() for row, cells in figures(name).items()}
    header, rule, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines()]
    lines = [header, rule]
    for first, *cells in rows:
        if first not in found:
            raise KeyError(f"no figures for {first!r} in {files}; it has {', '.join(map(repr, found))}")
        named = zip(header[1:], cells, strict=True)
        lines.append([first, *(cell if name == "goal" else found[first].get(name, "") for name, cell in named)])
    plain = ("|" + "|".join(line) + "|" if line is rule else "| " + " | ".join(line) + " |" for line in lines)
    return "\n".join(line.replace("|  |", "| |").replace("|  |", "| |") for line in plain) + "\n"


def rewrite(text: str) -> str:
    """Return a document with all of its figures updated."""

    def inline(found: re.Match[str]) -> str:
        figure = figures(found["file"])[found["row"]][found["column"]]
        return found[0].removesuffix(found["figure"]) + figure

    text = TABLE.sub(lambda m: m[0].removesuffix(m["table"]) + table(m["files"], m["table"]), text)
    return INLINE.sub(inline, text)


if __name__ == "__main__":
    for document in documents():
        old = document.read_text(encoding="utf-8")
        if (new := rewrite(old)) != old:
            document.write_text(new, encoding="utf-8")
            sys.stderr.write(f"updated: {document.relative_to(ROOT)}\n")
