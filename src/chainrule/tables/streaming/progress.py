"""Progress of a pass over the rows: on one line of a terminal, or as plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.pages.formatting import clock

LIVE, PLAIN = 0.2, 10.0  # seconds between updates on a terminal, and between lines elsewhere


@dataclass(frozen=True)
class State:
    """The state of a pass: its name, the rows done and in total, the bytes in total, the seconds, and a note.

    >>> state = State("training", 250, 1000, 4_000_000_000, 10.0, "loss 0.5")
    >>> print(state)
    training   25%  250 of 1,000 rows  100 MB/s  0:30 left  loss 0.5
    """

    what: str
    done: int
    rows: int
    size: int
    seconds: float
    note: str = ""

    @property
    def rate(self) -> float:
        """The speed in MB of the file per second, 10⁶ bytes each."""
        return self.size * self.done / max(self.rows, 1) / 1e6 / max(self.seconds, 1e-9)

    @property
    def left(self) -> float:
        """The estimated seconds until the end."""
        return self.seconds * (self.rows - self.done) / max(self.done, 1)

    @property
    def over(self) -> bool:
        """Whether the pass has ended."""
        return self.done >= self.rows

    def __str__(self) -> str:
        end = f"in {clock(self.seconds)}" if self.over else f"{clock(self.left)} left"
        share = 100 * self.done // max(self.rows, 1)
        line = f"{self.what:10} {share:2}%  {self.done:,} of {self.rows:,} rows  {self.rate:,.0f} MB/s  {end}"
        return f"{line}  {self.note}".rstrip()


class Meter:
    """Counts the rows of a pass, and calls ``show`` with its state.

    Parameters
    ----------
    show : function of State, or None
    what : str
    rows, size : int
        The rows and bytes of the whole pass: for five epochs, five times those of the file.
    """

    def __init__(self, show: Callable[[State], Any] | None, what: str, rows: int, size: int) -> None:
        self._show, self._what, self._rows, self._size = show, what, rows, size
        self._start = time.perf_counter()
        self._done = 0
        self.note = ""

    def add(self, rows: int) -> None:
        """Count rows as done."""
        self._done += rows
        self.tell()

    def tell(self) -> None:
        """Show the state."""
        if self._show is not None:
            self._show(self.state())

    def state(self) -> State:
        """Return the state."""
        return State(self._what, self._done, self._rows, self._size, time.perf_counter() - self._start, self.note)


class Printer:
    """Prints progress as a line that is overwritten on a terminal, or as a plain line every ten seconds elsewhere.

    Parameters
    ----------
    file : text file, optional
        Standard error by default.

    Examples
    --------
    >>> import sys
    >>> show = Printer(sys.stdout)
    >>> show(State("reading", 5, 5, 1_000_000, 2.0))
    reading    100%  5 of 5 rows  0 MB/s  in 0:02
    """

    def __init__(self, file: Any = None) -> None:
        self._file = file
        self._next = 0.0
        self._length = 0

    def __call__(self, state: Any) -> None:
        """Print a state with ``seconds`` and ``over``, whose text is the line."""
        file = self._file or sys.stderr
        over, now = state.over, time.perf_counter()
        live = file.isatty()
        if not over and (now < self._next or (not live and state.seconds < PLAIN)):
            return
        self._next = now + (LIVE if live else PLAIN)
        line = str(state)
        if live:
            file.write("\r" + line.ljust(self._length) + ("\n" if over else ""))
            self._length = 0 if over else len(line)
        else:
            file.write(line + "\n")
        file.flush()
