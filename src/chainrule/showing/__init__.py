"""How objects show themselves in notebooks: as HTML without scripts that loads nothing and follows the theme.

Each function returns the object's name, a summary and blocks of :mod:`chainrule.pages.blocks`, shortened where they are
long: the HTML stays below 200 kB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule._internal.showing import Shown
from chainrule.datasets import Dataset
from chainrule.gradient_check.report import Report
from chainrule.network import Network
from chainrule.pages.blocks import Block
from chainrule.pages.html import output
from chainrule.showing.data import dataset
from chainrule.showing.networks import network
from chainrule.showing.reports import report
from chainrule.showing.training import history, range_test
from chainrule.training.history import History
from chainrule.training.rate_finder import RangeTest

__all__ = ["SHOWN", "html"]

SHOWN: dict[type[Shown], Callable[[Any], tuple[str, str, Sequence[Block]]]] = {
    Dataset: dataset,
    History: history,
    Network: network,
    RangeTest: range_test,
    Report: report,
}


def html(thing: Shown) -> str | None:
    """Return an object as the output of a notebook's cell; None if it is of another class.

    >>> import chainrule as cr
    >>> history = cr.History(("epoch", "loss"))
    >>> history.append([1, 0.5])
    >>> "<b>History</b> 1 epoch" in html(history)
    True
    """
    for kind, show in SHOWN.items():
        if isinstance(thing, kind):
            return output(*show(thing))
    return None
