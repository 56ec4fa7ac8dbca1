"""``chainrule train FILE --target COLUMN``: the run, from its plan to the files in its folder."""

from __future__ import annotations

import itertools
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chainrule import tables
from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.machine import free_memory
from chainrule._internal.names import reworded
from chainrule.cli import json_output, resuming
from chainrule.cli.options import PARAMETERS, TrainOptions, check_bounds, of_network, of_table, spelled
from chainrule.cli.output import printable, say, tell
from chainrule.cli.resuming import TABLE, Plan
from chainrule.pages.formatting import fixed, short
from chainrule.pages.formatting import rows as counted
from chainrule.pages.text import columns
from chainrule.tables import Column, Schema, Split, Trained
from chainrule.tables.loading import TEST
from chainrule.tables.report.scoring import apart
from chainrule.tables.report.uncertainty import intervals
from chainrule.tables.score_names import plain
from chainrule.tables.sources.names import is_several, shown
from chainrule.tables.sources.several import files
from chainrule.tables.streaming.opening import memory, needs_streaming
from chainrule.tables.streaming.progress import Printer
from chainrule.tables.streaming.scratch import amount
from chainrule.training.callbacks import Callback, Progress
from chainrule.training.ranks import Reduce

PART = 0.3  # of the free memory, which a table may take before it is streamed
SHOWN = 40  # columns that are printed
LINE = 100  # characters per line of a printed sentence
WIDTH = 36  # characters of the printed values of a column
ONE = "a single network: an option was given that an ensemble does not have. Without it, an ensemble is trained."
REFUSED = r"The '{}' parameter of \w+ must be (.+)\. Got (.+) instead\."
WORDS = {
    r", an instance of 'list' or an instance of 'tuple'|an instance of 'dict', ": "",
    r" or an instance of '[^']*'| or None|a str among \{'auto'\} or ": "",
    r"a str among \{('\w+')\}": r"\1",
    r"a str among \{([^}]*)\}": r"one of \1",
    **{REFUSED.format(parameter): rf"{spelled(name)}: must be \1, got \2." for name, parameter in PARAMETERS.items()},
    r"^unknown activation": "--activation: unknown activation",
    r"^metric: |^(?=unknown metric)": "--metric: ",
    r"^(threshold|minutes|folds): ": r"--\1: ",
    r"\b(fast|stream|patience|validation) asks": r"--\1 asks",
    **{rf"\b{parameter}(?= asks|: applies)": spelled(name) for name, parameter in PARAMETERS.items()},
    "hidden_layer_sizes asks": "--layers asks",
    "omit stream=True": "omit --stream",
    r"gradient_clip=": "--clip-norm ",
    r"learning_rate_init": "--learning-rate",
    "^reduce: an ensemble is trained in one process: give fast=True or stream=True": "an ensemble is trained in one "
    "process: add --fast or --stream",
}
"""Messages of the estimators, reworded: the options in place of their parameters."""


def begin(source: str, options: TrainOptions) -> Plan:
    """Return the plan of a training run on a table."""
    if options.target is None:
        raise ValueError(f"--target is required: name the column of {shown(source)} to predict.")
    return Plan(TABLE, source, {"test": str(TEST), "seed": 0, **options.given()})


