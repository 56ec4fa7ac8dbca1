"""Single entries with their numbers put in: y[0, 3] = 0.5 · 0.1 + … = 0.07."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tracing.equation import Equations
from chainrule.tracing.numbers import DIGITS, factor, number
from chainrule.tracing.steps import Index

DOUBLED = re.compile(r"\(\((−[^()]*)\)\)")  # tanh((−1)): one pair is enough
TERMS = 3  # of a sum that is longer than one more
LISTED = 9  # numbers of a list


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


def listed(values: Sequence[Any]) -> str:
    """Return numbers one after the other; of many the first ones, and how many more there are.

    >>> listed([1.0, -0.5])
    '1, −0.5'
    """
    texts = [number(v, DIGITS) for v in values]
    if len(texts) > LISTED:
        texts = [*texts[: LISTED - 1], f"… ({len(texts) - LISTED + 1} more)"]
    return ", ".join(texts)


def linear(x: Array, w: Array, b: Any, y: Array, index: Index) -> str:
    """Return an entry of y = Σ x w + b with numbers."""
    terms = total(list(zip(x.tolist(), w.tolist(), strict=True)), [] if b is None else [b])
    return f"{at('y', index)} = {terms} = {number(y[index], DIGITS)}"


def products(x: Array, dy: Array, name: str, gradient: Array, index: Index) -> str:
    """Return an entry of a gradient, Σ x dy, with numbers."""
    terms = total(list(zip(x.tolist(), dy.tolist(), strict=True)))
    return f"{at(name, index)} = {terms} = {number(gradient[index], DIGITS)}"


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
