"""``chainrule tune``: a search for the best network for a table, which can be stopped and goes on."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule._internal.checks import check_count
from chainrule.cli.errors import in_one_sentence, warnings_at_the_end
from chainrule.cli.limits import MaxUnpacked
from chainrule.cli.output import say, tell

if TYPE_CHECKING:
    from chainrule.tables.tuning import Step
else:
    Step = Any

SEARCH, DATA, RUN = "The search", "The table", "The run"
STOPPED = 130  # the status of what Ctrl-C has ended


@in_one_sentence
def tune(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The table: CSV, Parquet, Arrow, JSON lines, npz.")],
    target: Annotated[str, typer.Option(help="The column to predict.", rich_help_panel=DATA)],
    trials: Annotated[
        int | None,
        typer.Option(help="How many trials, those of a study that goes on among them.", rich_help_panel=SEARCH),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="How long, with the fit of the best at the end.", rich_help_panel=SEARCH)
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Of the cross-validation; by default 5 up to 2,000 rows, else 3.", rich_help_panel=SEARCH),
    ] = None,
    n_jobs: Annotated[int, typer.Option(help="Trials at a time, which share the cores.", rich_help_panel=SEARCH)] = 1,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, regression or multilabel.", rich_help_panel=DATA)
    ] = None,
    categorical: Annotated[
        list[str] | None, typer.Option("--categorical", help="A column of categories.", rich_help_panel=DATA)
    ] = None,
    numeric: Annotated[
        list[str] | None, typer.Option("--numeric", help="A column of numbers.", rich_help_panel=DATA)
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="A column that is left out.", rich_help_panel=DATA)
    ] = None,
    dates: Annotated[list[str] | None, typer.Option("--date", help="A column of dates.", rich_help_panel=DATA)] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="PART|FILE", help="The rows for the test; 0.2 by default.", rich_help_panel=DATA),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(help="The part of the other rows that ends the last fit; 0.125.", rich_help_panel=DATA),
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(help="Split by this time: the last rows are held out.", rich_help_panel=DATA)
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Never split rows with the same value here.", rich_help_panel=DATA)
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option(metavar="MARK", help="Decimal mark, '.' or ','; detected by default.", rich_help_panel=DATA),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split, the search and the training.", rich_help_panel=RUN)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For study and results; runs/FILE-tune by default.", rich_help_panel=RUN),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print only the outcome and the folder.", rich_help_panel=RUN)
    ] = False,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
) -> None:
    """Search for a better network than that of `chainrule train FILE`, fit the best, and keep everything in a folder.

    Sizes, activation, dropout, penalty, learning rate and its schedule, batches: measured by cross-validation of the
    rows to train on. The first trial is the default of `train`. Ctrl-C stops; the same command goes on.
    """
    from chainrule._internal.extras import require  # noqa: PLC0415  (not needed for --help)
    from chainrule.cli.tables import part_or_file  # noqa: PLC0415
    from chainrule.tables import save, tuning  # noqa: PLC0415
    from chainrule.tables.tuning import saving  # noqa: PLC0415

    check_count("tune", "--seed", seed, least=0)
    for package, extra in (("optuna", "tune"), ("polars", "tables"), ("skops", "tables")):
        require(package, extra)  # refused before the search, not after it
    folder = out if out is not None else Path("runs", f"{_stem(file)}-tune")
    start = time.monotonic()
    asked = {
        "task": task, "categorical": categorical, "numeric": numeric, "drop": drop, "dates": dates,
        "test": None if test is None else part_or_file(test), "validation": validation,
        "time_column": time_column, "group": group, "decimal": decimal,
    }  # fmt: skip
    options = {name: value for name, value in asked.items() if value not in (None, [], "")}
    try:
        with warnings_at_the_end(), ExitStack() as stack:
            lines = None if quiet else _progress(stack, trials, minutes)
            tuned = tuning.tune(
                file, target, trials=trials, minutes=minutes, folds=folds, jobs=n_jobs, seed=seed, out=folder,
                heard=lines, said=None if quiet else tell, **options,
            )  # fmt: skip
    except KeyboardInterrupt:
        say(f"\nStopped: what is finished is kept in {folder}, and the same command goes on.")
        raise typer.Exit(STOPPED) from None
    tuned.trained.command = shlex.join(["chainrule", *sys.argv[1:]])
    save(tuned.trained, folder, overwrite=True)
    saving.save(tuned, folder)
    for message in tuned.trained.warnings:
        say(f"Warning: {message}")
    if not quiet:
        tell(f"\n{tuned.table()}\n")
    tell(f"best     {tuned.sentence()}")
    tell(f"verdict  {tuned.trained.verdict}")
    if not quiet:
        tell(f"time     {time.monotonic() - start:.1f} s")
    tell(f"results  {folder}")


def _stem(file: str) -> str:
    name = Path(file).name
    return (name.split(".")[0] or name.strip(".") or "table") if file != "-" else "table"


def _progress(stack: ExitStack, trials: int | None, minutes: float | None) -> Any:
    """Return what draws a live bar on a terminal, and prints one plain line a trial elsewhere."""
    from rich.console import Console  # noqa: PLC0415

    console = Console()
    if not sys.stdout.isatty() or console.is_dumb_terminal:
        return lambda step: tell(line(step))
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("trial {task.fields[trial]}"), BarColumn(bar_width=None), TextColumn("best {task.fields[best]}"),
        TextColumn("{task.fields[left]} left"), console=console, expand=True,
    )  # fmt: skip
    start = time.monotonic()
    total = float(trials) if trials is not None else 60 * float(minutes or 0)
    task = bar.add_task("", total=total, trial="1", best="-", left="?")

    def heard(step: Step) -> None:
        from chainrule.cli.progress import clock  # noqa: PLC0415

        if not bar.live.is_started:
            stack.enter_context(bar)
        bar.console.print(line(step), highlight=False, markup=False)
        done = float(step.number) if trials is not None else time.monotonic() - start
        best = "-" if step.best is None else f"{step.best:#.4g}"
        bar.update(task, completed=done, trial=str(step.number), best=best, left=clock(step.left))

    return heard


def line(step: Step) -> str:
    """Return what there is to say after a trial.

    >>> from chainrule.tables.tuning import Step
    >>> line(Step(3, 20, "pruned", 0.5123, 0.4321, 1.23, 65.0, {}))
    'trial 3/20  0.5123  pruned    best 0.4321  1.2 s  1:05 left'
    """
    from chainrule.cli.progress import clock  # noqa: PLC0415

    of = "" if step.trials is None else f"/{step.trials}"
    value = "     -" if step.value is None else f"{step.value:#.4g}"
    best = "-" if step.best is None else f"{step.best:#.4g}"
    how_long = f"{step.seconds:.1f} s  {clock(step.left)} left"
    return f"trial {step.number}{of}  {value:>6}  {step.state:<8}  best {best}  {how_long}"
