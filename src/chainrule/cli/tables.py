"""``chainrule train FILE --target COLUMN``: the run, from its plan to the files in its folder."""

from __future__ import annotations

import itertools
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.machine import free_memory
from chainrule._internal.names import reworded
from chainrule.cli import bounds, resuming
from chainrule.cli.errors import warnings_at_the_end
from chainrule.cli.output import printable, say, tell
from chainrule.cli.resuming import TABLE, Plan
from chainrule.cli.train_options import PARAMETERS, TrainOptions, hidden_sizes, names, part_or_file, spelled
from chainrule.pages.formatting import fixed, short
from chainrule.pages.text import columns
from chainrule.tables import Column, Schema, Split, Trained, python_script, save
from chainrule.tables.loading import TEST
from chainrule.tables.report.scoring import apart
from chainrule.tables.report.uncertainty import intervals
from chainrule.tables.streaming.progress import Printer
from chainrule.training.callbacks import Progress

PART = 0.3  # of the memory that is free, which a table may take before it is streamed
SHOWN = 40  # columns that are printed
LINE = 100  # characters of a sentence that is printed
WIDTH = 36  # of what is printed of their values
REFUSED = r"The '{}' parameter of MLP\w+ must be (.+)\. Got (.+) instead\."
WORDS = {
    r", an instance of 'list' or an instance of 'tuple'|an instance of 'dict', ": "",
    r" or an instance of '[^']*'| or None|a str among \{'auto'\} or ": "",
    r"a str among \{('\w+')\}": r"\1",
    r"a str among \{([^}]*)\}": r"one of \1",
    **{REFUSED.format(parameter): rf"{spelled(name)}: must be \1, got \2." for name, parameter in PARAMETERS.items()},
    r"^unknown activation": "--activation: unknown activation",
    r"gradient_clip=": "--clip-norm ",
    r"learning_rate_init": "--learning-rate",
}
"""What messages of the estimators call their parameters, and what the options are called."""

__all__ = ["begin", "beside", "names", "part_or_file", "run", "scores", "script"]


def begin(source: str, options: TrainOptions) -> Plan:
    """Return the plan of a training on a table."""
    if options.target is None:
        raise ValueError(f"--target: name the column of {source} that is to be predicted.")
    return Plan(TABLE, source, {"test": str(TEST), "seed": 0, **options.given()})


