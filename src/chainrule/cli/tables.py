"""``chainrule train FILE --target COLUMN`` and ``chainrule predict FOLDER FILE``: tables instead of data sets."""

from __future__ import annotations

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

import typer

from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.machine import free_memory
from chainrule._internal.names import reworded
from chainrule.cli import bounds
from chainrule.cli.errors import warnings_at_the_end
from chainrule.cli.option_names import option_names
from chainrule.cli.options import hidden_sizes
from chainrule.cli.output import printable, say, tell, write_data
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

ARGUMENTS = {
    "activation": "activation", "dropout": "dropout", "input_dropout": "input_dropout", "l1": "l1", "l2": "alpha",
    "max_norm": "max_norm", "optimizer": "solver", "learning_rate": "learning_rate_init", "clip_norm": "gradient_clip",
    "epochs": "max_iter", "batch_size": "batch_size", "label_smoothing": "label_smoothing",
    "class_weight": "class_weight",
}  # fmt: skip
"""The options of ``chainrule train`` for a network, and the estimators' names for them."""


def is_table(source: str | None) -> bool:
    """Return whether the first argument of ``train`` is a table rather than a data set."""
    from chainrule.tables.formats import is_table as named_like_one  # noqa: PLC0415

    return source is not None and (named_like_one(source) or Path(source).is_file())


def names(given: Sequence[str] | None) -> list[str]:
    """Return names that were given with commas between them, or by repeating the option.

    >>> names(["a, b", "c"])
    ['a', 'b', 'c']
    """
    return [part.strip() for text in given or () for part in text.split(",") if part.strip()]


def part_or_file(text: str) -> float | str:
    """Return a part of the rows, or the name of a file.

    >>> part_or_file("0.3"), part_or_file("test.csv")
    (0.3, 'test.csv')
    """
    try:
        return float(text)
    except ValueError:
        return text


def refuse(options: dict[str, Any]) -> None:
    """Refuse options of which one has a value."""
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{option}: is for data sets, not for tables: leave it out.")


def train_or_go_on(
    source: str | None,
    target: str | None,
    *,
    layers: str | None,
    network: dict[str, Any],
    table: dict[str, Any],
    plan: dict[str, Any] | None,
    resume: Path | None,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    stream: bool,
    print_python: bool,
) -> None:
    """Train on a table, or go on with what was left in a folder, by its ``plan``; None is what was not given."""
    from chainrule.cli import resuming, table_plans  # noqa: PLC0415

    if resume is None:
        test = 0.2 if table["test"] is None else part_or_file(table["test"])
        train(
            str(source), target, layers=layers, network=network,
            table={**table, "test": test, "seed": table["seed"] or 0}, out=out, overwrite=overwrite, quiet=quiet,
            stream=stream, print_python=print_python,
        )  # fmt: skip
        return
    if out is not None or overwrite or stream or print_python:
        given = "--out, --overwrite, --stream and --print-python"
        raise ValueError(f"--resume: goes on as it was begun: leave out {given}.")
    if plan is None:
        resuming.read(resume)  # says what is missing
        raise ValueError(f"--resume: {resume} has the training of a data set: leave out {source}.")
    asked = {**table, "test": None if table["test"] is None else part_or_file(table["test"])}
    here = {"source": source, "target": target, "layers": layers, "network": network, "table": asked}
    table_plans.check_same(resume, plan, here)
    _confirm(resume, [(source, plan["source"]), (asked["test"], plan["table"]["test"])])
    _check_extras()
    _run(plan, resume, streamed=bool(_too_large(plan["source"])), quiet=quiet)


def train(
    source: str,
    target: str | None,
    *,
    layers: str | None,
    network: dict[str, Any],
    table: dict[str, Any],
    out: Path | None,
    overwrite: bool,
    quiet: bool,
    stream: bool,
    print_python: bool,
) -> None:
    """Train on a table, and leave everything in a folder; or print the script that does the same."""
    from chainrule.cli import resuming  # noqa: PLC0415
    from chainrule.cli.folder import run_folder  # noqa: PLC0415

    if target is None:
        raise ValueError(f"--target: name the column of {source} that is to be predicted.")
    _check_extras()
    why = "" if stream else _too_large(source)
    plan = {
        "command": shlex.join(["chainrule", *(word for word in sys.argv[1:] if word != "--print-python")]),
        "source": source, "target": target, "layers": layers, "network": network, "table": table,
    }  # fmt: skip
    if print_python:
        write_data(_script(plan, streamed=bool(stream or why)))
        return
    if why and not quiet:
        tell(why)
    stem = Path(source).name.split(".")[0] or "table"
    with run_folder(stem if source != "-" else "table", out, overwrite=overwrite) as folder:
        resuming.remove(folder)  # with --overwrite: what another run left
        _run(plan, folder, streamed=bool(stream or why), quiet=quiet)


