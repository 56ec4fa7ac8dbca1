"""``chainrule tune``: a search for the best network for a table, which can be stopped and resumed."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli import bounds
from chainrule.cli import table_options as table
from chainrule.cli.errors import in_one_sentence, warnings_at_the_end
from chainrule.cli.limits import MaxUnpacked
from chainrule.cli.output import say, tell

if TYPE_CHECKING:
    from chainrule.tables.tuning import TrialRecord
else:
    TrialRecord = Any

SEARCH, RUN = "Search", "Run"
STOPPED = 130  # the exit status after Ctrl-C


@in_one_sentence
def tune(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A table: CSV, Parquet, Arrow, JSON lines or npz.")],
    target: Annotated[str, typer.Option(help="The column to predict.", rich_help_panel=table.TABLE)],
    trials: Annotated[
        int | None, typer.Option(help="Number of trials, those of a resumed study included.", rich_help_panel=SEARCH)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Time limit, the final fit included.", rich_help_panel=SEARCH)
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Cross-validation folds; 5 up to 2,000 rows, else 3.", rich_help_panel=SEARCH)
    ] = None,
    n_jobs: Annotated[int, typer.Option(help="Trials at a time, which share the cores.", rich_help_panel=SEARCH)] = 1,
    task: table.Task = None,
    categorical: table.Categorical = None,
    numeric: table.Numeric = None,
    drop: table.Drop = None,
    date: table.Date = None,
    test: table.Test = None,
    validation: table.Validation = None,
    time_column: table.TimeColumn = None,
    group: table.Group = None,
    delimiter: table.Delimiter = None,
    decimal: table.Decimal = None,
    seed: Annotated[int, typer.Option(help="Seed for the split, search and training.", rich_help_panel=RUN)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Study and results; runs/FILE-tune by default.", rich_help_panel=RUN),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print only the result and the folder.", rich_help_panel=RUN)
    ] = False,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
) -> None:
    """Search for a better network than that of `chainrule train FILE`, fit the best, and keep everything in a folder.

    Size, activation, dropout, penalty, learning rate, schedule, batch size: measured by cross-validation on the rows
    to train on. The first trial is the default of `train`. Ctrl-C stops; the same command resumes.
    """
    from chainrule._internal.extras import require  # noqa: PLC0415  (start-up time: not needed for --help)
    from chainrule.cli.tables import names, part_or_file  # noqa: PLC0415  (start-up time)

    bounds.check("tune", {"seed": seed, "validation": validation})
    for package, extra in (("optuna", "tune"), ("polars", "tables"), ("skops", "tables")):
        require(package, extra)  # refused before the search, not after it
    from chainrule.tables import save, tuning  # noqa: PLC0415  (an extra)
    from chainrule.tables.tuning.page import sentence  # noqa: PLC0415  (an extra)

    stem = Path(file).name.split(".")[0] or Path(file).name.strip(".") or "table"
    folder = out if out is not None else Path("runs", f"{stem}-tune")
    start = time.monotonic()
    options = {
        "task": task, "categorical": names(categorical), "numeric": names(numeric), "drop": names(drop),
        "dates": names(date), "test": None if test is None else part_or_file(test), "validation": validation,
        "time_column": time_column, "group": group, "delimiter": delimiter, "decimal": decimal,
    }  # fmt: skip
    try:
        with warnings_at_the_end(), ExitStack() as stack:
            tuned = tuning.tune(
                file, target, trials=trials, minutes=minutes, folds=folds, jobs=n_jobs, seed=seed, out=folder,
                on_trial=None if quiet else _progress(stack, trials, minutes), on_message=None if quiet else tell,
                **{name: value for name, value in options.items() if value not in (None, [], "")},
            )  # fmt: skip
    except KeyboardInterrupt:
        say(f"\nStopped: the finished trials are kept in {folder}, and the same command resumes.")
        raise typer.Exit(STOPPED) from None
    tuned.trained.command = shlex.join(["chainrule", *sys.argv[1:]])
    save(tuned.trained, folder, overwrite=True)
    tuning.save(tuned, folder)
    for message in tuned.trained.warnings:
        say(f"Warning: {message}")
    if not quiet:
        tell(f"\n{tuning.summary(tuned)}\n")
    tell(f"best     {sentence(tuned)}")
    tell(f"verdict  {tuned.trained.verdict}")
    if not quiet:
        tell(f"time     {time.monotonic() - start:.1f} s")
    tell(f"results  {folder}")


def _progress(stack: ExitStack, trials: int | None, minutes: float | None) -> Any:
    """Return a callback that draws a live bar on a terminal, and prints a plain line per trial elsewhere."""
    from rich.console import Console  # noqa: PLC0415  (start-up time)
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415  (start-up time)

    console = Console()
    live = sys.stdout.isatty() and not console.is_dumb_terminal
    bar = Progress(TextColumn("{task.description}"), BarColumn(bar_width=None), console=console, expand=True)
    task = bar.add_task("", total=1.0)
    start, ended = time.monotonic(), 0

    def on_trial(trial: TrialRecord, finished: tuple[TrialRecord, ...]) -> None:
        nonlocal ended
        ended, taken = ended + 1, time.monotonic() - start
        left = taken / ended * (trials - len(finished)) if trials else 60 * (minutes or 0) - taken
        text = line(trial, finished, trials, max(0.0, left))
        if not live:
            tell(text)
            return
        if not bar.live.is_started:
            stack.enter_context(bar)
        bar.console.print(text, highlight=False, markup=False)
        done = len(finished) / trials if trials else taken / (taken + left)
        bar.update(task, completed=done, description=text.partition("  ")[0])

    return on_trial


def line(trial: TrialRecord, finished: tuple[TrialRecord, ...], trials: int | None, left: float) -> str:
    """Return the line to print after a trial.

    >>> from chainrule.tables.tuning import TrialRecord
    >>> best = TrialRecord(1, "complete", 0.4321, (0.4321,), (3,), 2.0, {})
    >>> pruned = TrialRecord(2, "pruned", 0.5123, (0.5123,), (), 1.23, {})
    >>> line(pruned, (best, pruned), 20, 65.0)
    'trial 2/20  0.5123  pruned    best 0.4321  1.2 s  1:05 left'
    """
    from chainrule.cli.progress import clock  # noqa: PLC0415  (start-up time)

    of = "" if trials is None else f"/{trials}"
    value = "-" if trial.value is None else f"{trial.value:#.4g}"
    values = [other.value for other in finished if other.state == "complete" and other.value is not None]
    best = f"{min(values):#.4g}" if values else "-"
    how_long = f"{trial.seconds:.1f} s  {clock(left)} left"
    return f"trial {len(finished)}{of}  {value:>6}  {trial.state:<8}  best {best}  {how_long}"
