"""Single entries with their numbers put in: y[0, 3] = 0.5 · 0.1 + … = 0.07."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule._typing import Array
from chainrule.tracing.equations import Equations
from chainrule.tracing.numbers import DIGITS, factor, number
from chainrule.tracing.steps import Index

DOUBLED = re.compile(r"\(\((−[^()]*)\)\)")  # tanh((−1)): one pair is enough
TERMS = 3  # of a sum that is longer than one more


def at(name: str, index: Sequence[int]) -> str:
    """Return the name of an entry.

    >>> at("W", (3, 2))
    'W[3, 2]'
    """
    return f"{name}{list(index)}"


def total(products: Sequence[tuple[Any, ...]], extra: Sequence[Any] = ()) -> str:
    """Return a sum of products as text; of a long one the first terms that are not 0, and how many more there are.

    >>> total([(1.0, 2.0), (0.5, -3.0)], extra=[0.25])
    '1 · 2 + 0.5 · (−3) + 0.25'
    """
    terms = [" · ".join(factor(v, DIGITS) for v in product) for product in products if np.all(product)]
    if len(terms) > TERMS + 1:
        terms = [*terms[:TERMS], f"… ({len(terms) - TERMS} more terms)"]
    return " + ".join([*(terms or ["0"]), *(factor(v, DIGITS) for v in extra)])


def linear(x: Array, W: Array, b: Array | None, y: Array, index: Index) -> str:
    """Return y[r, j] = Σ x[r, i] W[i, j] + b[j] with numbers."""
    r, j = index
    terms = total(list(zip(x[r].tolist(), W[:, j].tolist(), strict=True)), [] if b is None else [b[j]])
    return f"{at('y', index)} = {terms} = {number(y[index], DIGITS)}"


def linear_backward(x: Array, dy: Array, dW: Array, index: Index) -> str:
    """Return dW[i, j] = Σ x[r, i] dy[r, j] with numbers."""
    i, j = index
    terms = total(list(zip(x[:, i].tolist(), dy[:, j].tolist(), strict=True)))
    return f"{at('dW', index)} = {terms} = {number(dW[index], DIGITS)}"


def entry(name: str, index: Index, template: str, result: Any, sign: str = "=", **numbers: Any) -> list[str]:
    """Return the template with the numbers put in, or nothing where there is no template."""
    if not template:
        return []
    right = template.format_map({symbol: factor(value, DIGITS) for symbol, value in numbers.items()})
    right = DOUBLED.sub(r"(\1)", right)
    return [f"{at(name, index)} {sign} {right} = {number(result, DIGITS)}"]


def symbols(equations: Equations, thing: Any) -> Mapping[str, float]:
    """Return what the symbols of the equations stand for."""
    return {symbol: getattr(thing, attribute) for symbol, attribute in equations.symbols.items()}