def _confirm(resume: Path, files: list[tuple[Any, Any]]) -> None:
    """Refuse files that only the folder names, which may be a stranger's; ``files`` are pairs: given now, and there."""
    named = [there for _, there in files if isinstance(there, str)]
    for path in named:
        if not Path(path).is_file():
            raise FileNotFoundError(f"--resume: the training in {resume} reads {path}, which is not a file here.")
    asked = [there for now, there in files if now is None and isinstance(there, str)]
    if asked and sys.stdin.isatty():
        typer.confirm(printable(f"Resume the training on {' and '.join(asked)}?"), abort=True)
    elif asked:
        raise ValueError(
            f"--resume: the training in {resume} reads {' and '.join(asked)}: give it again, as in chainrule train "
            f"{shlex.quote(named[0])} --resume {shlex.quote(str(resume))}."
        )


def _check_extras() -> None:
    for package, extra in (("polars", "tables"), ("skops", "tables"), ("skrub", "tables")):
        if find_spec(package) is None:
            raise ImportError(f'this needs the package {package!r}. Type: pip install "chainrule[{extra}]"')


def _arguments(plan: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the estimator's parameters and what else :func:`chainrule.tables.train` is given."""
    bounds.check("train", {**plan["network"], **plan["table"]})
    given = {name: value for name, value in plan["network"].items() if value is not None}
    parameters = {ARGUMENTS[name]: value for name, value in given.items() if value or name not in bounds.UNBOUNDED}
    if plan["layers"] is not None:
        parameters["hidden_layer_sizes"] = hidden_sizes(plan["layers"])
    return parameters, {
        name: value
        for name, value in plan["table"].items()
        if value is not None or name not in ("patience", "validation")
    }


def _run(plan: dict[str, Any], folder: Path, *, streamed: bool, quiet: bool) -> None:
    from chainrule.cli import resuming  # noqa: PLC0415
    from chainrule.tables import save  # noqa: PLC0415
    from chainrule.tables.report.uncertainty import intervals  # noqa: PLC0415

    parameters, table = _arguments(plan)
    with reworded(option_names(ARGUMENTS)):
        trained = _trained(plan, parameters, table, folder, streamed=streamed, quiet=quiet)
    interrupted = trained.history.stopped.startswith("interrupted")
    with deferred_interrupt():  # a Ctrl-C that comes too late to end training must not lose what was learned
        trained.command = plan["command"]
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
        words = ["chainrule", "train", plan["source"], "--resume", str(folder)]
        say(f"To resume it: {shlex.join(words)}")
    if not quiet:
        tell(f"report   {folder / 'report.html'}")
        tell(f"next     chainrule predict {shlex.quote(str(folder))} NEW_ROWS --out predictions.csv")


def _script(plan: dict[str, Any], *, streamed: bool) -> str:
    from chainrule.tables import script  # noqa: PLC0415

    if streamed:
        raise ValueError("--print-python: there is no script of a table that is streamed: give a smaller one.")
    parameters, table = _arguments(plan)
    return script(plan["source"], plan["target"], parameters=parameters, command=plan["command"], **table)


def _trained(
    plan: dict[str, Any],
    parameters: dict[str, Any],
    table: dict[str, Any],
    folder: Path,
    *,
    streamed: bool,
    quiet: bool,
) -> Trained:
    from chainrule import tables  # noqa: PLC0415
    from chainrule.cli import resuming, table_plans  # noqa: PLC0415
    from chainrule.tables.streaming.progress import Printer  # noqa: PLC0415
    from chainrule.training.loop import DivergenceError  # noqa: PLC0415

    kept = plan["source"] != "-"  # what came from standard input does not come again

    def started(schema: Schema, split: Split, notes: Sequence[str]) -> None:
        if kept:
            table_plans.keep(folder, plan)
        if not quiet:
            tell(f"{decided(schema, split, notes)}\n")

    with warnings_at_the_end():
        try:
            trained = tables.train(
                plan["source"],
                plan["target"],
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
