"""``chainrule train FILE --target COLUMN`` and ``chainrule predict FOLDER FILE``: tables instead of data sets."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.names import reworded
from chainrule.cli import bounds, resuming
from chainrule.cli.errors import warnings_at_the_end
from chainrule.cli.option_names import option_names
from chainrule.cli.output import printable, say, tell, write_data
from chainrule.cli.resuming import TABLE, Plan
from chainrule.cli.train_options import PARAMETERS, TrainOptions, hidden_sizes, names, part_or_file
from chainrule.training.callbacks import Progress

if TYPE_CHECKING:
    from chainrule.tables import Column, Saved, Schema, Split, Trained
else:
    Column = Saved = Schema = Split = Trained = Any

SCHEMA = "schema.json"
PART = 0.3  # of the memory that is free, which a table may take before it is streamed
SHOWN = 40  # columns that are printed
LINE = 100  # characters of a sentence that is printed
WIDTH = 36  # of what is printed of their values

__all__ = ["begin", "beside", "is_table", "names", "part_or_file", "predict", "run", "scores", "script"]


def is_table(source: str | None) -> bool:
    """Return whether the first argument of ``train`` is a table rather than a data set."""
    from chainrule.tables.reading import is_table as named_like_one  # noqa: PLC0415

    return source is not None and (named_like_one(source) or Path(source).is_file())


def begin(source: str, options: TrainOptions) -> Plan:
    """Return the plan of a training on a table; refuse what would fail after training."""
    if options.target is None:
        raise ValueError(f"--target: name the column of {source} that is to be predicted.")
    for package in ("polars", "skops", "skrub"):
        if find_spec(package) is None:
            raise ImportError(f'this needs the package {package!r}. Type: pip install "chainrule[tables]"')
    from chainrule.tables.loading import TEST  # noqa: PLC0415  (an extra)

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
    return parameters, {**table, "test": part_or_file(given["test"])}


def run(plan: Plan, folder: Path, options: TrainOptions) -> None:
    """Train by the plan, or resume what it left in the folder, and save and print the results."""
    quiet = options.quiet
    why = "" if options.resume is not None or options.stream else _too_large(plan.source)
    if why and not quiet:
        tell(why)
    parameters, table = _arguments(plan)
    with reworded(option_names(PARAMETERS)):
        if options.stream or why:
            trained = _stream(plan, parameters, table, quiet=quiet)
        else:
            trained = _in_memory(plan, parameters, table, folder, quiet=quiet)
    interrupted = trained.history.stopped.startswith("interrupted")
    with deferred_interrupt():  # a Ctrl-C that comes too late to end training must not lose what was learned
        trained.command = plan.command
        saved = trained.save(folder, overwrite=True)
        if not interrupted:
            resuming.remove(folder)
    tell(trained.verdict if quiet else f"\n{scores(trained)}\n\n{textwrap.fill(trained.verdict, LINE)}")
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
    from chainrule.tables import script as written  # noqa: PLC0415  (an extra)

    if options.stream or _too_large(plan.source):
        raise ValueError("--print-python: there is no script of a table that is streamed: give a smaller one.")
    parameters, table = _arguments(plan)
    return written(plan.source, plan.options["target"], parameters=parameters, command=plan.command, **table)


def _in_memory(plan: Plan, parameters: dict[str, Any], table: dict[str, Any], folder: Path, *, quiet: bool) -> Trained:
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
                    *([] if quiet else [Progress(every=5)]),
                ],
                resume=resuming.place(folder) if kept else None,
                started=started,
                **table,
            )
        except DivergenceError:
            resuming.remove(folder)  # it would diverge again
            raise
    for message in trained.warnings:
        say(f"Warning: {message}")
    return trained


def _stream(plan: Plan, parameters: dict[str, Any], table: dict[str, Any], *, quiet: bool) -> Trained:
    from chainrule.tables import streaming  # noqa: PLC0415

    epochs = parameters.pop("max_iter", None)
    show = None if quiet else streaming.Printer(sys.stdout)

    def started(schema: Schema, split: Split, notes: Sequence[str]) -> None:
        if not quiet:
            tell(f"\n{decided(schema, split, notes)}\n")

    trained = streaming.train_stream(
        plan.source, plan.options["target"], parameters=parameters, epochs=epochs, show=show, started=started, **table
    )
    for message in trained.warnings:
        say(f"Warning: {message}")
    return trained


def _too_large(source: str) -> str:
    """Return why a table has to be streamed, or nothing."""
    if source == "-" or not Path(source).is_file():
        return ""
    from chainrule.tables.streaming.opening import needs_streaming  # noqa: PLC0415

    free = 0
    with contextlib.suppress(OSError, ValueError), open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
        free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    return needs_streaming(source, int(PART * free)) if free else ""


def decided(schema: Schema, split: Split, notes: Sequence[str]) -> str:
    """Return what was found out and decided, as a table for the terminal."""
    rows = [("column", "kind", "missing", "values", "")]
    for column in (*schema.targets, *schema.columns[:SHOWN]):
        what = f"left out: {column.dropped}" if column.dropped else content(column)
        what = f"target: {what}" if column in schema.targets else what
        rows.append((column.name, column.kind, f"{column.missing:,}", f"{column.distinct:,}", what))
    widths = [min(30, max(len(row[i]) for row in rows)) for i in range(4)]
    lines = []
    for name, kind, missing, distinct, what in rows:
        left = f"{_short(name, widths[0]):{widths[0]}}  {kind:{widths[1]}}"
        lines.append(f"{left}  {missing:>{widths[2]}}  {distinct:>{widths[3]}}  {what}".rstrip())
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


def scores(trained: Trained) -> str:
    """Return the scores of the network with their 95 % intervals, beside those of models without one."""
    return beside("held-out rows", "network", trained.scores, trained.intervals, trained.baselines)


def beside(
    rows: str,
    whose: str,
    scores: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    others: Mapping[str, Mapping[str, float]],
) -> str:
    """Return scores with their 95 % intervals, and what others have for them, as a table."""
    from chainrule.pages.formatting import fixed, short  # noqa: PLC0415
    from chainrule.tables.report.scoring import apart  # noqa: PLC0415

    lines = [[rows, whose, "95 % interval", *others]]
    for name, value in scores.items():
        low, high = intervals[name]
        unit = name in ("RMSE", "MAE")
        ends = [short(end) if unit else fixed(end, 3) for end in (low, high)]
        values = (value, *(other.get(name) for other in others.values()))
        texts = ["" if v is None else short(v) if unit else fixed(v, 4) for v in values]
        lines.append([name, texts[0], apart(low, high, ends), *texts[1:]])
    first, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
    right = ["  ".join(text.rjust(width) for text, width in zip(line[1:], widths, strict=True)) for line in lines]
    return "\n".join(f"{line[0]:{first}}  {text}" for line, text in zip(lines, right, strict=True))


def _short(text: str, most: int) -> str:
    """Return a text of the file in one line, without what a terminal would obey."""
    text = " ".join(printable(text[: most + 1]).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def predict(
    folder: Path,
    source: str,
    out: Path | None,
    *,
    interval: float | None,
    coerce: bool,
    delimiter: str | None,
    decimal: str | None,
) -> None:
    """Predict the rows of a table by what ``train`` left in a folder."""
    from chainrule.tables import files, output, predicting, saving  # noqa: PLC0415
    from chainrule.tables.reading import read  # noqa: PLC0415

    if out is not None:
        output.kind(out)  # refused before anything is read
    saved = saving.load(folder)
    if source != "-" and files.is_large(source):
        reads = {"delimiter": delimiter, "decimal": decimal}
        rows = _predict_large(saved, source, out, reads, interval=interval, coerce=coerce)
    else:
        table = read(source, delimiter=delimiter, decimal=decimal, schema=saved.schema)
        frame, notes = predicting.predict(saved, table.frame, interval=interval, coerce=coerce)
        rows = frame.height
        for note in (*table.notes[1:], *notes):
            say(f"Note: {note}")
        if out is None:
            write_data(frame.write_csv())
        else:
            output.write(frame, out)
    if out is not None:
        say(f"{out}: {rows:,} rows")


def _predict_large(
    saved: Saved, source: str, out: Path | None, reads: dict[str, Any], *, interval: float | None, coerce: bool
) -> int:
    from chainrule.tables import files, output, streaming  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:  # nothing is printed before all rows have been checked
        path = out or Path(folder, "predictions.csv")
        if output.kind(path) not in ("csv", "parquet"):
            raise ValueError(f"--out: {path}: {source} is predicted block by block, into .csv or .parquet.")
        rows, notes = files.predict_file(
            saved, source, path, parquet=output.kind(path) == "parquet", interval=interval,
            coerce=coerce, show=streaming.Printer(), **reads,
        )  # fmt: skip
        if out is None:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    for note in notes:
        say(f"Note: {note}")
    return rows
