"""The progress of training as one live bar in the output of a notebook's cell."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from html import escape
from typing import Any

INTERVAL = 0.1  # seconds between two updates: the eye can follow them, and training does not slow down
COLOR = "#2487c8"  # can be seen on white and on black


def bar() -> Bar | None:
    """Return a bar if standard output is the output of a notebook's cell, else None.

    A kernel has imported IPython, so nothing is imported for this.
    """
    in_cell = type(sys.stdout).__module__.partition(".")[0] == "ipykernel"
    shell = sys.modules.get("IPython") if in_cell else None
    return None if shell is None else Bar(shell.display)


class Bar:
    """A progress bar that is displayed once and then updated.

    >>> bar = Bar(None)
    >>> bar.done, bar.total, bar.texts = 2, 5, ["loss 0.5"]
    >>> bar
    epoch 2/5  loss 0.5
    """

    def __init__(self, display: Any) -> None:
        self._display, self._handle = display, None
        self._start = self._shown = time.perf_counter()
        self._first: int | None = None
        self.done, self.total = 0, 1
        self.texts: list[str] = []

    def show(self, done: int, total: int, texts: Sequence[str], *, over: bool = False) -> None:
        """Show that ``done`` of ``total`` epochs are done, and texts; if not ``over``, at most ten times a second."""
        now = time.perf_counter()
        if done and self._first is None:
            self._first = done - 1  # a resumed run does not start at 0
        if self._handle is not None and not over and now - self._shown < INTERVAL:
            return
        self._shown, self.done, self.total = now, done, total
        seconds = now - self._start
        self.texts = [*texts, f"{seconds:.1f} s"]
        if self._first is not None and not over:
            self.texts[-1] += f", {seconds / (done - self._first) * (total - done):.0f} s left"
        if self._handle is None:
            self._handle = self._display.display(self, display_id=True)
        else:
            self._handle.update(self)

    def __repr__(self) -> str:
        return "  ".join([f"epoch {self.done}/{self.total}", *self.texts])

    def _repr_html_(self) -> str:
        spans = "".join(f"<span>{escape(text)}</span>" for text in (f"epoch {self.done}/{self.total}", *self.texts))
        row = "display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: center; font-variant-numeric: tabular-nums"
        bar = f"width: 14rem; max-width: 100%; accent-color: {COLOR}"
        value = f'max="{self.total}" value="{self.done}"'
        return f'<div style="{row}"><progress {value} aria-label="training" style="{bar}"></progress>{spans}</div>'
