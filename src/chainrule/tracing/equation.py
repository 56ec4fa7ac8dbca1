"""What an equation is: text, LaTeX, and how its numbers are put in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chainrule._internal.typing import Array
from chainrule.memo import Memo


class Equation(NamedTuple):
    """One formula, in plain text and in LaTeX."""

    text: str
    latex: str


Seen = Callable[[Any, Memo], Array]


@dataclass(frozen=True)
class Equations:
    r"""What one class computes, forward and backward.

    Parameters
    ----------
    forward, backward : tuple of Equation
    memo : mapping
        What else to show: the symbol of the equations, and the name in the memo, or a function of the layer and the
        memo.
    symbols : mapping
        The symbols that stand for what the constructor was given: symbol, and name of the attribute.
    y_entry, dx_entry : str
        How one entry comes from the numbers at the same place, for elementwise layers: ``"max({x}, 0)"``. Of a
        loss: the value of one sample, and ∂ℓ/∂y of one entry.
    sums : mapping
        Gradients of parameters that are a sum of products: its name, and the symbols of the two factors.
    after : mapping
        Of the layer's statistics: how each moves after a step in training, and the same for one entry.

    Examples
    --------
    >>> from chainrule import layers
    >>> from chainrule.tracing import LAYERS
    >>> LAYERS[layers.Tanh].forward[0]
    Equation(text='y = tanh(x)', latex='y = \\tanh(x)')
    >>> LAYERS[layers.Tanh].dx_entry.format(y=0.5, dy=2.0)
    '2.0 · (1 − 0.5²)'
    """

    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...] = ()
    memo: Mapping[str, str | Seen] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)
    y_entry: str = ""
    dx_entry: str = ""
    sums: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    after: Mapping[str, tuple[Equation, str]] = field(default_factory=dict)


Choice = Equations | Callable[[Any, bool], Equations]
