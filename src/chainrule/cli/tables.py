"""``chainrule train FILE --target COLUMN`` and ``chainrule predict FOLDER FILE``: tables instead of data sets."""

from __future__ import annotations

import contextlib
import shlex
import sys
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chainrule.callbacks import Progress
from chainrule.cli.errors import say
from chainrule.cli.options import hidden_sizes

if TYPE_CHECKING:
    from chainrule.tables import Schema, Split, Trained
else:
    Schema = Split = Trained = Any

SCHEMA = "schema.json"
PART = 0.3  # of the memory that is free, which a table may take before it is streamed
SHOWN = 40  # columns that are printed

ARGUMENTS = {
    "activation": "activation", "dropout": "dropout", "input_dropout": "input_dropout", "l1": "l1", "l2": "alpha",
    "max_norm": "max_norm", "optimizer": "solver", "learning_rate": "learning_rate_init", "clip_norm": "gradient_clip",
    "epochs": "max_iter", "batch_size": "batch_size", "label_smoothing": "label_smoothing",
    "class_weight": "class_weight",
}  # fmt: skip
"""The options of ``chainrule train`` for a network, and the estimators' names for them."""


def is_table(source: str | None) -> bool:
    """Return whether the first argument of ``train`` is a table rather than a data set."""
    from chainrule.tables.reading import is_table as named_like_one  # noqa: PLC0415

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
) -> None:
    """Train on a table, and leave everything in a folder."""
    from chainrule.cli.folder import run_folder  # noqa: PLC0415

    if target is None:
        raise ValueError(f"--target: name the column of {source} that is to be predicted.")
    if table.get("patience") is None:
        del table["patience"]
    for package, extra in (("polars", "tables"), ("skops", "tables"), ("skrub", "tables")):
        if find_spec(package) is None:
            raise ImportError(f'this needs the package {package!r}. Type: pip install "chainrule[{extra}]"')
    parameters = {ARGUMENTS[name]: value for name, value in network.items() if value is not None}
    if layers is not None:
        parameters["hidden_layer_sizes"] = hidden_sizes(layers)
    why = "" if stream else _too_large(source)
    if why and not quiet:
        typer.echo(why)
    stem = Path(source).name.split(".")[0] or "table"
    with run_folder(stem if source != "-" else "table", out, overwrite=overwrite) as folder:
        streamed = bool(stream or why)
        trained = (_stream if streamed else _in_memory)(source, target, parameters, table, quiet=quiet)
        trained.command = shlex.join(["chainrule", *sys.argv[1:]])
        saved = trained.save(folder, overwrite=True)
    if not quiet:
        typer.echo(f"\n{scores(trained)}\n")
    typer.echo(trained.verdict)
    if not quiet:
        typer.echo(f"time     {trained.seconds:.1f} s of training, {len(trained.history)} epochs")
        for note in saved:
            typer.echo(f"file     {note}")
    typer.echo(f"results  {folder}")


def _in_memory(source: str, target: str, parameters: dict[str, Any], table: dict[str, Any], *, quiet: bool) -> Trained:
    from chainrule import tables  # noqa: PLC0415

    def started(schema: Schema, split: Split, notes: Sequence[str]) -> None:
        typer.echo(f"{decided(schema, split, notes)}\n")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trained = tables.train(
            source,
            target,
            parameters=parameters,
            callbacks=[] if quiet else [Progress(every=5)],
            started=None if quiet else started,
            **table,
        )
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say(f"Warning: {message}")
    for message in trained.warnings:
        say(f"Warning: {message}")
    return trained


def _stream(source: str, target: str, parameters: dict[str, Any], table: dict[str, Any], *, quiet: bool) -> Trained:
    from chainrule.tables import streaming  # noqa: PLC0415

    cannot = [name for name in ("time_column", "group") if table.pop(name, None) is not None]
    if isinstance(table["test"], str):
        cannot.append("test")
    if cannot:
        option = cannot[0].replace("_", "-")
        raise ValueError(f"--{option}: a table that is streamed has its held-out rows drawn at random: leave it out.")
    epochs = parameters.pop("max_iter", None)
    show = None if quiet else streaming.Printer(sys.stdout)
    trained = streaming.train_stream(source, target, parameters=parameters, epochs=epochs, show=show, **table)
    if not quiet:
        typer.echo(f"\n{decided(trained.schema, trained.split, trained.notes)}")
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
        target = column in schema.targets
        what = "target" if target else column.dropped and f"left out: {column.dropped}"
        rows.append((column.name, column.kind, f"{column.missing:,}", f"{column.distinct:,}", what or ""))
    widths = [min(30, max(len(row[i]) for row in rows)) for i in range(4)]
    lines = []
    for name, kind, missing, distinct, what in rows:
        short = name if len(name) <= widths[0] else name[: widths[0] - 1] + "…"
        line = f"{short:{widths[0]}}  {kind:{widths[1]}}  {missing:>{widths[2]}}  {distinct:>{widths[3]}}  {what}"
        lines.append(line.rstrip())
    if len(schema.columns) > SHOWN:
        lines.append(f"... and {len(schema.columns) - SHOWN:,} more columns")
    parts = f"{split.train:,} to train, {split.validation:,} to validate, {split.test:,} to test ({split.how})"
    return "\n".join([*lines, "", f"rows     {parts}", *(f"note     {note}" for note in notes)])


def scores(trained: Trained) -> str:
    """Return the scores of the network beside those of models without one."""
    models = ["network", *trained.baselines]
    width = max(map(len, trained.scores), default=5)
    head = f"{'held-out rows':{max(width, 13)}}" + "".join(f"  {name:>14}" for name in models)
    lines = [head]
    for name, value in trained.scores.items():
        beside = [scores.get(name) for scores in trained.baselines.values()]
        texts = [f"{value:.4g}", *("" if other is None else f"{other:.4g}" for other in beside)]
        lines.append(f"{name:{max(width, 13)}}" + "".join(f"  {text:>14}" for text in texts))
    return "\n".join(lines)


def predict(
    folder: Path, source: str, out: Path | None, *, interval: float | None, coerce: bool, delimiter: str | None
) -> None:
    """Predict the rows of a table by what ``train`` left in a folder."""
    from chainrule.tables import predicting, saving  # noqa: PLC0415
    from chainrule.tables.reading import read  # noqa: PLC0415

    saved = saving.load(folder)
    expected = [column.name for column in saved.schema.used]
    table = read(source, delimiter=delimiter, expected=expected)
    frame, notes = predicting.predict(saved, table.frame, interval=interval, coerce=coerce)
    for note in notes:
        say(f"Note: {note}")
    if out is None:
        sys.stdout.write(frame.write_csv())
        sys.stdout.flush()
        return
    from chainrule.cli.folder import replace  # noqa: PLC0415

    parquet = out.suffix.lower() in (".parquet", ".pq")
    replace(out, frame.write_parquet if parquet else frame.write_csv)
    say(f"{out}: {frame.height:,} rows")
