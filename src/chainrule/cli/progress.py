"""The live bar of a training on a terminal."""

from __future__ import annotations

import math
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from chainrule.training.callbacks import Callback, Run

INTERVAL = 0.1  # seconds between two updates: what the eye can follow, and training does not feel


class LiveBar(Callback):
    """Epoch, loss, validation accuracy, samples a second and the time left, on one line of the terminal.

    Used as a context, it gives the line back whatever happens.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("validation {task.fields[accuracy]}"),
            TextColumn("{task.fields[speed]} samples/s"),
            TextColumn("{task.fields[left]}"),
            console=console,
            auto_refresh=False,  # no second thread beside training
            expand=True,
        )

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
        self._first = self._first or run.epoch  # training may go on where another one ended
        new = max(1, done - (self._first - 1) * run.batches)
        left = seconds / new * (run.epochs * run.batches - done)
        accuracy = run.history["val_accuracy"][-1] if len(run.history) else math.nan
        self._progress.update(
            self._task,
            completed=done,
            refresh=True,
            epoch=f"{run.epoch}/{run.epochs}",
            loss=f"{loss:.4f}",
            accuracy="  -  " if math.isnan(accuracy) else f"{100 * accuracy:.1f} %",
            speed=f"{new / run.batches * run.rows / max(seconds, 1e-9):,.0f}",
            left=f"in {clock(seconds)}" if over else f"{clock(left)} left",
        )


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds.

    >>> clock(83.4), clock(4000)
    ('1:23', '1:06:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
