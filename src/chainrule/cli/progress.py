"""Progress on a terminal: a live bar for training and for a search, and a clock while compiling."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress

from chainrule.cli.output import tell
from chainrule.pages.formatting import clock
from chainrule.training.callbacks import Callback, Run
from chainrule.training.compiled.keeping import watcher

INTERVAL = 0.1  # seconds between two updates: the eye can follow them, and training does not slow down


def terminal() -> Console | None:
    """Return the terminal that standard output goes to, if it is one that can redraw a line."""
    console = Console()
    return console if sys.stdout.isatty() and not console.is_dumb_terminal else None


class LiveBar(Callback):
    """Epoch, loss, validation accuracy, samples per second and the time left, on one line of the terminal.

    As a context manager, it releases the line whatever happens.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            "epoch {task.fields[epoch]}", BarColumn(bar_width=None), "loss {task.fields[loss]}",
            "validation {task.fields[accuracy]}", "{task.fields[speed]} samples/s", "{task.fields[left]}",
            console=console, expand=True, auto_refresh=False,  # no second thread beside training
        )  # fmt: skip

    def __enter__(self) -> LiveBar:
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def on_start(self, run: Run) -> None:
        self._start = time.perf_counter()
        self._next = 0.0
        self._first = 0
        self._task = self._progress.add_task(
            "", total=run.epochs * run.batches, epoch="", loss="", accuracy="", speed="", left=""
        )
        self._progress.start()

    def on_batch(self, run: Run) -> None:
        if time.perf_counter() >= self._next:
            self._draw(run, run.loss)
            self._next = time.perf_counter() + INTERVAL

    def on_epoch(self, run: Run) -> None:
        if run.epoch == run.epochs or run.stopped or time.perf_counter() >= self._next:
            self._draw(run, run.history["loss"][-1])

    def on_end(self, run: Run) -> None:
        self._draw(run, run.history["loss"][-1] if len(run.history) else run.loss, over=True)
        self._progress.stop()
        if run.stopped:
            self._progress.console.print(f"stopped: {run.stopped}", highlight=False, markup=False)

    def _draw(self, run: Run, loss: float, *, over: bool = False) -> None:
        seconds = time.perf_counter() - self._start
        done = max(0, run.epoch - 1) * run.batches + run.batch  # training may end before its first epoch
        self._first = self._first or run.epoch  # a resumed run does not start with the first epoch
        new = max(1, done - (self._first - 1) * run.batches)
        left = seconds / new * (run.epochs * run.batches - done)
        accuracy = run.history["val_accuracy"][-1] if len(run.history) else math.nan
        self._progress.update(
            self._task,
            completed=done,
            refresh=True,
            epoch=f"{run.epoch}/{run.epochs}",
            loss=f"{loss:.4f}",
            accuracy="  -  " if math.isnan(accuracy) else f"{100 * accuracy:.1f}%",
            speed=f"{new / run.batches * run.rows / max(seconds, 1e-9):,.0f}",
            left=f"in {clock(seconds)}" if over else f"{clock(left)} left",
        )


@contextmanager
def compiling(*, quiet: bool) -> Iterator[None]:
    """Show a clock on the terminal while code is compiled in the block; nothing if quiet, and one line elsewhere."""
    show = CompilingLine(sys.stderr) if sys.stderr.isatty() else None
    token = watcher.set((lambda _done, _total: None) if quiet else show)
    try:
        yield
    finally:
        watcher.reset(token)


class CompilingLine:
    r"""The line that says what is compiled and for how long, and is erased when that is done.

    It is plain text, not a rich display, because a :class:`LiveBar` may be on the line: it is drawn again.

    >>> import io
    >>> file = io.StringIO()
    >>> show = CompilingLine(file)
    >>> show(7, 12)
    >>> file.getvalue()
    '\rCompiling, first use only: 7 of 12 operations, 0 s'
    """

    def __init__(self, file: Any) -> None:
        self._file, self._start, self._width = file, 0.0, 0

    def __call__(self, done: int, total: int) -> None:
        if not self._width:
            self._start = time.perf_counter()
        seconds = int(time.perf_counter() - self._start)
        line = f"Compiling, first use only: {done} of {total} operations, {seconds} s" if done < total else ""
        self._file.write("\r" + line.ljust(self._width) + ("" if line else "\r"))
        self._file.flush()
        self._width = len(line)


def search(stack: ExitStack, trials: int | None, minutes: float | None, *, larger: bool = False) -> Any:
    """Return a callback that draws a live bar on a terminal, and prints one line per trial elsewhere.

    ``larger`` says whether larger values of a trial are better.
    """
    console = terminal()
    bar = Progress("{task.description}", BarColumn(bar_width=None), console=console, expand=True)
    task = bar.add_task("", total=1.0)
    start, ended = time.monotonic(), 0

    def on_trial(trial: Any, finished: tuple[Any, ...]) -> None:
        nonlocal ended
        ended, taken = ended + 1, time.monotonic() - start
        left = taken / ended * (trials - len(finished)) if trials else 60 * (minutes or 0) - taken
        text = line(trial, finished, trials, max(0.0, left), max if larger else min)
        if console is None:
            tell(text)
            return
        if not bar.live.is_started:
            stack.enter_context(bar)
        bar.console.print(text, highlight=False, markup=False)
        done = len(finished) / trials if trials else taken / (taken + left)
        bar.update(task, completed=done, description=text.partition("  ")[0])

    return on_trial


def line(
    trial: Any,
    finished: tuple[Any, ...],
    trials: int | None,
    left: float,
    better: Callable[[list[float]], float] = min,
) -> str:
    """Return the line to print after a trial.

    >>> from chainrule.tables.tuning import TrialRecord
    >>> best = TrialRecord(1, "complete", 0.4321, (0.4321,), (3,), 2.0, {})
    >>> pruned = TrialRecord(2, "pruned", 0.5123, (0.5123,), (), 1.23, {})
    >>> line(pruned, (best, pruned), 20, 65.0)
    'trial 2/20  0.5123  pruned    best 0.4321  1.2 s  1:05 left'
    """
    of = "" if trials is None else f"/{trials}"
    value = "-" if trial.value is None else f"{trial.value:#.4g}"
    values = [other.value for other in finished if other.state == "complete" and other.value is not None]
    best = f"{better(values):#.4g}" if values else "-"
    how_long = f"{trial.seconds:.1f} s  {clock(left)} left"
    return f"trial {len(finished)}{of}  {value:>6}  {trial.state:<8}  best {best}  {how_long}"
