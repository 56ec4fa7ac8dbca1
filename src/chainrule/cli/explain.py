"""``chainrule explain``: one row through a trained network, forward and backward, with every number."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule import optimizers
from chainrule._internal.names import lookup, public_classes
from chainrule.cli import json_output
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.kinds import commands_of
from chainrule.cli.options import (
    TABLE,
    Data,
    Folder,
    MaxUnpacked,
    Overwrite,
    ReadOptions,
    check_bounds,
    option,
    takes_options,
)
from chainrule.cli.output import printable, tell, write_data
from chainrule.cli.predict import check_out
from chainrule.optimizers import Optimizer
from chainrule.tables.sources.names import shown


@in_one_sentence
@takes_options
def explain(
    folder: Folder,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="For a run on a table: the file with the row.")
    ] = None,
    row: Annotated[
        int | None,
        option(
            None,
            "Held-out row to explain, counted from 0; for a run on a table, row of FILE, counted from 1. Default: the "
            "worst prediction.",
        ),
    ] = None,
    optimizer: Annotated[str, option(None, "Optimizer of the final step, such as sgd, momentum or adam.")] = "sgd",
    learning_rate: Annotated[
        float | None,
        option(None, "Learning rate; the default depends on the optimizer, 0.1 for sgd."),
    ] = None,
    steps: Annotated[
        int, option(None, "Number of optimizer steps: several show the velocity of momentum, for example.")
    ] = 1,
    training: Annotated[
        bool,
        option(None, "Show the passes as in training: with dropout and batch statistics.", "--training"),
    ] = False,
    out: Annotated[Path | None, option(None, "Output file: .html, .md (with LaTeX) or .txt.", metavar="FILE")] = None,
    overwrite: Overwrite = False,
    data: Data = None,
    background: Annotated[
        str | None,
        option(TABLE, "Table of rows to compare the row with; by default the other rows of FILE.", metavar="FILE"),
    ] = None,
    label: Annotated[
        str | None,
        option(
            TABLE,
            "Class to explain: by default the positive one of two, or the predicted one; or label, of several.",
            "--class",
            metavar="NAME",
        ),
    ] = None,
    wanted: Annotated[
        str | None,
        option(TABLE, 'Prediction to look for: a class, or a number: 100, "above 100" or "below 100".'),
    ] = None,
    fixed: Annotated[
        list[str] | None, option(TABLE, "Columns that nobody can change, such as age,country.", metavar="NAMES")
    ] = None,
    seed: Annotated[
        int | None, option(TABLE, "Random seed for drawing up to 100 rows to compare with. Default: 0.")
    ] = None,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
    options: ReadOptions = ReadOptions(),  # noqa: B008  (frozen)
) -> None:
    """Explain one prediction: the equations of each layer, forward and backward, with the numbers of one row.

    For a run on a table, this starts with the contribution of each column to the prediction (Shapley values).

    It then shows the smallest changes to the row that would change the prediction, and the inputs of the network.

    One entry of each gradient is checked against a central difference of the loss.
    """
    from chainrule.tracing.example import check_ending  # noqa: PLC0415  (start-up time)

    check_bounds("explain", {"learning_rate": learning_rate, "steps": steps, "seed": seed})
    rule = lookup("optimizer", optimizer, public_classes(optimizers, Optimizer))
    chosen = rule() if learning_rate is None else rule(learning_rate=learning_rate)
    how = {"optimizer": chosen, "steps": steps, "training": training}
    if out is not None:
        check_ending(out)
    check_out(out, overwrite=overwrite)
    asked = {"background": background, "label": label, "wanted": wanted, "fixed": fixed or None, "seed": seed}
    given = {name: value for name, value in asked.items() if value is not None} | options.reading()
    trace = commands_of(folder).traced(folder, file, row, how, data, **given)
    json_output.record(
        folder=folder, source=None if file is None else shown(file), out=out,
        outcome=trace.outcome(0), prediction=trace.prediction[0],
        classes=trace.classes, loss=trace.value, loss_after=trace.value_after, losses=trace.values,
        labeled=trace.labeled,
        steps=[{"number": step.number, "phase": step.phase, "worked": step.worked} for step in trace.steps],
        gradients_agree=all(check.ok for check in trace.checks),
    )  # fmt: skip
    if out is None:
        _print(trace)
    else:
        trace.save(out, overwrite=overwrite)
        tell(f"{trace.outcome(0) or repr(trace)}; worked example written to {out}")


def _print(trace: Any) -> None:
    """Print the text as wide as the terminal, in color on a terminal."""
    width = max(40, min(shutil.get_terminal_size((80, 0)).columns, 120))
    if not sys.stdout.isatty():
        write_data(printable(trace.text(width)))
        return
    from rich.console import Console  # noqa: PLC0415  (start-up time)

    Console(width=width).print(trace.page().styled(width), highlight=False, no_wrap=True, overflow="ignore", crop=False)
