"""Names of arrays as LaTeX: dW, db, σ, v of W, W after."""

from __future__ import annotations

from chainrule.pages.mathml import GREEK

LATEX = {letter: rf"\{name}" for name, letter in GREEK.items()} | {"₁": "_1", "₂": "_2", "²": "^2"}
HATS = {"x̂": r"\hat{x}"}


def shown(name: str) -> str:
    """Return a parameter's name as the equations have it.

    >>> shown("gamma"), shown("W")
    ('γ', 'W')
    """
    return GREEK.get(name, name)


def slope(name: str) -> str:
    """Return what the gradient of a parameter is called.

    >>> slope("gamma"), slope("W")
    ('dγ', 'dW')
    """
    return f"d{shown(name)}"


def latex_name(name: str) -> str:
    r"""Return the LaTeX of an array's name.

    >>> latex_name("dW"), latex_name("σ"), latex_name("W after"), latex_name("mask")
    ('\\mathrm{d}W', '\\sigma', 'W\\text{ after}', '\\mathrm{mask}')
    """
    if name in HATS:
        return HATS[name]
    first, space, rest = name.partition(" ")
    if space:
        return rf"{latex_name(first)}\text{{ {rest}}}"
    if len(name) > 1 and name[0] == "d" and (len(name) == 2 or not name[1:].isascii()):
        return rf"\mathrm{{d}}{latex_name(name[1:])}"
    if all(letter in LATEX for letter in name) or len(name) == 1:
        return "".join(LATEX.get(letter, letter) for letter in name)
    if len(name) == 2 and name[1] in LATEX:
        return name[0] + LATEX[name[1]]
    prefix, word = (r"\mathrm{d}", name[1:]) if name[0] == "d" and name[1].isupper() else ("", name)
    return rf"{prefix}\mathrm{{{word.replace('_', ' ')}}}"
