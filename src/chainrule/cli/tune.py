"""``chainrule tune``: search for the best network for a table; the search can be stopped and resumed."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from chainrule._internal.extras import check_installed
from chainrule._internal.names import reworded
from chainrule.cli import json_output
from chainrule.cli.errors import INTERRUPTED, in_one_sentence, warnings_at_the_end
from chainrule.cli.options import NOT_TUNED, MaxUnpacked, TuneOptions, check_bounds, of_network, of_table, takes_options
from chainrule.cli.output import say, tell
from chainrule.tables.sources.names import shown, stem


@in_one_sentence
@takes_options
def tune(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A table, as for train.")],
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
    options: TuneOptions = TuneOptions(),  # noqa: B008  (frozen)
) -> None:
    """Search for a single network for a table that is better than the default one, and fit the best one.

    The ensemble that `train` fits by default needs no search, and is often better than a single network.

    The search covers size, activation, dropout, penalty, learning rate, schedule and batch size.

    Options for a network, such as --layers or --class-weight, are fixed and not searched.

    Trials are compared by cross-validation on the training rows, by the log loss (the RMSE for a number) or --metric.

    The first one uses the defaults of a single network.

    Everything is saved in a folder. Ctrl-C stops the search; rerun the same command to resume.
    """
    for name, why in NOT_TUNED.items():
        options.refuse((name,), why)
    own = ("trials", "minutes", "folds", "n_jobs", "metric", "threshold", "storage", "dask")  # tuning.tune checks these
    given = {name: value for name, value in options.given().items() if name not in own}
    check_bounds("tune", given)
    if options.target is None:
        raise ValueError(f"--target is required: name the column of {shown(file)} to predict.")
    check_installed("optuna", extra="tune")  # before the search, not after it
    check_installed("polars", "skrub", extra="tables")
    from chainrule.cli.progress import search  # noqa: PLC0415  (start-up time)
    from chainrule.cli.tables import WORDS, found  # noqa: PLC0415  (an extra)
    from chainrule.metrics import direction  # noqa: PLC0415  (start-up time)
    from chainrule.tables import save, tuning  # noqa: PLC0415  (an extra)
    from chainrule.tables.tuning.page import sentence  # noqa: PLC0415  (an extra)

    folder = options.out if options.out is not None else Path("runs", f"{stem(file)}-tune")
    start = time.monotonic()
    larger = direction((options.metric or ("f1" if options.threshold == "auto" else "loss")).replace("-", "_")) == "max"
    try:
        with warnings_at_the_end(), reworded(WORDS), ExitStack() as stack:
            tuned = tuning.tune(
                file, options.target, trials=options.trials, minutes=options.minutes, folds=options.folds,
                jobs=options.n_jobs, out=folder, storage=options.storage, dask=options.dask,
                on_message=None if options.quiet else tell,
                on_trial=None if options.quiet else search(stack, options.trials, options.minutes, larger=larger),
                metric=options.metric, threshold=options.threshold, parameters=of_network(given), **of_table(given),
            )  # fmt: skip
    except KeyboardInterrupt:
        place = shown(options.storage or str(folder))
        say(f"\nStopped. Finished trials are saved in {place}; rerun the same command to resume.")
        raise typer.Exit(INTERRUPTED) from None
    tuned.trained.command = shlex.join(["chainrule", *map(shown, sys.argv[1:])])
    save(tuned.trained, folder, overwrite=True)
    tuning.save(tuned, folder)
    json_output.record(
        **found(tuned.trained), folder=folder, best=tuned.best, measure=tuned.measure,
        larger_is_better=tuned.larger, threshold=tuned.trained.settings["parameters"].get("threshold"),
        value=tuned.value, default_value=tuned.default_value, report=folder / "report.html",
        trials=[{"number": t.number, "state": t.state, "value": t.value, "seconds": t.seconds, "point": t.point}
                for t in tuned.trials],
    )  # fmt: skip
    for message in tuned.trained.warnings:
        say(f"Warning: {message}")
    if not options.quiet:
        tell(f"\n{tuning.summary(tuned)}\n")
    tell(f"best     {sentence(tuned)}")
    tell(f"verdict  {tuned.trained.verdict}")
    if not options.quiet:
        tell(f"time     {time.monotonic() - start:.1f} s")
    tell(f"results  {folder}")
