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
    "ell": "ℓ", "partial": "∂", "infty": "∞", "top": "⊤", "prime": "′",
}  # fmt: skip
OPERATORS = {
    "cdot": "·", "odot": "⊙", "times": "×", "sim": "∼", "approx": "≈", "le": "≤", "ge": "≥", "in": "∈",
    "leftarrow": "←", "quad": "", "star": "⋆",
}  # fmt: skip
BIG = {"sum": "∑", "prod": "∏"}
FUNCTIONS = {"log", "exp", "max", "min", "tanh", "sin", "cos"}
SPACES = {",": "0.17em", ";": "0.28em", "quad": "1em"}
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)


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
        self.raw = latex
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
        if token == "{":  # noqa: S105  (no password)
            return self.group()
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        if token in "()[]|":
            return f'<mo stretchy="false">{token}</mo>'
        if token in "+=<>,./!:'":
            return f"<mo>{escape(token)}</mo>"
        if token == "-":  # noqa: S105
            return "<mo>−</mo>"
        return self.fail(f"{token!r}")

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
        start = [m.end() for m in re.finditer(r"\{", self.raw)][opening - 1]
        self.take("{")
        while self.take() != "}":
            pass
        return escape(self.raw[start : self.raw.index("}", start)])

    def command(self, name: str) -> str:
        if name in GREEK:
            upright = ' mathvariant="normal"' if name in ("partial", "infty", "top", "Phi") else ""
            return f"<mi{upright}>{GREEK[name]}</mi>" if name != "prime" else "<mo>′</mo>"
        if name in SPACES:
            return f'<mspace width="{SPACES[name]}"></mspace>'
        if name in BIG:
            return f"<mo>{BIG[name]}</mo>"
        if name in OPERATORS:
            return f"<mo>{OPERATORS[name]}</mo>"
        if name in FUNCTIONS:
            return self.function(name)
        if name == "operatorname":
            return self.function(self.words())
        if name == "mathrm":
            return f'<mi mathvariant="normal">{self.words()}</mi>'
        if name == "text":
            return f"<mtext>{self.words()}</mtext>"
        if name == "frac":
            return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"
        if name == "sqrt":
            return f"<msqrt>{self.argument()}</msqrt>"
        if name == "hat":
            return f'<mover accent="true">{self.argument()}<mo>^</mo></mover>'
        if name == "left":
            opening = self.take()
            inside = self.row("\\right")
            self.take("\\right")
            return f"<mrow><mo>{opening}</mo>{inside}<mo>{self.take()}</mo></mrow>"
        if name == "begin":
            return self.cases()
        return self.fail(f"\\{name}")

    def function(self, name: str) -> str:
        space = "" if self.peek() in ("(", "\\left") else '<mspace width="0.17em"></mspace>'
        return f"<mi>{name}</mi><mo>&#8289;</mo>{space}"  # what is between is "apply", which is not seen

    def cases(self) -> str:
        self.words()
        rows, cells, atoms = [], [], []
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
