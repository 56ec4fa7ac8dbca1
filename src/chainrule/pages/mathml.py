r"""MathML from the LaTeX that the equations are written in: a small subset, which browsers set without any library.

Letters, numbers and operators; ``^``, ``_``, ``{}``; ``\frac``, ``\sqrt``, ``\hat``, ``\mathrm``, ``\text``,
``\operatorname``; ``\left( \right)``; ``\begin{cases}``; Greek letters, named functions and the symbols below.

Source: W3C, "MathML Core" (2025).
"""

from __future__ import annotations

import re
from html import escape
from typing import NoReturn

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "epsilon": "ϵ", "eta": "η",
    "theta": "θ", "lambda": "λ", "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ", "varphi": "φ", "Phi": "Φ",
    "ell": "ℓ", "partial": "∂", "infty": "∞", "top": "⊤",
}  # fmt: skip
OPERATORS = {
    "cdot": "·", "odot": "⊙", "times": "×", "sim": "∼", "approx": "≈", "le": "≤", "ge": "≥", "in": "∈",
    "leftarrow": "←",
}  # fmt: skip
BIG = {"sum": "∑", "prod": "∏"}
FUNCTIONS = {"log", "exp", "max", "min", "tanh", "sin", "cos"}
SPACES = {",": "0.17em", ";": "0.28em", "quad": "1em"}
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)


MARKS = {
    "-": "<mo>−</mo>",
    **{token: f"<mo>{escape(token)}</mo>" for token in "+=<>,./!:'"},
    **{token: f'<mo stretchy="false">{token}</mo>' for token in "()[]|"},
    **{f"\\{name}": f"<mi>{letter}</mi>" for name, letter in GREEK.items()},
    **{f"\\{name}": f'<mi mathvariant="normal">{GREEK[name]}</mi>' for name in ("partial", "infty", "top", "Phi")},
    **{f"\\{name}": f"<mo>{sign}</mo>" for name, sign in {**OPERATORS, **BIG}.items()},
    **{f"\\{name}": f'<mspace width="{width}"></mspace>' for name, width in SPACES.items()},
    "\\prime": "<mo>′</mo>",
}


def mathml(latex: str, *, display: bool = False) -> str:
    r"""Return a ``<math>`` element for LaTeX of the subset; ``display`` sets large fractions and sums.

    >>> mathml(r"y = x^2")
    '<math><mi>y</mi><mo>=</mo><msup><mi>x</mi><mn>2</mn></msup></math>'

    Raises
    ------
    ValueError
        When something is not in the subset.
    """
    kind = ' displaystyle="true"' if display else ""
    parser = _Parser(latex)
    body = parser.row(stop=None)
    return f"<math{kind}>{body}</math>"


class _Parser:
    """Recursive descent: a row is a sequence of atoms, each with its sub- and superscript."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.tokens = [token for token in TOKEN.findall(latex) if not token.isspace()]
        self.i = 0

    def fail(self, what: str) -> NoReturn:
        raise ValueError(f"mathml: {what} in {self.latex!r}: it is not in the subset of LaTeX that is understood.")

    def peek(self) -> str | None:
        return self.tokens[self.i] if self.i < len(self.tokens) else None

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if token is None or (expected is not None and token != expected):
            self.fail(f"expected {expected or 'more'}, got {token!r}")
        self.i += 1
        return token

    def row(self, stop: str | None) -> str:
        atoms = []
        while (token := self.peek()) != stop:
            if token is None:
                self.fail(f"{stop} is missing")
            atoms.append(self.scripted())
        return "".join(atoms)

    def scripted(self) -> str:
        big = (self.peek() or "")[1:] in BIG
        base, under, over = self.atom(), "", ""
        while self.peek() in ("_", "^"):
            if self.take() == "_":
                under = self.atom()
            else:
                over = self.atom()
        if big and under and over:
            return f"<munderover>{base}{under}{over}</munderover>"
        if big and under:
            return f"<munder>{base}{under}</munder>"
        if under and over:
            return f"<msubsup>{base}{under}{over}</msubsup>"
        if under:
            return f"<msub>{base}{under}</msub>"
        return f"<msup>{base}{over}</msup>" if over else base

    def atom(self) -> str:
        token = self.take()
        if token in MARKS:
            return MARKS[token]
        if token[0].isdigit() or token.isalpha():
            return f"<mn>{token}</mn>" if token[0].isdigit() else f"<mi>{token}</mi>"
        builders = {
            "{": self.group,
            "\\operatorname": lambda: self.function(self.words()),
            "\\mathrm": lambda: f'<mi mathvariant="normal">{self.words()}</mi>',
            "\\text": lambda: f"<mtext>{_kept(self.words())}</mtext>",
            "\\frac": lambda: f"<mfrac>{self.argument()}{self.argument()}</mfrac>",
            "\\sqrt": lambda: f"<msqrt>{self.argument()}</msqrt>",
            "\\hat": lambda: f'<mover accent="true">{self.argument()}<mo>^</mo></mover>',
            "\\left": self.fenced,
            "\\begin": self.cases,
        }
        if token in builders:
            return builders[token]()
        return self.function(token[1:]) if token[1:] in FUNCTIONS else self.fail(repr(token))

    def group(self) -> str:
        """Return what stands before the closing brace."""
        inside = self.row("}")
        self.take("}")
        return f"<mrow>{inside}</mrow>"

    def argument(self) -> str:
        self.take("{")
        return self.group()

    def words(self) -> str:
        """Return an argument as it is written: the tokens lost their spaces, so it is read from the source."""
        opening = sum(token == "{" for token in self.tokens[: self.i + 1])  # noqa: S105
        start = [m.end() for m in re.finditer(r"\{", self.latex)][opening - 1]
        self.take("{")
        while self.take() != "}":
            pass
        return escape(self.latex[start : self.latex.index("}", start)])

    def fenced(self) -> str:
        opening = self.take()
        inside = self.row("\\right")
        self.take("\\right")
        return f"<mrow><mo>{opening}</mo>{inside}<mo>{self.take()}</mo></mrow>"

    def function(self, name: str) -> str:
        space = "" if self.peek() in ("(", "\\left") else '<mspace width="0.17em"></mspace>'
        return f"<mi>{name}</mi><mo>&#8289;</mo>{space}"  # what is between is "apply", which is not seen

    def cases(self) -> str:
        self.words()
        rows: list[str] = []
        cells: list[str] = []
        atoms: list[str] = []
        while True:
            token = self.peek()
            if token in ("&", "\\\\", "\\end"):
                self.take()
                cells.append(f"<mtd>{''.join(atoms)}</mtd>")
                atoms = []
                if token == "&":  # noqa: S105
                    continue
                rows.append(f"<mtr>{''.join(cells)}</mtr>")
                cells = []
                if token == "\\end":  # noqa: S105
                    self.words()
                    return f'<mrow><mo>{{</mo><mtable columnalign="left">{"".join(rows)}</mtable></mrow>'
            elif token is None:
                self.fail("\\end{cases} is missing")
            else:
                atoms.append(self.scripted())


def _kept(text: str) -> str:
    """Return a text with spaces at its ends that browsers do not leave out."""
    before, inside, after = text.partition(text.strip(" ") or text)
    return before.replace(" ", "\N{NO-BREAK SPACE}") + inside + after.replace(" ", "\N{NO-BREAK SPACE}")
