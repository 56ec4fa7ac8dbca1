"""The library's advice on a network in training, for the page that trains it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from chainrule.advice import AdviceWarning

_thread = threading.local()


def advise(tell: Callable[[str], None]) -> None:
    """Hand the advice on what this thread trains to ``tell``."""
    _thread.tell = tell


def shown_to_its_page(usual: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for ``warnings.showwarning``: advice goes to the page whose network is training."""

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        tell = getattr(_thread, "tell", None)
        if tell is not None and issubclass(category, AdviceWarning):
            tell(str(message))
        else:
            usual(message, category, *where, **more)

    return show


@cache
def listen_to_advice() -> None:
    """Begin to show the advice on a page's network on that page."""
    warnings.showwarning = shown_to_its_page(warnings.showwarning)
