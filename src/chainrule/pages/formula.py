r"""Formulas, written once as terminal text, and converted to LaTeX, to MathML, or to numbers.

A formula looks like ``y = γ x̂ + β``. Factors are separated by spaces, ``σ(x)`` without a space is a function of x, and
``a b / c`` a fraction. Other forms are ``e^x``, ``x²``, ``xₖ``, ``√(…)``, ``Σₖ`` and ``a where c, else b``. Two spaces
begin plain words, and a comma and two spaces another formula.

Source of MathML: W3C, "MathML Core" (2025).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chainrule.pages.formatting import escaped, visible

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "η": "eta", "θ": "theta", "λ": "lambda",
    "μ": "mu", "π": "pi", "ρ": "rho", "σ": "sigma", "φ": "varphi", "Φ": "Phi", "ℓ": "ell",
}  # fmt: skip
OPERATORS = {"−": "-", "·": r"\cdot", "⊙": r"\odot", "~": r"\sim", "≈": r"\approx", "←": r"\leftarrow"}
OPERATORS |= {"|": "|", "≤": r"\le", "±": r"\pm"}
OPERATORS |= {sign: sign for sign in "-+=<>,:"}
NAMED = {"log", "exp", "max", "min", "sin", "cos", "sinh", "cosh", "tanh"}  # functions with a LaTeX command
FUNCTIONS = NAMED | {"softmax", "sign", "erf", "mean"}
PARTS = {"½": (1, 2), "⅙": (1, 6)}
SCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀᵗˣʸ₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₘₙₜ", "0123456789−⊤txy0123456789ijkmnt", strict=True))
ACCENTS = {"'": "prime", "\u0302": "hat", "\u0304": "bar"}
CLOSING = {"(": ")", "[": "]"}
TOKEN = re.compile(
    r"(?P<gap>\s*)(?:(?P<big>Σ)|(?P<name>∂?(?:d?[ͱ-Ͽℓ]|[A-Za-z_][A-Za-z_0-9]*)[\u0302\u0304]?'?)|(?P<number>\d+(?:\.\d+)?|[½⅙])"
    r"|(?P<sub>[₀-₉ᵢⱼₖₘₙₜ]+)|(?P<sup>[⁰¹²³⁴-⁹⁻ᵀᵗˣʸ]+)|(?P<other>\S))"
)
LATEX = {
    "frac": r"\frac{{{}}}{{{}}}", "sqrt": r"\sqrt{{{}}}", "hat": r"\hat{{{}}}", "bar": r"\bar{{{}}}",
    "sub": "{}_{{{}}}", "sup": "{}^{{{}}}", "both": "{}_{{{}}}^{{{}}}", "under": "{}_{{{}}}",
    "thin": r"\,", "next": r",\quad ", "words": r"\;\text{{{}}}",
    "roman": r"\mathrm{{{}}}", "function": r"\operatorname{{{}}}", "letter": "{}", "number": "{}", "sum": r"\sum",
    "flat": "{}{}{}", "tall": r"\left{} {} \right{}", "partial": r"\partial {}", "prime": r"{}^{{\prime}}",
    "cases": r"\begin{{cases}} {} & {} \\ {} & \text{{otherwise}} \end{{cases}}", "operator": " {} ", "top": r"\top",
}  # fmt: skip
MATHML = {
    "frac": "<mfrac><mrow>{}</mrow><mrow>{}</mrow></mfrac>", "sqrt": "<msqrt>{}</msqrt>",
    "hat": '<mover accent="true">{}<mo>^</mo></mover>', "bar": '<mover accent="true">{}<mo>¯</mo></mover>',
    "sub": "<msub>{}<mrow>{}</mrow></msub>",
    "sup": "<msup>{}<mrow>{}</mrow></msup>", "both": "<msubsup>{}<mrow>{}</mrow><mrow>{}</mrow></msubsup>",
    "under": "<munder>{}<mrow>{}</mrow></munder>", "thin": '<mspace width="0.17em"></mspace>',
    "next": '<mo>,</mo><mspace width="1em"></mspace>', "words": "<mtext>\u00a0{}</mtext>",
    "roman": '<mi mathvariant="normal">{}</mi>', "function": "<mi>{}</mi>", "letter": "<mi>{}</mi>",
    "number": "<mn>{}</mn>", "sum": "<mo>∑</mo>", "prime": "<msup>{}<mo>′</mo></msup>",
    "flat": '<mrow><mo stretchy="false">{}</mo>{}<mo stretchy="false">{}</mo></mrow>',
    "tall": "<mrow><mo>{}</mo>{}<mo>{}</mo></mrow>", "operator": "<mo>{}</mo>",
    "partial": '<mrow><mi mathvariant="normal">∂</mi>{}</mrow>', "top": '<mi mathvariant="normal">⊤</mi>',
    "cases": '<mrow><mo>{{</mo><mtable columnalign="left"><mtr><mtd>{}</mtd><mtd>{}</mtd></mtr>'
    "<mtr><mtd>{}</mtd><mtd><mtext>otherwise</mtext></mtd></mtr></mtable></mrow>",
}  # fmt: skip


def latex(text: str) -> str:
    r"""Return a formula as LaTeX.

    >>> latex("y = γ x̂ + β"), latex("s ← s / √(v + ε)  for weights")
    ('y = \\gamma\\,\\hat{x} + \\beta', 's \\leftarrow \\frac{s}{\\sqrt{v + \\varepsilon}}\\;\\text{for weights}')
    """
    return re.sub(" +", " ", _set(text, LATEX)).strip()


def mathml(text: str, *, display: bool = False) -> str:
    """Return a formula as a ``<math>`` element; ``display`` sets large fractions and sums.

    >>> mathml("y = x²")
    '<math><mi>y</mi><mo>=</mo><msup><mi>x</mi><mrow><mn>2</mn></mrow></msup></math>'
    """
    kind = ' displaystyle="true"' if display else ""
    return f"<math{kind}>{_set(text, MATHML)}</math>"


def sides(equation: str) -> tuple[str, str]:
    """Return the left-hand side of an equation, and the first expression on its right, without words.

    >>> sides("y = σ(x) = 1 / (1 + e⁻ˣ)"), sides("dγ = Σ dy x̂  over the batch")
    (('y', 'σ(x)'), ('dγ', 'Σ dy x̂'))
    """
    left, *rest = re.split(" [=←] ", equation.partition("  ")[0].removesuffix(","))
    return left, rest[0] if rest else ""


def filled(formula: str, values: Mapping[str, Any], write: Callable[[Any], str]) -> str:
    """Return a formula with numbers in place of names, or "" if it has a sum, cases, or a name without a value.

    >>> filled("dy ⊙ (1 − y²)", {"dy": 2.0, "y": 0.5}, str), filled("x Φ(x)", {"x": 1.0, "Φ": 0.8}, str)
    ('2.0 · (1 − 0.5²)', '1.0 · 0.8')
    """
    tokens = [(m.lastgroup, m[m.lastgroup or 0], m["gap"]) for m in TOKEN.finditer(formula)]
    text, ended, i = "", False, 0  # whether a factor has just ended
    while i < len(tokens):
        kind, mark, gap = tokens[i]
        following = tokens[i + 1] if i + 1 < len(tokens) else ("", "", "")
        begins = kind in ("name", "number") or mark in ("(", "[", "√")
        text += " · " if ended and begins and gap else gap
        ended = kind in ("name", "number", "sup") or mark in (")", "]")
        if kind == "name" and mark + following[1] in values:  # σ² is a name, not a square of σ
            text, i = text + write(values[mark + following[1]]), i + 1
        elif kind == "name" and mark in values:
            text += write(values[mark])
            if following[1:] == ("(", ""):  # the value of Φ(x) is given
                i += next((j for j, (_, t, _) in enumerate(tokens[i:]) if t == ")"), len(tokens))
        elif kind == "name" and (mark in FUNCTIONS or (mark == "σ" and following[1] == "(")):
            text, ended = text + mark, False
        elif kind == "number":
            numerator, denominator = PARTS.get(mark, (0, 0))
            text += f"{numerator / denominator:.4g}" if denominator else mark
        elif kind == "sup" and (power := SCRIPTS[mark[-1]]) in values:  # eˣ
            text += f"^{write(values[power])}"
        elif mark == "⊙":
            text += "·"
        elif kind in ("big", "sub") or (kind == "name" and mark != "e") or (kind == "sup" and not power.isdigit()):
            return ""
        else:
            text += mark
        i += 1
    return text


def _set(text: str, form: Mapping[str, str]) -> str:
    formulas = []
    for formula in visible(text).split(",  "):
        mathematics, _, words = formula.partition("  ")
        setter = _Setter(mathematics, form)
        formulas.append(setter.row() + (form["words"].format(_plain(words.strip(), form)) if words else ""))
    return form["next"].join(formulas)


def _plain(text: str, form: Mapping[str, str]) -> str:
    return re.sub(r"([#$%&{}_\\^~])", r"\\\1", text) if form is LATEX else escaped(text)


class _Set(NamedTuple):
    """A typeset expression and, for a group, the part inside its parentheses."""

    whole: str
    inside: str | None = None

    @property
    def bare(self) -> str:
        """The expression without parentheses, which a root or a fraction bar makes needless."""
        return self.whole if self.inside is None else self.inside


class _Setter:
    """A recursive-descent parser: a row has operators and products, a product factors, a factor an atom and scripts."""

    def __init__(self, text: str, form: Mapping[str, str]) -> None:
        self.form = form
        self.tokens = [(m.lastgroup or "", m[m.lastgroup or 0], m["gap"]) for m in TOKEN.finditer(text)]

    def put(self, kind: str, *parts: str) -> str:
        return self.form[kind].format(*parts)

    def next(self) -> tuple[str, str, str]:
        return self.tokens[0] if self.tokens else ("", "", "")

    def row(self, stop: str = "") -> str:
        """Typeset everything up to the token ``stop``, or to the end."""
        parts: list[_Set] = []
        start = 0  # of the part after the last equals sign
        while self.tokens and self.next()[1] != stop:
            _, mark, _ = self.next()
            if mark == "/" and parts:
                self.tokens.pop(0)
                parts.append(_Set(self.put("frac", parts.pop().bare, self.product().bare)))
            elif mark == "where":
                self.tokens.pop(0)
                first, where = "".join(part.whole for part in parts[start:]), self.row("else")
                where = where.rstrip().removesuffix(self.put("operator", ",").rstrip())
                self.tokens[:1] = []
                parts[start:] = [_Set(self.put("cases", first, where, self.row(stop)))]
            elif mark in OPERATORS:
                self.tokens.pop(0)
                sign = OPERATORS[mark] if self.form is LATEX else escaped(mark)
                parts.append(_Set(self.put("operator", sign)))
                start = len(parts) if mark == "=" else start
            else:
                parts.append(self.product())
        return "".join(part.whole for part in parts)

    def product(self) -> _Set:
        """Typeset the factors up to the next operator."""
        factors = [self.factor()]
        while self.tokens and self.next()[1] not in {*OPERATORS, "/", ")", "]", "where", "else"}:
            factors.append(self.factor())
        return factors[0] if len(factors) == 1 else _Set(self.put("thin").join(f.whole for f in factors))

    def factor(self) -> _Set:
        """Typeset an atom with its subscript, superscript and argument."""
        big = self.next()[0] == "big"
        base, sub, sup = self.atom(), "", ""
        while self.next()[0] in ("sub", "sup") or self.next()[1] == "^":
            kind, mark, _ = self.tokens.pop(0)
            script = self.factor().bare if mark == "^" else "".join(map(self._script, mark))
            sub, sup = (script, sup) if kind == "sub" else (sub, script)
        kind = "both" if sub and sup else "under" if big else "sub" if sub else "sup"
        if sub or sup:
            base = _Set(self.put(kind, base.whole, *filter(None, (sub, sup))))
        if self.next()[1:] in (("(", ""), ("[", "")) and base.inside is None:
            base = _Set(base.whole + self.factor().whole)
        return base

    def _script(self, sign: str) -> str:
        sign = SCRIPTS[sign]
        kind = "number" if sign.isdigit() else "operator" if sign == "−" else "top" if sign == "⊤" else "letter"
        return self.put(kind, OPERATORS[sign] if sign == "−" and self.form is LATEX else sign)

    def atom(self) -> _Set:
        kind, mark, _ = self.tokens.pop(0) if self.tokens else ("", "", "")
        if mark in CLOSING:
            inside = self.row(CLOSING[mark])
            closed = self.tokens.pop(0)[1] if self.tokens else ""
            if self.put("cases", "", "", "")[:12] in inside:
                return _Set(inside)
            height = "tall" if closed and ("frac" in inside or r"\sum" in inside or "∑" in inside) else "flat"
            return _Set(self.put(height, mark, inside, closed), inside if mark == "(" else None)
        if mark == "√":
            text = self.put("sqrt", self.factor().bare)
        elif kind == "name":
            text = self.name(mark)
        elif mark in PARTS:
            text = self.put("frac", *(self.put("number", str(n)) for n in PARTS[mark]))
        elif kind == "big":
            text = self.put("sum")
        else:
            text = self.put(kind if kind == "number" else "operator", _plain(mark, self.form))
        return _Set(text)

    def name(self, name: str) -> str:
        """Typeset a letter, a differential, a function or a word."""
        if name[0] == "∂":
            return self.put("partial", self.name(name[1:]))
        if name[-1] in ACCENTS:
            return self.put(ACCENTS[name[-1]], self.name(name[:-1]))
        if len(name) == 2 and name[0] == "d":
            return self.put("roman", "d") + self.name(name[1])
        if len(name) == 1:
            return self.put("letter", rf"\{GREEK[name]}" if self.form is LATEX and name in GREEK else name)
        if name in FUNCTIONS:
            return rf"\{name}" if self.form is LATEX and name in NAMED else self.put("function", name)
        return self.put("roman", name.replace("_", r"\ " if self.form is LATEX else " "))