def _arguments(plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the estimator's parameters and what else :func:`chainrule.tables.train` is given."""
    bounds.check("train", plan.options)
    given = {name: value for name, value in plan.options.items() if value not in (None, [])}
    parameters = {
        PARAMETERS[name]: value
        for name, value in given.items()
        if name in PARAMETERS and (value or name not in bounds.UNBOUNDED)
    }
    if "layers" in given:
        parameters["hidden_layer_sizes"] = hidden_sizes(given["layers"])
    known = {*PARAMETERS, "layers", "target"}
    table = {"dates" if name == "date" else name: value for name, value in given.items() if name not in known}
    return parameters, {**table, "test": part_or_file(given.get("test", str(TEST)))}


def run(plan: Plan, folder: Path, options: TrainOptions) -> None:
    """Train by the plan, or resume what it left in the folder, and save and print the results."""
    quiet = options.quiet
    why = "" if options.stream else _too_large(plan.source)
    if why and not quiet:
        tell(why)
    parameters, table = _arguments(plan)
    with reworded(WORDS):
        trained = _trained(plan, parameters, table, folder, streamed=bool(options.stream or why), quiet=quiet)
    interrupted = trained.history.stopped.startswith("interrupted")
    with deferred_interrupt():  # a Ctrl-C that comes too late to end training must not lose what was learned
        trained.command = plan.command
        saved = save(trained, folder, overwrite=True)
        if not interrupted:
            resuming.remove(folder)
    around = intervals(trained.schema, trained.held_out, trained.scores)
    tell(trained.verdict if quiet else f"\n{scores(trained, around)}\n\n{textwrap.fill(trained.verdict, LINE)}")
    if not quiet:
        tell(f"time     {trained.seconds:.1f} s, {len(trained.history)} epochs")
        for note in saved:
            tell(f"file     {note}")
    tell(f"results  {folder}")
    if interrupted and resuming.place(folder).is_dir():
        words = ["chainrule", "train", plan.source, "--resume", str(folder)]
        say(f"To resume it: {shlex.join(words)}")
    if not quiet:
        tell(f"report   {folder / 'report.html'}")
        tell(f"next     chainrule predict {shlex.quote(str(folder))} NEW_ROWS --out predictions.csv")


def script(plan: Plan, options: TrainOptions) -> str:
    """Return the script that does the same as the plan."""
    if options.stream or _too_large(plan.source):
        raise ValueError("--print-python: there is no script of a table that is streamed: give a smaller one.")
    parameters, table = _arguments(plan)
    target = plan.options["target"]
    return python_script.script(plan.source, target, parameters=parameters, command=plan.command, **table)


def _trained(
    plan: Plan, parameters: dict[str, Any], table: dict[str, Any], folder: Path, *, streamed: bool, quiet: bool
) -> Trained:
    from chainrule import tables  # noqa: PLC0415
    from chainrule.training.loop import DivergenceError  # noqa: PLC0415

    kept = plan.source != "-"  # what came from standard input does not come again

    def started(schema: Schema, split: Split, notes: Sequence[str]) -> None:
        if kept:
            resuming.keep(folder, plan)
        if not quiet:
            tell(f"{decided(schema, split, notes)}\n")

    with warnings_at_the_end():
        try:
            trained = tables.train(
                plan.source,
                plan.options["target"],
                parameters=parameters,
                callbacks=[
                    *([resuming.checkpoint(folder)] if kept else []),
                    *([] if quiet else [Progress(every=1 if streamed else 5)]),
                ],
                resume=resuming.place(folder) if kept else None,
                started=started,
                stream=streamed,
                show=None if quiet else Printer(sys.stdout),
                **table,
            )
        except DivergenceError:
            resuming.remove(folder)  # it would diverge again
            raise
    for message in trained.warnings:
        say(f"Warning: {message}")
    return trained


def _too_large(source: str) -> str:
    """Return why a table has to be streamed, or nothing."""
    if source == "-" or not Path(source).is_file():
        return ""
    from chainrule.tables.streaming.opening import needs_streaming  # noqa: PLC0415

    free = free_memory()
    return needs_streaming(source, int(PART * free)) if free else ""


def decided(schema: Schema, split: Split, notes: Sequence[str]) -> str:
    """Return what was found out and decided, as a table for the terminal."""
    rows = [("column", "kind", "missing", "values", "")]
    for column in (*schema.targets, *schema.columns[:SHOWN]):
        what = f"left out: {column.dropped}" if column.dropped else content(column)
        what = f"target: {what}" if column in schema.targets else what
        rows.append((_short(column.name, 30), column.kind, f"{column.missing:,}", f"{column.distinct:,}", what))
    lines = [columns(rows, align="llrr")]
    if len(schema.columns) > SHOWN:
        lines.append(f"... and {len(schema.columns) - SHOWN:,} more columns")
    parts = f"{split.train:,} to train, {split.validation:,} to validate, {split.test:,} to test ({split.how})"
    return "\n".join([*lines, "", f"rows     {parts}", *(f"note     {note}" for note in notes)])


def content(column: Column) -> str:
    """Return what is in a column: from where to where, or the first of its values.

    >>> from chainrule.tables import Column
    >>> content(Column("age", "number", low=0.5, high=80.0)), content(Column("sex", "yes/no", categories=("f", "m")))
    ('0.5 to 80', 'f = 0, m = 1')
    """
    if column.kind == "yes/no" and column.categories:
        return ", ".join(f"{_short(value, 14)} = {i}" for i, value in enumerate(column.categories))
    if column.categories:
        widths = itertools.accumulate(len(value) + 2 for value in column.categories)
        fit = max(1, sum(width <= WIDTH for width in widths))
        more = ["..."] if fit < len(column.categories) else []
        return ", ".join([*(_short(value, WIDTH) for value in column.categories[:fit]), *more])
    if column.low is None:
        return ""
    ends = (column.low, column.high)
    return " to ".join(end.removesuffix("T00:00:00") if isinstance(end, str) else f"{end:.6g}" for end in ends)


def scores(trained: Trained, around: Mapping[str, tuple[float, float]]) -> str:
    """Return the scores of the network with their 95 % intervals, beside those of models without one."""
    return beside("held-out rows", "network", trained.scores, around, trained.baselines)


def beside(
    rows: str,
    whose: str,
    scores: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    others: Mapping[str, Mapping[str, float]],
) -> str:
    """Return scores with their 95 % intervals, and what others have for them, as a table."""
    lines = [[rows, whose, "95 % interval", *others]]
    for name, value in scores.items():
        low, high = intervals[name]
        unit = name in ("RMSE", "MAE")
        ends = [short(end) if unit else fixed(end, 3) for end in (low, high)]
        values = (value, *(other.get(name) for other in others.values()))
        texts = ["" if v is None else short(v) if unit else fixed(v, 4) for v in values]
        lines.append([name, texts[0], apart(low, high, ends), *texts[1:]])
    return columns(lines, align="l" + "r" * (len(lines[0]) - 1))


def _short(text: str, most: int) -> str:
    """Return a text of the file in one line, without what a terminal would obey."""
    text = " ".join(printable(text[: most + 1]).split())
    return text if len(text) <= most else text[: most - 1] + "…"
