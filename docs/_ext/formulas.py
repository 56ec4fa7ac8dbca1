"""The directive ``formula`` of the docstrings: plain text in ``help()``, typeset on the site.

A line has formulas and words, with two or more spaces between them. The formulas are those of worked examples, and the
same function makes LaTeX of them. A part with two English words in a row is words, and so is one without a relation
such as ``=`` that has any word of three letters.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from chainrule.pages.formula import latex

RELATION = re.compile(r"[=←~≤]")
WORDS = re.compile(  # two English words in a row, a word that begins a phrase, or a label
    r"(?<![\w(])(?!where\b|else\b|d[a-z]\b)[a-z]{2,} (?!where\b|else\b|d[a-z]\b)[a-z]{2,}\b(?!\()"
    r"|^(in|for|then|at|over|as|or|with|after|summed)\b|:$"
)
SIGNS = {"‖": r"\|", "…": r"\dots ", "+ =": r"\mathrel{+}=", " . \\, . \\, . ": r"\dots ", "//": r"\mathbin{/\!/}"}


def parts(line: str) -> list[tuple[bool, str]]:
    """Return the parts of a line: whether each is a formula, and its text.

    >>> parts("db = Σ dy           summed over the batch")
    [(True, 'db = Σ dy'), (False, 'summed over the batch')]
    """
    found = []
    for text in re.split(r"(?<!,) {2,}| {3,}", line.strip()):
        formula = RELATION.search(text) or not re.search(r"[a-z]{3,}", text)
        found.append((bool(formula) and not WORDS.search(text), text))
    return found


def typeset(text: str) -> str:
    """Return a formula as KaTeX takes it."""
    made = latex(text)
    for sign, command in SIGNS.items():
        made = made.replace(sign, command)
    return rf"\displaystyle {made}"


def blocks(docstring: str) -> list[list[str]]:
    """Return the lines of each formula block of a docstring."""
    found = re.findall(r"^( *)\.\. formula::\n((?:\n|\1 +.*(?:\n|$))+)", docstring, re.MULTILINE)
    return [[line.strip() for line in text.splitlines() if line.strip()] for _, text in found]


class Formula(SphinxDirective):
    """Lines of formulas and words."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return one element for each line, which the style sheet wraps on narrow screens."""
        block = nodes.container(classes=["formula"])
        for line in self.content:
            row = nodes.paragraph(classes=["formula-line"] if line.strip() else ["formula-gap"])
            for formula, text in parts(line) if line.strip() else []:
                if formula:
                    row += nodes.math(text, typeset(text))
                else:
                    row += nodes.inline(text, text, classes=["formula-words"])
            block += row
        return [block]


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("formula", Formula)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