def _arguments(plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters of the estimator, and the other arguments of :func:`chainrule.tables.train`."""
    check_bounds("train", plan.options)
    given = {name: value for name, value in plan.options.items() if value not in (None, [])}
    kind = {name: given[name] for name in ("fast", "folds", "metric", "threshold", "minutes") if given.get(name)}
    return of_network(given), of_table({"test": str(TEST), **given}) | kind


def run(plan: Plan, folder: Path, options: TrainOptions, reduce: Reduce | None = None) -> None:
    """Train by the plan, or resume the run in the folder, and save and print the results; of several ranks, rank 0."""
    rank = 0 if reduce is None else reduce.rank
    quiet = options.quiet or rank > 0
    why = "" if options.stream else _too_large(plan.source)
    if why and not quiet:
        tell(why)
    with reworded(WORDS):
        trained = _trained(plan, folder, streamed=bool(options.stream or why), quiet=quiet, reduce=reduce)
    if rank:
        return
    interrupted = trained.history.stopped.startswith("interrupted")
    with deferred_interrupt():  # a Ctrl-C that comes too late to end training must not lose the result
        trained.command = plan.command
        saved = tables.save(trained, folder, overwrite=True)
        if not interrupted:
            resuming.remove(folder)
    around = intervals(trained.schema, trained.held_out, trained.scores)
    scores = beside("held-out rows", "network", trained.scores, around, trained.baselines)
    json_output.record(**found(trained), folder=folder, interrupted=interrupted, report=folder / "report.html")
    tell(trained.verdict if quiet else f"\n{scores}\n\n{textwrap.fill(trained.verdict, LINE)}")
    if not quiet:
        tell(f"time     {trained.seconds:.1f} s, {counted(len(trained.history), 'epoch')}")
        for note in saved:
            tell(f"file     {note}")
    tell(f"results  {folder}")
    if interrupted and resuming.place(folder).is_dir():
        say(f"To resume: {shlex.join(['chainrule', 'train', shown(plan.source), '--resume', str(folder)])}")
    if not quiet:
        tell(f"report   {folder / 'report.html'}")
        tell(f"next     chainrule predict {shlex.quote(str(folder))} NEW_ROWS --out predictions.csv")


def found(trained: Trained) -> dict[str, Any]:
    """Return the result of a training run, for programs."""
    schema, split = trained.schema, trained.split
    columns = [
        {"name": c.name, "kind": c.kind, "used": c.used, "dropped": c.dropped or None, "missing": c.missing,
         "distinct": c.distinct}
        for c in schema.columns
    ]  # fmt: skip
    return {
        "kind": "table", "source": trained.source, "target": [c.name for c in schema.targets], "task": schema.task,
        "classes": schema.classes, "columns": columns, "epochs": len(trained.history), "seconds": trained.seconds,
        "rows": {"train": split.train, "validation": split.validation, "test": split.test},
        "scores": json_output.scored(trained.scores), "intervals": json_output.scored(trained.intervals),
        "baselines": [{"model": n, "scores": json_output.scored(of)} for n, of in trained.baselines.items()],
        "verdict": trained.verdict, "notes": trained.notes, "warnings": trained.warnings,
    }  # fmt: skip


def script(plan: Plan, options: TrainOptions) -> str:
    """Return a Python script that does the same as the plan."""
    if options.stream or _too_large(plan.source):
        raise ValueError("--print-python is not available for streamed tables. Use a smaller table.")
    parameters, table = _arguments(plan)
    target = plan.options["target"]
    return tables.script(plan.source, target, parameters=parameters, command=plan.command, **table)


def _trained(plan: Plan, folder: Path, *, streamed: bool, quiet: bool, reduce: Reduce | None) -> Trained:
    parameters, table = _arguments(plan)
    kept = plan.source != "-"  # standard input cannot be read again
    leads = reduce is None or reduce.rank == 0
    single = tables.Options(parameters=parameters, stream=streamed, **table).single
    said: set[str] = set()
    callbacks: list[Callback] = [resuming.checkpoint(folder, timed=reduce is None)] if single and kept else []
    callbacks += [Progress(every=1 if streamed else 5)] if single and not quiet else []

    def started(schema: Schema, split: Split, notes: Sequence[str]) -> None:
        if kept and leads:
            resuming.keep(folder, plan)
        if not quiet:
            said.update(notes)
            implied = single and not (streamed or table.get("fast"))
            tell(f"{decided(schema, split, [*notes, *([ONE] if implied else [])], single=single)}\n")

    with resuming.training(folder):
        trained = tables.train(
            plan.source, plan.options["target"], parameters=parameters, stream=streamed,
            callbacks=callbacks, resume=resuming.place(folder) if kept else None, started=started,
            show=None if quiet else Printer(sys.stdout), reduce=reduce, **table,
        )  # fmt: skip
    for note in [] if quiet else trained.notes:
        if note not in said:  # before training
            tell(f"note     {note}")
    for message in trained.warnings if leads else ():
        say(f"Warning: {message}")
    return trained


def _too_large(source: str) -> str:
    """Return the reason if a table has to be streamed, or an empty string; several files cannot be."""
    several = is_several(source)
    free = free_memory() if several or (source != "-" and Path(source).is_file()) else 0
    most = int(PART * free)
    if several and free and (taken := sum(memory(file) for file in files(source))) > most:
        raise ValueError(
            f"{source} would take about {amount(taken)} of memory, with {amount(most)} available, and several files "
            "cannot be streamed: join them into one Parquet file, which can."
        )
    return needs_streaming(source, most) if free else ""


def decided(schema: Schema, split: Split, notes: Sequence[str], *, single: bool = True) -> str:
    """Return the column types and the split as a table for the terminal."""
    rows = [("column", "kind", "missing", "values", "")]
    for column in (*schema.targets, *schema.columns[:SHOWN]):
        what = f"dropped: {column.dropped}" if column.dropped else content(column)
        what = f"target: {what}" if column in schema.targets else what
        rows.append((_short(column.name, 30), column.kind, f"{column.missing:,}", f"{column.distinct:,}", what))
    lines = [columns(rows, align="llrr")]
    if len(schema.columns) > SHOWN:
        lines.append(f"... {len(schema.columns) - SHOWN:,} more columns")
    validation = f"{split.validation:,} validation" if single else "each fifth of them in turn for validation"
    parts = f"{split.train:,} training, {validation}, {split.test:,} test ({split.how})"
    return "\n".join([*lines, "", f"rows     {parts}", *(f"note     {note}" for note in notes)])


def content(column: Column) -> str:
    """Return the range of a column, or its first values.

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


def beside(
    rows: str,
    whose: str,
    scores: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    others: Mapping[str, Mapping[str, float]],
) -> str:
    """Return scores with their 95% confidence intervals, beside the scores of other models, as a table."""
    lines = [[rows, whose, "95% interval", *others]]
    for name, value in scores.items():
        low, high = intervals[name]
        unit = plain(name) in ("RMSE", "MAE")
        ends = [short(end) if unit else fixed(end, 3) for end in (low, high)]
        values = (value, *(other.get(name) for other in others.values()))
        texts = ["" if v is None else short(v) if unit else fixed(v, 4) for v in values]
        lines.append([name, texts[0], apart(low, high, ends), *texts[1:]])
    return columns(lines, align="l" + "r" * (len(lines[0]) - 1))


def _short(text: str, most: int) -> str:
    """Return text from the file on one line, shortened and without characters that a terminal would obey."""
    text = " ".join(printable(text[: most + 1]).split())
    return text if len(text) <= most else text[: most - 1] + "…"
